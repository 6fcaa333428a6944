//! Coarse copies of days: what each is made of (D1), that raw data waits for them (D2), that they stay for as long as they are kept.

use super::super::copies::{COARSE, Content, differ, label_set, read};
use super::super::ledger::{RowId, Samples};
use super::{World, object_key, part_name};
use futures::FutureExt;
use manifest::{Location, ObjectKey, Part, Snapshot, Window};
use model::{Keep, LabelSet, Resolution, SegmentId, Signal, TenantId, TimeRangeMs};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Age before its day is dropped from which a row must be in the day's copies, ms: what decides to drop it may be frozen for 20 minutes
/// twice, and its last call take effect 15 minutes late.
const SETTLED_MS: i64 = 75 * 60_000;

/// What is known of one tenant's copies.
#[derive(Debug, Default)]
pub struct Copies {
    /// Per day and resolution, how its newest copy was made of samples.
    made: BTreeMap<(i64, Resolution), Made>,
    /// Copies that were compared: their parts, and whether raw data was there.
    compared: HashSet<(Vec<SegmentId>, bool)>,
    /// What a reader saw before the last effect.
    before: Option<Arc<Snapshot>>,
    /// Of days, what was dropped by retention.
    dropped: BTreeSet<(i64, Resolution)>,
}

#[derive(Clone, Debug)]
struct Made {
    sources: BTreeSet<SegmentId>,
    /// Deletions whose rows the raw parts lacked already.
    applied: BTreeSet<u128>,
    /// Deletions that the copy was rewritten without since: a part forgets those whose records are gone.
    erased: BTreeSet<u128>,
}

impl World {
    /// Checks the copies a reader would use, each once.
    pub(super) fn check_copies(&self, tenant: &TenantId, snapshot: &Snapshot) {
        for (day, resolution) in snapshot.copied_days().into_iter().flat_map(|day| COARSE.map(|of| (day, of))) {
            if let Some(parts) = snapshot.copy(day, resolution) {
                let found = self.check_copy(tenant, snapshot, day, resolution, &parts);
                self.maybe_violated(found.map(|found| format!("{found}: {resolution:?} of day {day} of {tenant}")));
            }
        }
        self.check_kept(tenant, snapshot);
        self.with_copies(tenant, |copies| copies.before = Some(Arc::new(snapshot.clone())));
    }

    fn with_copies<T>(&self, tenant: &TenantId, of: impl FnOnce(&mut Copies) -> T) -> T {
        of(self.ledger().copies.entry(tenant.clone()).or_default())
    }

    /// A copy stands for exactly the raw parts there are, and holds what they held.
    fn check_copy(
        &self,
        tenant: &TenantId,
        snapshot: &Snapshot,
        day: i64,
        resolution: Resolution,
        parts: &[&Part],
    ) -> Option<String> {
        let ids = |parts: &[Part]| -> BTreeSet<SegmentId> {
            let raw = parts.iter().filter(|part| part.window.day() == day && part.resolution == Resolution::Raw);
            raw.map(|part| part.id).collect()
        };
        let (raw, apart) = (ids(&snapshot.parts), ids(&snapshot.quarantined));
        let sources: BTreeSet<SegmentId> = parts.first()?.sources.iter().copied().collect();
        if parts.iter().any(|part| part.sources.iter().copied().collect::<BTreeSet<_>>() != sources) {
            return Some("D1: parts of a copy name other sources than each other".into());
        }
        let is_of_raw = raw.is_subset(&sources) && sources.iter().all(|id| raw.contains(id) || apart.contains(id));
        if !raw.is_empty() && !is_of_raw {
            return Some(format!("D1: a copy of {sources:?} is read in place of {raw:?}"));
        }
        let compared = (parts.iter().map(|part| part.id).collect(), !raw.is_empty());
        if !self.with_copies(tenant, |copies| copies.compared.insert(compared)) || self.is_damaged(tenant, day, resolution) {
            return None;
        }
        let Some(samples) = self.samples_of(tenant, &sources) else {
            return Some(format!("D1: a copy names parts that nobody ever saw: {sources:?}"));
        };
        let applied: BTreeSet<u128> = parts.iter().flat_map(|part| part.applied.iter().copied()).collect();
        let known = self.with_copies(tenant, |copies| copies.made.get(&(day, resolution)).cloned());
        let made = match known {
            Some(mut made) if raw.is_empty() && made.sources == sources => {
                made.erased.extend(applied.difference(&made.applied));
                made
            }
            _ => {
                self.ledger().seen.copies += 1;
                Made { sources, applied, erased: BTreeSet::new() }
            }
        };
        self.with_copies(tenant, |copies| copies.made.insert((day, resolution), made.clone()));
        let content = match self.content(parts, &|_, _| Vec::new()) {
            Ok(content) => content,
            Err(error) => return Some(format!("D1: a copy cannot be read: {error}")),
        };
        let width_ms = resolution.width_ms()?;
        let erased = |labels: &LabelSet| self.deleted(tenant, labels, |id| made.erased.contains(&id));
        let found = differ(&content, &samples, width_ms, &erased);
        found.map(|found| format!("D1: a copy does not hold what its sources held: {found}"))
    }

