//! What the manifest knows of a segment, and the one place that answers "may this segment match?".

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher, Signal, SlotRange, TimeRangeMs};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::SegmentError;

/// Summary of one segment; small enough for a manifest item.
///
/// # Invariants
/// `range` covers every sample, entry and exemplar; `slots` holds the slot of every series; `filter` never denies a label that is there.
#[derive(Clone, PartialEq, Debug)]
pub struct SegmentStats {
    /// What the segment holds.
    pub signal: Signal,
    /// Samples or entries.
    pub rows: u64,
    /// Series or streams.
    pub series: u64,
    /// Half-open cover of all times; empty (`start == end`) where the segment holds metadata only.
    pub range: TimeRangeMs,
    /// Cover of all slots.
    pub slots: SlotRange,
    /// Which metric names (metrics) or label pairs (logs) may be inside.
    pub filter: LabelFilter,
}

impl SegmentStats {
    /// Reports whether the segment may hold something the matchers accept inside `range`. False is certain.
    pub fn may_match(&self, matchers: &[Matcher], range: TimeRangeMs) -> bool {
        self.range.overlaps(range) && matchers.iter().all(|matcher| self.may_hold(matcher))
    }

    /// As [`SegmentStats::may_match`] without a look at time.
    pub fn may_match_labels(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().all(|matcher| self.may_hold(matcher))
    }

    fn may_hold(&self, matcher: &Matcher) -> bool {
        let covered = self.signal == Signal::Logs || matcher.name() == METRIC_NAME;
        if !covered || matcher.matches_empty() {
            return true;
        }
        match matcher.op() {
            MatchOp::Equal => self.filter.may_contain(matcher.name(), matcher.value()),
            MatchOp::Regex => match literal_alternatives(matcher.value()) {
                Some(mut values) => values.any(|value| self.filter.may_contain(matcher.name(), value)),
                None => true,
            },
            MatchOp::NotEqual | MatchOp::NotRegex => true,
        }
    }
}

/// Splits `a|b|c` into its values where the pattern is nothing but literals.
fn literal_alternatives(pattern: &str) -> Option<impl Iterator<Item = &str>> {
    let plain = pattern.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-' | b'|' | b'/' | b'='));
    plain.then(|| pattern.split('|'))
}

/// Largest filter, in bytes.
pub const FILTER_BYTES_MAX: usize = 512;
/// Bits per item: about 1 % false positives with 6 probes.
const FILTER_BITS_PER_ITEM: usize = 10;
const FILTER_PROBES: u64 = 6;

/// A small Bloom filter over label pairs. Empty bytes mean "anything may be inside".
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LabelFilter(Vec<u8>);

impl LabelFilter {
    /// Builds the filter over distinct hashes made by [`LabelFilter::hash`]; too many items give the filter that denies nothing.
    pub fn build(hashes: &[u64]) -> LabelFilter {
        let size_bytes = (hashes.len() * FILTER_BITS_PER_ITEM).div_ceil(8).max(8);
        // Past twice the design load the filter denies almost nothing and only costs bytes.
        if size_bytes > 2 * FILTER_BYTES_MAX {
            return LabelFilter::default();
        }
        let mut bytes = vec![0u8; size_bytes.min(FILTER_BYTES_MAX)];
        for hash in hashes {
            for bit in probes(*hash, bytes.len()) {
                bytes[bit / 8] |= 1 << (bit % 8);
            }
        }
        LabelFilter(bytes)
    }

    /// Returns the hash of a label pair.
    pub fn hash(name: &str, value: &str) -> u64 {
        xxh3_64_with_seed(value.as_bytes(), xxh3_64_with_seed(name.as_bytes(), 0))
    }

    /// Takes stored bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<LabelFilter, SegmentError> {
        if bytes.len() > FILTER_BYTES_MAX {
            return Err(SegmentError::TooLarge {
                what: "label filter",
                value: bytes.len() as u64,
                limit: FILTER_BYTES_MAX as u64,
            });
        }
        Ok(LabelFilter(bytes))
    }

    /// Returns the bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reports whether the pair may be inside. False is certain.
    pub fn may_contain(&self, name: &str, value: &str) -> bool {
        self.0.is_empty()
            || probes(LabelFilter::hash(name, value), self.0.len()).all(|bit| self.0[bit / 8] & (1 << (bit % 8)) != 0)
    }
}

fn probes(hash: u64, size_bytes: usize) -> impl Iterator<Item = usize> {
    let step = (hash >> 32) | 1;
    (0..FILTER_PROBES).map(move |i| (hash.wrapping_add(i.wrapping_mul(step)) % (size_bytes as u64 * 8)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TimestampMs;

    fn stats(names: &[&str]) -> SegmentStats {
        let hashes: Vec<u64> = names.iter().map(|name| LabelFilter::hash(METRIC_NAME, name)).collect();
        SegmentStats {
            signal: Signal::Metrics,
            rows: 1,
            series: 1,
            range: TimeRangeMs::new(TimestampMs(10), TimestampMs(20)),
            slots: SlotRange::ALL,
            filter: LabelFilter::build(&hashes),
        }
    }

    #[test]
    fn names_and_times_prune() {
        let stats = stats(&["up", "go_goroutines"]);
        let inside = TimeRangeMs::new(TimestampMs(19), TimestampMs(30));
        let after = TimeRangeMs::new(TimestampMs(20), TimestampMs(30));
        assert!(stats.may_match(&[Matcher::equal(METRIC_NAME, "up")], inside));
        assert!(!stats.may_match(&[Matcher::equal(METRIC_NAME, "up")], after));
        assert!(!stats.may_match(&[Matcher::equal(METRIC_NAME, "down")], inside));
        assert!(stats.may_match(&[Matcher::equal("job", "x")], inside));
        assert!(stats.may_match(&[Matcher::new(METRIC_NAME, MatchOp::Regex, "up|x").unwrap()], inside));
        assert!(!stats.may_match(&[Matcher::new(METRIC_NAME, MatchOp::Regex, "x|y").unwrap()], inside));
        assert!(stats.may_match(&[Matcher::new(METRIC_NAME, MatchOp::Regex, "x.*").unwrap()], inside));
        assert!(stats.may_match(&[Matcher::new(METRIC_NAME, MatchOp::NotEqual, "up").unwrap()], inside));
    }

    #[test]
    fn a_full_filter_denies_nothing() {
        let hashes: Vec<u64> = (0..5000).map(|i| LabelFilter::hash(METRIC_NAME, &i.to_string())).collect();
        assert!(LabelFilter::build(&hashes).as_bytes().is_empty());
        assert!(LabelFilter::build(&hashes).may_contain("a", "b"));
    }
}
