//! Replicas merged in closed days: what of it is checked is that nobody who asks for one series can tell (H1, D3).

use super::super::ledger::{RowId, Samples};
use super::super::replicas::{differ, standing};
use super::super::rows::{self, RowKey};
use super::{World, object_key};
use compactor::MERGED_LEVEL;
use compactor::limits::{CLOSED_MARGIN, COPIES_MARGIN};
use manifest::{Part, Snapshot, Window};
use model::time::HOUR_MS;
use model::{Keep, Signal, TenantId};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Hours of a day in which samples may go: elections in the others look at other days, or other days' elections at them.
const HOURS: Range<i64> = 2..22;

/// Time after its day is closed in which a merge must have come, ms, where compaction goes on and nothing fails.
const PATIENCE_MS: i64 = 4 * HOUR_MS;

/// Time between two runs of compaction at the end of a thorough run, ms, and some: a day that may be merged for less may be missed by both.
const RUNS_APART_MS: i64 = 27 * HOUR_MS;

impl World {
    /// Checks a merge that the last effect published, if it did, and lets go of what it left out.
    pub(super) fn check_merges(&self, tenant: &TenantId, snapshot: &Snapshot, shown: &[(String, Arc<[RowId]>)]) {
        let before = self.ledger().parts.insert(tenant.clone(), snapshot.parts.clone()).unwrap_or_default();
        let is_known = |part: &Part| before.iter().any(|known| known.id == part.id);
        let fresh = snapshot.parts.iter().filter(|part| part.level >= MERGED_LEVEL && !is_known(part));
        for day in fresh.map(|part| part.window.day()).collect::<BTreeSet<i64>>() {
            match self.check_merge(tenant, day, &before, &snapshot.parts) {
                Ok(gone) => self.account(tenant, Signal::Metrics, |account| account.release(&gone, shown)),
                Err(found) => self.violated(format!("H1: replicas of {}: {found}", Window::Day(day))),
            }
        }
    }

    /// Returns the samples that a merge of a day left out, or what is wrong with it.
    fn check_merge(&self, tenant: &TenantId, day: i64, before: &[Part], after: &[Part]) -> Result<Vec<RowKey>, String> {
        let window = Window::Day(day);
        let is_in = |parts: &[Part], part: &Part| parts.iter().any(|known| known.id == part.id);
        let of_day = |part: &&Part| part.window.day() == day;
        let replaced: Vec<&Part> = before.iter().filter(of_day).filter(|part| !is_in(after, part)).collect();
        if replaced.iter().all(|part| part.level >= MERGED_LEVEL) {
            // Rewritten without what was deleted: nothing else may be missing.
            return Ok(Vec::new());
        }
        let closed_ms = self.closed_ms(day).ok_or("nobody asked for it")?;
        let early_ms = closed_ms - self.scenario.skew_ms_max as i64 - self.schedule.now().0;
        if early_ms > 0 {
            return Err(format!("they were merged {} minutes before it is closed", early_ms / 60_000));
        }
        if let Some(left) = after.iter().find(|part| part.window == window && part.level < MERGED_LEVEL) {
            return Err(format!("the day was merged in part: {} is left", left.id));
        }
        let outputs: Vec<&Part> = after.iter().filter(of_day).filter(|part| !is_in(before, part)).collect();
        // What came while the merge was made is decided with the next one.
        let others: Vec<&Part> = after.iter().filter(|part| part.window.day() != day).collect();
        let samples = |of_day: &[&Part]| self.samples(tenant, of_day.iter().chain(&others));
        if let Some(found) = differ(&standing(&samples(&replaced)), &standing(&samples(&outputs))) {
            return Err(found);
        }
        let (held, kept) = (self.samples(tenant, &replaced), self.samples(tenant, &outputs));
        let is_kept = |labels: &Vec<u8>, at: &i64| kept.get(labels).is_some_and(|kept| kept.contains_key(at));
        let of_series = held.iter().flat_map(|(labels, samples)| samples.keys().map(move |at| (labels, at)));
        let gone: Vec<(&Vec<u8>, &i64)> = of_series.filter(|(labels, at)| !is_kept(labels, at)).collect();
        let hour = |at: i64| (at - window.range().start.0).div_euclid(HOUR_MS);
        if let Some((_, at)) = gone.iter().find(|(_, at)| !HOURS.contains(&hour(**at))) {
            return Err(format!("a sample of hour {} is gone, at which other days' elections look", hour(**at)));
        }
        let mut ledger = self.ledger();
        ledger.seen.merges += 1;
        ledger.seen.losers += gone.len() as u64;
        Ok(gone.into_iter().map(|(labels, at)| rows::sample(labels, *at, 0.0).key).collect())
    }

    /// Returns the samples that parts hold, deleted or not.
    fn samples<'a>(&self, tenant: &TenantId, parts: impl IntoIterator<Item = &'a &'a Part>) -> Samples {
        let rows: Vec<Arc<[RowId]>> = parts.into_iter().map(|part| self.rows_of(tenant, Signal::Metrics, part)).collect();
        self.account(tenant, Signal::Metrics, |account| account.samples(rows.iter().flat_map(|rows| rows.iter())))
    }

    /// Returns from when on a day's replicas may be merged, ms.
    fn closed_ms(&self, day: i64) -> Option<i64> {
        let margin_ms = CLOSED_MARGIN.as_millis() as i64;
        Some(Window::Day(day).range().end.0 + self.scenario.merged_after_ms()? + margin_ms)
    }

    /// Checks that no closed day at rest waits for its merge for ever.
    pub fn check_all_merged(&self) {
        for (tenant, signal) in self.accounts() {
            if !self.scenario.replicas || signal != Signal::Metrics {
                continue;
            }
            let Some(snapshot) = self.look(&tenant, signal) else { return };
            let damaged = self.account(&tenant, signal, |account| account.damaged_segments.clone());
            let days: BTreeSet<i64> = snapshot.parts.iter().map(|part| part.window.day()).collect();
            let waits = days.into_iter().find(|day| {
                let raw: Vec<&Part> = snapshot.parts.iter().filter(|part| part.window.day() == *day).collect();
                let is_at_rest = raw.iter().all(|part| part.window == Window::Day(*day));
                let is_whole =
                    damaged.is_empty() || raw.iter().filter_map(|part| object_key(part)).all(|key| !damaged.contains(key));
                let is_whole = is_whole && snapshot.quarantined.iter().all(|part| part.window.day() != *day);
                let is_due = self.closed_ms(*day).is_some_and(|closed_ms| {
                    closed_ms + PATIENCE_MS <= self.schedule.now().0 && closed_ms + RUNS_APART_MS < self.expires_ms(*day)
                });
                is_at_rest && is_whole && is_due && raw.iter().any(|part| part.level < MERGED_LEVEL)
            });
            self.maybe_violated(waits.map(|day| format!("H1: replicas of {} of {tenant} wait for ever", Window::Day(day))));
        }
    }

    /// Returns until when a day's replicas may be merged, ms.
    fn expires_ms(&self, day: i64) -> i64 {
        match self.scenario.policy.retention.metrics.raw {
            Keep::For(span) => Window::Day(day).range().end.plus(span).minus(COPIES_MARGIN).0,
            Keep::Forever => i64::MAX,
        }
    }
}
