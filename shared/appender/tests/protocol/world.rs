//! Both stores with their faults, writers of processes of their own, and what a reader finds afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use appender::{Adaptive, Batch, Direct, Group, GroupOptions, WriteBuffer, Writer};
use bytes::Bytes;
use manifest::{Location, Manifest, Part};
use model::{Hour, Nonces, Signal, TenantId, TimeRangeMs, TimestampMs};
use object_store::{ObjectStoreExt, path::Path};
use segment::merge::{self, MergeOptions};
use segment::{Fetched, l0, logs, metrics};
use store::objects::{self, Counters};
use store::{Objects, records};
use testkit::{FaultyObjects, FaultyRecords, LogBatchBuilder, MetricBatchBuilder, SimulatedClock};

pub const HOUR: Hour = Hour(20_778 * 24 + 7);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    Direct,
    Group,
}

pub struct World {
    pub tenant: TenantId,
    pub clock: SimulatedClock,
    pub records: FaultyRecords,
    pub faulty_objects: FaultyObjects,
    pub objects: Objects,
    /// Counts object calls before the faults: attempts.
    pub counters: Arc<Counters>,
    nonces: Arc<Nonces>,
}

impl World {
    pub fn new() -> World {
        let clock = SimulatedClock::at(HOUR.start().plus(Duration::from_secs(60)));
        let records = FaultyRecords::new(records::memory(), clock.clone(), 1);
        let faulty_objects = FaultyObjects::new(objects::memory());
        let (objects, counters) = objects::counted(Arc::new(faulty_objects.clone()));
        let nonces = Arc::new(Nonces::seeded(1));
        World { tenant: TenantId::anonymous(), clock, records, faulty_objects, objects, counters, nonces }
    }

    pub fn manifest(&self) -> Manifest {
        Manifest::new(Arc::new(self.records.clone()), Arc::new(self.clock.clone()), self.nonces.clone())
    }

    /// A process that knows nothing yet.
    pub fn writer(&self) -> Writer {
        Writer::new(self.objects.clone(), self.manifest(), Arc::new(self.clock.clone()), self.nonces.clone())
    }

    /// A buffer that chooses by what it measures; groups are written at once.
    pub fn adaptive(&self, writer: Writer) -> Adaptive {
        let options = GroupOptions { linger: Duration::from_millis(250), bytes_max: 1 };
        Adaptive::living(writer, options, Arc::new(self.clock.clone()))
    }

    pub fn buffer(&self, strategy: Strategy) -> Box<dyn WriteBuffer> {
        match strategy {
            Strategy::Direct => Box::new(Direct::new(self.writer())),
            Strategy::Group => Box::new(self.group(1)),
        }
    }

    /// A group that is written once it holds `bytes_max`: no test waits for the linger.
    pub fn group(&self, bytes_max: usize) -> Group {
        group_over(self.writer(), bytes_max)
    }

    pub fn puts(&self) -> u64 {
        self.counters.counts().puts
    }

    pub async fn parts_in(&self, signal: Signal, range: TimeRangeMs) -> Vec<Part> {
        self.manifest().snapshot(&self.tenant, signal, range).await.unwrap().parts
    }

    /// The parts a reader of everything finds.
    pub async fn parts(&self, signal: Signal) -> Vec<Part> {
        self.parts_in(signal, TimeRangeMs::new(TimestampMs(HOUR.start().0 - DAY_MS), TimestampMs(HOUR.end().0 + DAY_MS))).await
    }

    async fn bytes(&self, part: &Part) -> Bytes {
        match &part.location {
            Location::Inline(bytes) => bytes.clone(),
            Location::Object { key, len } => {
                let bytes = self.objects.get(&Path::from(key.as_str())).await.unwrap().bytes().await.unwrap();
                assert_eq!(bytes.len() as u64, *len);
                bytes
            }
        }
    }

    /// The rows a reader finds in all parts, deduplicated by W3.
    pub async fn rows(&self, signal: Signal) -> Rows {
        let mut inputs = Vec::new();
        for part in self.parts(signal).await {
            inputs.push(self.bytes(&part).await);
        }
        rows_of(signal, &inputs)
    }
}

pub fn group_over(writer: Writer, bytes_max: usize) -> Group {
    Group::new(writer, GroupOptions { linger: Duration::from_secs(3600), bytes_max })
}

