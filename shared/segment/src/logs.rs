//! Reading log segments, L0 and L1+ alike.

mod metadata;
mod wanted;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use model::batch::Arena;
use model::{LabelSet, Matcher, Slot, TimeRangeNs, TimestampNs};

use crate::columnar::{Layout, logs_reader as reader};
use crate::cursor::Cursor;
use crate::frame::{self, Kind};
use crate::l0::{self, DataFrame, EntryBlock};
use crate::minutes::{Level, MINUTE_NS, MinuteCount, MinuteCounts};
use crate::table::Table;
pub use crate::tokens::Needle;
use crate::tokens::TokenFilters;
use crate::{Fetched, SegmentError};
pub use metadata::MetadataColumn;
pub use wanted::{RowVariables, Verdict, Wanted};

/// The opened tail of a log segment. Cheap to clone, immutable, cacheable.
#[derive(Clone, Debug)]
pub struct Index {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    table: Table,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Block(DataFrame),
    Parquet(Box<Layout>, Extras),
}

/// What lies in the tail of compacted logs beside the label table.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// By row group.
    pub(crate) filters: TokenFilters,
    /// By stream; counts nothing in files older than [`MINUTES_SINCE`].
    pub(crate) minutes: MinuteCounts,
}

/// Version of the format since which compacted logs count their minutes.
const MINUTES_SINCE: u16 = 3;
/// Level of zstd for what lies in every tail: filters hardly compress, counts do.
const EXTRAS_LEVEL: i32 = 3;

impl Extras {
    /// Encodes the extras part.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, SegmentError> {
        let mut raw = Vec::new();
        self.filters.put(&mut raw);
        self.minutes.put(&mut raw);
        frame::compress(&raw, EXTRAS_LEVEL)
    }

    /// Reports whether row groups have filters: in old files they do not prune.
    pub(crate) fn has_filters(&self) -> bool {
        !self.filters.0.is_empty()
    }

    fn decode(part: &[u8], version: u16, table: &Table) -> Result<Extras, SegmentError> {
        let raw = frame::decompress(part, "token filters and minute counts")?;
        let mut cursor = Cursor::new(&raw, "token filters and minute counts");
        let filters = TokenFilters::take(version, &mut cursor)?;
        let minutes = match version >= MINUTES_SINCE {
            true => MinuteCounts::take(version, &mut cursor, table)?,
            false => MinuteCounts::default(),
        };
        cursor.finish()?;
        Ok(Extras { filters, minutes })
    }
}

/// One stream of a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEntry {
    /// Its labels (shared, cheap to clone).
    pub labels: LabelSet,
    /// Its slot.
    pub slot: Slot,
    /// Its place in the segment's order.
    pub ordinal: u32,
    /// Its rows in the segment, time ascending.
    pub rows: Range<u64>,
    /// Half-open cover of its entries' times.
    pub range: TimeRangeNs,
    /// Bytes of its lines.
    pub line_bytes: u64,
}

/// Which columns to read; timestamps always come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Projection {
    /// Lines.
    pub lines: bool,
    /// Byte lengths of the lines, without the lines: for `bytes_over_time`.
    pub line_lens: bool,
    /// Structured metadata.
    pub metadata: bool,
}

impl Projection {
    /// Everything.
    pub const ALL: Projection = Projection { lines: true, line_lens: false, metadata: true };
}

/// A piece of work for one scan step: runs of rows of some streams inside one row group.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Row group.
    pub row_group: u32,
    /// Half-open cover of the times of the selected rows (exact for L0 and single-stream groups, otherwise an upper bound).
    pub range: TimeRangeNs,
    /// Per stream: its index in the selection, and its rows in the segment.
    pub runs: Vec<(u32, Range<u64>)>,
}

/// Entries of several streams as shared columns.
#[derive(Debug, Default)]
pub struct EntryColumns {
    /// Per run: the stream's index in the selection, and its rows in these columns, time ascending.
    pub runs: Vec<(u32, Range<u32>)>,
    /// Times, nanoseconds.
    pub timestamps: Vec<i64>,
    /// Lines; empty where not projected.
    pub lines: Arena,
    /// Byte lengths of lines; empty where not projected.
    pub line_lens: Vec<u32>,
    /// Structured metadata; empty where not projected.
    pub metadata: MetadataColumn,
}

