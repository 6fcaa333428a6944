//! Reading and conditionally updating one record, whatever the store loses on the way.

use super::{Manifest, Step, corrupt};
use crate::head::{Change, Head};
use crate::limits::{CAS_ATTEMPTS_MAX, HEAD_BYTES_MAX};
use crate::{Error, Result};
use bytes::Bytes;
use store::{Cas, Put, Record, RecordKey};

/// What to do with a record that was read.
pub(super) enum Decision {
    /// Write this, if the record is still as read.
    Write(Bytes),
    /// Leave it.
    Stop(Change),
}

impl Manifest {
    /// Returns the head, if any.
    pub(super) async fn head(&self, key: &RecordKey) -> Result<Option<Head>> {
        let record = self.records.get(key).await.step("read head")?;
        record.map(|record| Head::decode(&record.value).map_err(corrupt(key))).transpose()
    }

    /// Changes a head by `decide`, which may run several times, each time on the head as it then is. After a lost answer
    /// the head is read again: our `last_op` there means that the change was made; otherwise `decide` sees what others made
    /// of it.
    pub(super) async fn update_head(
        &self,
        key: &RecordKey,
        decide: impl Fn(&mut Head) -> Change + Send + Sync,
    ) -> Result<Change> {
        let op = self.nonces.next();
        let change = |record: Option<&Record>| -> Result<Decision> {
            let mut head = record.map_or(Ok(Head::default()), |record| Head::decode(&record.value).map_err(corrupt(key)))?;
            if head.last_op == op {
                return Ok(Decision::Stop(Change::Write));
            }
            match decide(&mut head) {
                Change::Write => {}
                other => return Ok(Decision::Stop(other)),
            }
            head.last_op = op;
            let value = head.encode();
            if value.len() > HEAD_BYTES_MAX {
                let (key, size_bytes) = (key.to_string(), value.len());
                return Err(Error::HeadTooLarge { key, size_bytes, limit_bytes: HEAD_BYTES_MAX });
            }
            Ok(Decision::Write(value))
        };
        self.update_record(key, "update head", change).await
    }

    /// Changes a record by compare and swap. `decide` gets the record as it is and must recognise a change of its own that
    /// was made although its answer was lost.
    pub(super) async fn update_record(
        &self,
        key: &RecordKey,
        step: &'static str,
        decide: impl Fn(Option<&Record>) -> Result<Decision> + Send + Sync,
    ) -> Result<Change> {
        let mut lost = None;
        for _ in 0..CAS_ATTEMPTS_MAX {
            let record = self.records.get(key).await.step(step)?;
            let value = match decide(record.as_ref())? {
                Decision::Stop(change) => return Ok(change),
                Decision::Write(value) => value,
            };
            match self.write(key, record.map(|record| record.version), value).await {
                Ok(true) => return Ok(Change::Write),
                Ok(false) => lost = None,
                Err(error) if error.is_unknown_outcome() => lost = Some(error),
                Err(error) => return Err(error).step(step),
            }
        }
        match lost {
            Some(error) => Err(error).step(step),
            None => Err(Error::Contended { key: key.to_string(), attempts: CAS_ATTEMPTS_MAX }),
        }
    }

    async fn write(&self, key: &RecordKey, version: Option<u64>, value: Bytes) -> store::Result<bool> {
        match version {
            None => Ok(self.records.put_if_absent(key, value).await? == Put::Written),
            Some(version) => Ok(self.records.cas_update(key, version, value).await? == Cas::Updated),
        }
    }
}
