//! `lamella manifest verify`: records, objects and contents against each other.

use std::process::ExitCode;

use anyhow::{Context, Result};
use boot::Host;
use clap::Args;
use manifest::ring::Ring;
use model::TenantId;
use serde::Serialize;

use super::audit::{self, Counts};
use super::{objects, records};
use crate::cli::ToolOptions;
use crate::tools::filter::Filter;
use crate::tools::findings::{self, Finding, Kind};
use crate::tools::inventory::{self, Listed};
use crate::tools::output::Answer;
use crate::tools::segments;
use crate::tools::{finish, format, open};

/// What is verified, and how far.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Which windows.
    #[command(flatten)]
    pub filter: Filter,
    /// Looks at records and at the list of objects only; does not read the segments themselves.
    #[arg(long)]
    pub shallow: bool,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

/// Verifies.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let host = open(&options.tool.storage).await?;
    finish(&verify(&host, &options.filter, !options.shallow).await?, &options.tool)
}

/// Verifies the windows that a filter means, with the contents of their live segments or without.
pub async fn verify(host: &Host, filter: &Filter, contents: bool) -> Result<Verified> {
    let mut findings = Vec::new();
    let mut tenants = Vec::new();
    for (tenant, signal) in inventory::tenants(host, filter).await? {
        let ring = ring(host, &tenant, &mut findings).await?;
        // Records before objects: an object is durable before a record names it, and outlives the last one that does.
        let records = records::read(host, &tenant, signal, filter).await?;
        let objects = objects::list(host, &tenant, signal, filter).await?;
        let audit = audit::audit(&records, &objects, &ring, host.clock.now());
        findings.extend(audit.findings);
        let read = if contents { read_all(host, &records, &mut findings).await? } else { 0 };
        tenants.push(OfTenant { tenant: tenant.to_string(), signal: signal.as_str(), counts: audit.counts, read });
    }
    Ok(Verified { tenants, findings })
}

/// Reads every live segment whose object is there and as long as it should be; what is not has been named.
async fn read_all(host: &Host, records: &records::Records, findings: &mut Vec<Finding>) -> Result<u64> {
    let named = |part: &manifest::Part| {
        let id = part.id.to_string();
        let absent = |finding: &Finding| matches!(finding.kind, Kind::MissingObject | Kind::Length);
        findings.iter().any(|finding| absent(finding) && finding.segment.as_ref() == Some(&id))
    };
    let (tenant, signal) = (&records.tenant, records.signal);
    let listed = |part: &manifest::Part| Listed {
        tenant: tenant.clone(),
        signal,
        part: part.clone(),
        quarantined: records.is_quarantined(part),
    };
    let parts = records.live().into_iter().filter(|part| !named(part)).map(listed).collect::<Vec<_>>();
    let verified = segments::verify::verify(host, &parts).await?;
    findings.extend(verified.findings);
    Ok(verified.segments)
}

/// Reads a tenant's ring; one that cannot be true is named, and taken for that of a single group.
async fn ring(host: &Host, tenant: &TenantId, findings: &mut Vec<Finding>) -> Result<Ring> {
    match host.manifest.ring(tenant).await {
        Ok(ring) => Ok(ring),
        Err(error @ (manifest::Error::Ring { .. } | manifest::Error::Corrupt { .. })) => {
            let (tenant, what) = (Some(tenant.to_string()), error.to_string());
            let finding = Finding { kind: Kind::Ring, tenant, signal: None, window: None, segment: None, key: None, what };
            if !findings.contains(&finding) {
                findings.push(finding);
            }
            Ok(Ring::default())
        }
        Err(error) => Err(error).context("read the ring"),
    }
}

/// The counts of one tenant and signal.
#[derive(Debug, Serialize)]
pub struct OfTenant {
    /// Whose.
    pub tenant: String,
    /// `metrics` or `logs`.
    pub signal: &'static str,
    /// Counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Segments whose contents were read and checked.
    pub read: u64,
}

/// The answer of `manifest verify`.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// By tenant and signal.
    pub tenants: Vec<OfTenant>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Answer for Verified {
    fn text(&self) -> String {
        let mut text: String = self.tenants.iter().map(OfTenant::line).collect();
        text.push_str(&findings::text(&self.findings));
        text.push_str(&match self.findings.len() {
            0 => "nothing is wrong\n".to_owned(),
            1 => "1 thing is wrong\n".to_owned(),
            wrong => format!("{wrong} things are wrong\n"),
        });
        text
    }

    fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

impl OfTenant {
    fn line(&self) -> String {
        let Counts { windows, live, live_bytes, inline, quarantined, replaced, dead, unnamed, unnamed_bytes, unnamed_old } =
            self.counts;
        let name = format!("{} {}", self.tenant, self.signal);
        let live = format!("{} live segments ({}, {inline} of them in records)", format::count(live), format::size(live_bytes));
        let apart = if quarantined > 0 { format!(", {quarantined} in quarantine") } else { String::new() };
        let waiting = format!("{} replaced ids, {} dead objects", format::count(replaced), format::count(dead));
        let unnamed = match unnamed {
            0 => "nothing unnamed".to_owned(),
            _ => format!("{unnamed} unnamed objects ({}), {unnamed_old} of them older than a day", format::size(unnamed_bytes)),
        };
        let read = if self.read > 0 { format!("; {} read", format::count(self.read)) } else { String::new() };
        format!("{name}: {windows} windows, {live}{apart}{read}; {waiting}; {unnamed}\n")
    }
}
