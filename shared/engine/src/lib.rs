//! Plan → physical operators → answer.
//!
//! Owns: the physical operators over segments (DataFusion's execution plans, one file each), what is fetched for a query,
//! the cache of segment tails, the bounds of a query (Q3), lookups of labels. Foreign dependency at home here: DataFusion.
//! Does not own: query texts (`promql`, `logql`), which segments are live (`manifest`), file formats (`segment`).
//!
//! ```text
//! LogicalPlan ─ ranges ─▶ one snapshot ─ fetch ─▶ tails ─ leaves ─▶ windows ─▶ aggregate ─▶ reference ─▶ Answer
//! ```
//!
//! # Invariants
//! A query reads one snapshot. What operators evaluate has the bits of the reference evaluator, however the
//! segments lie and however a scan is cut (Q2): there is one order of reduction, that of labels (docs/0018).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod aggregate;
mod annotations;
mod batch;
mod cache;
mod cardinality;
mod context;
mod engine;
pub mod error;
mod exec;
mod federation;
mod fetch;
mod kernels;
mod leaf;
mod leaves;
mod limits;
mod logs;
mod lookup;
mod merge;
mod patterns;
mod planner;
mod ranges;
mod registry;
mod samples;
mod select;
mod sources;
mod stats;
mod volume;

pub use cardinality::{Cardinality, Count};
pub use engine::{Engine, EngineConfig};
pub use error::EngineError;
pub use federation::TENANT_LABEL;
pub use lookup::{Lookup, TenantExemplar};
pub use stats::{QueryStats, StageTimes};
pub use volume::{Volume, VolumeBy, VolumeKey, VolumeQuery, VolumeSum};
