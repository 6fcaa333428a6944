//! Read: catalog, then L0 items, then heads of hours, of days, of months. Low first is what makes it exact without transactions:
//! an item missing below was deleted after its replacement was published, so the later read above sees the replacement;
//! an item seen below and listed as replaced above is left out.

use super::catalogs::Catalog;
use super::heads::Lists;
use super::{Manifest, Step, corrupt};
use crate::catalog::DayRecord;
use crate::head::Head;
use crate::item::{self, ItemRecord};
use crate::limits::{READS_IN_FLIGHT, SNAPSHOT_TIME_MAX};
use crate::mutation::Mutation;
use crate::snapshot::HeadState;
use crate::{Error, Part, Result, Snapshot};
use futures::{StreamExt, TryStreamExt, stream};
use model::{Hour, Resolution, SegmentId, SegmentIds, Signal, TenantId, TimeRangeMs, TimestampMs};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use store::Record;
use store::keys::{self, Window};

/// A head with the place it was read from.
pub(super) struct PlacedHead {
    pub window: Window,
    pub resolution: Resolution,
    /// Pages read for it.
    pub pages: u64,
    /// Whether HEAD references pages, or dropped some.
    pub paged: bool,
    pub head: Head,
}

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
        let catalog = self.catalog(tenant, signal, range).await?;
        Ok(live_hours(&catalog.days, range))
    }

    /// Returns every tenant and signal that ever committed: where compaction looks for work without listing objects.
    pub async fn tenants(&self) -> Result<Vec<(TenantId, Signal)>> {
        let records = self.records.query_prefix(keys::TENANTS_PARTITION, "").await.step("read registry")?;
        Ok(records.iter().filter_map(|record| keys::parse_registered(&record.sort)).collect())
    }

    /// Returns [`Manifest::snapshot_with_coarse`] with the deletions as they are after everything else was read: a merge may
    /// only be planned on this one (`crate::deletion` tells why). One request more.
    pub async fn snapshot_to_merge(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs) -> Result<Snapshot> {
        let mut snapshot = self.read(tenant, signal, range, true).await?;
        let deletions = self.deletions(tenant, signal).await?;
        check_time(snapshot.taken_at, self.now())?;
        snapshot.requests += 1;
        snapshot.set_deletions(deletions.into_iter().filter(|deletion| deletion.request.range.overlaps(range)).collect());
        Ok(snapshot)
    }

    async fn read(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs, with_coarse: bool) -> Result<Snapshot> {
        let taken_at = self.now();
        if range.is_empty() {
            return Ok(Snapshot::empty(taken_at));
        }
        let catalog = self.catalog(tenant, signal, range).await?;
        let hours = live_hours(&catalog.days, range);
        let days: Vec<i64> = catalog.open_days(with_coarse).collect();
        let months: Vec<Window> = catalog.months(with_coarse).into_iter().collect();
        let items_first = !self.makes(Mutation::HighFirst);
        let mut items = Vec::new();
        if items_first {
            items = each(&hours, |hour| self.items(tenant, signal, hour)).await?;
        }
        let hour_heads = flat(each(&hours, |hour| self.heads(tenant, signal, Window::Hour(hour), false, Lists::Visible)).await?);
        let day_heads = flat(each(&days, |day| self.heads(tenant, signal, Window::Day(day), with_coarse, Lists::Visible)).await?);
        let month_heads = flat(each(&months, |month| self.heads(tenant, signal, month, with_coarse, Lists::Visible)).await?);
        if !items_first {
            items = each(&hours, |hour| self.items(tenant, signal, hour)).await?;
        }
        check_time(taken_at, self.now())?;
        let pages: u64 = hour_heads.iter().chain(&day_heads).chain(&month_heads).map(|head| head.pages).sum();
        let requests = 1 + (2 * hours.len() + days.len() + months.len()) as u64 + pages;
        let ignore_replaced = self.makes(Mutation::IgnoreReplaced);
        Ok(Read { catalog, items, hour_heads, day_heads, month_heads, ignore_replaced }.into_snapshot(range, taken_at, requests))
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
        lists: Lists,
    ) -> Result<Vec<PlacedHead>> {
        let records = if with_coarse {
            let partition = keys::window_partition(tenant, signal, window);
            self.records.query_prefix(&partition, keys::HEAD_PREFIX).await.step("read heads")?
        } else {
            let key = keys::head(tenant, signal, window, Resolution::Raw);
            self.records.get(&key).await.step("read head")?.into_iter().collect()
        };
        let mut heads = Vec::with_capacity(records.len());
        for record in records {
            let resolution = keys::parse_head_sort(&record.sort);
            let resolution = resolution.ok_or("sort key is no head").map_err(corrupt(&record.sort))?;
            let key = keys::head(tenant, signal, window, resolution);
            let loaded = self.load_pages(&key, Some(record), lists).await?;
            let paged = !loaded.record.pages.is_empty() || !loaded.record.dropped.is_empty();
            let pages = loaded.pages.len() as u64;
            heads.push(PlacedHead { window, resolution, pages, paged, head: loaded.whole() });
        }
        Ok(heads)
    }
}

