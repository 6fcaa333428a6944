//! Requesting, cancelling and finishing deletions: one record each, changed conditionally.

use super::heads::Decision;
use super::{Manifest, Step, corrupt};
use crate::deletion::{Deletion, DeletionRequest, DeletionState};
use crate::head::Change;
use crate::limits::{DELETION_BYTES_MAX, DELETIONS_MAX};
use crate::mutation::Mutation;
use crate::{Error, Part, Result};
use bytes::Bytes;
use model::{Signal, TenantId, TimeRangeMs};
use std::collections::BTreeSet;
use store::keys::{self, Window};
use store::{Delete, Record};

/// Outcome of [`Manifest::finish_deletion`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finish {
    /// These parts of one month lack it: rewrite them (those in quarantine cannot be, and hold it open), then ask again.
    Pending(Vec<Part>),
    /// It has ended; its record is kept for an hour for late writers.
    Kept,
    /// Its record is gone.
    Removed,
}

impl Manifest {
    /// Records a deletion: readers leave its rows out from the moment this returns. Idempotent inside; a caller that repeats
    /// an answer it lost gets a second deletion of the same rows, which does no harm.
    ///
    /// # Errors
    /// `Deletion` where it would delete nothing or everything; `TooManyDeletions` and `DeletionTooLarge` past their bounds.
    pub async fn request_deletion(&self, tenant: &TenantId, signal: Signal, request: DeletionRequest) -> Result<Deletion> {
        request.check()?;
        // Two requests at once may pass the bound together: it bounds what a snapshot reads, not exactly.
        if self.deletions(tenant, signal).await?.len() >= DELETIONS_MAX {
            return Err(Error::TooManyDeletions { limit: DELETIONS_MAX });
        }
        let id = self.nonces.next();
        let key = keys::deletion(tenant, signal, id);
        let asked = |record: Option<&Record>| {
            if record.is_some() {
                return Ok(Decision::Stop(Change::Already));
            }
            let state = DeletionState::Requested;
            let value = Deletion { id, requested_at: self.now(), request: request.clone(), state }.encode();
            if value.len() > DELETION_BYTES_MAX {
                return Err(Error::DeletionTooLarge { size_bytes: value.len(), limit_bytes: DELETION_BYTES_MAX });
            }
            Ok(Decision::Write(value))
        };
        self.update_record(&key, "request deletion", asked).await?;
        let found = self.records.get(&key).await.step("read deletion")?;
        decode(&key, found.as_ref())?.ok_or(Error::DeletionGone { id })
    }

    /// Withdraws a deletion: what was not rewritten yet is visible again. `false`: there is none, or it has ended.
    pub async fn cancel_deletion(&self, tenant: &TenantId, signal: Signal, id: u128) -> Result<bool> {
        let cancel = |deletion: &mut Deletion| match deletion.state {
            DeletionState::Requested => {
                deletion.state = DeletionState::Cancelled(self.now());
                Change::Write
            }
            DeletionState::Cancelled(_) => Change::Already,
            DeletionState::Finished(_) => Change::Refused,
        };
        Ok(self.update_deletion(tenant, signal, id, cancel).await? != Change::Refused)
    }

    /// Returns the deletions on record, oldest request first, those that ended within the last hour included.
    pub async fn deletions(&self, tenant: &TenantId, signal: Signal) -> Result<Vec<Deletion>> {
        let partition = keys::catalog_partition(tenant, signal);
        let records = self.records.query_prefix(&partition, keys::DELETION_PREFIX).await.step("read deletions")?;
        let parse = |record: Record| Deletion::decode(&record.value).map_err(corrupt(format!("{partition} {}", record.sort)));
        let mut deletions = records.into_iter().map(parse).collect::<Result<Vec<Deletion>>>()?;
        deletions.sort_by_key(|deletion| (deletion.requested_at, deletion.id));
        Ok(deletions)
    }

    /// Brings a deletion one step closer to its end: looks for parts that lack it, marks it finished when there are none, and
    /// removes its record an hour later if there still are none. Call it for every deletion now and then.
    pub async fn finish_deletion(&self, tenant: &TenantId, signal: Signal, id: u128) -> Result<Finish> {
        let key = keys::deletion(tenant, signal, id);
        let record = self.records.get(&key).await.step("read deletion")?;
        let Some(deletion) = decode(&key, record.as_ref())? else { return Ok(Finish::Removed) };
        let early = self.makes(Mutation::ForgetDeletionEarly) && matches!(deletion.state, DeletionState::Finished(_));
        let over = early || deletion.is_over(self.now());
        if deletion.state != DeletionState::Requested && !over {
            return Ok(Finish::Kept);
        }
        if !matches!(deletion.state, DeletionState::Cancelled(_)) {
            let lacking = self.lacking(tenant, signal, &deletion).await?;
            if !lacking.is_empty() {
                return Ok(Finish::Pending(lacking));
            }
        }
        if let (true, Some(record)) = (over, record) {
            let removed = self.records.delete_if(&key, record.version).await.step("remove deletion")?;
            return Ok(if removed == Delete::Deleted { Finish::Removed } else { Finish::Kept });
        }
        let finish = |deletion: &mut Deletion| match deletion.state {
            DeletionState::Requested => {
                deletion.state = DeletionState::Finished(self.now());
                Change::Write
            }
            _ => Change::Already,
        };
        self.update_deletion(tenant, signal, id, finish).await?;
        Ok(Finish::Kept)
    }

    /// Returns the parts that lack a deletion, of the first month that has any. Months are looked at one after the other: one
    /// that lacks nothing stays so, but for late writers, since every compaction of after the request lists it.
    async fn lacking(&self, tenant: &TenantId, signal: Signal, deletion: &Deletion) -> Result<Vec<Part>> {
        let catalog = self.catalog(tenant, signal, deletion.request.range).await?;
        let months: BTreeSet<Window> = catalog.days.keys().map(|day| Window::Day(*day).month()).collect();
        for month in months {
            let range = intersection(month.range(), deletion.request.range);
            let snapshot = self.snapshot_with_coarse(tenant, signal, range).await?;
            let parts = snapshot.parts.iter().chain(&snapshot.coarse).chain(&snapshot.quarantined);
            let lacking: Vec<Part> = parts.filter(|part| deletion.applies_to(part)).cloned().collect();
            if !lacking.is_empty() {
                return Ok(lacking);
            }
        }
        Ok(Vec::new())
    }

    async fn update_deletion(
        &self,
        tenant: &TenantId,
        signal: Signal,
        id: u128,
        decide: impl Fn(&mut Deletion) -> Change + Send + Sync,
    ) -> Result<Change> {
        let key = keys::deletion(tenant, signal, id);
        let change = |record: Option<&Record>| -> Result<Decision> {
            let Some(mut deletion) = decode(&key, record)? else { return Ok(Decision::Stop(Change::Refused)) };
            Ok(match decide(&mut deletion) {
                Change::Write => Decision::Write(deletion.encode()),
                other => Decision::Stop(other),
            })
        };
        self.update_record(&key, "update deletion", change).await
    }
}

fn decode(key: &store::RecordKey, record: Option<&Record>) -> Result<Option<Deletion>> {
    record.map(|record: &Record| Deletion::decode(&Bytes::clone(&record.value)).map_err(corrupt(key))).transpose()
}

fn intersection(a: TimeRangeMs, b: TimeRangeMs) -> TimeRangeMs {
    TimeRangeMs::new(a.start.max(b.start), a.end.min(b.end))
}
