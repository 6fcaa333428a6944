//! Everything recorded of one tenant and signal.

use std::collections::HashSet;

use ::manifest::{DayRecords, Part, WindowRecords};
use anyhow::{Context, Result};
use boot::Host;
use model::{Resolution, SegmentId, Signal, TenantId};
use store::keys::Window;

use crate::tools::filter::Filter;
use crate::tools::progress::Progress;

/// The records of a tenant and signal, or of some of their windows.
#[derive(Clone, Debug)]
pub struct Records {
    /// Whose.
    pub tenant: TenantId,
    /// Metrics or logs.
    pub signal: Signal,
    /// The catalog's days.
    pub days: Vec<DayRecords>,
    /// Windows that may hold something, hours before their day; a window that could not be read says why.
    pub windows: Vec<(Window, Result<WindowRecords, String>)>,
    /// Segments left out of answers.
    pub quarantined: Vec<::manifest::Quarantined>,
}

/// Reads the records of the windows that a filter means.
///
/// # Errors
/// Where the catalog or the quarantine cannot be read; a window that cannot be read is part of the answer.
pub async fn read(host: &Host, tenant: &TenantId, signal: Signal, filter: &Filter) -> Result<Records> {
    let mut days = host.manifest.day_records(tenant, signal).await.context("read the catalog")?;
    days.retain(|day| filter.admits_day(day.day));
    let wanted: Vec<Window> = days.iter().flat_map(windows_of).filter(|window| filter.admits_window(*window)).collect();
    let progress = Progress::new("windows", wanted.len() as u64);
    let mut windows = Vec::with_capacity(wanted.len());
    for window in wanted {
        let records = host.manifest.window_records(tenant, signal, window).await;
        windows.push((window, records.map_err(|error| format!("{:#}", anyhow::Error::from(error)))));
        progress.step();
    }
    let quarantined = host.manifest.quarantined(tenant, signal).await.context("read the quarantine")?;
    Ok(Records { tenant: tenant.clone(), signal, days, windows, quarantined })
}

fn windows_of(day: &DayRecords) -> impl Iterator<Item = Window> {
    day.hours.iter().map(|hour| Window::Hour(*hour)).chain([Window::Day(day.day)])
}

impl Records {
    /// Returns what could be read.
    pub fn readable(&self) -> impl Iterator<Item = &WindowRecords> {
        self.windows.iter().filter_map(|(_, records)| records.as_ref().ok())
    }

    /// Reports whether retention dropped the resolution of a day.
    pub fn is_dropped(&self, day: i64, resolution: Resolution) -> bool {
        let day = self.days.iter().find(|of| of.day == day);
        day.is_some_and(|day| day.dropped.iter().any(|(of, _)| *of == resolution))
    }

    /// Reports whether answers leave the segment out.
    pub fn is_quarantined(&self, part: &Part) -> bool {
        self.quarantined.iter().any(|quarantined| quarantined.is(part))
    }

    /// Returns the parts that a reader sees: what is listed, without what the level above replaced and what was
    /// dropped; those in quarantine are among them.
    pub fn live(&self) -> Vec<&Part> {
        let replaced: HashSet<(Window, SegmentId)> = self.readable().flat_map(replaced_by).collect();
        let visible = |part: &&Part| {
            let gone = above(part).is_some_and(|above| replaced.contains(&(above, part.id)));
            !gone && !self.is_dropped(part.window.day(), part.resolution)
        };
        self.readable().flat_map(listed).filter(visible).collect()
    }
}

/// The window whose head replaces a part; none for a day's own.
fn above(part: &Part) -> Option<Window> {
    match part.window {
        Window::Hour(_) if part.level == 0 => Some(part.window),
        Window::Hour(_) => Some(Window::Day(part.window.day())),
        Window::Day(_) => None,
    }
}

fn replaced_by(records: &WindowRecords) -> Vec<(Window, SegmentId)> {
    let raw = records.heads.iter().filter(|head| head.resolution == Resolution::Raw);
    raw.flat_map(|head| head.replaced.iter().map(|(id, _)| (records.window, *id))).collect()
}

/// Returns all parts that a window's records list, visible or not.
pub fn listed(records: &WindowRecords) -> impl Iterator<Item = &Part> {
    let items = records.items.iter().filter_map(|(_, part)| part.as_ref());
    items.chain(records.heads.iter().flat_map(|head| &head.parts))
}
