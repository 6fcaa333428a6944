//! What happens without a request: compaction, every so often and when the write path says that segments have become many.

use std::sync::Arc;
use std::time::Duration;

use appender::HourBacklog;
use fn_compact::Hint;
use manifest::Window;
use model::Clock;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::backlog::Backlogs;
use crate::metrics::Metrics;

/// How long a run may go on beginning jobs.
const RUN_MAX: Duration = Duration::from_secs(600);

/// Compacts until told to stop: `every` so often, and earlier where a run said that there will be something to do, or the write path
/// that segments have become many. A run under way when it is told to stop is dropped: nothing it did is lost or doubled (C1).
pub async fn compact(
    state: fn_compact::State,
    every: Duration,
    backlogs: Arc<Backlogs>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let mut wait = every;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = sleep(wait) => {}
            () = backlogs.told() => {}
        }
        let hints: Vec<Hint> = backlogs.take().into_iter().map(hint).collect();
        let deadline = clock.now().plus(RUN_MAX);
        let run = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            run = fn_compact::run_once(&state, deadline, &hints) => run,
        };
        metrics.compacted(run.as_ref().ok());
        wait = match run {
            Ok(report) => fn_compact::rest(&report, clock.now()).map_or(every, |rest| rest.min(every)),
            Err(error) => {
                tracing::error!(%error, "compaction run failed");
                every
            }
        };
    }
}

fn hint(backlog: HourBacklog) -> Hint {
    let HourBacklog { tenant, signal, hour, segments } = backlog;
    tracing::info!(%tenant, %signal, hour = hour.0, segments, "compaction was told of a backlog");
    Hint { tenant, signal, window: Window::Hour(hour) }
}
