//! Retention at the grain of a day: drop, wait for the grace, delete, forget.

use super::heads::{Decision, Lists};
use super::read::PlacedHead;
use super::{Manifest, Step, corrupt};
use crate::catalog::DayRecord;
use crate::head::{Change, Head};
use crate::limits::DEAD_GRACE;
use crate::{Location, Quarantined, Result};
use model::{Hour, Resolution, Signal, TenantId};
use store::RecordKey;
use store::keys::{self, ObjectKey, Window};

impl Manifest {
    /// Drops a day by retention, for one resolution: readers skip it from now on. Its objects are returned by
    /// [`Manifest::dropped_objects`] once the grace has passed.
    pub async fn drop_day(&self, tenant: &TenantId, signal: Signal, day: i64, resolution: Resolution) -> Result<()> {
        let key = keys::catalog_day(tenant, signal, day);
        let now = self.now();
        let drop = |record: Option<&store::Record>| {
            let Some(record) = record else { return Ok(Decision::Stop(Change::Already)) };
            let mut day = DayRecord::decode(&record.value).map_err(corrupt(&key))?;
            if day.dropped_at(resolution).is_some() {
                return Ok(Decision::Stop(Change::Already));
            }
            day.drop_at(resolution, now);
            Ok(Decision::Write(day.encode()))
        };
        self.update_record(&key, "drop day", drop).await.map(|_| ())
    }

    /// Returns the days dropped for a resolution whose grace has passed, ascending.
    pub async fn dropped_days(&self, tenant: &TenantId, signal: Signal, resolution: Resolution) -> Result<Vec<i64>> {
        let due = self.now().minus(DEAD_GRACE);
        let days = self.all_days(tenant, signal).await?;
        Ok(days
            .into_iter()
            .filter(|(_, day)| day.dropped_at(resolution).is_some_and(|at| at <= due))
            .map(|(day, _)| day)
            .collect())
    }

    /// Returns the objects of a dropped day whose grace has passed; empty before. Delete them, then [`Manifest::forget_day`].
    pub async fn dropped_objects(
        &self,
        tenant: &TenantId,
        signal: Signal,
        day: i64,
        resolution: Resolution,
    ) -> Result<Vec<String>> {
        if !self.dropped_days(tenant, signal, resolution).await?.contains(&day) {
            return Ok(Vec::new());
        }
        let mut objects = Vec::new();
        for window in windows(day, resolution) {
            if let Window::Hour(hour) = window {
                let items = self.item_records(tenant, signal, hour).await?;
                objects.extend(items.into_iter().filter_map(|(_, _, item)| object_key(item.into_live()?.location)));
            }
            let head = self.head(&keys::head(tenant, signal, window, resolution), Lists::All).await?.unwrap_or_default();
            objects.extend(head.parts.into_iter().filter_map(|part| object_key(part.location)));
            objects.extend(head.dead.into_iter().map(|dead| dead.key));
        }
        let month = keys::head(tenant, signal, Window::Day(day).month(), resolution);
        let month = self.head(&month, Lists::All).await?.unwrap_or_default();
        let packed = month.parts.into_iter().filter(|part| part.window.day() == day);
        objects.extend(packed.filter_map(|part| object_key(part.location)));
        objects.extend(month.dead.into_iter().map(|dead| dead.key).filter(|key| is_of_day(key, day)));
        objects.sort();
        objects.dedup();
        Ok(objects)
    }

    /// Deletes the records of a dropped day after its objects were deleted. The catalog's day stays, so that nothing is
    /// committed into it again.
    pub async fn forget_day(&self, tenant: &TenantId, signal: Signal, day: i64, resolution: Resolution) -> Result<()> {
        if !self.dropped_days(tenant, signal, resolution).await?.contains(&day) {
            return Ok(());
        }
        for window in windows(day, resolution) {
            if let Window::Hour(hour) = window {
                let items = self.item_records(tenant, signal, hour).await?;
                self.delete_items(tenant, signal, hour, items.into_iter().map(|(id, version, _)| (id, version)).collect())
                    .await?;
            }
            // HEAD first: without its pages it could not be read.
            let head = keys::head(tenant, signal, window, resolution);
            self.delete_record(&head).await?;
            self.delete_pages(&head).await?;
        }
        let month = keys::head(tenant, signal, Window::Day(day).month(), resolution);
        self.update_head(&month, Lists::All, |head| forget_packed(head, day)).await?;
        let left = self.is_listed(tenant, signal, day).await?;
        let raw_is_dropped =
            resolution == Resolution::Raw || self.dropped_days(tenant, signal, Resolution::Raw).await?.contains(&day);
        let apart = self.quarantined(tenant, signal).await?;
        // That a raw part was lost is known for as long as a copy lives that may lack it.
        let is_over = |part: &Quarantined| match part.resolution() {
            Resolution::Raw => raw_is_dropped && !left,
            of => of == resolution,
        };
        for gone in apart.iter().filter(|part| part.window.day() == day && is_over(part)) {
            self.lift_quarantine(tenant, signal, gone.id).await?;
        }
        self.close_dropped(tenant, signal, day, resolution, left).await
    }

