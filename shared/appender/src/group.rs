//! Group commit: concurrent requests are merged, written as one segment, and acknowledged together.
//!
//! A group is open for the linger or until it is large enough; then it is written while the next one fills. A process must live
//! for that, so this is the strategy of `lamella` and of Lambda Managed Instances. What is wrong with one request refuses that
//! request only: a group that cannot be written as one is written request by request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use model::{ErrorKind, Signal, TenantId};
use tokio::sync::{Notify, oneshot};

use crate::limits::{GROUP_BYTES_MAX, HELD_BYTES_MAX};
use crate::{Batch, Choice, Error, Receipt, Result, Strategy, WriteBuffer, Writer};

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
    /// Ordered, so that what `close` does repeats exactly.
    open: Mutex<BTreeMap<(TenantId, Signal), OpenGroup>>,
    closed: AtomicBool,
    /// Bytes open and being written.
    held_bytes: AtomicUsize,
    /// Groups open or being written; `idle` is notified when none is left.
    groups: AtomicUsize,
    idle: Notify,
}

#[derive(Debug)]
struct OpenGroup {
    requests: Vec<Request>,
    held_bytes: usize,
    /// Ends the linger early.
    full: Arc<Notify>,
}

#[derive(Debug)]
struct Request {
    batch: Batch,
    waiter: oneshot::Sender<Result<Receipt>>,
}

/// A group's place among those that `close` waits for and its share of the memory bound: given back however its task ends.
struct Held {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.held_bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        if self.shared.groups.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shared.idle.notify_waiters();
        }
    }
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

    /// Ends the linger of every open group: what waits is written now. For whoever measures the linger by another clock.
    pub fn flush(&self) {
        let open = self.shared.open.lock().expect("no call panics while it holds the lock");
        open.values().for_each(|group| group.full.notify_one());
    }

    /// Appends a batch that is not empty and that the backlog lets pass.
    pub(crate) async fn append_admitted(&self, tenant: &TenantId, batch: Batch) -> Result<Receipt> {
        let receipt = self.join(tenant, batch)?.await.map_err(|_| Error::Interrupted)??;
        Ok(Receipt { choice: Choice { strategy: Strategy::Group, ..receipt.choice }, ..receipt })
    }

    /// Joins the open group, or opens one and starts its linger.
    fn join(&self, tenant: &TenantId, batch: Batch) -> Result<oneshot::Receiver<Result<Receipt>>> {
        let key = (tenant.clone(), batch.signal());
        let bytes = batch.held_bytes();
        let (waiter, receiver) = oneshot::channel();
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
        let request = Request { batch, waiter };
        match open.get_mut(&key) {
            Some(group) => {
                group.requests.push(request);
                group.held_bytes += bytes;
                if group.held_bytes >= self.shared.options.bytes_max {
                    group.full.notify_one();
                }
            }
            None => {
                let full = Arc::new(Notify::new());
                if bytes >= self.shared.options.bytes_max {
                    full.notify_one();
                }
                let group = OpenGroup { requests: vec![request], held_bytes: bytes, full: Arc::clone(&full) };
                open.insert(key.clone(), group);
                self.shared.groups.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(linger(key, full, Held { shared: Arc::clone(&self.shared), bytes: 0 }));
            }
        }
        Ok(receiver)
    }
}

/// Waits until the group is due, writes it and answers its waiters.
async fn linger(key: (TenantId, Signal), full: Arc<Notify>, mut held: Held) {
    let shared = Arc::clone(&held.shared);
    tokio::select! {
        () = tokio::time::sleep(shared.options.linger) => {}
        () = full.notified() => {}
    }
    let group = shared.open.lock().expect("no call panics while it holds the lock").remove(&key);
    if let Some(group) = group {
        held.bytes = group.held_bytes;
        shared.write(&key.0, group.requests).await;
    }
}

impl Shared {
    async fn write(&self, tenant: &TenantId, requests: Vec<Request>) {
        if requests.len() > 1 {
            let merged = merge(&requests);
            let result = self.attempt(tenant, merged).await;
            if !result.as_ref().is_err_and(may_be_one_requests_fault) {
                requests.into_iter().for_each(|request| answer(request.waiter, result.clone()));
                return;
            }
            tracing::warn!(requests = requests.len(), "write requests of a refused group one by one");
        }
        for Request { batch, waiter } in requests {
            answer(waiter, self.attempt(tenant, batch).await);
        }
    }

    /// Writes in a task of its own, so that a panic is one attempt's failure.
    async fn attempt(&self, tenant: &TenantId, batch: Batch) -> Result<Receipt> {
        let (writer, tenant) = (self.writer.clone(), tenant.clone());
        let attempt = tokio::spawn(async move { writer.write(&tenant, batch).await });
        attempt.await.unwrap_or(Err(Error::Interrupted))
    }
}

fn answer(waiter: oneshot::Sender<Result<Receipt>>, result: Result<Receipt>) {
    // A waiter that is gone has hung up: its write is durable all the same.
    drop(waiter.send(result));
}

/// Copies the batches of several requests into one; the requests keep theirs for the case that the group is refused.
fn merge(requests: &[Request]) -> Batch {
    let mut merged = requests[0].batch.clone();
    requests[1..].iter().for_each(|request| merged.extend(&request.batch));
    merged
}

/// Reports whether other requests of the group may succeed where the group did not. An error of the stores is everybody's.
fn may_be_one_requests_fault(error: &Error) -> bool {
    let permanent = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Limit);
    permanent || matches!(error, Error::Segment(_) | Error::Interrupted)
}

#[async_trait]
impl WriteBuffer for Group {
    async fn append(&self, tenant: &TenantId, batch: Batch) -> Result<Receipt> {
        if batch.is_empty() {
            return Ok(Receipt::default());
        }
        self.shared.writer.admit(tenant, &batch).await?;
        self.append_admitted(tenant, batch).await
    }

    async fn close(&self) {
        {
            // Under the lock, so that no group opens after this.
            let _open = self.shared.open.lock().expect("no call panics while it holds the lock");
            self.shared.closed.store(true, Ordering::SeqCst);
        }
        self.flush();
        loop {
            let idle = self.shared.idle.notified();
            if self.shared.groups.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}

#[cfg(test)]
mod tests;
