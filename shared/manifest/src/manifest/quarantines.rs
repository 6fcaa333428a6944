//! Putting parts into quarantine and taking them out.

use super::heads::Decision;
use super::{Manifest, Step, corrupt};
use crate::head::Change;
use crate::limits::{QUARANTINE_REASON_BYTES_MAX, QUARANTINED_MAX};
use crate::quarantine::{Quarantined, key_of};
use crate::{Error, Part, Result};
use model::{SegmentId, Signal, TenantId};
use store::keys;
use store::{Delete, Record};

impl Manifest {
    /// Puts a part into quarantine: snapshots list it apart from now on, and nothing merges it. `false`: it was there already.
    ///
    /// # Errors
    /// `TooManyQuarantined` past the bound: by then something else is wrong, and hiding more would hide it.
    pub async fn quarantine(&self, tenant: &TenantId, signal: Signal, part: &Part, reason: &str) -> Result<bool> {
        if self.quarantined(tenant, signal).await?.len() >= QUARANTINED_MAX {
            return Err(Error::TooManyQuarantined { limit: QUARANTINED_MAX });
        }
        let key = keys::quarantined(tenant, signal, part.id);
        let entry = |at| Quarantined {
            id: part.id,
            key: key_of(part).to_owned(),
            window: part.window,
            reason: reason[..reason.floor_char_boundary(QUARANTINE_REASON_BYTES_MAX)].to_owned(),
            at,
        };
        let put = |record: Option<&Record>| -> Result<Decision> {
            if let Some(record) = record {
                let found = Quarantined::decode(&record.value).map_err(corrupt(&key))?;
                if found.is(part) {
                    return Ok(Decision::Stop(Change::Already));
                }
            }
            Ok(Decision::Write(entry(self.now()).encode()))
        };
        Ok(self.update_record(&key, "quarantine", put).await? == Change::Write)
    }

    /// Returns what is in quarantine, by id.
    pub async fn quarantined(&self, tenant: &TenantId, signal: Signal) -> Result<Vec<Quarantined>> {
        let partition = keys::catalog_partition(tenant, signal);
        let records = self.records.query_prefix(&partition, keys::QUARANTINE_PREFIX).await.step("read quarantine")?;
        let parse = |record: Record| Quarantined::decode(&record.value).map_err(corrupt(format!("{partition} {}", record.sort)));
        records.into_iter().map(parse).collect()
    }

    /// Takes a part out of quarantine: snapshots list it as live again, if it still is. `false`: it was not there.
    pub async fn lift_quarantine(&self, tenant: &TenantId, signal: Signal, id: SegmentId) -> Result<bool> {
        let key = keys::quarantined(tenant, signal, id);
        let Some(record) = self.records.get(&key).await.step("read quarantine")? else { return Ok(false) };
        Ok(self.records.delete_if(&key, record.version).await.step("lift quarantine")? == Delete::Deleted)
    }
}