    /// Reports whether the coarse copies of a day have left nothing that must be collected yet.
    pub async fn is_clean(&self, tenant: &TenantId, signal: Signal, day: i64) -> Result<bool> {
        let coarse =
            self.heads_above(tenant, signal, day).await?.into_iter().filter(|placed| placed.resolution != Resolution::Raw);
        Ok(!coarse.into_iter().flat_map(|placed| placed.head.dead).any(|dead| is_of_day(&dead.key, day)))
    }

    /// Reports whether the heads of a day or of its month list anything of the day.
    async fn is_listed(&self, tenant: &TenantId, signal: Signal, day: i64) -> Result<bool> {
        let heads = self.heads_above(tenant, signal, day).await?;
        let lists = |head: &Head| {
            let is_dead = head.dead.iter().any(|dead| is_of_day(&dead.key, day));
            is_dead || head.parts.iter().any(|part| part.window.day() == day)
        };
        Ok(heads.iter().any(|placed| lists(&placed.head)))
    }

    async fn heads_above(&self, tenant: &TenantId, signal: Signal, day: i64) -> Result<Vec<PlacedHead>> {
        let mut heads = self.heads(tenant, signal, Window::Day(day), true, Lists::All).await?;
        heads.extend(self.heads(tenant, signal, Window::Day(day).month(), true, Lists::All).await?);
        Ok(heads)
    }

    /// Notes that a dropped day lists nothing any more, so that nobody looks again: no hours, not open, not packed. `forgotten` has
    /// just gone; after a coarse copy only where raw data went before.
    async fn close_dropped(&self, tenant: &TenantId, signal: Signal, day: i64, forgotten: Resolution, left: bool) -> Result<()> {
        let key = keys::catalog_day(tenant, signal, day);
        let close = |record: Option<&store::Record>| {
            let Some(record) = record else { return Ok(Decision::Stop(Change::Already)) };
            let before = DayRecord::decode(&record.value).map_err(corrupt(&key))?;
            let raw_is_gone = before.dropped_at(Resolution::Raw).is_some() && before.hours == 0;
            if forgotten != Resolution::Raw && !raw_is_gone {
                return Ok(Decision::Stop(Change::Already));
            }
            let mut after = DayRecord { hours: 0, late: Vec::new(), ..before.clone() };
            if !left {
                (after.opened, after.packed) = (None, None);
            }
            Ok(if after == before { Decision::Stop(Change::Already) } else { Decision::Write(after.encode()) })
        };
        self.update_record(&key, "close dropped day", close).await.map(|_| ())
    }

    async fn delete_record(&self, key: &RecordKey) -> Result<()> {
        if let Some(record) = self.records.get(key).await.step("read head")? {
            self.records.delete_if(key, record.version).await.step("delete head")?;
        }
        Ok(())
    }
}

/// Takes what is of a day out of a month's head. Plans that read it there are void.
fn forget_packed(head: &mut Head, day: i64) -> Change {
    let before = head.parts.len() + head.dead.len();
    head.parts.retain(|part| part.window.day() != day);
    head.dead.retain(|dead| !is_of_day(&dead.key, day));
    if head.parts.len() + head.dead.len() == before {
        return Change::Already;
    }
    head.generation += 1;
    Change::Write
}

fn is_of_day(key: &str, day: i64) -> bool {
    ObjectKey::parse(key).is_some_and(|key| key.window.day() == day)
}

/// Returns the windows of a day that can hold records of a resolution.
fn windows(day: i64, resolution: Resolution) -> Vec<Window> {
    let hours = (0..24).map(|hour| Window::Hour(Hour(day * 24 + hour)));
    // Coarse parts only ever lie in the day's heads.
    hours.filter(|_| resolution == Resolution::Raw).chain([Window::Day(day)]).collect()
}

fn object_key(location: Location) -> Option<String> {
    match location {
        Location::Object { key, .. } => Some(key),
        Location::Inline(_) => None,
    }
}
