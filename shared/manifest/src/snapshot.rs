//! What a query or a compaction plan sees: a list of immutable segments.

use crate::{Deletion, DeletionState, Part, Quarantined};
use model::{Resolution, SegmentId, TimestampMs};
use std::collections::HashSet;
use store::keys::Window;

/// The live parts of one tenant and signal over a time range, as of one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Live raw parts whose time range overlaps the one asked for, by window, level, id. Each visible row is in exactly one.
    pub parts: Vec<Part>,
    /// Live coarse parts (5m, 1h) of the days asked for; empty unless asked for.
    pub coarse: Vec<Part>,
    /// Live parts of either kind that are in quarantine: an answer warns about them, a merge leaves them alone.
    pub quarantined: Vec<Part>,
    /// Raw parts that were in quarantine when retention dropped their day, and that a coarse copy of it lacks: an answer from copies
    /// warns about them. Empty unless coarse parts were asked for.
    pub lost: Vec<Quarantined>,
    /// Deletions that overlap the range and are not cancelled.
    pub deletions: Vec<Deletion>,
    /// Ids of cancelled deletions that overlap the range: outputs list them, so that a reader that still applies one does not
    /// apply it to rows written since.
    pub cancelled: Vec<u128>,
    /// Ids of the parts listed by a month's head, not by that of their window ([`Snapshot::home`]).
    pub packed: HashSet<SegmentId>,
    /// Per head read, its generation: what [`crate::Replacement::generation`] wants.
    pub heads: Vec<HeadState>,
    /// When the first record was read.
    pub taken_at: TimestampMs,
    /// Records and record queries it took.
    pub requests: u64,
}

/// What a compaction plan must know of a head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadState {
    /// The head's window.
    pub window: Window,
    /// The head's resolution.
    pub resolution: Resolution,
    /// Changes when ids are forgotten: plans made under another generation are void.
    pub generation: u64,
    /// Whether the hour was sealed: its merged parts may only roll into the day.
    pub sealed: bool,
    /// When its parts may first roll into the day: an hour's head must rest before.
    pub rollable_from: TimestampMs,
    /// The lease on it, if any: owner and end.
    pub lease: Option<(u64, TimestampMs)>,
}

impl Snapshot {
    /// Returns a snapshot of nothing, of which tests and callers without a range make what they need.
    pub fn empty(taken_at: TimestampMs) -> Snapshot {
        Snapshot {
            parts: Vec::new(),
            coarse: Vec::new(),
            quarantined: Vec::new(),
            lost: Vec::new(),
            deletions: Vec::new(),
            cancelled: Vec::new(),
            packed: HashSet::new(),
            heads: Vec::new(),
            taken_at,
            requests: 0,
        }
    }

    /// Returns the window whose head lists the part: what [`crate::Replacement::window`] must be for it. Inputs of one
    /// replacement have one home, or are rolled one level up.
    pub fn home(&self, part: &Part) -> Window {
        if self.packed.contains(&part.id) { part.window.month() } else { part.window }
    }

    /// Returns the deletions whose rows must be left out of what is read from the part ([`crate::deletion`]).
    pub fn deletions_for(&self, part: &Part) -> Vec<&Deletion> {
        self.deletions.iter().filter(|deletion| deletion.applies_to(part)).collect()
    }

    /// Returns what a merge planned on this snapshot writes into [`Part::applied`] of its outputs: every deletion on record that
    /// overlaps the range. Ids of deletions that are gone are thereby forgotten.
    pub fn applied(&self) -> Vec<u128> {
        let mut ids: Vec<u128> = self.deletions.iter().map(|deletion| deletion.id).chain(self.cancelled.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Returns the parts that a deletion still applies to and that can be rewritten without its rows.
    pub fn lacking(&self, deletion: &Deletion) -> Vec<&Part> {
        self.parts.iter().chain(&self.coarse).filter(|part| deletion.applies_to(part)).collect()
    }

    pub(crate) fn set_deletions(&mut self, deletions: Vec<Deletion>) {
        let (cancelled, live): (Vec<Deletion>, Vec<Deletion>) =
            deletions.into_iter().partition(|deletion| matches!(deletion.state, DeletionState::Cancelled(_)));
        self.deletions = live;
        self.cancelled = cancelled.into_iter().map(|deletion| deletion.id).collect();
    }

    pub(crate) fn set_apart(&mut self, quarantined: &[Quarantined]) {
        let is_apart = |part: &mut Part| quarantined.iter().any(|of| of.is(part));
        self.quarantined = self.parts.extract_if(.., |part| is_apart(part)).collect();
        self.quarantined.extend(self.coarse.extract_if(.., |part| is_apart(part)));
    }

    /// Returns the generation of a head as this snapshot read it, 0 where there was none.
    pub fn generation(&self, window: Window, resolution: Resolution) -> u64 {
        let found = self.heads.iter().find(|head| head.window == window && head.resolution == resolution);
        found.map_or(0, |head| head.generation)
    }
}
