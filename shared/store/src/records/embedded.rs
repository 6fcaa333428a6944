//! Records in one file (redb), fsync'd before a call is answered.
//!
//! ```text
//! calls ─▶ queue ─▶ one writer thread: takes all that wait, applies them in one transaction, one fsync, answers all
//! ```
//! Reads run beside it on their own snapshot, begun after the call, so that they see every acknowledged write.

use super::{Cas, Delete, Put, Record, RecordKey, RecordStore, check_size};
use crate::{Error, Result};
use async_trait::async_trait;
use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, Table, TableDefinition};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

type Row = TableDefinition<'static, (&'static str, &'static str), (u64, &'static [u8])>;
const RECORDS: Row = TableDefinition::new("records");

/// Changes applied by one transaction at most: bounds the time the first of them waits.
const BATCH_LEN_MAX: usize = 256;

/// A record store in one file of this process.
pub struct EmbeddedRecords {
    database: Arc<Database>,
    changes: mpsc::Sender<Job>,
}

enum Change {
    Put(Bytes),
    Update(u64, Bytes),
    Delete(u64),
}

struct Job {
    key: RecordKey,
    change: Change,
    /// Answers whether the change was made.
    done: oneshot::Sender<Result<bool>>,
}

impl EmbeddedRecords {
    /// Opens the file, making it if absent. One process at a time can hold it.
    pub fn open(path: &Path) -> Result<EmbeddedRecords> {
        let database = Arc::new(Database::create(path).map_err(|error| not_opened(path, error))?);
        create_table(&database).map_err(|source| Error::Refused { operation: "open records file", source })?;
        let (changes, jobs) = mpsc::channel();
        let writer = database.clone();
        std::thread::Builder::new().name("records".into()).spawn(move || write_all(&writer, &jobs)).map_err(refused)?;
        Ok(EmbeddedRecords { database, changes })
    }

    async fn change(&self, key: &RecordKey, change: Change) -> Result<bool> {
        let (done, answer) = oneshot::channel();
        let gone = || Error::Unavailable { operation: "write record", source: "the writer has ended".into() };
        self.changes.send(Job { key: key.clone(), change, done }).map_err(|_| gone())?;
        answer.await.map_err(|_| Error::UnknownOutcome { operation: "write record", source: "the writer has ended".into() })?
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> std::result::Result<T, redb::Error> + Send + 'static,
    ) -> Result<T> {
        let database = self.database.clone();
        let outcome = tokio::task::spawn_blocking(move || read(&database)).await;
        outcome.map_err(|error| unavailable(Box::new(error)))?.map_err(|error| unavailable(Box::new(error)))
    }
}

fn not_opened(path: &Path, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => Error::Locked { path: path.display().to_string() },
        error => refused(error),
    }
}

fn refused(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Refused { operation: "open records file", source: Box::new(source) }
}

fn unavailable(source: crate::error::Source) -> Error {
    Error::Unavailable { operation: "read records file", source }
}

fn create_table(database: &Database) -> std::result::Result<(), crate::error::Source> {
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDS)?;
    Ok(transaction.commit()?)
}

/// Runs until every handle of the store is dropped.
fn write_all(database: &Database, jobs: &mpsc::Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        batch.extend(jobs.try_iter().take(BATCH_LEN_MAX - 1));
        answer(batch, |batch| write_batch(database, batch));
    }
}

fn answer(batch: Vec<Job>, write: impl FnOnce(&[Job]) -> std::result::Result<Vec<bool>, redb::Error>) {
    match write(&batch) {
        Ok(outcomes) => {
            for (job, outcome) in batch.into_iter().zip(outcomes) {
                let _ = job.done.send(Ok(outcome));
            }
        }
        Err(error) => {
            // A failed commit may still have reached the disk.
            let text = error.to_string();
            for job in batch {
                let _ = job.done.send(Err(Error::UnknownOutcome { operation: "write record", source: text.clone().into() }));
            }
        }
    }
}

fn write_batch(database: &Database, batch: &[Job]) -> std::result::Result<Vec<bool>, redb::Error> {
    let transaction = database.begin_write()?;
    let outcomes = {
        let mut table = transaction.open_table(RECORDS)?;
        batch.iter().map(|job| apply(&mut table, job)).collect::<std::result::Result<Vec<bool>, redb::Error>>()?
    };
    if outcomes.contains(&true) {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(outcomes)
}

fn apply(table: &mut Table<(&str, &str), (u64, &[u8])>, job: &Job) -> std::result::Result<bool, redb::Error> {
    let key = (job.key.partition.as_str(), job.key.sort.as_str());
    let found = table.get(key)?.map(|row| row.value().0);
    match &job.change {
        Change::Put(value) if found.is_none() => table.insert(key, (1, value.as_ref())).map(|_| ())?,
        Change::Update(version, value) if found == Some(*version) => {
            table.insert(key, (version + 1, value.as_ref())).map(|_| ())?
        }
        Change::Delete(version) if found == Some(*version) => table.remove(key).map(|_| ())?,
        // Deleting what is absent succeeds, and needs no commit of its own: it was gone before.
        Change::Delete(_) => return Ok(found.is_none()),
        _ => return Ok(false),
    }
    Ok(true)
}

impl fmt::Debug for EmbeddedRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmbeddedRecords")
    }
}

#[async_trait]
impl RecordStore for EmbeddedRecords {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> Result<Put> {
        check_size(&value)?;
        Ok(if self.change(key, Change::Put(value)).await? { Put::Written } else { Put::Exists })
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        let key = key.clone();
        self.read(move |database| {
            let table = database.begin_read()?.open_table(RECORDS)?;
            let row = table.get((key.partition.as_str(), key.sort.as_str()))?;
            Ok(row.map(|row| Record {
                sort: key.sort.clone(),
                version: row.value().0,
                value: Bytes::copy_from_slice(row.value().1),
            }))
        })
        .await
    }

    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> Result<Vec<Record>> {
        let (partition, sort_prefix) = (partition.to_owned(), sort_prefix.to_owned());
        self.read(move |database| {
            let table = database.begin_read()?.open_table(RECORDS)?;
            let mut records = Vec::new();
            for row in table.range((partition.as_str(), sort_prefix.as_str())..)? {
                let (key, value) = row?;
                let (of, sort) = key.value();
                if of != partition || !sort.starts_with(&sort_prefix) {
                    break;
                }
                records.push(Record {
                    sort: sort.to_owned(),
                    version: value.value().0,
                    value: Bytes::copy_from_slice(value.value().1),
                });
            }
            Ok(records)
        })
        .await
    }

    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> Result<Cas> {
        check_size(&value)?;
        Ok(if self.change(key, Change::Update(version, value)).await? { Cas::Updated } else { Cas::Stale })
    }

    async fn delete_if(&self, key: &RecordKey, version: u64) -> Result<Delete> {
        Ok(if self.change(key, Change::Delete(version)).await? { Delete::Deleted } else { Delete::Stale })
    }
}
