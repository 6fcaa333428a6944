//! Retention at the grain of a day: drop, wait for the grace, delete, forget.

use manifest::limits::DEAD_GRACE;
use manifest::{DayState, Window};
use model::{Keep, Resolution, Retention, Signal, TenantId, TimestampMs};

use crate::diary::Page;
use crate::limits::PACE_RETAIN;
use crate::rewrite::manifest_error;
use crate::run::{Next, Run};
use crate::{CompactError, Compactor};

impl Compactor {
    /// Drops the days of a tenant and signal that have expired, and deletes those dropped for longer than the grace.
    pub(crate) async fn retain(
        &self,
        tenant: &TenantId,
        signal: Signal,
        page: &mut Page,
        run: &mut Run,
    ) -> Result<Next, CompactError> {
        let retention = self.policy().retention.of(tenant, signal);
        let days = self.manifest().days(tenant, signal).await.map_err(manifest_error("read catalog"))?;
        for (day, resolution) in expired(&days, retention, self.now()) {
            if resolution != Resolution::Raw || self.is_covered(tenant, signal, day, retention).await? {
                let dropped = self.manifest().drop_day(tenant, signal, day, resolution).await;
                dropped.map_err(manifest_error("drop day"))?;
                run.report.dropped_days += 1;
            }
        }
        let forgettable = forgettable(&days, self.now());
        page.forgotten.retain(|of| forgettable.contains(of));
        for (day, resolution) in forgettable {
            if page.forgotten.contains(&(day, resolution)) {
                continue;
            }
            if self.now() >= run.begin_by {
                return Ok(Next::Again(None));
            }
            let (deleted, is_forgotten) = self.forget(tenant, signal, day, resolution).await?;
            run.report.deleted += deleted;
            if is_forgotten {
                page.forgotten.insert((day, resolution));
            }
        }
        Ok(Next::At(self.now().plus(PACE_RETAIN)))
    }

    /// D2: raw data goes only where every coarse copy that is asked for, and not expired itself, is live and was made of exactly what is
    /// visible.
    async fn is_covered(&self, tenant: &TenantId, signal: Signal, day: i64, retention: &Retention) -> Result<bool, CompactError> {
        let asked = wanted_copies(day, retention, self.now());
        if asked.is_empty() {
            return Ok(true);
        }
        let snapshot = self.manifest().snapshot_with_coarse(tenant, signal, Window::Day(day).range()).await;
        let snapshot = snapshot.map_err(manifest_error("take snapshot"))?;
        Ok(asked.iter().all(|resolution| snapshot.is_copied(day, *resolution)))
    }

    /// Deletes the objects of a dropped day, then its records; returns how many objects, and whether that was all. With raw data goes what
    /// its last copies replaced: nobody looks into a day without raw data any more.
    async fn forget(
        &self,
        tenant: &TenantId,
        signal: Signal,
        day: i64,
        resolution: Resolution,
    ) -> Result<(u64, bool), CompactError> {
        let objects = self.manifest().dropped_objects(tenant, signal, day, resolution).await;
        let objects = objects.map_err(manifest_error("list dropped objects"))?;
        let count = objects.len();
        let gone = self.delete_objects(objects).await;
        let (mut deleted, mut is_all) = (gone.len() as u64, gone.len() == count);
        if !is_all {
            return Ok((deleted, false));
        }
        if resolution == Resolution::Raw && !self.policy().retention.of(tenant, signal).coarse.is_empty() {
            for window in [Window::Day(day), Window::Day(day).month()] {
                deleted += self.collect(tenant, signal, window).await?;
            }
            let is_clean = self.manifest().is_clean(tenant, signal, day).await;
            is_all = is_clean.map_err(manifest_error("look for dead objects"))?;
        }
        self.manifest().forget_day(tenant, signal, day, resolution).await.map_err(manifest_error("forget day"))?;
        Ok((deleted, is_all))
    }
}

/// Returns what is older than it is kept and was not dropped yet.
fn expired(days: &[DayState], retention: &Retention, now: TimestampMs) -> Vec<(i64, Resolution)> {
    let of_day = |day: &DayState| {
        let dropped = |resolution| day.dropped.iter().any(|(of, _)| *of == resolution);
        let is_due = |resolution| retention.of(resolution).is_some_and(|keep| is_expired(day.day, keep, now));
        let due = Resolution::ALL.into_iter().filter(|resolution| !dropped(*resolution) && is_due(*resolution));
        due.map(|resolution| (day.day, resolution)).collect::<Vec<_>>()
    };
    days.iter().flat_map(of_day).collect()
}

/// Returns what was dropped, is past the grace, and still listed somewhere.
fn forgettable(days: &[DayState], now: TimestampMs) -> Vec<(i64, Resolution)> {
    let listed = days.iter().filter(|day| day.open || day.packed || !day.hours.is_empty());
    let dropped = listed.flat_map(|day| day.dropped.iter().map(|(resolution, at)| (day.day, *resolution, *at)));
    dropped.filter(|(_, _, at)| at.plus(DEAD_GRACE) <= now).map(|(day, resolution, _)| (day, resolution)).collect()
}

/// Reports whether all of a day is older than it is kept.
pub(crate) fn is_expired(day: i64, keep: Keep, now: TimestampMs) -> bool {
    match keep {
        Keep::For(span) => Window::Day(day).range().end.plus(span) <= now,
        Keep::Forever => false,
    }
}

/// Returns the resolutions of which a day is to have a copy.
pub(crate) fn wanted_copies(day: i64, retention: &Retention, now: TimestampMs) -> Vec<Resolution> {
    let kept = retention.coarse.iter().filter(|(_, keep)| !is_expired(day, **keep, now));
    kept.map(|(resolution, _)| *resolution).collect()
}
