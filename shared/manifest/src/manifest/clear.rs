//! Clearing: a reader no longer looks where nothing is left.
//!
//! An hour is cleared when its parts have rolled into the day, a day is closed when its parts have been packed into the month. The last
//! hour of a day stays until nothing dead is listed there either: compaction looks into a day because of its hours.
//! Each is one conditional update of the day's record, as it was before the emptiness was looked at. Whoever is about to put
//! something there has stamped that record: the update fails if he did since, and is not tried while his stamp is young.

use super::catalogs::decode_day;
use super::heads::Lists;
use super::{Manifest, Step};
use crate::Result;
use crate::catalog::DayRecord;
use crate::item::ItemRecord;
use crate::limits::{CLEAR_AGE_MIN, STAMP_AGE_MIN};
use crate::mutation::Mutation;
use model::{Hour, Resolution, Signal, TenantId, TimestampMs};
use store::keys::{self, Window};
use store::{Cas, Record, RecordKey};

impl Manifest {
    /// Clears the catalog's bit of an hour where nothing is left in it: no live item, and a head with no parts, no replaced ids
    /// and no dead objects; of a day's last hour, where the day's heads list no dead objects either, or nobody would come to delete
    /// them until the day is packed. `false`: not yet, or somebody changed the day meanwhile; ask again some other time.
    pub async fn clear_hour(&self, tenant: &TenantId, signal: Signal, hour: Hour) -> Result<bool> {
        let key = keys::catalog_day(tenant, signal, hour.day());
        let (mut record, mut day) = self.day_record(&key).await?;
        if !day.has(hour) {
            return Ok(true);
        }
        let now = self.now();
        let hasty = self.makes(Mutation::ClearUnderWriters);
        let old = hour.end().plus(CLEAR_AGE_MIN) <= now && (hasty || is_old(day.stamped_at(hour), now));
        if record.is_none() || !old {
            return Ok(false);
        }
        let items = self.item_records(tenant, signal, hour).await?;
        if items.iter().any(|(_, _, item)| *item != ItemRecord::Burnt) {
            return Ok(false);
        }
        let head = self.head(&keys::head(tenant, signal, Window::Hour(hour), Resolution::Raw), Lists::All).await?;
        if !head.is_none_or(|head| head.is_idle()) {
            return Ok(false);
        }
        if hasty {
            (record, day) = self.day_record(&key).await?;
        }
        let (Some(record), mut cleared) = (record, day) else { return Ok(false) };
        cleared.clear(hour);
        // After the hour's head: whoever rolls its last parts lists them as dead in the day before he takes them out of the hour.
        if !hasty && cleared.hours == 0 && self.lists_dead(tenant, signal, Window::Day(hour.day())).await? {
            return Ok(false);
        }
        self.swap_day(&key, &record, &cleared).await
    }

    /// Closes a day whose heads list nothing any more.
    pub(super) async fn close_day(&self, tenant: &TenantId, signal: Signal, day: i64) -> Result<bool> {
        let key = keys::catalog_day(tenant, signal, day);
        let (record, of_day) = self.day_record(&key).await?;
        if of_day.opened.is_none() {
            return Ok(true);
        }
        let quiet = of_day.hours == 0 && is_old(of_day.opened, self.now());
        let Some(record) = record.filter(|_| quiet) else { return Ok(false) };
        let heads = self.heads(tenant, signal, Window::Day(day), true, Lists::All).await?;
        if !heads.iter().all(|placed| placed.head.is_idle()) {
            return Ok(false);
        }
        let closed = DayRecord { opened: None, ..of_day };
        self.swap_day(&key, &record, &closed).await
    }

    pub(super) async fn day_record(&self, key: &RecordKey) -> Result<(Option<Record>, DayRecord)> {
        let record = self.records.get(key).await.step("read catalog day")?;
        let day = decode_day(key, record.as_ref())?;
        Ok((record, day))
    }

    /// Writes a day's record if it is still as read. A lost answer is no harm: either is right.
    async fn swap_day(&self, key: &RecordKey, record: &Record, day: &DayRecord) -> Result<bool> {
        match self.records.cas_update(key, record.version, day.encode()).await {
            Ok(outcome) => Ok(outcome == Cas::Updated),
            Err(error) if error.is_unknown_outcome() => Ok(false),
            Err(error) => Err(error).step("clear catalog bit"),
        }
    }
}

/// Reports whether what a stamp covered has landed.
fn is_old(stamp: Option<TimestampMs>, now: TimestampMs) -> bool {
    stamp.is_none_or(|at| at.plus(STAMP_AGE_MIN) <= now)
}
