//! The hash ring: which group owns which of the 1,024 slots, epoch by epoch, tenant by tenant (design §3).
//!
//! ```text
//! slots   0 ─────────────── 512 ─────────────── 1024
//! epoch 0 │ group 0                              │   until the hour epoch 1 begins at
//! epoch 1 │ group 0         │ group 1            │
//! ```
//! Owns: assignments, their growth and shrinking (R1), epochs and their encoding, when to change them, as pure values. Does
//! not own: how a series gets its slot (`model::Slot`), reading and writing epochs (`manifest::rings`).
//!
//! No read is addressed by the ring and parts say which slots they hold, so that a change moves no stored byte (R2). What the
//! epoch of an hour decides is where merges of that hour cut ([`Assignment::cuts`]): a slot, and so a series, is in one cut (R3).

mod advice;
mod assignment;

pub use advice::{Advice, HourLoad, advise, loads};
pub use assignment::Assignment;

use crate::codec::{Kind, Reader, Reason, Writer};
use bytes::Bytes;
use model::{Hour, TimestampMs};
use std::time::Duration;

/// Slots of the ring.
pub const SLOTS: usize = model::series::SLOT_COUNT as usize;
/// Groups a tenant may have.
pub const GROUPS_MAX: u16 = 64;
/// An epoch becomes active at the first full hour at least this far away. Its record may be written late by a freeze (20 min),
/// the validity of a signed request (15 min) and wrong clocks; there still are five minutes left before it begins, in which
/// nobody can have asked for that hour yet ([`Ring::settles`]).
pub const ACTIVATION_DELAY_MIN: Duration = Duration::from_secs(45 * 60);
/// A ring read at some moment is final for hours that begin at most this much later: every epoch written since begins later.
pub const SETTLED_AHEAD: Duration = Duration::from_secs(5 * 60);

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

/// A change of the number of groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RingChange {
    /// Adds so many groups.
    Grow(u16),
    /// Removes the so many last ones.
    Shrink(u16),
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

    /// Returns all epochs, the implicit one first.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// Reports whether a ring read at `read_at` can tell the epoch of an hour for good.
    pub fn settles(read_at: TimestampMs, hour: Hour) -> bool {
        hour.start() <= read_at.plus(SETTLED_AHEAD)
    }

    /// Plans the epoch that a change leads to: active at the first full hour far enough away, after the newest one. `None` below
    /// one group and past [`GROUPS_MAX`].
    pub fn changed(&self, change: RingChange, now: TimestampMs) -> Option<Epoch> {
        let latest = self.latest();
        let assignment = match change {
            RingChange::Grow(added) => latest.assignment.grow(added)?,
            RingChange::Shrink(removed) => latest.assignment.shrink(removed)?,
        };
        let earliest = Hour(now.plus(ACTIVATION_DELAY_MIN).hour().0.checked_add(1)?);
        let from = earliest.max(Hour(latest.from.0.saturating_add(1)));
        Some(Epoch { number: latest.number.checked_add(1)?, from, assignment })
    }
}

impl Epoch {
    /// Decodes a record.
    pub fn decode(record: &Bytes) -> Result<Epoch, Reason> {
        let mut from = Reader::open_as(record, Kind::Epoch)?;
        let (number, hour, groups) = (from.small()?, Hour(from.signed()?), from.small()?);
        let owners = from.list(Reader::small)?;
        from.finish()?;
        let assignment = Assignment::of(groups, owners).ok_or("assignment is not valid")?;
        Ok(Epoch { number, from: hour, assignment })
    }

    /// Encodes the record.
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new(Kind::Epoch);
        out.number(u64::from(self.number));
        out.signed(self.from.0);
        out.number(u64::from(self.assignment.groups()));
        out.list(self.assignment.owners(), |out, owner| out.number(u64::from(*owner)));
        out.finish()
    }
}

#[cfg(test)]
mod tests;
