//! Loki's HTTP API: what its parameters mean and what its answers look like.
//!
//! Owns: parameter syntax with Loki's error texts, the alignment of range queries to their step, the JSON envelope and its
//! `stats`. Does not own: routes and evaluation (`fn-query`), the query language (`logql`). Errors are plain text.

pub mod envelope;
pub mod params;
pub mod stats;

pub use params::{Direction, RangeParams};
pub use stats::Stats;
