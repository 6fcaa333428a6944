//! Tables of what is merged when.

use std::time::Duration;

use manifest::ring::{Ring, RingChange};
use manifest::{HeadState, Location, PartStats};
use model::{Hour, SegmentId, TimestampMs};

use super::*;
use crate::Policy;

const HOUR: Hour = Hour(240);
const MIB: u64 = 1 << 20;

/// Parts of one level: so many, each of so many bytes, begun so many minutes after the start of the hour.
struct Parts(u8, usize, u64, i64);

fn minute(minute: i64) -> TimestampMs {
    TimestampMs(HOUR.start().0 + minute * 60_000)
}

fn part(id: u128, level: u8, len: u64, minted_at: TimestampMs, window: Window) -> Part {
    Part {
        id: SegmentId(id),
        level,
        resolution: Resolution::Raw,
        window,
        location: Location::Object { key: format!("k{id}"), len },
        tail_offset: 0,
        stats: PartStats {
            rows: 1,
            series: 1,
            time_range: window.range(),
            slots: SlotRange::ALL,
            epoch: 0,
            names: bytes::Bytes::new(),
        },
        minted_at,
        sources: Vec::new(),
        applied: Vec::new(),
    }
}

fn parts(groups: &[Parts], window: Window) -> Vec<Part> {
    let mut made = Vec::new();
    for Parts(level, count, len, minted) in groups {
        (0..*count).for_each(|_| made.push(part(made.len() as u128, *level, *len, minute(*minted), window)));
    }
    made
}

fn head(window: Window, sealed: bool, rollable_from: TimestampMs) -> HeadState {
    HeadState { window, resolution: Resolution::Raw, generation: 7, sealed, rollable_from, lease: None }
}

/// (level of the outputs, levels of the inputs) of each job.
type Jobs = Vec<(u8, Vec<u8>)>;

fn levels(jobs: Vec<Job>) -> Jobs {
    jobs.into_iter().map(|job| (job.level, job.inputs.iter().map(|input| input.level).collect())).collect()
}

fn hour_jobs(groups: &[Parts], at: i64, sealed: bool) -> Jobs {
    let window = Window::Hour(HOUR);
    let snapshot =
        Snapshot { parts: parts(groups, window), heads: vec![head(window, sealed, minute(0))], ..Snapshot::empty(minute(at)) };
    let jobs = plan_hour(HOUR, &snapshot, Ring::default().latest(), &Policy::default(), minute(at));
    assert!(jobs.iter().all(|job| job.generation == 7));
    levels(jobs)
}

#[test]
fn open_hour() {
    let none = Jobs::new();
    assert_eq!(hour_jobs(&[Parts(0, 39, 1000, 29)], 30, false), none);
    assert_eq!(hour_jobs(&[Parts(0, 40, 1000, 29)], 30, false), [(1, vec![0; 40])]);
    assert_eq!(hour_jobs(&[Parts(0, 4, 9 * MIB, 29)], 30, false).len(), 2, "36 MiB, unpacked in two jobs");
    assert_eq!(hour_jobs(&[Parts(1, 15, MIB, 29), Parts(0, 3, 5, 29)], 30, false), none);
    assert_eq!(hour_jobs(&[Parts(1, 16, MIB, 29), Parts(0, 3, 5, 29)], 30, false), [(2, vec![1; 16])]);
    // At most one L2 in five minutes.
    assert_eq!(hour_jobs(&[Parts(2, 1, MIB, 25), Parts(1, 16, MIB, 29)], 30, false), [(2, vec![1; 16])]);
    assert_eq!(hour_jobs(&[Parts(2, 1, MIB, 26), Parts(1, 16, MIB, 29)], 30, false), [(1, vec![1; 16])]);
    // What such a merge made is not written again by the next.
    let large = || Parts(1, 2, 15 * MIB, 29);
    assert_eq!(hour_jobs(&[Parts(2, 1, MIB, 26), Parts(1, 15, MIB, 29), large()], 30, false), none);
    assert_eq!(hour_jobs(&[Parts(2, 1, MIB, 26), Parts(1, 16, MIB, 29), large()], 30, false), [(1, vec![1; 16])]);
    assert_eq!(hour_jobs(&[Parts(2, 1, MIB, 25), Parts(1, 16, MIB, 29), large()], 30, false), [(2, vec![1; 18])]);
}

