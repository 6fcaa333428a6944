//! Identity of a segment, and where fresh bits come from.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// 128 bits that name one segment. At level 0 a hash of the canonical content (W2), above it a nonce.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SegmentId(pub u128);

impl SegmentId {
    /// Parses 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<SegmentId> {
        let plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        plain.then(|| u128::from_str_radix(text, 16).ok().map(SegmentId)).flatten()
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A set of ids.
pub type SegmentIds = HashSet<SegmentId, BuildHasherDefault<IdHasher>>;

/// Hashes an id by its own bits, which are spread evenly as they are: hashes of content (docs/0004) and nonces. A sender who tries
/// many contents can find some whose ids meet in a set. What that costs is bounded by his own requests, since a set is of one tenant's
/// window: the busiest remembers some 70,000 ids.
#[derive(Clone, Copy, Default, Debug)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, bits: u128) {
        self.0 = (bits ^ bits >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A seeded source of numbers that never repeat within a process. `boot` seeds it from the system, tests with a constant.
#[derive(Debug)]
pub struct Nonces {
    seed: u128,
    drawn: AtomicU64,
}

impl Nonces {
    /// Makes a source; two sources of one seed give the same numbers.
    pub fn seeded(seed: u128) -> Nonces {
        Nonces { seed, drawn: AtomicU64::new(0) }
    }

    /// Draws the next number.
    pub fn next(&self) -> u128 {
        let count = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut input = [0; 24];
        input[..16].copy_from_slice(&self.seed.to_le_bytes());
        input[16..].copy_from_slice(&count.to_le_bytes());
        xxh3_128_with_seed(&input, count)
    }

    /// Draws the id of a segment that is not named by its content.
    pub fn segment_id(&self) -> SegmentId {
        SegmentId(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids that differ in one half alone are told apart, and so is every one of many.
    #[test]
    fn sets_of_ids_hold_each_id_once() {
        let nonces = Nonces::seeded(1);
        let drawn: Vec<SegmentId> = (0..1_000).map(|_| nonces.segment_id()).collect();
        let low = drawn.iter().map(|id| SegmentId(id.0 as u64 as u128));
        let high = drawn.iter().map(|id| SegmentId(id.0 >> 64 << 64));
        let ids: SegmentIds = drawn.iter().copied().chain(low).chain(high).chain(drawn.iter().copied()).collect();
        assert_eq!(ids.len(), 3_000);
        assert!(drawn.iter().all(|id| ids.contains(id)) && !ids.contains(&nonces.segment_id()));
    }

    #[test]
    fn ids_round_trip_and_nonces_differ() {
        let nonces = Nonces::seeded(7);
        let (a, b) = (nonces.segment_id(), nonces.segment_id());
        assert_ne!(a, b);
        assert_eq!(SegmentId::parse(&a.to_string()), Some(a));
        assert_eq!(SegmentId::parse("+0000000000000000000000000000001"), None);
        assert_eq!(Nonces::seeded(7).segment_id(), a);
    }
}
