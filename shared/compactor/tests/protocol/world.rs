//! One tenant's data, written as ingest does and read back as a query would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use compactor::{Compactor, Policy, Report, Stores, part_stats};
use manifest::{L0Item, Location, Manifest, ObjectKey, Part, Window};
use model::{
    Clock, EntryFilter, Hour, LabelSet, LogBatch, MetricBatch, Nonces, Resolution, Retention, RetentionPolicy, Signal, TenantId,
    TimeRangeMs, TimestampMs, TimestampNs,
};
use segment::{Encoded, Fetched, l0, logs, metrics};
use store::objects::{ObjectPath, ObjectStore, ObjectStoreExt};
use store::{Objects, Records};
use testkit::SimulatedClock;

use object_store::memory::InMemory;

use crate::switch::{Crash, PutTimes, Rows, SwitchedRecords, process};

/// The ninth hour of its day.
pub const HOUR: Hour = Hour(500_000);
pub const FOREVER: TimestampMs = TimestampMs(i64::MAX);
const SIGNALS: [Signal; 2] = [Signal::Metrics, Signal::Logs];

pub struct World {
    pub tenant: TenantId,
    rows: Rows,
    memory: Arc<InMemory>,
    pub clock: SimulatedClock,
    pub policy: Policy,
    nonces: Arc<Nonces>,
    put_at: PutTimes,
    /// Simulated time that a compactor's put takes.
    pub put_takes: Duration,
    /// Whether a compactor can delete no object for now.
    pub deletes_fail: bool,
    files: u64,
}

/// A toy language: the line contains the text.
#[allow(clippy::unnecessary_wraps)] // As a language of filters is asked.
fn contains(text: &str) -> Result<EntryFilter, String> {
    let text = text.to_owned();
    Ok(EntryFilter::new(move |_, line, _| String::from_utf8_lossy(line).contains(&text)))
}

/// Rows by series or stream, sorted.
pub type Visible = BTreeMap<String, Vec<(i64, String)>>;

/// What coarse copies hold, by resolution and series.
pub type Copies = BTreeMap<String, Vec<String>>;

/// What may happen to an object behind everybody's back.
#[derive(Clone, Copy, Debug)]
pub enum Damage {
    Flip,
    Cut,
    Empty,
    Gone,
}

impl Damage {
    pub const ALL: [Damage; 4] = [Damage::Flip, Damage::Cut, Damage::Empty, Damage::Gone];
}

pub fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

pub fn hours(hours: u64) -> Duration {
    minutes(60 * hours)
}

/// The default, without coarse copies: a kind of their own.
pub fn default_policy() -> Policy {
    let metrics = Retention::raw_for(7);
    Policy { retention: RetentionPolicy { metrics, ..RetentionPolicy::default() }, ..Policy::default() }
}

/// Little data starts a merge.
pub fn small_policy() -> Policy {
    Policy { l0_files: 4, l1_files: 2, ..default_policy() }
}

impl World {
    pub fn new() -> World {
        World {
            tenant: TenantId::anonymous(),
            rows: Rows::default(),
            memory: Arc::default(),
            clock: SimulatedClock::at(HOUR.start()),
            policy: small_policy(),
            nonces: Arc::new(Nonces::seeded(1)),
            put_at: Arc::new(Mutex::default()),
            put_takes: Duration::ZERO,
            deletes_fail: false,
            files: 0,
        }
    }

    /// Returns a copy that goes its own way.
    pub fn fork(&self) -> World {
        World {
            tenant: self.tenant.clone(),
            rows: self.rows.fork(),
            memory: Arc::new(self.memory.fork()),
            clock: SimulatedClock::at(self.clock.now()),
            policy: self.policy.clone(),
            nonces: Arc::new(Nonces::seeded(2)),
            put_at: Arc::new(Mutex::new(self.put_at.lock().unwrap().clone())),
            put_takes: self.put_takes,
            deletes_fail: self.deletes_fail,
            files: self.files,
        }
    }

    pub fn records(&self) -> Records {
        Arc::new(self.rows.clone())
    }

    pub fn objects(&self) -> Objects {
        self.memory.clone()
    }

    pub fn manifest(&self) -> Manifest {
        Manifest::new(self.records(), Arc::new(self.clock.clone()), self.nonces.clone())
    }

