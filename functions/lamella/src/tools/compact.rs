//! `lamella compact`: merges what is due, now, beside or in place of the server's timer.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use boot::Host;
use clap::Args;
use compactor::limits::JOB_MARGIN;
use fn_compact::Hint;
use model::{Hour, Signal, TenantId};
use serde::Serialize;
use store::keys::Window;

use super::filter::{Filter, parse_signal, parse_tenant, window};
use super::output::Answer;
use super::{finish, format, inventory, open};
use crate::cli::ToolOptions;

/// How much is done.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Only this tenant.
    #[arg(long, value_parser = parse_tenant)]
    pub tenant: Option<TenantId>,
    /// Only metrics or only logs.
    #[arg(long, value_parser = parse_signal)]
    pub signal: Option<Signal>,
    /// Only this hour (2026-11-21T11), whenever it was looked at last.
    #[arg(long, value_parser = parse_hour)]
    pub hour: Option<Hour>,
    /// Runs once; otherwise until a run finds nothing to merge.
    #[arg(long)]
    pub once: bool,
    /// Seconds after which a run begins no more jobs.
    #[arg(long, default_value_t = 600)]
    pub seconds_max: u64,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

fn parse_hour(text: &str) -> Result<Hour, String> {
    match window(text)? {
        Window::Hour(hour) => Ok(hour),
        _ => Err("expected an hour such as 2026-11-21T11".to_owned()),
    }
}

/// Compacts.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let host = open(&options.tool.storage).await?;
    let filter = Filter { tenant: options.tenant.clone(), signal: options.signal, window: options.hour.map(Window::Hour) };
    finish(&compact(&host, &filter, options.once, Duration::from_secs(options.seconds_max)).await?, &options.tool)
}

/// Runs once, or until nothing is left to merge; a run that failed is the last.
pub async fn compact(host: &Host, filter: &Filter, once: bool, time_max: Duration) -> Result<Compacted> {
    let state = fn_compact::State::new(host);
    let tenants: Vec<(TenantId, Signal)> = inventory::tenants(host, filter).await?.into_iter().collect();
    let hint = |window| move |(tenant, signal): &(TenantId, Signal)| Hint { tenant: tenant.clone(), signal: *signal, window };
    let mut sum = Compacted::default();
    loop {
        let deadline = host.clock.now().plus(time_max).plus(JOB_MARGIN);
        let report = match filter.window {
            Some(window) => {
                let hints: Vec<Hint> = tenants.iter().map(hint(window)).collect();
                state.compactor().run_only(deadline, &hints).await
            }
            None => state.compactor().run_for(deadline, tenants.clone()).await,
        };
        sum.add(&report);
        if once || report.jobs == 0 || report.failed > 0 || report.out_of_time {
            return Ok(sum);
        }
    }
}

/// The answer of `compact`.
#[derive(Debug, Default, Serialize)]
pub struct Compacted {
    /// Runs.
    pub runs: u64,
    /// Jobs that published their outputs.
    pub jobs: u64,
    /// Jobs that somebody else was faster with.
    pub lost: u64,
    /// Steps that failed; each was logged.
    pub failed: u64,
    /// Segments merged away.
    pub inputs: u64,
    /// Rows written.
    pub rows: u64,
    /// Objects deleted that nothing needed any more.
    pub deleted: u64,
    /// Whether time was up before all was done.
    pub out_of_time: bool,
}

impl Compacted {
    fn add(&mut self, report: &fn_compact::Report) {
        self.runs += 1;
        self.jobs += report.jobs;
        self.lost += report.lost;
        self.failed += report.failed;
        self.inputs += report.inputs;
        self.rows += report.rows;
        self.deleted += report.deleted;
        self.out_of_time = report.out_of_time;
    }
}

impl Answer for Compacted {
    fn text(&self) -> String {
        let [runs, jobs, lost, failed, inputs, rows, deleted] =
            [self.runs, self.jobs, self.lost, self.failed, self.inputs, self.rows, self.deleted].map(format::count);
        let time = if self.out_of_time { "; time was up before all was done" } else { "" };
        format!(
            "{runs} runs, {jobs} jobs: {inputs} segments merged, {rows} rows written, {deleted} objects deleted; {lost} jobs lost to others, {failed} failed{time}\n"
        )
    }

    fn is_clean(&self) -> bool {
        self.failed == 0
    }
}
