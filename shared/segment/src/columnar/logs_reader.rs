//! Reading logs out of Parquet pages, one row group at a time.

use std::collections::BTreeMap;
use std::ops::Range;

use model::labels::encode_label;
use model::{TimeRangeNs, TimestampNs};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};

use super::Layout;
use super::pages::read_error;
use crate::fetched::coalesce;
use crate::logs::{Chunk, EntryColumns, Projection, StreamEntry};
use crate::schema;
use crate::tokens::TokenFilters;
use crate::{Fetched, SegmentError};

const MAP_KEY: &str = "metadata.key_value.key";
const MAP_VALUE: &str = "metadata.key_value.value";

pub(crate) fn chunks(
    layout: &Layout,
    filters: &TokenFilters,
    entries: &[StreamEntry],
    range: TimeRangeNs,
    needles: &[&[u8]],
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
        filter.is_none_or(|filter| needles.iter().all(|needle| filter.may_contain_needle(needle)))
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

/// Cuts all rows of `entries` (all streams of the file) into pieces of whole body pages, in segment order.
pub(crate) fn batches(layout: &Layout, entries: &[StreamEntry], bytes: usize) -> Vec<Chunk> {
    let mut pieces: Vec<Range<u64>> = Vec::new();
    for group in 0..layout.groups_len() {
        let rows = layout.group_rows(group);
        let per_row =
            layout.column(schema::BODY).map_or(0, |body| layout.uncompressed_bytes(group, body)) / (rows.end - rows.start).max(1);
        let wanted = (bytes as u64 / per_row.max(1)).max(1);
        for page in layout.page_starts(group, schema::BODY) {
            let start = rows.start + page;
            match pieces.last_mut() {
                Some(last) if last.start >= rows.start && start - last.start < wanted => {}
                Some(last) if last.start >= rows.start => {
                    last.end = start;
                    pieces.push(start..rows.end);
                }
                _ => pieces.push(start..rows.end),
            }
        }
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

/// Rows of a chunk inside its row group, neighbours joined.
fn local(layout: &Layout, chunk: &Chunk) -> Vec<Range<u64>> {
    let start = layout.group_rows(chunk.row_group as usize).start;
    coalesce(chunk.runs.iter().map(|(_, rows)| rows.start - start..rows.end - start).collect(), 0)
}

fn columns(layout: &Layout, projection: Projection) -> Vec<usize> {
    let mut paths = vec![schema::TS];
    if projection.lines {
        paths.push(schema::BODY);
    }
    if projection.line_lens {
        paths.push(schema::LINE_LEN);
    }
    let mut columns: Vec<usize> = Vec::new();
    if projection.metadata {
        columns.extend(layout.metadata_columns().into_iter().map(|(_, column)| column));
        paths.extend([MAP_KEY, MAP_VALUE]);
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

pub(crate) fn decode(
    layout: &Layout,
    chunk: &Chunk,
    projection: Projection,
    fetched: &Fetched,
) -> Result<EntryColumns, SegmentError> {
    let rows = local(layout, chunk);
    let source = Source { layout, group: chunk.row_group as usize, rows: &rows, fetched };
    let len = rows.iter().map(|rows| (rows.end - rows.start) as usize).sum::<usize>();
    let mut out = EntryColumns::default();
    let mut at = 0u32;
    for (stream, rows) in &chunk.runs {
        let end = at + (rows.end - rows.start) as u32;
        out.runs.push((*stream, at..end));
        at = end;
    }
    expect(at as usize == len)?;
    out.timestamps = source.read::<Int64Type>(schema::TS)?;
    expect(out.timestamps.len() == len)?;
    if projection.lines {
        let lines = source.read::<ByteArrayType>(schema::BODY)?;
        expect(lines.len() == len)?;
        let bytes: usize = lines.iter().map(ByteArray::len).sum();
        if bytes > u32::MAX as usize {
            return Err(SegmentError::TooLarge { what: "lines of a chunk", value: bytes as u64, limit: u64::from(u32::MAX) });
        }
        out.lines = model::batch::Arena::with_capacity(len, bytes);
        lines.iter().for_each(|line| out.lines.push(line.data()));
    }
    if projection.line_lens {
        out.line_lens = source.read::<Int32Type>(schema::LINE_LEN)?.into_iter().map(|len| len as u32).collect();
        expect(out.line_lens.len() == len)?;
    }
    if projection.metadata {
        source.metadata(len, &mut out)?;
    }
    Ok(out)
}

struct Source<'a> {
    layout: &'a Layout,
    group: usize,
    rows: &'a [Range<u64>],
    fetched: &'a Fetched,
}

/// Values of a column with its levels.
struct Levelled {
    values: Vec<ByteArray>,
    levels: Vec<i16>,
    repetition: Vec<i16>,
}

impl Source<'_> {
    /// Reads a column that is never null.
    fn read<T: DataType>(&self, path: &str) -> Result<Vec<T::T>, SegmentError> {
        let column = self.layout.column(path).ok_or_else(|| SegmentError::corrupt(format!("column {path} is missing")))?;
        let mut reader = self.layout.reader::<T>(self.group, column, self.fetched)?;
        let mut values = Vec::new();
        let mut at = 0;
        for run in self.rows {
            reader.skip_records((run.start - at) as usize).map_err(read_error)?;
            let read = reader.read_records((run.end - run.start) as usize, None, None, &mut values).map_err(read_error)?;
            expect(read.0 as u64 == run.end - run.start)?;
            at = run.end;
        }
        Ok(values)
    }

    /// Reads a text column that may be null or repeated.
    fn read_levels(&self, column: usize) -> Result<Levelled, SegmentError> {
        let mut reader = self.layout.reader::<ByteArrayType>(self.group, column, self.fetched)?;
        let mut out = Levelled { values: Vec::new(), levels: Vec::new(), repetition: Vec::new() };
        let mut at = 0;
        for run in self.rows {
            reader.skip_records((run.start - at) as usize).map_err(read_error)?;
            let wanted = (run.end - run.start) as usize;
            let read = reader.read_records(wanted, Some(&mut out.levels), Some(&mut out.repetition), &mut out.values);
            expect(read.map_err(read_error)?.0 == wanted)?;
            at = run.end;
        }
        Ok(out)
    }

    /// Puts metadata together again: columns of frequent keys, and the map.
    fn metadata(&self, len: usize, out: &mut EntryColumns) -> Result<(), SegmentError> {
        let mut pairs: Vec<(u32, ByteArray, ByteArray)> = Vec::new();
        for (key, column) in self.layout.metadata_columns() {
            let read = self.read_levels(column)?;
            expect(read.levels.len() == len)?;
            let key = ByteArray::from(key.into_bytes());
            let rows = read.levels.iter().enumerate().filter(|(_, level)| **level > 0).map(|(row, _)| row as u32);
            pairs.extend(rows.zip(read.values).map(|(row, value)| (row, key.clone(), value)));
        }
        if let (Some(keys), Some(values)) = (self.layout.column(MAP_KEY), self.layout.column(MAP_VALUE)) {
            let (keys, values) = (self.read_levels(keys)?, self.read_levels(values)?);
            expect(keys.values.len() == values.values.len())?;
            let mut row = 0u32;
            let mut entries = keys.values.into_iter().zip(values.values);
            for (level, repeated) in keys.levels.iter().zip(&keys.repetition) {
                row += u32::from(*repeated == 0);
                if *level > 0 {
                    let (key, value) = entries.next().ok_or_else(|| SegmentError::corrupt("metadata map is broken"))?;
                    pairs.push((row - 1, key, value));
                }
            }
            expect(row as usize == len)?;
        }
        pairs.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.data().cmp(b.1.data())));
        let mut pairs = pairs.into_iter().peekable();
        for row in 0..len as u32 {
            out.metadata.push_with(|bytes| {
                while let Some((_, key, value)) = pairs.next_if(|(of, _, _)| *of == row) {
                    encode_label(bytes, key.data(), value.data());
                }
            });
        }
        Ok(())
    }
}

fn expect(holds: bool) -> Result<(), SegmentError> {
    if holds { Ok(()) } else { Err(SegmentError::corrupt("columns do not agree on their rows")) }
}
