//! Reading logs out of Parquet pages, one row group at a time.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use model::labels::encode_label;
use model::{TimeRangeNs, TimestampNs};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};

use super::Layout;
use super::pages::read_error;
use crate::fetched::coalesce;
use crate::limits::ROWS_PER_PAGE;
use crate::logs::{Chunk, EntryColumns, Projection, StreamEntry};
use crate::schema;
use crate::template::Template;
use crate::tokens::{Needle, TokenFilters};
use crate::{Fetched, SegmentError};

const MAP_KEY: &str = "metadata.key_value.key";
const MAP_VALUE: &str = "metadata.key_value.value";

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
        match layout.cuts_lines() {
            true => source.cut_lines(len, &mut out)?,
            false => source.whole_lines(len, &mut out)?,
        }
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

/// Fails where lines would pass what an arena holds.
fn expect_room(bytes: usize) -> Result<(), SegmentError> {
    let limit = u64::from(u32::MAX);
    match bytes as u64 > limit {
        true => Err(SegmentError::TooLarge { what: "lines of a chunk", value: bytes as u64, limit }),
        false => Ok(()),
    }
}

struct Source<'a> {
    layout: &'a Layout,
    group: usize,
    rows: &'a [Range<u64>],
    fetched: &'a Fetched,
}

/// Values of a column with its levels.
struct Levelled<T> {
    values: Vec<T>,
    levels: Vec<i16>,
    repetition: Vec<i16>,
}

/// Values of a column that some rows have, taken row by row.
struct Present<T>(std::vec::IntoIter<T>);

impl<T> Present<T> {
    fn next(&mut self) -> Result<T, SegmentError> {
        self.0.next().ok_or_else(|| SegmentError::corrupt("column has fewer values than templates ask for"))
    }
}

/// The templates of the rows of a chunk.
struct Templates {
    distinct: Vec<Template>,
    /// By row.
    rows: Vec<u32>,
}

impl Templates {
    fn of(stored: &[ByteArray]) -> Result<Templates, SegmentError> {
        let mut templates = Templates { distinct: Vec::new(), rows: Vec::with_capacity(stored.len()) };
        // Rows of one template share its bytes in the dictionary: where they lie is as good as what they are, and cheaper.
        let mut ids: HashMap<(*const u8, usize), u32> = HashMap::new();
        for template in stored {
            let bytes = template.data();
            let id = match ids.entry((bytes.as_ptr(), bytes.len())) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    templates.distinct.push(Template::parse(bytes)?);
                    *new.insert(templates.distinct.len() as u32 - 1)
                }
            };
            templates.rows.push(id);
        }
        Ok(templates)
    }
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

    /// Reads lines that are stored whole.
    fn whole_lines(&self, len: usize, out: &mut EntryColumns) -> Result<(), SegmentError> {
        let lines = self.read::<ByteArrayType>(schema::BODY)?;
        expect(lines.len() == len)?;
        let bytes: usize = lines.iter().map(ByteArray::len).sum();
        expect_room(bytes)?;
        out.lines = model::batch::Arena::with_capacity(len, bytes);
        lines.iter().for_each(|line| out.lines.push(line.data()));
        Ok(())
    }

    /// Puts lines together again.
    fn cut_lines(&self, len: usize, out: &mut EntryColumns) -> Result<(), SegmentError> {
        let stored = self.read::<ByteArrayType>(schema::LINE_TEMPLATE)?;
        let templates = Templates::of(&stored)?;
        expect(templates.rows.len() == len)?;
        let body = self.layout.column(schema::BODY).ok_or_else(|| SegmentError::corrupt("column body is missing"))?;
        let body = self.read_levels::<ByteArrayType>(body)?;
        expect(body.levels.len() == len)?;
        let used = |count: fn(&Template) -> usize| templates.distinct.iter().map(count).max().unwrap_or(0);
        let numbers = self.layout.line_numbers().take(used(Template::numbers));
        let mut numbers = numbers.map(|column| self.present::<Int64Type>(column)).collect::<Result<Vec<_>, _>>()?;
        let texts = self.layout.line_texts().take(used(Template::texts));
        let mut texts = texts.map(|column| self.present::<ByteArrayType>(column)).collect::<Result<Vec<_>, _>>()?;
        let mut bodies = Present(body.values.into_iter());
        let (mut row_numbers, mut row_texts) = (Vec::new(), Vec::new());
        out.lines = model::batch::Arena::with_capacity(len, 0);
        let mut line = Vec::new();
        for (template, level) in templates.rows.iter().zip(&body.levels) {
            line.clear();
            if *level > 0 {
                line.extend_from_slice(bodies.next()?.data());
            } else {
                let template = &templates.distinct[*template as usize];
                row_numbers.clear();
                row_texts.clear();
                for column in numbers.iter_mut().take(template.numbers()) {
                    row_numbers.push(column.next()?);
                }
                for column in texts.iter_mut().take(template.texts()) {
                    row_texts.push(column.next()?);
                }
                template.put_line(|column| row_numbers[column], |column| row_texts[column].data(), &mut line);
            }
            expect_room(out.lines.bytes_len() + line.len())?;
            out.lines.push(&line);
        }
        let left = numbers.iter().any(|column| column.0.len() > 0) || texts.iter().any(|column| column.0.len() > 0);
        expect(!left && bodies.0.len() == 0)
    }

    fn present<T: DataType>(&self, column: usize) -> Result<Present<T::T>, SegmentError> {
        Ok(Present(self.read_levels::<T>(column)?.values.into_iter()))
    }

    /// Reads a column that may be null or repeated.
    fn read_levels<T: DataType>(&self, column: usize) -> Result<Levelled<T::T>, SegmentError> {
        let mut reader = self.layout.reader::<T>(self.group, column, self.fetched)?;
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
            let read = self.read_levels::<ByteArrayType>(column)?;
            expect(read.levels.len() == len)?;
            let key = ByteArray::from(key.into_bytes());
            let rows = read.levels.iter().enumerate().filter(|(_, level)| **level > 0).map(|(row, _)| row as u32);
            pairs.extend(rows.zip(read.values).map(|(row, value)| (row, key.clone(), value)));
        }
        if let (Some(keys), Some(values)) = (self.layout.column(MAP_KEY), self.layout.column(MAP_VALUE)) {
            let (keys, values) = (self.read_levels::<ByteArrayType>(keys)?, self.read_levels::<ByteArrayType>(values)?);
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
