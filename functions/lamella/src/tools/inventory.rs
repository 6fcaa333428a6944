//! Every live segment that a filter means.

use std::collections::BTreeSet;

use ::manifest::{Part, Snapshot};
use anyhow::{Context, Result, bail};
use boot::Host;
use model::{Signal, TenantId};
use store::keys::Window;

use super::filter::{Filter, PartFilter};
use super::progress::Progress;

/// A live segment and whose it is.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Metrics or logs.
    pub signal: Signal,
    /// What the manifest says.
    pub part: Part,
    /// Left out of answers, because it was found to be corrupt.
    pub quarantined: bool,
}

/// Returns the tenants and signals that a filter means, ascending.
pub async fn tenants(host: &Host, filter: &Filter) -> Result<BTreeSet<(TenantId, Signal)>> {
    let all = host.manifest.tenants().await.context("list tenants")?;
    Ok(all.into_iter().filter(|(tenant, signal)| filter.admits(tenant, *signal)).collect())
}

/// Returns the live segments that a filter means, by tenant, signal, window, resolution, level, id. Reads records only.
pub async fn live(host: &Host, filter: &PartFilter) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for (tenant, signal) in tenants(host, &filter.of).await? {
        let days = host.manifest.days(&tenant, signal).await.context("list days")?;
        let days: Vec<i64> = days.into_iter().map(|day| day.day).filter(|day| filter.of.admits_day(*day)).collect();
        let progress = Progress::new("days", days.len() as u64);
        for day in days {
            // Parts are listed under their own hour or day, and a day's range holds no other's.
            let snapshot = host.manifest.snapshot_with_coarse(&tenant, signal, Window::Day(day).range()).await;
            listed.extend(of_day(&tenant, signal, snapshot.context("take a snapshot")?, filter));
            progress.step();
        }
    }
    Ok(listed)
}

fn of_day(tenant: &TenantId, signal: Signal, snapshot: Snapshot, filter: &PartFilter) -> Vec<Listed> {
    let listed = |quarantined| move |part| Listed { tenant: tenant.clone(), signal, part, quarantined };
    let live = snapshot.parts.into_iter().chain(snapshot.coarse).map(listed(false));
    let mut all: Vec<Listed> = live.chain(snapshot.quarantined.into_iter().map(listed(true))).collect();
    all.retain(|listed| filter.admits_part(&listed.part));
    all.sort_by_key(|Listed { part, .. }| {
        let last_the_day = matches!(part.window, Window::Day(_));
        (last_the_day, part.window, part.resolution, part.level, part.stats.time_range.start, part.id)
    });
    all
}

/// Returns the one segment whose id begins with `prefix`.
pub fn one<'a>(listed: &'a [Listed], prefix: &str) -> Result<&'a Listed> {
    let found: Vec<&Listed> = listed.iter().filter(|listed| listed.part.id.to_string().starts_with(prefix)).collect();
    match found[..] {
        [one] => Ok(one),
        [] => bail!("no live segment has an id that begins with {prefix:?}; `lamella segments ls` lists them"),
        _ => bail!("{} live segments have ids that begin with {prefix:?}: give more digits", found.len()),
    }
}
