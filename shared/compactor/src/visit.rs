//! Looking at one window: a snapshot, at most one job, and garbage now and then.

use manifest::limits::PACK_AGE_MIN;
use manifest::ring::Epoch;
use manifest::{Snapshot, Window};
use model::{Hour, Signal, TenantId, TimestampMs};

use crate::limits::{PACE_ASLEEP, PACE_OPEN, SETTLED_AFTER};
use crate::pace::next_look;
use crate::plan::{Job, ReplicaPlan, plan_coarse, plan_day, plan_hour, plan_replicas};
use crate::retain::wanted_copies;
use crate::rewrite::manifest_error;
use crate::run::{Next, Run};
use crate::{CompactError, Compactor, Outcome};

/// Whether a window's garbage is collected at a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Garbage {
    /// It is not.
    Later,
    /// Unless there is a job: this process has not looked there before, and its host may start one for each look.
    IfIdle,
    /// It is time: an hour that fills has a job at each look.
    Due,
}

impl Compactor {
    /// Does the next job of an hour or day, or collects there; see below.
    pub(crate) async fn visit(
        &self,
        tenant: &TenantId,
        signal: Signal,
        window: Window,
        garbage: Garbage,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        match window {
            Window::Hour(hour) => self.visit_hour(tenant, signal, hour, garbage, run).await,
            Window::Day(day) => self.visit_day(tenant, signal, day, garbage, run).await,
            Window::Month(_) => self.visit_month(tenant, signal, window, garbage, run).await,
        }
    }

    /// Does the next job of an hour; collects once nothing is left for now, and `garbage` says that it is time.
    async fn visit_hour(
        &self,
        tenant: &TenantId,
        signal: Signal,
        hour: Hour,
        garbage: Garbage,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        let window = Window::Hour(hour);
        let snapshot = self.manifest().snapshot_to_merge(tenant, signal, window.range()).await;
        let snapshot = snapshot.map_err(manifest_error("take snapshot"))?;
        let epoch = self.manifest().epoch(tenant, hour).await.map_err(manifest_error("read ring"))?;
        let jobs = plan_hour(hour, &snapshot, &epoch, self.policy(), self.now());
        let next = match jobs.first() {
            Some(job) => {
                let more = self.now() >= hour.end() || jobs.len() > 1;
                let merged = job.inputs.iter().filter(|input| input.level == 0).count();
                let look = self.look_again(window, &snapshot, merged, run);
                let next = if more { Next::Again(Some(look)) } else { Next::At(look) };
                self.carry_out(tenant, signal, job, next, run).await?
            }
            None => Next::At(self.look_again(window, &snapshot, 0, run)),
        };
        let is_time = garbage == Garbage::Due || garbage == Garbage::IfIdle && jobs.is_empty();
        if is_time && matches!(next, Next::At(_)) {
            run.report.deleted += self.collect(tenant, signal, window).await?;
        }
        Ok(next)
    }

    /// Returns when an hour is looked at again, once its first `merged` L0 segments are.
    fn look_again(&self, window: Window, snapshot: &Snapshot, merged: usize, run: &mut Run) -> TimestampMs {
        let now = self.now();
        let at = next_look(window, &snapshot.parts, merged, self.policy(), now);
        run.note_look(at, now);
        at
    }

    /// Seals hours of a day or does its next job; collects as [`Compactor::visit_hour`] does.
    async fn visit_day(
        &self,
        tenant: &TenantId,
        signal: Signal,
        day: i64,
        garbage: Garbage,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        let window = Window::Day(day);
        let snapshot = self.manifest().snapshot_to_merge(tenant, signal, window.range()).await;
        let snapshot = snapshot.map_err(manifest_error("take snapshot"))?;
        let first = window.range().start.hour();
        let epoch = self.manifest().epoch(tenant, first).await.map_err(manifest_error("read ring"))?;
        let plan = plan_day(day, &snapshot, &epoch, self.policy(), self.now());
        for hour in &plan.seal {
            self.manifest().seal(tenant, signal, *hour).await.map_err(manifest_error("seal hour"))?;
        }
        if !plan.seal.is_empty() {
            // What was sealed may have changed since the snapshot.
            return Ok(Next::Again(None));
        }
        if let Some(job) = plan.jobs.first() {
            return self.carry_out(tenant, signal, job, Next::Again(None), run).await;
        }
        let mut woken = TimestampMs(i64::MAX);
        if signal == Signal::Metrics {
            let next = match self.plan_replicas(tenant, day, &snapshot, &epoch) {
                ReplicaPlan::Merge(job) => Some(self.visit_replicas(tenant, &job, run).await?),
                ReplicaPlan::Rest => self.visit_copies(tenant, day, &snapshot, run).await?,
                ReplicaPlan::TooLarge(samples) => {
                    let limit = self.policy().replica_rows_max;
                    tracing::warn!(%tenant, day, samples, limit, "a day has too many samples for its replicas to be merged");
                    self.visit_copies(tenant, day, &snapshot, run).await?
                }
                ReplicaPlan::Wait(until) => {
                    woken = if until > self.now() { until } else { woken };
                    None
                }
            };
            if let Some(next) = next {
                return Ok(next);
            }
        }
        if garbage != Garbage::Later {
            run.report.deleted += self.collect(tenant, signal, window).await?;
            if is_settled(window, &snapshot, self.now()) {
                self.rest(tenant, signal, day).await?;
            }
        }
        if is_asleep(day, &snapshot, self.now()) && is_settled(window, &snapshot, self.now()) {
            return Ok(Next::At(self.now().plus(PACE_ASLEEP).min(woken)));
        }
        Ok(Next::At(next_look(window, &[], 0, self.policy(), self.now()).min(woken)))
    }

