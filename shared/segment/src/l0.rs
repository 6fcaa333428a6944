//! The L0 block: one ingest batch, dense, fast to write, read with one GET. Layout: `FORMAT.md`.

use model::{LogBatch, MetricBatch, TenantId};

use crate::{Encoded, SegmentError};

/// Encodes a metric batch, sorted by (metric name, slot, series id, time) and deduplicated by W3.
///
/// Pure and deterministic: the same batch gives the same bytes, whatever the order of its series or samples.
///
/// # Errors
/// `TooLarge` where the batch passes a bound of the format.
///
/// # Panics
/// If the batch breaches its own invariants.
pub fn encode_metrics(tenant: &TenantId, batch: &MetricBatch) -> Result<Encoded, SegmentError> {
    let _ = (tenant, batch);
    todo!("body follows in the next commit")
}

/// Encodes a log batch, sorted by (stream labels, time); entries of equal time keep their order; exact repeats are one entry.
///
/// # Errors
/// `TooLarge` where the batch passes a bound of the format.
///
/// # Panics
/// If the batch breaches its own invariants.
pub fn encode_logs(tenant: &TenantId, batch: &LogBatch) -> Result<Encoded, SegmentError> {
    let _ = (tenant, batch);
    todo!("body follows in the next commit")
}
