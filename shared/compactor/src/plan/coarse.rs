//! The coarse copies of a day: which are to be built, and of what.
//!
//! ```text
//! day's raw parts all in the day (or its month), none marked for deletion ─▶ copies that are missing or made of other parts ─▶ built anew
//! raw parts gone by retention, a deletion applies to a copy               ─▶ the copy without the windows it touches
//! ```
//! Raw parts in quarantine are left out; a copy with a part in quarantine is missing as long as it can be built again.
//! The grain is the day: a copy names the raw parts it was made of, and those of a day change together. Late data rolls into its day
//! hours after it came and makes that day's copies old; until they are built again, the day is answered from raw data.

use manifest::{Deletion, Part, Snapshot, Window};
use model::{Resolution, Retention, TimestampMs};

use super::applying;
use crate::retain::wanted_copies;

/// One copy to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// Its resolution.
    pub resolution: Resolution,
    /// The window whose head lists it: the day, or the month of a packed day.
    pub home: Window,
    /// The generation of that head in the snapshot.
    pub generation: u64,
    /// What it replaces: every part of the day's older copies.
    pub replaced: Vec<Part>,
    /// Those of them that readers see.
    pub visible: Vec<Part>,
}

/// Copies of a day, built in one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct CoarseJob {
    /// Days since the Unix epoch.
    pub day: i64,
    /// What to publish.
    pub copies: Vec<Copy>,
    /// The raw parts to read; empty where the copies themselves are rewritten without what was deleted.
    pub inputs: Vec<Part>,
    /// Deletions that apply to what is replaced; only without inputs.
    pub deletions: Vec<Deletion>,
    /// Deletions that the outputs need no more.
    pub applied: Vec<u128>,
}

/// Decides what to build of a day, which `snapshot` covers.
pub fn plan_coarse(day: i64, snapshot: &Snapshot, retention: &Retention, now: TimestampMs) -> Option<CoarseJob> {
    let has_raw = snapshot.parts.iter().any(|part| part.window.day() == day);
    let job = |copies: Vec<Copy>, inputs: Vec<Part>, deletions: Vec<Deletion>| CoarseJob {
        day,
        copies,
        inputs,
        deletions,
        applied: snapshot.applied(),
    };
    if !has_raw {
        // By retention, or because all of it was deleted: the copies are all there is.
        let readable = Resolution::ALL[1..].iter().filter(|resolution| !is_apart(day, **resolution, snapshot));
        let mut copies = readable.filter_map(|resolution| copy(day, *resolution, snapshot, Window::Day(day)));
        let touched = copies.find(|copy| !applying(snapshot, &copy.visible).is_empty())?;
        let deletions = applying(snapshot, &touched.visible);
        return Some(job(vec![touched], Vec::new(), deletions));
    }
    // What is in quarantine is not waited for, or raw data would be held for ever. Lifted, it makes the copies old.
    let (raw, home) = at_rest(day, snapshot)?;
    let missing = wanted_copies(day, retention, now).into_iter().filter(|resolution| !snapshot.is_copied(day, *resolution));
    let copies: Vec<Copy> = missing.filter_map(|resolution| copy(day, resolution, snapshot, home)).collect();
    (!copies.is_empty()).then(|| job(copies, raw, Vec::new()))
}

/// Returns the raw parts of a day and the window that lists them, where all have rolled and none is to be rewritten for a deletion.
pub(super) fn at_rest(day: i64, snapshot: &Snapshot) -> Option<(Vec<Part>, Window)> {
    let raw: Vec<Part> = snapshot.parts.iter().filter(|part| part.window.day() == day).cloned().collect();
    let home = raw.first().map(|part| snapshot.home(part))?;
    let rests = |part: &Part| part.window == Window::Day(day) && snapshot.deletions_for(part).is_empty();
    raw.iter().all(|part| rests(part) && snapshot.home(part) == home).then_some((raw, home))
}

/// Plans the replacement of a day's parts of one resolution, unless they are on their way into the month.
fn copy(day: i64, resolution: Resolution, snapshot: &Snapshot, home_if_new: Window) -> Option<Copy> {
    let of_copy = |part: &&Part| part.window.day() == day && part.resolution == resolution;
    let replaced: Vec<Part> = snapshot.coarse.iter().chain(&snapshot.quarantined).filter(of_copy).cloned().collect();
    let home = replaced.first().map_or(home_if_new, |part| snapshot.home(part));
    let is_one = replaced.iter().all(|part| snapshot.home(part) == home);
    let generation = snapshot.generation(home, resolution);
    let visible = snapshot.copy(day, resolution).into_iter().flatten().cloned().collect();
    is_one.then_some(Copy { resolution, home, generation, replaced, visible })
}

