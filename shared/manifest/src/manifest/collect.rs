//! Collect: what was replaced, what died, and what was never referenced.

use super::heads::Lists;
use super::read::PlacedHead;
use super::{Manifest, Step, corrupt};
use crate::head::{Change, Head, HeadRecord};
use crate::item::{self, ItemRecord};
use crate::{Location, Result};
use model::{Hour, Resolution, SegmentId, Signal, TenantId, TimestampMs};
use std::collections::{BTreeSet, HashSet};
use store::keys::{self, ObjectKey, Window};
use store::{Put, RecordKey};

/// An object no snapshot taken from now on can name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DeadObject {
    /// The object's key.
    pub key: String,
    /// Since when.
    pub at: TimestampMs,
}

/// Outcome of [`Manifest::burn`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Burn {
    /// The object is referenced: leave it.
    Referenced,
    /// The object is referenced by nothing and can never be: delete it.
    Deletable,
}

impl Manifest {
    /// Deletes records of a window whose ids were replaced, forgets ids that were gone for long enough, and returns the
    /// objects dead for longer than the grace. Delete those, then call [`Manifest::forget_dead`].
    pub async fn collect_window(&self, tenant: &TenantId, signal: Signal, window: Window) -> Result<Vec<DeadObject>> {
        let heads = self.heads(tenant, signal, window, true, Lists::All).await?;
        let raw = heads.iter().find(|placed| placed.resolution == Resolution::Raw);
        if let Some(placed) = raw.filter(|placed| !placed.head.replaced.is_empty()) {
            self.settle(tenant, signal, window, &placed.head).await?;
        }
        for placed in heads.iter().filter(|placed| placed.paged) {
            self.collect_pages(&keys::head(tenant, signal, window, placed.resolution)).await?;
        }
        let now = self.now();
        Ok(heads.iter().flat_map(|placed| placed.head.due(now)).collect())
    }

    /// Marks in the head which replaced ids still exist below, then deletes those.
    async fn settle(&self, tenant: &TenantId, signal: Signal, window: Window, head: &Head) -> Result<()> {
        let key = keys::head(tenant, signal, window, Resolution::Raw);
        let replaced = head.replaced_ids();
        match window {
            Window::Hour(hour) => {
                let items = self.item_records(tenant, signal, hour).await?;
                // A burnt id can never be live again: for the head it is gone.
                let live: Vec<_> = items.into_iter().filter(|(_, _, item)| *item != ItemRecord::Burnt).collect();
                self.trim(&key, &live.iter().map(|(id, _, _)| *id).collect()).await?;
                let left = live.into_iter().filter(|(id, _, _)| replaced.contains(id));
                self.delete_items(tenant, signal, hour, left.map(|(id, version, _)| (id, version)).collect()).await
            }
            Window::Day(day) => {
                let listed = self.listed_by_hours(tenant, signal, day).await?;
                self.trim(&key, &listed.iter().map(|(_, id)| *id).collect()).await?;
                let hours: BTreeSet<Hour> =
                    listed.into_iter().filter(|(_, id)| replaced.contains(id)).map(|(hour, _)| hour).collect();
                for hour in hours {
                    self.unlist(tenant, signal, hour, &replaced).await?;
                }
                Ok(())
            }
        }
    }

    /// What exists below is read before the head is changed: an id put in between, by a frozen writer, is one whose time to
    /// be kept has not passed ([`crate::limits::REPLACED_KEPT`]).
    async fn trim(&self, key: &RecordKey, below: &HashSet<SegmentId>) -> Result<()> {
        let now = self.now();
        self.update_head(key, |head| head.trim(below, now)).await.map(|_| ())
    }

    async fn listed_by_hours(&self, tenant: &TenantId, signal: Signal, day: i64) -> Result<Vec<(Hour, SegmentId)>> {
        let mut listed = Vec::new();
        for hour in self.hours_with_data(tenant, signal, Window::Day(day).range()).await? {
            let head = self.head(&keys::head(tenant, signal, Window::Hour(hour), Resolution::Raw)).await?;
            listed.extend(head.into_iter().flat_map(|head| head.parts).map(|part| (hour, part.id)));
        }
        Ok(listed)
    }

    /// Removes deleted objects from the window's lists of the dead.
    pub async fn forget_dead(&self, tenant: &TenantId, signal: Signal, window: Window, keys: &[String]) -> Result<()> {
        let gone: HashSet<&String> = keys.iter().collect();
        for PlacedHead { resolution, head, .. } in self.heads(tenant, signal, window, true, Lists::All).await? {
            if head.dead.iter().any(|dead| gone.contains(&dead.key)) {
                let key = keys::head(tenant, signal, window, resolution);
                self.update_head(&key, |head| forget(head, &gone)).await?;
            }
        }
        Ok(())
    }

    /// Makes sure that an unreferenced object can never be committed, then checks again (M3). Ask only for objects older
    /// than [`crate::limits::ORPHAN_AGE_MIN`]: that no snapshot still names it rests on its age.
    pub async fn burn(&self, object: &ObjectKey) -> Result<Burn> {
        let burnt = match (object.level, object.window) {
            (0, Window::Hour(hour)) => self.burn_item(object, hour).await?,
            _ => self.burn_output(object).await?,
        };
        let referenced = !burnt || self.is_named(object).await?;
        Ok(if referenced { Burn::Referenced } else { Burn::Deletable })
    }

    /// Burns an L0 id unless it is live. `false`: a live item names this very object, or the outcome is open. An id that is
    /// live under another key needs no burning: the key can never be committed.
    async fn burn_item(&self, object: &ObjectKey, hour: Hour) -> Result<bool> {
        let key = keys::l0_item(&object.tenant, object.signal, hour, object.id);
        match self.records.put_if_absent(&key, item::encode_burnt()).await {
            Ok(Put::Written) => return Ok(true),
            Ok(Put::Exists) => {}
            Err(error) if error.is_unknown_outcome() => {}
            Err(error) => return Err(error).step("burn l0 id"),
        }
        let Some(record) = self.records.get(&key).await.step("read l0 item")? else { return Ok(false) };
        Ok(match item::decode(&record.value).map_err(corrupt(&key))? {
            ItemRecord::Burnt => true,
            ItemRecord::Live(part) => !matches!(&part.location, Location::Object { key, .. } if *key == object.to_string()),
        })
    }

    /// Voids every plan that could still publish this output, by raising the generation of its head.
    async fn burn_output(&self, object: &ObjectKey) -> Result<bool> {
        if self.is_named(object).await? {
            return Ok(false);
        }
        let key = keys::head(&object.tenant, object.signal, object.window, object.resolution);
        let raise = |record: &mut HeadRecord| {
            record.head.generation += 1;
            Change::Write
        };
        self.update_head_record(&key, raise).await.map(|_| true)
    }

    /// Reports whether the object is live or on a list of the dead, in its own window or in the day it rolls into.
    async fn is_named(&self, object: &ObjectKey) -> Result<bool> {
        let name = object.to_string();
        let above = Window::Day(object.window.day());
        let windows = if object.window == above { vec![above] } else { vec![object.window, above] };
        for window in windows {
            let key = keys::head(&object.tenant, object.signal, window, object.resolution);
            if self.head(&key).await?.is_some_and(|head| head.names(&name)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn forget(head: &mut Head, gone: &HashSet<&String>) -> Change {
    let before = head.dead.len();
    head.dead.retain(|dead| !gone.contains(&dead.key));
    if head.dead.len() < before { Change::Write } else { Change::Already }
}