/// Reads one thing per key, several at a time, in order.
async fn each<K: Copy, T, F: Future<Output = Result<T>>>(keys: &[K], read: impl Fn(K) -> F) -> Result<Vec<T>> {
    let reads: Vec<F> = keys.iter().map(|key| read(*key)).collect();
    stream::iter(reads).buffered(READS_IN_FLIGHT).try_collect().await
}

fn flat<T>(lists: Vec<Vec<T>>) -> Vec<T> {
    lists.into_iter().flatten().collect()
}

pub(super) fn live_hours(catalog: &BTreeMap<i64, DayRecord>, range: TimeRangeMs) -> Vec<Hour> {
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
    catalog: Catalog,
    items: Vec<Vec<Part>>,
    hour_heads: Vec<PlacedHead>,
    day_heads: Vec<PlacedHead>,
    month_heads: Vec<PlacedHead>,
    /// Only under a mutation.
    ignore_replaced: bool,
}

/// Returns the window whose head may list a part of an hour's head as replaced.
fn day_above(part: &Part) -> Window {
    Window::Day(part.window.day())
}

impl Read {
    /// Returns what each head lists as replaced of what was read one level below.
    fn replaced(&self) -> HashMap<(Window, Resolution), SegmentIds> {
        let items = self.items.iter().flatten().map(|part| (part.window, part));
        let of_hours = self.hour_heads.iter().flat_map(|placed| &placed.head.parts).map(|part| (day_above(part), part));
        let of_days = self.day_heads.iter().flat_map(|placed| &placed.head.parts).map(|part| (part.window.month(), part));
        let mut below: HashMap<(Window, Resolution), SegmentIds> = HashMap::new();
        for (above, part) in items.chain(of_hours).chain(of_days) {
            below.entry((above, part.resolution)).or_default().insert(part.id);
        }
        let placed = self.hour_heads.iter().chain(&self.day_heads).chain(&self.month_heads);
        let replaced = placed.filter_map(|placed| {
            let key = (placed.window, placed.resolution);
            Some((key, placed.head.replaced_of(below.get(&key)?)))
        });
        replaced.collect()
    }

    fn into_snapshot(self, range: TimeRangeMs, taken_at: TimestampMs, requests: u64) -> Snapshot {
        let days = &self.catalog.days;
        let dropped = |day: i64, resolution| days.get(&day).is_some_and(|record| record.dropped_at(resolution).is_some());
        let placed = || self.hour_heads.iter().chain(&self.day_heads).chain(&self.month_heads);
        let replaced = if self.ignore_replaced { HashMap::new() } else { self.replaced() };
        let is_replaced =
            |part: &Part, above: Window| replaced.get(&(above, part.resolution)).is_some_and(|ids| ids.contains(&part.id));
        let heads = placed().map(HeadState::of).collect();
        // M2: visible(n) = items(n) − replaced(n+1).
        let items = self.items.into_iter().flatten().filter(|part| !is_replaced(part, part.window));
        let mut parts: Vec<Part> = items.collect();
        let of_hours = self.hour_heads.into_iter().flat_map(|placed| placed.head.parts);
        parts.extend(of_hours.filter(|part| !is_replaced(part, day_above(part))));
        let of_days = self.day_heads.into_iter().flat_map(|placed| placed.head.parts);
        let of_days: Vec<Part> = of_days.filter(|part| !is_replaced(part, part.window.month())).collect();
        let of_months: Vec<Part> = self.month_heads.into_iter().flat_map(|placed| placed.head.parts).collect();
        let packed = of_months.iter().map(|part| part.id).collect();
        let kept = of_days.into_iter().chain(of_months).filter(|part| !dropped(part.window.day(), part.resolution));
        let (raw, mut coarse): (Vec<Part>, Vec<Part>) = kept.partition(|part| part.resolution == Resolution::Raw);
        parts.extend(raw);
        parts.retain(|part| part.stats.time_range.overlaps(range));
        coarse.retain(|part| part.stats.time_range.overlaps(range));
        parts.sort_by_key(|part| (part.window.range().start, part.window, part.level, part.id));
        let mut snapshot = Snapshot { parts, coarse, packed, heads, requests, ..Snapshot::empty(taken_at) };
        snapshot.set_apart(&self.catalog.quarantined);
        snapshot.set_lost(&self.catalog.quarantined, |day| dropped(day, Resolution::Raw), range);
        snapshot.set_deletions(self.catalog.deletions);
        snapshot
    }
}

impl HeadState {
    fn of(placed: &PlacedHead) -> HeadState {
        let head = &placed.head;
        HeadState {
            window: placed.window,
            resolution: placed.resolution,
            generation: head.generation,
            sealed: head.sealed,
            rollable_from: head.rollable_from(),
            lease: head.lease,
        }
    }
}
