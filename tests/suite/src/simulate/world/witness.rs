//! What every effect on the stores means to the ledger, and what is checked right after it.

use super::super::ring;
use super::{World, object_key, part_name};
use bytes::Bytes;
use futures::FutureExt;
use manifest::ring::Ring;
use manifest::{Manifest, ObjectKey, Part, Snapshot, Window};
use model::{Clock, Hour, Nonces, SegmentId, Signal, Slot, TenantId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::{RecordKey, keys};
use testkit::simulation::{RecordChange, Witness};

impl World {
    /// Checks where parts lie on the ring, each once (R3), and that nobody who read asked for it (R2).
    pub(super) fn check_places(&self, tenant: &TenantId, signal: Signal, snapshot: &Snapshot) {
        if self.ring_asked.swap(false, Ordering::Relaxed) {
            self.violated("R2: a read asked for the ring".into());
        }
        let fresh = |part: &&Part| !self.ledger().placed.contains(&part_name(part));
        let parts: Vec<&Part> = snapshot.parts.iter().filter(fresh).collect();
        let Some(ring) = (if parts.is_empty() { None } else { self.ring(tenant) }) else { return };
        for part in parts {
            let rows = self.rows_of(tenant, signal, part);
            let slots: Vec<Slot> = self.account(tenant, signal, |account| {
                account.labels_of(&rows).map(|labels| Slot::of(tenant, signal, labels)).collect()
            });
            self.maybe_violated(ring::check_part(&ring, part, slots.into_iter()));
            self.ledger().placed.insert(part_name(part));
        }
    }

    fn ring(&self, tenant: &TenantId) -> Option<Ring> {
        let harness: Arc<dyn Clock> = Arc::new(self.schedule.harness());
        let manifest = Manifest::new(self.records.clone(), harness, Arc::new(Nonces::seeded(0)));
        match manifest.ring(tenant).now_or_never().expect("records in memory answer at once") {
            Ok(ring) => Some(ring),
            Err(error) => {
                self.violated(format!("R1: the ring cannot be read: {error:?}"));
                None
            }
        }
    }

    /// Checks a new epoch (R1), and that it changed nothing that is visible (R2).
    fn ring_changed(&self, tenant: &TenantId) {
        self.ledger().seen.epochs += 1;
        let now = self.schedule.now();
        self.maybe_violated(self.ring(tenant).and_then(|ring| ring::check_epoch(&ring, now)));
        for signal in [Signal::Metrics, Signal::Logs] {
            self.check_now(tenant, signal);
        }
    }

    fn item_changed(&self, tenant: &TenantId, signal: Signal, hour: Hour, id: SegmentId, change: RecordChange) {
        let now_ms = self.schedule.now().0;
        if change == RecordChange::Deleted {
            self.account(tenant, signal, |account| account.item_gone(hour.0, id, now_ms));
            return self.check_now(tenant, signal);
        }
        let Some(snapshot) = self.look(tenant, signal) else { return };
        let visible = snapshot.parts.iter().find(|part| part.level == 0 && part.id == id && part.window == Window::Hour(hour));
        let rows = match visible {
            Some(part) => Some(self.rows_of(tenant, signal, part)),
            None => self.account(tenant, signal, |account| account.item_rows(hour.0, id)),
        };
        match rows {
            Some(rows) => {
                let minted_at_ms = visible.map(|part| part.minted_at.0);
                self.account(tenant, signal, |account| account.commit(hour.0, id, &rows, minted_at_ms, now_ms));
            }
            None => {
                let dropped = self.account(tenant, signal, |account| account.dropped.contains(&hour.day()));
                if !dropped && self.is_live(tenant, signal, hour, id) {
                    self.violated(format!("M1: item {id} of {hour:?} was committed and is not visible"));
                }
            }
        }
        self.check(tenant, signal, &snapshot);
    }

    /// Tells a live item from a burnt one.
    fn is_live(&self, tenant: &TenantId, signal: Signal, hour: Hour, id: SegmentId) -> bool {
        let record = self.records.get(&keys::l0_item(tenant, signal, hour, id)).now_or_never();
        let record = record.expect("records in memory answer at once").ok().flatten();
        // A burnt id is a few bytes that say so.
        record.is_some_and(|record| record.value.len() > 16)
    }

    fn count_days(&self, tenant: &TenantId, signal: Signal) {
        let days = self.manifest.days(tenant, signal).now_or_never().expect("records in memory answer at once");
        let mut ledger = self.ledger();
        for day in days.into_iter().flatten().filter(|day| day.dropped.is_empty()) {
            let key = (tenant.clone(), signal, day.day);
            let hours: BTreeSet<Hour> = day.hours.into_iter().collect();
            let before = ledger.hours.insert(key.clone(), hours.clone()).unwrap_or_default();
            ledger.seen.hours_cleared += before.difference(&hours).count() as u64;
            ledger.seen.days_packed += u64::from(day.packed && ledger.packed.insert(key));
        }
    }

    fn deletions_changed(&self, tenant: &TenantId, signal: Signal) {
        let deletions = self.manifest.deletions(tenant, signal).now_or_never().expect("records in memory answer at once");
        match deletions {
            Ok(deletions) => {
                let now_ms = self.schedule.now().0;
                let fresh = self.account(tenant, signal, |account| account.enter_deletions(deletions, now_ms));
                self.ledger().seen.deletions += fresh;
            }
            Err(error) => self.violated(format!("M1: deletions cannot be read: {error:?}")),
        }
    }

    fn days_changed(&self, tenant: &TenantId, signal: Signal) {
        self.count_days(tenant, signal);
        let days = self.manifest.days_with_data(tenant, signal).now_or_never().expect("records in memory answer at once");
        let all = self.records.query_prefix(&keys::catalog_partition(tenant, signal), keys::DAY_PREFIX).now_or_never();
        let all = all.expect("records in memory answer at once");
        let (Ok(days), Ok(all)) = (days, all) else {
            return self.violated("M1: the catalog cannot be read".into());
        };
        let known = all.iter().filter_map(|record| keys::parse_day_sort(&record.sort));
        let dropped: BTreeSet<i64> = known.filter(|day| !days.contains(day)).collect();
        let now_ms = self.schedule.now().0;
        for day in &dropped {
            let fresh = self.account(tenant, signal, |account| account.dropped.insert(*day));
            let ends_ms = (day + 1) * 86_400_000;
            let due_ms = ends_ms + self.scenario.retention_ms - self.scenario.skew_ms_max as i64;
            if fresh && now_ms < due_ms {
                self.violated(format!("retention: day {day} was dropped {} minutes too early", (due_ms - now_ms) / 60_000));
            }
        }
        if self.scenario.copies && signal == Signal::Metrics {
            self.check_dropped(tenant);
        }
        self.check_now(tenant, signal);
    }
}

fn parse_partition(partition: &str) -> Option<(&str, TenantId, Signal, Option<&str>)> {
    let mut parts = partition.split('#');
    let kind = parts.next()?;
    let tenant = TenantId::parse(parts.next()?).ok()?;
    Some((kind, tenant, Signal::parse(parts.next()?)?, parts.next()))
}

fn parse_hour(window: &str) -> Option<Hour> {
    let (day, hour) = window.split_once('T')?;
    Some(Hour(keys::parse_day(day)? * 24 + hour.parse::<i64>().ok()?))
}

impl World {
    fn was_damaged(&self, key: &str) -> bool {
        let of = ObjectKey::parse(key).map(|object| (object.tenant, object.signal));
        of.is_some_and(|(tenant, signal)| self.account(&tenant, signal, |account| account.damaged_segments.contains(key)))
    }
}

impl Witness for World {
    fn record(&self, key: &RecordKey, change: RecordChange) {
        if let Some(tenant) = key.partition.strip_prefix(ring::PARTITION_PREFIX).and_then(|tenant| TenantId::parse(tenant).ok()) {
            return self.ring_changed(&tenant);
        }
        let Some((kind, tenant, signal, window)) = parse_partition(&key.partition) else { return };
        match (kind, keys::parse_l0_sort(&key.sort), window.and_then(parse_hour)) {
            ("S", Some(id), Some(hour)) => self.item_changed(&tenant, signal, hour, id, change),
            ("S", None, _) => self.check_now(&tenant, signal),
            ("C", _, _) => {
                self.deletions_changed(&tenant, signal);
                self.days_changed(&tenant, signal);
            }
            _ => {}
        }
    }

    fn object_put(&self, key: &str, bytes: &Bytes, before: Option<&Bytes>) {
        // The same call may take effect twice: that changes nothing, unless it was damaged between.
        if before.is_some_and(|before| before != bytes) && !self.was_damaged(key) {
            self.violated(format!("W2: object key {key} was used again"));
        }
    }

    fn object_deleted(&self, key: &str) {
        let now_ms = self.schedule.now().0;
        let held = self.ledger().holds.values().any(|(until_ms, keys)| *until_ms > now_ms && keys.contains(key));
        if held {
            self.violated(format!("M3: {key} was deleted while a snapshot was in use"));
        }
        let Some(object) = ObjectKey::parse(key) else { return };
        let Some(snapshot) = self.look(&object.tenant, object.signal) else { return };
        if snapshot.parts.iter().chain(&snapshot.coarse).filter_map(object_key).any(|live| live == key) {
            self.violated(format!("M3: {key} was deleted and is visible"));
        }
    }
}
