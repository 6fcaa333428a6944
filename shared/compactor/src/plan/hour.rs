//! An hour: open, ended, closed, rolled.

use std::collections::BTreeMap;

use manifest::ring::Epoch;
use manifest::{Part, Snapshot, Window};
use model::{Hour, Resolution, TimestampMs};

use super::cut::{cut, cut_fresh, is_small, joined, size_bytes, tier, worthwhile};
use super::{Job, Merge, deletions, jobs, run_of};
use crate::Policy;

/// The parts of one hour by level, oldest first.
#[derive(Default)]
struct HourParts {
    l0: Vec<Part>,
    l1: Vec<Part>,
    l2: Vec<Part>,
}

impl HourParts {
    fn of(parts: &[Part]) -> HourParts {
        let mut sorted = parts.to_vec();
        sorted.sort_by_key(|part| (part.level, part.minted_at, part.id));
        let l2 = sorted.split_off(sorted.partition_point(|part| part.level < 2));
        let l1 = sorted.split_off(sorted.partition_point(|part| part.level < 1));
        HourParts { l0: sorted, l1, l2 }
    }
}

/// Decides what to merge in an hour. `snapshot` covers it, `epoch` is the ring's for this hour. Jobs have disjoint inputs.
pub fn plan_hour(hour: Hour, snapshot: &Snapshot, epoch: &Epoch, policy: &Policy, now: TimestampMs) -> Vec<Job> {
    let window = Window::Hour(hour);
    let parts: Vec<Part> =
        snapshot.parts.iter().filter(|part| part.window == window && part.resolution == Resolution::Raw).cloned().collect();
    let sealed = snapshot.heads.iter().any(|head| head.window == window && head.resolution == Resolution::Raw && head.sealed);
    let of_levels = HourParts::of(&parts);
    let must = of_levels.l0.iter().any(|part| snapshot.deletions.iter().any(|deletion| deletion.applies_to(part)));
    let closed_at = hour.end().plus(policy.close_after);
    let mut merges = if sealed {
        plan_rolled(of_levels, must, policy, now)
    } else if now < hour.end() {
        plan_open(of_levels, must, policy, now)
    } else if now < closed_at {
        plan_ended(of_levels, must, policy)
    } else {
        plan_closed(of_levels, must, closed_at, epoch, policy, now)
    };
    if !sealed {
        merges.extend(deletions(&parts, &merges, snapshot));
    }
    jobs(merges, (window, window), snapshot, epoch)
}

fn enough(l0: &[Part], policy: &Policy) -> bool {
    l0.len() >= policy.l0_files || size_bytes(l0) >= policy.l0_bytes
}

fn plan_open(parts: HourParts, must: bool, policy: &Policy, now: TimestampMs) -> Vec<Merge> {
    let HourParts { l0, l1, l2 } = parts;
    let mut merges = Vec::new();
    if must || enough(&l0, policy) {
        merges.extend(merge_l0(l0, policy));
    }
    if l1.len() >= policy.l1_files {
        let newest = l2.iter().map(|part| part.minted_at).max();
        let rested = newest.is_none_or(|newest| newest.plus(policy.l2_every) <= now);
        let (level, inputs) = if rested { (2, l1) } else { (1, alike(l1, policy)) };
        if level == 2 || inputs.len() >= policy.l1_files {
            merges.extend(merge(level, inputs, policy));
        }
    }
    merges
}

/// Chooses L1 parts that merge among themselves: none larger than twice the mean, so that what such a merge made waits for L2
/// instead of being written again with each of the next.
fn alike(l1: Vec<Part>, policy: &Policy) -> Vec<Part> {
    let len_max = (2 * size_bytes(&l1) / l1.len().max(1) as u64).min(policy.output_bytes / 2);
    l1.into_iter().filter(|part| part.location.len_bytes() <= len_max).collect()
}

/// An hour that has just ended gets little more. What would wait for company there goes at once: a query of the last hour reads
/// what this hour and the new one hold.
fn plan_ended(parts: HourParts, must: bool, policy: &Policy) -> Vec<Merge> {
    let HourParts { l0, l1, .. } = parts;
    let due = must || enough(&l0, policy) || l0.len() + l1.len() >= policy.late_parts;
    if due { merge(2, [l0, l1].concat(), policy) } else { Vec::new() }
}

fn plan_closed(
    parts: HourParts,
    must: bool,
    closed_at: TimestampMs,
    epoch: &Epoch,
    policy: &Policy,
    now: TimestampMs,
) -> Vec<Merge> {
    let HourParts { l0, l1, l2 } = parts;
    let small_l2: Vec<Part> = l2.into_iter().filter(|part| is_small(part, policy)).collect();
    let before_close = |part: &Part| part.minted_at < closed_at;
    // What was begun while the hour was open is merged once, all of it.
    let early: Vec<Part> = [&l0, &l1, &small_l2].into_iter().flatten().filter(|part| before_close(part)).cloned().collect();
    let closing = merge(2, early, policy);
    if !closing.is_empty() {
        return closing;
    }
    let due = must || enough(&l0, policy) || l0.first().is_some_and(|oldest| oldest.minted_at.plus(policy.late_after) <= now);
    let merged = [l1, small_l2].concat();
    if !due || l0.is_empty() {
        return thin_out(merged, epoch, policy);
    }
    let cuts = cut_fresh(joined(l0, merged), policy, |part| part.level == 0);
    cuts.into_iter().map(|inputs| (2, inputs)).collect()
}

/// Merges what many late merges left, each run of slots by itself: across runs there would be as many parts afterwards.
fn thin_out(merged: Vec<Part>, epoch: &Epoch, policy: &Policy) -> Vec<Merge> {
    let runs = epoch.assignment.cuts();
    let mut by_run: BTreeMap<Option<usize>, Vec<Part>> = BTreeMap::new();
    merged.into_iter().for_each(|part| by_run.entry(run_of(&runs, &part)).or_default().push(part));
    let many = by_run.into_values().filter(|parts| parts.len() >= policy.late_parts);
    many.flat_map(|parts| merge(2, tier(parts), policy)).collect()
}

/// Merged parts of a rolled hour are the day's: only L0 merges. Each merge makes the hour rest again before they may leave,
/// so that late data is gathered for longer, and with many parts waiting it waits too.
fn plan_rolled(parts: HourParts, must: bool, policy: &Policy, now: TimestampMs) -> Vec<Merge> {
    let waiting = parts.l1.len() + parts.l2.len();
    let old = parts.l0.first().is_some_and(|oldest| oldest.minted_at.plus(2 * policy.late_after) <= now);
    if waiting >= policy.late_parts || !(must || old || enough(&parts.l0, policy)) {
        return Vec::new();
    }
    merge_l0(parts.l0, policy)
}

fn merge_l0(l0: Vec<Part>, policy: &Policy) -> Vec<Merge> {
    cut(l0, policy).into_iter().map(|inputs| (1, inputs)).collect()
}

fn merge(level: u8, inputs: Vec<Part>, policy: &Policy) -> Vec<Merge> {
    cut(inputs, policy).into_iter().filter(|inputs| worthwhile(inputs)).map(|inputs| (level, inputs)).collect()
}
