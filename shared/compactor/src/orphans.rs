//! Objects that nothing references: outputs of a compaction that lost, uploads whose commit never came. Found by listing, the
//! only LIST there is, off every hot path and at most once a day per tenant and signal.
//!
//! **M3** an orphan is older than a day, so that no snapshot names it; its id is burnt first, so that no commit under way can
//! ever name it; then it is looked for once more, and only then deleted.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use manifest::limits::ORPHAN_AGE_MIN;
use manifest::{Burn, Location, ObjectKey, Snapshot, Window};
use model::{Signal, TenantId, TimestampMs};
use store::objects::{ObjectMeta, ObjectPath};

use crate::limits::PACE_INVENTORY;
use crate::rewrite::manifest_error;
use crate::run::{Next, Run};
use crate::{CompactError, Compactor};

impl Compactor {
    /// Looks through the objects of a tenant and signal, unless somebody did so within a day.
    pub(crate) async fn take_inventory(&self, tenant: &TenantId, signal: Signal, run: &mut Run) -> Result<Next, CompactError> {
        let now = self.now();
        // A little early, so that a daily pace does not drift over the hours.
        let since = now.minus(PACE_INVENTORY - PACE_INVENTORY / 24);
        let taken = self.journal().take_inventory(tenant, signal, since, now).await;
        if !taken.map_err(|source| CompactError::Journal { source })? {
            return Ok(Next::At(now.plus(PACE_INVENTORY / 24)));
        }
        let mut days = self.stored_days(tenant, signal).await?;
        // Begun elsewhere every day: where time is up before the end, it is not always the same days that wait.
        let first = now.hour().day().rem_euclid(days.len().max(1) as i64);
        days.rotate_left(first as usize);
        for day in days {
            if self.now() >= run.begin_by {
                break;
            }
            for orphan in self.orphans(tenant, signal, day).await? {
                run.report.deleted += u64::from(self.delete_orphan(&orphan).await?);
            }
        }
        Ok(Next::At(now.plus(PACE_INVENTORY)))
    }

    /// Returns the days that have objects.
    async fn stored_days(&self, tenant: &TenantId, signal: Signal) -> Result<Vec<i64>, CompactError> {
        let prefix = ObjectKey::signal_prefix(tenant, signal);
        let listed = self.objects().list_with_delimiter(Some(&prefix)).await;
        let listed = listed.map_err(|source| list_error(&prefix, source))?;
        let mut days: Vec<i64> = listed.common_prefixes.iter().filter_map(ObjectKey::day_of).collect();
        days.sort_unstable();
        Ok(days)
    }

    /// Returns the objects of a day that are old enough and that no snapshot names.
    async fn orphans(&self, tenant: &TenantId, signal: Signal, day: i64) -> Result<Vec<ObjectKey>, CompactError> {
        let prefix = ObjectKey::day_prefix(tenant, signal, day);
        // Listed before the snapshot: what is committed in between is young.
        let objects: Vec<ObjectMeta> =
            self.objects().list(Some(&prefix)).try_collect().await.map_err(|source| list_error(&prefix, source))?;
        let old = objects.into_iter().filter_map(|object| old_enough(object, self.now())).collect::<Vec<ObjectKey>>();
        if old.is_empty() {
            return Ok(old);
        }
        let snapshot = self.manifest().snapshot_to_merge(tenant, signal, Window::Day(day).range()).await;
        let named = named(&snapshot.map_err(manifest_error("take snapshot"))?);
        Ok(old.into_iter().filter(|orphan| !named.contains(&orphan.to_string())).collect())
    }

    async fn delete_orphan(&self, orphan: &ObjectKey) -> Result<bool, CompactError> {
        let burnt = self.manifest().burn(orphan).await.map_err(manifest_error("burn orphan"))?;
        if burnt == Burn::Referenced {
            return Ok(false);
        }
        tracing::info!(key = %orphan, "orphaned object is deleted");
        Ok(self.delete_objects(vec![orphan.to_string()]).await.len() == 1)
    }
}

/// Reads an object's key; `None` for what is young, or was not put by us.
fn old_enough(object: ObjectMeta, now: TimestampMs) -> Option<ObjectKey> {
    let key = ObjectKey::parse(object.location.as_ref())?;
    let modified = TimestampMs(object.last_modified.timestamp_millis());
    (modified.plus(ORPHAN_AGE_MIN) <= now).then_some(key)
}

fn named(snapshot: &Snapshot) -> BTreeSet<String> {
    let parts = snapshot.parts.iter().chain(&snapshot.coarse).chain(&snapshot.quarantined);
    parts
        .filter_map(|part| match &part.location {
            Location::Object { key, .. } => Some(key.clone()),
            Location::Inline(_) => None,
        })
        .collect()
}

fn list_error(prefix: &ObjectPath, source: store::objects::ObjectError) -> CompactError {
    CompactError::Objects { step: "list objects", key: prefix.to_string(), source }
}
