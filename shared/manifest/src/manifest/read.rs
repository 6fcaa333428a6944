//! Read: catalog, then L0 items, then hour heads, then day heads. Low first is what makes it exact without transactions:
//! an item missing below was deleted after its replacement was published, so the later read above sees the replacement;
//! an item seen below and listed as replaced above is left out.

use super::{Manifest, Step, corrupt};
use crate::catalog::DayRecord;
use crate::head::Head;
use crate::item::{self, ItemRecord};
use crate::limits::{CATALOG_GETS_MAX, READS_IN_FLIGHT, SNAPSHOT_TIME_MAX};
use crate::snapshot::HeadState;
use crate::{Error, Part, Result, Snapshot};
use futures::{StreamExt, TryStreamExt, stream};
use model::{Hour, Resolution, SegmentId, Signal, TenantId, TimeRangeMs, TimestampMs};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use store::Record;
use store::keys::{self, Window};

/// A head with the place it was read from.
pub(super) type PlacedHead = (Window, Resolution, Head);

impl Manifest {
    /// Returns the live raw parts that overlap `range`, in the read order that makes M1 and M2 hold.
    ///
    /// # Errors
    /// `SnapshotTooSlow` where the reads lay further apart than replaced ids are safe to miss: take it again.
    pub async fn snapshot(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs) -> Result<Snapshot> {
        self.read(tenant, signal, range, false).await
    }

    /// Returns [`Manifest::snapshot`] with the coarse parts of the days touched.
    pub async fn snapshot_with_coarse(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs) -> Result<Snapshot> {
        self.read(tenant, signal, range, true).await
    }

    /// Returns the hours within `range` that may have data, ascending.
    pub async fn hours_with_data(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs) -> Result<Vec<Hour>> {
        let (catalog, _) = self.catalog(tenant, signal, range).await?;
        Ok(live_hours(&catalog, range))
    }

    /// Returns the days that may have data, as days since the Unix epoch, ascending; those whose raw data retention dropped
    /// are left out.
    pub async fn days_with_data(&self, tenant: &TenantId, signal: Signal) -> Result<Vec<i64>> {
        let days = self.all_days(tenant, signal).await?;
        Ok(days.into_iter().filter(|(_, day)| day.dropped_at(Resolution::Raw).is_none()).map(|(day, _)| day).collect())
    }

    /// Returns every tenant and signal that ever committed: where compaction looks for work without listing objects.
    pub async fn tenants(&self) -> Result<Vec<(TenantId, Signal)>> {
        let records = self.records.query_prefix(keys::TENANTS_PARTITION, "").await.step("read registry")?;
        Ok(records.iter().filter_map(|record| keys::parse_registered(&record.sort)).collect())
    }

    async fn read(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs, with_coarse: bool) -> Result<Snapshot> {
        let taken_at = self.now();
        let (catalog, catalog_requests) = self.catalog(tenant, signal, range).await?;
        let hours = live_hours(&catalog, range);
        let days: Vec<i64> = catalog.keys().copied().collect();
        let items = each(&hours, |hour| self.items(tenant, signal, hour)).await?;
        let hour_heads = each(&hours, |hour| self.heads(tenant, signal, Window::Hour(hour), false)).await?.concat();
        let day_heads = each(&days, |day| self.heads(tenant, signal, Window::Day(day), with_coarse)).await?.concat();
        check_time(taken_at, self.now())?;
        let requests = catalog_requests + 2 * hours.len() as u64 + days.len() as u64;
        Ok(Read { items, hour_heads, day_heads }.into_snapshot(&catalog, range, taken_at, requests))
    }

    /// Returns the catalog's days that touch `range`, and the requests it took.
    async fn catalog(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs) -> Result<(BTreeMap<i64, DayRecord>, u64)> {
        if range.is_empty() {
            return Ok((BTreeMap::new(), 0));
        }
        let (first, last) = (range.start.hour().day(), TimestampMs(range.end.0 - 1).hour().day());
        if last - first >= CATALOG_GETS_MAX {
            let days = self.all_days(tenant, signal).await?;
            return Ok((days.into_iter().filter(|(day, _)| (first..=last).contains(day)).collect(), 1));
        }
        let days: Vec<i64> = (first..=last).collect();
        let records = each(&days, |day| self.day(tenant, signal, day)).await?;
        let found = days.iter().copied().zip(records).filter_map(|(day, record)| Some((day, record?))).collect();
        Ok((found, days.len() as u64))
    }

    async fn day(&self, tenant: &TenantId, signal: Signal, day: i64) -> Result<Option<DayRecord>> {
        let key = keys::catalog_day(tenant, signal, day);
        let record = self.records.get(&key).await.step("read catalog day")?;
        record.map(|record| DayRecord::decode(&record.value).map_err(corrupt(&key))).transpose()
    }

    /// Returns the whole catalog of a tenant and signal.
    pub(super) async fn all_days(&self, tenant: &TenantId, signal: Signal) -> Result<BTreeMap<i64, DayRecord>> {
        let partition = keys::catalog_partition(tenant, signal);
        let records = self.records.query_prefix(&partition, keys::DAY_PREFIX).await.step("read catalog")?;
        let parse = |record: Record| {
            let day = keys::parse_day_sort(&record.sort).ok_or("sort key is no day");
            let parsed = day.and_then(|day| Ok((day, DayRecord::decode(&record.value)?)));
            parsed.map_err(corrupt(format!("{partition} {}", record.sort)))
        };
        records.into_iter().map(parse).collect()
    }

