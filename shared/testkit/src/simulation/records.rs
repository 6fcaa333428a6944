//! Port 2 as one process sees it.

use super::faults::{Failure, Line};
use super::{Process, RecordChange, Witness};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use std::fmt;
use std::sync::Arc;
use store::{Cas, Delete, Error, Put, Record, RecordKey, RecordStore, Records, Result};

/// The records, behind the faults of one process.
#[derive(Clone)]
pub struct SimulatedRecords {
    line: Line,
    inner: Records,
    witness: Arc<dyn Witness>,
}

impl fmt::Debug for SimulatedRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "records of {:?}", self.line.process)
    }
}

impl SimulatedRecords {
    /// Gives a process its view of `inner`, which must answer without waiting.
    pub fn new(process: Process, inner: Records, witness: Arc<dyn Witness>) -> SimulatedRecords {
        SimulatedRecords { line: Line { process }, inner, witness }
    }

    async fn write<T: Send + 'static>(
        &self,
        what: &'static str,
        key: &RecordKey,
        call: impl Fn(&Records, &RecordKey) -> (Result<T>, Option<RecordChange>, &'static str) + Send + Sync + 'static,
    ) -> Result<T> {
        let (inner, witness, of) = (Arc::clone(&self.inner), Arc::clone(&self.witness), key.clone());
        let effect = move || {
            let (outcome, change, name) = call(&inner, &of);
            if let Some(change) = change {
                witness.record(&of, change);
            }
            (outcome, name)
        };
        self.line.call(what, [&key.partition, &key.sort], true, effect).await.unwrap_or_else(|failure| Err(error(what, failure)))
    }
}

fn error(operation: &'static str, failure: Failure) -> Error {
    match failure {
        Failure::Unavailable => Error::Unavailable { operation, source: "simulated".into() },
        Failure::Unknown => Error::UnknownOutcome { operation, source: "simulated".into() },
    }
}

/// A store that answers without waiting, asked.
fn now<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("a store in memory answers at once")
}

#[async_trait]
impl RecordStore for SimulatedRecords {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> Result<Put> {
        let call = move |inner: &Records, key: &RecordKey| {
            let outcome = now(inner.put_if_absent(key, value.clone()));
            match outcome {
                Ok(Put::Written) => (outcome, Some(RecordChange::Put), "written"),
                _ => (outcome, None, "exists"),
            }
        };
        self.write("put record", key, call).await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        let (inner, of) = (Arc::clone(&self.inner), key.clone());
        let effect = move || (now(inner.get(&of)), "");
        let answer = self.line.call("get record", [&key.partition, &key.sort], false, effect).await;
        answer.unwrap_or_else(|_| Err(error("get record", Failure::Unavailable)))
    }

    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> Result<Vec<Record>> {
        let (inner, of, prefix) = (Arc::clone(&self.inner), partition.to_owned(), sort_prefix.to_owned());
        let effect = move || (now(inner.query_prefix(&of, &prefix)), "");
        let answer = self.line.call("query records", [partition, sort_prefix], false, effect).await;
        answer.unwrap_or_else(|_| Err(error("query records", Failure::Unavailable)))
    }

    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> Result<Cas> {
        let call = move |inner: &Records, key: &RecordKey| {
            let outcome = now(inner.cas_update(key, version, value.clone()));
            match outcome {
                Ok(Cas::Updated) => (outcome, Some(RecordChange::Updated), "updated"),
                _ => (outcome, None, "stale"),
            }
        };
        self.write("update record", key, call).await
    }

    async fn delete_if(&self, key: &RecordKey, version: u64) -> Result<Delete> {
        let call = move |inner: &Records, key: &RecordKey| {
            let existed = now(inner.get(key)).is_ok_and(|record| record.is_some());
            let outcome = now(inner.delete_if(key, version));
            match outcome {
                Ok(Delete::Deleted) => (outcome, existed.then_some(RecordChange::Deleted), "deleted"),
                _ => (outcome, None, "stale"),
            }
        };
        self.write("delete record", key, call).await
    }
}
