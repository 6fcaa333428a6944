//! Logs: streams ascend, entries of a stream ascend, filters know every word, lengths are those of the lines, texts are as they are called.

use bytes::Bytes;
use model::{Signal, TimeRangeMs, TimeRangeNs, TimestampNs};

use super::{Check, foreign, hex_texts, place_of};
use crate::logs::{EntryColumns, Index, Projection};
use crate::minutes::MinuteCounts;
use crate::{Fetched, SegmentError, SegmentStats, schema};

const ALL: TimeRangeNs = TimeRangeNs { start: TimestampNs(i64::MIN), end: TimestampNs(i64::MAX) };

/// What was seen of a stream so far.
#[derive(Clone, Default)]
struct Seen {
    rows: u64,
    first: i64,
    last: i64,
    line_bytes: u64,
}

/// What was seen of all rows so far.
struct Rows {
    streams: Vec<Seen>,
    minutes: MinuteCounts,
}

/// Returns the cover of all times, milliseconds.
pub(super) fn check(
    check: &mut Check<'_>,
    object: &Bytes,
    stats: Option<&SegmentStats>,
) -> Result<Option<TimeRangeMs>, SegmentError> {
    let index = Index::open(object)?;
    let table = index.table();
    check.report.series = table.len() as u64;
    check.table(Signal::Logs, table, stats);
    for stream in 1..table.len() {
        let (before, labels) = (table.labels(stream - 1), table.labels(stream));
        let ascends = before.encoded() < labels.encoded();
        check.expect(ascends, &|| place_of(&labels), &|| "does not ascend by labels".into());
    }
    if let Some((layout, extras)) = index.layout() {
        check.expect(object.starts_with(b"PAR1"), &|| "start".into(), &|| "has no magic of Parquet".into());
        check.report.pages = foreign::checksums(check, layout, object);
        foreign::labels(check, layout, table, object, schema::STREAM_ID);
        let (groups, counted) = (layout.groups_len(), extras.filters.0.len());
        check.expect(groups == counted || !extras.has_filters(), &|| "token filters".into(), &|| {
            format!("are {counted} for {groups} row groups")
        });
    }
    let mut rows = Rows { streams: vec![Seen::default(); table.len()], minutes: MinuteCounts::default() };
    entries(check, &index, object, &mut rows);
    rows.minutes.start_streams(table.len());
    let same = index.minute_counts().is_none_or(|counts| counts.agree_with(&rows.minutes));
    check.expect(same, &|| "minute counts".into(), &|| "are not those of the rows".into());
    let mut cover: Option<(i64, i64)> = None;
    for (stream, seen) in rows.streams.iter().enumerate() {
        let row = table.row(stream);
        let same = (seen.rows, seen.line_bytes) == (row.rows, row.extra)
            && (seen.rows == 0 || (seen.first, seen.last) == (row.first, row.last));
        let place = || place_of(&table.labels(stream));
        check.expect(same, &place, &|| "has other counts or times than the label table says".into());
        if seen.rows > 0 {
            cover = Some(cover.map_or((seen.first, seen.last), |(first, last)| (first.min(seen.first), last.max(seen.last))));
        }
        check.report.rows += seen.rows;
    }
    Ok(cover.map(|(first, last)| TimeRangeNs { start: TimestampNs(first), end: TimestampNs(last + 1) }.cover_ms()))
}

fn entries(check: &mut Check<'_>, index: &Index, object: &Bytes, rows: &mut Rows) {
    let fetched = Fetched::whole(object.clone());
    let mut chunks = index.chunks(&index.all(), ALL, &[]);
    chunks.sort_by_key(|chunk| chunk.row_group);
    for chunk in &chunks {
        let place = format!("row group {}", chunk.row_group);
        match index.decode(chunk, Projection { line_lens: true, ..Projection::ALL }, &fetched) {
            Ok(columns) => group(check, index, chunk.row_group as usize, &columns, rows),
            Err(error) => check.error(place.clone(), &error),
        }
        match hex_texts::count_others(index, chunk, &fetched) {
            Ok(others) => {
                check.expect(others == 0, &|| place.clone(), &|| format!("{others} lines have a text that is not hexadecimal"))
            }
            Err(error) => check.error(place, &error),
        }
    }
}

fn group(check: &mut Check<'_>, index: &Index, group: usize, columns: &EntryColumns, all: &mut Rows) {
    let place = || format!("row group {group}");
    let filter = index.layout().and_then(|(_, extras)| extras.filters.0.get(group));
    for (stream, rows) in &columns.runs {
        let seen = &mut all.streams[*stream as usize];
        all.minutes.start_streams(*stream as usize + 1);
        for row in rows.start as usize..rows.end as usize {
            let (time, line) = (columns.timestamps[row], columns.lines.get(row));
            check.expect(seen.rows == 0 || seen.last <= time, &place, &|| format!("row {row}: time descends"));
            seen.first = if seen.rows == 0 { time } else { seen.first };
            all.minutes.add(time, line.len(), columns.metadata.get(row));
            seen.last = time;
            seen.rows += 1;
            seen.line_bytes += line.len() as u64;
            let len = columns.line_lens[row] as usize;
            check.expect(len == line.len(), &place, &|| format!("row {row}: line_len is {len}, line has {}", line.len()));
            let known = filter.is_none_or(|filter| filter.knows_line(line));
            check.expect(known, &place, &|| format!("row {row}: token filter denies a word of the line"));
            let metadata = columns.metadata.get(row);
            let canonical = metadata.is_empty() || model::labels::verify(metadata).is_ok();
            check.expect(canonical, &place, &|| format!("row {row}: structured metadata is not canonical"));
        }
    }
    let times = columns.timestamps.iter().copied().min().zip(columns.timestamps.iter().copied().max());
    let stated = index.layout().and_then(|(layout, _)| layout.group_times(group));
    check.expect(stated.is_none() || stated == times, &place, &|| format!("statistics say {stated:?}, rows say {times:?}"));
}
