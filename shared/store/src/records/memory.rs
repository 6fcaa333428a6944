//! Records in memory: the twin that tests run the true manifest over.

use super::{Cas, Delete, Put, Record, RecordKey, RecordStore, check_size};
use crate::Result;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

type Rows = BTreeMap<RecordKey, (Bytes, u64)>;

/// A record store that forgets everything with the process.
#[derive(Debug, Default)]
pub struct MemoryRecords {
    rows: Mutex<Rows>,
}

impl MemoryRecords {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("no call panics while it holds the lock")
    }
}

#[async_trait]
impl RecordStore for MemoryRecords {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> Result<Put> {
        check_size(&value)?;
        let mut rows = self.rows();
        if rows.contains_key(key) {
            return Ok(Put::Exists);
        }
        rows.insert(key.clone(), (value, 1));
        Ok(Put::Written)
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        let rows = self.rows();
        Ok(rows.get(key).map(|(value, version)| Record { sort: key.sort.clone(), value: value.clone(), version: *version }))
    }

    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> Result<Vec<Record>> {
        let first = RecordKey { partition: partition.to_owned(), sort: sort_prefix.to_owned() };
        let rows = self.rows();
        let hits = rows.range(first..).take_while(|(key, _)| key.partition == partition && key.sort.starts_with(sort_prefix));
        Ok(hits
            .map(|(key, (value, version))| Record { sort: key.sort.clone(), value: value.clone(), version: *version })
            .collect())
    }

    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> Result<Cas> {
        check_size(&value)?;
        match self.rows().get_mut(key) {
            Some(row) if row.1 == version => {
                *row = (value, version + 1);
                Ok(Cas::Updated)
            }
            _ => Ok(Cas::Stale),
        }
    }

    async fn delete_if(&self, key: &RecordKey, version: u64) -> Result<Delete> {
        let mut rows = self.rows();
        if rows.get(key).is_some_and(|row| row.1 != version) {
            return Ok(Delete::Stale);
        }
        rows.remove(key);
        Ok(Delete::Deleted)
    }
}
