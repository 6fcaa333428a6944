//! The compaction function: one bounded run over all tenants. A schedule starts it; `lamella` runs it from a timer.
//!
//! Owns: how long a run may take. Does not own: what is compacted (`compactor`), what is visible (`manifest`).

pub mod hints;

use std::time::Duration;

use boot::Host;
use compactor::{CompactError, Compactor, Stores};
use model::TimestampMs;

pub use compactor::{Hint, Policy, Report};

/// How long a run may take where nobody says.
pub const RUN_MAX: Duration = Duration::from_secs(300);

/// How long an invocation stays at most: the schedule starts one each minute.
pub const STAY_MAX: Duration = Duration::from_secs(60);

/// What a run needs.
#[derive(Clone, Debug)]
pub struct State {
    compactor: Compactor,
}

impl State {
    /// Makes the state of a process.
    pub fn new(host: &Host) -> State {
        State::with_policy(host, State::policy(host))
    }

    /// Returns the policy that a configuration asks for.
    pub fn policy(host: &Host) -> Policy {
        Policy { retention: host.config.retention.clone(), limits: host.config.limits.clone(), ..Policy::default() }
    }

    /// Makes the state of a process that compacts by another policy.
    pub fn with_policy(host: &Host, policy: Policy) -> State {
        let stores = Stores {
            manifest: host.manifest.clone(),
            records: host.records.clone(),
            objects: host.objects.clone(),
            clock: host.clock.clone(),
            nonces: host.nonces.clone(),
        };
        State { compactor: Compactor::new(stores, policy).with_entry_filters(logql::entry_filter) }
    }

    /// Returns the compactor, for tools.
    pub fn compactor(&self) -> &Compactor {
        &self.compactor
    }
}

/// Returns when an invocation ends. Emulators tell a duration in place of a time; a deadline of the past is none.
pub fn deadline(told: TimestampMs, now: TimestampMs) -> TimestampMs {
    if told > now { told } else { now.plus(RUN_MAX) }
}

/// Returns how long there will be nothing to do after a run, as far as it knows.
pub fn rest(report: &Report, now: TimestampMs) -> Option<Duration> {
    report.next.map(|next| until(next, now))
}

/// Returns how long an invocation that began at `began` stays before it runs again, for an hour that fills fast; `None`: it ends,
/// and the schedule starts the next.
pub fn stay(report: &Report, began: TimestampMs, now: TimestampMs) -> Option<Duration> {
    let full_at = report.busy.filter(|_| !report.out_of_time)?;
    (full_at.max(now) < began.plus(STAY_MAX)).then(|| until(full_at, now))
}

fn until(at: TimestampMs, now: TimestampMs) -> Duration {
    Duration::from_millis(u64::try_from(at.0 - now.0).unwrap_or(0))
}

/// Compacts, drops and collects until all is done or no job may begin any more, [`compactor::limits::JOB_MARGIN`] before
/// `deadline`. What `hints` name comes first.
///
/// # Errors
/// Only where the list of tenants cannot be read; what fails for one tenant is logged and counted.
pub async fn run_once(state: &State, deadline: TimestampMs, hints: &[Hint]) -> Result<Report, CompactError> {
    let report = state.compactor.run(deadline, hints).await?;
    if (Report { tenants: 0, coarse_lag_ms: 0, next: None, busy: None, ..report }) == Report::default() {
        tracing::debug!(tenants = report.tenants, "compaction had nothing to do");
        return Ok(report);
    }
    tracing::info!(
        tenants = report.tenants,
        jobs = report.jobs,
        lost = report.lost,
        failed = report.failed,
        inputs = report.inputs,
        outputs = report.outputs,
        input_bytes = report.input_bytes,
        output_bytes = report.output_bytes,
        rows = report.rows,
        quarantined = report.quarantined,
        dropped_days = report.dropped_days,
        deleted = report.deleted,
        out_of_time = report.out_of_time,
        "compaction run"
    );
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_the_past_is_none() {
        let now = TimestampMs(1_800_000_000_000);
        let later = now.plus(Duration::from_secs(60));
        assert_eq!(deadline(later, now), later);
        assert_eq!(deadline(TimestampMs(600_000), now), now.plus(RUN_MAX));
    }

    #[test]
    fn an_invocation_stays_where_an_hour_fills() {
        let second = |second: i64| TimestampMs(1_800_000_000_000 + second * 1000);
        let report = Report { busy: Some(second(23)), next: Some(second(21)), ..Report::default() };
        assert_eq!(rest(&report, second(20)), Some(Duration::from_secs(1)));
        assert_eq!(rest(&report, second(22)), Some(Duration::ZERO));
        assert_eq!(rest(&Report::default(), second(20)), None);
        assert_eq!(stay(&report, second(0), second(20)), Some(Duration::from_secs(3)));
        assert_eq!(stay(&report, second(0), second(30)), Some(Duration::ZERO), "the run took longer");
        assert_eq!(stay(&report, second(0), second(60)), None, "the next invocation has begun");
        assert_eq!(stay(&Report { out_of_time: true, ..report }, second(0), second(20)), None);
        assert_eq!(stay(&Report { busy: None, ..report }, second(0), second(20)), None);
    }

    #[tokio::test]
    async fn an_empty_store_is_done_at_once() {
        let config = boot::Config::memory();
        let clock = std::sync::Arc::new(boot::SystemClock);
        let host = Host::over(config, store::objects::memory(), store::records::memory(), clock, 1);
        let report = run_once(&State::new(&host), TimestampMs(i64::MAX), &[]).await.expect("memory does not fail");
        assert_eq!(report, Report::default());
    }
}
