//! Reading logs out of Parquet pages, one row group at a time.

use std::collections::BTreeMap;
use std::ops::Range;

use model::batch::Arena;
use model::{TimeRangeNs, TimestampNs};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};

use super::Layout;
use super::log_metadata::MAP;
use super::pages::read_error;
use crate::fetched::coalesce;
use crate::limits::ROWS_PER_PAGE;
use crate::logs::{Chunk, EntryColumns, Projection, StreamEntry, Wanted};
use crate::schema;
use crate::tokens::{Needle, TokenFilters};
use crate::{Fetched, SegmentError};

pub(crate) fn chunks(
    layout: &Layout,
    filters: &TokenFilters,
    entries: &[StreamEntry],
    range: TimeRangeNs,
    needles: &[Needle<'_>],
) -> Vec<Chunk> {
    let mut chunks: BTreeMap<usize, Chunk> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        for (group, rows) in layout.cut(&entry.rows) {
            let start = layout.group_rows(group).start;
            let rows = start + rows.start..start + rows.end;
            let empty = Chunk { row_group: group as u32, range: entry.range, runs: Vec::new() };
            let chunk = chunks.entry(group).or_insert(empty);
            chunk.range.start = chunk.range.start.min(entry.range.start);
            chunk.range.end = chunk.range.end.max(entry.range.end);
            chunk.runs.push((index as u32, rows));
        }
    }
    let needed = |group: usize| {
        let filter = filters.0.get(group);
        filter.is_none_or(|filter| needles.iter().all(|needle| filter.may_contain_needle(*needle)))
    };
    let narrowed = chunks.into_iter().filter(|(group, _)| needed(*group)).map(|(group, mut chunk)| {
        if let Some((first, last)) = layout.group_times(group) {
            chunk.range.start = chunk.range.start.max(TimestampNs(first));
            chunk.range.end = chunk.range.end.min(TimestampNs(last.saturating_add(1)));
        }
        chunk
    });
    narrowed.filter(|chunk| chunk.range.start < range.end && range.start < chunk.range.end).collect()
}

/// Cuts all rows of `entries` (all streams of the file) into pieces with about `bytes` of lines each, in segment order:
/// whole pages where lines are not long, because a page that two pieces share is decoded twice.
pub(crate) fn batches(layout: &Layout, entries: &[StreamEntry], bytes: usize) -> Vec<Chunk> {
    let mut pieces: Vec<Range<u64>> = Vec::new();
    for group in 0..layout.groups_len() {
        let rows = layout.group_rows(group);
        let wanted = (bytes as u64 / line_bytes_of(entries, &rows)).max(1);
        let page = ROWS_PER_PAGE as u64;
        let len = if wanted > page / 4 { wanted.next_multiple_of(page) } else { wanted };
        pieces.extend(rows.clone().step_by(len as usize).map(|start| start..rows.end.min(start + len)));
    }
    let mut streams = entries.iter().enumerate().peekable();
    let cut = pieces.into_iter().map(|piece| {
        let group = layout.group_of(piece.start);
        let mut chunk =
            Chunk { row_group: group as u32, range: TimeRangeNs::new(TimestampNs(0), TimestampNs(0)), runs: Vec::new() };
        while let Some((stream, entry)) = streams.peek().copied() {
            let rows = entry.rows.start.max(piece.start)..entry.rows.end.min(piece.end);
            if rows.start < rows.end {
                chunk.runs.push((stream as u32, rows));
            }
            if entry.rows.end > piece.end {
                break;
            }
            streams.next();
        }
        chunk
    });
    cut.collect()
}

/// Returns the mean length of the lines of some rows, at least 1: by stream, which is all that is known without reading.
fn line_bytes_of(entries: &[StreamEntry], rows: &Range<u64>) -> u64 {
    let first = entries.partition_point(|entry| entry.rows.end <= rows.start);
    let streams = entries[first..].iter().take_while(|entry| entry.rows.start < rows.end);
    let bytes = streams.map(|entry| {
        let own = entry.rows.end.min(rows.end) - entry.rows.start.max(rows.start);
        entry.line_bytes / (entry.rows.end - entry.rows.start).max(1) * own
    });
    (bytes.sum::<u64>() / (rows.end - rows.start).max(1)).max(1)
}

