//! Patterns of the lines of some streams, mined at query time from a bounded sample (`docs/0017`).
//!
//! The time range is cut into slices. Of a slice that holds more lines than its share of the sample, the newest are read; each
//! then stands for as many lines as the label tables know of, and their times are spread over the slice.

use model::{LabelSet, Limits, Matcher, TenantId, TimeRangeNs, TimestampNs};
use plan::logical::{Dialect, EvalOptions, Grid, LogQuery, LogSelect, LogicalPlan, Node, Span, TimeUnit};
use plan::patterns::{Miner, Pattern};
use plan::{StreamEntries, Value};

use crate::limits::{PATTERN_LINES_PER_SLICE, PATTERN_SLICES_MAX};
use crate::{Engine, EngineError, Lookup, VolumeBy, VolumeQuery};

const MS_NS: i64 = 1_000_000;

impl Engine {
    /// Mines the patterns of the lines of the matching streams of one or several tenants, most frequent first, counted by steps.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn patterns(
        &self,
        tenants: &(impl AsRef<[TenantId]> + Sync + ?Sized),
        matchers: &[Matcher],
        range: TimeRangeNs,
        step_ms: i64,
        limits: &Limits,
    ) -> Result<Lookup<Pattern>, EngineError> {
        let intervals = slices(range, step_ms);
        let query = VolumeQuery { matchers: matchers.to_vec(), intervals: intervals.clone(), by: VolumeBy::Nothing, sums_max: 1 };
        let held = self.volumes(tenants, &query, limits).await?;
        let lines = |index: usize| held.items.first().map_or(0.0, |sum| sum.volumes[index].entries);
        let mut miner = Miner::new(step_ms);
        for (index, slice) in intervals.into_iter().enumerate().filter(|(index, _)| lines(*index) > 0.0) {
            let sample = self.newest(tenants.as_ref(), matchers, slice, limits).await?;
            miner = learned(miner, sample, slice, lines(index)).await?;
        }
        Ok(Lookup { items: miner.finish(), truncated: false, warnings: held.warnings, stats: held.stats })
    }

    /// Reads the newest lines of a slice, as many as are its share of the sample.
    async fn newest(
        &self,
        tenants: &[TenantId],
        matchers: &[Matcher],
        slice: TimeRangeNs,
        limits: &Limits,
    ) -> Result<Vec<StreamEntries>, EngineError> {
        let select = LogSelect { matchers: matchers.to_vec(), stages: Vec::new(), span: Span::default() };
        let query = LogQuery { select, newest_first: true, limit: PATTERN_LINES_PER_SLICE, interval_ns: 0 };
        let grid = Grid { start: slice.start.0, end: slice.end.0, step: 1, unit: TimeUnit::Nanoseconds };
        let options = EvalOptions { dialect: Dialect::LogQl, ..EvalOptions::default() };
        let plan = LogicalPlan { grid, root: Node::Logs(Box::new(query)), options, text: "".into() };
        // What a client may ask for is not what is read here.
        let mut limits = limits.clone();
        limits.log_queries.lines_max = PATTERN_LINES_PER_SLICE;
        match self.query(tenants, plan, &limits).await?.0.value {
            Value::Streams(streams) => Ok(streams),
            _ => Err(EngineError::Internal("a log query answers streams".into())),
        }
    }
}

/// Learns a slice's sample away from the threads that serve requests.
async fn learned(mut miner: Miner, sample: Vec<StreamEntries>, slice: TimeRangeNs, lines: f64) -> Result<Miner, EngineError> {
    let work = tokio::task::spawn_blocking(move || {
        learn(&mut miner, &sample, slice, lines);
        miner
    });
    work.await.map_err(|error| EngineError::Internal(error.to_string()))
}

fn learn(miner: &mut Miner, sample: &[StreamEntries], slice: TimeRangeNs, lines: f64) {
    let read: usize = sample.iter().map(|stream| stream.entries.len()).sum();
    let is_whole = read < PATTERN_LINES_PER_SLICE;
    let weight = if is_whole { 1.0 } else { (lines / read as f64).max(1.0) };
    let oldest = sample.iter().flat_map(|stream| &stream.entries).map(|entry| entry.timestamp).min().unwrap_or(slice.start.0);
    let spread = Spread { oldest, slice };
    for stream in sample {
        for entry in &stream.entries {
            let labels: LabelSet = stream.labels.retain(|name| entry.metadata.get(name).is_none());
            let at = if is_whole { entry.timestamp } else { spread.over(entry.timestamp) };
            miner.learn(&labels, &entry.metadata, at.div_euclid(MS_NS), &entry.line, weight);
        }
    }
}

