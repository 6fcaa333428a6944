//! Records and objects of a tenant and signal held against each other. Pure.
//!
//! Owns: what must hold between records, and between records and the list of objects (M1 to M3, W2).
//! Does not own: what lies inside the objects (`segments::check`).

use std::collections::{BTreeMap, HashMap, HashSet};

use ::manifest::limits::ORPHAN_AGE_MIN;
use ::manifest::ring::Ring;
use ::manifest::{HeadRecords, Location, Part, WindowRecords};
use model::{Resolution, SegmentId, TimestampMs};
use store::keys::{ObjectKey, Window};

use super::objects::Object;
use super::records::{Records, listed, object_of};
use crate::tools::findings::{Finding, Kind};

/// Counts beside the findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Hours and days with records.
    pub windows: u64,
    /// Segments that readers see.
    pub live: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Of them, those that lie inside a record.
    pub inline: u64,
    /// Of them, those that answers leave out because they were found to be corrupt.
    pub quarantined: u64,
    /// Ids remembered as replaced.
    pub replaced: u64,
    /// Objects that wait for the collector.
    pub dead: u64,
    /// Objects that nothing names: writes that were not acknowledged, merges that lost, or records that are gone.
    pub unnamed: u64,
    /// Their bytes.
    pub unnamed_bytes: u64,
    /// Of them, those old enough for the collector.
    pub unnamed_old: u64,
}

