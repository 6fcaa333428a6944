//! From the write path to the compaction timer: hours whose segments have become many wake it before its time.

use std::collections::BTreeMap;
use std::sync::Mutex;

use appender::{BacklogHints, HourBacklog};
use model::{Hour, Signal, TenantId};
use tokio::sync::Notify;

/// Hours remembered until the next run; what is forgotten is found by the schedule.
const HOURS_MAX: usize = 64;

/// The hours that compaction was told of since it last looked.
#[derive(Debug, Default)]
pub struct Backlogs {
    hours: Mutex<BTreeMap<(TenantId, Signal, Hour), u32>>,
    told: Notify,
}

impl Backlogs {
    /// Waits until there is a hint; one that came before counts.
    pub async fn told(&self) {
        self.told.notified().await;
    }

    /// Takes what was told, most segments first.
    pub fn take(&self) -> Vec<HourBacklog> {
        let hours = std::mem::take(&mut *self.hours.lock().expect("no call panics while it holds the lock"));
        let backlog = |((tenant, signal, hour), segments)| HourBacklog { tenant, signal, hour, segments };
        let mut taken: Vec<HourBacklog> = hours.into_iter().map(backlog).collect();
        taken.sort_by_key(|backlog| std::cmp::Reverse(backlog.segments));
        taken
    }
}

#[async_trait::async_trait]
impl BacklogHints for Backlogs {
    async fn hint(&self, backlog: &HourBacklog) {
        let mut hours = self.hours.lock().expect("no call panics while it holds the lock");
        let key = (backlog.tenant.clone(), backlog.signal, backlog.hour);
        if hours.len() < HOURS_MAX || hours.contains_key(&key) {
            hours.insert(key, backlog.segments);
        }
        self.told.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hint_wakes_once_and_is_bounded() {
        let backlogs = Backlogs::default();
        for hour in 0..100 {
            let (tenant, segments) = (TenantId::anonymous(), 300 + hour as u32);
            backlogs.hint(&HourBacklog { tenant, signal: Signal::Metrics, hour: Hour(hour), segments }).await;
        }
        backlogs.told().await;
        let taken = backlogs.take();
        assert_eq!((taken.len(), taken[0].segments), (HOURS_MAX, 363));
        assert_eq!(backlogs.take(), []);
        tokio::select! {
            biased;
            () = backlogs.told() => panic!("nothing was told since"),
            () = std::future::ready(()) => {}
        }
    }
}
