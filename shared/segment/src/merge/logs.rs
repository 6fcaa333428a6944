//! Merge of logs: stream by stream, one row group of each input in memory.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bytes::Bytes;
use model::{LabelSet, Slot, TenantId, TimeRangeNs, TimestampNs};

use super::metrics::at_input;
use super::{MergeOptions, MergeReport};
use crate::columnar::label_columns;
use crate::columnar::logs_writer::LogsWriter;
use crate::l0::compare_streams;
use crate::logs::{Chunk, EntryColumns, Index, Projection, StreamEntry};
use crate::schema::LogsShape;
use crate::{Encoded, Fetched, SegmentError};

const ALL: TimeRangeNs = TimeRangeNs { start: TimestampNs(i64::MIN), end: TimestampNs(i64::MAX) };

/// Merges whole log segments; `emit` takes each output as soon as it is closed. Entries of one time keep the order of
/// `inputs`; a repeat (same stream, time, line and metadata) is one entry.
///
/// # Errors
/// As [`super::metrics`].
pub fn logs(
    tenant: &TenantId,
    inputs: &[Bytes],
    options: &MergeOptions,
    emit: &mut dyn FnMut(Encoded),
) -> Result<MergeReport, SegmentError> {
    let _ = tenant;
    let sources = inputs.iter().enumerate().map(|(position, input)| Source::open(position, input));
    let mut sources = sources.collect::<Result<Vec<Source>, _>>()?;
    let mut merge = Merge {
        shape: shape_of(&sources),
        options,
        emit,
        writer: None,
        report: MergeReport { rows_in: sources.iter().map(|source| source.index.rows()).sum(), ..MergeReport::default() },
    };
    loop {
        let least = sources.iter().filter_map(Source::labels).min_by(|a, b| compare_streams(a.encoded(), b.encoded()));
        let Some(labels) = least.cloned() else { break };
        merge.stream(&mut sources, &labels)?;
    }
    merge.roll()?;
    merge.report.verify();
    Ok(merge.report)
}

struct Merge<'a> {
    shape: LogsShape,
    options: &'a MergeOptions,
    emit: &'a mut dyn FnMut(Encoded),
    writer: Option<LogsWriter>,
    report: MergeReport,
}

impl Merge<'_> {
    /// Merges one stream out of all inputs that have it.
    fn stream(&mut self, sources: &mut [Source], labels: &LabelSet) -> Result<(), SegmentError> {
        let slot = sources.iter().find(|source| source.labels() == Some(labels)).map_or(Slot(0), Source::slot);
        let mut begun = false;
        // Entries already written at the current time, to leave out repeats.
        let mut time = i64::MIN;
        let mut seen: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        loop {
            let heads = sources.iter().enumerate().filter(|(_, source)| source.labels() == Some(labels));
            let mut heads: Vec<(i64, usize)> = heads.filter_map(|(position, source)| Some((source.time()?, position))).collect();
            heads.sort_unstable();
            let Some((_, position)) = heads.first().copied() else { break };
            // Up to the next input's time this one goes alone.
            let until = heads.get(1).map(|(time, _)| *time);
            let piece = sources[position].take_until(until)?;
            let columns = sources[position].columns();
            for row in piece {
                let (timestamp, line, metadata) = (columns.timestamps[row], columns.lines.get(row), columns.metadata.get(row));
                if timestamp != time {
                    time = timestamp;
                    seen.clear();
                }
                if seen.iter().any(|(l, m)| l == line && m == metadata) {
                    self.report.duplicates += 1;
                    continue;
                }
                seen.push((line.to_vec(), metadata.to_vec()));
                self.entry(labels, slot, &mut begun, timestamp, line, metadata)?;
            }
            sources[position].refill()?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        labels: &LabelSet,
        slot: Slot,
        begun: &mut bool,
        timestamp: i64,
        line: &[u8],
        metadata: &[u8],
    ) -> Result<(), SegmentError> {
        let full = |writer: &LogsWriter| {
            writer.bytes() >= self.options.output_bytes_max
                || writer.rows() >= self.options.output_rows_max
                || !writer.accepts(line)
        };
        if self.writer.as_ref().is_some_and(full) {
            self.roll()?;
            *begun = false;
        }
        let shape = &self.shape;
        let writer = self.writer.get_or_insert_with(|| LogsWriter::new(shape.clone()));
        if !*begun {
            writer.start_stream(labels, slot);
            *begun = true;
        }
        self.report.rows_out += 1;
        writer.push(timestamp, line, metadata)
    }

    /// Ends the output in the making.
    fn roll(&mut self) -> Result<(), SegmentError> {
        if let Some(writer) = self.writer.take() {
            (self.emit)(writer.finish()?);
        }
        Ok(())
    }
}

