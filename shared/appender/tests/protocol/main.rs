//! The write path under faults: what is acknowledged is visible once, and a retry of the same request is harmless.

#![allow(clippy::unwrap_used)]

mod attempts;
mod backlog;
mod choice;
mod epochs;
mod faults;
mod grouping;
mod spread;
mod world;
