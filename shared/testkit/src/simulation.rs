//! One thread, one seed: simulated time, processes that freeze and crash, and a fault layer over both stores.
//!
//! ```text
//!  actor ─ real code ─▶ SimulatedRecords / SimulatedObjects ─ wait ─▶ effect (at its own moment) ─ wait ─▶ answer, or none
//!                                     │                                  │
//!                        freeze, crash, throttle, …                 Witness: sees every effect, as it happens
//! ```
//! A call's effect happens at a moment of its own, whatever becomes of the caller: that is what makes an answer lost, late or
//! doubled. Everything that is drawn follows from the seed, so that a seed replays step by step ([`Trace`]).
//!
//! Owns: time, who runs next, what goes wrong. Does not own: what must hold (a [`Witness`] does).

mod faults;
mod objects;
mod process;
mod records;
mod schedule;
mod stage;
mod trace;

pub use faults::{Chances, FAULT_NAMES, FREEZE_MS_MAX, Faults, LATE_MS_MAX};
pub use objects::{ObjectShelf, SimulatedObjects};
pub use process::{Died, Process};
pub use records::SimulatedRecords;
pub use schedule::Schedule;
pub use stage::{Stage, Stuck};
pub use trace::Trace;

use bytes::Bytes;
use store::RecordKey;

/// What happened to a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordChange {
    /// It was put where none was.
    Put,
    /// It was replaced.
    Updated,
    /// It was deleted.
    Deleted,
}

/// Sees every effect on the stores right after it happened, and checks what must hold.
pub trait Witness: Send + Sync {
    /// A record was changed.
    fn record(&self, key: &RecordKey, change: RecordChange);
    /// An object was put; `before` is what stood there.
    fn object_put(&self, key: &str, bytes: &Bytes, before: Option<&Bytes>);
    /// An object was deleted.
    fn object_deleted(&self, key: &str);
}
