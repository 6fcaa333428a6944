//! `lamella ring`: who owns which slots, per tenant, and whether the load asks for a change.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use boot::Host;
use clap::{Args, Subcommand};
use manifest::ring::{Epoch, RingChange, advise, loads};
use model::{TenantId, TimeRangeMs, TimestampMs};
use serde::Serialize;
use store::keys::Window;

use super::filter::{Filter, parse_tenant};
use super::output::Answer;
use super::table::Table;
use super::{finish, format, inventory, open};
use crate::cli::ToolOptions;

/// What to do with it.
#[derive(Subcommand)]
pub enum Command {
    /// Shows the epochs of each tenant's ring.
    Show(ShowOptions),
    /// Says what the load of the last day asks for, and what that change would move. Changes nothing.
    Plan(ShowOptions),
    /// Adds groups, from a later full hour on.
    Grow(ChangeOptions),
    /// Removes the last groups, from a later full hour on.
    Shrink(ChangeOptions),
}

/// Whose ring.
#[derive(Args, Clone, Debug)]
pub struct ShowOptions {
    /// Only this tenant.
    #[arg(long, value_parser = parse_tenant)]
    pub tenant: Option<TenantId>,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

/// Whose ring, and by how much.
#[derive(Args, Clone, Debug)]
pub struct ChangeOptions {
    /// How many groups.
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub groups: u16,
    /// Whose ring.
    #[arg(long, value_parser = parse_tenant, default_value = "anonymous")]
    pub tenant: TenantId,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

/// Runs a command.
pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Show(options) => {
            let host = open(&options.tool.storage).await?;
            finish(&show(&host, options.tenant).await?, &options.tool)
        }
        Command::Plan(options) => {
            let host = open(&options.tool.storage).await?;
            finish(&plan(&host, options.tenant).await?, &options.tool)
        }
        Command::Grow(options) => change(&options, RingChange::Grow(options.groups)).await,
        Command::Shrink(options) => change(&options, RingChange::Shrink(options.groups)).await,
    }
}

async fn change(options: &ChangeOptions, change: RingChange) -> Result<ExitCode> {
    let host = open(&options.tool.storage).await?;
    finish(&changed(&host, &options.tenant, change).await?, &options.tool)
}

async fn tenants(host: &Host, tenant: Option<TenantId>) -> Result<BTreeSet<TenantId>> {
    let filter = Filter { tenant, ..Filter::default() };
    Ok(inventory::tenants(host, &filter).await?.into_iter().map(|(tenant, _)| tenant).collect())
}

/// Returns the epochs of one tenant's ring, or of all.
pub async fn show(host: &Host, tenant: Option<TenantId>) -> Result<Shown> {
    let mut epochs = Vec::new();
    for tenant in tenants(host, tenant).await? {
        let ring = host.manifest.ring(&tenant).await.context("read the ring")?;
        let active = ring.at(host.clock.now().hour()).number;
        epochs.extend(ring.epochs().iter().map(|epoch| EpochView::of(&tenant, epoch, active)));
    }
    Ok(Shown { epochs })
}

/// Time whose load a plan looks at: what shrinking asks for, and the hour under way.
const LOOKED_AT: Duration = Duration::from_secs(26 * 3600);

/// Returns what the load asks for, for one tenant or for all.
pub async fn plan(host: &Host, tenant: Option<TenantId>) -> Result<Plans> {
    let now = host.clock.now();
    let mut plans = Vec::new();
    for tenant in tenants(host, tenant).await? {
        let ring = host.manifest.ring(&tenant).await.context("read the ring")?;
        let mut parts = Vec::new();
        for (_, signal) in inventory::tenants(host, &Filter { tenant: Some(tenant.clone()), ..Filter::default() }).await? {
            let range = TimeRangeMs::new(now.minus(LOOKED_AT), now);
            parts.extend(host.manifest.snapshot(&tenant, signal, range).await.context("take a snapshot")?.parts);
        }
        let latest = ring.latest();
        let advice = advise(&loads(&parts), latest.assignment.groups(), now.hour());
        let epoch = advice.change.and_then(|change| ring.changed(change, now));
        plans.push(Plan {
            tenant: tenant.to_string(),
            groups: latest.assignment.groups(),
            fullest_percent: advice.fullest_percent,
            change: epoch.map(|epoch| Change::of(latest, &epoch)),
        });
    }
    Ok(Plans { plans })
}

