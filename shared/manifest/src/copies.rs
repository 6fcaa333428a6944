//! Coarse copies of a day: which parts make one up, and whether it was made of what is visible (D1, D2).
//!
//! A copy is what one job wrote: parts of one day and resolution with one lineage and one time of begin. It stands for exactly the raw
//! parts it names, so that any change of them (late data, a deletion, a rewrite) makes it old until it is built again. A day's copy is
//! replaced as a whole (`Head::publish`). Should two exist all the same, because two jobs published under different homes, readers
//! still see one of them.

use crate::{Part, Snapshot};
use model::{Resolution, SegmentId, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};

impl Snapshot {
    /// Returns the copy of a day that may be read in place of its raw parts: made of exactly those, or the newest where the day has none
    /// any more. The snapshot must cover the whole day.
    pub fn copy(&self, day: i64, resolution: Resolution) -> Option<Vec<&Part>> {
        let raw = self.raw_ids(day);
        let (with_quarantined, any) = (self.raw_ids_in_quarantine(day, &raw), raw.is_empty());
        let copies = self.copies(day, resolution);
        let fits = |sources: &BTreeSet<SegmentId>| any || *sources == raw || *sources == with_quarantined;
        let newest = copies.into_iter().rev().find(|((_, sources), _)| fits(sources));
        newest.map(|(_, parts)| parts)
    }

    /// Reports whether the raw parts of a day may go as far as this resolution is concerned (D2).
    pub fn is_copied(&self, day: i64, resolution: Resolution) -> bool {
        self.raw_ids(day).is_empty() || self.copy(day, resolution).is_some()
    }

    /// Returns the days with live coarse parts, ascending.
    pub fn copied_days(&self) -> BTreeSet<i64> {
        self.coarse.iter().map(|part| part.window.day()).collect()
    }

    fn raw_ids(&self, day: i64) -> BTreeSet<SegmentId> {
        self.parts.iter().filter(|part| part.window.day() == day).map(|part| part.id).collect()
    }

    /// A part that was sound when the copy was made is still in it.
    fn raw_ids_in_quarantine(&self, day: i64, raw: &BTreeSet<SegmentId>) -> BTreeSet<SegmentId> {
        let apart = self.quarantined.iter().filter(|part| part.window.day() == day && part.resolution == Resolution::Raw);
        raw.iter().copied().chain(apart.map(|part| part.id)).collect()
    }

    /// The copies of a day, oldest first.
    fn copies(&self, day: i64, resolution: Resolution) -> BTreeMap<(TimestampMs, BTreeSet<SegmentId>), Vec<&Part>> {
        let mut copies: BTreeMap<(TimestampMs, BTreeSet<SegmentId>), Vec<&Part>> = BTreeMap::new();
        for part in self.coarse.iter().filter(|part| part.window.day() == day && part.resolution == resolution) {
            copies.entry((part.minted_at, part.sources.iter().copied().collect())).or_default().push(part);
        }
        copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Location, PartStats};
    use model::{SlotRange, TimeRangeMs};
    use store::keys::Window;

    fn part(id: u128, day: i64, resolution: Resolution, minted_at: i64, sources: &[u128]) -> Part {
        let stats = PartStats {
            rows: 1,
            series: 1,
            time_range: TimeRangeMs::new(TimestampMs(0), TimestampMs(1)),
            slots: SlotRange::ALL,
            epoch: 0,
            names: bytes::Bytes::new(),
        };
        Part {
            id: SegmentId(id),
            level: 3,
            resolution,
            window: Window::Day(day),
            location: Location::Inline(bytes::Bytes::new()),
            tail_offset: 0,
            stats,
            minted_at: TimestampMs(minted_at),
            sources: sources.iter().map(|id| SegmentId(*id)).collect(),
            applied: Vec::new(),
        }
    }

    fn found(snapshot: &Snapshot, day: i64) -> Option<Vec<u128>> {
        let copy = snapshot.copy(day, Resolution::OneHour)?;
        Some(copy.iter().map(|part| part.id.0).collect())
    }

    #[test]
    fn a_copy_stands_for_exactly_the_raw_parts_it_names() {
        let mut snapshot = Snapshot::empty(TimestampMs(0));
        snapshot.parts = vec![part(1, 7, Resolution::Raw, 0, &[]), part(2, 7, Resolution::Raw, 0, &[])];
        assert!(!snapshot.is_copied(7, Resolution::OneHour) && snapshot.is_copied(8, Resolution::OneHour));
        snapshot.coarse = vec![
            part(10, 7, Resolution::OneHour, 5, &[1, 2]),
            part(11, 7, Resolution::OneHour, 5, &[2, 1]),
            part(12, 7, Resolution::FiveMinutes, 5, &[1, 2]),
            part(13, 8, Resolution::OneHour, 5, &[1, 2]),
        ];
        assert_eq!(found(&snapshot, 7), Some(vec![10, 11]));
        // Late data came.
        snapshot.parts.push(part(3, 7, Resolution::Raw, 0, &[]));
        assert_eq!(found(&snapshot, 7), None);
        assert!(!snapshot.is_copied(7, Resolution::OneHour));
        // What is in quarantine is still in the copy.
        let bad = snapshot.parts.remove(1);
        snapshot.quarantined.push(bad);
        snapshot.parts.pop();
        assert_eq!(found(&snapshot, 7), Some(vec![10, 11]));
    }

    #[test]
    fn of_two_copies_one_is_read() {
        let mut snapshot = Snapshot::empty(TimestampMs(0));
        snapshot.coarse = vec![part(10, 7, Resolution::OneHour, 5, &[1]), part(11, 7, Resolution::OneHour, 6, &[1])];
        assert_eq!(found(&snapshot, 7), Some(vec![11]));
    }
}