impl EntryColumns {
    /// Leaves only `rows`, ascending: runs and times.
    pub(crate) fn keep(&mut self, rows: &[u32]) {
        if rows.len() == self.timestamps.len() {
            return;
        }
        self.keep_runs(rows);
        self.timestamps = rows.iter().map(|row| self.timestamps[*row as usize]).collect();
    }

    /// Leaves only `rows`, ascending, of the runs.
    pub(crate) fn keep_runs(&mut self, rows: &[u32]) {
        let kept = |row: u32| rows.partition_point(|kept| *kept < row) as u32;
        self.runs.iter_mut().for_each(|(_, run)| *run = kept(run.start)..kept(run.end));
    }
}

impl Index {
    /// Opens a whole object, such as an inline or small L0 block.
    ///
    /// # Errors
    /// `Corrupt`, `Version`.
    pub fn open(object: &Bytes) -> Result<Index, SegmentError> {
        Index::open_tail(object, 0)
    }

    /// Opens the tail: the bytes from `tail_offset` (or earlier) to the end of the object. Checksums are verified (S2).
    ///
    /// # Errors
    /// `Corrupt`, `Version`.
    pub fn open_tail(tail: &Bytes, tail_offset: u64) -> Result<Index, SegmentError> {
        let parts = frame::open_tail(tail, tail_offset)?;
        let raw = frame::decompress(parts.index, "label table")?;
        let mut cursor = Cursor::new(&raw, "label table");
        let (table, data) = match parts.seal.kind {
            Kind::BlockLogs => {
                let frame = DataFrame::take(&mut cursor)?;
                (Table::decode(parts.version, &mut cursor)?, Data::Block(frame))
            }
            Kind::ParquetLogs => {
                let table = Table::decode(parts.version, &mut cursor)?;
                let extras = Extras::decode(parts.extras, parts.version, &table)?;
                let layout = Layout::open(tail, tail_offset, parts.version, parts.sums, table.rows_sum())?;
                (table, Data::Parquet(Box::new(layout), extras))
            }
            Kind::BlockMetrics | Kind::ParquetMetrics | Kind::ParquetWindows => {
                return Err(SegmentError::corrupt("object holds metrics instead of logs"));
            }
        };
        cursor.finish()?;
        if let Data::Block(frame) = &data
            && u64::from(frame.len) > parts.seal.tail_offset
        {
            return Err(SegmentError::corrupt("data frame is longer than the object"));
        }
        Ok(Index { inner: Arc::new(Inner { table, data }) })
    }

    /// Counts the streams.
    pub fn streams_len(&self) -> usize {
        self.inner.table.len()
    }

    /// Counts the entries.
    pub fn rows(&self) -> u64 {
        self.inner.table.rows_sum()
    }

    /// Returns the bytes this index keeps in memory, for a cache's accounting.
    pub fn memory_bytes(&self) -> usize {
        let layout = match &self.inner.data {
            Data::Block(_) => 0,
            Data::Parquet(layout, extras) => {
                layout.memory_bytes() + extras.filters.memory_bytes() + extras.minutes.memory_bytes()
            }
        };
        size_of::<Inner>() + self.inner.table.memory_bytes() + layout
    }

    /// Returns the streams that all matchers accept and whose entries overlap `range`, in segment order.
    pub fn select(&self, matchers: &[Matcher], range: TimeRangeNs) -> Vec<StreamEntry> {
        self.ordinals(matchers, range).into_iter().map(|ordinal| self.entry(ordinal)).collect()
    }

    /// Returns every stream, in segment order.
    pub fn all(&self) -> Vec<StreamEntry> {
        (0..self.streams_len() as u32).map(|ordinal| self.entry(ordinal)).collect()
    }

    fn ordinals(&self, matchers: &[Matcher], range: TimeRangeNs) -> Vec<u32> {
        let mut ordinals = self.inner.table.select(matchers);
        ordinals.retain(|ordinal| self.inner.table.overlaps(*ordinal as usize, range.start.0, range.end.0));
        ordinals
    }

    pub(crate) fn table(&self) -> &Table {
        &self.inner.table
    }

    pub(crate) fn layout(&self) -> Option<(&Layout, &Extras)> {
        match &self.inner.data {
            Data::Block(_) => None,
            Data::Parquet(layout, extras) => Some((layout, extras)),
        }
    }