    fn plan_replicas(&self, tenant: &TenantId, day: i64, snapshot: &Snapshot, epoch: &Epoch) -> ReplicaPlan {
        plan_replicas(tenant, day, snapshot, epoch, self.policy(), self.now())
    }

    async fn visit_replicas(&self, tenant: &TenantId, job: &Job, run: &mut Run) -> Result<Next, CompactError> {
        let replica_labels = &self.policy().limits.of(tenant).replica_labels;
        let outcome = self.merge_replicas(tenant, job, replica_labels, run.stop_at).await?;
        run.count_replicas(tenant, job.window, outcome);
        Ok(self.after(outcome, Next::Again(None)))
    }

    /// Builds the coarse copies of a day that are due, and notes how long others have been waited for.
    async fn visit_copies(
        &self,
        tenant: &TenantId,
        day: i64,
        snapshot: &Snapshot,
        run: &mut Run,
    ) -> Result<Option<Next>, CompactError> {
        let (retention, now) = (self.policy().retention.of(tenant, Signal::Metrics), self.now());
        if let Some(job) = plan_coarse(day, snapshot, retention, now) {
            let outcome = self.coarsen(tenant, &job, run.stop_at).await?;
            run.count_coarse(outcome);
            let again = matches!(outcome, Outcome::Done(_) | Outcome::OutOfTime | Outcome::Nothing(_));
            return Ok(Some(if again { Next::Again(None) } else { Next::At(now.plus(PACE_OPEN)) }));
        }
        if wanted_copies(day, retention, now).iter().any(|resolution| !snapshot.is_copied(day, *resolution)) {
            let lag_ms = now.0.saturating_sub(Window::Day(day).range().end.0);
            run.report.coarse_lag_ms = run.report.coarse_lag_ms.max(u64::try_from(lag_ms).unwrap_or(0));
        }
        Ok(None)
    }

    /// Clears the hours of a day that have nothing left, and packs an old day into its month: nobody looks there any more. The
    /// manifest keeps the last hour until the day's own garbage is gone, since it is the hours that bring us here.
    async fn rest(&self, tenant: &TenantId, signal: Signal, day: i64) -> Result<(), CompactError> {
        let days = self.manifest().days(tenant, signal).await.map_err(manifest_error("read catalog"))?;
        let Some(state) = days.into_iter().find(|state| state.day == day) else { return Ok(()) };
        for hour in &state.hours {
            self.manifest().clear_hour(tenant, signal, *hour).await.map_err(manifest_error("clear hour"))?;
        }
        if state.hours.is_empty() {
            self.manifest().pack_day(tenant, signal, day).await.map_err(manifest_error("pack day"))?;
        }
        Ok(())
    }

    /// Collects what a month no longer needs: nothing merges there.
    async fn visit_month(
        &self,
        tenant: &TenantId,
        signal: Signal,
        month: Window,
        garbage: Garbage,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        if garbage != Garbage::Later {
            run.report.deleted += self.collect(tenant, signal, month).await?;
        }
        Ok(Next::At(next_look(month, &[], 0, self.policy(), self.now())))
    }

    /// Does a job; `next` comes after it is done.
    async fn carry_out(
        &self,
        tenant: &TenantId,
        signal: Signal,
        job: &Job,
        next: Next,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        let outcome = self.rewrite(tenant, signal, job, run.stop_at).await?;
        run.count(tenant, signal, job.window, outcome);
        Ok(self.after(outcome, next))
    }

    /// Returns what comes after a job; `next` once it is done.
    fn after(&self, outcome: Outcome, next: Next) -> Next {
        match outcome {
            Outcome::Done(_) | Outcome::Nothing(_) => next,
            Outcome::OutOfTime => Next::Again(None),
            // Whoever was faster may still be at it.
            Outcome::Lost => Next::At(self.now().plus(PACE_OPEN)),
        }
    }
}

/// Reports whether a day's head was left alone for so long that all its garbage was due.
fn is_settled(day: Window, snapshot: &Snapshot, now: TimestampMs) -> bool {
    let of_day = snapshot.heads.iter().filter(|head| head.window == day);
    of_day.map(|head| head.rollable_from).all(|from| from.plus(SETTLED_AFTER) <= now)
}

/// Reports whether nothing is left to do in a day but for its copies, should somebody ask for others: its hours are gone, and it is
/// too young for its month, or there already.
fn is_asleep(day: i64, snapshot: &Snapshot, now: TimestampMs) -> bool {
    let of_hour = |window: Window| matches!(window, Window::Hour(_));
    let has_hours =
        snapshot.heads.iter().any(|head| of_hour(head.window)) || snapshot.parts.iter().any(|part| of_hour(part.window));
    let is_young = now < Window::Day(day).range().start.plus(PACK_AGE_MIN);
    let mut parts = snapshot.parts.iter().chain(&snapshot.coarse);
    let is_packed = !snapshot.packed.is_empty() && parts.all(|part| snapshot.home(part) != part.window);
    !has_hours && (is_young || is_packed)
}
