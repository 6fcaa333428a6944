//! Reading and writing the ring's epochs.

use super::{Manifest, Step, corrupt};
use crate::ring::{Epoch, Ring};
use crate::{Error, Result};
use store::keys;
use store::{Put, Record};

impl Manifest {
    /// Returns the ring: epoch 0 alone where none was written.
    pub async fn ring(&self) -> Result<Ring> {
        let records = self.records.query_prefix(keys::RING_PARTITION, keys::EPOCH_PREFIX).await.step("read ring")?;
        let decode =
            |record: Record| Epoch::decode(&record.value).map_err(corrupt(format!("{} {}", keys::RING_PARTITION, record.sort)));
        let epochs = records.into_iter().map(decode).collect::<Result<Vec<Epoch>>>()?;
        let newest = epochs.last().map_or(0, |epoch| epoch.number);
        Ring::of(epochs).map_err(|reason| Error::Ring { epoch: newest, reason })
    }

    /// Adds groups to the ring from a later full hour on. Written once: `None` where somebody else wrote that epoch first.
    ///
    /// # Errors
    /// `Ring` past 64 groups.
    pub async fn grow_ring(&self, added: u16) -> Result<Option<Epoch>> {
        let ring = self.ring().await?;
        let number = ring.latest().number;
        let epoch =
            ring.grown(added, self.now()).ok_or(Error::Ring { epoch: number, reason: "cannot grow by so many groups" })?;
        let outcome =
            self.records.put_if_absent(&keys::ring_epoch(epoch.number), epoch.encode()).await.step("write ring epoch")?;
        Ok((outcome == Put::Written).then_some(epoch))
    }
}
