//! What tests share: a clock of ours, stores and a network that fail on purpose, builders and generators of batches.
//!
//! A dev-dependency only. Does not own: any expectation of a particular crate.

pub mod batches;
pub mod clock;
pub mod fault_proxy;
pub mod faulty_objects;
pub mod faulty_records;
pub mod simulation;

pub use batches::{LogBatchBuilder, MetricBatchBuilder};
pub use clock::SimulatedClock;
pub use fault_proxy::{FaultProxy, WireFault};
pub use faulty_objects::FaultyObjects;
pub use faulty_records::{Fault, FaultyRecords};
