//! A directory as `lamella` lays it out, with the real appender, compactor and engine over it in simulated time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use appender::{Batch, Direct, WriteBuffer, Writer};
use compactor::{Compactor, Policy, Report, Stores};
use engine::{Engine, EngineConfig};
use manifest::{Manifest, Snapshot};
use model::{MetricBatch, Nonces, Resolution, Retention, RetentionPolicy, Signal, TenantId, TimeRangeMs, TimestampMs};
use testkit::SimulatedClock;

/// What a resolution takes.
#[derive(Clone, Copy, Default)]
pub struct Taken {
    pub segments: u64,
    pub rows: u64,
    pub bytes: u64,
}

/// Both stores, and the time.
pub struct World {
    pub tenant: TenantId,
    pub clock: SimulatedClock,
    nonces: Arc<Nonces>,
    records: store::Records,
    objects: store::Objects,
    buffer: Direct,
}

impl World {
    /// Opens a directory, which must not have data yet.
    pub fn open(directory: &Path, now: TimestampMs) -> Result<World> {
        std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        let file = directory.join("records.redb");
        ensure!(!file.exists(), "{} has data already", directory.display());
        let (clock, nonces) = (SimulatedClock::at(now), Arc::new(Nonces::seeded(1)));
        let records = store::records::embedded(&file)?;
        let objects = store::objects::local(&directory.join("objects"))?;
        let manifest = Manifest::new(Arc::clone(&records), Arc::new(clock.clone()), Arc::clone(&nonces));
        let writer = Writer::new(Arc::clone(&objects), manifest, Arc::new(clock.clone()), Arc::clone(&nonces));
        Ok(World { tenant: TenantId::anonymous(), clock, nonces, records, objects, buffer: Direct::new(writer) })
    }

    fn manifest(&self) -> Manifest {
        Manifest::new(Arc::clone(&self.records), Arc::new(self.clock.clone()), Arc::clone(&self.nonces))
    }

    /// Writes a batch as one request.
    pub async fn append(&self, batch: MetricBatch) -> Result<()> {
        self.buffer.append(&self.tenant, Batch::Metrics(batch)).await?;
        Ok(())
    }

    /// Returns a compactor that keeps metrics so long.
    pub fn compactor(&self, metrics: Retention) -> Compactor {
        let retention = RetentionPolicy { metrics, ..RetentionPolicy::default() };
        let (clock, nonces) = (Arc::new(self.clock.clone()), Arc::clone(&self.nonces));
        let (manifest, records, objects) = (self.manifest(), Arc::clone(&self.records), Arc::clone(&self.objects));
        Compactor::new(Stores { manifest, records, objects, clock, nonces }, Policy { retention, ..Policy::default() })
    }

    /// Lets time pass, with a run of the compactor at the end of it.
    pub async fn pass(&self, compactor: &Compactor, by: Duration) -> Result<Report> {
        self.clock.advance(by);
        let report = compactor.run(TimestampMs(i64::MAX), &[]).await?;
        ensure!(report.failed == 0, "{} jobs failed", report.failed);
        Ok(report)
    }

    /// Returns an engine that has read nothing yet.
    pub fn engine(&self) -> Engine {
        Engine::new(EngineConfig::default(), Arc::clone(&self.objects), self.manifest(), Arc::new(self.clock.clone()))
    }

    /// Returns everything that is live in a range.
    pub async fn snapshot(&self, range: TimeRangeMs) -> Result<Snapshot> {
        Ok(self.manifest().snapshot_with_coarse(&self.tenant, Signal::Metrics, range).await?)
    }
}

/// Adds up what a resolution takes in a snapshot.
pub fn taken(snapshot: &Snapshot, resolution: Resolution) -> Taken {
    let parts = snapshot.parts.iter().chain(&snapshot.coarse).filter(|part| part.resolution == resolution);
    parts.fold(Taken::default(), |sum, part| Taken {
        segments: sum.segments + 1,
        rows: sum.rows + part.stats.rows,
        bytes: sum.bytes + part.location.len_bytes(),
    })
}
