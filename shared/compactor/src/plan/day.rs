//! A day: hours are sealed, rest, and roll into it.

use std::collections::BTreeMap;

use manifest::ring::Epoch;
use manifest::{HeadState, Part, Snapshot, Window};
use model::{Hour, Resolution, TimestampMs};

use super::cut::{cut_fresh, is_small, joined};
use super::{Job, Merge, deletions, jobs, run_of};
use crate::Policy;

/// Level of a day's parts.
const DAY_LEVEL: u8 = 3;

/// What to do in a day.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DayPlan {
    /// Hours to seal: their parts roll once that is done.
    pub seal: Vec<Hour>,
    /// Merges, with disjoint inputs.
    pub jobs: Vec<Job>,
}

/// Decides what rolls into a day. `snapshot` covers it, `epoch` is the ring's for the day's first hour.
pub fn plan_day(day: i64, snapshot: &Snapshot, epoch: &Epoch, policy: &Policy, now: TimestampMs) -> DayPlan {
    let window = Window::Day(day);
    let roll_at = window.range().start.plus(policy.roll_after);
    let parts: Vec<Part> = snapshot.parts.iter().filter(|part| part.resolution == Resolution::Raw).cloned().collect();
    // What is on its way to the month is left alone.
    let sealed = snapshot.heads.iter().any(|head| head.window == window && head.resolution == Resolution::Raw && head.sealed);
    let here = parts.into_iter().filter(|part| part.window.day() == day && snapshot.home(part) == part.window);
    let (own, of_hours): (Vec<Part>, Vec<Part>) = here.partition(|part| part.window == window);
    let own = if sealed { Vec::new() } else { own };
    let is_packed = |part: &&Part| part.window == window && snapshot.home(part) == window.month();
    let packed: Vec<Part> = snapshot.parts.iter().filter(is_packed).cloned().collect();
    let mut plan = DayPlan::default();
    let mut merges: Vec<Merge> = Vec::new();
    if now >= roll_at {
        let hours = DayHours::of(of_hours, snapshot);
        let overdue = now >= roll_at.plus(policy.late_roll_after);
        plan.seal = hours.to_seal(overdue, now);
        let complete = plan.seal.is_empty() && (overdue || hours.open.is_empty());
        let waiting = hours.rested(now);
        let must = waiting.iter().any(|part| snapshot.deletions.iter().any(|deletion| deletion.applies_to(part)));
        let due = must || if own.is_empty() { complete } else { is_due(&waiting, policy, now) };
        if due {
            merges = roll(waiting, &own, epoch, policy);
        }
    }
    merges.extend(deletions(&own, &merges, snapshot));
    plan.jobs = jobs(merges, (window, window), snapshot, epoch);
    // What the month lists stays as it is, but for deletions.
    plan.jobs.extend(jobs(deletions(&packed, &[], snapshot), (window, window.month()), snapshot, epoch));
    plan
}

/// The hours of a day that list parts.
struct DayHours {
    /// Parts of hours that are sealed, and from when they may leave.
    sealed: Vec<(TimestampMs, Vec<Part>)>,
    /// Hours not sealed: from when their merged parts might leave, and whether L0 is waiting there.
    open: Vec<(Hour, TimestampMs, bool)>,
}

impl DayHours {
    fn of(parts: Vec<Part>, snapshot: &Snapshot) -> DayHours {
        let mut hours: BTreeMap<Hour, Vec<Part>> = BTreeMap::new();
        for part in parts {
            if let Window::Hour(hour) = part.window {
                hours.entry(hour).or_default().push(part);
            }
        }
        let mut found = DayHours { sealed: Vec::new(), open: Vec::new() };
        for (hour, parts) in hours {
            let is_head = |head: &&HeadState| head.window == Window::Hour(hour) && head.resolution == Resolution::Raw;
            let head = snapshot.heads.iter().find(is_head);
            let has_l0 = parts.iter().any(|part| part.level == 0);
            match head {
                Some(head) if head.sealed => {
                    let merged = parts.into_iter().filter(|part| part.level > 0).collect();
                    found.sealed.push((head.rollable_from, merged));
                }
                Some(head) => found.open.push((hour, head.rollable_from, has_l0)),
                // Nothing was ever merged: the hour comes first.
                None => found.open.push((hour, TimestampMs(i64::MAX), has_l0)),
            }
        }
        found
    }

    /// Late data still on its way into an hour is waited for, but not for ever.
    fn to_seal(&self, overdue: bool, now: TimestampMs) -> Vec<Hour> {
        let ready = self.open.iter().filter(|(_, rests_until, has_l0)| overdue || !has_l0 && *rests_until <= now);
        ready.map(|(hour, _, _)| *hour).collect()
    }

    fn rested(&self, now: TimestampMs) -> Vec<Part> {
        self.sealed.iter().filter(|(from, _)| *from <= now).flat_map(|(_, parts)| parts.clone()).collect()
    }
}

fn is_due(waiting: &[Part], policy: &Policy, now: TimestampMs) -> bool {
    waiting.len() >= policy.late_parts || waiting.iter().any(|part| part.minted_at.plus(policy.late_roll_after) <= now)
}

fn roll(waiting: Vec<Part>, own: &[Part], epoch: &Epoch, policy: &Policy) -> Vec<Merge> {
    if waiting.is_empty() {
        return Vec::new();
    }
    let small = own.iter().filter(|part| is_small(part, policy)).cloned().collect();
    let mut inputs = joined(waiting, small);
    let runs = epoch.assignment.cuts();
    // Neighbours in time make a part that covers little of it; with several groups, a job is one group's.
    inputs.sort_by_key(|part| (run_of(&runs, part), part.stats.time_range.start, part.id));
    let cuts = cut_fresh(inputs, policy, |part| matches!(part.window, Window::Hour(_)));
    cuts.into_iter().map(|inputs| (DAY_LEVEL, inputs)).collect()
}
