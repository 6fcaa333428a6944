//! Deterministic simulation: the real appender, manifest, compactor, collector and readers as seeded actors on one thread, over
//! stores that delay, fail, lose and double answers, freeze and crash their callers. After every effect the invariants are
//! checked against a plain model ([`ledger`]). What was run, and what it found: `RELIABILITY.md`.

pub mod actors;
mod answers;
mod copies;
pub mod ledger;
pub mod mutation;
mod replicas;
mod report;
pub mod ring;
pub mod rows;
pub mod run;
pub mod scenario;
pub mod world;

pub use mutation::Mutation;
pub use report::{Options, run_all};
pub use run::{Outcome, run};
