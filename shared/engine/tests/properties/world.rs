//! Generated series as segments in memory stores, in several layouts, and as the reference evaluator's source.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use engine::{Engine, EngineConfig};
use manifest::{L0Item, Location, Manifest, Part, PartStats, Replacement};
use model::batch::HistogramRow;
use model::{
    Clock, Hour, LabelSet, Matcher, MetricBatch, Nonces, Resolution, SegmentId, Signal, TenantId, TimeRangeMs, TimeRangeNs,
    TimestampMs,
};
use plan::reference::Source;
use plan::{EvalError, Series, StreamEntries};
use segment::Encoded;
use store::keys::Window;
use store::objects::{ObjectPath, ObjectStoreExt};

const HOUR_MS: i64 = 3_600_000;

/// How samples lie in segments.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Layout {
    /// Many small blocks, some inside the manifest; some samples twice.
    Fresh,
    /// One merged segment an hour.
    Merged,
    /// Blocks and merged segments, overlapping in time.
    Mixed,
    /// One merged segment for all hours, listed under the day, beside a block an hour.
    Day,
}

impl Layout {
    pub const ALL: [Layout; 4] = [Layout::Fresh, Layout::Merged, Layout::Mixed, Layout::Day];
}

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        TimestampMs(crate::data::T0 + 12 * HOUR_MS)
    }
}

pub struct World {
    pub objects: store::Objects,
    pub manifest: Manifest,
    /// Over the same stores: one partition, several, one that may keep next to nothing in memory, and one that folds all it can.
    pub engines: Vec<Engine>,
}

struct Stores {
    objects: store::Objects,
    manifest: Manifest,
    written: u128,
}

impl World {
    pub async fn filled(layout: Layout, series: &[Series]) -> World {
        World::filled_for(layout, &[(TenantId::anonymous(), series.to_vec())]).await
    }

    pub async fn filled_for(layout: Layout, tenants: &[(TenantId, Vec<Series>)]) -> World {
        let records: store::Records = Arc::new(store::records::memory::MemoryRecords::default());
        let manifest = Manifest::new(records, Arc::new(Fixed), Arc::new(Nonces::seeded(1)));
        let mut stores = Stores { objects: store::objects::memory(), manifest, written: 0 };
        for (tenant, series) in tenants {
            for (place, batch) in batches(layout, series) {
                stores.write(tenant, place, &batch).await;
            }
        }
        let engine = |partitions, bytes| {
            let config =
                EngineConfig { partitions, tail_cache_bytes: bytes, sample_cache_bytes: bytes, ..EngineConfig::default() };
            Engine::new(config, Arc::clone(&stores.objects), stores.manifest.clone(), Arc::new(Fixed))
        };
        let mut engines = vec![engine(1, 64 << 20), engine(4, 64 << 20), engine(2, 4000)];
        let folding = EngineConfig { partitions: 3, values_held_max: 0, ..EngineConfig::default() };
        engines.push(Engine::new(folding, Arc::clone(&stores.objects), stores.manifest.clone(), Arc::new(Fixed)));
        World { objects: stores.objects, manifest: stores.manifest, engines }
    }

    /// Commits a segment of the data's first hour, beside those of the layout.
    pub async fn commit(&self, signal: Signal, id: u128, encoded: &Encoded) {
        let hour = TimestampMs(crate::data::T0).hour();
        let item = item(id, Location::Inline(encoded.bytes.clone()), encoded);
        self.manifest.commit(&TenantId::anonymous(), signal, hour, item).await.unwrap();
    }
}

/// Which segment a sample goes to: merged or not, of which hour (`None`: the day's), and which of several.
type Place = (bool, Option<Hour>, i64);

fn places(layout: Layout, timestamp: i64, index: usize) -> Vec<Place> {
    let hour = Some(TimestampMs(timestamp).hour());
    let minutes = timestamp.rem_euclid(HOUR_MS) / 60_000;
    match layout {
        Layout::Fresh => {
            let mut places = vec![(false, hour, minutes / 7)];
            if index.is_multiple_of(11) {
                places.push((false, hour, 100));
            }
            places
        }
        Layout::Merged => vec![(true, hour, 0)],
        Layout::Mixed => vec![(index.is_multiple_of(3), hour, index as i64 % 2)],
        Layout::Day if minutes == 0 => vec![(false, hour, 0), (true, None, 0)],
        Layout::Day => vec![(true, None, 0)],
    }
}

