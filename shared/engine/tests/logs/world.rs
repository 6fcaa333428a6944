//! Generated entries as segments in memory stores, in several layouts, and as the reference evaluator's source.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use engine::{Engine, EngineConfig};
use manifest::{L0Item, Location, Manifest, PartStats};
use model::{
    Clock, Hour, LogBatch, Matcher, Nonces, SegmentId, Signal, TenantId, TimeRangeMs, TimeRangeNs, TimestampMs, TimestampNs,
};
use plan::reference::Source;
use plan::value::Entry;
use plan::{EvalError, Series, StreamEntries};
use segment::Encoded;
use store::objects::{ObjectPath, ObjectStoreExt};

use crate::data::{SPAN_NS, T0_NS};

/// How entries lie in segments. Entries of one time keep together, so that their order is certain.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Layout {
    /// Blocks one after the other.
    Fresh,
    /// Many small blocks over the same times, some inside the manifest; some entries twice.
    Doubled,
    /// One merged segment an hour.
    Merged,
    /// Blocks and merged segments, overlapping in time, some entries in both.
    Mixed,
}

impl Layout {
    pub const ALL: [Layout; 4] = [Layout::Fresh, Layout::Doubled, Layout::Merged, Layout::Mixed];
}

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        TimestampMs((T0_NS + SPAN_NS) / 1_000_000)
    }
}

pub struct World {
    pub manifest: Manifest,
    /// Over the same stores: one worker, several, and one that may keep next to nothing in memory.
    pub engines: Vec<Engine>,
}

struct Stores {
    objects: store::Objects,
    manifest: Manifest,
    written: u128,
}

impl World {
    pub async fn filled(layout: Layout, streams: &[StreamEntries]) -> World {
        World::filled_for(layout, &[(TenantId::anonymous(), streams.to_vec())]).await
    }

    pub async fn filled_for(layout: Layout, tenants: &[(TenantId, Vec<StreamEntries>)]) -> World {
        let records: store::Records = Arc::new(store::records::memory::MemoryRecords::default());
        let manifest = Manifest::new(records, Arc::new(Fixed), Arc::new(Nonces::seeded(1)));
        let mut stores = Stores { objects: store::objects::memory(), manifest, written: 0 };
        for (tenant, streams) in tenants {
            for (place, batch) in batches(layout, streams) {
                stores.write(tenant, place, &batch).await;
            }
        }
        let engine = |partitions, bytes| {
            let config = EngineConfig { partitions, tail_cache_bytes: bytes, ..EngineConfig::default() };
            Engine::new(config, Arc::clone(&stores.objects), stores.manifest.clone(), Arc::new(Fixed))
        };
        let engines = vec![engine(1, 64 << 20), engine(4, 64 << 20), engine(2, 0)];
        World { manifest: stores.manifest.clone(), engines }
    }
}

/// Which segment an entry goes to: merged or not, of which hour, and which of several.
type Place = (bool, Hour, i64);

fn places(layout: Layout, timestamp: i64) -> Vec<Place> {
    let hour = TimestampNs(timestamp).to_ms().hour();
    // Something that looks arbitrary, and is the same for entries of one time.
    let lot = (timestamp / 1000).wrapping_mul(0x9e37_79b9) >> 7;
    match layout {
        Layout::Fresh => vec![(false, hour, timestamp.rem_euclid(3_600_000_000_000) / 420_000_000_000)],
        Layout::Doubled if lot.rem_euclid(5) == 0 => vec![(false, hour, lot.rem_euclid(7)), (false, hour, 7)],
        Layout::Doubled => vec![(false, hour, lot.rem_euclid(7))],
        Layout::Merged => vec![(true, hour, 0)],
        Layout::Mixed if lot.rem_euclid(4) == 0 => vec![(true, hour, 0), (false, hour, 1)],
        Layout::Mixed => vec![(lot.rem_euclid(3) > 0, hour, lot.rem_euclid(2))],
    }
}

fn batches(layout: Layout, streams: &[StreamEntries]) -> BTreeMap<Place, LogBatch> {
    let mut batches: BTreeMap<Place, LogBatch> = BTreeMap::new();
    for stream in streams {
        let mut by_place: BTreeMap<Place, Vec<&Entry>> = BTreeMap::new();
        for entry in &stream.entries {
            places(layout, entry.timestamp).into_iter().for_each(|place| by_place.entry(place).or_default().push(entry));
        }
        for (place, entries) in by_place {
            let batch = batches.entry(place).or_default();
            batch.start_stream(|out| out.extend_from_slice(stream.labels.encoded()));
            entries
                .into_iter()
                .for_each(|entry| batch.push_entry(TimestampNs(entry.timestamp), &entry.line, entry.metadata.encoded()));
        }
    }
    batches
}

impl Stores {
    async fn write(&mut self, tenant: &TenantId, (merged, hour, _): Place, batch: &LogBatch) {
        let block = segment::l0::encode_logs(tenant, batch).unwrap();
        let mut outputs = vec![block.clone()];
        if merged {
            outputs.clear();
            segment::merge::logs(&[block.bytes], &Default::default(), &mut |output| outputs.push(output)).unwrap();
        }
        for output in &outputs {
            let item = self.item(output).await;
            self.manifest.commit(tenant, Signal::Logs, hour, item).await.unwrap();
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
        let stats = PartStats {
            rows: encoded.stats.rows,
            series: encoded.stats.series as u32,
            time_range: encoded.stats.range,
            slots: encoded.stats.slots,
            epoch: 0,
            names: Bytes::copy_from_slice(encoded.stats.filter.as_bytes()),
        };
        L0Item { id: SegmentId(self.written), location, tail_offset: encoded.tail_offset, stats, minted_at: Fixed.now() }
    }
}

/// Streams as the reference evaluator reads them.
pub struct Memory(pub Vec<StreamEntries>);

impl Source for Memory {
    fn series(&self, _: &[Matcher], _: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        Ok(Vec::new())
    }

    fn streams(&self, matchers: &[Matcher], range: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        let selected = self.0.iter().filter(|stream| matchers.iter().all(|matcher| matcher.matches_labels(&stream.labels)));
        let cut = |stream: &StreamEntries| {
            let inside = |entry: &&Entry| range.contains(TimestampNs(entry.timestamp));
            StreamEntries { labels: stream.labels.clone(), entries: stream.entries.iter().filter(inside).cloned().collect() }
        };
        Ok(selected.map(cut).filter(|stream| !stream.entries.is_empty()).collect())
    }
}