    /// A process that knows nothing yet, and its calls.
    pub fn compactor(&self, crash: Option<Crash>) -> (Compactor, SwitchedRecords) {
        let (records, mut objects) =
            process(&self.records(), &self.objects(), &self.clock, (&self.put_at, self.put_takes), crash);
        objects.deletes_fail = self.deletes_fail;
        let (clock, nonces) = (Arc::new(self.clock.clone()), self.nonces.clone());
        let shared: Records = Arc::new(records.clone());
        let manifest = Manifest::new(shared.clone(), clock.clone(), nonces.clone());
        let stores = Stores { manifest, records: shared, objects: Arc::new(objects), clock, nonces };
        (Compactor::new(stores, self.policy.clone()).with_entry_filters(contains), records)
    }

    /// Runs a fresh process to the end.
    pub async fn run(&self) -> Report {
        let report = self.compactor(None).0.run(FOREVER, &[]).await.unwrap();
        assert_eq!((report.failed, report.out_of_time), (0, false));
        report
    }

    /// Puts an object that nothing references.
    pub async fn put(&self, key: &ObjectKey, bytes: Bytes) {
        let (_, objects) = process(&self.records(), &self.objects(), &self.clock, (&self.put_at, Duration::ZERO), None);
        objects.put(&key.path(), bytes.into()).await.unwrap();
    }

    pub fn key(&self, signal: Signal, window: Window, level: u8) -> ObjectKey {
        let (tenant, resolution) = (self.tenant.clone(), Resolution::Raw);
        ObjectKey { tenant, signal, window, resolution, level, id: self.nonces.segment_id(), nonce: self.nonces.next() }
    }

    /// Commits a segment; every other one inside its record.
    pub async fn append(&self, signal: Signal, hour: Hour, encoded: Encoded, inline: bool) -> Part {
        let key = self.key(signal, Window::Hour(hour), 0);
        let location = if inline {
            Location::Inline(encoded.bytes.clone())
        } else {
            self.put(&key, encoded.bytes.clone()).await;
            Location::Object { key: key.to_string(), len: encoded.bytes.len() as u64 }
        };
        let stats = part_stats(&encoded.stats, Window::Hour(hour), 0);
        let (tail_offset, minted_at) = (encoded.tail_offset, self.clock.now());
        let item = L0Item { id: key.id, location, tail_offset, stats, minted_at };
        self.manifest().commit(&self.tenant, signal, hour, item.clone()).await.unwrap();
        item.into_part(hour)
    }

    /// Writes so many files of both signals into an hour. No row is like one of another file.
    pub async fn fill(&mut self, hour: Hour, files: u64) {
        for _ in 0..files {
            self.files += 1;
            let file = self.files;
            self.append(Signal::Metrics, hour, self.metrics(hour, file), file.is_multiple_of(2)).await;
            self.append(Signal::Logs, hour, self.logs(hour, file), !file.is_multiple_of(2)).await;
        }
    }

    pub fn metrics(&self, hour: Hour, file: u64) -> Encoded {
        let mut batch = MetricBatch::default();
        for instance in 0..5u64 {
            let labels = [("__name__", "m"), ("i", &*(instance + file % 3).to_string())];
            batch.start_series_of(&LabelSet::from_pairs(labels));
            let at = hour.start().plus(Duration::from_secs(file));
            batch.push_sample(at, (file * 10 + instance) as f64, TimestampMs(0));
        }
        l0::encode_metrics(&self.tenant, &batch).unwrap()
    }

    /// A scrape every 15 s, the first at the full hour; the counter of one series is reset.
    pub fn dense(&self, hour: Hour) -> Encoded {
        let mut batch = MetricBatch::default();
        for instance in ["a", "b"] {
            batch.start_series_of(&LabelSet::from_pairs([("__name__", "dense_total"), ("i", instance)]));
            for scrape in 0..240u64 {
                let value = if instance == "a" { scrape } else { scrape % 100 };
                batch.push_sample(hour.start().plus(Duration::from_secs(15 * scrape)), value as f64, TimestampMs(0));
            }
        }
        l0::encode_metrics(&self.tenant, &batch).unwrap()
    }

    pub fn logs(&self, hour: Hour, file: u64) -> Encoded {
        let mut batch = LogBatch::default();
        let labels = LabelSet::from_pairs([("app", &*(file % 2).to_string())]);
        batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
        for line in 0..3 {
            let timestamp = TimestampNs(hour.start().to_ns().0 + line * 1000);
            batch.push_entry(timestamp, format!("file {file} line {line}").as_bytes(), &[]);
        }
        l0::encode_logs(&self.tenant, &batch).unwrap()
    }

    pub async fn parts(&self, signal: Signal) -> Vec<Part> {
        let all = TimeRangeMs::new(TimestampMs(0), Hour(600_000).start());
        self.manifest().snapshot(&self.tenant, signal, all).await.unwrap().parts
    }