    /// Returns the samples that raw parts held when they were first seen.
    fn samples_of(&self, tenant: &TenantId, sources: &BTreeSet<SegmentId>) -> Option<Samples> {
        self.account(tenant, Signal::Metrics, |account| {
            let rows: Vec<Arc<[RowId]>> = sources.iter().map(|id| account.part(*id)).collect::<Option<_>>()?;
            Some(account.samples(rows.iter().flat_map(|rows| rows.iter())))
        })
    }

    /// Returns the ranges of a series that some deletions name.
    fn deleted(&self, tenant: &TenantId, labels: &LabelSet, which: impl Fn(u128) -> bool) -> Vec<TimeRangeMs> {
        self.account(tenant, Signal::Metrics, |account| {
            let requests = account.deletions().filter(|deletion| which(deletion.id)).map(|deletion| &deletion.request);
            let named = requests.filter(|request| request.selects(labels));
            named.map(|request| request.range).collect()
        })
    }

    /// Reads the parts of a copy, each without the ranges that `erased` names of a series in it.
    pub fn content(&self, parts: &[&Part], erased: &dyn Fn(&Part, &LabelSet) -> Vec<TimeRangeMs>) -> Result<Content, String> {
        let mut content = Content::new();
        for part in parts {
            let bytes = match &part.location {
                Location::Inline(bytes) => Some(bytes.clone()),
                Location::Object { key, .. } => self.shelf.bytes(key),
            };
            let bytes = bytes.ok_or_else(|| format!("{} is gone", part_name(part)))?;
            read(&bytes, &|labels| erased(part, labels), &mut content)?;
        }
        Ok(content)
    }

    /// Reports whether somebody damaged a part of any copy of a day and resolution.
    fn is_damaged(&self, tenant: &TenantId, day: i64, resolution: Resolution) -> bool {
        let damaged = self.account(tenant, Signal::Metrics, |account| account.damaged_segments.clone());
        let keys = damaged.iter().filter_map(|key| ObjectKey::parse(key));
        keys.into_iter().any(|key| key.resolution == resolution && key.window.day() == day)
    }

    /// Once raw data is gone its copies are all there is: they stay until retention drops them.
    fn check_kept(&self, tenant: &TenantId, snapshot: &Snapshot) {
        let dropped = |copies: &Copies, day: i64| copies.dropped.contains(&(day, Resolution::Raw));
        let kept: Vec<(i64, Resolution, Made)> = self.with_copies(tenant, |copies| {
            let kept =
                copies.made.iter().filter(|((day, of), _)| dropped(copies, *day) && !copies.dropped.contains(&(*day, *of)));
            kept.map(|((day, of), made)| (*day, *of, made.clone())).collect()
        });
        for (day, resolution, made) in kept {
            if snapshot.copy(day, resolution).is_some() || self.is_damaged(tenant, day, resolution) {
                continue;
            }
            let samples = self.samples_of(tenant, &made.sources).unwrap_or_default();
            let width_ms = resolution.width_ms().unwrap_or(1);
            let found = differ(&Content::new(), &samples, width_ms, &|labels| self.deleted(tenant, labels, |_| true));
            self.maybe_violated(found.map(|found| format!("D2: {resolution:?} of day {day} is gone: {found}")));
        }
    }

