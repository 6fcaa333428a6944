//! When to look at what again: the memory of a process, which saves requests and nothing else. A process that forgot looks
//! at everything once.

use std::collections::BTreeMap;
use std::sync::Mutex;

use manifest::Window;
use model::{Hour, Signal, TenantId, TimestampMs};

use crate::limits::{PACE_MONTH, PACE_OLD, PACE_OPEN, PACE_RECENT, RECENT};

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

    fn pages(&self) -> std::sync::MutexGuard<'_, BTreeMap<(TenantId, Signal), Page>> {
        self.pages.lock().expect("no call panics while it holds the lock")
    }
}

impl Page {
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

/// Returns when a window at which nothing was to be done is looked at again.
pub(crate) fn next_look(window: Window, now: TimestampMs) -> TimestampMs {
    let pace = match window {
        Window::Hour(hour) if now < hour.end().plus(2 * PACE_RECENT) => PACE_OPEN,
        Window::Hour(hour) if is_recent(hour, now) => PACE_RECENT,
        Window::Hour(_) | Window::Day(_) => PACE_OLD,
        Window::Month(_) => PACE_MONTH,
    };
    now.plus(pace)
}

/// Reports whether an hour is open or was not long ago.
pub(crate) fn is_recent(hour: Hour, now: TimestampMs) -> bool {
    now < hour.end().plus(RECENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_is_looked_at_less_often() {
        let hour = Hour(100);
        let minutes_after_end = |minutes: i64| TimestampMs(hour.end().0 + minutes * 60_000);
        for (minutes, pace) in [(-30, PACE_OPEN), (6, PACE_OPEN), (11, PACE_RECENT), (119, PACE_RECENT), (121, PACE_OLD)] {
            let now = minutes_after_end(minutes);
            assert_eq!(next_look(Window::Hour(hour), now), now.plus(pace), "{minutes} min after its end");
        }
        let now = minutes_after_end(0);
        assert_eq!(next_look(Window::Day(hour.day()), now), now.plus(PACE_OLD));
    }

    #[test]
    fn a_page_is_taken_once_and_stays_small() {
        let (diary, tenant) = (Diary::default(), TenantId::anonymous());
        let mut page = Page { catalog: Some(TimestampMs(5)), ..Page::default() };
        page.windows.insert(Window::Day(1), TimestampMs(1));
        page.windows.insert(Window::Day(2), TimestampMs(1));
        page.keep(&|window| window == Window::Day(2), &|_| false);
        diary.put(&tenant, Signal::Logs, page);
        let taken = diary.take(&tenant, Signal::Logs);
        assert_eq!((taken.catalog, taken.windows.len()), (Some(TimestampMs(5)), 1));
        assert_eq!(diary.take(&tenant, Signal::Logs).catalog, None);
    }
}
