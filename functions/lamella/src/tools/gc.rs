//! `lamella gc`: what nothing can need any more, and its deletion.
//!
//! Owns: the list of garbage and the order of its deletion by hand. Does not own: when it is safe (`manifest`: M3), the daily
//! collection (`compactor`).

use std::collections::{BTreeMap, HashSet};
use std::process::ExitCode;

use ::manifest::Burn;
use ::manifest::limits::{DEAD_GRACE, ORPHAN_AGE_MIN};
use anyhow::{Context, Result};
use boot::Host;
use clap::Args;
use model::{Resolution, Signal, TenantId, TimestampMs};
use serde::Serialize;
use store::keys::{ObjectKey, Window};
use store::objects::{ObjectError, ObjectPath, ObjectStoreExt};

use super::filter::Filter;
use super::manifest::objects::{self, Object};
use super::manifest::records::{self, Records, listed};
use super::output::Answer;
use super::progress::Progress;
use super::table::Table;
use super::{finish, format, inventory, open};
use crate::cli::ToolOptions;

/// What is collected.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Which windows.
    #[command(flatten)]
    pub filter: Filter,
    /// Only says what would be deleted.
    #[arg(long)]
    pub dry_run: bool,
    /// Lists every object in place of sums.
    #[arg(long)]
    pub list: bool,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

/// Collects, or says what would be collected.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let host = open(&options.tool.storage).await?;
    let mut collected = collect(&host, &options.filter, options.dry_run).await?;
    collected.listed = options.list;
    finish(&collected, &options.tool)
}

/// Why an object is garbage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Merged into another segment.
    Merged,
    /// Named by no record: a write or a merge that was cut short.
    Unnamed,
    /// Of a day that retention dropped.
    Dropped,
}

/// An object that nothing will need.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Garbage {
    /// Whose.
    pub tenant: String,
    /// `metrics` or `logs`.
    pub signal: &'static str,
    /// The object.
    pub key: String,
    /// Its size; none where it is gone already.
    pub bytes: Option<u64>,
    /// Why.
    pub reason: Reason,
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Whether it may be deleted by now: queries under way may still need it before (M3).
    pub due: bool,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// Lists the garbage of a tenant and signal. Pure.
pub fn garbage(records: &Records, objects: &BTreeMap<String, Object>, now: TimestampMs) -> Vec<Garbage> {
    let garbage = |key: &str, reason, since: TimestampMs, due| Garbage {
        tenant: records.tenant.to_string(),
        signal: records.signal.as_str(),
        key: key.to_owned(),
        bytes: objects.get(key).map(|object| object.bytes),
        reason,
        since_ms: since.0,
        due,
        deleted: false,
    };
    let heads = || records.readable().flat_map(|window| &window.heads);
    let dead = heads().flat_map(|head| &head.dead);
    let mut all: Vec<Garbage> =
        dead.map(|dead| garbage(&dead.key, Reason::Merged, dead.at, dead.at <= now.minus(DEAD_GRACE))).collect();
    let dead: HashSet<String> = all.iter().map(|garbage| garbage.key.clone()).collect();
    let named: HashSet<&str> = records.readable().flat_map(|window| listed(window).filter_map(records::object_of)).collect();
    for (key, object) in objects {
        let Some(says) = &object.key else { continue };
        if dead.contains(key) {
            continue;
        }
        if let Some(at) = records.dropped_at(says.window.day(), says.resolution) {
            all.push(garbage(key, Reason::Dropped, at, at <= now.minus(DEAD_GRACE)));
        } else if !named.contains(key.as_str()) && records.covers(says.window) {
            all.push(garbage(key, Reason::Unnamed, object.written_at, object.written_at <= now.minus(ORPHAN_AGE_MIN)));
        }
    }
    all.sort_by(|a, b| (a.reason, &a.key).cmp(&(b.reason, &b.key)));
    all
}

/// Deletes what is due in the windows that a filter means, or only lists it.
pub async fn collect(host: &Host, filter: &Filter, dry_run: bool) -> Result<Collected> {
    let mut all = Vec::new();
    for (tenant, signal) in inventory::tenants(host, filter).await? {
        let records = records::read(host, &tenant, signal, filter).await?;
        let objects = objects::list(host, &tenant, signal, filter).await?;
        let mut found = garbage(&records, &objects, host.clock.now());
        if !dry_run {
            delete(host, &records, &mut found).await?;
        }
        all.extend(found);
    }
    Ok(Collected { dry_run, garbage: all, listed: false })
}

