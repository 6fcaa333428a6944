//! The head of a window: its merged parts, the ids they replaced one level below, the objects that died.
//!
//! Owns: what a head holds and every decision about a change to it, as pure functions of values.
//! Does not own: how it is laid out over records (`layout`), reading and writing them (`heads`).

use crate::limits::{DEAD_GRACE, ROLL_REST_MIN};
use crate::{DeadObject, Location, Part, Replacement};
use model::{Resolution, SegmentId, SegmentIds, TimestampMs};
use std::collections::HashSet;
use store::keys::Window;

mod layout;
mod record;

pub use layout::{Layout, Page, lay_out};
pub use record::{DroppedPage, Entries, HeadRecord, List, PageRef};

/// An id one level below that this head's parts stand for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ReplacedId {
    /// The id.
    pub id: SegmentId,
    /// When it was replaced.
    pub at: TimestampMs,
    /// When a collection first found it gone below; it is forgotten [`crate::limits::REPLACED_KEPT`] later.
    pub gone_since: Option<TimestampMs>,
}

/// The record under `HEAD`.
///
/// # Invariants
/// Ids of `parts` are distinct. No id is both in `parts` and in `replaced`, but for parts a month adopted from its days.
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
    /// Returns which of `ids` this head replaced. A busy hour remembers tens of thousands and is asked about some dozens, so that
    /// those are looked up in these.
    pub fn replaced_of(&self, ids: &SegmentIds) -> SegmentIds {
        let remembered = if ids.is_empty() { &[][..] } else { &self.replaced };
        remembered.iter().map(|replaced| replaced.id).filter(|id| ids.contains(id)).collect()
    }

    /// Reports whether a live part or the list of the dead names the object.
    pub fn names(&self, key: &str) -> bool {
        let live = self.parts.iter().any(|part| matches!(&part.location, Location::Object { key: of, .. } if of == key));
        live || self.dead.iter().any(|dead| dead.key == key)
    }

    /// Publishes a replacement: inputs of the window itself leave `parts`, inputs from below enter `replaced`.
    pub fn publish(&mut self, replacement: &Replacement, now: TimestampMs) -> Change {
        let ids: SegmentIds = self.parts.iter().map(|part| part.id).collect();
        if !replacement.outputs.is_empty() && replacement.outputs.iter().all(|output| ids.contains(&output.id)) {
            return Change::Already;
        }
        if replacement.generation != self.generation || replacement.outputs.iter().any(|output| ids.contains(&output.id)) {
            return Change::Refused;
        }
        let (own, below): (Vec<&Part>, Vec<&Part>) =
            replacement.inputs.iter().partition(|input| is_own(input, replacement.window));
        let is_replaced = !self.replaced_of(&below.iter().map(|input| input.id).collect()).is_empty();
        let gone = is_replaced || own.iter().any(|input| !ids.contains(&input.id));
        // A sealed hour's parts may be rolling into the day at this moment.
        let rolling = self.sealed && !own.is_empty();
        if gone || rolling || self.keeps_another_copy(replacement) {
            return Change::Refused;
        }
        let own: SegmentIds = own.iter().map(|input| input.id).collect();
        self.parts.retain(|part| !own.contains(&part.id));
        self.replaced.extend(below.iter().map(|input| ReplacedId { id: input.id, at: now, gone_since: None }));
        self.dead.extend(replacement.inputs.iter().filter_map(|input| dead_object(input, now)));
        self.parts.extend(replacement.outputs.iter().cloned());
        self.published_at = self.published_at.max(now);
        // The work it was taken for is done.
        self.lease = None;
        Change::Write
    }

    /// A day's coarse copy is replaced as a whole: of two jobs that build it, the second would have it twice.
    fn keeps_another_copy(&self, replacement: &Replacement) -> bool {
        let taken = |part: &Part| replacement.inputs.iter().any(|input| input.id == part.id);
        let days: HashSet<i64> = replacement.outputs.iter().map(|output| output.window.day()).collect();
        let of_days = self.parts.iter().filter(|part| days.contains(&part.window.day()));
        replacement.resolution != Resolution::Raw && of_days.into_iter().any(|part| !taken(part))
    }

    /// Takes over parts listed one level below, as they are: they are listed here and replaced below in one step. `generation` is
    /// that of this head before the parts were read: parts that came, were replaced here and forgotten since are not taken again.
    pub fn adopt(&mut self, parts: &[Part], generation: u64, now: TimestampMs) -> Change {
        let mut known = self.replaced_of(&parts.iter().map(|part| part.id).collect());
        known.extend(self.parts.iter().map(|part| part.id));
        let fresh: Vec<&Part> = parts.iter().filter(|part| !known.contains(&part.id)).collect();
        if fresh.is_empty() {
            return Change::Already;
        }
        if generation != self.generation {
            return Change::Refused;
        }
        self.replaced.extend(fresh.iter().map(|part| ReplacedId { id: part.id, at: now, gone_since: None }));
        self.parts.extend(fresh.into_iter().cloned());
        self.published_at = self.published_at.max(now);
        Change::Write
    }

    /// Reports whether nothing is listed here any more that anybody waits for.
    pub fn is_idle(&self) -> bool {
        self.parts.is_empty() && self.replaced.is_empty() && self.dead.is_empty()
    }

    /// Marks replaced ids as gone below or as still there, and forgets those gone since `forgotten_from` or before. `below` holds
    /// the ids that existed one level below at a moment before `now`.
    pub fn trim(&mut self, below: &SegmentIds, forgotten_from: TimestampMs, now: TimestampMs) -> Change {
        let (remembered, mut is_marked) = (self.replaced.len(), false);
        for replaced in &mut self.replaced {
            let gone_since = if below.contains(&replaced.id) { None } else { replaced.gone_since.or(Some(now)) };
            is_marked |= std::mem::replace(&mut replaced.gone_since, gone_since) != gone_since;
        }
        self.replaced.retain(|replaced| replaced.gone_since.is_none_or(|since| since > forgotten_from));
        let forgets = self.replaced.len() < remembered;
        if forgets {
            // A plan that saw the id below, before it was gone, must not publish it again.
            self.generation += 1;
        }
        if is_marked || forgets { Change::Write } else { Change::Already }
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

/// Reports whether the part is listed by the window's own head, not by records below it. A month's parts have the windows of
/// their days, and nothing but [`Head::adopt`] moves one there.
fn is_own(part: &Part, window: Window) -> bool {
    part.level > 0 && (part.window == window || matches!(window, Window::Month(_)))
}

fn dead_object(part: &Part, at: TimestampMs) -> Option<DeadObject> {
    match &part.location {
        Location::Object { key, .. } => Some(DeadObject { key: key.clone(), at }),
        Location::Inline(_) => None,
    }
}
