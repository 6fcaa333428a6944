//! Reading and writing a tenant's ring.

use super::{Manifest, Step, corrupt};
use crate::limits::{KNOWN_RINGS_MAX, UNKNOWN_OUTCOME_ATTEMPTS_MAX};
use crate::ring::{Epoch, Ring, RingChange};
use crate::{Error, Result};
use model::{Hour, TenantId, TimestampMs};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use store::keys;
use store::{Put, Record};

/// Rings as this process last read them, and when.
#[derive(Debug, Default)]
pub(super) struct KnownRings(Mutex<HashMap<TenantId, (TimestampMs, Ring)>>);

impl KnownRings {
    fn rings(&self) -> MutexGuard<'_, HashMap<TenantId, (TimestampMs, Ring)>> {
        self.0.lock().expect("no call panics while it holds the lock")
    }

    /// Returns the epoch of an hour if what was read tells it for good.
    fn epoch(&self, tenant: &TenantId, hour: Hour) -> Option<Epoch> {
        let rings = self.rings();
        let (read_at, ring) = rings.get(tenant)?;
        Ring::settles(*read_at, hour).then(|| ring.at(hour).clone())
    }

    fn keep(&self, tenant: &TenantId, read_at: TimestampMs, ring: Ring) {
        let mut rings = self.rings();
        if rings.len() >= KNOWN_RINGS_MAX {
            rings.clear();
        }
        rings.insert(tenant.clone(), (read_at, ring));
    }
}

impl Manifest {
    /// Returns a tenant's ring: epoch 0 alone where none was written.
    pub async fn ring(&self, tenant: &TenantId) -> Result<Ring> {
        let partition = keys::ring_partition(tenant);
        let records = self.records.query_prefix(&partition, keys::EPOCH_PREFIX).await.step("read ring")?;
        let decode = |record: Record| Epoch::decode(&record.value).map_err(corrupt(format!("{partition} {}", record.sort)));
        let epochs = records.into_iter().map(decode).collect::<Result<Vec<Epoch>>>()?;
        let newest = epochs.last().map_or(0, |epoch| epoch.number);
        Ring::of(epochs).map_err(|reason| Error::Ring { epoch: newest, reason })
    }

    /// Returns the epoch in force for an hour. Reads the ring at most about once per tenant, process and hour: for hours
    /// begun, what was read stays true ([`Ring::settles`]).
    pub async fn epoch(&self, tenant: &TenantId, hour: Hour) -> Result<Epoch> {
        if let Some(epoch) = self.rings.epoch(tenant, hour) {
            return Ok(epoch);
        }
        let read_at = self.now();
        let ring = self.ring(tenant).await?;
        let epoch = ring.at(hour).clone();
        self.rings.keep(tenant, read_at, ring);
        Ok(epoch)
    }

    /// Changes a tenant's groups from a later full hour on, and returns the epoch. Written once: `None` where somebody else
    /// wrote that epoch first.
    ///
    /// # Errors
    /// `Ring` below one group and past 64.
    pub async fn change_ring(&self, tenant: &TenantId, change: RingChange) -> Result<Option<Epoch>> {
        let ring = self.ring(tenant).await?;
        let number = ring.latest().number;
        let planned = ring.changed(change, self.now());
        let epoch = planned.ok_or(Error::Ring { epoch: number, reason: "cannot have that many groups" })?;
        let key = keys::ring_epoch(tenant, epoch.number);
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.records.put_if_absent(&key, epoch.encode()).await {
                Ok(Put::Written) => return Ok(Some(epoch)),
                // It may be ours, of an attempt whose answer was lost.
                Ok(Put::Exists) => {
                    let found = self.records.get(&key).await.step("read ring epoch")?;
                    return Ok(found.is_some_and(|record| record.value == epoch.encode()).then_some(epoch));
                }
                Err(error) if error.is_unknown_outcome() && attempts < UNKNOWN_OUTCOME_ATTEMPTS_MAX => {}
                Err(error) => return Err(error).step("write ring epoch"),
            }
        }
    }
}