#[test]
fn ended_hour() {
    let none = Jobs::new();
    let few = [Parts(0, 3, 5, 59), Parts(1, 5, MIB, 58), Parts(2, 11, 5 * MIB, 30)];
    assert_eq!(hour_jobs(&few, 59, false), none);
    assert_eq!(hour_jobs(&few, 60, false), [(2, vec![0, 0, 0, 1, 1, 1, 1, 1])]);
    assert_eq!(hour_jobs(&[Parts(0, 7, 5, 61), Parts(2, 12, MIB, 60)], 62, false), none, "few came late");
    assert_eq!(hour_jobs(&[Parts(0, 8, 5, 61), Parts(2, 12, MIB, 60)], 62, false), [(2, vec![0; 8])]);
}

#[test]
fn closed_hour() {
    let none = Jobs::new();
    assert_eq!(hour_jobs(&[Parts(0, 1, 5, 30)], 64, false), none);
    assert_eq!(hour_jobs(&[Parts(0, 1, 5, 30)], 65, false), [(2, vec![0])]);
    let everything = [Parts(0, 1, 5, 59), Parts(1, 2, MIB, 58), Parts(2, 11, 5 * MIB, 30)];
    assert_eq!(hour_jobs(&everything, 66, false), [(2, [vec![0, 1, 1], vec![2; 11]].concat())]);
    assert_eq!(hour_jobs(&[Parts(2, 1, MIB, 66)], 67, false), none);
    assert_eq!(hour_jobs(&[Parts(2, 3, 100 * MIB, 30)], 66, false), none, "large enough");
    // Late data waits for five minutes, and joins parts no larger than itself.
    assert_eq!(hour_jobs(&[Parts(0, 2, 5, 70), Parts(2, 1, MIB, 66)], 74, false), none);
    assert_eq!(hour_jobs(&[Parts(0, 2, 5, 70), Parts(2, 1, MIB, 66)], 75, false), [(2, vec![0, 0])]);
    assert_eq!(hour_jobs(&[Parts(0, 2, 5, 70), Parts(2, 1, 9, 66)], 75, false), [(2, vec![0, 0, 2])]);
    assert_eq!(hour_jobs(&[Parts(0, 40, 5, 70)], 71, false), [(2, vec![0; 40])]);
    assert_eq!(hour_jobs(&[Parts(2, 7, MIB, 70)], 90, false), none);
    assert_eq!(hour_jobs(&[Parts(2, 8, MIB, 70)], 90, false), [(2, vec![2; 8])]);
}

#[test]
fn each_job_of_late_data_takes_some() {
    let window = Window::Hour(HOUR);
    let late = parts(&[Parts(2, 2, MIB, 66), Parts(0, 1, 3 * MIB, 70)], window);
    let snapshot = Snapshot { parts: late, ..Snapshot::empty(minute(75)) };
    let policy = Policy { inputs_max: 2, ..Policy::default() };
    let jobs = plan_hour(HOUR, &snapshot, Ring::default().latest(), &policy, minute(75));
    assert_eq!(levels(jobs), [(2, vec![0])]);
}

#[test]
fn what_is_full_of_rows_is_not_merged_again() {
    let window = Window::Hour(HOUR);
    let plan = |rows: u64| {
        let mut merged = parts(&[Parts(2, 8, 42 * MIB, 70)], window);
        merged.iter_mut().for_each(|part| part.stats.rows = rows);
        let snapshot = Snapshot { parts: merged, ..Snapshot::empty(minute(90)) };
        levels(plan_hour(HOUR, &snapshot, Ring::default().latest(), &Policy::default(), minute(90)))
    };
    assert_eq!(plan(200_000_000), Jobs::new());
    assert_eq!(plan(90_000_000), [(2, vec![2; 6]), (2, vec![2; 2])]);
}

#[test]
fn rolled_hour() {
    let none = Jobs::new();
    assert_eq!(hour_jobs(&[Parts(0, 2, 5, 500), Parts(2, 3, 5, 66)], 505, true), none);
    assert_eq!(hour_jobs(&[Parts(0, 2, 5, 500), Parts(2, 3, 5, 66)], 510, true), [(1, vec![0, 0])]);
    // With many parts waiting to roll, L0 waits.
    assert_eq!(hour_jobs(&[Parts(0, 99, 5, 500), Parts(1, 8, 5, 499)], 510, true), none);
}

