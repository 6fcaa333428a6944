//! Entries as they become durable, handed on to whoever tails them in the same process.
//!
//! Owns: who watches which tenant, and how much may wait for a watcher. Does not own: what a watcher wants to see of it.
//! A writer never waits for a watcher: what a watcher has no room for is not kept for it, and counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use model::{LogBatch, TenantId};
use tokio::sync::mpsc;

use crate::limits::LIVE_BYTES_MAX;

/// Who watches. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Hub(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    watchers: Mutex<HashMap<TenantId, Vec<Watcher>>>,
    made: AtomicU64,
}

#[derive(Debug)]
struct Watcher {
    number: u64,
    sender: mpsc::UnboundedSender<Arc<LogBatch>>,
    room: Arc<Room>,
}

/// What waits for a watcher.
#[derive(Debug, Default)]
struct Room {
    bytes: AtomicUsize,
    missed: AtomicU64,
}

impl Hub {
    /// Reports whether anybody watches a tenant, so that a batch is worth keeping until it is durable.
    pub fn is_watched(&self, tenant: &TenantId) -> bool {
        self.watchers().contains_key(tenant)
    }

    /// Hands on a batch that is durable.
    pub fn publish(&self, tenant: &TenantId, batch: &Arc<LogBatch>) {
        let bytes = size_bytes(batch);
        for watcher in self.watchers().get(tenant).into_iter().flatten() {
            let waiting = watcher.room.bytes.fetch_add(bytes, Ordering::Relaxed);
            if waiting > 0 && waiting + bytes > LIVE_BYTES_MAX {
                watcher.room.bytes.fetch_sub(bytes, Ordering::Relaxed);
                watcher.room.missed.fetch_add(batch.entries_len() as u64, Ordering::Relaxed);
            } else {
                // It may be leaving.
                let _ = watcher.sender.send(Arc::clone(batch));
            }
        }
    }

    /// Begins to watch a tenant, unless as many do as may.
    ///
    /// # Errors
    /// How many watch already.
    pub fn watch(&self, tenant: &TenantId, watchers_max: usize) -> Result<Watch, usize> {
        let mut watchers = self.watchers();
        let present = watchers.get(tenant).map_or(0, Vec::len);
        if present >= watchers_max {
            return Err(present);
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let (number, room) = (self.0.made.fetch_add(1, Ordering::Relaxed), Arc::<Room>::default());
        watchers.entry(tenant.clone()).or_default().push(Watcher { number, sender, room: Arc::clone(&room) });
        Ok(Watch { hub: self.clone(), tenant: tenant.clone(), number, receiver, room })
    }

    fn watchers(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Vec<Watcher>>> {
        self.0.watchers.lock().expect("no call panics while it holds the lock")
    }
}

/// One watcher's end; dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    hub: Hub,
    tenant: TenantId,
    number: u64,
    receiver: mpsc::UnboundedReceiver<Arc<LogBatch>>,
    room: Arc<Room>,
}

impl Watch {
    /// Waits for the next batch.
    pub async fn next(&mut self) -> Option<Arc<LogBatch>> {
        let batch = self.receiver.recv().await?;
        self.room.bytes.fetch_sub(size_bytes(&batch), Ordering::Relaxed);
        Some(batch)
    }

    /// Returns how many entries there was no room for since it was last asked.
    pub fn missed(&self) -> u64 {
        self.room.missed.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watchers = self.hub.watchers();
        if let Some(of_tenant) = watchers.get_mut(&self.tenant) {
            of_tenant.retain(|watcher| watcher.number != self.number);
            if of_tenant.is_empty() {
                watchers.remove(&self.tenant);
            }
        }
    }
}

fn size_bytes(batch: &LogBatch) -> usize {
    batch.lines.bytes_len() + batch.metadata.bytes_len() + batch.labels.bytes_len() + 16 * batch.entries_len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TimestampNs;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn batch(line_bytes: usize) -> Arc<LogBatch> {
        let mut batch = LogBatch::default();
        batch.start_stream(|_| {});
        batch.push_entry(TimestampNs(1), &vec![b'x'; line_bytes], b"");
        Arc::new(batch)
    }

    #[tokio::test]
    async fn a_tenant_sees_its_own() {
        let hub = Hub::default();
        assert!(!hub.is_watched(&tenant("a")));
        let mut a = hub.watch(&tenant("a"), 2).unwrap();
        let mut b = hub.watch(&tenant("b"), 2).unwrap();
        assert!(hub.is_watched(&tenant("a")));
        hub.publish(&tenant("a"), &batch(5));
        hub.publish(&tenant("b"), &batch(7));
        assert_eq!(a.next().await.unwrap().lines.bytes_len(), 5);
        assert_eq!(b.next().await.unwrap().lines.bytes_len(), 7);
        drop(a);
        assert!(!hub.is_watched(&tenant("a")));
    }

    #[test]
    fn watchers_are_bounded_per_tenant() {
        let hub = Hub::default();
        let held: Vec<Watch> = (0..2).map(|_| hub.watch(&tenant("a"), 2).unwrap()).collect();
        assert_eq!(hub.watch(&tenant("a"), 2).unwrap_err(), 2);
        assert!(hub.watch(&tenant("b"), 2).is_ok());
        drop(held);
        assert!(hub.watch(&tenant("a"), 2).is_ok());
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_what_is_missed_is_counted() {
        let hub = Hub::default();
        let mut slow = hub.watch(&tenant("a"), 1).unwrap();
        let half = LIVE_BYTES_MAX / 2;
        (0..5).for_each(|_| hub.publish(&tenant("a"), &batch(half)));
        assert_eq!((slow.missed(), slow.missed()), (4, 0));
        slow.next().await.unwrap();
        // A batch larger than the bound is handed on where nothing else waits.
        hub.publish(&tenant("a"), &batch(LIVE_BYTES_MAX + 1));
        assert_eq!(slow.missed(), 0);
        slow.next().await.unwrap();
    }
}