    /// Returns the live L0 items of an hour.
    async fn items(&self, tenant: &TenantId, signal: Signal, hour: Hour) -> Result<Vec<Part>> {
        let items = self.item_records(tenant, signal, hour).await?;
        Ok(items.into_iter().filter_map(|(_, _, item)| item.into_live()).collect())
    }

    /// Returns all L0 ids of an hour with their versions.
    pub(super) async fn item_records(
        &self,
        tenant: &TenantId,
        signal: Signal,
        hour: Hour,
    ) -> Result<Vec<(SegmentId, u64, ItemRecord)>> {
        let partition = keys::window_partition(tenant, signal, Window::Hour(hour));
        let records = self.records.query_prefix(&partition, keys::L0_PREFIX).await.step("read l0 items")?;
        let parse = |record: Record| {
            let id = keys::parse_l0_sort(&record.sort).ok_or("sort key is no id");
            let parsed = id.and_then(|id| Ok((id, record.version, item::decode(&record.value)?)));
            parsed.map_err(corrupt(format!("{partition} {}", record.sort)))
        };
        records.into_iter().map(parse).collect()
    }

    /// Returns the heads of a window: the raw one, and the coarse ones on demand.
    pub(super) async fn heads(
        &self,
        tenant: &TenantId,
        signal: Signal,
        window: Window,
        with_coarse: bool,
    ) -> Result<Vec<PlacedHead>> {
        if !with_coarse {
            let key = keys::head(tenant, signal, window, Resolution::Raw);
            return Ok(self.head(&key).await?.map(|head| (window, Resolution::Raw, head)).into_iter().collect());
        }
        let partition = keys::window_partition(tenant, signal, window);
        let records = self.records.query_prefix(&partition, keys::HEAD_PREFIX).await.step("read heads")?;
        let parse = |record: Record| {
            let resolution = keys::parse_head_sort(&record.sort).ok_or("sort key is no head");
            let parsed = resolution.and_then(|resolution| Ok((window, resolution, Head::decode(&record.value)?)));
            parsed.map_err(corrupt(format!("{partition} {}", record.sort)))
        };
        records.into_iter().map(parse).collect()
    }
}

/// Reads one thing per key, several at a time, in order.
async fn each<K: Copy, T, F: Future<Output = Result<T>>>(keys: &[K], read: impl Fn(K) -> F) -> Result<Vec<T>> {
    let reads: Vec<F> = keys.iter().map(|key| read(*key)).collect();
    stream::iter(reads).buffered(READS_IN_FLIGHT).try_collect().await
}

fn live_hours(catalog: &BTreeMap<i64, DayRecord>, range: TimeRangeMs) -> Vec<Hour> {
    let raw = catalog.iter().filter(|(_, record)| record.dropped_at(Resolution::Raw).is_none());
    raw.flat_map(|(day, record)| record.hours_of(*day)).filter(|hour| Window::Hour(*hour).range().overlaps(range)).collect()
}

fn check_time(taken_at: TimestampMs, now: TimestampMs) -> Result<()> {
    let (took_ms, limit_ms) = (now.0.saturating_sub(taken_at.0), SNAPSHOT_TIME_MAX.as_millis() as i64);
    if took_ms > limit_ms {
        return Err(Error::SnapshotTooSlow { took_ms, limit_ms });
    }
    Ok(())
}

/// Everything read for a snapshot, before what was replaced is taken away.
struct Read {
    items: Vec<Vec<Part>>,
    hour_heads: Vec<PlacedHead>,
    day_heads: Vec<PlacedHead>,
}

impl Read {
    fn into_snapshot(
        self,
        catalog: &BTreeMap<i64, DayRecord>,
        range: TimeRangeMs,
        taken_at: TimestampMs,
        requests: u64,
    ) -> Snapshot {
        let dropped = |day: i64, resolution| catalog.get(&day).is_some_and(|record| record.dropped_at(resolution).is_some());
        let placed = || self.hour_heads.iter().chain(&self.day_heads);
        let replaced: HashMap<Window, HashSet<SegmentId>> = placed()
            .filter(|(_, resolution, _)| *resolution == Resolution::Raw)
            .map(|(window, _, head)| (*window, head.replaced_ids()))
            .collect();
        let is_replaced = |part: &Part| replaced.get(&above(part)).is_some_and(|ids| ids.contains(&part.id));
        let heads = placed().map(HeadState::of).collect();
        let below = self.items.into_iter().flatten().chain(self.hour_heads.into_iter().flat_map(|(_, _, head)| head.parts));
        // M2: visible(n) = items(n) − replaced(n+1).
        let mut parts: Vec<Part> = below.filter(|part| !is_replaced(part)).collect();
        let mut coarse = Vec::new();
        for (window, resolution, head) in self.day_heads {
            let kept = head.parts.into_iter().filter(|_| !dropped(window.day(), resolution));
            if resolution == Resolution::Raw { parts.extend(kept) } else { coarse.extend(kept) }
        }
        parts.retain(|part| part.stats.time_range.overlaps(range));
        coarse.retain(|part| part.stats.time_range.overlaps(range));
        parts.sort_by_key(|part| (part.window.range().start, part.window, part.level, part.id));
        Snapshot { parts, coarse, heads, taken_at, requests }
    }
}

/// Returns the window whose head replaces a part listed below it.
fn above(part: &Part) -> Window {
    if part.level == 0 { part.window } else { Window::Day(part.window.day()) }
}

impl HeadState {
    fn of((window, resolution, head): &PlacedHead) -> HeadState {
        HeadState {
            window: *window,
            resolution: *resolution,
            generation: head.generation,
            sealed: head.sealed,
            rollable_from: head.rollable_from(),
            lease: head.lease,
        }
    }
}
