//! Stores in memory with the real compactor and engine over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use compactor::{Compactor, Policy, Stores, part_stats};
use engine::{Engine, EngineConfig};
use manifest::{L0Item, Location, Manifest, ObjectKey, Window};
use model::batch::HistogramRow;
use model::{
    Clock, Hour, Limits, MetricBatch, Nonces, Resolution, Retention, RetentionPolicy, Signal, TenantId, TimeRangeMs, TimestampMs,
};
use plan::LogicalPlan;
use segment::l0;
use store::objects::ObjectStoreExt;
use testkit::SimulatedClock;

use super::data::{Data, END_MS, START_MS};
use super::kept;
use crate::said::Said;

/// Everything one seed has.
pub struct World {
    tenant: TenantId,
    clock: SimulatedClock,
    nonces: Arc<Nonces>,
    records: store::Records,
    objects: store::Objects,
    engine: Engine,
    /// Outputs are cut small for some seeds, and days read in passes.
    policy: Policy,
}

impl World {
    pub fn new(seed: u64) -> World {
        let clock = SimulatedClock::at(TimestampMs(END_MS));
        let nonces = Arc::new(Nonces::seeded(u128::from(seed)));
        let records: store::Records = Arc::new(store::records::memory::MemoryRecords::default());
        let objects = store::objects::memory();
        let manifest = Manifest::new(Arc::clone(&records), Arc::new(clock.clone()), Arc::clone(&nonces));
        let config = EngineConfig { partitions: 2, ..EngineConfig::default() };
        let engine = Engine::new(config, Arc::clone(&objects), manifest, Arc::new(clock.clone()));
        let coarse = BTreeMap::from([(Resolution::FiveMinutes, kept(30)), (Resolution::OneHour, kept(180))]);
        let metrics = Retention { raw: kept(7), coarse };
        let retention = RetentionPolicy { metrics, ..RetentionPolicy::default() };
        let bytes = if seed.is_multiple_of(3) { 20_000 } else { 64 << 20 };
        let policy = Policy { retention, input_bytes_max: bytes, output_bytes: bytes, ..Policy::default() };
        World { tenant: TenantId::anonymous(), clock, nonces, records, objects, engine, policy }
    }

    fn manifest(&self) -> Manifest {
        Manifest::new(Arc::clone(&self.records), Arc::new(self.clock.clone()), Arc::clone(&self.nonces))
    }

    /// Writes the samples that `takes` names, by series and place, in blocks of some minutes.
    pub async fn write(&mut self, data: &Data, takes: impl Fn(usize, usize) -> bool) {
        let mut blocks: BTreeMap<(Hour, i64), MetricBatch> = BTreeMap::new();
        for (at, series) in data.0.iter().enumerate() {
            let mut open: Option<(Hour, i64)> = None;
            let samples = series.timestamps.iter().zip(&series.values).enumerate().filter(|(place, _)| takes(at, *place));
            for (_, (timestamp, value)) in samples {
                let key = place_of(*timestamp);
                let batch = blocks.entry(key).or_default();
                if open != Some(key) {
                    batch.start_series_of(&series.labels);
                    open = Some(key);
                }
                batch.push_sample(TimestampMs(*timestamp), *value, TimestampMs(0));
            }
            let histograms = series.histograms.iter().enumerate().filter(|(place, _)| takes(at, *place));
            for (_, sample) in histograms {
                let key = place_of(sample.timestamp);
                let batch = blocks.entry(key).or_default();
                if open != Some(key) {
                    batch.start_series_of(&series.labels);
                    open = Some(key);
                }
                let (timestamp, start_timestamp) = (TimestampMs(sample.timestamp), TimestampMs(0));
                let (series, histogram) = (batch.series_len() as u32 - 1, (*sample.histogram).clone());
                batch.histograms.push(HistogramRow { series, timestamp, start_timestamp, histogram });
            }
        }
        for ((hour, _), batch) in blocks {
            self.append(hour, &batch).await;
        }
    }

    async fn append(&self, hour: Hour, batch: &MetricBatch) {
        let encoded = l0::encode_metrics(&self.tenant, batch).expect("generated samples fit");
        let (window, id) = (Window::Hour(hour), self.nonces.segment_id());
        let (tenant, signal, resolution, nonce) = (self.tenant.clone(), Signal::Metrics, Resolution::Raw, self.nonces.next());
        let key = ObjectKey { tenant, signal, window, resolution, level: 0, id, nonce };
        let location = Location::Object { key: key.to_string(), len: encoded.bytes.len() as u64 };
        let stats = part_stats(&encoded.stats, window, 0);
        self.objects.put(&key.path(), encoded.bytes.into()).await.expect("memory takes objects");
        let item = L0Item { id, location, tail_offset: encoded.tail_offset, stats, minted_at: self.clock.now() };
        self.manifest().commit(&self.tenant, Signal::Metrics, hour, item).await.expect("memory takes records");
    }

    async fn compact(&self) {
        let (clock, nonces) = (Arc::new(self.clock.clone()), Arc::clone(&self.nonces));
        let (manifest, records, objects) = (self.manifest(), Arc::clone(&self.records), Arc::clone(&self.objects));
        let compactor = Compactor::new(Stores { manifest, records, objects, clock, nonces }, self.policy.clone());
        let report = compactor.run(TimestampMs(i64::MAX), &[]).await.expect("memory lists tenants");
        assert_eq!(report.failed, 0, "no job fails over memory");
    }

    /// Lets time pass until days are rolled and copied.
    pub async fn roll(&self) {
        self.clock.advance(Duration::from_secs(30 * 3600));
        for _ in 0..6 {
            self.compact().await;
            self.clock.advance(Duration::from_secs(35 * 60));
        }
        self.clock.advance(Duration::from_secs(3 * 3600));
        for _ in 0..4 {
            self.compact().await;
            self.clock.advance(Duration::from_secs(35 * 60));
        }
    }

    /// Lets raw data expire.
    pub async fn expire_raw(&self) -> Result<(), String> {
        self.clock.advance(Duration::from_secs(9 * 86_400));
        for _ in 0..3 {
            self.compact().await;
            self.clock.advance(Duration::from_secs(2 * 3600));
        }
        let range = TimeRangeMs::new(TimestampMs(START_MS), TimestampMs(END_MS));
        let snapshot = self.manifest().snapshot_with_coarse(&self.tenant, Signal::Metrics, range).await;
        let snapshot = snapshot.map_err(|error| error.to_string())?;
        let resolutions = |of| snapshot.coarse.iter().any(|part| part.resolution == of);
        let live = resolutions(Resolution::FiveMinutes) && resolutions(Resolution::OneHour);
        // D2 lets it go, since the copies are there.
        if snapshot.parts.is_empty() && live { Ok(()) } else { Err("raw data did not expire, or its copies did".into()) }
    }

    /// Asks the engine; also returns how many windows it read.
    pub async fn ask(&self, plan: &LogicalPlan) -> (Said, u64) {
        match self.engine.query(&self.tenant, plan.clone(), &Limits::default()).await {
            Ok((answer, stats)) => (Said::of(Ok(answer)), stats.windows),
            Err(error) => (Said::of(Err(error.to_string())), 0),
        }
    }
}

/// The block of a sample: its hour, and a part of it.
fn place_of(timestamp: i64) -> (Hour, i64) {
    (TimestampMs(timestamp).hour(), timestamp.rem_euclid(3_600_000) / 1_300_000)
}