/// Rows of a chunk inside its row group, neighbours joined.
fn local(layout: &Layout, chunk: &Chunk) -> Vec<Range<u64>> {
    let start = layout.group_rows(chunk.row_group as usize).start;
    coalesce(chunk.runs.iter().map(|(_, rows)| rows.start - start..rows.end - start).collect(), 0)
}

fn columns(layout: &Layout, projection: Projection) -> Vec<usize> {
    let mut paths = vec![schema::TS];
    let mut columns: Vec<usize> = Vec::new();
    if projection.lines {
        paths.extend([schema::LINE_TEMPLATE, schema::BODY]);
        columns.extend(layout.line_numbers());
        columns.extend(layout.line_texts());
    }
    if projection.line_lens {
        paths.push(schema::LINE_LEN);
    }
    if projection.metadata {
        columns.extend(layout.metadata_columns().into_iter().map(|(_, column)| column));
        paths.extend(MAP);
    }
    columns.extend(paths.into_iter().filter_map(|path| layout.column(path)));
    columns
}

pub(crate) fn plan(layout: &Layout, chunk: &Chunk, projection: Projection) -> Vec<Range<u64>> {
    let rows = local(layout, chunk);
    let mut ranges = Vec::new();
    for column in columns(layout, projection) {
        layout.plan(chunk.row_group as usize, column, &rows, &mut ranges);
    }
    coalesce(ranges, 0)
}

/// Decodes a chunk: all rows of it, or those that are wanted.
pub(crate) fn decode(
    (layout, filters): (&Layout, &TokenFilters),
    chunk: &Chunk,
    projection: Projection,
    mut wanted: Option<&mut dyn Wanted>,
    fetched: &Fetched,
) -> Result<EntryColumns, SegmentError> {
    let group = chunk.row_group as usize;
    let hex_texts = filters.0.get(group).map_or(0, |filter| filter.hex_texts);
    let source = Source { layout, group, hex_texts, rows: local(layout, chunk), fetched };
    let mut out = EntryColumns::default();
    let mut at = 0u32;
    for (stream, rows) in &chunk.runs {
        let end = at + (rows.end - rows.start) as u32;
        out.runs.push((*stream, at..end));
        at = end;
    }
    expect(at as usize == source.len())?;
    let rows = match &mut wanted {
        Some(wanted) => source.wanted_rows(&mut out, *wanted)?,
        None => {
            out.timestamps = source.times()?;
            (0..at).collect()
        }
    };
    source.fill(&rows, projection, wanted, &mut out)?;
    Ok(out)
}

/// Fails where lines would pass what an arena holds.
pub(super) fn expect_room(bytes: usize) -> Result<(), SegmentError> {
    let limit = u64::from(u32::MAX);
    match bytes as u64 > limit {
        true => Err(SegmentError::TooLarge { what: "lines of a chunk", value: bytes as u64, limit }),
        false => Ok(()),
    }
}

/// Rows that are read of a row group: ranges inside it, ascending. A *row of the source* is a place among them.
pub(super) struct Source<'a> {
    pub(super) layout: &'a Layout,
    pub(super) group: usize,
    /// Text columns whose words are hexadecimal digits and hyphens alone, as bits.
    pub(super) hex_texts: u8,
    pub(super) rows: Vec<Range<u64>>,
    pub(super) fetched: &'a Fetched,
}

/// Rows of a source, and how they are read: with few that lie between them, because each range has its cost.
pub(super) struct Pick {
    /// Rows of the source that are read.
    pub(super) read: Vec<Range<u32>>,
    /// The same as ranges of the row group.
    of_group: Vec<Range<u64>>,
    /// Per row picked, its place among those that are read.
    places: Vec<u32>,
}

/// Rows between two picked ones that are rather read than skipped.
const GAP_ROWS_MAX: u64 = 32;

/// Rows between wanted ones from which on they are skipped, where all of a column is numbers.
const SKIPPED_PER_ROW_MIN: usize = 256;

/// Leaves of `rows`, whose runs and times `columns` has, those at the places `kept`.
fn keep(columns: &mut EntryColumns, rows: &mut Vec<u32>, kept: &[u32]) {
    if kept.len() < rows.len() {
        columns.keep(kept);
        *rows = kept.iter().map(|at| rows[*at as usize]).collect();
    }
}