    /// Says of all texts of all row groups whether they are hexadecimal.
    #[cfg(test)]
    pub(crate) fn claim_hex_texts(&mut self, hex_texts: u8) {
        if let Some(Inner { data: Data::Parquet(_, extras), .. }) = Arc::get_mut(&mut self.inner) {
            extras.filters.0.iter_mut().for_each(|filter| filter.hex_texts = hex_texts);
        }
    }

    fn entry(&self, ordinal: u32) -> StreamEntry {
        let table = &self.inner.table;
        let row = table.row(ordinal as usize);
        let end = if row.rows == 0 { row.first } else { row.last + 1 };
        StreamEntry {
            labels: table.labels(ordinal as usize),
            slot: Slot(row.slot),
            ordinal,
            rows: table.row_range(ordinal as usize),
            range: TimeRangeNs::new(TimestampNs(row.first), TimestampNs(end)),
            line_bytes: row.extra,
        }
    }

    /// Returns the distinct label names of the matching streams, sorted.
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRangeNs) -> Vec<String> {
        self.inner.table.label_names(&self.ordinals(matchers, range))
    }

    /// Returns the distinct values of label `name` among the matching streams, sorted.
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRangeNs) -> Vec<String> {
        self.inner.table.label_values(name, &self.ordinals(matchers, range))
    }

    /// Returns what each minute of a stream holds, minutes ascending, by level where the segment tells levels apart. `None`
    /// where the segment does not count: a block, or a file before version 3, whose stream lies in more than one minute.
    ///
    /// Counts are of this segment alone; [`crate::minutes::settle`] says which of them are exact for a query.
    ///
    /// # Panics
    /// If `entry` is of another segment.
    pub fn minutes(&self, entry: &StreamEntry) -> Option<Vec<MinuteCount<'_>>> {
        let row = self.inner.table.row(entry.ordinal as usize);
        if row.rows == 0 {
            return Some(Vec::new());
        }
        if let Some(minutes) = self.minute_counts() {
            return Some(minutes.of(entry.ordinal as usize).collect());
        }
        let minute = row.first.div_euclid(MINUTE_NS);
        let start = TimestampNs(minute.saturating_mul(MINUTE_NS));
        let one = MinuteCount { start, level: Level::Mixed, rows: row.rows, line_bytes: row.extra, on_start: None };
        (row.last.div_euclid(MINUTE_NS) == minute).then(|| vec![one])
    }

    /// Returns the counts of a file that has them.
    pub(crate) fn minute_counts(&self) -> Option<&MinuteCounts> {
        match &self.inner.data {
            Data::Block(_) => None,
            Data::Parquet(_, extras) => extras.minutes.covers(self.streams_len()).then_some(&extras.minutes),
        }
    }

    /// Cuts a selection into chunks, one per row group, newest first; row groups whose token filter proves that a line
    /// cannot contain every one of `needles` (case-sensitive substrings, as of `|=`) are left out.
    pub fn chunks(&self, entries: &[StreamEntry], range: TimeRangeNs, needles: &[&[u8]]) -> Vec<Chunk> {
        let needles: Vec<Needle<'_>> = needles.iter().map(|needle| Needle::Substring(needle)).collect();
        self.chunks_with(entries, range, &needles)
    }

    /// As [`Index::chunks`], with needles of either kind: values of fields prune better where the caller knows how they stand
    /// in the line.
    pub fn chunks_with(&self, entries: &[StreamEntry], range: TimeRangeNs, needles: &[Needle<'_>]) -> Vec<Chunk> {
        let mut chunks = match &self.inner.data {
            Data::Block(_) => whole_block(entries),
            Data::Parquet(layout, extras) => reader::chunks(layout, &extras.filters, entries, range, needles),
        };
        chunks.sort_by_key(|chunk| std::cmp::Reverse((chunk.range.end, chunk.row_group)));
        chunks
    }

    /// Cuts all rows into pieces of whole pages with about `bytes` of lines each, in segment order: what a merge holds
    /// decoded. A block is one piece.
    pub(crate) fn batches(&self, entries: &[StreamEntry], bytes: usize) -> Vec<Chunk> {
        match &self.inner.data {
            Data::Block(_) => whole_block(entries),
            Data::Parquet(layout, _) => reader::batches(layout, entries, bytes),
        }
    }

    /// Returns the byte ranges of the object that [`Index::decode`] will read for `chunk`, coalesced, ascending.
    pub fn plan_ranges(&self, chunk: &Chunk, projection: Projection) -> Vec<Range<u64>> {
        match &self.inner.data {
            Data::Block(frame) => std::iter::once(0..u64::from(frame.len)).collect(),
            Data::Parquet(layout, _) => reader::plan(layout, chunk, projection),
        }
    }

    /// Decodes a chunk: all rows of its runs (whole pages may lie outside the asked time; the caller trims by timestamp).
    ///
    /// # Errors
    /// `NotFetched` where a planned range is missing, `Corrupt` where a checksum or a promise of the format fails.
    ///
    /// # Panics
    /// If `chunk` is of another segment.
    pub fn decode(&self, chunk: &Chunk, projection: Projection, fetched: &Fetched) -> Result<EntryColumns, SegmentError> {
        self.decode_rows(chunk, projection, None, fetched)
    }

    /// Decodes the rows of a chunk that are wanted: of the others little more than times is read.
    ///
    /// # Errors
    /// As [`Index::decode`].
    ///
    /// # Panics
    /// If `chunk` is of another segment.
    pub fn decode_wanted(
        &self,
        chunk: &Chunk,
        projection: Projection,
        wanted: &mut dyn Wanted,
        fetched: &Fetched,
    ) -> Result<EntryColumns, SegmentError> {
        self.decode_rows(chunk, projection, Some(wanted), fetched)
    }

    fn decode_rows(
        &self,
        chunk: &Chunk,
        projection: Projection,
        wanted: Option<&mut dyn Wanted>,
        fetched: &Fetched,
    ) -> Result<EntryColumns, SegmentError> {
        match &self.inner.data {
            Data::Block(frame) => {
                let raw = frame.open(&fetched.get(0..u64::from(frame.len))?)?;
                Ok(pick(&l0::decode_entries(&raw, &self.inner.table)?, chunk, projection, wanted))
            }
            Data::Parquet(layout, extras) => reader::decode((layout, &extras.filters), chunk, projection, wanted, fetched),
        }
    }
}

