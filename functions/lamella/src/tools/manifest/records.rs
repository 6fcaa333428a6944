//! Everything recorded of one tenant and signal.

use std::collections::{BTreeSet, HashSet};

use ::manifest::{DayState, HeadRecords, Location, Part, WindowRecords};
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
    pub days: Vec<DayState>,
    /// Windows that may hold something, hours before their day, months last; a window that could not be read says why.
    pub windows: Vec<(Window, Result<WindowRecords, String>)>,
    /// Segments left out of answers.
    pub quarantined: Vec<::manifest::Quarantined>,
}

/// Reads the records of the windows that a filter means.
///
/// # Errors
/// Where the catalog or the quarantine cannot be read; a window that cannot be read is part of the answer.
pub async fn read(host: &Host, tenant: &TenantId, signal: Signal, filter: &Filter) -> Result<Records> {
    let mut days = host.manifest.days(tenant, signal).await.context("read the catalog")?;
    days.retain(|day| filter.admits_day(day.day));
    let of_days = days.iter().flat_map(windows_of).filter(|window| filter.admits_window(*window));
    let months: BTreeSet<Window> = days.iter().filter(|day| day.packed).map(|day| Window::Day(day.day).month()).collect();
    let wanted: Vec<Window> = of_days.chain(months).collect();
    let progress = Progress::new("windows", wanted.len() as u64);
    let mut windows = Vec::with_capacity(wanted.len());
    for window in wanted {
        let records = host.manifest.window_records(tenant, signal, window).await.map(|records| meant(records, filter));
        windows.push((window, records.map_err(|error| format!("{:#}", anyhow::Error::from(error)))));
        progress.step();
    }
    let quarantined = host.manifest.quarantined(tenant, signal).await.context("read the quarantine")?;
    Ok(Records { tenant: tenant.clone(), signal, days, windows, quarantined })
}

fn windows_of(day: &DayState) -> impl Iterator<Item = Window> {
    day.hours.iter().map(|hour| Window::Hour(*hour)).chain([Window::Day(day.day)])
}

/// Leaves out what a month lists of days that are not meant.
fn meant(mut records: WindowRecords, filter: &Filter) -> WindowRecords {
    if matches!(records.window, Window::Month(_)) {
        records.heads.iter_mut().for_each(|head| head.parts.retain(|part| filter.admits_window(part.window)));
    }
    records
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

    /// Reports whether what these records do not name under a window is named by nothing: the window was read, or the catalog
    /// does not list it.
    pub fn covers(&self, window: Window) -> bool {
        match self.windows.iter().find(|(of, _)| *of == window) {
            Some((_, outcome)) => outcome.is_ok(),
            None => !self.days.iter().any(|day| windows_of(day).any(|of| of == window)),
        }
    }

    /// Reports whether answers leave the segment out.
    pub fn is_quarantined(&self, part: &Part) -> bool {
        self.quarantined.iter().any(|quarantined| quarantined.is(part))
    }

    /// Returns the parts that a reader sees: what is listed, without what the level above replaced and what was dropped; those
    /// in quarantine are among them.
    pub fn live(&self) -> Vec<&Part> {
        let replaced: HashSet<(Window, Resolution, SegmentId)> = self.readable().flat_map(replaced_by).collect();
        let visible = |(above, part): &(Option<Window>, &Part)| {
            let gone = above.is_some_and(|above| replaced.contains(&(above, part.resolution, part.id)));
            !gone && !self.is_dropped(part.window.day(), part.resolution)
        };
        self.readable().flat_map(listed_below).filter(visible).map(|(_, part)| part).collect()
    }
}

/// Returns the listed parts, each with the window whose head replaces it.
fn listed_below(records: &WindowRecords) -> impl Iterator<Item = (Option<Window>, &Part)> {
    let above = match records.window {
        Window::Hour(hour) => Some(Window::Day(hour.day())),
        Window::Day(_) => Some(records.window.month()),
        Window::Month(_) => None,
    };
    let items = records.items.iter().filter_map(|(_, part)| part.as_ref()).map(|part| (Some(records.window), part));
    items.chain(records.heads.iter().flat_map(|head| &head.parts).map(move |part| (above, part)))
}

fn replaced_by(records: &WindowRecords) -> impl Iterator<Item = (Window, Resolution, SegmentId)> {
    let ids = |head: &HeadRecords| head.replaced.iter().map(|(id, _)| (head.resolution, *id)).collect::<Vec<_>>();
    records.heads.iter().flat_map(ids).map(|(resolution, id)| (records.window, resolution, id))
}

/// Returns all parts that a window's records list, visible or not.
pub fn listed(records: &WindowRecords) -> impl Iterator<Item = &Part> {
    let items = records.items.iter().filter_map(|(_, part)| part.as_ref());
    items.chain(records.heads.iter().flat_map(|head| &head.parts))
}

/// Returns the object of a part; none where it lies in the record.
pub fn object_of(part: &Part) -> Option<&str> {
    match &part.location {
        Location::Object { key, .. } => Some(key),
        Location::Inline(_) => None,
    }
}