fn shape_of(sources: &[Source]) -> LogsShape {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for source in sources {
        source.index.table().name_counts().for_each(|(name, count)| *counts.entry(name).or_default() += count);
    }
    let (labels, labels_rest) = label_columns(counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
    LogsShape { labels, labels_rest, ..LogsShape::default() }
}

/// One input, read row group by row group.
struct Source {
    position: usize,
    index: Index,
    fetched: Fetched,
    entries: Vec<StreamEntry>,
    chunks: VecDeque<Chunk>,
    columns: EntryColumns,
    /// The run being read, and the row it stands at.
    run: usize,
    row: usize,
}

impl Source {
    fn open(position: usize, input: &Bytes) -> Result<Source, SegmentError> {
        let index = Index::open(input).map_err(|error| at_input(position, error))?;
        let entries: Vec<StreamEntry> = index.all();
        let mut chunks = index.chunks(&entries, ALL, &[]);
        chunks.sort_by_key(|chunk| chunk.row_group);
        let fetched = Fetched::whole(input.clone());
        let (columns, chunks) = (EntryColumns::default(), chunks.into());
        let mut source = Source { position, index, fetched, entries, chunks, columns, run: 0, row: 0 };
        source.refill()?;
        Ok(source)
    }

    /// Moves on to the next run, decoding the next row group where needed.
    fn refill(&mut self) -> Result<(), SegmentError> {
        loop {
            match self.columns.runs.get(self.run) {
                Some((_, rows)) if self.row < rows.end as usize => return Ok(()),
                Some(_) => self.run += 1,
                None => {
                    let Some(chunk) = self.chunks.pop_front() else { return Ok(()) };
                    let columns = self.index.decode(&chunk, Projection::ALL, &self.fetched);
                    self.columns = columns.map_err(|error| at_input(self.position, error))?;
                    self.run = 0;
                }
            }
            self.row = self.columns.runs.get(self.run).map_or(0, |(_, rows)| rows.start as usize);
        }
    }

    fn entry(&self) -> Option<&StreamEntry> {
        self.columns.runs.get(self.run).map(|(stream, _)| &self.entries[*stream as usize])
    }

    fn labels(&self) -> Option<&LabelSet> {
        self.entry().map(|entry| &entry.labels)
    }

    fn slot(&self) -> Slot {
        self.entry().map_or(Slot(0), |entry| entry.slot)
    }

    fn time(&self) -> Option<i64> {
        self.columns.runs.get(self.run).map(|_| self.columns.timestamps[self.row])
    }

    fn columns(&self) -> &EntryColumns {
        &self.columns
    }

    /// Takes the rows of this run with a time before `until`, at least one row.
    fn take_until(&mut self, until: Option<i64>) -> Result<Range<usize>, SegmentError> {
        let end = self.columns.runs[self.run].1.end as usize;
        let times = &self.columns.timestamps[self.row..end];
        let taken = until.map_or(times.len(), |until| times.partition_point(|time| *time < until)).max(1);
        let rows = self.row..self.row + taken;
        self.row = rows.end;
        Ok(rows)
    }
}