/// What an audit says.
#[derive(Debug, Default)]
pub struct Audit {
    /// Counts.
    pub counts: Counts,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Holds everything against everything.
pub fn audit(records: &Records, objects: &BTreeMap<String, Object>, ring: &Ring, now: TimestampMs) -> Audit {
    let mut audit = Audit::default();
    unreadable(records, &mut audit);
    for window in records.readable() {
        audit.counts.windows += u64::from(!window.items.is_empty() || !window.heads.is_empty());
        places(records, window, ring, &mut audit);
        window.heads.iter().for_each(|head| one_head(records, window.window, head, &mut audit));
    }
    named_twice(records, &mut audit);
    live_and_dead(records, &mut audit);
    against_objects(records, objects, &mut audit);
    unnamed(records, objects, now, &mut audit);
    audit
}

fn unreadable(records: &Records, audit: &mut Audit) {
    for (window, outcome) in &records.windows {
        if let Err(error) = outcome {
            let what = format!("records cannot be read: {error}");
            audit.findings.push(Finding::in_window(Kind::Record, &records.tenant, records.signal, *window, what));
        }
    }
}

impl Records {
    fn finding(&self, kind: Kind, part: &Part, what: impl Into<String>) -> Finding {
        Finding::in_window(kind, &self.tenant, self.signal, part.window, what.into()).of(part)
    }
}

/// What each part says of itself: where it is listed, what its key says, its times, slots, lineage and epoch.
fn places(records: &Records, window: &WindowRecords, ring: &Ring, audit: &mut Audit) {
    let (tenant, signal) = (&records.tenant, records.signal);
    let mut wrong = |kind, part: &Part, what: String| audit.findings.push(records.finding(kind, part, what));
    for part in listed(window) {
        let item = window.items.iter().any(|(_, item)| item.as_ref().is_some_and(|item| std::ptr::eq(item, part)));
        let packed = part.window.month() == window.window && matches!(part.window, Window::Day(_));
        if part.window != window.window && !packed {
            wrong(Kind::Place, part, format!("says {}, is listed under {}", part.window, window.window));
        }
        if item != (part.level == 0) {
            wrong(Kind::Place, part, format!("level {} is listed {}", part.level, if item { "as an item" } else { "in a head" }));
        }
        let range = part.stats.time_range;
        if !range.is_empty() && (range.start < part.window.range().start || range.end > part.window.range().end) {
            wrong(Kind::Place, part, format!("times {} to {} lie outside its window", range.start.0, range.end.0));
        }
        let slots = part.stats.slots;
        if slots.lo > slots.hi || usize::from(slots.hi) > ::manifest::ring::SLOTS {
            wrong(Kind::Place, part, format!("slots {} to {} are none of the ring's", slots.lo, slots.hi));
        }
        if part.tail_offset > part.location.len_bytes() {
            wrong(Kind::TailOffset, part, format!("tail at {} of {} bytes", part.tail_offset, part.location.len_bytes()));
        }
        match ring.epochs().iter().find(|epoch| epoch.number == part.stats.epoch) {
            None => wrong(Kind::Ring, part, format!("written under epoch {}, which is not there", part.stats.epoch)),
            // R3: what was merged within an hour holds slots of one owner.
            Some(epoch) if part.level > 0 && matches!(part.window, Window::Hour(_)) => {
                if !epoch.assignment.cuts().iter().any(|cut| cut.lo <= slots.lo && slots.hi <= cut.hi) {
                    wrong(Kind::Ring, part, format!("slots {} to {} are of several groups", slots.lo, slots.hi));
                }
            }
            Some(_) => {}
        }
        if (part.resolution == Resolution::Raw) != part.sources.is_empty() {
            wrong(Kind::Lineage, part, format!("{} with {} sources", part.resolution.as_str(), part.sources.len()));
        }
        if let Location::Object { key, .. } = &part.location {
            let says = ObjectKey::parse(key);
            let agrees = says.is_some_and(|says| {
                (&says.tenant, says.signal, says.window, says.resolution, says.level, says.id)
                    == (tenant, signal, part.window, part.resolution, part.level, part.id)
            });
            if !agrees {
                wrong(Kind::Key, part, format!("its key says otherwise: {key}"));
            }
        }
    }
}

/// What must hold inside one head.
fn one_head(records: &Records, window: Window, head: &HeadRecords, audit: &mut Audit) {
    let replaced: HashSet<SegmentId> = head.replaced.iter().map(|(id, _)| *id).collect();
    // A month remembers the parts it adopted from its days as replaced there.
    let adopts = matches!(window, Window::Month(_));
    for part in head.parts.iter().filter(|part| !adopts && replaced.contains(&part.id)) {
        audit.findings.push(records.finding(Kind::LiveAndReplaced, part, "is live and replaced in one head"));
    }
    for part in head.parts.iter().filter(|part| part.resolution != head.resolution) {
        let what = format!("{} in the head of {} of {window}", part.resolution.as_str(), head.resolution.as_str());
        audit.findings.push(records.finding(Kind::Place, part, what));
    }
    audit.counts.replaced += head.replaced.len() as u64;
    audit.counts.dead += head.dead.len() as u64;
}

/// M2: no segment and no object is live twice.
fn named_twice(records: &Records, audit: &mut Audit) {
    let live = records.live();
    let mut ids: HashMap<SegmentId, Window> = HashMap::new();
    let mut keys: HashSet<&str> = HashSet::new();
    for part in &live {
        audit.counts.live += 1;
        audit.counts.quarantined += u64::from(records.is_quarantined(part));
        audit.counts.live_bytes += part.location.len_bytes();
        // The same content at level 0 of two hours is two segments; one id twice in an hour is not.
        if let Some(other) = ids.insert(part.id, part.window).filter(|other| part.level > 0 || *other == part.window) {
            audit.findings.push(records.finding(Kind::NamedTwice, part, format!("is live twice, under {other} too")));
        }
        match &part.location {
            Location::Inline(_) => audit.counts.inline += 1,
            Location::Object { key, .. } if !keys.insert(key) => {
                audit.findings.push(records.finding(Kind::NamedTwice, part, "its object is live twice"));
            }
            Location::Object { .. } => {}
        }
    }
}

/// M3: what is live is on no list of the dead.
fn live_and_dead(records: &Records, audit: &mut Audit) {
    let dead: HashSet<&str> = heads(records).flat_map(|head| head.dead.iter().map(|dead| dead.key.as_str())).collect();
    for part in records.live() {
        if object_of(part).is_some_and(|key| dead.contains(key)) {
            audit.findings.push(records.finding(
                Kind::LiveAndDead,
                part,
                "its object is on a list of the dead and will be deleted",
            ));
        }
    }
}

/// W1: the object of everything live is there, as long as it was written.
fn against_objects(records: &Records, objects: &BTreeMap<String, Object>, audit: &mut Audit) {
    for part in records.live() {
        let Some(key) = object_of(part) else { continue };
        match objects.get(key) {
            None => {
                let what = "the object of this live segment is not there";
                audit.findings.push(records.finding(Kind::MissingObject, part, what));
            }
            Some(object) if object.bytes != part.location.len_bytes() => {
                let what = format!("{} bytes, the manifest says {}", object.bytes, part.location.len_bytes());
                audit.findings.push(records.finding(Kind::Length, part, what));
            }
            Some(_) => {}
        }
    }
}

/// Objects that nothing names. They are no fault: a write that was cut short leaves them. But merged ones in an hour that has
/// no record at all are what is left of lost records.
fn unnamed(records: &Records, objects: &BTreeMap<String, Object>, now: TimestampMs, audit: &mut Audit) {
    let listed: HashSet<&str> = records.readable().flat_map(|window| listed(window).filter_map(object_of)).collect();
    let dead: HashSet<&str> = heads(records).flat_map(|head| head.dead.iter().map(|dead| dead.key.as_str())).collect();
    let mut lost: BTreeMap<Window, u64> = BTreeMap::new();
    for (key, object) in objects.iter().filter(|(key, _)| !listed.contains(key.as_str()) && !dead.contains(key.as_str())) {
        let Some(says) = &object.key else {
            audit.findings.push(foreign(records, key));
            continue;
        };
        if !records.covers(says.window) || records.is_dropped(says.window.day(), says.resolution) {
            continue;
        }
        audit.counts.unnamed += 1;
        audit.counts.unnamed_bytes += object.bytes;
        audit.counts.unnamed_old += u64::from(object.written_at <= now.minus(ORPHAN_AGE_MIN));
        if says.level > 0 && records.is_bare(says.window) {
            *lost.entry(says.window).or_default() += 1;
        }
    }
    for (window, count) in lost {
        let what = format!("{count} merged objects are there, but no record is");
        audit.findings.push(Finding::in_window(Kind::LostRecords, &records.tenant, records.signal, window, what));
    }
}

fn foreign(records: &Records, key: &str) -> Finding {
    Finding {
        kind: Kind::ForeignObject,
        tenant: Some(records.tenant.to_string()),
        signal: Some(records.signal.as_str()),
        window: None,
        segment: None,
        key: Some(key.to_owned()),
        what: format!("no key that Lamella writes: {key}"),
    }
}

impl Records {
    /// Reports whether nothing at all is recorded under a window that the catalog says has records.
    fn is_bare(&self, window: Window) -> bool {
        let day = self.days.iter().find(|day| day.day == window.day());
        let expected = day.is_some_and(|day| match window {
            Window::Hour(hour) => day.hours.contains(&hour),
            Window::Day(_) => day.open && !day.packed,
            Window::Month(_) => false,
        });
        let found = self.readable().find(|records| records.window == window);
        expected && found.is_some_and(|records| records.items.is_empty() && records.heads.is_empty())
    }
}

fn heads(records: &Records) -> impl Iterator<Item = &HeadRecords> {
    records.readable().flat_map(|window| &window.heads)
}
