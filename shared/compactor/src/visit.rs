//! Looking at one window: a snapshot, at most one job, and garbage now and then.

use manifest::Window;
use model::{Hour, Signal, TenantId};

use crate::diary::next_look;
use crate::limits::PACE_OPEN;
use crate::plan::{Job, plan_day, plan_hour};
use crate::rewrite::manifest_error;
use crate::run::{Next, Run};
use crate::{CompactError, Compactor, Outcome};

impl Compactor {
    /// Does the next job of an hour or day, or collects there; see below.
    pub(crate) async fn visit(
        &self,
        tenant: &TenantId,
        signal: Signal,
        window: Window,
        garbage: bool,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        match window {
            Window::Hour(hour) => self.visit_hour(tenant, signal, hour, garbage, run).await,
            Window::Day(day) => self.visit_day(tenant, signal, day, garbage, run).await,
            Window::Month(_) => self.visit_month(tenant, signal, window, garbage, run).await,
        }
    }

    /// Does the next job of an hour; collects where there is none and `garbage` says that it is time.
    async fn visit_hour(
        &self,
        tenant: &TenantId,
        signal: Signal,
        hour: Hour,
        garbage: bool,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        let window = Window::Hour(hour);
        let snapshot = self.manifest().snapshot_to_merge(tenant, signal, window.range()).await;
        let snapshot = snapshot.map_err(manifest_error("take snapshot"))?;
        let epoch = self.manifest().epoch(tenant, hour).await.map_err(manifest_error("read ring"))?;
        let jobs = plan_hour(hour, &snapshot, &epoch, self.policy(), self.now());
        if let Some(job) = jobs.first() {
            let closed = self.now() >= hour.end().plus(self.policy().close_after);
            return self.carry_out(tenant, signal, job, closed || jobs.len() > 1, run).await;
        }
        if garbage {
            run.report.deleted += self.collect(tenant, signal, window).await?;
        }
        Ok(Next::At(next_look(window, self.now())))
    }

    /// Seals hours of a day or does its next job; collects as [`Compactor::visit_hour`] does.
    async fn visit_day(
        &self,
        tenant: &TenantId,
        signal: Signal,
        day: i64,
        garbage: bool,
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
            return Ok(Next::Again);
        }
        if let Some(job) = plan.jobs.first() {
            return self.carry_out(tenant, signal, job, true, run).await;
        }
        if garbage {
            run.report.deleted += self.collect(tenant, signal, window).await?;
        }
        Ok(Next::At(next_look(window, self.now())))
    }

    /// Collects what a month no longer needs: nothing merges there.
    async fn visit_month(
        &self,
        tenant: &TenantId,
        signal: Signal,
        month: Window,
        garbage: bool,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        if garbage {
            run.report.deleted += self.collect(tenant, signal, month).await?;
        }
        Ok(Next::At(next_look(month, self.now())))
    }

    async fn carry_out(
        &self,
        tenant: &TenantId,
        signal: Signal,
        job: &Job,
        more: bool,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        let outcome = self.rewrite(tenant, signal, job, run.stop_at).await?;
        run.count(tenant, signal, job.window, outcome);
        Ok(match outcome {
            Outcome::Done(_) | Outcome::Nothing(_) if more => Next::Again,
            Outcome::OutOfTime => Next::Again,
            // Whoever was faster may still be at it.
            _ => Next::At(self.now().plus(PACE_OPEN)),
        })
    }
}
