//! `lamella segments`: what is live, by tenant, signal and level.
//!
//! Owns: the table. Does not own: which segments are live (`manifest`). Reads records only, no object.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use boot::Host;
use model::time::HOUR_MS;
use model::{TimeRangeMs, TimestampMs};

/// One line of the table.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    segments: u64,
    rows: u64,
    bytes: u64,
}

/// Prints a line per tenant, signal and level, and the sum.
pub async fn list(host: &Host) -> Result<()> {
    println!(
        "{:<20} {:<8} {:>5} {:>9} {:>14} {:>14} {:>10}",
        "tenant", "signal", "level", "segments", "rows", "bytes", "bytes/row"
    );
    let mut total = Line::default();
    for (tenant, signal) in host.manifest.tenants().await.context("list tenants")? {
        let mut levels: BTreeMap<u8, Line> = BTreeMap::new();
        for day in host.manifest.days_with_data(&tenant, signal).await.context("list days")? {
            // Parts are listed under their own hour or day, and a day's range holds no other's.
            let start = TimestampMs(day * 24 * HOUR_MS);
            let range = TimeRangeMs::new(start, TimestampMs(start.0 + 24 * HOUR_MS));
            for part in host.manifest.snapshot(&tenant, signal, range).await.context("take a snapshot")?.parts {
                let line = levels.entry(part.level).or_default();
                line.segments += 1;
                line.rows += part.stats.rows;
                line.bytes += part.location.len_bytes();
            }
        }
        for (level, line) in levels {
            print(tenant.as_str(), signal.as_str(), &level.to_string(), line);
            total =
                Line { segments: total.segments + line.segments, rows: total.rows + line.rows, bytes: total.bytes + line.bytes };
        }
    }
    print("", "all", "", total);
    Ok(())
}

fn print(tenant: &str, signal: &str, level: &str, line: Line) {
    let per_row = line.bytes as f64 / line.rows.max(1) as f64;
    println!("{tenant:<20} {signal:<8} {level:>5} {:>9} {:>14} {:>14} {per_row:>10.3}", line.segments, line.rows, line.bytes);
}
