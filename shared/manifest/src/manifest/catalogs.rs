//! Reading the catalog of a tenant and signal: one query brings its days, deletions and quarantine.

use super::{Manifest, Step, corrupt};
use crate::Result;
use crate::catalog::DayRecord;
use crate::codec::Reason;
use crate::deletion::Deletion;
use crate::quarantine::Quarantined;
use model::{Resolution, Signal, TenantId, TimeRangeMs};
use std::collections::BTreeMap;
use store::Record;
use store::keys::{self, Window};

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
