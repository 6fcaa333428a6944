//! When to look at what again: the memory of a process, which saves requests and nothing else. A process that forgot looks
//! at everything once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use manifest::Window;
use model::{Hour, Resolution, Signal, TenantId, TimestampMs};

use crate::limits::RECENT;

/// Pages by tenant and signal.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    pages: Mutex<BTreeMap<(TenantId, Signal), Page>>,
}

/// What is remembered of one tenant and signal. What has no entry is due.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// When its catalog is due.
    pub catalog: Option<TimestampMs>,
    /// When its windows are due.
    pub windows: BTreeMap<Window, TimestampMs>,
    /// When their garbage is due.
    pub garbage: BTreeMap<Window, TimestampMs>,
    /// When its deletions are due.
    pub deletions: BTreeMap<u128, TimestampMs>,
    /// When retention is due.
    pub retention: Option<TimestampMs>,
    /// What of dropped days was forgotten: the catalog tells so only once the last copy of a day is gone, months later.
    pub forgotten: BTreeSet<(i64, Resolution)>,
    /// When the inventory is due.
    pub inventory: Option<TimestampMs>,
}

impl Diary {
    /// Takes a page out to work on; a second worker of the same process meanwhile gets an empty one.
    pub fn take(&self, tenant: &TenantId, signal: Signal) -> Page {
        self.pages().remove(&(tenant.clone(), signal)).unwrap_or_default()
    }

    /// Puts a page back.
    pub fn put(&self, tenant: &TenantId, signal: Signal, page: Page) {
        self.pages().insert((tenant.clone(), signal), page);
    }

    /// Notes that a window was looked at by somebody who did not take the page.
    pub fn note(&self, tenant: &TenantId, signal: Signal, window: Window, at: TimestampMs) {
        if let Some(page) = self.pages().get_mut(&(tenant.clone(), signal)) {
            page.windows.insert(window, at);
        }
    }

    /// Returns what is due.
    pub fn due(&self, now: TimestampMs) -> Vec<(TenantId, Signal)> {
        let pages = self.pages();
        let due = pages.iter().filter(|(_, page)| page.is_due(now));
        due.map(|(of, _)| of.clone()).collect()
    }

    /// Returns when the first page is due.
    pub fn next(&self) -> Option<TimestampMs> {
        self.pages().values().filter_map(Page::next).min()
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, BTreeMap<(TenantId, Signal), Page>> {
        self.pages.lock().expect("no call panics while it holds the lock")
    }
}

impl Page {
    /// Returns when the first of its windows, or its catalog, is due; `None` where its catalog is due in any case.
    pub fn next(&self) -> Option<TimestampMs> {
        let windows = self.windows.values().min();
        self.catalog.map(|catalog| windows.map_or(catalog, |first| catalog.min(*first)))
    }

    /// Reports whether there is anything to look at.
    pub fn is_due(&self, now: TimestampMs) -> bool {
        is_due(self.next().as_ref(), now)
    }

    /// Forgets windows and deletions that are no longer there, so that a page stays as small as the catalog.
    pub fn keep(&mut self, windows: &dyn Fn(Window) -> bool, deletions: &dyn Fn(u128) -> bool) {
        self.windows.retain(|window, _| windows(*window));
        self.garbage.retain(|window, _| windows(*window));
        self.deletions.retain(|id, _| deletions(*id));
    }
}

/// Reports whether something is due.
pub(crate) fn is_due(at: Option<&TimestampMs>, now: TimestampMs) -> bool {
    at.is_none_or(|at| *at <= now)
}

/// Reports whether an hour is open or was not long ago.
pub(crate) fn is_recent(hour: Hour, now: TimestampMs) -> bool {
    now < hour.end().plus(RECENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_once_and_stays_small() {
        let (diary, tenant) = (Diary::default(), TenantId::anonymous());
        let mut page = Page { catalog: Some(TimestampMs(5)), ..Page::default() };
        page.windows.insert(Window::Day(1), TimestampMs(1));
        page.windows.insert(Window::Day(2), TimestampMs(2));
        page.keep(&|window| window == Window::Day(2), &|_| false);
        diary.put(&tenant, Signal::Logs, page);
        diary.note(&tenant, Signal::Logs, Window::Day(2), TimestampMs(3));
        assert_eq!((diary.next(), diary.due(TimestampMs(2))), (Some(TimestampMs(3)), Vec::new()));
        assert_eq!(diary.due(TimestampMs(3)), [(tenant.clone(), Signal::Logs)]);
        let taken = diary.take(&tenant, Signal::Logs);
        assert_eq!((taken.catalog, taken.windows.len()), (Some(TimestampMs(5)), 1));
        assert_eq!(diary.take(&tenant, Signal::Logs).catalog, None);
    }
}
