//! Write: catalog bit of the hour first, then the L0 item if absent.

use super::catalogs::decode_day;
use super::heads::Decision;
use super::{Manifest, Step, corrupt};
use crate::head::Change;
use crate::item::{self, ItemRecord};
use crate::limits::{ATTEMPT_AGE_MAX, KNOWN_HOURS_MAX, UNKNOWN_OUTCOME_ATTEMPTS_MAX};
use crate::mutation::Mutation;
use crate::{Error, L0Item, Location, Result};
use bytes::Bytes;
use model::{Hour, Resolution, Signal, TenantId, TimestampMs};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use store::keys::{self, Window};
use store::records::RECORD_BYTES_MAX;
use store::{Cas, Put, RecordKey};

/// Outcome of [`Manifest::commit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Committed {
    /// The item is live, and ours.
    Committed,
    /// The same content was committed before, by a retry or by another writer: success; our object is an orphan.
    AlreadyCommitted,
    /// The id was burnt by the collector: mint another id (a suffix to the hashed content) and upload under a fresh key.
    Burnt,
}

/// What this process knows to be set, so that steady ingest costs one record write per commit. A bit is cleared only when it is
/// too old for anybody to trust what he knows of it.
#[derive(Debug, Default)]
pub(super) struct Known {
    sets: Mutex<KnownSets>,
}

#[derive(Debug, Default)]
struct KnownSets {
    /// Until when what is known of an hour may be trusted.
    hours: HashMap<(TenantId, Signal, Hour), TimestampMs>,
    tenants: HashSet<(TenantId, Signal)>,
}

impl Known {
    fn sets(&self) -> MutexGuard<'_, KnownSets> {
        self.sets.lock().expect("no call panics while it holds the lock")
    }

    /// Returns the hours of which nothing is known that may still be trusted.
    fn unknown_hours(&self, tenant: &TenantId, signal: Signal, hours: &[Hour], now: TimestampMs) -> Vec<Hour> {
        let sets = self.sets();
        let is_known = |hour: &Hour| sets.hours.get(&(tenant.clone(), signal, *hour)).is_some_and(|until| now < *until);
        hours.iter().filter(|hour| !is_known(hour)).copied().collect()
    }

    fn add_hour(&self, entry: (TenantId, Signal, Hour), until: TimestampMs) {
        let mut sets = self.sets();
        if sets.hours.len() >= KNOWN_HOURS_MAX {
            sets.hours.clear();
        }
        sets.hours.insert(entry, until);
    }
}