/// Changes a tenant's ring.
///
/// # Errors
/// Where the number of groups would be none or too many, and where somebody else changed the ring at the same moment.
pub async fn changed(host: &Host, tenant: &TenantId, change: RingChange) -> Result<Changed> {
    let before = host.manifest.ring(tenant).await.context("read the ring")?;
    match host.manifest.change_ring(tenant, change).await.context("change the ring")? {
        Some(epoch) => Ok(Changed { tenant: tenant.to_string(), change: Change::of(before.latest(), &epoch) }),
        None => bail!("somebody else changed the ring of {tenant} at this moment: look with `lamella ring show`, then try again"),
    }
}

/// An epoch.
#[derive(Debug, Serialize)]
pub struct EpochView {
    /// Whose ring.
    pub tenant: String,
    /// Its number; 0 is implicit.
    pub epoch: u32,
    /// Groups.
    pub groups: u16,
    /// First hour it holds for; none for epoch 0, which holds from the beginning.
    pub from: Option<String>,
    /// Whether it holds now.
    pub active: bool,
    /// Slots of each group.
    pub sizes: Vec<usize>,
}

impl EpochView {
    fn of(tenant: &TenantId, epoch: &Epoch, active: u32) -> EpochView {
        EpochView {
            tenant: tenant.to_string(),
            epoch: epoch.number,
            groups: epoch.assignment.groups(),
            from: (epoch.number > 0).then(|| Window::Hour(epoch.from).to_string()),
            active: epoch.number == active,
            sizes: epoch.assignment.sizes(),
        }
    }
}

/// The answer of `ring show`.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// By tenant and number.
    pub epochs: Vec<EpochView>,
}

impl Answer for Shown {
    fn text(&self) -> String {
        let mut table = Table::new(&["tenant", ">epoch", ">groups", "from", "slots a group", ""]);
        for epoch in &self.epochs {
            let (least, most) = (epoch.sizes.iter().min().unwrap_or(&0), epoch.sizes.iter().max().unwrap_or(&0));
            table.row([
                epoch.tenant.clone(),
                epoch.epoch.to_string(),
                epoch.groups.to_string(),
                epoch.from.clone().unwrap_or_else(|| "the beginning".to_owned()),
                if least == most { least.to_string() } else { format!("{least} to {most}") },
                if epoch.active { "active".to_owned() } else { String::new() },
            ]);
        }
        table.render()
    }
}

/// A change of the ring.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The new epoch.
    pub epoch: u32,
    /// Its groups.
    pub groups: u16,
    /// First hour it holds for.
    pub from: String,
    /// The start of that hour, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// Slots that change their group, of 1,024. No stored byte moves.
    pub moved_slots: usize,
}

impl Change {
    fn of(before: &Epoch, after: &Epoch) -> Change {
        Change {
            epoch: after.number,
            groups: after.assignment.groups(),
            from: Window::Hour(after.from).to_string(),
            from_ms: after.from.start().0,
            moved_slots: after.assignment.moved(&before.assignment),
        }
    }

    fn text(&self) -> String {
        let from = format::instant(TimestampMs(self.from_ms));
        let Change { epoch, groups, moved_slots, .. } = self;
        format!(
            "epoch {epoch}: {groups} groups from {from} on; {moved_slots} of 1,024 slots change their group, no stored byte moves"
        )
    }
}

/// What the load of a tenant asks for.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// Whose ring.
    pub tenant: String,
    /// Groups now, or soon.
    pub groups: u16,
    /// The fullest hour of the last day, in percent of what the groups are meant to hold.
    pub fullest_percent: u64,
    /// The change to make; none where the groups fit.
    pub change: Option<Change>,
}

/// The answer of `ring plan`.
#[derive(Debug, Serialize)]
pub struct Plans {
    /// By tenant.
    pub plans: Vec<Plan>,
}

impl Answer for Plans {
    fn text(&self) -> String {
        let line = |plan: &Plan| {
            let advice = match &plan.change {
                None => "leave it".to_owned(),
                Some(change) => change.text(),
            };
            format!("{}: {} groups, fullest hour {} %: {advice}\n", plan.tenant, plan.groups, plan.fullest_percent)
        };
        self.plans.iter().map(line).collect()
    }
}

/// The answer of `ring grow` and `ring shrink`.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// Whose ring.
    pub tenant: String,
    /// What was changed.
    #[serde(flatten)]
    pub change: Change,
}

impl Answer for Changed {
    fn text(&self) -> String {
        format!("{} {}\n", self.tenant, self.change.text())
    }
}
