//! The head of a window: its merged parts, the ids they replaced one level below, the objects that died.
//!
//! Owns: the record's layout and every decision about a change to it, as pure functions of values.
//! Does not own: reading and writing it (`heads`).

use crate::codec::{Kind, Reader, Reason, Writer};
use crate::limits::{DEAD_GRACE, REPLACED_KEPT, ROLL_REST_MIN};
use crate::part::{read_part, write_part};
use crate::{DeadObject, Location, Part, Replacement};
use bytes::Bytes;
use model::{SegmentId, TimestampMs};
use std::collections::HashSet;
use store::keys::Window;

/// An id one level below that this head's parts stand for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplacedId {
    /// The id.
    pub id: SegmentId,
    /// When it was replaced.
    pub at: TimestampMs,
    /// When a collection first found it gone below; it is forgotten [`REPLACED_KEPT`] later.
    pub gone_since: Option<TimestampMs>,
}

/// The record under `HEAD`.
///
/// # Invariants
/// No id is both in `parts` and in `replaced`; ids of `parts` are distinct.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// The update that wrote this version: decides an unknown outcome.
    pub last_op: u128,
    /// Grows when ids are forgotten or outputs burnt; a plan made under another generation is void.
    pub generation: u64,
    /// When parts were last published. They may roll [`ROLL_REST_MIN`] later.
    pub published_at: TimestampMs,
    /// Merged parts of a sealed hour only roll into the day.
    pub sealed: bool,
    /// Owner and end of the lease. A hint.
    pub lease: Option<(u64, TimestampMs)>,
    /// Live parts.
    pub parts: Vec<Part>,
    /// Ids one level below that must not be read any more.
    pub replaced: Vec<ReplacedId>,
    /// Objects no snapshot from now on can name.
    pub dead: Vec<DeadObject>,
}

/// What a change to a head comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Write it.
    Write,
    /// Nothing to write: it is so already.
    Already,
    /// It may not be made.
    Refused,
}

impl Head {
    /// Decodes a record.
    pub fn decode(record: &Bytes) -> Result<Head, Reason> {
        let mut from = Reader::open_as(record, Kind::Head)?;
        let head = Head {
            last_op: from.bits()?,
            generation: from.number()?,
            published_at: from.time()?,
            sealed: from.flag()?,
            lease: if from.flag()? { Some((from.number()?, from.time()?)) } else { None },
            parts: from.list(read_part)?,
            replaced: from.list(|from| Ok(ReplacedId { id: from.id()?, at: from.time()?, gone_since: from.time_if()? }))?,
            dead: from.list(|from| Ok(DeadObject { key: from.text()?, at: from.time()? }))?,
        };
        from.finish()?;
        Ok(head)
    }

    /// Encodes the record.
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new(Kind::Head);
        out.bits(self.last_op);
        out.number(self.generation);
        out.time(self.published_at);
        out.number(u64::from(self.sealed));
        out.number(u64::from(self.lease.is_some()));
        if let Some((owner, until)) = self.lease {
            out.number(owner);
            out.time(until);
        }
        out.list(&self.parts, write_part);
        out.list(&self.replaced, |out, replaced| {
            out.id(replaced.id);
            out.time(replaced.at);
            out.time_if(replaced.gone_since);
        });
        out.list(&self.dead, |out, dead| {
            out.bytes(dead.key.as_bytes());
            out.time(dead.at);
        });
        out.finish()
    }

    /// Returns the ids this head replaced.
    pub fn replaced_ids(&self) -> HashSet<SegmentId> {
        self.replaced.iter().map(|replaced| replaced.id).collect()
    }

    /// Reports whether a live part or the list of the dead names the object.
    pub fn names(&self, key: &str) -> bool {
        let live = self.parts.iter().any(|part| matches!(&part.location, Location::Object { key: of, .. } if of == key));
        live || self.dead.iter().any(|dead| dead.key == key)
    }

    /// Publishes a replacement: inputs of the window itself leave `parts`, inputs from below enter `replaced`.
    pub fn publish(&mut self, replacement: &Replacement, now: TimestampMs) -> Change {
        let ids: HashSet<SegmentId> = self.parts.iter().map(|part| part.id).collect();
        if !replacement.outputs.is_empty() && replacement.outputs.iter().all(|output| ids.contains(&output.id)) {
            return Change::Already;
        }
        if replacement.generation != self.generation || replacement.outputs.iter().any(|output| ids.contains(&output.id)) {
            return Change::Refused;
        }
        let (own, below): (Vec<&Part>, Vec<&Part>) =
            replacement.inputs.iter().partition(|input| is_own(input, replacement.window));
        let replaced = self.replaced_ids();
        let gone = own.iter().any(|input| !ids.contains(&input.id)) || below.iter().any(|input| replaced.contains(&input.id));
        // A sealed hour's parts may be rolling into the day at this moment.
        let rolling = self.sealed && !own.is_empty();
        if gone || rolling {
            return Change::Refused;
        }
        let own: HashSet<SegmentId> = own.iter().map(|input| input.id).collect();
        self.parts.retain(|part| !own.contains(&part.id));
        self.replaced.extend(below.iter().map(|input| ReplacedId { id: input.id, at: now, gone_since: None }));
        self.dead.extend(replacement.inputs.iter().filter_map(|input| dead_object(input, now)));
        self.parts.extend(replacement.outputs.iter().cloned());
        self.published_at = self.published_at.max(now);
        Change::Write
    }

    /// Marks replaced ids as gone below or as still there, and forgets those gone for long enough. `below` holds the ids
    /// that exist one level below at this moment.
    pub fn trim(&mut self, below: &HashSet<SegmentId>, now: TimestampMs) -> Change {
        let before = self.clone();
        for replaced in &mut self.replaced {
            replaced.gone_since = if below.contains(&replaced.id) { None } else { replaced.gone_since.or(Some(now)) };
        }
        self.replaced.retain(|replaced| replaced.gone_since.is_none_or(|since| since > now.minus(REPLACED_KEPT)));
        if self.replaced.len() < before.replaced.len() {
            // A plan that saw the id below, before it was gone, must not publish it again.
            self.generation += 1;
        }
        if *self == before { Change::Already } else { Change::Write }
    }

    /// Returns the moment from which the head's parts may roll into the day.
    pub fn rollable_from(&self) -> TimestampMs {
        self.published_at.plus(ROLL_REST_MIN)
    }

    /// Returns the objects dead for longer than the grace (M3).
    pub fn due(&self, now: TimestampMs) -> Vec<DeadObject> {
        self.dead.iter().filter(|dead| dead.at <= now.minus(DEAD_GRACE)).cloned().collect()
    }
}

/// Reports whether the part is listed by the window's own head, not by records below it.
fn is_own(part: &Part, window: Window) -> bool {
    part.level > 0 && part.window == window
}

fn dead_object(part: &Part, at: TimestampMs) -> Option<DeadObject> {
    match &part.location {
        Location::Object { key, .. } => Some(DeadObject { key: key.clone(), at }),
        Location::Inline(_) => None,
    }
}
