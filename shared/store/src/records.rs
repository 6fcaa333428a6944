//! Port 2, records: small opaque items under (partition key, sort key), changed one at a time and conditionally.
//!
//! Owns: the five calls and what they promise; one module per implementation. All pass one suite
//! (`tests/conformance.rs`). Every read is strongly consistent: it sees each write acknowledged before it began.

pub mod dynamodb;
pub mod embedded;
pub mod memory;
pub mod retried;

use crate::{Result, Retry};
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// A record store, shared.
pub type Records = Arc<dyn RecordStore>;

/// Bytes a record's value may have: DynamoDB's item bound of 400 KB with room for keys and attribute names.
pub const RECORD_BYTES_MAX: usize = 390 * 1024;

/// Where a record lives. Keys are spelled in [`crate::keys`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordKey {
    /// Partition key.
    pub partition: String,
    /// Sort key within the partition.
    pub sort: String,
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.partition, self.sort)
    }
}

/// A record as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Sort key.
    pub sort: String,
    /// The value, opaque to the store.
    pub value: Bytes,
    /// 1 when first put, one more with each update.
    pub version: u64,
}

/// Outcome of [`RecordStore::put_if_absent`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// The record is ours, at version 1.
    Written,
    /// A record exists; nothing was changed. A client that repeats internally may have written it itself: read and compare.
    Exists,
}

/// Outcome of [`RecordStore::cas_update`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cas {
    /// The record has the new value, at the expected version plus one.
    Updated,
    /// The record is absent or at another version; nothing was changed. As with [`Put::Exists`], read and compare.
    Stale,
}

/// Outcome of [`RecordStore::delete_if`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delete {
    /// The record is gone, now or before.
    Deleted,
    /// The record is at another version; nothing was changed.
    Stale,
}

/// Five calls, each atomic on one record, and a count. [`crate::Error::UnknownOutcome`] means that a change may have happened.
#[async_trait]
pub trait RecordStore: Send + Sync + fmt::Debug {
    /// Writes the record at version 1 if none exists. Durable once answered.
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> Result<Put>;

    /// Returns the record, strongly consistent.
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>>;

    /// Returns the records of a partition whose sort key starts with `sort_prefix`, in sort-key order, all pages,
    /// strongly consistent per record.
    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> Result<Vec<Record>>;

    /// Counts the records of a partition whose sort key starts with `sort_prefix`, up to `count_max`: a figure to steer by,
    /// not to decide on, so it may miss the newest changes. Stores that can count without reading override it.
    async fn count_prefix(&self, partition: &str, sort_prefix: &str, count_max: usize) -> Result<usize> {
        Ok(self.query_prefix(partition, sort_prefix).await?.len().min(count_max))
    }

    /// Replaces the value if the record is at `version`. Durable once answered.
    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> Result<Cas>;

    /// Deletes the record if it is at `version`; deleting an absent record succeeds. Durable once answered.
    async fn delete_if(&self, key: &RecordKey, version: u64) -> Result<Delete>;
}

/// Makes a record store that forgets everything with the process.
pub fn memory() -> Records {
    Arc::new(memory::MemoryRecords::default())
}

/// Wraps a store that repeats nothing itself, so that its passing failures are repeated.
pub fn retried(records: Records, retry: Retry) -> Records {
    Arc::new(retried::RetriedRecords::new(records, retry))
}

/// Opens a file as a record store, making it if absent.
pub fn embedded(path: &std::path::Path) -> Result<Records> {
    Ok(Arc::new(embedded::EmbeddedRecords::open(path)?))
}

/// Refuses a value no implementation could hold.
pub(crate) fn check_size(value: &Bytes) -> Result<()> {
    if value.len() > RECORD_BYTES_MAX {
        return Err(crate::Error::RecordTooLarge { size_bytes: value.len(), limit_bytes: RECORD_BYTES_MAX });
    }
    Ok(())
}