fn whole_block(entries: &[StreamEntry]) -> Vec<Chunk> {
    let cover =
        entries.iter().map(|entry| entry.range).reduce(|a, b| TimeRangeNs { start: a.start.min(b.start), end: a.end.max(b.end) });
    let runs = entries.iter().enumerate().map(|(index, entry)| (index as u32, entry.rows.clone())).collect();
    cover.map(|range| Chunk { row_group: 0, range, runs }).into_iter().collect()
}

fn pick(block: &EntryBlock, chunk: &Chunk, projection: Projection, wanted: Option<&mut dyn Wanted>) -> EntryColumns {
    let mut columns = EntryColumns::default();
    // Rows of the block, in the order of the columns.
    let mut rows: Vec<u32> = Vec::new();
    for (stream, run) in &chunk.runs {
        let start = rows.len() as u32;
        rows.extend(run.start as u32..run.end as u32);
        columns.runs.push((*stream, start..rows.len() as u32));
    }
    columns.timestamps = rows.iter().map(|row| block.timestamps[*row as usize]).collect();
    if let Some(wanted) = wanted {
        let mut kept = Vec::new();
        wanted.by_time(&columns, &mut kept);
        if wanted.asks_lines() {
            let (all, mut passed) = (std::mem::take(&mut kept), Vec::new());
            // Rows that follow each other are asked together.
            for run in all.chunk_by(|a, b| a + 1 == *b && rows[*a as usize] + 1 == rows[*b as usize]) {
                let first = rows[run[0] as usize];
                passed.clear();
                wanted.lines(&block.lines, first as usize..first as usize + run.len(), &mut passed);
                kept.extend(passed.iter().map(|row| run[0] + (row - first)));
            }
        }
        wanted.last(&columns, &mut kept);
        columns.keep(&kept);
        rows = kept.into_iter().map(|row| rows[row as usize]).collect();
    }
    for row in rows.into_iter().map(|row| row as usize) {
        if projection.lines {
            columns.lines.push(block.lines.get(row));
        }
        if projection.line_lens {
            columns.line_lens.push(block.lines.get(row).len() as u32);
        }
        if projection.metadata {
            columns.metadata.push(block.metadata.get(row));
        }
    }
    columns
}
