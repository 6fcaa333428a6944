//! The ring's invariants: what a new epoch may change (R1), where merged parts may lie (R3), and that reads go without it (R2).

use async_trait::async_trait;
use bytes::Bytes;
use manifest::ring::{Epoch, Ring, SLOTS};
use manifest::{Part, Window};
use model::{Slot, TimestampMs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Cas, Delete, Put, Record, RecordKey, RecordStore, Records, Result};

/// How records of rings begin.
pub const PARTITION_PREFIX: &str = "R#";

/// Checks the newest epoch of a ring against the one before: growing from n to n + k groups moves k / (n + k) of the slots, to new
/// groups only; shrinking moves the slots of the groups that go, and no other; either from an hour that has not begun (R1).
pub fn check_epoch(ring: &Ring, now: TimestampMs) -> Option<String> {
    let [.., before, after] = ring.epochs() else { return None };
    if after.from.start() <= now {
        return Some(format!("R1: epoch {} holds from hour {} on, which has begun", after.number, after.from.0));
    }
    let (n, m) = (before.assignment.groups(), after.assignment.groups());
    let moved: Vec<(u16, u16)> = (0..SLOTS as u16)
        .map(|slot| (before.assignment.owner(Slot(slot)), after.assignment.owner(Slot(slot))))
        .filter(|(from, to)| from != to)
        .collect();
    let stray = moved.iter().find(|(from, to)| if m > n { *to < n } else { *from < m });
    if let Some((from, to)) = stray {
        return Some(format!("R1: a slot moved from group {from} to group {to} when {n} groups became {m}"));
    }
    let changed = usize::from(n.abs_diff(m));
    let due = SLOTS * changed / usize::from(n.max(m));
    // Groups differ by at most two slots in size.
    let slack = if m > n { 1 } else { changed };
    (moved.len().abs_diff(due) > slack).then(|| format!("R1: {} slots moved, {due} are due from {n} to {m} groups", moved.len()))
}

/// Checks a part: its hour has one epoch, and from L2 up it lies within one run of slots of one group (R3). `slots` are those of
/// its rows.
pub fn check_part(ring: &Ring, part: &Part, slots: impl Iterator<Item = Slot>) -> Option<String> {
    let name = super::world::part_name(part);
    let epoch: &Epoch = ring.epochs().iter().find(|epoch| epoch.number == part.stats.epoch)?;
    if let Window::Hour(hour) = part.window
        && ring.at(hour).number != epoch.number
    {
        return Some(format!("R1: {name} is of epoch {}, its hour of {}", epoch.number, ring.at(hour).number));
    }
    let own = part.stats.slots;
    if let Some(slot) = slots.into_iter().find(|slot| !own.contains(*slot)) {
        return Some(format!("R3: {name} holds slot {} and says {}..{}", slot.0, own.lo, own.hi));
    }
    let runs = epoch.assignment.cuts();
    // Metadata alone lies nowhere.
    let lies_in_one = part.stats.series == 0 || runs.iter().any(|run| run.lo <= own.lo && own.hi <= run.hi);
    let bound = part.level >= 2 && !lies_in_one;
    bound.then(|| format!("R3: {name} of level {} holds slots {}..{}, of several groups", part.level, own.lo, own.hi))
}

/// Notes it if somebody who reads asks for the ring: no read is addressed by it (R2).
#[derive(Debug)]
pub struct Ringless {
    inner: Records,
    asked: Arc<AtomicBool>,
}

impl Ringless {
    /// Watches over a reader's records.
    pub fn over(inner: Records, asked: &Arc<AtomicBool>) -> Records {
        Arc::new(Ringless { inner, asked: Arc::clone(asked) })
    }

    fn look(&self, partition: &str) {
        self.asked.fetch_or(partition.starts_with(PARTITION_PREFIX), Ordering::Relaxed);
    }
}

#[async_trait]
impl RecordStore for Ringless {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> Result<Put> {
        self.inner.put_if_absent(key, value).await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.look(&key.partition);
        self.inner.get(key).await
    }

    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> Result<Vec<Record>> {
        self.look(partition);
        self.inner.query_prefix(partition, sort_prefix).await
    }

    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> Result<Cas> {
        self.inner.cas_update(key, version, value).await
    }

    async fn delete_if(&self, key: &RecordKey, version: u64) -> Result<Delete> {
        self.inner.delete_if(key, version).await
    }
}
