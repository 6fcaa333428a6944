//! Retention at the grain of a day: drop, wait for the grace, delete, forget.

use manifest::{Snapshot, Window};
use model::{Keep, Resolution, Retention, SegmentId, Signal, TenantId, TimestampMs};
use std::collections::BTreeSet;

use crate::limits::PACE_RETAIN;
use crate::rewrite::manifest_error;
use crate::run::{Next, Run};
use crate::{CompactError, Compactor};

impl Compactor {
    /// Drops the days of a tenant and signal that have expired, and deletes those dropped for longer than the grace.
    pub(crate) async fn retain(&self, tenant: &TenantId, signal: Signal, run: &mut Run) -> Result<Next, CompactError> {
        let retention = self.policy().retention.of(tenant, signal);
        let days = self.manifest().days_with_data(tenant, signal).await.map_err(manifest_error("read catalog"))?;
        for day in days.into_iter().filter(|day| is_expired(*day, retention.raw, self.now())) {
            if self.is_covered(tenant, signal, day, retention).await? {
                let dropped = self.manifest().drop_day(tenant, signal, day, Resolution::Raw).await;
                dropped.map_err(manifest_error("drop day"))?;
                run.report.dropped_days += 1;
            }
        }
        for resolution in Resolution::ALL {
            let dropped = self.manifest().dropped_days(tenant, signal, resolution).await;
            for day in dropped.map_err(manifest_error("read catalog"))? {
                if self.now() >= run.begin_by {
                    return Ok(Next::Again);
                }
                run.report.deleted += self.forget(tenant, signal, day, resolution).await?;
            }
        }
        Ok(Next::At(self.now().plus(PACE_RETAIN)))
    }

    /// D2: raw data goes only where every coarse copy that is asked for is live and was made of exactly what is visible.
    async fn is_covered(&self, tenant: &TenantId, signal: Signal, day: i64, retention: &Retention) -> Result<bool, CompactError> {
        if retention.coarse.is_empty() {
            return Ok(true);
        }
        let snapshot = self.manifest().snapshot_with_coarse(tenant, signal, Window::Day(day).range()).await;
        let snapshot = snapshot.map_err(manifest_error("take snapshot"))?;
        Ok(retention.coarse.keys().all(|resolution| covers(&snapshot, *resolution)))
    }

    /// Deletes the objects of a dropped day, then its records; returns how many objects.
    async fn forget(&self, tenant: &TenantId, signal: Signal, day: i64, resolution: Resolution) -> Result<u64, CompactError> {
        let objects = self.manifest().dropped_objects(tenant, signal, day, resolution).await;
        let objects = objects.map_err(manifest_error("list dropped objects"))?;
        let count = objects.len();
        let gone = self.delete_objects(objects).await;
        if gone.len() == count {
            self.manifest().forget_day(tenant, signal, day, resolution).await.map_err(manifest_error("forget day"))?;
        }
        Ok(gone.len() as u64)
    }
}

/// Reports whether all of a day is older than it is kept.
pub(crate) fn is_expired(day: i64, keep: Keep, now: TimestampMs) -> bool {
    match keep {
        Keep::For(span) => Window::Day(day).range().end.plus(span) <= now,
        Keep::Forever => false,
    }
}

/// Reports whether the coarse parts of a resolution were made of exactly the raw parts that are live.
fn covers(snapshot: &Snapshot, resolution: Resolution) -> bool {
    let raw: BTreeSet<SegmentId> = snapshot.parts.iter().map(|part| part.id).collect();
    let of_resolution = snapshot.coarse.iter().filter(|part| part.resolution == resolution);
    let made_of: BTreeSet<SegmentId> = of_resolution.flat_map(|part| part.sources.clone()).collect();
    raw == made_of
}
