//! The merge of a closed day's replicas: when it is due, and of what (docs/0021).
//!
//! A day's parts of [`MERGED_LEVEL`] are the mark that it was decided: whatever joins them later (an import, a clock that was wrong) is
//! below, and what it merges with too, so that the day is decided again, over all that is there then.

use manifest::ring::Epoch;
use manifest::{Part, Snapshot, Window};
use model::{Resolution, Signal, TenantId, TimestampMs};

use super::coarse::at_rest;
use super::{Job, jobs};
use crate::Policy;
use crate::limits::{CLOSED_MARGIN, COPIES_MARGIN};
use crate::retain::is_expired;

/// Level of a day's parts whose replicas are merged: one above a day's.
pub const MERGED_LEVEL: u8 = 4;

/// What is to become of a day's replicas.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplicaPlan {
    /// Nothing, or nothing more.
    Rest,
    /// They will be merged, not before this. Copies made now would be of other parts by then.
    Wait(TimestampMs),
    /// They would be due, and stay as they are: the day has so many samples, more than one run could take.
    TooLarge(u64),
    /// They are merged, by one job, since what one series loses follows from others.
    Merge(Job),
}

/// Decides what becomes of the replicas of a tenant's day, which `snapshot` covers.
pub fn plan_replicas(
    tenant: &TenantId,
    day: i64,
    snapshot: &Snapshot,
    epoch: &Epoch,
    policy: &Policy,
    now: TimestampMs,
) -> ReplicaPlan {
    let Some(after) = policy.limits.of(tenant).replicas_merged_after else { return ReplicaPlan::Rest };
    let raw = policy.retention.of(tenant, Signal::Metrics).raw;
    let window = Window::Day(day);
    let of_day = |part: &&Part| part.window.day() == day && part.resolution == Resolution::Raw;
    let is_decided = snapshot.parts.iter().filter(of_day).all(|part| part.level >= MERGED_LEVEL);
    // What is in quarantine may be the samples that stand.
    let is_damaged = snapshot.quarantined.iter().any(|part| of_day(&part));
    let rows: u64 = snapshot.parts.iter().filter(of_day).map(|part| part.stats.rows).sum();
    let due = window.range().end.plus(after).plus(CLOSED_MARGIN);
    // Where raw data goes before, or soon, nothing is waited for: copies are made of all there is.
    if is_decided || is_damaged || is_expired(day, raw, now.max(due).plus(COPIES_MARGIN)) {
        return ReplicaPlan::Rest;
    }
    if rows > policy.replica_rows_max {
        return if due <= now { ReplicaPlan::TooLarge(rows) } else { ReplicaPlan::Rest };
    }
    let Some((inputs, home)) = at_rest(day, snapshot).filter(|_| due <= now) else { return ReplicaPlan::Wait(due) };
    let is_head = |head: &&manifest::HeadState| head.window == home && head.resolution == Resolution::Raw;
    if snapshot.heads.iter().find(is_head).is_some_and(|head| head.sealed) {
        // It is on its way into the month.
        return ReplicaPlan::Wait(due);
    }
    let job = jobs(vec![(MERGED_LEVEL, inputs)], (window, home), snapshot, epoch).pop();
    job.map_or(ReplicaPlan::Rest, ReplicaPlan::Merge)
}
