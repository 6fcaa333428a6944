//! The protocol of design §5 under crash, retry, lost answers, freezes, clock skew and deliberate mutations.

#![allow(clippy::unwrap_used)]

mod costs;
mod deletions;
mod elections;
mod faults;
mod interleaved;
mod ring;
mod simulation;
mod spill;
mod world;
