//! `lamella manifest show`: each hour and day as recorded.

use std::process::ExitCode;

use ::manifest::{HeadRecords, Location, WindowRecords};
use anyhow::{Context, Result};
use boot::Host;
use clap::Args;
use model::{Resolution, TimestampMs};
use serde::Serialize;

use super::records;
use crate::cli::ToolOptions;
use crate::tools::filter::Filter;
use crate::tools::inventory;
use crate::tools::output::Answer;
use crate::tools::table::Table;
use crate::tools::{finish, format, open};

/// What is shown.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Which windows.
    #[command(flatten)]
    pub filter: Filter,
    /// Storage and output.
    #[command(flatten)]
    pub tool: ToolOptions,
}

/// Reads and prints.
pub async fn run(options: &Options) -> Result<ExitCode> {
    let host = open(&options.tool.storage).await?;
    finish(&show(&host, &options.filter).await?, &options.tool)
}

/// Returns what is recorded under the windows that a filter means.
///
/// # Errors
/// Where a record cannot be read; `manifest verify` names all such.
pub async fn show(host: &Host, filter: &Filter) -> Result<Shown> {
    let (mut days, mut windows) = (Vec::new(), Vec::new());
    for (tenant, signal) in inventory::tenants(host, filter).await? {
        let records = records::read(host, &tenant, signal, filter).await?;
        let (tenant, signal) = (tenant.to_string(), signal.as_str());
        days.extend(records.days.iter().map(|day| Day::of(&tenant, signal, day)));
        for (window, outcome) in records.windows {
            let found =
                outcome.map_err(anyhow::Error::msg).with_context(|| format!("read records of {tenant} {signal} {window}"))?;
            if found.items.is_empty() && found.heads.is_empty() {
                continue;
            }
            windows.push(WindowView::of(&tenant, signal, &found));
        }
    }
    Ok(Shown { now_ms: host.clock.now().0, days, windows })
}

/// A day of a catalog.
#[derive(Debug, Serialize)]
pub struct Day {
    /// Whose.
    pub tenant: String,
    /// `metrics` or `logs`.
    pub signal: &'static str,
    /// `2026-11-21`.
    pub day: String,
    /// Hours that may have data, 0 to 23.
    pub hours: Vec<i64>,
    /// Whether the day's own heads may list parts.
    pub open: bool,
    /// Whether its month lists parts of it.
    pub packed: bool,
    /// Resolutions that retention dropped.
    pub dropped: Vec<&'static str>,
}

impl Day {
    fn of(tenant: &str, signal: &'static str, day: &::manifest::DayState) -> Day {
        Day {
            tenant: tenant.to_owned(),
            signal,
            day: store::keys::format_day(day.day),
            hours: day.hours.iter().map(|hour| hour.0.rem_euclid(24)).collect(),
            open: day.open,
            packed: day.packed,
            dropped: day.dropped.iter().map(|(resolution, _)| resolution.as_str()).collect(),
        }
    }
}

/// What is recorded under an hour or day.
#[derive(Debug, Serialize)]
pub struct WindowView {
    /// Whose.
    pub tenant: String,
    /// `metrics` or `logs`.
    pub signal: &'static str,
    /// The hour or day.
    pub window: String,
    /// Items of level 0.
    pub items: u64,
    /// Of them, those whose segment lies in the item itself.
    pub inline: u64,
    /// Of them, those that the head has replaced and that wait to be deleted.
    pub replaced_items: u64,
    /// Ids burnt by the collector.
    pub burnt: u64,
    /// Heads, by resolution.
    pub heads: Vec<HeadView>,
}

/// A head.
#[derive(Debug, Serialize)]
pub struct HeadView {
    /// `raw`, `5m` or `1h`.
    pub resolution: &'static str,
    /// Live parts.
    pub parts: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Ids one level below that must not be read any more.
    pub replaced: u64,
    /// Objects that wait for the collector.
    pub dead: u64,
    /// Pages that its lists spilled into.
    pub pages: u64,
    /// Grows when ids are forgotten or outputs burnt.
    pub generation: u64,
    /// Whether merged parts only roll into the day.
    pub sealed: bool,
    /// When parts were last published, milliseconds since the Unix epoch; none before the first.
    pub published_at_ms: Option<i64>,
    /// End of the lease, milliseconds since the Unix epoch.
    pub leased_until_ms: Option<i64>,
}

