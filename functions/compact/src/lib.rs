//! The compaction function: one bounded run over all tenants. A schedule starts it; `lamella` runs it from a timer.
//!
//! Owns: how long a run may take. Does not own: what is compacted (`compactor`), what is visible (`manifest`).

use std::time::Duration;

use boot::Host;
use compactor::{CompactError, Compactor, Policy};
use model::TimestampMs;

pub use compactor::Report;

/// Time kept free before the deadline: the longest job begun before it still has to publish.
pub const MARGIN: Duration = Duration::from_secs(60);

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
        let (manifest, objects) = (host.manifest.clone(), host.objects.clone());
        State { compactor: Compactor::new(manifest, objects, host.clock.clone(), host.nonces.clone(), Policy::default()) }
    }
}

/// Returns when an invocation ends. Emulators tell a duration in place of a time; a deadline of the past is none.
pub fn deadline(told: TimestampMs, now: TimestampMs) -> TimestampMs {
    if told > now { told } else { now.plus(RUN_MAX) }
}

/// Compacts and collects until all is done or no job may begin any more, [`MARGIN`] before `deadline`.
///
/// # Errors
/// Only where the list of tenants cannot be read; what fails for one tenant is logged and counted.
pub async fn run_once(state: &State, deadline: TimestampMs) -> Result<Report, CompactError> {
    let report = state.compactor.run(deadline.minus(MARGIN)).await?;
    tracing::info!(
        tenants = report.tenants,
        jobs = report.jobs,
        lost = report.lost,
        failed = report.failed,
        inputs = report.inputs,
        rows = report.rows,
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
        assert_eq!(deadline(now.plus(MARGIN), now), now.plus(MARGIN));
        assert_eq!(deadline(TimestampMs(600_000), now), now.plus(RUN_MAX));
    }

    #[tokio::test]
    async fn an_empty_store_is_done_at_once() {
        let config = boot::Config::memory();
        let clock = std::sync::Arc::new(boot::SystemClock);
        let host = Host::over(config, store::objects::memory(), store::records::memory(), clock, 1);
        let report = run_once(&State::new(&host), TimestampMs(i64::MAX)).await.expect("memory does not fail");
        assert_eq!(report, Report::default());
    }
}
