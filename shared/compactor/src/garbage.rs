//! What would be deleted, and why: the dry form of collecting, retention and inventory. Changes nothing.

use std::collections::BTreeSet;

use manifest::Window;
use manifest::limits::DEAD_GRACE;
use model::{Resolution, Signal, TenantId, TimestampMs};

use crate::retain::{expired, forgettable};
use crate::rewrite::manifest_error;
use crate::{CompactError, Compactor};

/// Why an object goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Merged into others, or rewritten: no snapshot taken since can name it.
    Dead {
        /// Since when.
        since: TimestampMs,
    },
    /// Its day is older than it is kept.
    Expired {
        /// Days since the Unix epoch.
        day: i64,
        /// The resolution that is dropped.
        resolution: Resolution,
    },
    /// Nothing references it. Before it is deleted its id is burnt and it is looked for once more.
    Orphan {
        /// When it was put.
        modified: TimestampMs,
    },
}

/// An object that is to be deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Garbage {
    /// Its key.
    pub key: String,
    /// Its size, where that is known without asking for it.
    pub len_bytes: Option<u64>,
    /// Why it goes.
    pub reason: Reason,
    /// Whether it may go now; otherwise a grace is still running.
    pub due: bool,
}

impl Compactor {
    /// Lists the garbage of a tenant and signal. Lists objects: not for a hot path.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn garbage(&self, tenant: &TenantId, signal: Signal) -> Result<Vec<Garbage>, CompactError> {
        let (now, retention) = (self.now(), self.policy().retention.of(tenant, signal));
        let days = self.manifest().days(tenant, signal).await.map_err(manifest_error("read catalog"))?;
        let mut found = Vec::new();
        let mut windows: BTreeSet<Window> = days.iter().flat_map(|day| &day.hours).map(|hour| Window::Hour(*hour)).collect();
        windows.extend(days.iter().filter(|day| day.open).map(|day| Window::Day(day.day)));
        windows.extend(days.iter().filter(|day| day.packed).map(|day| Window::Day(day.day).month()));
        for window in windows {
            let dead = self.manifest().dead_objects(tenant, signal, window).await;
            found.extend(dead.map_err(manifest_error("read dead objects"))?.into_iter().map(|object| Garbage {
                key: object.key,
                len_bytes: None,
                reason: Reason::Dead { since: object.at },
                due: object.at.plus(DEAD_GRACE) <= now,
            }));
        }
        for (day, resolution) in expired(&days, retention, now) {
            found.extend(self.expiring(tenant, signal, day, resolution).await?);
        }
        for (day, resolution) in forgettable(&days, now) {
            let objects = self.manifest().dropped_objects(tenant, signal, day, resolution).await;
            let objects = objects.map_err(manifest_error("list dropped objects"))?;
            let reason = Reason::Expired { day, resolution };
            found.extend(objects.into_iter().map(|key| Garbage { key, len_bytes: None, reason, due: true }));
        }
        let known: BTreeSet<String> = found.iter().map(|garbage| garbage.key.clone()).collect();
        for day in self.stored_days(tenant, signal).await? {
            let orphans = self.orphans(tenant, signal, day).await?.into_iter();
            let unknown = orphans.filter(|orphan| !known.contains(&orphan.key.to_string()));
            found.extend(unknown.map(|orphan| Garbage {
                key: orphan.key.to_string(),
                len_bytes: Some(orphan.len_bytes),
                reason: Reason::Orphan { modified: orphan.modified },
                due: true,
            }));
        }
        Ok(found)
    }

    /// The live objects of a day that would be dropped now.
    async fn expiring(
        &self,
        tenant: &TenantId,
        signal: Signal,
        day: i64,
        resolution: Resolution,
    ) -> Result<Vec<Garbage>, CompactError> {
        let snapshot = self.manifest().snapshot_with_coarse(tenant, signal, Window::Day(day).range()).await;
        let snapshot = snapshot.map_err(manifest_error("take snapshot"))?;
        let parts = snapshot.parts.iter().chain(&snapshot.coarse).filter(|part| part.resolution == resolution);
        let garbage = |part: &manifest::Part| match &part.location {
            manifest::Location::Object { key, len } => {
                Some(Garbage { key: key.clone(), len_bytes: Some(*len), reason: Reason::Expired { day, resolution }, due: false })
            }
            manifest::Location::Inline(_) => None,
        };
        Ok(parts.filter_map(garbage).collect())
    }
}