/// Maps the times of a sample, which ends where its slice ends, to times of the whole slice.
struct Spread {
    oldest: i64,
    slice: TimeRangeNs,
}

impl Spread {
    fn over(&self, at: i64) -> i64 {
        let TimeRangeNs { start, end } = self.slice;
        let length = |from: i64| i128::from(end.0) - i128::from(from);
        let before_end = length(at) * length(start.0) / length(self.oldest).max(1);
        end.0 - i64::try_from(before_end).unwrap_or(0)
    }
}

/// Cuts a range into pieces of whole steps.
fn slices(range: TimeRangeNs, step_ms: i64) -> Vec<TimeRangeNs> {
    let step = step_ms.max(1).saturating_mul(MS_NS);
    let first = range.start.0.div_euclid(step);
    let steps = (range.end.0.saturating_sub(1)).div_euclid(step) - first + 1;
    let per_slice = ((steps.max(1) - 1) / PATTERN_SLICES_MAX + 1).saturating_mul(step);
    let mut slices = Vec::new();
    let mut start = range.start.0;
    while start < range.end.0 {
        let end = (start.div_euclid(per_slice).saturating_add(1)).saturating_mul(per_slice).min(range.end.0);
        slices.push(TimeRangeNs::new(TimestampNs(start), TimestampNs(end)));
        start = end;
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::value::Entry;

    const SECOND: i64 = 1_000_000_000;

    fn range(start_s: i64, end_s: i64) -> TimeRangeNs {
        TimeRangeNs::new(TimestampNs(start_s * SECOND), TimestampNs(end_s * SECOND))
    }

    #[test]
    fn slices_cover_the_range_and_are_bounded() {
        for (start, end, step_ms) in
            [(0, 3_600, 10_000), (7, 3_601, 60_000), (0, 5, 60_000), (-100, 86_400 * 30, 1), (5, 5, 1000)]
        {
            let slices = slices(range(start, end), step_ms);
            assert!(slices.len() <= PATTERN_SLICES_MAX as usize + 1, "{}", slices.len());
            assert!(slices.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!(slices.is_empty(), start == end);
            if let (Some(first), Some(last)) = (slices.first(), slices.last()) {
                assert_eq!((first.start, last.end), (range(start, end).start, range(start, end).end));
            }
        }
    }

    fn sample(entries: usize) -> Vec<StreamEntries> {
        let labels = LabelSet::from_pairs([("app", "a"), ("detected_level", "info")]);
        let metadata = LabelSet::from_pairs([("detected_level", "info")]);
        let entry = |i: usize| Entry {
            timestamp: 100 * SECOND - 1 - i as i64 * SECOND / 100,
            line: b"the same four words".to_vec(),
            metadata: metadata.clone(),
            parsed: LabelSet::empty(),
        };
        vec![StreamEntries { labels, entries: (0..entries).map(entry).collect() }]
    }

    #[test]
    fn a_sample_stands_for_its_slice() {
        let mut miner = Miner::new(50_000);
        learn(&mut miner, &sample(PATTERN_LINES_PER_SLICE), range(0, 100), 10_000.0);
        let patterns = miner.finish();
        assert_eq!((patterns.len(), patterns[0].level), (1, "info"));
        let [(0, first), (50_000, second)] = patterns[0].samples[..] else { panic!("{:?}", patterns[0].samples) };
        assert_eq!(first + second, 10_000);
        assert!(first.abs_diff(second) < 100, "{first} {second}");
    }

    #[test]
    fn a_whole_slice_is_counted_as_it_is() {
        let mut miner = Miner::new(10_000);
        learn(&mut miner, &sample(40), range(0, 100), 999.0);
        assert_eq!(miner.finish()[0].samples, [(90_000, 40)]);
    }
}
