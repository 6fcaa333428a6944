//! The full check of a segment: every promise of `FORMAT.md`, so that what is wrong is named with its place (S2).
//!
//! ```text
//!  seal and tail ─▶ page checksums ─▶ rows (order, times, counts) ─▶ label table against foreign columns ─▶ statistics
//! ```

mod foreign;
mod hex_texts;
mod logs;
mod metrics;
mod windows;

use bytes::Bytes;
use model::series::SlotHasher;
use model::{LabelSet, Signal, Slot, TenantId, TimeRangeMs};
use serde::Serialize;

use crate::frame::{self, Kind};
use crate::table::Table;
use crate::{SegmentError, SegmentStats};

/// Problems named at most: one broken part may breach a promise once per row.
const PROBLEMS_MAX: usize = 100;

/// Outcome of a full check.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Report {
    /// Bytes checked.
    pub bytes: u64,
    /// Rows decoded and found in order.
    pub rows: u64,
    /// Series or streams.
    pub series: u64,
    /// Pages whose checksum was compared.
    pub pages: u64,
    /// What is wrong, in the order found; empty is sound. At most 100.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Reports whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One breach of the format.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    /// Where: `tail`, `row group 2, column v_int, page 7 at byte 1234`, `series {…}`, `stats`.
    pub place: String,
    /// How it is wrong.
    pub what: String,
}

/// Checks a whole object: checksums of every part and page, counts, ranges, order, that the label index agrees with the
/// rows and with the columns for foreign readers, that token filters know every word. With `stats` (what the manifest says)
/// also that they cover the content, with `tenant` also every slot.
pub fn verify(object: &Bytes, stats: Option<&SegmentStats>, tenant: Option<&TenantId>) -> Report {
    let mut check = Check { report: Report { bytes: object.len() as u64, ..Report::default() }, tenant };
    let kind = frame::open_tail(object, 0).map(|tail| tail.seal.kind);
    let times = kind.and_then(|kind| match kind {
        Kind::BlockMetrics | Kind::ParquetMetrics => metrics::check(&mut check, object, stats),
        Kind::BlockLogs | Kind::ParquetLogs => logs::check(&mut check, object, stats),
        Kind::ParquetWindows => windows::check(&mut check, object, stats),
    });
    match times {
        Ok(times) => check.stats(stats, times),
        Err(error) => check.error("tail", &error),
    }
    check.report
}

/// The check under way.
struct Check<'a> {
    report: Report,
    tenant: Option<&'a TenantId>,
}

impl Check<'_> {
    fn problem(&mut self, place: impl Into<String>, what: impl Into<String>) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(Problem { place: place.into(), what: what.into() });
        }
    }

    fn error(&mut self, place: impl Into<String>, error: &SegmentError) {
        let what = match error {
            SegmentError::Corrupt { what } => what.clone(),
            other => other.to_string(),
        };
        self.problem(place, what);
    }

    fn expect(&mut self, holds: bool, place: &dyn Fn() -> String, what: &dyn Fn() -> String) {
        if !holds {
            self.problem(place(), what());
        }
    }

    /// Checks every slot against the tenant's hash, and that the manifest's slots and filter cover the table.
    fn table(&mut self, signal: Signal, table: &Table, stats: Option<&SegmentStats>) {
        let mut hasher = self.tenant.map(|tenant| SlotHasher::new(tenant, signal));
        for series in 0..table.len() {
            let (labels, slot) = (table.labels(series), Slot(table.row(series).slot));
            if let Some(hasher) = &mut hasher {
                let pairs = labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                let expected = hasher.slot(pairs);
                self.expect(slot == expected, &|| place_of(&labels), &|| format!("slot is {}, hash says {}", slot.0, expected.0));
            }
            let Some(stats) = stats else { continue };
            let (lo, hi) = (stats.slots.lo, stats.slots.hi);
            self.expect(stats.slots.contains(slot), &|| "stats".into(), &|| {
                format!("slots {lo}..{hi} leave out slot {}", slot.0)
            });
            let mut covered = labels.iter().filter(|(name, _)| signal == Signal::Logs || *name == model::labels::METRIC_NAME);
            if let Some((name, value)) = covered.find(|(name, value)| !stats.filter.may_contain(name, value)) {
                self.problem("stats", format!("filter denies {name}={value:?}, which is there"));
            }
        }
    }

    /// Compares the manifest's numbers with the content's; `times` covers all rows, milliseconds.
    fn stats(&mut self, stats: Option<&SegmentStats>, times: Option<TimeRangeMs>) {
        let Some(stats) = stats else { return };
        let (rows, series) = (self.report.rows, self.report.series);
        self.expect(stats.rows == rows, &|| "stats".into(), &|| format!("rows are {}, segment has {rows}", stats.rows));
        self.expect(stats.series == series, &|| "stats".into(), &|| format!("series are {}, segment has {series}", stats.series));
        if let Some(times) = times {
            let covers = stats.range.start <= times.start && times.end <= stats.range.end;
            let of = |range: TimeRangeMs| format!("{}..{}", range.start.0, range.end.0);
            self.expect(covers, &|| "stats".into(), &|| format!("range {} leaves out {}", of(stats.range), of(times)));
        }
    }
}

fn place_of(labels: &LabelSet) -> String {
    format!("series {labels}")
}

#[cfg(test)]
mod tests;