impl Manifest {
    /// Makes an item visible: the one moment data becomes visible. Sets the catalog's bit of the hour first. Idempotent,
    /// repeats itself on an unknown outcome. The item's object must be durable already (W1).
    ///
    /// # Errors
    /// `AttemptTooOld` ten minutes after `minted_at`; `Dropped` where retention dropped the day; `ItemTooLarge`.
    pub async fn commit(&self, tenant: &TenantId, signal: Signal, hour: Hour, item: L0Item) -> Result<Committed> {
        let key = keys::l0_item(tenant, signal, hour, item.id);
        let (minted_at, location) = (item.minted_at, item.location.clone());
        let value = item::encode_live(hour, item);
        if value.len() > RECORD_BYTES_MAX {
            return Err(Error::ItemTooLarge { size_bytes: value.len(), limit_bytes: RECORD_BYTES_MAX });
        }
        self.register(tenant, signal).await?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            // Before every try: the catalog's promise does not last for ever.
            let late = self.makes(Mutation::CatalogAfterItem);
            if !late {
                self.ensure_hours(tenant, signal, &[hour]).await?;
            }
            check_age(minted_at, self.now())?;
            match self.records.put_if_absent(&key, value.clone()).await {
                Ok(Put::Written) if late => {
                    self.ensure_hours(tenant, signal, &[hour]).await?;
                    return Ok(Committed::Committed);
                }
                Ok(Put::Written) => return Ok(Committed::Committed),
                Ok(Put::Exists) if self.makes(Mutation::OverwriteOnRetry) => {
                    let overwritten = self.records.cas_update(&key, 1, value.clone()).await.step("overwrite l0 item")?;
                    return Ok(if overwritten == Cas::Updated { Committed::Committed } else { Committed::AlreadyCommitted });
                }
                Ok(Put::Exists) => {
                    if let Some(outcome) = self.existing(&key, &location).await? {
                        return Ok(outcome);
                    }
                }
                Err(error) if error.is_unknown_outcome() && attempts < UNKNOWN_OUTCOME_ATTEMPTS_MAX => {}
                Err(source) => return Err(Error::Store { step: "commit l0 item", source }),
            }
        }
    }

    /// Tells what stands under an id; `None` if it is gone again, because a compaction replaced it or a day was forgotten:
    /// putting it once more is right in both cases.
    async fn existing(&self, key: &RecordKey, ours: &Location) -> Result<Option<Committed>> {
        let Some(record) = self.records.get(key).await.step("read l0 item")? else { return Ok(None) };
        Ok(Some(match item::decode(&record.value).map_err(corrupt(key))? {
            ItemRecord::Burnt => Committed::Burnt,
            // The client library repeats lost puts by itself: the item may be our own.
            ItemRecord::Live(part) if part.location == *ours => Committed::Committed,
            ItemRecord::Live(_) => Committed::AlreadyCommitted,
        }))
    }

    /// Enters the tenant in the registry, once per process.
    async fn register(&self, tenant: &TenantId, signal: Signal) -> Result<()> {
        let entry = (tenant.clone(), signal);
        if self.known.sets().tenants.contains(&entry) {
            return Ok(());
        }
        self.update_record(&keys::registered(tenant, signal), "register tenant", |record| {
            Ok(match record {
                Some(_) => Decision::Stop(Change::Already),
                None => Decision::Write(Bytes::from_static(b"1")),
            })
        })
        .await?;
        self.known.sets().tenants.insert(entry);
        Ok(())
    }

    /// Sets the catalog's bits of several hours with one update per day: what [`Manifest::commit`] does hour by hour.
    ///
    /// # Errors
    /// `Dropped` where retention dropped a day: the hours of all others are announced.
    pub async fn announce(&self, tenant: &TenantId, signal: Signal, hours: &[Hour]) -> Result<()> {
        self.register(tenant, signal).await?;
        let mut days: BTreeMap<i64, Vec<Hour>> = BTreeMap::new();
        for hour in hours {
            days.entry(hour.day()).or_default().push(*hour);
        }
        let mut dropped = Ok(());
        for hours in days.into_values() {
            match self.ensure_hours(tenant, signal, &hours).await {
                Err(error @ Error::Dropped { .. }) => dropped = Err(error),
                other => other?,
            }
        }
        dropped
    }

    /// Counts the L0 items of an hour, up to `count_max`: a figure to steer by.
    pub async fn l0_count(&self, tenant: &TenantId, signal: Signal, hour: Hour, count_max: usize) -> Result<usize> {
        let partition = keys::window_partition(tenant, signal, Window::Hour(hour));
        self.records.count_prefix(&partition, keys::L0_PREFIX, count_max).await.step("count l0 items")
    }

    /// Sets the catalog's bits of hours of one day: a reader finds items only through them (M1). Once per process and hour, while
    /// the hour is young; a write to an old one needs a young stamp as well, its own or another's.
    async fn ensure_hours(&self, tenant: &TenantId, signal: Signal, hours: &[Hour]) -> Result<()> {
        let unknown = self.known.unknown_hours(tenant, signal, hours, self.now());
        let Some(first) = unknown.first() else { return Ok(()) };
        let key = keys::catalog_day(tenant, signal, first.day());
        let promised = Mutex::new(Vec::new());
        self.update_record(&key, "set catalog bit", |record| {
            let mut day = decode_day(&key, record)?;
            if day.dropped_at(Resolution::Raw).is_some() {
                return Err(Error::Dropped { hour: Window::Hour(*first).to_string() });
            }
            let (before, now) = (day.clone(), self.now());
            let until = unknown.iter().map(|hour| day.announce(*hour, now)).collect();
            *promised.lock().expect("nothing panics while it holds the lock") = until;
            Ok(if day == before { Decision::Stop(Change::Already) } else { Decision::Write(day.encode()) })
        })
        .await?;
        let promised = promised.into_inner().expect("nothing panicked while it held the lock");
        for (hour, until) in unknown.into_iter().zip(promised) {
            self.known.add_hour((tenant.clone(), signal, hour), until);
        }
        Ok(())
    }
}

fn check_age(minted_at: TimestampMs, now: TimestampMs) -> Result<()> {
    let (age_ms, limit_ms) = (now.0.saturating_sub(minted_at.0), ATTEMPT_AGE_MAX.as_millis() as i64);
    if age_ms > limit_ms {
        return Err(Error::AttemptTooOld { age_ms, limit_ms });
    }
    Ok(())
}
