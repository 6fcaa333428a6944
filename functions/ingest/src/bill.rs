//! What a write costs, by tenant.

use std::sync::Arc;
use std::time::Duration;

use appender::Receipt;
use boot::Host;
use model::TenantId;
use model::prices::US_EAST_1;
use model::usage::{Meter, Purpose, Usage};

/// Bytes of a record beside what is inlined: its keys and the description of the segment.
const RECORD_BYTES: f64 = 400.0;
/// Bytes that a write unit pays for.
const WRITE_UNIT_BYTES: f64 = 1024.0;
/// Time of a write on a function, where a clock would only be asked for this: mostly waiting for S3 and DynamoDB, as measured.
const WRITE_TIME: Duration = Duration::from_millis(45);

/// Adds up what writes cost.
#[derive(Clone, Debug, Default)]
pub struct Bill {
    meter: Arc<Meter>,
    function_memory_mib: Option<u32>,
}

impl Bill {
    /// Makes the bill of a process.
    pub fn of(host: &Host) -> Bill {
        Bill { meter: Arc::clone(&host.meter), function_memory_mib: host.config.function_memory_mib }
    }

    /// Adds a request of `rows` rows: its part of what was written, since others may share the objects.
    pub fn appended(&self, tenant: &TenantId, receipt: &Receipt, rows: usize) {
        let usage = usage(receipt, rows, self.function_memory_mib);
        self.meter.add(tenant, Purpose::Write, usage.dollars(&US_EAST_1));
    }
}

fn usage(receipt: &Receipt, rows: usize, function_memory_mib: Option<u32>) -> Usage {
    let part = if receipt.rows > rows { rows as f64 / receipt.rows as f64 } else { 1.0 };
    let objects = (receipt.segments - receipt.inline) as f64;
    // Bytes of objects are not in their records; where some are inline, their share is not told apart, and bounded by the inline bound.
    let inlined = if objects == 0.0 { receipt.bytes as f64 } else { 0.0 };
    let record_bytes = inlined + RECORD_BYTES * receipt.segments as f64;
    let units = (record_bytes / WRITE_UNIT_BYTES).ceil().max(receipt.segments as f64);
    Usage {
        object_puts: objects * part,
        record_write_units: units * part,
        ..Usage::of_invocation(function_memory_mib, WRITE_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_records_are_shared_by_rows() {
        let receipt = Receipt { rows: 4000, segments: 2, inline: 0, bytes: 50_000, ..Receipt::default() };
        let alone = usage(&receipt, 4000, None);
        assert_eq!((alone.object_puts, alone.record_write_units, alone.invocations), (2.0, 2.0, 0.0));
        let half = usage(&receipt, 2000, None);
        assert_eq!((half.object_puts, half.record_write_units), (1.0, 1.0));
        let function = usage(&receipt, 4000, Some(512));
        assert_eq!((function.invocations, function.gb_seconds), (1.0, 0.5 * WRITE_TIME.as_secs_f64()));
        let inline = Receipt { rows: 10, segments: 1, inline: 1, bytes: 3000, ..Receipt::default() };
        let inline = usage(&inline, 10, None);
        assert_eq!((inline.object_puts, inline.record_write_units), (0.0, 4.0), "3,400 bytes are four units");
        assert_eq!(usage(&Receipt::default(), 0, None), Usage::default(), "nothing written costs nothing");
    }
}
