//! Both stores of one process behind one switch: at its n-th call the process dies, before or after the effect.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use model::Clock;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult,
};
use store::{Cas, Delete, Objects, Put, Record, RecordKey, RecordStore, Records};
use testkit::SimulatedClock;

/// What happens at a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crash {
    /// The call, counted from 0, at which the process dies. Every later call fails.
    pub at: u64,
    /// Whether that call takes effect.
    pub takes_effect: bool,
}

/// Calls of a process so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Calls {
    pub records: u64,
    pub puts: u64,
    pub gets: u64,
    pub lists: u64,
    pub deletes: u64,
}

#[derive(Debug)]
struct Switch {
    crash: Option<Crash>,
    made: AtomicU64,
    calls: Mutex<Calls>,
    /// Of each call, whether it writes.
    writes: Mutex<Vec<bool>>,
    /// Write units of DynamoDB: one for each 1,024 bytes of a record.
    write_units: AtomicU64,
}

enum Fate {
    Fine,
    AfterEffect,
    Dead,
}

impl Switch {
    fn fate(&self, writes: bool, count: impl Fn(&mut Calls)) -> Fate {
        count(&mut self.calls.lock().unwrap());
        self.writes.lock().unwrap().push(writes);
        let call = self.made.fetch_add(1, Ordering::SeqCst);
        match self.crash {
            Some(crash) if call == crash.at && crash.takes_effect => Fate::AfterEffect,
            Some(crash) if call >= crash.at => Fate::Dead,
            _ => Fate::Fine,
        }
    }
}

/// Records in memory that can be copied.
#[derive(Clone, Debug, Default)]
pub struct Rows(Arc<Mutex<BTreeMap<RecordKey, (Bytes, u64)>>>);

impl Rows {
    /// Returns a copy that goes its own way.
    pub fn fork(&self) -> Rows {
        Rows(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }
}

#[async_trait]
impl RecordStore for Rows {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> store::Result<Put> {
        let mut rows = self.0.lock().unwrap();
        if rows.contains_key(key) {
            return Ok(Put::Exists);
        }
        rows.insert(key.clone(), (value, 1));
        Ok(Put::Written)
    }

    async fn get(&self, key: &RecordKey) -> store::Result<Option<Record>> {
        let rows = self.0.lock().unwrap();
        Ok(rows.get(key).map(|(value, version)| Record { sort: key.sort.clone(), value: value.clone(), version: *version }))
    }

    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> store::Result<Vec<Record>> {
        let first = RecordKey { partition: partition.to_owned(), sort: sort_prefix.to_owned() };
        let rows = self.0.lock().unwrap();
        let found = rows.range(first..).take_while(|(key, _)| key.partition == partition && key.sort.starts_with(sort_prefix));
        let record = |(key, (value, version)): (&RecordKey, &(Bytes, u64))| Record {
            sort: key.sort.clone(),
            value: value.clone(),
            version: *version,
        };
        Ok(found.map(record).collect())
    }

    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> store::Result<Cas> {
        match self.0.lock().unwrap().get_mut(key) {
            Some(row) if row.1 == version => {
                *row = (value, version + 1);
                Ok(Cas::Updated)
            }
            _ => Ok(Cas::Stale),
        }
    }

    async fn delete_if(&self, key: &RecordKey, version: u64) -> store::Result<Delete> {
        let mut rows = self.0.lock().unwrap();
        if rows.get(key).is_some_and(|row| row.1 != version) {
            return Ok(Delete::Stale);
        }
        rows.remove(key);
        Ok(Delete::Deleted)
    }
}

/// The record store as one process sees it.
#[derive(Clone, Debug)]
pub struct SwitchedRecords {
    inner: Records,
    switch: Arc<Switch>,
}

/// The object store as one process sees it; objects age by the simulated clock.
#[derive(Clone, Debug)]
pub struct SwitchedObjects {
    inner: Objects,
    switch: Arc<Switch>,
    clock: SimulatedClock,
    put_at: PutTimes,
    put_takes: Duration,
    /// Whether nothing can be deleted for now.
    pub deletes_fail: bool,
}

/// When each object was put, in simulated time; shared by all processes.
pub type PutTimes = Arc<Mutex<BTreeMap<String, i64>>>;

/// Wraps both stores for a new process.
pub fn process(
    records: &Records,
    objects: &Objects,
    clock: &SimulatedClock,
    (put_at, put_takes): (&PutTimes, Duration),
    crash: Option<Crash>,
) -> (SwitchedRecords, SwitchedObjects) {
    let switch = Arc::new(Switch {
        crash,
        made: AtomicU64::new(0),
        calls: Mutex::default(),
        writes: Mutex::default(),
        write_units: AtomicU64::new(0),
    });
    let (clock, put_at) = (clock.clone(), put_at.clone());
    let objects =
        SwitchedObjects { inner: objects.clone(), switch: switch.clone(), clock, put_at, put_takes, deletes_fail: false };
    (SwitchedRecords { inner: records.clone(), switch }, objects)
}

impl SwitchedRecords {
    /// Returns the calls of the process.
    pub fn calls(&self) -> Calls {
        *self.switch.calls.lock().unwrap()
    }

