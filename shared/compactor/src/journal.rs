//! What one run tells the next: where it stopped, when a tenant's objects were last listed. Hints, kept as records: losing
//! them costs time, never data.

use bytes::Bytes;
use model::{Signal, TenantId, TimestampMs};
use store::keys;
use store::{Put, Record, RecordKey, Records};

/// The journal over a record store.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    records: Records,
}

/// Leads every entry.
const VERSION: &str = "1 ";

impl Journal {
    pub fn new(records: Records) -> Journal {
        Journal { records }
    }

    /// Returns the tenant and signal the last run stopped before, if it did not come to the end.
    pub async fn cursor(&self) -> store::Result<Option<(TenantId, Signal)>> {
        let record = self.records.get(&keys::compaction_cursor()).await?;
        Ok(record.as_ref().and_then(text).and_then(keys::parse_registered))
    }

    /// Notes where a run stopped.
    pub async fn stop_before(&self, tenant: &TenantId, signal: Signal) -> store::Result<()> {
        let key = keys::compaction_cursor();
        let before = self.records.get(&key).await?;
        self.write(&key, before, &keys::registered(tenant, signal).sort).await.map(|_| ())
    }

    /// Takes the right to list a tenant's objects, unless somebody took it since `since`.
    pub async fn take_inventory(
        &self,
        tenant: &TenantId,
        signal: Signal,
        since: TimestampMs,
        now: TimestampMs,
    ) -> store::Result<bool> {
        let key = keys::compaction_inventory(tenant, signal);
        let before = self.records.get(&key).await?;
        let last = before.as_ref().and_then(text).and_then(|text| text.parse().ok()).map(TimestampMs);
        if last.is_some_and(|last| last > since) {
            return Ok(false);
        }
        self.write(&key, before, &now.0.to_string()).await
    }

    async fn write(&self, key: &RecordKey, before: Option<Record>, text: &str) -> store::Result<bool> {
        let value = Bytes::from(format!("{VERSION}{text}"));
        match before {
            None => Ok(self.records.put_if_absent(key, value).await? == Put::Written),
            Some(before) => Ok(self.records.cas_update(key, before.version, value).await? == store::Cas::Updated),
        }
    }
}

fn text(record: &Record) -> Option<&str> {
    std::str::from_utf8(&record.value).ok()?.strip_prefix(VERSION)
}
