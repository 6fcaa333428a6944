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
        Policy { retention: host.config.retention.clone(), ..Policy::default() }
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

/// Compacts, drops and collects until all is done or no job may begin any more, [`compactor::limits::JOB_MARGIN`] before
/// `deadline`. What `hints` name comes first.
///
/// # Errors
/// Only where the list of tenants cannot be read; what fails for one tenant is logged and counted.
pub async fn run_once(state: &State, deadline: TimestampMs, hints: &[Hint]) -> Result<Report, CompactError> {
    let report = state.compactor.run(deadline, hints).await?;
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

    #[tokio::test]
    async fn an_empty_store_is_done_at_once() {
        let config = boot::Config::memory();
        let clock = std::sync::Arc::new(boot::SystemClock);
        let host = Host::over(config, store::objects::memory(), store::records::memory(), clock, 1);
        let report = run_once(&State::new(&host), TimestampMs(i64::MAX), &[]).await.expect("memory does not fail");
        assert_eq!(report, Report::default());
    }
}