/// Values of a column with its levels.
pub(super) struct Levelled<T> {
    pub(super) values: Vec<T>,
    pub(super) levels: Vec<i16>,
    pub(super) repetition: Vec<i16>,
}

impl Source<'_> {
    pub(super) fn len(&self) -> usize {
        self.rows.iter().map(|rows| (rows.end - rows.start) as usize).sum()
    }

    /// Finds out how `rows` (of this source, ascending) are read.
    pub(super) fn pick(&self, rows: &[u32]) -> Pick {
        if rows.len() == self.len() {
            let all = 0..rows.len() as u32;
            return Pick { read: vec![all.clone()], of_group: self.rows.clone(), places: all.collect() };
        }
        let mut pick = Pick { read: Vec::new(), of_group: Vec::new(), places: Vec::with_capacity(rows.len()) };
        let (mut ranges, mut first) = (self.rows.iter().peekable(), 0u32);
        let mut read = 0;
        for row in rows {
            while let Some(range) = ranges.next_if(|range| u64::from(row - first) >= range.end - range.start) {
                first += (range.end - range.start) as u32;
            }
            let Some(range) = ranges.peek() else { break };
            let at = range.start + u64::from(row - first);
            match pick.of_group.last_mut().zip(pick.read.last_mut()) {
                Some((last, rows)) if last.end >= range.start && at <= last.end + GAP_ROWS_MAX => {
                    read += (at + 1 - last.end) as u32;
                    (last.end, rows.end) = (at + 1, row + 1);
                }
                _ => {
                    read += 1;
                    pick.of_group.push(at..at + 1);
                    pick.read.push(*row..row + 1);
                }
            }
            pick.places.push(read - 1);
        }
        pick
    }

    /// Returns the source of the rows that are read.
    pub(super) fn narrowed(&self, pick: &Pick) -> Source<'_> {
        Source { rows: pick.of_group.clone(), ..*self }
    }

    /// Returns the rows that are wanted, ascending; `columns` gets their runs and times. Templates are read before times: where they
    /// settle that a row is not wanted, nothing else of it is read.
    fn wanted_rows(&self, columns: &mut EntryColumns, wanted: &mut dyn Wanted) -> Result<Vec<u32>, SegmentError> {
        let settled = match wanted.asks_lines() && self.layout.cuts_lines() {
            true => Some(self.settle(wanted)?),
            false => None,
        };
        let mut rows: Vec<u32> = match &settled {
            Some(settled) => settled.open_rows(),
            None => (0..self.len() as u32).collect(),
        };
        columns.keep_runs(&rows);
        columns.timestamps = self.times_of(&rows)?;
        let mut kept = Vec::with_capacity(rows.len());
        wanted.by_time(columns, &mut kept);
        keep(columns, &mut rows, &kept);
        if wanted.asks_lines() && !rows.is_empty() {
            let passed = match &settled {
                Some(settled) => self.sift(settled, &rows, wanted)?,
                None => self.sift_whole_lines(&rows, wanted)?,
            };
            let mut passed = passed.into_iter().peekable();
            kept.clear();
            kept.extend(rows.iter().zip(0..).filter(|(row, _)| passed.next_if_eq(*row).is_some()).map(|(_, at)| at));
            keep(columns, &mut rows, &kept);
        }
        kept.clear();
        kept.extend(0..rows.len() as u32);
        wanted.last(columns, &mut kept);
        keep(columns, &mut rows, &kept);
        Ok(rows)
    }

    /// Returns those of `rows` whose lines are wanted, where lines are stored whole.
    fn sift_whole_lines(&self, rows: &[u32], wanted: &mut dyn Wanted) -> Result<Vec<u32>, SegmentError> {
        let pick = self.pick(rows);
        let lines = self.narrowed(&pick).whole_lines()?;
        let mut passed = Vec::new();
        for run in pick.places.chunk_by(|a, b| a + 1 == *b) {
            wanted.lines(&lines, run[0] as usize..run[run.len() - 1] as usize + 1, &mut passed);
        }
        let mut passed = passed.into_iter().peekable();
        let rows = rows.iter().zip(&pick.places).filter(|(_, place)| passed.next_if_eq(*place).is_some());
        Ok(rows.map(|(row, _)| *row).collect())
    }

    fn times(&self) -> Result<Vec<i64>, SegmentError> {
        let times = self.read::<Int64Type>(schema::TS)?;
        expect(times.len() == self.len())?;
        Ok(times)
    }

    /// Reads the times of `rows` (of this source, ascending).
    fn times_of(&self, rows: &[u32]) -> Result<Vec<i64>, SegmentError> {
        match rows.len() {
            0 => Ok(Vec::new()),
            len if len == self.len() => self.times(),
            // To skip a few rows costs more than to read them.
            len if len * SKIPPED_PER_ROW_MIN > self.len() => {
                let times = self.times()?;
                Ok(rows.iter().map(|row| times[*row as usize]).collect())
            }
            _ => {
                let pick = self.pick(rows);
                let times = self.narrowed(&pick).times()?;
                Ok(pick.places.iter().map(|place| times[*place as usize]).collect())
            }
        }
    }

    /// Reads what is projected of `rows` (of this source, ascending).
    fn fill(
        &self,
        rows: &[u32],
        projection: Projection,
        wanted: Option<&mut dyn Wanted>,
        out: &mut EntryColumns,
    ) -> Result<(), SegmentError> {
        if rows.is_empty() || projection == Projection::default() {
            return Ok(());
        }
        let pick = self.pick(rows);
        let source = self.narrowed(&pick);
        if projection.lines && self.layout.cuts_lines() {
            let templates = source.templates()?;
            let excerpts = wanted.map_or_else(Vec::new, |wanted| Source::excerpts(&templates, wanted));
            out.lines = source.cut_lines(&templates, &pick.places, &excerpts)?;
        } else if projection.lines {
            let lines = source.whole_lines()?;
            pick.places.iter().for_each(|place| out.lines.push(lines.get(*place as usize)));
        }
        if projection.line_lens {
            let lens = source.read::<Int32Type>(schema::LINE_LEN)?;
            expect(lens.len() == source.len())?;
            out.line_lens = pick.places.iter().map(|place| lens[*place as usize] as u32).collect();
        }
        if projection.metadata {
            out.metadata = source.metadata(&pick.places)?;
        }
        Ok(())
    }

    /// Reads a column that is never null.
    pub(super) fn read<T: DataType>(&self, path: &str) -> Result<Vec<T::T>, SegmentError> {
        let column = self.layout.column(path).ok_or_else(|| SegmentError::corrupt(format!("column {path} is missing")))?;
        let mut reader = self.layout.reader::<T>(self.group, column, self.fetched)?;
        let mut values = Vec::new();
        let mut at = 0;
        for run in &self.rows {
            reader.skip_records((run.start - at) as usize).map_err(read_error)?;
            let read = reader.read_records((run.end - run.start) as usize, None, None, &mut values).map_err(read_error)?;
            expect(read.0 as u64 == run.end - run.start)?;
            at = run.end;
        }
        Ok(values)
    }

    /// Reads lines that are stored whole.
    fn whole_lines(&self) -> Result<Arena, SegmentError> {
        let stored = self.read::<ByteArrayType>(schema::BODY)?;
        expect(stored.len() == self.len())?;
        let bytes: usize = stored.iter().map(ByteArray::len).sum();
        expect_room(bytes)?;
        let mut lines = Arena::with_capacity(stored.len(), bytes);
        stored.iter().for_each(|line| lines.push(line.data()));
        Ok(lines)
    }

    /// Reads a column that may be null or repeated.
    pub(super) fn read_levels<T: DataType>(&self, column: usize) -> Result<Levelled<T::T>, SegmentError> {
        let mut reader = self.layout.reader::<T>(self.group, column, self.fetched)?;
        let mut out = Levelled { values: Vec::new(), levels: Vec::new(), repetition: Vec::new() };
        let mut at = 0;
        for run in &self.rows {
            reader.skip_records((run.start - at) as usize).map_err(read_error)?;
            let wanted = (run.end - run.start) as usize;
            let read = reader.read_records(wanted, Some(&mut out.levels), Some(&mut out.repetition), &mut out.values);
            expect(read.map_err(read_error)?.0 == wanted)?;
            at = run.end;
        }
        Ok(out)
    }
}

pub(super) fn expect(holds: bool) -> Result<(), SegmentError> {
    if holds { Ok(()) } else { Err(SegmentError::corrupt("columns do not agree on their rows")) }
}
