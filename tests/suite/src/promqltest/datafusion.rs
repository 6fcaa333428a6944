//! The engine over segments in memory stores: what a script loads is encoded, committed and read back.
//!
//! Every hour of data is laid out in three ways at once: its first half hour is merged (Parquet), the rest lies in two L0
//! segments that hold every other sample. A case that passes here passes over all of them and over their seams.

use std::collections::BTreeMap;
use std::sync::Arc;

use appender::{Batch, Writer};
use bytes::Bytes;
use engine::{Engine, EngineConfig};
use manifest::{L0Item, Location, Manifest, PartStats};
use model::batch::HistogramRow;
use model::segment_id::Nonces;
use model::{Clock, Hour, Limits, MetricBatch, SegmentId, Signal, TenantId, TimestampMs};
use plan::{Answer, LogicalPlan, Series};
use store::objects::{ObjectPath, ObjectStoreExt};
use testkit::SimulatedClock;
use tokio::runtime::Runtime;

use super::engine::Evaluator;

const HALF_HOUR_MS: i64 = 1_800_000;

/// The engine and a thread for it.
pub struct DataFusion {
    runtime: Runtime,
    engine: Option<Engine>,
}

/// Which segment of its hour a sample goes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    Merged(Hour),
    Block(Hour, usize),
}

impl Place {
    fn of(timestamp: i64, index: usize) -> Place {
        let hour = TimestampMs(timestamp).hour();
        if timestamp.rem_euclid(2 * HALF_HOUR_MS) < HALF_HOUR_MS { Place::Merged(hour) } else { Place::Block(hour, index % 2) }
    }
}

impl Default for DataFusion {
    fn default() -> DataFusion {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        DataFusion { runtime: runtime.expect("a thread of its own needs no resource that could be missing"), engine: None }
    }
}

impl Evaluator for DataFusion {
    fn load(&mut self, series: Vec<Series>) {
        let stored = self.runtime.block_on(store(&series));
        self.engine = Some(stored.unwrap_or_else(|error| panic!("store what is loaded: {error:#}")));
    }

    fn evaluate(&self, plan: &LogicalPlan) -> Result<Answer, String> {
        let query = async {
            let empty;
            let engine = match &self.engine {
                Some(engine) => engine,
                None => {
                    empty = store(&[]).await.map_err(|error| error.to_string())?;
                    &empty
                }
            };
            let answer = engine.query(&TenantId::anonymous(), plan.clone(), &Limits::default()).await;
            answer.map(|(answer, _)| answer).map_err(|error| error.to_string())
        };
        self.runtime.block_on(query)
    }
}

/// Writes series into fresh stores, and opens an engine over them.
async fn store(series: &[Series]) -> anyhow::Result<Engine> {
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::at(TimestampMs(0)));
    let nonces = Arc::new(Nonces::seeded(1));
    let (objects, records) = (store::objects::memory(), Arc::new(store::records::memory::MemoryRecords::default()));
    let manifest = Manifest::new(records, Arc::clone(&clock), Arc::clone(&nonces));
    let writer = Writer::new(Arc::clone(&objects), manifest.clone(), Arc::clone(&clock), nonces);
    let tenant = TenantId::anonymous();
    for (place, batch) in batches(series) {
        match place {
            Place::Block(..) => {
                writer.write(&tenant, Batch::Metrics(batch)).await?;
            }
            Place::Merged(hour) => {
                let block = segment::l0::encode_metrics(&tenant, &batch)?;
                let mut outputs = Vec::new();
                segment::merge::metrics(&[block.bytes], &Default::default(), &mut |output| outputs.push(output))?;
                for (index, output) in outputs.into_iter().enumerate() {
                    let key = format!("anonymous/merged/{}-{index}", hour.0);
                    let len = output.bytes.len() as u64;
                    objects.put(&ObjectPath::from(key.as_str()), output.bytes.into()).await?;
                    let item = L0Item {
                        id: SegmentId((hour.0 as u128) << 8 | index as u128),
                        location: Location::Object { key, len },
                        tail_offset: output.tail_offset,
                        stats: part_stats(&output.stats),
                        minted_at: clock.now(),
                    };
                    manifest.commit(&tenant, Signal::Metrics, hour, item).await?;
                }
            }
        }
    }
    let config = EngineConfig { partitions: 2, ..EngineConfig::default() };
    Ok(Engine::new(config, objects, manifest, clock))
}

fn part_stats(stats: &segment::SegmentStats) -> PartStats {
    PartStats {
        rows: stats.rows,
        series: stats.series as u32,
        time_range: stats.range,
        slots: stats.slots,
        epoch: 0,
        names: Bytes::copy_from_slice(stats.filter.as_bytes()),
    }
}

/// Cuts series into the batches that become segments.
fn batches(series: &[Series]) -> BTreeMap<Place, MetricBatch> {
    let mut batches: BTreeMap<Place, MetricBatch> = BTreeMap::new();
    for one in series {
        let mut started: BTreeMap<Place, u32> = BTreeMap::new();
        let mut start = |batches: &mut BTreeMap<Place, MetricBatch>, place| {
            let batch = batches.entry(place).or_default();
            *started.entry(place).or_insert_with(|| {
                batch.start_series_of(&one.labels);
                batch.series_len() as u32 - 1
            })
        };
        for (index, (timestamp, value)) in one.timestamps.iter().zip(&one.values).enumerate() {
            let place = Place::of(*timestamp, index);
            start(&mut batches, place);
            let start_timestamp = one.start_timestamps.get(index).copied().unwrap_or(0);
            let batch = batches.entry(place).or_default();
            batch.push_sample(TimestampMs(*timestamp), *value, TimestampMs(start_timestamp));
        }
        for (index, sample) in one.histograms.iter().enumerate() {
            let place = Place::of(sample.timestamp, index);
            let series = start(&mut batches, place);
            batches.entry(place).or_default().histograms.push(HistogramRow {
                series,
                timestamp: TimestampMs(sample.timestamp),
                start_timestamp: TimestampMs(sample.start_timestamp),
                histogram: sample.histogram.as_ref().clone(),
            });
        }
    }
    batches
}