    /// Returns of each call whether it writes.
    pub fn writes(&self) -> Vec<bool> {
        self.switch.writes.lock().unwrap().clone()
    }

    /// Returns the write units of all records put and updated; what deletions take is not in it.
    pub fn write_units(&self) -> u64 {
        self.switch.write_units.load(Ordering::SeqCst)
    }

    fn weigh(&self, value: &Bytes) {
        self.switch.write_units.fetch_add(value.len().div_ceil(1024).max(1) as u64, Ordering::SeqCst);
    }
}

fn dead() -> store::Error {
    store::Error::Unavailable { operation: "test", source: "crashed".into() }
}

fn dead_object() -> object_store::Error {
    object_store::Error::Generic { store: "test", source: "crashed".into() }
}

macro_rules! switched {
    ($self:ident, $writes:literal, $count:expr, $dead:expr, $call:expr) => {
        match $self.switch.fate($writes, $count) {
            Fate::Fine => $call.await,
            Fate::AfterEffect => {
                $call.await?;
                Err($dead)
            }
            Fate::Dead => Err($dead),
        }
    };
}

#[async_trait]
impl RecordStore for SwitchedRecords {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> store::Result<Put> {
        self.weigh(&value);
        switched!(self, true, |calls| calls.records += 1, dead(), self.inner.put_if_absent(key, value))
    }
    async fn get(&self, key: &RecordKey) -> store::Result<Option<Record>> {
        switched!(self, false, |calls| calls.records += 1, dead(), self.inner.get(key))
    }
    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> store::Result<Vec<Record>> {
        switched!(self, false, |calls| calls.records += 1, dead(), self.inner.query_prefix(partition, sort_prefix))
    }
    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> store::Result<Cas> {
        self.weigh(&value);
        switched!(self, true, |calls| calls.records += 1, dead(), self.inner.cas_update(key, version, value))
    }
    async fn delete_if(&self, key: &RecordKey, version: u64) -> store::Result<Delete> {
        switched!(self, true, |calls| calls.records += 1, dead(), self.inner.delete_if(key, version))
    }
}

impl fmt::Display for SwitchedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "switched {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for SwitchedObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        self.clock.advance(self.put_takes);
        self.put_at.lock().unwrap().insert(location.to_string(), self.clock.now().0);
        switched!(self, true, |calls| calls.puts += 1, dead_object(), self.inner.put_opts(location, payload, options))
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> object_store::Result<Box<dyn MultipartUpload>> {
        Err(object_store::Error::NotSupported { source: "not used by the compactor".into() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        switched!(self, false, |calls| calls.gets += 1, dead_object(), self.inner.get_opts(location, options))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let this = self.clone();
        let delete = move |location: object_store::Result<Path>| {
            let this = this.clone();
            async move {
                let location = location?;
                if this.deletes_fail {
                    return Err(dead_object());
                }
                let one = futures::stream::iter([Ok(location.clone())]).boxed();
                let delete = this.inner.delete_stream(one).try_collect::<Vec<Path>>();
                let deleted: object_store::Result<Vec<Path>> =
                    switched!(this, true, |calls| calls.deletes += 1, dead_object(), delete);
                deleted.map(|_| location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        if !matches!(self.switch.fate(false, |calls| calls.lists += 1), Fate::Fine) {
            return futures::stream::once(async { Err(dead_object()) }).boxed();
        }
        let put_at = self.put_at.clone();
        let aged = move |mut meta: ObjectMeta| {
            let at = put_at.lock().unwrap().get(meta.location.as_ref()).copied().unwrap();
            meta.last_modified = chrono::DateTime::from_timestamp_millis(at).unwrap();
            meta
        };
        self.inner.list(prefix).map_ok(aged).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        switched!(self, false, |calls| calls.lists += 1, dead_object(), self.inner.list_with_delimiter(prefix))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> object_store::Result<()> {
        Err(object_store::Error::NotSupported { source: "not used by the compactor".into() })
    }
}
