//! `lamella quarantine`: segments found to be corrupt, which answers leave out with a warning (S2).

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use boot::Host;
use clap::{Args, Subcommand};
use manifest::Quarantined;
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
    /// Lists them, with what was found.
    Ls(LsOptions),
    /// Lets a segment into answers again, once it is whole: after its object was restored, or where the verdict was wrong.
    Lift(LiftOptions),
}

/// Which segment.
#[derive(Args, Clone, Debug)]
pub struct LiftOptions {
    /// The beginning of its id, as `quarantine ls` shows it.
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
        Command::Lift(options) => {
            let host = open(&options.tool.storage).await?;
            finish(&lift(&host, &options.id).await?, &options.tool)
        }
    }
}

async fn all(host: &Host, filter: &Filter) -> Result<Vec<(TenantId, Signal, Quarantined)>> {
    let mut all = Vec::new();
    for (tenant, signal) in inventory::tenants(host, filter).await? {
        let found = host.manifest.quarantined(&tenant, signal).await.context("read the quarantine")?;
        all.extend(found.into_iter().map(|quarantined| (tenant.clone(), signal, quarantined)));
    }
    Ok(all)
}

/// Returns what is in quarantine for the tenants and signals that a filter means.
pub async fn list(host: &Host, filter: &Filter) -> Result<Listing> {
    let quarantined = all(host, filter).await?.iter().map(|(tenant, signal, of)| Entry::of(tenant, *signal, of)).collect();
    Ok(Listing { quarantined })
}

/// Lifts the quarantine of the one segment whose id begins with `prefix`.
pub async fn lift(host: &Host, prefix: &str) -> Result<Lifted> {
    let mut found = all(host, &Filter::default()).await?;
    found.retain(|(_, _, of)| of.id.to_string().starts_with(prefix));
    let [(tenant, signal, of)] = &found[..] else {
        bail!("{} segments in quarantine have ids that begin with {prefix:?}; `lamella quarantine ls` lists them", found.len());
    };
    let lifted = host.manifest.lift_quarantine(tenant, *signal, of.id).await.context("lift the quarantine")?;
    Ok(Lifted { segment: of.id.to_string(), lifted })
}

/// A segment in quarantine.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Whose.
    pub tenant: String,
    /// `metrics` or `logs`.
    pub signal: &'static str,
    /// The hour or day it was listed under.
    pub window: String,
    /// 32 hexadecimal digits.
    pub segment: String,
    /// Its object; none where it lies inside the manifest's record.
    pub key: Option<String>,
    /// When it was found, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What was found.
    pub reason: String,
}

impl Entry {
    fn of(tenant: &TenantId, signal: Signal, of: &Quarantined) -> Entry {
        Entry {
            tenant: tenant.to_string(),
            signal: signal.as_str(),
            window: of.window.to_string(),
            segment: of.id.to_string(),
            key: Some(of.key.clone()).filter(|key| !key.is_empty()),
            at_ms: of.at.0,
            reason: of.reason.clone(),
        }
    }
}

/// The answer of `quarantine ls`.
#[derive(Debug, Serialize)]
pub struct Listing {
    /// By tenant, signal, id.
    pub quarantined: Vec<Entry>,
}

impl Answer for Listing {
    fn text(&self) -> String {
        if self.quarantined.is_empty() {
            return "nothing is in quarantine\n".to_owned();
        }
        let mut table = Table::new(&["tenant", "signal", "window", "segment", "since", "found"]);
        for entry in &self.quarantined {
            table.row([
                entry.tenant.clone(),
                entry.signal.to_owned(),
                entry.window.clone(),
                format::short(&entry.segment),
                format::instant(model::TimestampMs(entry.at_ms)),
                entry.reason.clone(),
            ]);
        }
        table.render()
    }
}

/// The answer of `quarantine lift`.
#[derive(Debug, Serialize)]
pub struct Lifted {
    /// 32 hexadecimal digits.
    pub segment: String,
    /// Whether it was lifted; not where somebody else was faster.
    pub lifted: bool,
}

impl Answer for Lifted {
    fn text(&self) -> String {
        let outcome = if self.lifted { "is in answers again, if it is still live" } else { "was not in quarantine any more" };
        format!("segment {} {outcome}\n", self.segment)
    }

    fn is_clean(&self) -> bool {
        self.lifted
    }
}
