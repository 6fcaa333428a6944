//! `lamella segments verify`: reads segments whole.

use std::process::ExitCode;

use anyhow::{Context, Result};
use boot::Host;
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::{check, read};
use crate::cli::ToolOptions;
use crate::tools::filter::PartFilter;
use crate::tools::findings::{self, Finding};
use crate::tools::inventory::{self, Listed};
use crate::tools::output::Answer;
use crate::tools::progress::Progress;
use crate::tools::{finish, format, open};

/// Which segments.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Beginnings of segment ids; without one all that the other flags choose.
    pub ids: Vec<String>,
    /// Which segments.
    #[command(flatten)]
    pub filter: PartFilter,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

/// Segments read and checked at a time: a merged one is held whole, up to 128 MiB and its rows.
const IN_FLIGHT: usize = 4;

/// Reads and checks.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let host = open(&options.tool.storage).await?;
    let mut listed = inventory::live(&host, &options.filter).await?;
    if !options.ids.is_empty() {
        listed = options.ids.iter().map(|id| inventory::one(&listed, id).cloned()).collect::<Result<_>>()?;
    }
    finish(&verify(&host, &listed).await?, &options.tool)
}

/// Reads and checks the given segments; findings come in their order.
pub async fn verify(host: &Host, listed: &[Listed]) -> Result<Verified> {
    let progress = Progress::new("segments", listed.len() as u64);
    let checks: Vec<_> = listed.iter().cloned().map(|listed| one(host, listed, &progress)).collect();
    let outcomes: Vec<Checked> = stream::iter(checks).buffered(IN_FLIGHT).try_collect().await?;
    let mut verified = Verified::default();
    for checked in outcomes {
        verified.segments += 1;
        verified.bytes += checked.bytes;
        verified.rows += checked.rows;
        verified.findings.extend(checked.findings);
    }
    Ok(verified)
}

struct Checked {
    bytes: u64,
    rows: u64,
    findings: Vec<Finding>,
}

async fn one(host: &Host, listed: Listed, progress: &Progress) -> Result<Checked> {
    let Listed { tenant, signal, part, quarantined } = listed;
    let object = read::whole(host, &part).await?;
    let bytes = object.as_ref().map_or(0, |object| object.len() as u64);
    let rows = if object.is_some() { part.stats.rows } else { 0 };
    let check = move || check::check(&tenant, signal, &part, object.as_ref());
    let mut findings = tokio::task::spawn_blocking(check).await.context("check a segment")?;
    if quarantined {
        findings.iter_mut().for_each(|finding| finding.what.push_str(" (in quarantine: answers leave it out)"));
    }
    progress.step();
    Ok(Checked { bytes, rows, findings })
}

/// The answer of `segments verify`.
#[derive(Debug, Default, Serialize)]
pub struct Verified {
    /// Segments read.
    pub segments: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Rows in them, as the manifest counts.
    pub rows: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Answer for Verified {
    fn text(&self) -> String {
        let (segments, rows, bytes) = (format::count(self.segments), format::count(self.rows), format::size(self.bytes));
        let verdict = match self.findings.len() {
            0 => "all sound".to_owned(),
            1 => "1 thing is wrong".to_owned(),
            wrong => format!("{wrong} things are wrong"),
        };
        format!("{}{segments} segments read, {rows} rows, {bytes}: {verdict}\n", findings::text(&self.findings))
    }

    fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}
