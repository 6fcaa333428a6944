//! Prometheus's HTTP API: what its parameters mean and what its answers look like.
//!
//! Owns: parameter syntax with Prometheus's error texts, the JSON envelope, numbers and histograms in it.
//! Does not own: routes and evaluation (`fn-query`), the query language (`promql`).
//!
//! Answers are written piece by piece ([`envelope`]), so a large matrix never exists twice.

pub mod envelope;
pub mod error;
mod histogram;
pub mod params;
pub mod time;

pub use error::{ApiError, ErrorType};
pub use params::{RangeParams, TIME_MAX, TIME_MIN};
pub use time::ApiTime;
