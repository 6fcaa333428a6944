//! Loki's HTTP API: what its parameters mean and what its answers look like.
//!
//! Owns: parameter syntax with Loki's error texts, the alignment of range queries to their step, the JSON envelope and its
//! `stats`. Does not own: routes and evaluation (`fn-query`), the query language (`logql`). Errors are plain text.

pub mod deletion;
pub mod detected;
pub mod envelope;
pub mod legacy;
pub mod limits;
pub mod params;
pub mod patterns;
pub mod rules;
pub mod stats;
pub mod tail;
pub mod volume;

pub use params::{Direction, RangeParams};
pub use stats::Stats;
