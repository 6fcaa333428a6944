//! Metrics: series ascend, samples of a series ascend, the label table tells the truth about them.

use bytes::Bytes;
use model::{SeriesId, Signal, TimeRangeMs, TimestampMs};

use super::{Check, foreign, place_of};
use crate::metrics::{Index, Place, Projection, SeriesSlices};
use crate::table::{Table, columns};
use crate::{Fetched, SegmentError, SegmentStats, schema};

/// Rows decoded at a time.
const BATCH_ROWS: u64 = 1 << 19;

/// Returns the cover of all times, milliseconds.
pub(super) fn check(
    check: &mut Check<'_>,
    object: &Bytes,
    stats: Option<&SegmentStats>,
) -> Result<Option<TimeRangeMs>, SegmentError> {
    let index = Index::open(object)?;
    check.report.series = index.series_len() as u64;
    check.table(Signal::Metrics, index.table(), stats);
    order(check, index.table());
    if let Some(layout) = index.layout() {
        check.expect(object.starts_with(b"PAR1"), &|| "start".into(), &|| "has no magic of Parquet".into());
        check.report.pages = foreign::checksums(check, layout, object);
        foreign::labels(check, layout, index.table(), object, schema::SERIES_ID);
    }
    let mut cover = rows(check, &index, object);
    let extras = index.extras()?;
    if let Some((first, last)) = extras.times() {
        let (start, end) = (TimestampMs(first), TimestampMs(last.saturating_add(1)));
        cover =
            Some(cover.map_or(TimeRangeMs { start, end }, |cover| TimeRangeMs {
                start: cover.start.min(start),
                end: cover.end.max(end),
            }));
    }
    Ok(cover)
}

/// Series ascend by metric name, slot, id and labels, and none is there twice.
pub(super) fn order(check: &mut Check<'_>, table: &Table) {
    let mut last: Option<(String, u16, SeriesId, model::LabelSet)> = None;
    for series in 0..table.len() {
        let labels = table.labels(series);
        let key = (labels.metric_name().unwrap_or("").to_owned(), table.row(series).slot, SeriesId::of(&labels), labels.clone());
        let key_of = |key: &(String, u16, SeriesId, model::LabelSet)| (key.0.clone(), key.1, key.2, key.3.encoded().to_vec());
        let ascends = last.as_ref().is_none_or(|last| key_of(last) < key_of(&key));
        check.expect(ascends, &|| place_of(&labels), &|| "does not ascend by metric name, slot, id".into());
        last = Some(key);
    }
}

fn rows(check: &mut Check<'_>, index: &Index, object: &Bytes) -> Option<TimeRangeMs> {
    let fetched = Fetched::whole(object.clone());
    let table = index.table();
    let mut cover: Option<TimeRangeMs> = None;
    let mut next = 0;
    while next < table.len() {
        let mut places = Vec::new();
        let mut batch = 0;
        while next < table.len() && (index.is_block() || places.is_empty() || batch < BATCH_ROWS) {
            let rows = table.row_range(next);
            batch += rows.end - rows.start;
            places.push(Place { ordinal: next as u32, rows });
            next += 1;
        }
        let columns = match index.decode_places(&places, Projection::ALL, &fetched) {
            Ok(columns) => columns,
            Err(error) => {
                let (first, last) = (places[0].ordinal, places[places.len() - 1].ordinal);
                check.error(format!("samples of series {first} to {last}"), &error);
                continue;
            }
        };
        for (at, place) in places.iter().enumerate() {
            if let Some((first, last)) = series(check, index, place.ordinal as usize, columns.series(at)) {
                let (start, end) = (TimestampMs(first), TimestampMs(last + 1));
                let old = cover.unwrap_or(TimeRangeMs { start, end });
                cover = Some(TimeRangeMs { start: old.start.min(start), end: old.end.max(end) });
            }
        }
        check.report.rows += batch;
    }
    cover
}

/// Checks one series against its line of the table; returns its first and last time.
fn series(check: &mut Check<'_>, index: &Index, series: usize, samples: SeriesSlices<'_>) -> Option<(i64, i64)> {
    let row = index.table().row(series);
    let place = || place_of(&index.table().labels(series));
    let histograms = samples.histograms;
    let ascend = samples.timestamps.windows(2).all(|pair| pair[0] < pair[1])
        && histograms.windows(2).all(|pair| pair[0].timestamp < pair[1].timestamp);
    check.expect(ascend, &place, &|| "times do not ascend".into());
    let both = |time: &i64| histograms.binary_search_by_key(time, |sample| sample.timestamp.0).is_ok();
    let twice = !histograms.is_empty() && samples.timestamps.iter().any(both);
    check.expect(!twice, &place, &|| "a float and a histogram share a time".into());
    let count = (samples.timestamps.len() + histograms.len()) as u64;
    check.expect(count == row.rows, &place, &|| format!("has {count} rows, the label table says {}", row.rows));
    let counted = histograms.len() as u64;
    check.expect(counted == row.extra, &place, &|| format!("has {counted} histograms, the label table says {}", row.extra));
    let hidden = (row.columns & columns::START == 0 && samples.start_timestamps.iter().any(|start| *start != 0))
        || (row.columns & columns::HISTOGRAM == 0 && !histograms.is_empty());
    check.expect(!hidden, &place, &|| "uses columns that the label table denies".into());
    let firsts = samples.timestamps.first().copied().into_iter().chain(histograms.first().map(|sample| sample.timestamp.0));
    let lasts = samples.timestamps.last().copied().into_iter().chain(histograms.last().map(|sample| sample.timestamp.0));
    let times = firsts.min().zip(lasts.max())?;
    let (first, last) = (row.first, row.last);
    check.expect(times == (first, last), &place, &|| format!("has times {times:?}, the label table says {:?}", (first, last)));
    Some(times)
}
