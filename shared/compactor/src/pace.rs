//! When a window is looked at again: by how fast it fills, and by how long ago somebody wrote to it. Pure.

use std::time::Duration;

use manifest::{Part, Window};
use model::{Hour, TimestampMs};

use crate::Policy;
use crate::diary::is_recent;
use crate::limits::{PACE_IDLE, PACE_MIN, PACE_MONTH, PACE_OLD, PACE_OPEN, PACE_RECENT};

/// Returns when a window is looked at again in which `parts` were seen and those after the first `merged` L0 segments are left.
pub(crate) fn next_look(window: Window, parts: &[Part], merged: usize, policy: &Policy, now: TimestampMs) -> TimestampMs {
    let Window::Hour(hour) = window else {
        return now.plus(if matches!(window, Window::Month(_)) { PACE_MONTH } else { PACE_OLD });
    };
    let fresh = parts.iter().filter(|part| part.window == window && part.level == 0);
    let mut l0: Vec<TimestampMs> = fresh.map(|part| part.minted_at).collect();
    l0.sort_unstable();
    let rested = now.plus(pace(hour, parts, now));
    let full = full_at(&l0, merged, policy.l0_files, now);
    let closed_at = Some(hour.end().plus(policy.close_after)).filter(|at| *at > now);
    // Late data that is too little to go at once.
    let late = l0.get(merged).map(|oldest| oldest.plus(policy.late_after)).filter(|at| closed_at.is_none() && *at > now);
    let soonest = [full, closed_at, late].into_iter().flatten().fold(rested, TimestampMs::min);
    soonest.max(now.plus(PACE_MIN))
}

/// Returns when the catalog of a tenant is read again. One that is written to has a new hour at each full one, which nobody looks at
/// until the catalog was read.
pub(crate) fn next_catalog(is_idle: bool, now: TimestampMs) -> TimestampMs {
    if is_idle { now.plus(PACE_IDLE) } else { now.plus(PACE_OPEN).min(now.hour().end().plus(PACE_MIN)) }
}

/// The pace by which nothing is missed for long. Who wrote to an hour, however old it is, may do so again.
fn pace(hour: Hour, parts: &[Part], now: TimestampMs) -> Duration {
    let of_hour = parts.iter().filter(|part| part.window == Window::Hour(hour));
    let written = of_hour.map(|part| part.minted_at).max();
    let settled = |at: TimestampMs| at.plus(2 * PACE_RECENT) <= now;
    if !settled(hour.end()) || written.is_some_and(|at| !settled(at)) {
        PACE_OPEN
    } else if is_recent(hour, now) {
        PACE_RECENT
    } else {
        PACE_OLD
    }
}

/// Returns when there will be `files` segments beside the first `merged`, if they come as fast as until now; `None` where nobody
/// can say, or where there are as many already and wait for something else.
fn full_at(l0: &[TimestampMs], merged: usize, files: usize, now: TimestampMs) -> Option<TimestampMs> {
    let first = l0.first().filter(|_| l0.len() > 1)?;
    let missing = files.saturating_sub(l0.len().saturating_sub(merged)) as u64;
    let wait_ms = now.0.abs_diff(first.0).saturating_mul(missing) / l0.len() as u64;
    (missing > 0).then(|| now.plus(Duration::from_millis(wait_ms)))
}

#[cfg(test)]
mod tests;
