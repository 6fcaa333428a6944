//! Which segments are live: commit, snapshot, replace, collect ("low level first", design §5).
//!
//! ```text
//! write    catalog bit of the hour ─▶ object ─▶ L0 item if absent ─▶ answer
//! read     catalog ─▶ L0 items ─▶ hour heads ─▶ day heads; visible(n) = items(n) − replaced(n+1)
//! compact  outputs under fresh keys ─▶ one conditional update of the head ─▶ delete the inputs' items
//! ```
//! Owns: the records of the manifest, their encoding, and every step that changes what is visible; the ring; who is elected of replicas.
//! Does not own: objects (it never reads, writes or deletes one), what to compact (`compactor`), segment contents.
//!
//! **M1** no acknowledged write is ever invisible. **M2** none is visible twice. **M3** no object of a snapshot is deleted
//! while the snapshot may be in use. **M4** all three under crash, retry, timeout with unknown outcome, duplicate
//! invocation, freeze and clock skew, at every step.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod catalog;
mod codec;
mod copies;
pub mod deletion;
pub mod election;
pub mod error;
mod head;
mod item;
pub mod limits;
mod manifest;
mod mutation;
mod part;
mod quarantine;
pub mod ring;
mod snapshot;

pub use deletion::{Deletion, DeletionRequest, DeletionState};
pub use error::{Error, Result};
pub use manifest::{
    Burn, Committed, DayState, DeadObject, Finish, HeadRecords, HeadSizes, Manifest, Packed, Replaced, Replacement, WindowRecords,
};
#[cfg(feature = "mutations")]
pub use mutation::Mutation;
pub use part::{L0Item, Location, Part, PartStats};
pub use quarantine::Quarantined;
pub use snapshot::{HeadState, Snapshot};
pub use store::keys::{ObjectKey, Window};
