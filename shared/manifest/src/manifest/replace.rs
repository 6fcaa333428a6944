//! Compact: outputs under fresh keys, then one conditional update of the head, then the inputs' records.

use super::catalogs::decode_day;
use super::heads::{Decision, Lists};
use super::{Manifest, Step};
use crate::head::{Change, Head, HeadRecord};
use crate::limits::{READS_IN_FLIGHT, STAMP_COVERS};
use crate::mutation::Mutation;
use crate::{Error, Part, Result};
use futures::{StreamExt, TryStreamExt, stream};
use model::{Hour, Resolution, SegmentId, SegmentIds, Signal, TenantId, TimestampMs};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;
use store::keys::{self, Window};
use store::{Record, RecordKey};

/// What a compaction publishes: `outputs` take the place of `inputs` in one step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replacement {
    /// The window the outputs are listed under. `Hour`: inputs are L0 items or merged parts of that hour. `Day`: inputs
    /// are merged parts of sealed hours of that day that have rested ([`crate::HeadState::rollable_from`]), or
    /// parts of the day. `Month`: inputs are packed parts of that month, outputs have the windows of their days.
    pub window: Window,
    /// The resolution of the outputs. Coarse heads take only coarse inputs; lineage goes into `Part::sources`.
    pub resolution: Resolution,
    /// The head's generation from the snapshot the plan was made on ([`crate::Snapshot::generation`]).
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
    /// Somebody else was first, or the plan is void: abandon the outputs to the collector (never delete them, an answer
    /// may have been lost) and plan again.
    Lost,
}

impl Manifest {
    /// Publishes a compaction by one conditional update of the window's head. Decides an unknown outcome by reading.
    ///
    /// # Errors
    /// `HeadTooLarge` where the head would pass the bound of its pages; `Replacement` where the plan itself makes no sense.
    pub async fn replace(&self, tenant: &TenantId, signal: Signal, replacement: Replacement) -> Result<Replaced> {
        check(&replacement)?;
        if !self.rollable(tenant, signal, &replacement).await? {
            return Ok(Replaced::Lost);
        }
        let key = keys::head(tenant, signal, replacement.window, replacement.resolution);
        let Some(until) = self.stamp_for(tenant, signal, replacement.window).await? else { return Ok(Replaced::Lost) };
        // The time is taken for each try: `published_at` must not lie long before the update.
        let publish = |head: &mut Head| {
            let now = self.now();
            if self.makes(Mutation::OverwriteHead) {
                (head.parts, head.replaced) = (replacement.inputs.clone(), Vec::new());
                head.parts.retain(|part| part.level > 0 && part.window == replacement.window);
            }
            if now < until { head.publish(&replacement, now) } else { Change::Refused }
        };
        let change = self.update_head(&key, Lists::Visible, publish).await?;
        Ok(if change == Change::Refused { Replaced::Lost } else { Replaced::Replaced })
    }

    /// Makes sure that readers keep looking into the window's head, and tells until when; `None` where they do not, and the
    /// plan is void. Hours hold their inputs until after the publication, and months are never closed.
    async fn stamp_for(&self, tenant: &TenantId, signal: Signal, window: Window) -> Result<Option<TimestampMs>> {
        let Window::Day(day) = window else { return Ok(Some(TimestampMs(i64::MAX))) };
        let (key, stamp) = (keys::catalog_day(tenant, signal, day), self.now());
        let open = |record: Option<&Record>| {
            let mut day = decode_day(&key, record)?;
            if day.opened.is_none() {
                return Ok(Decision::Stop(Change::Refused));
            }
            day.stamp_open(stamp);
            Ok(Decision::Write(day.encode()))
        };
        let change = self.update_record(&key, "stamp day", open).await?;
        Ok((change != Change::Refused).then(|| stamp.plus(STAMP_COVERS)))
    }

