//! Merge of logs: stream by stream, a few pages of each input in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::Range;

use bytes::Bytes;
use model::{LabelSet, Slot, TimestampNs};

use super::reduce::{Input, at_input, reduce};
use super::{EraseEntries, EraseEntry, MergeOptions, MergeReport};
use crate::columnar::label_columns;
use crate::columnar::logs_writer::LogsWriter;
use crate::l0::compare_streams;
use crate::logs::{Chunk, EntryColumns, Index, Projection, StreamEntry};
use crate::schema::LogsShape;
use crate::{Encoded, Fetched, SegmentError};

/// Bytes of lines that one input holds decoded.
const BATCH_BYTES: usize = 1 << 20;
/// A batch of short lines takes this much: times, slices and metadata beside the lines.
const BATCH_FACTOR: usize = 3;

/// Merges whole log segments; `emit` takes each output as soon as it is closed. Entries of one time keep the order of
/// `inputs`; a repeat (same stream, time, line and metadata) is one entry.
///
/// # Errors
/// As [`super::metrics`].
pub fn logs(inputs: &[Bytes], options: &MergeOptions, emit: &mut dyn FnMut(Encoded)) -> Result<MergeReport, SegmentError> {
    logs_without(inputs.to_vec(), options, &|_, _| None, emit)
}

/// As [`logs`], and leaves out the entries that `erase` names. Inputs are let go of as soon as nothing of them is needed.
///
/// # Errors
/// As [`super::metrics`].
pub fn logs_without(
    inputs: Vec<Bytes>,
    options: &MergeOptions,
    erase: &EraseEntries<'_>,
    emit: &mut dyn FnMut(Encoded),
) -> Result<MergeReport, SegmentError> {
    let mut losses = MergeReport::default();
    let inputs = reduce(inputs, BATCH_BYTES * BATCH_FACTOR, &mut losses, &mut |group, options, emit| {
        merge_step(group, options, erase, emit)
    })?;
    let mut report = merge_step(inputs, options, erase, emit)?;
    report.add_losses(&losses);
    report.verify();
    Ok(report)
}

pub(super) fn merge_step(
    inputs: Vec<Input>,
    options: &MergeOptions,
    erase: &EraseEntries<'_>,
    emit: &mut dyn FnMut(Encoded),
) -> Result<MergeReport, SegmentError> {
    let sources = inputs.into_iter().map(|input| Source::open(input, erase));
    let mut sources = sources.collect::<Result<Vec<Source>, _>>()?;
    let rows_in = sources.iter().map(|source| source.index.rows() + source.ahead.rows).sum();
    let report = MergeReport { rows_in, ..MergeReport::default() };
    let mut merge = Merge { shape: shape_of(&sources), options, emit, writer: None, report };
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

/// The stream being written.
struct Stream<'a> {
    labels: &'a LabelSet,
    slot: Slot,
    /// Whether the output in the making has begun it.
    begun: bool,
    /// Entries already written at the current time, to leave out repeats.
    time: i64,
    seen: Seen,
}

/// Entries, each as its line and its metadata back to back: in one buffer that is used again for each time.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    /// Per entry, one past its line and one past its metadata.
    ends: Vec<(usize, usize)>,
}

impl Seen {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn holds(&self, line: &[u8], metadata: &[u8]) -> bool {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        let mut entries = starts.zip(&self.ends);
        entries.any(|(start, (middle, end))| self.bytes[start..*middle] == *line && self.bytes[*middle..*end] == *metadata)
    }

    fn push(&mut self, line: &[u8], metadata: &[u8]) {
        self.bytes.extend_from_slice(line);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(metadata);
        self.ends.push((middle, self.bytes.len()));
    }
}