    /// What the visible coarse copies of the first day hold, by resolution and series: windows, or samples.
    pub async fn copies(&self) -> Copies {
        let (day, mut found) = (HOUR.day(), Copies::new());
        let range = Window::Day(day).range();
        let snapshot = self.manifest().snapshot_with_coarse(&self.tenant, Signal::Metrics, range).await.unwrap();
        for resolution in [Resolution::FiveMinutes, Resolution::OneHour] {
            for part in snapshot.copy(day, resolution).unwrap_or_default() {
                let bytes = self.bytes(part).await;
                let report = segment::verify::verify(&bytes, None, Some(&self.tenant));
                assert!(report.is_sound(), "{:?}", report.problems);
                let key = |labels: &str| format!("{} {labels}", resolution.as_str());
                if !segment::windows::is_windows(&bytes, 0) {
                    let mut rows = Visible::new();
                    read(Signal::Metrics, &bytes, &mut rows);
                    for (labels, rows) in rows {
                        let rows = rows.iter().map(|row| format!("{row:?}")).collect();
                        assert!(found.insert(key(&labels), rows).is_none(), "{labels} is in two parts");
                    }
                    continue;
                }
                let index = segment::windows::Index::open_tail(&bytes, 0).unwrap();
                for ordinal in 0..index.series_len() as u32 {
                    let fetched = Fetched::whole(bytes.clone());
                    let columns = index.decode_ordinals(&[ordinal], segment::windows::Projection::ALL, &fetched).unwrap();
                    let line = |of: &model::windowed::Window| {
                        format!("{} {} {} {} {} {} {}", of.end, of.count, of.first, of.last, of.total(), of.lost, of.resets)
                    };
                    let windows = columns.windows.iter().map(line).collect();
                    let labels = index.labels(ordinal).to_string();
                    assert!(found.insert(key(&labels), windows).is_none(), "{labels} is in two parts");
                }
            }
        }
        found
    }

    /// Levels of the live parts.
    pub async fn levels(&self, signal: Signal) -> Vec<u8> {
        let mut levels: Vec<u8> = self.parts(signal).await.iter().map(|part| part.level).collect();
        levels.sort_unstable();
        levels
    }

    /// Everything a query sees, each row as often as it lies in a live part.
    pub async fn visible(&self) -> Visible {
        let mut visible = Visible::new();
        for signal in SIGNALS {
            for part in self.parts(signal).await {
                read(signal, &self.bytes(&part).await, &mut visible);
            }
        }
        visible.values_mut().for_each(|rows| rows.sort());
        visible
    }

    /// Counts the exemplars that are visible.
    pub async fn exemplars(&self) -> usize {
        let mut count = 0;
        for part in self.parts(Signal::Metrics).await {
            let index = metrics::Index::open(&self.bytes(&part).await).unwrap();
            count += index.exemplars(&[], TimeRangeMs::new(TimestampMs(0), TimestampMs(i64::MAX))).unwrap().len();
        }
        count
    }

    /// Damages the object of the one raw part that holds a series; returns its key.
    pub async fn damage(&self, series: &str, damage: Damage) -> String {
        for part in self.parts(Signal::Metrics).await {
            let bytes = self.bytes(&part).await;
            let labels = metrics::Index::open(&bytes).unwrap().all().into_iter().map(|entry| entry.labels.to_string());
            let Location::Object { key, .. } = &part.location else { continue };
            if !labels.collect::<Vec<String>>().iter().any(|labels| labels == series) {
                continue;
            }
            let (path, mut bytes, middle) = (ObjectPath::from(key.as_str()), bytes.to_vec(), bytes.len() / 2);
            match damage {
                Damage::Flip => bytes[middle] ^= 1,
                Damage::Cut => bytes.truncate(middle),
                Damage::Empty => bytes.clear(),
                Damage::Gone => self.memory.delete(&path).await.unwrap(),
            }
            if !matches!(damage, Damage::Gone) {
                self.memory.put(&path, bytes.into()).await.unwrap();
            }
            return key.clone();
        }
        panic!("no object holds {series}")
    }

    pub async fn bytes(&self, part: &Part) -> Bytes {
        match &part.location {
            Location::Inline(bytes) => bytes.clone(),
            Location::Object { key, .. } => {
                self.memory.get(&ObjectPath::from(key.as_str())).await.unwrap().bytes().await.unwrap()
            }
        }
    }

    /// Counts the objects there are.
    pub async fn objects_stored(&self) -> usize {
        futures::StreamExt::count(self.memory.list(None)).await
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
