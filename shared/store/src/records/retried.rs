//! A record store whose passing failures are repeated.
//!
//! A change whose answer was lost is sent again: every change is conditional, so that it happens once. What its condition
//! then answers may be our own first try's doing, as the calls' outcomes say: callers read and compare.

use super::{Cas, Delete, Put, Record, RecordKey, RecordStore, Records};
use crate::retry::Retry;
use crate::{Error, Result};
use async_trait::async_trait;
use bytes::Bytes;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

/// Repeats calls by a policy.
#[derive(Debug)]
pub struct RetriedRecords {
    inner: Records,
    retry: Retry,
}

impl RetriedRecords {
    /// Wraps a store that repeats nothing itself.
    pub fn new(inner: Records, retry: Retry) -> RetriedRecords {
        RetriedRecords { inner, retry }
    }

    async fn read<T, F: Future<Output = Result<T>>>(&self, operation: &'static str, call: impl Fn() -> F) -> Result<T> {
        let lost = || Error::Unavailable { operation, source: "no answer in time".into() };
        self.retry.run(operation, self.retry.policy().attempt_max, call, passes, lost).await
    }

    async fn change<T, F: Future<Output = Result<T>>>(
        &self,
        operation: &'static str,
        bytes: usize,
        call: impl Fn() -> F,
    ) -> Result<T> {
        // Once an answer was lost, no later failure makes certain that nothing happened.
        let open = AtomicBool::new(false);
        let passes = |error: &Error| {
            open.fetch_or(error.is_unknown_outcome(), Ordering::Relaxed);
            passes(error)
        };
        let lost = || Error::UnknownOutcome { operation, source: "no answer in time".into() };
        let outcome = self.retry.run(operation, self.retry.policy().attempt_max_of(bytes as u64), call, passes, lost).await;
        match outcome {
            Err(error) if open.into_inner() && !error.is_unknown_outcome() => {
                Err(Error::UnknownOutcome { operation, source: Box::new(error) })
            }
            outcome => outcome,
        }
    }
}

fn passes(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::UnknownOutcome { .. })
}

#[async_trait]
impl RecordStore for RetriedRecords {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> Result<Put> {
        self.change("put record", value.len(), || self.inner.put_if_absent(key, value.clone())).await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.read("get record", || self.inner.get(key)).await
    }

    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> Result<Vec<Record>> {
        self.read("query records", || self.inner.query_prefix(partition, sort_prefix)).await
    }

    async fn count_prefix(&self, partition: &str, sort_prefix: &str, count_max: usize) -> Result<usize> {
        self.read("count records", || self.inner.count_prefix(partition, sort_prefix, count_max)).await
    }

    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> Result<Cas> {
        self.change("update record", value.len(), || self.inner.cas_update(key, version, value.clone())).await
    }

    async fn delete_if(&self, key: &RecordKey, version: u64) -> Result<Delete> {
        self.change("delete record", 0, || self.inner.delete_if(key, version)).await
    }
}
