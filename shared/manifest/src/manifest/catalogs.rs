//! Reading the catalog of a tenant and signal: one query brings its days, deletions and quarantine.

use super::{Manifest, Step, corrupt};
use crate::Result;
use crate::catalog::DayRecord;
use crate::codec::Reason;
use crate::deletion::Deletion;
use crate::quarantine::Quarantined;
use model::{Hour, Resolution, Signal, TenantId, TimeRangeMs, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};
use store::keys::{self, Window};
use store::{Record, RecordKey};

/// What the catalog says of a day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayState {
    /// Days since the Unix epoch.
    pub day: i64,
    /// Hours that may have data of their own: items, or parts that did not roll yet.
    pub hours: Vec<Hour>,
    /// Whether the day's heads may list parts.
    pub open: bool,
    /// Whether the month's heads may list parts of the day.
    pub packed: bool,
    /// Resolutions that retention dropped, and when.
    pub dropped: Vec<(Resolution, TimestampMs)>,
}

impl DayState {
    fn of(day: i64, record: &DayRecord) -> DayState {
        let dropped = Resolution::ALL.into_iter().filter_map(|of| Some((of, record.dropped_at(of)?))).collect();
        let hours = record.hours_of(day).collect();
        DayState { day, hours, open: record.opened.is_some(), packed: record.packed.is_some(), dropped }
    }
}

/// Reports whether retention dropped all of a day that is asked for.
fn is_dropped(day: &DayRecord, with_coarse: bool) -> bool {
    let asked = Resolution::ALL.into_iter().filter(|of| with_coarse || *of == Resolution::Raw);
    asked.into_iter().all(|of| day.dropped_at(of).is_some())
}

/// Decodes the record of a day; an absent one is empty.
pub(super) fn decode_day(key: &RecordKey, record: Option<&Record>) -> Result<DayRecord> {
    record.map_or(Ok(DayRecord::default()), |record| DayRecord::decode(&record.value).map_err(corrupt(key)))
}

/// What the catalog says about a time range.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    /// Days that touch the range.
    pub days: BTreeMap<i64, DayRecord>,
    /// Deletions that touch it, ended ones included.
    pub deletions: Vec<Deletion>,
    /// All that is in quarantine.
    pub quarantined: Vec<Quarantined>,
}

impl Catalog {
    /// Returns the days whose heads may list parts somebody may still read.
    pub fn open_days(&self, with_coarse: bool) -> impl Iterator<Item = i64> {
        let open = self.days.iter().filter(move |(_, day)| day.opened.is_some() && !is_dropped(day, with_coarse));
        open.map(|(day, _)| *day)
    }

    /// Returns the months whose heads may list such parts of these days.
    pub fn months(&self, with_coarse: bool) -> BTreeSet<Window> {
        let packed = self.days.iter().filter(|(_, day)| day.packed.is_some() && !is_dropped(day, with_coarse));
        packed.map(|(day, _)| Window::Day(*day).month()).collect()
    }

    fn add(&mut self, record: &Record) -> std::result::Result<(), Reason> {
        let sort = record.sort.as_str();
        if sort.starts_with(keys::DAY_PREFIX) {
            let day = keys::parse_day_sort(sort).ok_or("sort key is no day")?;
            self.days.insert(day, DayRecord::decode(&record.value)?);
        } else if sort.starts_with(keys::DELETION_PREFIX) {
            self.deletions.push(Deletion::decode(&record.value)?);
        } else if sort.starts_with(keys::QUARANTINE_PREFIX) {
            self.quarantined.push(Quarantined::decode(&record.value)?);
        } else {
            return Err("sort key is unknown");
        }
        Ok(())
    }
}

impl Manifest {
    /// Returns what the catalog says about `range`, in one query.
    pub(super) async fn catalog(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs) -> Result<Catalog> {
        let mut catalog = self.whole_catalog(tenant, signal).await?;
        catalog.days.retain(|day, _| Window::Day(*day).range().overlaps(range));
        catalog.deletions.retain(|deletion| deletion.request.range.overlaps(range));
        Ok(catalog)
    }

    async fn whole_catalog(&self, tenant: &TenantId, signal: Signal) -> Result<Catalog> {
        let partition = keys::catalog_partition(tenant, signal);
        let records = self.records.query_prefix(&partition, "").await.step("read catalog")?;
        let mut catalog = Catalog::default();
        for record in records {
            catalog.add(&record).map_err(corrupt(format!("{partition} {}", record.sort)))?;
        }
        Ok(catalog)
    }

    /// Returns what the catalog says of each day, ascending: what to merge, roll, clear, pack and drop, without listing anything.
    pub async fn days(&self, tenant: &TenantId, signal: Signal) -> Result<Vec<DayState>> {
        Ok(self.all_days(tenant, signal).await?.into_iter().map(|(day, record)| DayState::of(day, &record)).collect())
    }

    /// Returns all days of the catalog.
    pub(super) async fn all_days(&self, tenant: &TenantId, signal: Signal) -> Result<BTreeMap<i64, DayRecord>> {
        Ok(self.whole_catalog(tenant, signal).await?.days)
    }

    /// Returns the days that may have data, as days since the Unix epoch, ascending; those whose raw data retention dropped
    /// are left out.
    pub async fn days_with_data(&self, tenant: &TenantId, signal: Signal) -> Result<Vec<i64>> {
        let days = self.all_days(tenant, signal).await?;
        Ok(days.into_iter().filter(|(_, day)| day.dropped_at(Resolution::Raw).is_none()).map(|(day, _)| day).collect())
    }
}
