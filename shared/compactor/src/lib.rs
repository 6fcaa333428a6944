//! Fewer, larger segments: plan, rewrite, publish, collect.
//!
//! ```text
//! snapshot of an hour ─▶ plan (pure) ─▶ jobs ─▶ read ─▶ merge ─▶ put under fresh keys ─▶ manifest.replace ─▶ delete items
//!                                                                                     └─ lost: outputs are left to collect
//! ```
//! Owns: what is compacted when, the rewrite, the deletion of dead objects.
//! Does not own: the merge itself (`segment`), what is visible (`manifest`).
//!
//! **C1** a crash at any step loses nothing and doubles nothing. **C2** a rewrite preserves every visible row, except what
//! deduplication names (D3). **C3** an object is deleted only after the manifest said that it is dead for long enough.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod collect;
mod compactor;
pub mod error;
mod plan;
mod rewrite;

pub use compactor::{Compactor, Report};
pub use error::CompactError;
pub use plan::{Job, Policy, due_hours, plan};
pub use rewrite::{Outcome, part_stats};