fn batches(layout: Layout, series: &[Series]) -> BTreeMap<Place, MetricBatch> {
    let mut batches: BTreeMap<Place, MetricBatch> = BTreeMap::new();
    for one in series {
        let mut started: BTreeMap<Place, u32> = BTreeMap::new();
        let mut start = |place, batch: &mut MetricBatch| {
            *started.entry(place).or_insert_with(|| {
                batch.start_series_of(&one.labels);
                batch.series_len() as u32 - 1
            })
        };
        for (index, timestamp) in one.timestamps.iter().enumerate() {
            for place in places(layout, *timestamp, index) {
                let batch = batches.entry(place).or_default();
                start(place, batch);
                let started_at = one.start_timestamps.get(index).copied().unwrap_or(0);
                batch.push_sample(TimestampMs(*timestamp), one.values[index], TimestampMs(started_at));
            }
        }
        for (index, sample) in one.histograms.iter().enumerate() {
            for place in places(layout, sample.timestamp, index) {
                let batch = batches.entry(place).or_default();
                let series = start(place, batch);
                batch.histograms.push(HistogramRow {
                    series,
                    timestamp: TimestampMs(sample.timestamp),
                    start_timestamp: TimestampMs(sample.start_timestamp),
                    histogram: (*sample.histogram).clone(),
                });
            }
        }
    }
    batches
}

impl Stores {
    async fn write(&mut self, tenant: &TenantId, (merged, hour, _): Place, batch: &MetricBatch) {
        let block = segment::l0::encode_metrics(tenant, batch).unwrap();
        let mut outputs = vec![block.clone()];
        if merged {
            outputs.clear();
            segment::merge::metrics(&[block.bytes], &Default::default(), &mut |output| outputs.push(output)).unwrap();
        }
        for output in &outputs {
            let item = self.item(output).await;
            match hour {
                Some(hour) => {
                    self.manifest.commit(tenant, Signal::Metrics, hour, item).await.unwrap();
                }
                None => self.publish(tenant, item).await,
            }
        }
    }

    async fn item(&mut self, encoded: &Encoded) -> L0Item {
        self.written += 1;
        let key = format!("anonymous/{}", self.written);
        let location = if self.written.is_multiple_of(3) && encoded.bytes.len() < 8000 {
            Location::Inline(encoded.bytes.clone())
        } else {
            self.objects.put(&ObjectPath::from(key.as_str()), encoded.bytes.clone().into()).await.unwrap();
            Location::Object { key, len: encoded.bytes.len() as u64 }
        };
        item(self.written, location, encoded)
    }

    async fn publish(&self, tenant: &TenantId, item: L0Item) {
        let hour = TimestampMs(crate::data::T0).hour();
        let window = Window::Day(hour.day());
        let output = Part { level: 2, window, ..item.into_part(hour) };
        let replacement =
            Replacement { window, resolution: Resolution::Raw, generation: 0, inputs: vec![], outputs: vec![output] };
        self.manifest.replace(tenant, Signal::Metrics, replacement).await.unwrap();
    }
}

fn item(id: u128, location: Location, encoded: &Encoded) -> L0Item {
    let stats = PartStats {
        rows: encoded.stats.rows,
        series: encoded.stats.series as u32,
        time_range: encoded.stats.range,
        slots: encoded.stats.slots,
        epoch: 0,
        names: Bytes::copy_from_slice(encoded.stats.filter.as_bytes()),
    };
    L0Item { id: SegmentId(id), location, tail_offset: encoded.tail_offset, stats, minted_at: Fixed.now() }
}

/// Series as the reference evaluator reads them.
pub struct Memory(pub Vec<Series>);

impl Source for Memory {
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        let matches = |labels: &LabelSet| matchers.iter().all(|matcher| matcher.matches_labels(labels));
        let cut = |series: &Series| {
            let at = |t: TimestampMs| series.timestamps.partition_point(|timestamp| *timestamp < t.0);
            let floats = at(range.start)..at(range.end);
            let at = |t: TimestampMs| series.histograms.partition_point(|sample| sample.timestamp < t.0);
            Series {
                labels: series.labels.clone(),
                timestamps: series.timestamps[floats.clone()].to_vec(),
                values: series.values[floats.clone()].to_vec(),
                start_timestamps: series.start_timestamps.get(floats).unwrap_or_default().to_vec(),
                histograms: series.histograms[at(range.start)..at(range.end)].to_vec(),
            }
        };
        let found = self.0.iter().filter(|series| matches(&series.labels)).map(cut);
        Ok(found.filter(|series| !series.timestamps.is_empty() || !series.histograms.is_empty()).collect())
    }

    fn streams(&self, _: &[Matcher], _: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        Ok(Vec::new())
    }
}
