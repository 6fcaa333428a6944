//! Group commit: concurrent requests are merged, written as one segment, and acknowledged together.
//!
//! A group is open for the linger or until it is large enough; then it is written while the next one fills. A process must live
//! for that, so this is the strategy of `lamella` and of Lambda Managed Instances.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use model::{Signal, TenantId};
use tokio::sync::{Notify, oneshot};

use crate::limits::{GROUP_BYTES_MAX, HELD_BYTES_MAX};
use crate::{Batch, Error, Receipt, Result, WriteBuffer, Writer};

/// How long and how large a group may grow.
#[derive(Clone, Copy, Debug)]
pub struct GroupOptions {
    /// How long the first request of a group waits for others.
    pub linger: Duration,
    /// Approximate bytes at which a group is written at once.
    pub bytes_max: usize,
}

impl Default for GroupOptions {
    fn default() -> GroupOptions {
        GroupOptions { linger: Duration::from_millis(250), bytes_max: GROUP_BYTES_MAX }
    }
}

/// Merges concurrent writes.
#[derive(Clone, Debug)]
pub struct Group {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    writer: Writer,
    options: GroupOptions,
    open: Mutex<HashMap<(TenantId, Signal), OpenGroup>>,
    closed: AtomicBool,
    /// Bytes open and being written.
    held_bytes: AtomicUsize,
    /// Groups open or being written; `idle` is notified when none is left.
    groups: AtomicUsize,
    idle: Notify,
}

#[derive(Debug)]
struct OpenGroup {
    batch: Batch,
    held_bytes: usize,
    waiters: Vec<oneshot::Sender<Result<Receipt>>>,
    /// Ends the linger early.
    full: Arc<Notify>,
}

impl Group {
    /// Makes the strategy over a writer.
    pub fn new(writer: Writer, options: GroupOptions) -> Group {
        let shared = Shared {
            writer,
            options,
            open: Mutex::default(),
            closed: AtomicBool::new(false),
            held_bytes: AtomicUsize::new(0),
            groups: AtomicUsize::new(0),
            idle: Notify::new(),
        };
        Group { shared: Arc::new(shared) }
    }

    /// Joins the open group, or opens one and starts its linger.
    fn join(&self, tenant: &TenantId, batch: Batch) -> Result<oneshot::Receiver<Result<Receipt>>> {
        let key = (tenant.clone(), batch.signal());
        let bytes = batch.held_bytes();
        let (sender, receiver) = oneshot::channel();
        let mut open = self.shared.open.lock().expect("no call panics while it holds the lock");
        // Under the lock, so that no group opens after `close` has looked.
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(Error::Closed);
        }
        let held_bytes = self.shared.held_bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if held_bytes > HELD_BYTES_MAX {
            self.shared.held_bytes.fetch_sub(bytes, Ordering::SeqCst);
            return Err(Error::Full { held_bytes, limit_bytes: HELD_BYTES_MAX });
        }
        match open.get_mut(&key) {
            Some(group) => {
                group.batch.extend(batch);
                group.held_bytes += bytes;
                group.waiters.push(sender);
                if group.held_bytes >= self.shared.options.bytes_max {
                    group.full.notify_one();
                }
            }
            None => {
                let full = Arc::new(Notify::new());
                if bytes >= self.shared.options.bytes_max {
                    full.notify_one();
                }
                open.insert(key.clone(), OpenGroup { batch, held_bytes: bytes, waiters: vec![sender], full: Arc::clone(&full) });
                self.shared.groups.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(Arc::clone(&self.shared).linger(key, full));
            }
        }
        Ok(receiver)
    }
}

impl Shared {
    async fn linger(self: Arc<Shared>, key: (TenantId, Signal), full: Arc<Notify>) {
        tokio::select! {
            () = tokio::time::sleep(self.options.linger) => {}
            () = full.notified() => {}
        }
        let group = self.open.lock().expect("no call panics while it holds the lock").remove(&key);
        if let Some(group) = group {
            let result = self.writer.write(&key.0, group.batch).await;
            // A waiter that is gone has hung up: its write is durable all the same.
            group.waiters.into_iter().for_each(|waiter| drop(waiter.send(result.clone())));
            self.held_bytes.fetch_sub(group.held_bytes, Ordering::SeqCst);
        }
        if self.groups.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.idle.notify_waiters();
        }
    }
}

#[async_trait]
impl WriteBuffer for Group {
    async fn append(&self, tenant: &TenantId, batch: Batch) -> Result<Receipt> {
        if batch.is_empty() {
            return Ok(Receipt::default());
        }
        self.join(tenant, batch)?.await.map_err(|_| Error::Interrupted)?
    }

    async fn close(&self) {
        {
            let open = self.shared.open.lock().expect("no call panics while it holds the lock");
            self.shared.closed.store(true, Ordering::SeqCst);
            open.values().for_each(|group| group.full.notify_one());
        }
        loop {
            let idle = self.shared.idle.notified();
            if self.shared.groups.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}
