//! Coarse copies of a day: which parts make one up, and whether it was made of what is visible (D1, D2).
//!
//! A copy is what one job wrote: parts of one day and resolution with one lineage and one time of begin. It stands for exactly the raw
//! parts it names, so that any change of them (late data, a deletion, a rewrite) makes it old until it is built again. A day's copy is
//! replaced as a whole (`Head::publish`). Should two exist all the same, because two jobs published under different homes, readers
//! still see one of them.

use crate::{Part, Quarantined, Snapshot};
use model::{Resolution, SegmentId, TimeRangeMs, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};

impl Snapshot {
    /// Returns the copy of a day that may be read in place of its raw parts: a whole one made of exactly those, or the newest where the
    /// day has none any more. The snapshot must cover the whole day.
    pub fn copy(&self, day: i64, resolution: Resolution) -> Option<Vec<&Part>> {
        let (raw, apart) = (raw_ids(&self.parts, day), raw_ids(&self.quarantined, day));
        let broken = copies(&self.quarantined, day, resolution);
        let fits = |made: &Made| {
            let (_, sources) = made;
            // A part that was sound when the copy was made is still in it.
            let of_these = raw.is_subset(sources) && sources.iter().all(|id| raw.contains(id) || apart.contains(id));
            raw.is_empty() || of_these && !broken.contains_key(made)
        };
        let newest = copies(&self.coarse, day, resolution).into_iter().rev().find(|(made, _)| fits(made));
        newest.map(|(_, parts)| parts)
    }

    /// Reports whether the raw parts of a day may go as far as this resolution is concerned (D2). Those in quarantine hold nothing that
    /// could be copied.
    pub fn is_copied(&self, day: i64, resolution: Resolution) -> bool {
        raw_ids(&self.parts, day).is_empty() || self.copy(day, resolution).is_some()
    }

    /// Returns the days with live coarse parts, ascending.
    pub fn copied_days(&self) -> BTreeSet<i64> {
        self.coarse.iter().map(|part| part.window.day()).collect()
    }

    /// Notes which raw parts were in quarantine when their day was dropped, and that one of its copies lacks.
    pub(crate) fn set_lost(&mut self, quarantined: &[Quarantined], is_dropped: impl Fn(i64) -> bool, range: TimeRangeMs) {
        let lacks = |of: &Quarantined| {
            let mut copies = self.coarse.iter().filter(|part| part.window.day() == of.window.day());
            copies.any(|part| !part.sources.contains(&of.id))
        };
        let is_lost = |of: &&Quarantined| {
            of.resolution() == Resolution::Raw && is_dropped(of.window.day()) && of.window.range().overlaps(range) && lacks(of)
        };
        self.lost = quarantined.iter().filter(is_lost).cloned().collect();
    }
}

/// What parts of one copy have in common: when it was begun, and of what.
type Made = (TimestampMs, BTreeSet<SegmentId>);

fn raw_ids(parts: &[Part], day: i64) -> BTreeSet<SegmentId> {
    let of_day = |part: &&Part| part.window.day() == day && part.resolution == Resolution::Raw;
    parts.iter().filter(of_day).map(|part| part.id).collect()
}

/// The copies of a day, oldest first.
fn copies(parts: &[Part], day: i64, resolution: Resolution) -> BTreeMap<Made, Vec<&Part>> {
    let mut copies: BTreeMap<Made, Vec<&Part>> = BTreeMap::new();
    for part in parts.iter().filter(|part| part.window.day() == day && part.resolution == resolution) {
        copies.entry((part.minted_at, part.sources.iter().copied().collect())).or_default().push(part);
    }
    copies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Location, PartStats};
    use model::SlotRange;
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
        // It need not have all of it.
        snapshot.quarantined.push(part(4, 7, Resolution::Raw, 0, &[]));
        assert_eq!(found(&snapshot, 7), Some(vec![10, 11]));
        // A copy without one of its parts is none, unless nothing else is left.
        let bad = snapshot.coarse.remove(0);
        snapshot.quarantined.push(bad);
        assert_eq!(found(&snapshot, 7), None);
        snapshot.parts.clear();
        assert_eq!(found(&snapshot, 7), Some(vec![11]));
    }

    #[test]
    fn of_two_copies_one_is_read() {
        let mut snapshot = Snapshot::empty(TimestampMs(0));
        snapshot.coarse = vec![part(10, 7, Resolution::OneHour, 5, &[1]), part(11, 7, Resolution::OneHour, 6, &[1])];
        assert_eq!(found(&snapshot, 7), Some(vec![11]));
    }
}