async fn delete(host: &Host, records: &Records, garbage: &mut [Garbage]) -> Result<()> {
    let (tenant, signal) = (&records.tenant, records.signal);
    let due: Vec<&mut Garbage> = garbage.iter_mut().filter(|garbage| garbage.due).collect();
    let progress = Progress::new("objects", due.len() as u64);
    for garbage in due {
        // Its id is burnt first, so that no commit under way can ever name it.
        let free = match ObjectKey::parse(&garbage.key).filter(|_| garbage.reason == Reason::Unnamed) {
            Some(key) => host.manifest.burn(&key).await.context("burn an unnamed object")? == Burn::Deletable,
            None => true,
        };
        garbage.deleted = free && delete_object(host, &garbage.key).await?;
        progress.step();
    }
    for (window, _) in &records.windows {
        forget(host, tenant, signal, *window, garbage).await?;
    }
    for (day, resolution) in records.dropped() {
        host.manifest.forget_day(tenant, signal, day, resolution).await.context("forget a dropped day")?;
    }
    Ok(())
}

async fn delete_object(host: &Host, key: &str) -> Result<bool> {
    match host.objects.delete(&ObjectPath::from(key)).await {
        Ok(()) | Err(ObjectError::NotFound { .. }) => Ok(true),
        Err(error) => Err(error).with_context(|| format!("delete {key}")),
    }
}

/// Takes what was deleted off the window's lists, and forgets ids that were replaced for long enough.
async fn forget(host: &Host, tenant: &TenantId, signal: Signal, window: Window, garbage: &[Garbage]) -> Result<()> {
    let due = host.manifest.collect_window(tenant, signal, window).await.context("collect a window")?;
    let deleted = |key: &String| garbage.iter().any(|of| of.deleted && of.key == *key);
    let gone: Vec<String> = due.into_iter().map(|dead| dead.key).filter(deleted).collect();
    if gone.is_empty() {
        return Ok(());
    }
    host.manifest.forget_dead(tenant, signal, window, &gone).await.context("forget dead objects")
}

impl Records {
    /// Returns when retention dropped the resolution of a day.
    fn dropped_at(&self, day: i64, resolution: Resolution) -> Option<TimestampMs> {
        let day = self.days.iter().find(|of| of.day == day)?;
        day.dropped.iter().find(|(of, _)| *of == resolution).map(|(_, at)| *at)
    }

    fn dropped(&self) -> impl Iterator<Item = (i64, Resolution)> {
        self.days.iter().flat_map(|day| day.dropped.iter().map(|(resolution, _)| (day.day, *resolution)))
    }
}

/// The answer of `gc`.
#[derive(Debug, Serialize)]
pub struct Collected {
    /// Whether nothing was deleted.
    pub dry_run: bool,
    /// By tenant, signal, reason, key.
    pub garbage: Vec<Garbage>,
    #[serde(skip)]
    listed: bool,
}

impl Collected {
    fn sums(&self) -> Table {
        let mut table = Table::new(&["tenant", "signal", "why", ">objects", ">bytes", ">due", ">deleted", "oldest since"]);
        let groups = self.garbage.chunk_by(|a, b| (&a.tenant, a.signal, a.reason) == (&b.tenant, b.signal, b.reason));
        for group in groups {
            let oldest = group.iter().map(|garbage| garbage.since_ms).min().unwrap_or_default();
            table.row([
                group[0].tenant.clone(),
                group[0].signal.to_owned(),
                group[0].reason.name().to_owned(),
                format::count(group.len() as u64),
                format::size(group.iter().filter_map(|garbage| garbage.bytes).sum()),
                format::count(group.iter().filter(|garbage| garbage.due).count() as u64),
                format::count(group.iter().filter(|garbage| garbage.deleted).count() as u64),
                format::instant(TimestampMs(oldest)),
            ]);
        }
        table
    }

    fn objects(&self) -> Table {
        let mut table = Table::new(&["why", "since", ">bytes", "", "object"]);
        for garbage in &self.garbage {
            let state = match (garbage.deleted, garbage.due) {
                (true, _) => "deleted",
                (false, true) => "due",
                (false, false) => "waits",
            };
            table.row([
                garbage.reason.name().to_owned(),
                format::instant(TimestampMs(garbage.since_ms)),
                garbage.bytes.map_or("gone".to_owned(), format::size),
                state.to_owned(),
                garbage.key.clone(),
            ]);
        }
        table
    }
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Reason::Merged => "merged",
            Reason::Unnamed => "unnamed",
            Reason::Dropped => "dropped",
        }
    }
}

impl Answer for Collected {
    fn text(&self) -> String {
        if self.garbage.is_empty() {
            return "no garbage\n".to_owned();
        }
        if self.listed { self.objects().render() } else { self.sums().render() }
    }
}
