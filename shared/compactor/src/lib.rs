//! Fewer, larger segments: plan, rewrite, publish; what expired or died is deleted.
//!
//! ```text
//! run: tenants in turns ─▶ window ─▶ snapshot ─▶ plan (pure) ─▶ job ─▶ read ─▶ merge ─▶ put under fresh keys ─▶ manifest.replace ─▶ delete items
//!            │                                                                                            └─ lost: outputs are left to collect
//!            ├─▶ closed days: replicas merged, where a tenant asks for it
//!            ├─▶ days at rest: coarse copies (5m, 1h) of their raw parts ─▶ put ─▶ manifest.replace, one head per resolution
//!            ├─▶ deletions: parts that lack one are rewritten, then it is finished
//!            ├─▶ retention: drop a day ─▶ grace ─▶ delete ─▶ forget
//!            └─▶ inventory: objects that nothing references ─▶ burn ─▶ look again ─▶ delete
//! ```
//! Owns: what is compacted when, the rewrite, retention, the deletion of objects, the order in which tenants are served.
//! Does not own: the merge itself (`segment`), what is visible (`manifest`), what the filter of a deletion means ([`Compactor::with_entry_filters`]).
//!
//! **C1** a crash at any step loses nothing and doubles nothing. **C2** a rewrite preserves every visible row, except what
//! deduplication, deletions, retention and the merge of replicas name (D3). **C3** an object is deleted only after the manifest said that it is dead
//! for long enough. **D2** raw data is dropped only when its copies are live.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod coarse;
mod collect;
mod compactor;
mod diary;
pub mod error;
mod inputs;
mod journal;
pub mod limits;
mod merge;
mod orphans;
mod pace;
mod plan;
mod policy;
mod replicas;
mod retain;
mod rewrite;
mod run;
mod turn;
mod visit;

pub use compactor::{Compactor, Stores};
pub use error::CompactError;
pub use plan::{CoarseJob, Copy, DayPlan, Job, MERGED_LEVEL, ReplicaPlan, plan_coarse, plan_day, plan_hour, plan_replicas};
pub use policy::Policy;
pub use rewrite::{Outcome, Rewritten, part_stats};
pub use run::{Hint, Report};