#[test]
fn day() {
    let (day, roll_at) = (HOUR.day(), Policy::default().roll_after);
    let first = Hour(day * 24);
    let now = first.start().plus(roll_at);
    let window = |hour: i64| Window::Hour(Hour(first.0 + hour));
    let plan = |parts: Vec<Part>, heads: Vec<HeadState>, now: TimestampMs| {
        let snapshot = Snapshot { parts, heads, ..Snapshot::empty(now) };
        let plan = plan_day(day, &snapshot, Ring::default().latest(), &Policy::default(), now);
        (plan.seal, levels(plan.jobs))
    };
    let two = || vec![part(1, 2, MIB, minute(0), window(0)), part(2, 2, MIB, minute(0), window(1))];
    let heads = |sealed, from| vec![head(window(0), sealed, from), head(window(1), sealed, from)];
    let nothing = (Vec::new(), Jobs::new());
    assert_eq!(plan(two(), heads(false, now), now.minus(Duration::from_secs(1))), nothing, "too early");
    assert_eq!(plan(two(), heads(false, now), now), (vec![first, Hour(first.0 + 1)], Jobs::new()));
    assert_eq!(plan(two(), heads(true, now), now), (Vec::new(), vec![(3, vec![2, 2])]));
    assert_eq!(plan(two(), heads(true, now.plus(Duration::from_secs(1))), now), nothing, "not rested");
    // An hour with late data is waited for.
    let late = || [two(), vec![part(3, 0, 5, minute(0), window(2))]].concat();
    assert_eq!(plan(late(), heads(true, now), now), nothing);
    let overdue = now.plus(Policy::default().late_roll_after);
    assert_eq!(plan(late(), heads(true, now), overdue), (vec![Hour(first.0 + 2)], Jobs::new()));
    // Late parts roll by themselves.
    let rolled = |minted: TimestampMs| vec![part(1, 3, 9 * MIB, now, Window::Day(day)), part(2, 1, MIB, minted, window(0))];
    assert_eq!(plan(rolled(now), vec![head(window(0), true, now)], now), nothing);
    assert_eq!(plan(rolled(minute(0)), vec![head(window(0), true, now)], overdue), (Vec::new(), vec![(3, vec![1])]));
}

#[test]
fn each_job_of_a_day_takes_parts_of_hours() {
    let (day, now) = (HOUR.day(), HOUR.start().plus(Duration::from_secs(40 * 3_600)));
    let hour = Window::Hour(Hour(day * 24));
    let own = |id| part(id, 3, MIB, minute(0), Window::Day(day));
    let parts = vec![own(1), own(2), part(3, 2, 3 * MIB, minute(0), hour)];
    let snapshot = Snapshot { parts, heads: vec![head(hour, true, minute(0))], ..Snapshot::empty(now) };
    let policy = Policy { inputs_max: 2, ..Policy::default() };
    let plan = plan_day(day, &snapshot, Ring::default().latest(), &policy, now);
    assert_eq!(levels(plan.jobs), [(3, vec![2])]);
}

#[test]
fn outputs_end_at_the_runs_of_the_epoch() {
    let epoch = Ring::default().changed(RingChange::Grow(1), minute(0)).unwrap();
    let half = SlotRange { lo: 0, hi: 512 };
    let window = Window::Hour(HOUR);
    let mut inputs = parts(&[Parts(2, 8, MIB, 70)], window);
    inputs.iter_mut().for_each(|part| part.stats.slots = half);
    let snapshot = |parts| Snapshot { parts, ..Snapshot::empty(minute(90)) };
    let plan = |parts| plan_hour(HOUR, &snapshot(parts), &epoch, &Policy::default(), minute(90));
    let jobs = plan(inputs.clone());
    assert_eq!((jobs[0].runs.clone(), jobs[0].epoch), (vec![half], 1));
    // One small part on either side: merging them would leave as many.
    inputs.truncate(4);
    inputs.extend((0..4).map(|id| {
        let mut part = part(100 + id, 2, MIB, minute(70), window);
        part.stats.slots = SlotRange { lo: 512, hi: 1024 };
        part
    }));
    assert_eq!(plan(inputs), Vec::new());
    let l0 = parts(&[Parts(0, 2, 5, 30)], window);
    assert_eq!(plan(l0)[0].runs.len(), 2);
}
