//! When to change the number of groups: a pure function of what hours held.
//!
//! A group is what one compaction job rewrites at a time, so that it should hold of an hour what one job takes: 256 MiB of merged
//! segments or 200 million rows ([`GROUP_BYTES_PER_HOUR`], [`GROUP_ROWS_PER_HOUR`]). Groups come in powers of two: runs stay long,
//! and a change is rare.
//! - **Grow** when two of the last three hours ([`GROW_HOURS`]) were over: to the power of two that takes the larger of the two.
//! - **Shrink** by halves when every hour of a whole day ([`SHRINK_HOURS`]) would have filled at most half of what is left: a
//!   ring that has just grown is between half and wholly full, so that it does not shrink again at once, and a night or a
//!   weekend day does not shrink what the next morning needs.

use super::{GROUPS_MAX, RingChange};
use crate::Part;
use model::{Hour, Resolution};
use std::collections::BTreeMap;

/// Bytes of an hour one group is meant to hold: the inputs of one compaction job.
pub const GROUP_BYTES_PER_HOUR: u64 = 256 << 20;
/// Rows of an hour one group is meant to hold.
pub const GROUP_ROWS_PER_HOUR: u64 = 200_000_000;
/// Closed hours looked at for growth.
pub const GROW_HOURS: usize = 3;
/// Hours of those that must be over.
const GROW_HOURS_OVER: usize = 2;
/// Closed hours looked at before shrinking.
pub const SHRINK_HOURS: usize = 24;

/// What one hour held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HourLoad {
    /// The hour.
    pub hour: Hour,
    /// Rows of its parts.
    pub rows: u64,
    /// Bytes of its parts.
    pub bytes: u64,
}

/// What [`advise`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advice {
    /// The change to make, if any.
    pub change: Option<RingChange>,
    /// The fullest of the hours looked at, in percent of what the groups are meant to hold.
    pub fullest_percent: u64,
}

/// Adds up the raw parts of hours; those of a day count evenly for its hours.
pub fn loads(parts: &[Part]) -> Vec<HourLoad> {
    let mut hours: BTreeMap<Hour, (u64, u64)> = BTreeMap::new();
    for part in parts.iter().filter(|part| part.resolution == Resolution::Raw) {
        let range = part.window.range();
        let (first, end) = (range.start.hour().0, range.end.hour().0);
        let count = (end - first).max(1) as u64;
        for hour in first..end {
            let load = hours.entry(Hour(hour)).or_default();
            load.0 += part.stats.rows / count;
            load.1 += part.location.len_bytes() / count;
        }
    }
    hours.into_iter().map(|(hour, (rows, bytes))| HourLoad { hour, rows, bytes }).collect()
}

/// Says how to change the groups, from the load of closed hours, in any order; hours without data may be missing among them
/// and count as empty.
pub fn advise(loads: &[HourLoad], groups: u16, now: Hour) -> Advice {
    let last = |count: usize| -> Vec<u64> {
        let within = |load: &&HourLoad| load.hour < now && load.hour.0 >= now.0.saturating_sub(count as i64);
        let mut needs: Vec<u64> = loads.iter().filter(within).map(needed_millis).collect();
        needs.resize(count.max(needs.len()), 0);
        needs.sort_unstable_by(|a, b| b.cmp(a));
        needs
    };
    let (recent, day) = (last(GROW_HOURS), last(SHRINK_HOURS));
    let fullest_percent = day[0] / (10 * u64::from(groups.max(1)));
    let over = recent[GROW_HOURS_OVER - 1] > 1000 * u64::from(groups);
    let grown = groups_for(recent[0]);
    let half = groups / 2;
    let change = if over && grown > groups {
        Some(RingChange::Grow(grown - groups))
    } else if half > 0
        && loads.iter().any(|load| load.hour.0 <= now.0 - SHRINK_HOURS as i64)
        && 2 * day[0] <= 1000 * u64::from(half)
    {
        Some(RingChange::Shrink(groups - half))
    } else {
        None
    };
    Advice { change, fullest_percent }
}

/// Returns how many groups an hour would fill, in thousandths.
fn needed_millis(load: &HourLoad) -> u64 {
    let share = |value: u64, of: u64| (u128::from(value) * 1000).div_ceil(u128::from(of)) as u64;
    share(load.bytes, GROUP_BYTES_PER_HOUR).max(share(load.rows, GROUP_ROWS_PER_HOUR))
}

fn groups_for(millis: u64) -> u16 {
    let groups = millis.div_ceil(1000).clamp(1, u64::from(GROUPS_MAX));
    (groups.next_power_of_two() as u16).min(GROUPS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// Loads of the last hours, newest first, in quarters of a group.
    fn hours(quarters: &[u64]) -> Vec<HourLoad> {
        let load =
            |(ago, quarters): (usize, &u64)| HourLoad { hour: Hour(999 - ago as i64), rows: 1, bytes: quarters * GIB / 16 };
        quarters.iter().enumerate().map(load).collect()
    }

    #[test]
    fn advice_table() {
        let day = |quarters: u64| vec![quarters; 30];
        let mut peak = day(1);
        peak[20] = 5;
        let cases = [
            (hours(&[]), 1, None, "nothing to go by"),
            (hours(&day(4)), 1, None, "just full"),
            (hours(&[5, 1, 1, 1]), 1, None, "one hour over is a spike"),
            (hours(&[5, 6, 1, 1]), 1, Some(RingChange::Grow(1)), "two of three are over"),
            (hours(&[5, 1, 33, 1]), 1, Some(RingChange::Grow(15)), "to what takes the larger"),
            (hours(&day(5)), 2, None, "after growth it does not shrink again"),
            (hours(&day(4)), 4, Some(RingChange::Shrink(2)), "half of what is left for a whole day"),
            (hours(&day(5)), 4, None, "more than half of what would be left"),
            (hours(&peak), 4, None, "a peak within the day"),
            (hours(&[1, 1, 1]), 4, None, "not a day yet"),
            (hours(&day(0)), 64, Some(RingChange::Shrink(32)), "by halves"),
            (hours(&day(0)), 1, None, "one group at least"),
            (hours(&day(4_000)), 64, None, "64 groups at most"),
        ];
        for (loads, groups, expected, why) in cases {
            assert_eq!(advise(&loads, groups, Hour(1000)).change, expected, "{why}");
        }
        assert_eq!(advise(&hours(&[6]), 2, Hour(1000)).fullest_percent, 75);
        let rows = HourLoad { hour: Hour(999), rows: 3 * GROUP_ROWS_PER_HOUR, bytes: 1 };
        assert_eq!(advise(&[rows], 1, Hour(1000)).fullest_percent, 300);
    }

    #[test]
    fn advice_settles() {
        for quarters in 1..300 {
            let mut groups = 1;
            let mut changes = 0;
            while let Some(change) = advise(&hours(&vec![quarters; 30]), groups, Hour(1000)).change {
                groups = match change {
                    RingChange::Grow(added) => groups + added,
                    RingChange::Shrink(removed) => groups - removed,
                };
                changes += 1;
                assert!(changes < 3, "a steady load of {quarters} quarters makes the ring swing");
            }
        }
    }
}