/// Reports whether a part of a day's copy is in quarantine.
fn is_apart(day: i64, resolution: Resolution, snapshot: &Snapshot) -> bool {
    snapshot.quarantined.iter().any(|part| part.window.day() == day && part.resolution == resolution)
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::{DeletionRequest, DeletionState, Location, PartStats};
    use model::{Hour, Keep, Matcher, SegmentId, SlotRange, TimeRangeMs};
    use std::collections::BTreeMap;
    use std::time::Duration;

    const DAY: i64 = 20_000;

    fn part(id: u128, resolution: Resolution, window: Window, sources: &[u128]) -> Part {
        let stats = PartStats {
            rows: 1,
            series: 1,
            time_range: Window::Day(DAY).range(),
            slots: SlotRange::ALL,
            epoch: 0,
            names: bytes::Bytes::new(),
        };
        Part {
            id: SegmentId(id),
            level: 3,
            resolution,
            window,
            location: Location::Inline(bytes::Bytes::new()),
            tail_offset: 0,
            stats,
            minted_at: TimestampMs(0),
            sources: sources.iter().map(|id| SegmentId(*id)).collect(),
            applied: Vec::new(),
        }
    }

    fn retention() -> Retention {
        let days = |days: u64| Keep::For(Duration::from_secs(days * 86_400));
        let coarse = BTreeMap::from([(Resolution::FiveMinutes, days(30)), (Resolution::OneHour, days(180))]);
        Retention { raw: days(7), coarse }
    }

    /// What would be built, days after the day's end: resolution, inputs, what it replaces.
    fn plan(snapshot: &Snapshot, days: i64) -> Vec<(&'static str, Vec<u128>, Vec<u128>)> {
        let now = Hour((DAY + 1 + days) * 24).start();
        let Some(job) = plan_coarse(DAY, snapshot, &retention(), now) else { return Vec::new() };
        let ids = |parts: &[Part]| parts.iter().map(|part| part.id.0).collect::<Vec<u128>>();
        job.copies.iter().map(|copy| (copy.resolution.as_str(), ids(&job.inputs), ids(&copy.replaced))).collect()
    }

    #[test]
    fn a_day_at_rest_gets_the_copies_it_lacks() {
        let day = Window::Day(DAY);
        let mut snapshot = Snapshot::empty(TimestampMs(0));
        assert_eq!(plan(&snapshot, 1), []);
        snapshot.parts = vec![part(1, Resolution::Raw, day, &[]), part(2, Resolution::Raw, day, &[])];
        assert_eq!(plan(&snapshot, 1), [("5m", vec![1, 2], vec![]), ("1h", vec![1, 2], vec![])]);
        // Nobody keeps 5m for so long.
        assert_eq!(plan(&snapshot, 31), [("1h", vec![1, 2], vec![])]);
        snapshot.coarse = vec![part(10, Resolution::FiveMinutes, day, &[1, 2]), part(11, Resolution::OneHour, day, &[1])];
        assert_eq!(plan(&snapshot, 1), [("1h", vec![1, 2], vec![11])]);
        // Late data waits for its roll, and so do the copies.
        snapshot.parts.push(part(3, Resolution::Raw, Window::Hour(Hour(DAY * 24)), &[]));
        assert_eq!(plan(&snapshot, 1), []);
        snapshot.parts[2].window = day;
        assert_eq!(plan(&snapshot, 1), [("5m", vec![1, 2, 3], vec![10]), ("1h", vec![1, 2, 3], vec![11])]);
    }

    #[test]
    fn what_is_in_quarantine_is_not_waited_for() {
        let day = Window::Day(DAY);
        let mut snapshot = Snapshot::empty(TimestampMs(0));
        snapshot.parts = vec![part(1, Resolution::Raw, day, &[])];
        snapshot.quarantined = vec![part(2, Resolution::Raw, day, &[])];
        assert_eq!(plan(&snapshot, 1), [("5m", vec![1], vec![]), ("1h", vec![1], vec![])]);
        // A copy that still has it is good; one of which a part lies apart is built again while it can be.
        snapshot.coarse = vec![part(10, Resolution::FiveMinutes, day, &[1, 2])];
        snapshot.quarantined.push(part(11, Resolution::OneHour, day, &[1, 2]));
        assert_eq!(plan(&snapshot, 1), [("1h", vec![1], vec![11])]);
        let lifted = snapshot.quarantined.remove(0);
        snapshot.parts.push(lifted);
        assert_eq!(plan(&snapshot, 1), [("1h", vec![1, 2], vec![11])]);
        snapshot.parts.clear();
        assert_eq!(plan(&snapshot, 1), []);
    }

    #[test]
    fn deletions_wait_for_raw_parts_and_reach_copies_without() {
        let day = Window::Day(DAY);
        let mut snapshot = Snapshot::empty(TimestampMs(0));
        let range = TimeRangeMs::new(day.range().start, day.range().start.plus(Duration::from_secs(60)));
        let request = DeletionRequest { range, matchers: vec![Matcher::equal("a", "b")], filter: None };
        let (requested_at, state) = (TimestampMs(i64::MAX), DeletionState::Requested);
        snapshot.deletions = vec![Deletion { id: 1, requested_at, request, state }];
        snapshot.parts = vec![part(1, Resolution::Raw, day, &[])];
        assert_eq!(plan(&snapshot, 1), []);
        snapshot.parts.clear();
        snapshot.coarse = vec![part(11, Resolution::OneHour, day, &[1])];
        assert_eq!(plan(&snapshot, 20), [("1h", vec![], vec![11])]);
        snapshot.coarse[0].applied = vec![1];
        assert_eq!(plan(&snapshot, 20), []);
    }
}