impl Merge<'_> {
    /// Merges one stream out of all inputs that have it.
    fn stream(&mut self, sources: &mut [Source<'_, '_>], labels: &LabelSet) -> Result<(), SegmentError> {
        let with: Vec<usize> = (0..sources.len()).filter(|at| sources[*at].labels() == Some(labels)).collect();
        let slot = with.first().map_or(Slot(0), |at| sources[*at].slot());
        let mut stream = Stream { labels, slot, begun: false, time: i64::MIN, seen: Seen::default() };
        let head = |sources: &[Source<'_, '_>], at: usize| {
            let source = &sources[at];
            source.time().filter(|_| source.labels() == Some(labels)).map(|time| Reverse((time, at)))
        };
        let mut heads: BinaryHeap<Reverse<(i64, usize)>> = with.iter().filter_map(|at| head(sources, *at)).collect();
        while let Some(Reverse((_, at))) = heads.pop() {
            // Up to the next input's time this one goes alone.
            let until = heads.peek().map(|Reverse((time, _))| *time);
            let source = &mut sources[at];
            let rows = source.take_until(until);
            for row in rows {
                let columns = &source.columns;
                let (timestamp, line, metadata) = (columns.timestamps[row], columns.lines.get(row), columns.metadata.get(row));
                if source.erase.as_ref().is_some_and(|erase| erase(TimestampNs(timestamp), line, metadata)) {
                    self.report.erased += 1;
                } else {
                    self.entry(&mut stream, timestamp, line, metadata)?;
                }
            }
            source.refill()?;
            heads.extend(head(sources, at));
        }
        Ok(())
    }

    fn entry(&mut self, stream: &mut Stream<'_>, timestamp: i64, line: &[u8], metadata: &[u8]) -> Result<(), SegmentError> {
        if timestamp != stream.time {
            stream.time = timestamp;
            stream.seen.clear();
        }
        if stream.seen.holds(line, metadata) {
            self.report.duplicates += 1;
            return Ok(());
        }
        stream.seen.push(line, metadata);
        let full = |writer: &LogsWriter| {
            writer.bytes() >= self.options.output_bytes_max
                || writer.rows() >= self.options.output_rows_max
                || !writer.accepts(line)
        };
        if self.writer.as_ref().is_some_and(full) {
            self.roll()?;
            stream.begun = false;
        }
        let (shape, effort) = (&self.shape, self.options.effort);
        let writer = self.writer.get_or_insert_with(|| LogsWriter::new(shape.clone(), effort));
        if !stream.begun {
            writer.start_stream(stream.labels, stream.slot);
            stream.begun = true;
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

fn shape_of(sources: &[Source<'_, '_>]) -> LogsShape {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for source in sources {
        let ahead = source.ahead.labels.iter().map(|(name, count)| (&**name, *count));
        source.index.table().name_counts().chain(ahead).for_each(|(name, count)| *counts.entry(name).or_default() += count);
    }
    let (labels, labels_rest) = label_columns(counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect());
    LogsShape { labels, labels_rest, ..LogsShape::default() }
}

/// The segments of a run that are opened later, and what must be known of them before. The next one may go on with the stream
/// that the one before ends with.
#[derive(Default)]
struct Ahead {
    segments: VecDeque<Bytes>,
    rows: u64,
    /// Streams that have a label, by its name.
    labels: BTreeMap<String, u64>,
}

impl Ahead {
    fn of(segments: VecDeque<Bytes>) -> Result<Ahead, SegmentError> {
        let mut ahead = Ahead::default();
        for segment in &segments {
            let index = Index::open(segment)?;
            ahead.rows += index.rows();
            let counts = index.table().name_counts();
            counts.for_each(|(name, count)| *ahead.labels.entry(name.to_owned()).or_default() += count);
        }
        Ok(Ahead { segments, ..ahead })
    }
}

/// One input, read a few pages at a time, and of a run segment by segment.
struct Source<'s, 'a> {
    position: Option<usize>,
    ahead: Ahead,
    index: Index,
    fetched: Fetched,
    entries: Vec<StreamEntry>,
    chunks: VecDeque<Chunk>,
    columns: EntryColumns,
    /// The run being read, and the row it stands at.
    run: usize,
    row: usize,
    erases: &'s EraseEntries<'a>,
    /// What is left out of the stream it stands at, and which stream that is.
    erase: Option<EraseEntry<'a>>,
    erase_of: Option<u32>,
}

fn open_segment(segment: &Bytes) -> Result<(Index, Vec<StreamEntry>), SegmentError> {
    let index = Index::open(segment)?;
    let entries = index.all();
    let ascend = entries.windows(2).all(|pair| compare_streams(pair[0].labels.encoded(), pair[1].labels.encoded()).is_lt());
    if ascend { Ok((index, entries)) } else { Err(SegmentError::corrupt("streams are not in segment order")) }
}

impl<'s, 'a> Source<'s, 'a> {
    fn open(mut input: Input, erases: &'s EraseEntries<'a>) -> Result<Source<'s, 'a>, SegmentError> {
        let first = input.segments.pop_front().expect("an input has a segment");
        let (index, entries) = open_segment(&first).map_err(|error| at_input(input.position, error))?;
        let mut source = Source {
            position: input.position,
            ahead: Ahead::of(input.segments)?,
            chunks: index.batches(&entries, BATCH_BYTES).into(),
            fetched: Fetched::whole(first),
            index,
            entries,
            columns: EntryColumns::default(),
            run: 0,
            row: 0,
            erases,
            erase: None,
            erase_of: None,
        };
        source.refill()?;
        Ok(source)
    }

    /// Opens the next segment of a run; `false`: there is none.
    fn open_next(&mut self) -> Result<bool, SegmentError> {
        // What was read goes before the next comes.
        (self.fetched, self.columns) = (Fetched::default(), EntryColumns::default());
        let Some(segment) = self.ahead.segments.pop_front() else { return Ok(false) };
        (self.index, self.entries) = open_segment(&segment)?;
        (self.chunks, self.fetched) = (self.index.batches(&self.entries, BATCH_BYTES).into(), Fetched::whole(segment));
        Ok(true)
    }

    /// Moves on to the next run of rows, decoding the next pages where needed.
    fn refill(&mut self) -> Result<(), SegmentError> {
        loop {
            match self.columns.runs.get(self.run) {
                Some((_, rows)) if self.row < rows.end as usize => break,
                Some(_) => self.run += 1,
                None => {
                    let Some(chunk) = self.chunks.pop_front() else {
                        if self.open_next()? {
                            continue;
                        }
                        break;
                    };
                    // The old batch goes before the new one comes.
                    self.columns = EntryColumns::default();
                    let columns = self.index.decode(&chunk, Projection::ALL, &self.fetched);
                    self.columns = columns.map_err(|error| at_input(self.position, error))?;
                    self.run = 0;
                }
            }
            self.row = self.columns.runs.get(self.run).map_or(0, |(_, rows)| rows.start as usize);
        }
        let stream = self.columns.runs.get(self.run).map(|(stream, _)| *stream);
        if let Some((stream, position)) = stream.zip(self.position)
            && self.erase_of != Some(stream)
        {
            self.erase = (self.erases)(position, &self.entries[stream as usize].labels);
            self.erase_of = Some(stream);
        }
        Ok(())
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

    /// Takes the rows of this run with a time before `until`, at least one row.
    fn take_until(&mut self, until: Option<i64>) -> Range<usize> {
        let end = self.columns.runs[self.run].1.end as usize;
        let times = &self.columns.timestamps[self.row..end];
        let taken = until.map_or(times.len(), |until| times.partition_point(|time| *time < until)).max(1);
        let rows = self.row..self.row + taken;
        self.row = rows.end;
        rows
    }
}
