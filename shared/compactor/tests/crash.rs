//! Compaction over a record store that fails or loses its answer at every step: nothing visible is lost or doubled.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use compactor::{Compactor, Policy, part_stats};
use manifest::{L0Item, Location, Manifest, ObjectKey, Window};
use model::{
    Clock, Hour, LabelSet, LogBatch, MetricBatch, Nonces, Resolution, SegmentId, Signal, TenantId, TimeRangeMs, TimestampMs,
    TimestampNs,
};
use segment::{Encoded, Fetched, l0, logs, metrics};
use store::objects::{ObjectPath, ObjectStoreExt};
use store::{Cas, Delete, Objects, Put, Record, RecordKey, RecordStore, Records};

#[derive(Debug)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.0.load(Ordering::SeqCst))
    }
}

/// From its `crash_at`th call on every call fails; the call itself takes effect or not.
#[derive(Debug)]
struct Crashing {
    inner: Records,
    calls: AtomicU64,
    crash_at: u64,
    takes_effect: bool,
}

enum Fate {
    Fine,
    AfterEffect,
    Dead,
}

impl Crashing {
    fn fate(&self) -> Fate {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match call.cmp(&self.crash_at) {
            std::cmp::Ordering::Less => Fate::Fine,
            std::cmp::Ordering::Equal if self.takes_effect => Fate::AfterEffect,
            _ => Fate::Dead,
        }
    }
}

fn dead() -> store::Error {
    store::Error::Unavailable { operation: "test", source: "crashed".into() }
}

macro_rules! faulty {
    ($self:ident, $call:expr) => {
        match $self.fate() {
            Fate::Fine => $call.await,
            Fate::AfterEffect => {
                $call.await?;
                Err(dead())
            }
            Fate::Dead => Err(dead()),
        }
    };
}

#[async_trait]
impl RecordStore for Crashing {
    async fn put_if_absent(&self, key: &RecordKey, value: Bytes) -> store::Result<Put> {
        faulty!(self, self.inner.put_if_absent(key, value))
    }
    async fn get(&self, key: &RecordKey) -> store::Result<Option<Record>> {
        faulty!(self, self.inner.get(key))
    }
    async fn query_prefix(&self, partition: &str, sort_prefix: &str) -> store::Result<Vec<Record>> {
        faulty!(self, self.inner.query_prefix(partition, sort_prefix))
    }
    async fn cas_update(&self, key: &RecordKey, version: u64, value: Bytes) -> store::Result<Cas> {
        faulty!(self, self.inner.cas_update(key, version, value))
    }
    async fn delete_if(&self, key: &RecordKey, version: u64) -> store::Result<Delete> {
        faulty!(self, self.inner.delete_if(key, version))
    }
}

const HOUR: Hour = Hour(500_000);

struct World {
    tenant: TenantId,
    records: Records,
    objects: Objects,
    clock: Arc<TestClock>,
    nonces: Arc<Nonces>,
}

type Visible = BTreeMap<String, Vec<(i64, String)>>;

impl World {
    fn new() -> World {
        World {
            tenant: TenantId::anonymous(),
            records: store::records::memory(),
            objects: store::objects::memory(),
            clock: Arc::new(TestClock(AtomicI64::new(HOUR.start().0))),
            nonces: Arc::new(Nonces::seeded(1)),
        }
    }