    /// Checks what retention has just dropped: no copy before its time, and raw data only where its copies are live.
    pub(super) fn check_dropped(&self, tenant: &TenantId) {
        let days = self.manifest.days(tenant, Signal::Metrics).now_or_never().expect("records in memory answer at once");
        let dropped = days.into_iter().flatten().flat_map(|day| day.dropped.into_iter().map(move |(of, _)| (day.day, of)));
        for (day, resolution) in dropped {
            if !self.with_copies(tenant, |copies| copies.dropped.insert((day, resolution))) {
                continue;
            }
            let found = match resolution {
                Resolution::Raw => self.check_covered(tenant, day),
                _ => self
                    .is_wanted(day, resolution)
                    .then(|| format!("retention: {resolution:?} of day {day} was dropped too early")),
            };
            self.maybe_violated(found);
        }
    }

    /// Reports whether a copy of a day is to be kept, whatever a clock says that is as wrong as it may be.
    fn is_wanted(&self, day: i64, resolution: Resolution) -> bool {
        let retention = &self.scenario.policy.retention.metrics;
        let skewed = self.schedule.now().0 + self.scenario.skew_ms_max as i64;
        match retention.of(resolution) {
            Some(Keep::For(span)) => skewed < Window::Day(day).range().end.plus(span).0,
            Some(Keep::Forever) => true,
            None => false,
        }
    }

    /// D2: what was visible of a day when its raw data was dropped is in each of its copies.
    fn check_covered(&self, tenant: &TenantId, day: i64) -> Option<String> {
        let before = self.with_copies(tenant, |copies| copies.before.clone())?;
        let mut of_day = Snapshot::clone(&before);
        of_day.parts.retain(|part| part.window.day() == day);
        let settled_ms = self.schedule.now().0 - SETTLED_MS;
        let rows: Vec<RowId> =
            self.shown(tenant, Signal::Metrics, &of_day).iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
        let required = self.account(tenant, Signal::Metrics, |account| {
            account.samples(rows.iter().filter(|row| account.was_committed(**row, settled_ms)))
        });
        let snapshot = self.look(tenant, Signal::Metrics)?;
        self.ledger().seen.raw_dropped += u64::from(!required.is_empty());
        COARSE.into_iter().filter(|resolution| self.is_wanted(day, *resolution)).find_map(|resolution| {
            let parts = snapshot.copy(day, resolution).unwrap_or_default();
            let sources = parts.iter().flat_map(|part| part.sources.iter().copied()).collect();
            let held = self.samples_of(tenant, &sources).unwrap_or_default();
            let lacks = required.iter().find(|(labels, samples)| {
                let held = held.get(*labels);
                samples.iter().any(|(at, value)| held.and_then(|held| held.get(at)) < Some(value))
            });
            // Where a part of the copy was damaged, nobody may know of it yet.
            let lacks = lacks.filter(|_| !self.is_damaged(tenant, day, resolution));
            lacks.map(|(labels, _)| {
                let series = label_set(labels);
                format!("D2: raw data of day {day} of {tenant} was dropped, {resolution:?} lacks samples of {series}")
            })
        })
    }

    /// Checks that nothing waits for copies for ever: every day at rest has those that are asked for.
    pub fn check_all_copied(&self) {
        for (tenant, signal) in self.accounts() {
            if signal != Signal::Metrics || !self.scenario.copies {
                continue;
            }
            let Some(snapshot) = self.look(&tenant, signal) else { return };
            let at_rest = |day: i64| {
                let mut raw = snapshot.parts.iter().filter(|part| part.window.day() == day);
                raw.all(|part| part.window == Window::Day(day))
            };
            let days: BTreeSet<i64> = snapshot.parts.iter().map(|part| part.window.day()).filter(|day| at_rest(*day)).collect();
            let missing = days.into_iter().flat_map(|day| COARSE.map(|of| (day, of)));
            let mut missing = missing.filter(|(day, of)| self.is_wanted(*day, *of) && !snapshot.is_copied(*day, *of));
            let found = missing.next().map(|(day, of)| format!("D2: {tenant} waits for {of:?} of day {day} for ever"));
            self.maybe_violated(found);
        }
    }
}

/// Returns the objects that a snapshot names.
pub fn keys_of(snapshot: &Snapshot) -> impl Iterator<Item = &String> {
    snapshot.parts.iter().chain(&snapshot.coarse).chain(&snapshot.quarantined).filter_map(object_key)
}
