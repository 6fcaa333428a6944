//! Windows: series ascend, windows of a series ascend, the label table tells the truth about them.

use bytes::Bytes;
use model::windowed::{Quantum, Window, end_of};
use model::{Signal, TimeRangeMs, TimestampMs};

use super::{Check, foreign, metrics::order, place_of};
use crate::windows::{Index, Projection};
use crate::{Fetched, SegmentError, SegmentStats, schema};

/// Series decoded at a time.
const BATCH_SERIES: usize = 1024;

/// Returns the cover of all times, milliseconds.
pub(super) fn check(
    check: &mut Check<'_>,
    object: &Bytes,
    stats: Option<&SegmentStats>,
) -> Result<Option<TimeRangeMs>, SegmentError> {
    let index = Index::open_tail(object, 0)?;
    check.report.series = index.series_len() as u64;
    check.table(Signal::Metrics, index.table(), stats);
    order(check, index.table());
    check.expect(object.starts_with(b"PAR1"), &|| "start".into(), &|| "has no magic of Parquet".into());
    check.report.pages = foreign::checksums(check, index.layout(), object);
    foreign::labels(check, index.layout(), index.table(), object, schema::SERIES_ID);
    let fetched = Fetched::whole(object.clone());
    let ordinals: Vec<u32> = (0..index.series_len() as u32).collect();
    for batch in ordinals.chunks(BATCH_SERIES) {
        match index.decode_ordinals(batch, Projection::ALL, &fetched) {
            Ok(columns) => {
                batch.iter().enumerate().for_each(|(at, ordinal)| series(check, &index, *ordinal, columns.series(at)));
                check.report.rows += columns.windows.len() as u64;
            }
            Err(error) => check.error(format!("windows of series {} to {}", batch[0], batch[batch.len() - 1]), &error),
        }
    }
    let times = index.table().times();
    Ok(times.map(|(first, last)| TimeRangeMs::new(TimestampMs(first), TimestampMs(last.saturating_add(1)))))
}

/// Checks one series against its line of the table.
fn series(check: &mut Check<'_>, index: &Index, ordinal: u32, windows: &[Window]) {
    let row = index.table().row(ordinal as usize);
    let place = || place_of(&index.table().labels(ordinal as usize));
    check.expect(windows.windows(2).all(|pair| pair[0].end < pair[1].end), &place, &|| "windows do not ascend".into());
    let aligned = windows.iter().all(|window| end_of(window.end, index.width_ms()) == window.end);
    check.expect(aligned, &place, &|| "a window does not end on a multiple of its width".into());
    let first = windows.first().map(|window| if window.count > 0 { window.first_at } else { window.stale_at });
    let last = windows.last().map(|window| if window.count > 0 { window.last_at.max(window.stale_at) } else { window.stale_at });
    let (told, found) = ((row.first, row.last), (first.unwrap_or(0), last.unwrap_or(0)));
    check.expect(told == found, &place, &|| format!("has times {found:?}, the label table says {told:?}"));
    let quantum = Quantum::from_code(row.extra);
    let edges = windows.iter().filter(|window| window.count > 0).flat_map(|window| [window.first, window.last]);
    let multiples = edges.into_iter().all(|value| quantum <= Quantum::of(value));
    check.expect(multiples, &place, &|| "a value is no multiple of the quantum that the label table tells".into());
    let ordered = windows.iter().all(|window| !(window.min > window.first || window.max < window.last));
    check.expect(ordered, &place, &|| "extremes leave out the first or last value".into());
}