    fn advance(&self, by: Duration) {
        self.clock.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    fn manifest(&self, records: Records) -> Manifest {
        Manifest::new(records, self.clock.clone(), self.nonces.clone())
    }

    fn compactor(&self, records: Records, policy: Policy) -> Compactor {
        Compactor::new(self.manifest(records), self.objects.clone(), self.clock.clone(), self.nonces.clone(), policy)
    }

    async fn append(&self, signal: Signal, encoded: Encoded, inline: bool) {
        let id = self.nonces.segment_id();
        let location = if inline {
            Location::Inline(encoded.bytes.clone())
        } else {
            let (tenant, resolution, nonce) = (self.tenant.clone(), Resolution::Raw, self.nonces.next());
            let key = ObjectKey { tenant, signal, window: Window::Hour(HOUR), resolution, level: 0, id, nonce };
            self.objects.put(&key.path(), encoded.bytes.clone().into()).await.unwrap();
            Location::Object { key: key.to_string(), len: encoded.bytes.len() as u64 }
        };
        let stats = part_stats(&encoded.stats, Window::Hour(HOUR), 0);
        let item = L0Item { id: SegmentId(id.0), location, tail_offset: encoded.tail_offset, stats, minted_at: self.clock.now() };
        self.manifest(self.records.clone()).commit(&self.tenant, signal, HOUR, item).await.unwrap();
    }

    async fn fill(&self, files: u64) {
        for file in 0..files {
            let mut batch = MetricBatch::default();
            for instance in 0..5u64 {
                batch.start_series_of(&LabelSet::from_pairs([("__name__", "m"), ("i", &(instance + file % 3).to_string())]));
                batch.push_sample(HOUR.start().plus(Duration::from_secs(file)), (file * 10 + instance) as f64, TimestampMs(0));
            }
            self.append(Signal::Metrics, l0::encode_metrics(&self.tenant, &batch).unwrap(), file % 2 == 0).await;
            let mut batch = LogBatch::default();
            batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", &*(file % 2).to_string())]).encoded()));
            for line in 0..3 {
                let timestamp = TimestampNs(HOUR.start().to_ns().0 + line * 1000);
                batch.push_entry(timestamp, format!("file {file} line {line}").as_bytes(), &[]);
            }
            self.append(Signal::Logs, l0::encode_logs(&self.tenant, &batch).unwrap(), file % 2 == 1).await;
        }
    }

    async fn visible(&self) -> Visible {
        let mut visible = Visible::new();
        for signal in [Signal::Metrics, Signal::Logs] {
            let range = Window::Hour(HOUR).range();
            let snapshot = self.manifest(self.records.clone()).snapshot(&self.tenant, signal, range).await.unwrap();
            for part in snapshot.parts {
                let bytes = match &part.location {
                    Location::Inline(bytes) => bytes.clone(),
                    Location::Object { key, .. } => {
                        self.objects.get(&ObjectPath::from(key.as_str())).await.unwrap().bytes().await.unwrap()
                    }
                };
                read(signal, &bytes, &mut visible);
            }
        }
        visible.values_mut().for_each(|rows| rows.sort());
        visible
    }

    async fn parts(&self, signal: Signal) -> usize {
        let range = Window::Hour(HOUR).range();
        self.manifest(self.records.clone()).snapshot(&self.tenant, signal, range).await.unwrap().parts.len()
    }
}

fn read(signal: Signal, bytes: &Bytes, into: &mut Visible) {
    let fetched = Fetched::whole(bytes.clone());
    if signal == Signal::Metrics {
        let index = metrics::Index::open(bytes).unwrap();
        let all = index.select(&[], TimeRangeMs::new(TimestampMs(0), TimestampMs(i64::MAX)));
        let columns = index.decode(&all, metrics::Projection::ALL, &fetched).unwrap();
        for (place, entry) in all.iter().enumerate() {
            let samples = columns.series(place);
            let rows = samples.timestamps.iter().zip(samples.values).map(|(timestamp, value)| (*timestamp, value.to_string()));
            into.entry(entry.labels.to_string()).or_default().extend(rows);
        }
        return;
    }
    let index = logs::Index::open(bytes).unwrap();
    let all = index.all();
    for chunk in index.chunks(&all, model::TimeRangeNs::new(TimestampNs(0), TimestampNs(i64::MAX)), &[]) {
        let columns = index.decode(&chunk, logs::Projection::ALL, &fetched).unwrap();
        for (stream, rows) in &columns.runs {
            let rows = rows.start as usize..rows.end as usize;
            let rows = rows.map(|row| (columns.timestamps[row], String::from_utf8(columns.lines.get(row).to_vec()).unwrap()));
            into.entry(all[*stream as usize].labels.to_string()).or_default().extend(rows);
        }
    }
}

fn small_policy() -> Policy {
    Policy { l0_files: 4, l1_files: 2, ..Policy::default() }
}

const FOREVER: TimestampMs = TimestampMs(i64::MAX);

#[tokio::test]
async fn a_closed_hour_ends_as_one_part() {
    let world = World::new();
    let expected = {
        world.fill(9).await;
        world.visible().await
    };
    let compactor = world.compactor(world.records.clone(), small_policy());
    let report = compactor.run(FOREVER).await.unwrap();
    assert_eq!((report.jobs, report.failed), (2, 0));
    assert_eq!(world.visible().await, expected);
    world.fill(3).await;
    let twice = world.visible().await;
    world.advance(Duration::from_secs(70 * 60));
    compactor.run(FOREVER).await.unwrap();
    assert_eq!((world.parts(Signal::Metrics).await, world.parts(Signal::Logs).await), (1, 1));
    // The second fill repeats rows of the first: one of each is left.
    let got = world.visible().await;
    assert_eq!(got, expected);
    assert_ne!(got, twice);
    // Dead objects go after the grace, and only those.
    world.advance(Duration::from_secs(62 * 60));
    let report = compactor.run(FOREVER).await.unwrap();
    assert!(report.deleted > 0);
    assert_eq!(world.visible().await, expected);
    let left = futures::StreamExt::count(world.objects.list(None)).await;
    assert_eq!(left, 2);
}

#[tokio::test]
async fn a_crash_at_every_step_loses_and_doubles_nothing() {
    for takes_effect in [false, true] {
        for crash_at in 0..80 {
            let world = World::new();
            world.fill(6).await;
            world.advance(Duration::from_secs(70 * 60));
            let expected = world.visible().await;
            let inner = world.records.clone();
            let faulty = Arc::new(Crashing { inner, calls: AtomicU64::new(0), crash_at, takes_effect });
            let _ = world.compactor(faulty.clone(), small_policy()).run(FOREVER).await;
            assert_eq!(world.visible().await, expected, "after a crash at {crash_at}, effect {takes_effect}");
            world.advance(Duration::from_secs(180));
            let report = world.compactor(world.records.clone(), small_policy()).run(FOREVER).await.unwrap();
            assert_eq!(report.failed, 0);
            assert_eq!(world.visible().await, expected, "recovered from a crash at {crash_at}, effect {takes_effect}");
            assert_eq!((world.parts(Signal::Metrics).await, world.parts(Signal::Logs).await), (1, 1));
        }
    }
}

#[tokio::test]
async fn any_order_of_compaction_keeps_what_is_visible() {
    for seed in 0..12u64 {
        let world = World::new();
        let mut state = seed;
        let mut expected = Visible::new();
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if expected.is_empty() || state >> 62 == 0 {
                world.fill(1 + (state >> 40) % 5).await;
            }
            let mut now = world.visible().await;
            now.values_mut().for_each(|rows| rows.dedup());
            expected = now;
            let policy = Policy {
                l0_files: 1 + (state >> 33) as usize % 4,
                l1_files: 2,
                inputs_max: 2 + (state >> 35) as usize % 3,
                output_bytes: if state >> 63 == 0 { 128 << 20 } else { 1 },
                ..Policy::default()
            };
            world.compactor(world.records.clone(), policy).run(FOREVER).await.unwrap();
            world.advance(Duration::from_secs(600));
            let mut got = world.visible().await;
            got.values_mut().for_each(|rows| rows.dedup());
            assert_eq!(got, expected, "seed {seed}");
        }
    }
}