const DAY_MS: i64 = 24 * 3_600_000;

/// (labels, time, value or line) → how often.
pub type Rows = BTreeMap<(String, i64, String), usize>;

/// The rows a batch must leave behind.
pub fn expected(tenant: &TenantId, batches: &[Batch]) -> Rows {
    let encode = |batch: &Batch| match batch {
        Batch::Metrics(batch) => l0::encode_metrics(tenant, batch).unwrap().bytes,
        Batch::Logs(batch) => l0::encode_logs(tenant, batch).unwrap().bytes,
    };
    rows_of(batches[0].signal(), &batches.iter().map(encode).collect::<Vec<_>>())
}

fn rows_of(signal: Signal, inputs: &[Bytes]) -> Rows {
    let mut outputs = Vec::new();
    let options = MergeOptions::default();
    match signal {
        Signal::Metrics => merge::metrics(inputs, &options, &mut |output| outputs.push(output.bytes)).unwrap(),
        Signal::Logs => merge::logs(inputs, &options, &mut |output| outputs.push(output.bytes)).unwrap(),
    };
    let mut rows = Rows::new();
    for output in &outputs {
        match signal {
            Signal::Metrics => read_metrics(output, &mut rows),
            Signal::Logs => read_logs(output, &mut rows),
        }
    }
    rows
}

fn read_metrics(bytes: &Bytes, into: &mut Rows) {
    let index = metrics::Index::open(bytes).unwrap();
    let all = index.all();
    let columns = index.decode(&all, metrics::Projection::ALL, &Fetched::whole(bytes.clone())).unwrap();
    for (place, entry) in all.iter().enumerate() {
        let samples = columns.series(place);
        for (timestamp, value) in samples.timestamps.iter().zip(samples.values) {
            *into.entry((entry.labels.to_string(), *timestamp, format!("{:016x}", value.to_bits()))).or_default() += 1;
        }
    }
}

fn read_logs(bytes: &Bytes, into: &mut Rows) {
    let index = logs::Index::open(bytes).unwrap();
    let all = index.all();
    let range = model::TimeRangeNs { start: model::TimestampNs(i64::MIN), end: model::TimestampNs(i64::MAX) };
    for chunk in index.chunks(&all, range, &[]) {
        let columns = index.decode(&chunk, logs::Projection::ALL, &Fetched::whole(bytes.clone())).unwrap();
        for (stream, rows) in &columns.runs {
            let labels = all[*stream as usize].labels.to_string();
            for row in rows.start as usize..rows.end as usize {
                let line = String::from_utf8(columns.lines.get(row).to_vec()).unwrap();
                *into.entry((labels.clone(), columns.timestamps[row], line)).or_default() += 1;
            }
        }
    }
}

/// One sample like no other: inline, one segment.
pub fn single(number: i64) -> Batch {
    let name = format!("single_{number}");
    Batch::Metrics(MetricBatchBuilder::default().series([("__name__", name.as_str())], [(HOUR.start().0, number as f64)]).build())
}

/// A few samples in two hours: inline twice.
pub fn small() -> Batch {
    let (first, second) = (HOUR.start().0, HOUR.end().0);
    let rows = [(first + 1, 1.0), (first + 2, 2.0), (second + 1, 3.0)];
    let builder = MetricBatchBuilder::default().series([("__name__", "up"), ("job", "a")], rows);
    Batch::Metrics(builder.series([("__name__", "up"), ("job", "b")], [(second + 7, -0.0)]).build())
}

/// Samples that no encoding makes small: an object.
pub fn large() -> Batch {
    let mut builder = MetricBatchBuilder::default();
    for series in 0..4 {
        let name = format!("noise_{series}");
        let rows = (0..600i64).map(|row| (HOUR.start().0 + row * 1000, ((row * 4 + series) as f64).sin()));
        builder = builder.series([("__name__", name.as_str())], rows);
    }
    Batch::Metrics(builder.build())
}

/// Lines in two hours, one of them twice.
pub fn lines() -> Batch {
    let at = |ms: i64| ms * 1_000_000;
    let (first, second) = (HOUR.start().0, HOUR.end().0);
    let rows = [(at(first), "a"), (at(first), "b"), (at(first), "a"), (at(second), "c")];
    Batch::Logs(LogBatchBuilder::default().stream([("job", "a")], rows).build())
}