    /// Reports whether all inputs from hours below a day are listed by hours that are sealed and have rested. Sealing lasts, and only this
    /// day takes parts out of a sealed hour, so that the answer stays true until the day's head is updated.
    async fn rollable(&self, tenant: &TenantId, signal: Signal, replacement: &Replacement) -> Result<bool> {
        for (hour, ids) in inputs_by_hour(replacement) {
            let key = keys::head(tenant, signal, Window::Hour(hour), Resolution::Raw);
            let Some(head) = self.head(&key, Lists::Visible).await? else { return Ok(false) };
            let listed: SegmentIds = head.parts.iter().map(|part| part.id).collect();
            if !head.sealed || head.rollable_from() > self.now() || !ids.is_subset(&listed) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tidies up after [`Manifest::replace`]: deletes L0 items, or the rolled parts' entries in their hours' heads. Touches
    /// only what the head lists as replaced (M1). Only saves work: what it leaves, [`Manifest::collect_window`] does.
    pub async fn delete_inputs(&self, tenant: &TenantId, signal: Signal, window: Window, inputs: &[Part]) -> Result<()> {
        let key = keys::head(tenant, signal, window, Resolution::Raw);
        let Some(head) = self.head(&key, Lists::Visible).await? else { return Ok(()) };
        let replaced = just_replaced(&head, inputs);
        let inputs = inputs.iter().filter(|input| replaced.contains(&input.id));
        if let Window::Hour(hour) = window {
            let items = inputs.filter(|input| input.level == 0).map(|input| (input.id, ITEM_VERSION)).collect();
            return self.delete_items(tenant, signal, hour, items).await;
        }
        let hours: BTreeSet<Hour> = inputs.filter_map(hour_of).collect();
        for hour in hours {
            self.unlist(&keys::head(tenant, signal, Window::Hour(hour), Resolution::Raw), &replaced).await?;
        }
        Ok(())
    }

    /// Deletes L0 items at the versions they were seen at.
    pub(super) async fn delete_items(
        &self,
        tenant: &TenantId,
        signal: Signal,
        hour: Hour,
        items: Vec<(SegmentId, u64)>,
    ) -> Result<()> {
        let delete = |(id, version)| async move {
            match self.records.delete_if(&keys::l0_item(tenant, signal, hour, id), version).await {
                // Deleted or not: the next collection sees which.
                Err(error) if error.is_unknown_outcome() => Ok(()),
                other => other.map(|_| ()).step("delete l0 item"),
            }
        };
        let deletes: Vec<_> = items.into_iter().map(delete).collect();
        stream::iter(deletes).buffer_unordered(READS_IN_FLIGHT).try_collect().await
    }

    /// Takes parts that the level above lists as replaced out of a head. Their objects are on the list of the dead up there, or
    /// still live there.
    pub(super) async fn unlist(&self, key: &RecordKey, ids: &SegmentIds) -> Result<()> {
        let unlist = |head: &mut Head| {
            let before = head.parts.len();
            head.parts.retain(|part| !ids.contains(&part.id));
            if head.parts.len() < before { Change::Write } else { Change::Already }
        };
        self.update_head(key, Lists::Visible, unlist).await.map(|_| ())
    }

    /// Seals an hour: from now on its merged parts only roll into the day. L0 still arrives and merges.
    pub async fn seal(&self, tenant: &TenantId, signal: Signal, hour: Hour) -> Result<()> {
        let key = keys::head(tenant, signal, Window::Hour(hour), Resolution::Raw);
        let seal = |record: &mut HeadRecord| {
            let was = std::mem::replace(&mut record.head.sealed, true);
            if was { Change::Already } else { Change::Write }
        };
        self.update_head_record(&key, seal).await.map(|_| ())
    }

    /// Takes the lease on a window until `now + length`, unless another owner holds it. A hint: it saves work and is never
    /// needed for correctness.
    pub async fn lease(&self, tenant: &TenantId, signal: Signal, window: Window, owner: u64, length: Duration) -> Result<bool> {
        let key = keys::head(tenant, signal, window, Resolution::Raw);
        let now = self.now();
        let take = |record: &mut HeadRecord| match record.head.lease {
            Some((other, until)) if other != owner && until > now => Change::Refused,
            _ => {
                record.head.lease = Some((owner, now.plus(length)));
                Change::Write
            }
        };
        Ok(self.update_head_record(&key, take).await? != Change::Refused)
    }
}

/// The version of every L0 item: it is put once and never updated.
const ITEM_VERSION: u64 = 1;

/// Returns which inputs are replaced and were not found gone by a collection yet. An id that was gone once and is back was put again
/// by a frozen writer; only a collection may delete that item, because it resets the time the id is kept for.
fn just_replaced(head: &Head, inputs: &[Part]) -> SegmentIds {
    let inputs: SegmentIds = inputs.iter().map(|input| input.id).collect();
    let just = head.replaced.iter().filter(|replaced| replaced.gone_since.is_none() && inputs.contains(&replaced.id));
    just.map(|replaced| replaced.id).collect()
}

fn hour_of(part: &Part) -> Option<Hour> {
    match part.window {
        Window::Hour(hour) => Some(hour),
        Window::Day(_) | Window::Month(_) => None,
    }
}

fn inputs_by_hour(replacement: &Replacement) -> BTreeMap<Hour, SegmentIds> {
    let mut hours: BTreeMap<Hour, SegmentIds> = BTreeMap::new();
    if matches!(replacement.window, Window::Day(_)) {
        for (hour, id) in replacement.inputs.iter().filter_map(|input| Some((hour_of(input)?, input.id))) {
            hours.entry(hour).or_default().insert(id);
        }
    }
    hours
}

/// Refuses a replacement that no snapshot can have led to.
fn check(replacement: &Replacement) -> Result<()> {
    let refuse = |reason| Err(Error::Replacement { window: replacement.window.to_string(), reason });
    let all = || replacement.inputs.iter().chain(&replacement.outputs);
    let mut seen = HashSet::new();
    if !all().all(|part| seen.insert(part.id)) {
        return refuse("an id occurs twice");
    }
    if !all().all(|part| part.resolution == replacement.resolution) {
        return refuse("a part has another resolution");
    }
    let is_home = |output: &Part| match (replacement.window, output.window) {
        (Window::Month(_), Window::Day(_)) => output.window.month() == replacement.window,
        (window, of) => of == window && !matches!(of, Window::Month(_)),
    };
    if !replacement.outputs.iter().all(|output| output.level > 0 && is_home(output)) {
        return refuse("an output is of level 0 or of another window");
    }
    if !replacement.inputs.iter().all(|input| lies_below(input, replacement)) {
        return refuse("an input is of a window or level that does not lie below");
    }
    Ok(())
}

fn lies_below(input: &Part, replacement: &Replacement) -> bool {
    match (replacement.window, input.window) {
        (Window::Hour(own), Window::Hour(of)) => own == of,
        (Window::Day(own), Window::Day(of)) => own == of && input.level > 0,
        (Window::Day(own), Window::Hour(of)) => own == of.day() && input.level > 0 && replacement.resolution == Resolution::Raw,
        (Window::Month(_), Window::Day(_)) => input.window.month() == replacement.window && input.level > 0,
        _ => false,
    }
}
