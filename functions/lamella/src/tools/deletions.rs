//! `lamella deletions`: requests to delete rows, and how far they are.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use boot::Host;
use clap::{Args, Subcommand};
use manifest::{Deletion, DeletionState};
use model::{Signal, TenantId};
use serde::Serialize;

use super::filter::{Filter, LsOptions};
use super::output::Answer;
use super::table::Table;
use super::{finish, format, inventory, open};
use crate::cli::ToolOptions;

/// What to do with them.
#[derive(Subcommand)]
pub enum Command {
    /// Lists requests; those that have ended for an hour more.
    Ls(LsOptions),
    /// Withdraws a request. Rows that were rewritten already stay deleted.
    Cancel(CancelOptions),
}

/// Which request.
#[derive(Args, Clone, Debug)]
pub struct CancelOptions {
    /// The beginning of its id, as `deletions ls` shows it.
    pub id: String,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

/// Runs a command.
pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Ls(options) => {
            let host = open(&options.tool.storage).await?;
            finish(&list(&host, &options.filter()).await?, &options.tool)
        }
        Command::Cancel(options) => {
            let host = open(&options.tool.storage).await?;
            finish(&cancel(&host, &options.id).await?, &options.tool)
        }
    }
}

/// Returns the requests of the tenants and signals that a filter means.
pub async fn list(host: &Host, filter: &Filter) -> Result<Listing> {
    let mut deletions = Vec::new();
    for (tenant, signal) in inventory::tenants(host, filter).await? {
        let found = host.manifest.deletions(&tenant, signal).await.context("read deletions")?;
        deletions.extend(found.iter().map(|deletion| Request::of(&tenant, signal, deletion)));
    }
    Ok(Listing { deletions })
}

/// Withdraws the one request whose id begins with `prefix`.
pub async fn cancel(host: &Host, prefix: &str) -> Result<Cancelled> {
    let mut found = Vec::new();
    for (tenant, signal) in inventory::tenants(host, &Filter::default()).await? {
        let deletions = host.manifest.deletions(&tenant, signal).await.context("read deletions")?;
        let meant = deletions.into_iter().filter(|deletion| format!("{:032x}", deletion.id).starts_with(prefix));
        found.extend(meant.map(|deletion| (tenant.clone(), signal, deletion.id)));
    }
    let [(tenant, signal, id)] = &found[..] else {
        bail!("{} deletions have ids that begin with {prefix:?}; `lamella deletions ls` lists them", found.len());
    };
    let cancelled = host.manifest.cancel_deletion(tenant, *signal, *id).await.context("cancel the deletion")?;
    Ok(Cancelled { id: format!("{id:032x}"), cancelled })
}

/// A request.
#[derive(Debug, Serialize)]
pub struct Request {
    /// Whose rows.
    pub tenant: String,
    /// `metrics` or `logs`.
    pub signal: &'static str,
    /// 32 hexadecimal digits.
    pub id: String,
    /// `requested`, `finished` or `cancelled`.
    pub state: &'static str,
    /// When it ended, milliseconds since the Unix epoch.
    pub ended_at_ms: Option<i64>,
    /// What is written after this stays, milliseconds since the Unix epoch.
    pub requested_at_ms: i64,
    /// Times of the rows, milliseconds since the Unix epoch, half-open.
    pub from_ms: i64,
    /// End of the times.
    pub to_ms: i64,
    /// Which series or streams, as a selector.
    pub selector: String,
    /// Which of their lines, in LogQL.
    pub filter: Option<String>,
}

impl Request {
    fn of(tenant: &TenantId, signal: Signal, deletion: &Deletion) -> Request {
        let (state, ended_at) = match deletion.state {
            DeletionState::Requested => ("requested", None),
            DeletionState::Finished(at) => ("finished", Some(at)),
            DeletionState::Cancelled(at) => ("cancelled", Some(at)),
        };
        let request = &deletion.request;
        let matchers: Vec<String> = request.matchers.iter().map(ToString::to_string).collect();
        Request {
            tenant: tenant.to_string(),
            signal: signal.as_str(),
            id: format!("{:032x}", deletion.id),
            state,
            ended_at_ms: ended_at.map(|at| at.0),
            requested_at_ms: deletion.requested_at.0,
            from_ms: request.range.start.0,
            to_ms: request.range.end.0,
            selector: format!("{{{}}}", matchers.join(", ")),
            filter: request.filter.clone(),
        }
    }
}

/// The answer of `deletions ls`.
#[derive(Debug, Serialize)]
pub struct Listing {
    /// By tenant, signal, id.
    pub deletions: Vec<Request>,
}

impl Answer for Listing {
    fn text(&self) -> String {
        if self.deletions.is_empty() {
            return "no deletions\n".to_owned();
        }
        let mut table = Table::new(&["tenant", "signal", "deletion", "state", "requested", "from", "to", "rows of"]);
        for request in &self.deletions {
            let instant = |ms| format::instant(model::TimestampMs(ms));
            table.row([
                request.tenant.clone(),
                request.signal.to_owned(),
                format::short(&request.id),
                request.state.to_owned(),
                instant(request.requested_at_ms),
                instant(request.from_ms),
                instant(request.to_ms),
                [request.selector.clone(), request.filter.clone().unwrap_or_default()].join(" ").trim_end().to_owned(),
            ]);
        }
        table.render()
    }
}

/// The answer of `deletions cancel`.
#[derive(Debug, Serialize)]
pub struct Cancelled {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Whether it was withdrawn; not where it had ended.
    pub cancelled: bool,
}

impl Answer for Cancelled {
    fn text(&self) -> String {
        let outcome = if self.cancelled { "withdrawn" } else { "had ended already" };
        format!("deletion {} {outcome}\n", self.id)
    }

    fn is_clean(&self) -> bool {
        self.cancelled
    }
}
