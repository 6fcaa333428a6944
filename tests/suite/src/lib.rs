//! Golden scripts: Prometheus's and Loki's own cases, run against our evaluators; the real binary, killed under load.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod downsample;
pub mod logql;
pub mod promqltest;
mod said;
pub mod sigkill;
pub mod simulate;
pub mod year;