impl WindowView {
    fn of(tenant: &str, signal: &'static str, records: &WindowRecords) -> WindowView {
        let items = || records.items.iter().filter_map(|(_, part)| part.as_ref());
        let raw = records.heads.iter().find(|head| head.resolution == Resolution::Raw);
        let replaced = |id| raw.is_some_and(|head| head.replaced.iter().any(|(of, _)| *of == id));
        let count = |of: &dyn Fn(&::manifest::Part) -> bool| items().filter(|part| of(part)).count() as u64;
        WindowView {
            tenant: tenant.to_owned(),
            signal,
            window: records.window.to_string(),
            items: count(&|_| true),
            inline: count(&|part| matches!(part.location, Location::Inline(_))),
            replaced_items: count(&|part| replaced(part.id)),
            burnt: records.items.iter().filter(|(_, part)| part.is_none()).count() as u64,
            heads: records.heads.iter().map(HeadView::of).collect(),
        }
    }
}

impl HeadView {
    fn of(head: &HeadRecords) -> HeadView {
        HeadView {
            resolution: head.resolution.as_str(),
            parts: head.parts.len() as u64,
            rows: head.parts.iter().map(|part| part.stats.rows).sum(),
            bytes: head.parts.iter().map(|part| part.location.len_bytes()).sum(),
            replaced: head.replaced.len() as u64,
            dead: head.dead.len() as u64,
            pages: head.pages,
            generation: head.generation,
            sealed: head.sealed,
            published_at_ms: Some(head.published_at.0).filter(|at| *at > 0),
            leased_until_ms: head.lease.map(|(_, until)| until.0),
        }
    }

    fn notes(&self, now_ms: i64) -> String {
        let mut notes = Vec::new();
        if self.sealed {
            notes.push("sealed".to_owned());
        }
        if self.leased_until_ms.is_some_and(|until| until > now_ms) {
            notes.push("leased".to_owned());
        }
        if self.pages > 0 {
            notes.push(format!("{} pages", self.pages));
        }
        notes.join(", ")
    }
}

/// The answer of `manifest show`.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// When it was taken, milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// The catalogs' days.
    pub days: Vec<Day>,
    /// Windows with records, hours before their day.
    pub windows: Vec<WindowView>,
}

impl Answer for Shown {
    fn text(&self) -> String {
        let headings = [
            "tenant",
            "signal",
            "window",
            ">items",
            "head",
            ">parts",
            ">rows",
            ">bytes",
            ">replaced",
            ">dead",
            ">gen",
            "published",
            "",
        ];
        let mut table = Table::new(&headings);
        for window in &self.windows {
            let mut name = [window.tenant.clone(), window.signal.to_owned(), window.window.clone(), window.items_text()];
            if window.heads.is_empty() {
                table.row(name.iter().cloned().chain(vec![String::new(); 9]));
            }
            for head in &window.heads {
                table.row(name.iter().cloned().chain(head.cells(self.now_ms)));
                name = Default::default();
            }
        }
        let dropped = self.days.iter().filter(|day| !day.dropped.is_empty());
        let dropped = dropped
            .map(|day| format!("{} {} {}: {} dropped by retention\n", day.tenant, day.signal, day.day, day.dropped.join(", ")));
        format!("{}{}", table.render(), dropped.collect::<String>())
    }
}

impl WindowView {
    fn items_text(&self) -> String {
        match (self.items, self.replaced_items) {
            (0, _) => String::new(),
            (items, 0) => format::count(items),
            (items, replaced) => format!("{} ({replaced} replaced)", format::count(items)),
        }
    }
}

impl HeadView {
    fn cells(&self, now_ms: i64) -> [String; 9] {
        [
            self.resolution.to_owned(),
            format::count(self.parts),
            format::count(self.rows),
            format::size(self.bytes),
            format::count(self.replaced),
            format::count(self.dead),
            self.generation.to_string(),
            self.published_at_ms.map_or(String::new(), |at| format::instant(TimestampMs(at))),
            self.notes(now_ms),
        ]
    }
}
