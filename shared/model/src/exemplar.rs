//! Exemplars: a sampled observation that points at a trace.

use crate::{LabelSet, TimestampMs};

/// One exemplar of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The exemplar's own labels, such as `trace_id`.
    pub labels: LabelSet,
    /// Observed value.
    pub value: f64,
    /// When it was observed.
    pub timestamp: TimestampMs,
}
