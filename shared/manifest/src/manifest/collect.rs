//! Collect: what was replaced, what died, and what was never referenced.

use super::heads::Lists;
use super::read::{PlacedHead, live_hours};
use super::{Manifest, Step, corrupt};
use crate::head::{Change, Head, HeadRecord};
use crate::item::{self, ItemRecord};
use crate::limits::REPLACED_KEPT;
use crate::mutation::Mutation;
use crate::{Location, Result};
use model::{Hour, Resolution, SegmentId, SegmentIds, Signal, TenantId, TimestampMs};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;
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
        for placed in heads.iter().filter(|placed| !placed.head.replaced.is_empty()) {
            self.settle(tenant, signal, placed).await?;
        }
        for placed in heads.iter().filter(|placed| placed.paged) {
            self.collect_pages(&keys::head(tenant, signal, window, placed.resolution)).await?;
        }
        let now = self.now();
        Ok(heads.iter().flat_map(|placed| placed.head.due(now)).collect())
    }

    /// Marks in the head which replaced ids still exist below, then deletes those.
    async fn settle(&self, tenant: &TenantId, signal: Signal, placed: &PlacedHead) -> Result<()> {
        let key = keys::head(tenant, signal, placed.window, placed.resolution);
        let asked_at = self.now();
        match placed.window {
            Window::Hour(hour) => {
                let items = self.item_records(tenant, signal, hour).await?;
                // A burnt id can never be live again: for the head it is gone.
                let live: Vec<_> = items.into_iter().filter(|(_, _, item)| *item != ItemRecord::Burnt).collect();
                let below = live.iter().map(|(id, _, _)| *id).collect();
                self.trim(&key, &below, asked_at).await?;
                let replaced = placed.head.replaced_of(&below);
                let left = live.into_iter().filter(|(id, _, _)| replaced.contains(id));
                self.delete_items(tenant, signal, hour, left.map(|(id, version, _)| (id, version)).collect()).await
            }
            Window::Day(_) | Window::Month(_) => {
                let listed = self.listed_below(tenant, signal, placed.window, placed.resolution).await?;
                let below = listed.iter().map(|(_, id)| *id).collect();
                self.trim(&key, &below, asked_at).await?;
                let replaced = placed.head.replaced_of(&below);
                let left: BTreeSet<Window> =
                    listed.into_iter().filter(|(_, id)| replaced.contains(id)).map(|(window, _)| window).collect();
                for window in left {
                    self.unlist(&keys::head(tenant, signal, window, placed.resolution), &replaced).await?;
                }
                Ok(())
            }
        }
    }

    /// What exists below was asked for at `asked_at`, before the head is changed. An id put in between is one whose time to be kept
    /// had passed then, however long this process was frozen since; and an id counts as gone from the update on that says so,
    /// not from before, when another collection may have seen and deleted it.
    async fn trim(&self, key: &RecordKey, below: &SegmentIds, asked_at: TimestampMs) -> Result<()> {
        let kept = if self.makes(Mutation::TrimEarly) { Duration::ZERO } else { REPLACED_KEPT };
        let trim = |head: &mut Head| head.trim(below, asked_at.minus(kept), self.now());
        self.update_head(key, Lists::Visible, trim).await.map(|_| ())
    }

    /// Returns what the heads one level below a window list.
    async fn listed_below(
        &self,
        tenant: &TenantId,
        signal: Signal,
        window: Window,
        resolution: Resolution,
    ) -> Result<Vec<(Window, SegmentId)>> {
        let catalog = self.catalog(tenant, signal, window.range()).await?;
        let below: Vec<Window> = match window {
            Window::Month(_) => catalog.open_days(true).map(Window::Day).collect(),
            _ => live_hours(&catalog.days, window.range()).into_iter().map(Window::Hour).collect(),
        };
        let mut listed = Vec::new();
        for window in below {
            let head = self.head(&keys::head(tenant, signal, window, resolution), Lists::Visible).await?;
            listed.extend(head.into_iter().flat_map(|head| head.parts).map(|part| (window, part.id)));
        }
        Ok(listed)
    }

    /// Removes deleted objects from the window's lists of the dead.
    pub async fn forget_dead(&self, tenant: &TenantId, signal: Signal, window: Window, keys: &[String]) -> Result<()> {
        let gone: HashSet<&String> = keys.iter().collect();
        for PlacedHead { resolution, head, .. } in self.heads(tenant, signal, window, true, Lists::All).await? {
            if head.dead.iter().any(|dead| gone.contains(&dead.key)) {
                let key = keys::head(tenant, signal, window, resolution);
                self.update_head(&key, Lists::All, |head| forget(head, &gone)).await?;
            }
        }
        Ok(())
    }

    /// Reports whether the heads of a window list dead objects: their grace is not over, or they could not be deleted.
    pub async fn lists_dead(&self, tenant: &TenantId, signal: Signal, window: Window) -> Result<bool> {
        let heads = self.heads(tenant, signal, window, true, Lists::All).await?;
        Ok(heads.iter().any(|placed| !placed.head.dead.is_empty()))
    }

    /// Makes sure that an unreferenced object can never be committed, then checks again (M3). Ask only for objects older
    /// than [`crate::limits::ORPHAN_AGE_MIN`]: that no snapshot still names it rests on its age.
    pub async fn burn(&self, object: &ObjectKey) -> Result<Burn> {
        let burnt = match (object.level, object.window) {
            (0, Window::Hour(hour)) => self.burn_item(object, hour).await?,
            _ => self.burn_output(object).await?,
        };
        let recheck = !self.makes(Mutation::BurnWithoutRecheck);
        let referenced = !burnt || (recheck && self.is_named(object).await?);
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
        let raise = |record: &mut HeadRecord| {
            if self.makes(Mutation::BurnWithoutRaising) {
                return Change::Already;
            }
            record.head.generation += 1;
            Change::Write
        };
        // Outputs that rewrite packed parts bear the day's window: the month's plans are voided with the day's.
        for window in BTreeSet::from([object.window, object.window.month()]) {
            let key = keys::head(&object.tenant, object.signal, window, object.resolution);
            let concerned = window == object.window || self.records.get(&key).await.step("read head")?.is_some();
            if concerned && (window == object.window || matches!(object.window, Window::Day(_))) {
                self.update_head_record(&key, raise).await?;
            }
        }
        Ok(true)
    }

    /// Reports whether the object is live or on a list of the dead, in its own window or in the day it rolls into.
    async fn is_named(&self, object: &ObjectKey) -> Result<bool> {
        let name = object.to_string();
        let above = match object.window {
            Window::Hour(hour) => Window::Day(hour.day()),
            window => window.month(),
        };
        for window in [object.window, above] {
            let key = keys::head(&object.tenant, object.signal, window, object.resolution);
            if self.head(&key, Lists::All).await?.is_some_and(|head| head.names(&name)) {
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
