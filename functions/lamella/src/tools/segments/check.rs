//! One segment's bytes against its own promises and against what the manifest says of it. Pure.

use ::manifest::{Part, PartStats};
use bytes::Bytes;
use model::{Signal, TenantId};
use segment::stats::LabelFilter;
use segment::{SegmentError, SegmentStats, verify};

use crate::tools::findings::{Finding, Kind};

/// Returns what is wrong with a segment; none of its bytes are there where `object` is none.
pub fn check(tenant: &TenantId, signal: Signal, part: &Part, object: Option<&Bytes>) -> Vec<Finding> {
    let finding = |kind, what| Finding::in_window(kind, tenant, signal, part.window, what).of(part);
    let Some(object) = object else {
        return vec![finding(Kind::MissingObject, "the object of this live segment is not there".to_owned())];
    };
    let (len, recorded) = (object.len() as u64, part.location.len_bytes());
    if len != recorded {
        return vec![finding(Kind::Length, format!("{len} bytes, the manifest says {recorded}"))];
    }
    let mut findings = Vec::new();
    match stats(signal, &part.stats) {
        Ok(stats) => {
            let problems = problems(object, &stats, tenant);
            let (statistics, corrupt): (Vec<_>, Vec<_>) = problems.into_iter().partition(|problem| problem.place == "stats");
            if corrupt.is_empty() {
                findings.extend(statistics.into_iter().map(|problem| finding(Kind::Statistics, problem.what)));
            }
            // What cannot be read cannot be counted either: the damage alone is named.
            let place = |problem: verify::Problem| format!("{}: {}", problem.place, problem.what);
            findings.extend(corrupt.into_iter().map(|problem| finding(Kind::Corrupt, place(problem))));
        }
        Err(error) => findings.push(finding(Kind::Statistics, error.to_string())),
    }
    // A tail that cannot be opened has been named; one that opens must begin where readers are sent.
    if let Ok(inspection) = segment::inspect::inspect(object, 0)
        && inspection.tail_offset != part.tail_offset
    {
        let what = format!("the tail begins at {}, the manifest says {}", inspection.tail_offset, part.tail_offset);
        findings.push(finding(Kind::TailOffset, what));
    }
    findings
}

fn stats(signal: Signal, stats: &PartStats) -> Result<SegmentStats, SegmentError> {
    Ok(SegmentStats {
        signal,
        rows: stats.rows,
        series: stats.series.into(),
        range: stats.time_range,
        slots: stats.slots,
        filter: LabelFilter::from_bytes(stats.names.to_vec())?,
    })
}

/// A library that panics on damaged bytes has found damage too; the other segments must still be checked.
fn problems(object: &Bytes, stats: &SegmentStats, tenant: &TenantId) -> Vec<verify::Problem> {
    let verify = || verify::verify(object, Some(stats), Some(tenant)).problems;
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(verify)).unwrap_or_else(|_| {
        let (place, what) = ("somewhere".to_owned(), "the bytes cannot be decoded: the reader gave up".to_owned());
        vec![verify::Problem { place, what }]
    })
}
