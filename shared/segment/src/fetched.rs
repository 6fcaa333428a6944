//! The parts of an object that a caller has fetched.

use std::ops::Range;

use bytes::Bytes;

use crate::SegmentError;

/// Byte ranges of one object, by offset. Decoding reads from here and never fetches.
///
/// # Invariants
/// Parts ascend by offset.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    parts: Vec<(u64, Bytes)>,
}

impl Fetched {
    /// Holds a whole object.
    pub fn whole(object: Bytes) -> Fetched {
        Fetched { parts: vec![(0, object)] }
    }

    /// Holds parts of an object, each with its offset, in any order.
    pub fn parts(mut parts: Vec<(u64, Bytes)>) -> Fetched {
        parts.sort_by_key(|(offset, _)| *offset);
        Fetched { parts }
    }

    /// Returns the bytes of `range` without copying.
    ///
    /// # Errors
    /// `NotFetched` where no single part holds them.
    pub fn get(&self, range: Range<u64>) -> Result<Bytes, SegmentError> {
        let missing = SegmentError::NotFetched { start: range.start, end: range.end };
        let index = self.parts.partition_point(|(offset, _)| *offset <= range.start);
        let Some((offset, bytes)) = index.checked_sub(1).map(|index| &self.parts[index]) else {
            return Err(missing);
        };
        let end = range.end.checked_sub(*offset).filter(|end| *end <= bytes.len() as u64 && range.start <= range.end);
        match end {
            Some(end) => Ok(bytes.slice((range.start - offset) as usize..end as usize)),
            None => Err(missing),
        }
    }
}

/// Joins ranges that overlap or lie closer than `gap_bytes`; the result ascends.
pub fn coalesce(mut ranges: Vec<Range<u64>>, gap_bytes: u64) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap_bytes) => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_offset() {
        let fetched = Fetched::parts(vec![(20, Bytes::from_static(b"uvwxyz")), (0, Bytes::from_static(b"abcdef"))]);
        assert_eq!(fetched.get(1..3).unwrap(), "bc");
        assert_eq!(fetched.get(20..26).unwrap(), "uvwxyz");
        assert!(matches!(fetched.get(5..7), Err(SegmentError::NotFetched { start: 5, end: 7 })));
        assert!(fetched.get(10..11).is_err());
    }

    #[test]
    fn close_ranges_join() {
        assert_eq!(coalesce(vec![30..40, 0..10, 12..20, 5..5], 4), vec![0..20, 30..40]);
    }
}
