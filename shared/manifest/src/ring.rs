//! The hash ring: which group owns which of the 1,024 slots, epoch by epoch (design §3).
//!
//! Owns: assignments, their growth (R1), epochs and their encoding, as pure values. Does not own: how a series gets its
//! slot (`model::Slot`), reading and writing epochs (`manifest::rings`). No read is addressed by the ring.

use crate::codec::{Kind, Reader, Reason, Writer};
use bytes::Bytes;
use model::{Hour, SlotRange, TimestampMs};
use std::time::Duration;

/// Slots of the ring.
pub const SLOTS: usize = model::series::SLOT_COUNT as usize;
/// Groups a tenant may have.
pub const GROUPS_MAX: u16 = 64;
/// An epoch becomes active at the first full hour at least this far away, so that every process has read it by then.
pub const ACTIVATION_DELAY_MIN: Duration = Duration::from_secs(5 * 60);

/// Which group owns each slot.
///
/// # Invariants
/// Groups are `0..groups`; their sizes differ by at most two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    groups: u16,
    owners: Vec<u16>,
}

impl Assignment {
    /// Returns the assignment of a single group: epoch 0, implicit.
    pub fn single() -> Assignment {
        Assignment { groups: 1, owners: vec![0; SLOTS] }
    }

    /// Counts the groups.
    pub fn groups(&self) -> u16 {
        self.groups
    }

    /// Returns the group that owns a slot.
    pub fn owner(&self, slot: model::Slot) -> u16 {
        self.owners[usize::from(slot.0)]
    }

    /// Returns the slots of a group as runs, ascending.
    pub fn runs(&self, group: u16) -> Vec<SlotRange> {
        let mut runs: Vec<SlotRange> = Vec::new();
        for slot in (0..SLOTS).filter(|slot| self.owners[*slot] == group).map(|slot| slot as u16) {
            match runs.last_mut() {
                Some(run) if run.hi == slot => run.hi += 1,
                _ => runs.push(SlotRange { lo: slot, hi: slot + 1 }),
            }
        }
        runs
    }

    fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; usize::from(self.groups)];
        for owner in &self.owners {
            sizes[usize::from(*owner)] += 1;
        }
        sizes
    }

    /// Adds groups. R1: growing n → n+k moves k/(n+k) of the slots (±1), all of them to new groups.
    ///
    /// Each slot moved comes from the group that is largest then, from its end, so that old groups stay contiguous where
    /// they were; the new groups fill one after the other. `None` past [`GROUPS_MAX`].
    pub fn grow(&self, added: u16) -> Option<Assignment> {
        let groups = self.groups.checked_add(added).filter(|groups| *groups <= GROUPS_MAX)?;
        let moved = SLOTS * usize::from(added) / usize::from(groups);
        let mut grown = Assignment { groups, owners: self.owners.clone() };
        let mut sizes = self.sizes();
        let mut given = Vec::with_capacity(moved);
        for _ in 0..moved {
            let largest = (0..sizes.len()).max_by_key(|group| (sizes[*group], *group))?;
            let slot = grown.owners.iter().rposition(|owner| usize::from(*owner) == largest)?;
            sizes[largest] -= 1;
            // Marked as taken: no group has this number.
            grown.owners[slot] = u16::MAX;
            given.push(slot);
        }
        given.sort_unstable();
        for (index, slot) in given.into_iter().enumerate() {
            grown.owners[slot] = self.groups + (index * usize::from(added) / moved) as u16;
        }
        Some(grown)
    }

    /// Counts the slots whose owner differs.
    pub fn moved(&self, other: &Assignment) -> usize {
        self.owners.iter().zip(&other.owners).filter(|(a, b)| a != b).count()
    }
}

/// An assignment and the hour it becomes active at. Written once, never changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Epoch {
    /// Its number; 0 is implicit.
    pub number: u32,
    /// The first hour it holds for.
    pub from: Hour,
    /// Who owns what.
    pub assignment: Assignment,
}

/// All epochs known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ring {
    /// By number, from the implicit epoch 0; `from` ascends.
    epochs: Vec<Epoch>,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring { epochs: vec![Epoch { number: 0, from: Hour(i64::MIN), assignment: Assignment::single() }] }
    }
}

impl Ring {
    /// Makes a ring of the epochs after the implicit one; those that do not follow in number and time are refused.
    pub fn of(epochs: Vec<Epoch>) -> Result<Ring, Reason> {
        let mut ring = Ring::default();
        for epoch in epochs {
            if epoch.number != ring.latest().number + 1 {
                return Err("number does not follow the epoch before");
            }
            if epoch.from <= ring.latest().from {
                return Err("hour does not follow the epoch before");
            }
            ring.epochs.push(epoch);
        }
        Ok(ring)
    }

    /// Returns the newest epoch, active or not.
    pub fn latest(&self) -> &Epoch {
        self.epochs.last().expect("epoch 0 is always there")
    }

    /// Returns the epoch of an hour: no hour mixes epochs.
    pub fn at(&self, hour: Hour) -> &Epoch {
        self.epochs.iter().rev().find(|epoch| epoch.from <= hour).expect("epoch 0 holds from the beginning")
    }

    /// Plans the epoch that adds groups: active at the first full hour far enough away, after the newest one.
    pub fn grown(&self, added: u16, now: TimestampMs) -> Option<Epoch> {
        let earliest = now.plus(ACTIVATION_DELAY_MIN).hour();
        let from = Hour(earliest.0.checked_add(1)?).max(Hour(self.latest().from.0.saturating_add(1)));
        Some(Epoch { number: self.latest().number.checked_add(1)?, from, assignment: self.latest().assignment.grow(added)? })
    }
}

impl Epoch {
    /// Decodes a record.
    pub fn decode(record: &Bytes) -> Result<Epoch, Reason> {
        let mut from = Reader::open_as(record, Kind::Epoch)?;
        let (number, hour, groups) = (from.small()?, Hour(from.signed()?), from.small()?);
        let owners = from.list(Reader::small)?;
        from.finish()?;
        if owners.len() != SLOTS || groups == 0 || groups > GROUPS_MAX || owners.iter().any(|owner| *owner >= groups) {
            return Err("assignment is not valid");
        }
        Ok(Epoch { number, from: hour, assignment: Assignment { groups, owners } })
    }

    /// Encodes the record.
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new(Kind::Epoch);
        out.number(u64::from(self.number));
        out.signed(self.from.0);
        out.number(u64::from(self.assignment.groups));
        out.list(&self.assignment.owners, |out, owner| out.number(u64::from(*owner)));
        out.finish()
    }
}

#[cfg(test)]
mod tests;
