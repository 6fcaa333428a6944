//! What nobody needs of a closed day's replicas who asks for one series: the samples that do not stand.
//!
//! ```text
//! hour   0   1 │ 2   3  …  20  21 │ 22  23      the outer hours are those that another day's elections look at: they keep everything
//! ```
//! Electing is not idempotent. What is left has other distances, so that an hour may have another interval and other windows; and in a
//! window where nobody was complete, who had most samples may have fewer than who filled its gaps. So it is tried: where the election of
//! what would be left is another in some hour, that hour and those beside it keep everything, and it is tried again.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Replica, elect};
use crate::time::{HOUR_MS, TimeRangeMs, TimestampMs};

/// Hours of a day in which samples may be left out: an hour's election looks at those beside it, and one that another day's looks at, or
/// that looks at another day, cannot be tried here.
const HOURS: Range<i64> = 2..22;
/// Hours whose election looks at nothing but this day, and may be another after samples were left out.
const TRIED: Range<i64> = 1..23;

/// Returns per replica the times whose samples no election needs, ascending and apart; `replicas` hold a whole day, which begins with
/// `start`, in the order of their names. [`elect`] says the same of what is left, in whatever range.
pub fn superfluous(replicas: &[Replica], start: TimestampMs) -> Vec<Vec<TimeRangeMs>> {
    let hour = |at: i64| (at - start.0).div_euclid(HOUR_MS);
    let stand = standing(replicas);
    let mut hours: BTreeSet<i64> = HOURS.collect();
    while !hours.is_empty() {
        let kept = kept(replicas, &stand, &|at| hours.contains(&hour(at)));
        let differs = differing_hours(replicas, &stand, &standing_of_kept(replicas, &kept), &hour);
        if differs.is_empty() {
            return replicas.iter().zip(&kept).map(|(replica, kept)| ranges(&replica.times, kept)).collect();
        }
        let before = hours.len();
        hours.retain(|hour| !differs.iter().any(|other| hour.abs_diff(*other) <= 1));
        // Had an hour changed although all near it was kept, nothing could be said about any.
        if hours.len() == before {
            hours.clear();
        }
    }
    vec![Vec::new(); replicas.len()]
}

/// Of each row of each replica, whether something holds.
type Flags = Vec<Vec<bool>>;

fn standing(replicas: &[Replica]) -> Flags {
    let mut stand: Flags = replicas.iter().map(|replica| vec![false; replica.times.len()]).collect();
    for piece in elect(replicas) {
        stand[piece.replica][piece.rows].fill(true);
    }
    stand
}

/// Tells what is kept: what stands, and all outside the hours in question.
fn kept(replicas: &[Replica], stand: &Flags, in_question: &dyn Fn(i64) -> bool) -> Flags {
    let of_replica = |(replica, stand): (&Replica, &Vec<bool>)| -> Vec<bool> {
        replica.times.iter().zip(stand).map(|(at, stands)| *stands || !in_question(*at)).collect()
    };
    replicas.iter().zip(stand).map(of_replica).collect()
}

/// Tells what stands of what is kept.
fn standing_of_kept(replicas: &[Replica], kept: &Flags) -> Flags {
    let rows: Vec<Vec<usize>> = kept.iter().map(|kept| (0..kept.len()).filter(|row| kept[*row]).collect()).collect();
    let of_kept = |(replica, rows): (&Replica, &Vec<usize>)| Replica {
        times: rows.iter().map(|row| replica.times[*row]).collect(),
        stale: rows.iter().filter_map(|row| replica.stale.get(*row).copied()).collect(),
    };
    let left: Vec<Replica> = replicas.iter().zip(&rows).map(of_kept).collect();
    let mut stand: Flags = kept.iter().map(|kept| vec![false; kept.len()]).collect();
    for piece in elect(&left) {
        rows[piece.replica][piece.rows].iter().for_each(|row| stand[piece.replica][*row] = true);
    }
    stand
}

fn differing_hours(replicas: &[Replica], before: &Flags, after: &Flags, hour: &dyn Fn(i64) -> i64) -> BTreeSet<i64> {
    let of_replica = |(at, replica): (usize, &Replica)| {
        let rows = (0..replica.times.len()).filter(|row| before[at][*row] != after[at][*row]);
        rows.map(|row| hour(replica.times[row])).collect::<BTreeSet<i64>>()
    };
    replicas.iter().enumerate().flat_map(of_replica).filter(|hour| TRIED.contains(hour)).collect()
}

/// Returns the times of runs of rows that are not kept.
fn ranges(times: &[i64], kept: &[bool]) -> Vec<TimeRangeMs> {
    let (mut ranges, mut row) = (Vec::new(), 0);
    for run in kept.chunk_by(|a, b| a == b) {
        let last = row + run.len() - 1;
        if !run[0] {
            ranges.push(TimeRangeMs::new(TimestampMs(times[row]), TimestampMs(times[last] + 1)));
        }
        row = last + 1;
    }
    ranges
}
