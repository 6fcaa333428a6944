//! The manifest's calls.

use crate::{L0Item, Part, Result, Snapshot};
use model::{Clock, Hour, Nonces, Resolution, Signal, TenantId, TimeRangeMs, TimestampMs};
use std::sync::Arc;
use std::time::Duration;
use store::keys::{ObjectKey, Window};
use store::Records;

/// The manifest of all tenants over one record store. Cheap to clone; the copies share caches.
#[derive(Clone, Debug)]
pub struct Manifest {
    #[allow(dead_code)]
    records: Records,
    #[allow(dead_code)]
    clock: Arc<dyn Clock>,
    #[allow(dead_code)]
    nonces: Arc<Nonces>,
}

/// Outcome of [`Manifest::commit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Committed {
    /// The item is live, and ours.
    Committed,
    /// The same content was live already, or was put by an earlier try of ours: success; our object may be an orphan.
    AlreadyCommitted,
    /// The id was burnt by the collector: mint another id (a suffix to the hashed content) and upload under a fresh key.
    Burnt,
}

/// What a compaction publishes: `outputs` take the place of `inputs` in one step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replacement {
    /// The window the outputs are listed under. `Hour`: inputs are L0 items or merged parts of that hour. `Day`: inputs
    /// are merged parts of sealed hours of that day, or parts of the day.
    pub window: Window,
    /// The resolution of the outputs. Coarse heads take only coarse inputs; lineage goes into `Part::sources`.
    pub resolution: Resolution,
    /// The head's generation from the snapshot the plan was made on.
    pub generation: u64,
    /// The parts replaced, as the snapshot listed them.
    pub inputs: Vec<Part>,
    /// The new parts; their objects are durable. May be empty where nothing is left (retention inside a window).
    pub outputs: Vec<Part>,
}

/// Outcome of [`Manifest::replace`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replaced {
    /// The outputs are live and the inputs are not. Next: [`Manifest::delete_inputs`].
    Replaced,
    /// Somebody else was first, or the plan is void: abandon the outputs to the collector and plan again.
    Lost,
}

/// An object no snapshot taken from now on can name.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// Makes a manifest over a record store.
    pub fn new(records: Records, clock: Arc<dyn Clock>, nonces: Arc<Nonces>) -> Manifest {
        Manifest { records, clock, nonces }
    }

    /// Makes an item visible: the one moment data becomes visible. Sets the catalog's bit of the hour first. Idempotent,
    /// repeats itself on an unknown outcome. The item's object must be durable already.
    ///
    /// # Errors
    /// `AttemptTooOld` ten minutes after `minted_at`; `Dropped` where retention dropped the hour.
    pub async fn commit(&self, tenant: &TenantId, signal: Signal, hour: Hour, item: L0Item) -> Result<Committed> {
        let _ = (tenant, signal, hour, item);
        todo!()
    }

    /// Returns the live raw parts that overlap `range`, in the read order that makes M1 and M2 hold.
    pub async fn snapshot(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs) -> Result<Snapshot> {
        let _ = (tenant, signal, range);
        todo!()
    }

    /// Returns [`Manifest::snapshot`] with the coarse parts of the days touched.
    pub async fn snapshot_with_coarse(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs) -> Result<Snapshot> {
        let _ = (tenant, signal, range);
        todo!()
    }

    /// Returns the hours within `range` that may have data, ascending.
    pub async fn hours_with_data(&self, tenant: &TenantId, signal: Signal, range: TimeRangeMs) -> Result<Vec<Hour>> {
        let _ = (tenant, signal, range);
        todo!()
    }

    /// Returns the days that may have data, as days since the Unix epoch, ascending; those dropped by retention are left out.
    pub async fn days_with_data(&self, tenant: &TenantId, signal: Signal) -> Result<Vec<i64>> {
        let _ = (tenant, signal);
        todo!()
    }

    /// Returns every tenant and signal that ever committed: where compaction looks for work without listing objects.
    pub async fn tenants(&self) -> Result<Vec<(TenantId, Signal)>> {
        todo!()
    }

    /// Publishes a compaction by one conditional update of the window's head. Decides an unknown outcome by reading.
    ///
    /// # Errors
    /// `HeadTooLarge` where the head would pass the bound of a record.
    pub async fn replace(&self, tenant: &TenantId, signal: Signal, replacement: Replacement) -> Result<Replaced> {
        let _ = (tenant, signal, replacement);
        todo!()
    }

    /// Tidies up after [`Manifest::replace`]: deletes L0 items, or the rolled parts' entries in their hours' heads. Only
    /// saves work: what it leaves undone, [`Manifest::collect_window`] does.
    pub async fn delete_inputs(&self, tenant: &TenantId, signal: Signal, window: Window, inputs: &[Part]) -> Result<()> {
        let _ = (tenant, signal, window, inputs);
        todo!()
    }

    /// Seals an hour: from now on its merged parts only roll into the day. L0 still arrives and merges. `false`: lost a race.
    pub async fn seal(&self, tenant: &TenantId, signal: Signal, hour: Hour) -> Result<bool> {
        let _ = (tenant, signal, hour);
        todo!()
    }

    /// Takes the lease on a window until `now + length`, unless another owner holds it. A hint: it saves work and is never
    /// needed for correctness.
    pub async fn lease(&self, tenant: &TenantId, signal: Signal, window: Window, owner: u64, length: Duration) -> Result<bool> {
        let _ = (tenant, signal, window, owner, length);
        todo!()
    }

    /// Deletes items of a window whose ids were replaced, forgets ids that were gone for long enough, and returns the
    /// objects dead for longer than the grace. Delete those, then call [`Manifest::forget_dead`].
    pub async fn collect_window(&self, tenant: &TenantId, signal: Signal, window: Window) -> Result<Vec<DeadObject>> {
        let _ = (tenant, signal, window);
        todo!()
    }

    /// Removes deleted objects from the window's list of the dead.
    pub async fn forget_dead(&self, tenant: &TenantId, signal: Signal, window: Window, keys: &[String]) -> Result<()> {
        let _ = (tenant, signal, window, keys);
        todo!()
    }

    /// Makes sure that an unreferenced object older than 24 h can never be committed, then checks again (M3).
    pub async fn burn(&self, object: &ObjectKey) -> Result<Burn> {
        let _ = object;
        todo!()
    }

    /// Drops a day by retention, for one resolution: readers skip it from now on. Its objects are returned by
    /// [`Manifest::dropped_objects`] once the grace has passed.
    pub async fn drop_day(&self, tenant: &TenantId, signal: Signal, day: i64, resolution: Resolution) -> Result<()> {
        let _ = (tenant, signal, day, resolution);
        todo!()
    }

    /// Returns the objects of a dropped day whose grace has passed; empty before. Delete them, then [`Manifest::forget_day`].
    pub async fn dropped_objects(&self, tenant: &TenantId, signal: Signal, day: i64, resolution: Resolution) -> Result<Vec<String>> {
        let _ = (tenant, signal, day, resolution);
        todo!()
    }

    /// Deletes the records of a dropped day after its objects were deleted.
    pub async fn forget_day(&self, tenant: &TenantId, signal: Signal, day: i64, resolution: Resolution) -> Result<()> {
        let _ = (tenant, signal, day, resolution);
        todo!()
    }
}
