//! Entries of the streams a selector selects: which segments and row groups are opened, and which of their rows are looked at.
//!
//! Owns: the scan as pieces of work, and what stands in more than one segment (W3). Does not own: the walk of a log query
//! ([`query`]), what a range aggregation makes of entries ([`windows`]), what stages do (`plan::pipeline`).
//!
//! ```text
//! parts ─ prune ─▶ tails ─ select ─▶ streams ─ token filters ─▶ pieces ─ fetch ─▶ templates, times, variables ─▶ rows ─ decode ─▶ stages
//! ```

mod counted;
mod known;
pub(crate) mod query;
mod rows;
pub(crate) mod spans;
mod wanted;
pub(crate) mod windows;

use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{Stream, StreamExt, stream};
use hashbrown::{HashMap, HashSet};
use manifest::Part;
use model::series::stable_hash;
use model::{ErrorKind, LabelSet, Signal, TimeRangeNs, TimestampNs};
use plan::logical::LogSelect;
use plan::pipeline::Pipeline;
use plan::pipeline::excerpt::Excerpt;
use plan::pipeline::sieve::Sieve;
use segment::logs::{Chunk, EntryColumns, Index, Projection, StreamEntry};
use tokio::sync::Semaphore;
use wanted::{Need, WantedRows};

use crate::EngineError;
use crate::cache::Cache;
use crate::context::QueryContext;
use crate::fetch::{Erasure, OpenPart, Want, open_parts, prune, read_ranges, warn_corrupt};
use crate::limits::PIECES_IN_FLIGHT;

/// What a selector reads, cut into pieces. Streams are numbered in the order in which Loki merges them ([`stable_hash`]).
#[derive(Debug)]
pub(crate) struct LogScan {
    parts: Vec<LogPart>,
    streams: Vec<LabelSet>,
    /// Per stream, the times that more than one part may have entries of: only there an entry may be met twice.
    shared: Vec<Vec<TimeRangeNs>>,
    /// In the order of parts, and of row groups within each.
    pub(crate) pieces: Vec<Piece>,
    pub(crate) range: TimeRangeNs,
    /// The line filters in front: rows whose lines do not pass are not decoded.
    sieve: Option<Arc<Sieve>>,
    /// Two hash functions, for contents that must not be taken for one another.
    hashers: (RandomState, RandomState),
}

#[derive(Debug)]
struct LogPart {
    open: OpenPart<Index>,
    /// Those selected.
    streams: Vec<LogStream>,
}

/// A stream in a part.
#[derive(Debug)]
struct LogStream {
    number: u32,
    /// What deletions leave out.
    erasures: Vec<Erasure>,
    entry: StreamEntry,
}

/// Rows of one row group.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    part: u32,
    pub(crate) chunk: Chunk,
    /// Whether lines and metadata are needed to tell if an entry counts: it may stand in another part as well, or the filter of a
    /// deletion asks for them.
    doubtful: bool,
}

/// A piece, decoded.
pub(crate) struct Decoded {
    pub(crate) piece: usize,
    pub(crate) columns: EntryColumns,
}

/// What is made of pieces.
pub(crate) trait Work: Send + Sync + 'static {
    /// What becomes of one.
    type Output: Send + 'static;

    /// Returns the columns a piece is read by.
    fn projection(&self, scan: &LogScan, piece: &Piece) -> Projection;

    /// Returns what is asked for beside the filters.
    fn need(&self) -> Need {
        Need::default()
    }

    /// Returns what leaves out of lines what is not looked at.
    fn excerpt(&self) -> Option<Excerpt<'_>> {
        None
    }

    /// Works on a piece.
    fn run(&self, scan: &LogScan, decoded: &Decoded) -> Result<Self::Output, EngineError>;
}

impl LogScan {
    /// Opens tails and plans pieces; no entry is read.
    pub(crate) async fn open(
        context: &QueryContext,
        cache: &Cache<Index>,
        parts: &[Part],
        select: &LogSelect,
        range: TimeRangeNs,
        pipeline: &Pipeline,
    ) -> Result<LogScan, EngineError> {
        let mut parts = prune(context, Signal::Logs, parts, &select.matchers, range.cover_ms());
        // Arrival: what was merged came before what was not. Entries of one time keep this order.
        parts.sort_by_key(|part| (std::cmp::Reverse(part.level), part.minted_at, part.id));
        let literals = pipeline.required_literals();
        let mut selected = Vec::new();
        for open in open_parts(context, cache, parts, Want::Rows).await? {
            let mut entries = open.index.select(&select.matchers, range);
            entries.retain(|entry| !open.erases(&entry.labels, entry.range.cover_ms(), range.cover_ms()));
            context.count_series(entries.len() as u64)?;
            if !entries.is_empty() {
                selected.push((open, entries));
            }
        }
        let streams = numbered(&selected);
        let shared = shared(&selected, &streams);
        let hashers = (RandomState::new(), RandomState::new());
        let (parts, pieces) = (Vec::new(), Vec::new());
        let mut scan = LogScan { parts, streams: Vec::new(), shared, pieces, range, sieve: None, hashers };
        for (open, entries) in selected {
            let chunks = chunks(context, &open.index, &entries, range, &literals);
            let stream = |entry: StreamEntry| {
                let (number, erasures) = (streams[&entry.labels], open.erasures(context, &entry.labels));
                LogStream { number, erasures, entry }
            };
            let part = LogPart { streams: entries.into_iter().map(stream).collect(), open };
            for chunk in chunks {
                scan.add(&part, chunk);
            }
            scan.parts.push(part);
        }
        let mut labels: Vec<(u32, LabelSet)> = streams.into_iter().map(|(labels, number)| (number, labels)).collect();
        labels.sort_unstable_by_key(|(number, _)| *number);
        scan.streams = labels.into_iter().map(|(_, labels)| labels).collect();
        scan.sieve = if scan.pieces.is_empty() { None } else { pipeline.sieve().map(Arc::new) };
        Ok(scan)
    }

    /// Adds a chunk, the runs apart whose entries may not count.
    fn add(&mut self, part: &LogPart, chunk: Chunk) {
        let is_doubtful = |run: &u32| self.is_doubtful(&part.streams[*run as usize]);
        let (doubtful, certain): (Vec<_>, Vec<_>) = chunk.runs.iter().cloned().partition(|(run, _)| is_doubtful(run));
        for (doubtful, runs) in [(false, certain), (true, doubtful)] {
            if !runs.is_empty() {
                self.pieces.push(Piece { part: self.parts.len() as u32, chunk: Chunk { runs, ..chunk.clone() }, doubtful });
            }
        }
    }

    /// Reports whether lines and metadata tell if an entry of a stream counts.
    fn is_doubtful(&self, stream: &LogStream) -> bool {
        let is_shared = self.shared[stream.number as usize].iter().any(|range| range.overlaps(stream.entry.range));
        is_shared || stream.erasures.iter().any(|erasure| erasure.filter.is_some())
    }

    /// Reports whether every entry of a stream counts: none is deleted, and none may stand in another part as well.
    fn is_certain_stream(&self, stream: &LogStream) -> bool {
        stream.erasures.is_empty() && !self.is_doubtful(stream)
    }

    pub(crate) fn labels(&self, stream: u32) -> &LabelSet {
        &self.streams[stream as usize]
    }

    /// Iterates over the streams of a piece.
    pub(crate) fn streams_of<'s>(&'s self, piece: &'s Piece) -> impl Iterator<Item = u32> + 's {
        let part = &self.parts[piece.part as usize];
        piece.chunk.runs.iter().map(|(of, _)| part.streams[*of as usize].number)
    }

    /// Reports whether every row of a piece counts: none is deleted, and none may stand in another part as well.
    fn is_certain(&self, piece: &Piece) -> bool {
        let streams = &self.parts[piece.part as usize].streams;
        !piece.doubtful && piece.chunk.runs.iter().all(|(of, _)| streams[*of as usize].erasures.is_empty())
    }

    /// Reports whether an entry of this time may be met again in another part.
    fn is_shared(&self, piece: &Piece, stream: u32, timestamp: i64) -> bool {
        piece.doubtful && self.shared[stream as usize].iter().any(|range| range.contains(TimestampNs(timestamp)))
    }

    /// Fetches pieces, in the order of `order`, and has each decoded and worked on by a thread that may be busy; `workers` at a time.
    /// Results come in the same order. A corrupt segment is named in a warning and left out.
    pub(crate) fn run<'s, W: Work>(
        self: &'s Arc<LogScan>,
        context: &'s Arc<QueryContext>,
        order: impl IntoIterator<Item = usize>,
        work: &Arc<W>,
        workers: usize,
    ) -> impl Stream<Item = Result<Option<W::Output>, EngineError>> + Send + 's {
        // Futures first, then the stream: a closure inside a stream is not general enough over lifetimes.
        let turns = Arc::new(Semaphore::new(workers.max(1)));
        let read = |index: usize| self.piece(context, index, Arc::clone(work), Arc::clone(&turns));
        let reads: Vec<_> = order.into_iter().map(read).collect();
        stream::iter(reads).buffered(PIECES_IN_FLIGHT.min(context.fetches_in_flight).max(1))
    }

    async fn piece<W: Work>(
        self: &Arc<LogScan>,
        context: &Arc<QueryContext>,
        index: usize,
        work: Arc<W>,
        turns: Arc<Semaphore>,
    ) -> Result<Option<W::Output>, EngineError> {
        let (piece, scan) = (&self.pieces[index], Arc::clone(self));
        let part = &self.parts[piece.part as usize].open;
        let projection = work.projection(self, piece);
        // What is read of lines is known once some is read, and a second round of requests would cost more.
        let reached = Projection { lines: projection.lines || self.sieve.is_some(), ..projection };
        let fetched = read_ranges(context, part, part.index.plan_ranges(&piece.chunk, reached)).await?;
        let _turn = turns.acquire().await.map_err(|error| EngineError::Internal(error.to_string()))?;
        let context_of_work = Arc::clone(context);
        let busy = tokio::task::spawn_blocking(move || {
            if context_of_work.stop.load(Ordering::Relaxed) {
                return Ok(Err(EngineError::Cancelled));
            }
            let piece = &scan.pieces[index];
            let rows: u64 = piece.chunk.runs.iter().map(|(_, rows)| rows.end - rows.start).sum();
            let mut wanted = WantedRows::new(&scan, piece, work.need(), work.excerpt());
            let segment = &scan.parts[piece.part as usize].open.index;
            let columns = segment.decode_wanted(&piece.chunk, projection, &mut wanted, &fetched)?;
            let (lines, line_bytes) = (columns.lines.len() as u64, columns.lines.bytes_len() as u64);
            context_of_work.counters.entries.fetch_add(rows, Ordering::Relaxed);
            context_of_work.counters.lines.fetch_add(lines, Ordering::Relaxed);
            context_of_work.counters.line_bytes.fetch_add(line_bytes, Ordering::Relaxed);
            context_of_work.count_samples(rows);
            Ok(work.run(&scan, &Decoded { piece: index, columns }))
        });
        match busy.await.map_err(|error| EngineError::Internal(error.to_string()))? {
            Ok(result) => result.map(Some),
            Err(error) if ErrorKind::Corrupt == segment::SegmentError::kind(&error) => {
                warn_corrupt(context, &part.part, &error);
                Ok(None)
            }
            Err(error) => Err(EngineError::Internal(error.to_string())),
        }
    }

    /// Describes the scan as one line of a plan.
    pub(crate) fn explain(&self, context: &QueryContext) -> String {
        let stats = context.stats(crate::StageTimes::default());
        let rows: u64 = self.pieces.iter().flat_map(|piece| &piece.chunk.runs).map(|(_, rows)| rows.end - rows.start).sum();
        format!(
            "segments={} pruned={} opened={} streams={} row_groups={} pruned_groups={} rows={rows}",
            stats.segments_total,
            stats.segments_pruned,
            self.parts.len(),
            self.streams.len(),
            stats.row_groups,
            stats.row_groups_pruned,
        )
    }
}

type Selected = [(OpenPart<Index>, Vec<StreamEntry>)];

/// Numbers the streams of all parts in the order of their hashes.
fn numbered(selected: &Selected) -> HashMap<LabelSet, u32> {
    let mut labels: Vec<&LabelSet> = selected.iter().flat_map(|(_, entries)| entries).map(|entry| &entry.labels).collect();
    labels.sort_unstable();
    labels.dedup();
    labels.sort_by_cached_key(|labels| stable_hash(labels));
    labels.into_iter().zip(0..).map(|(labels, number)| (labels.clone(), number)).collect()
}

/// Finds, per stream, the times that more than one part covers.
fn shared(selected: &Selected, streams: &HashMap<LabelSet, u32>) -> Vec<Vec<TimeRangeNs>> {
    let mut covers: Vec<Vec<TimeRangeNs>> = vec![Vec::new(); streams.len()];
    for entry in selected.iter().flat_map(|(_, entries)| entries) {
        covers[streams[&entry.labels] as usize].push(entry.range);
    }
    covers.into_iter().map(covered_twice).collect()
}

/// Returns the times that lie in at least two of `ranges`.
fn covered_twice(mut ranges: Vec<TimeRangeNs>) -> Vec<TimeRangeNs> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut twice: Vec<TimeRangeNs> = Vec::new();
    let mut reached: Option<TimestampNs> = None;
    for range in ranges {
        if let Some(end) = reached.filter(|end| range.start < *end) {
            let end = end.min(range.end);
            match twice.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(end),
                _ => twice.push(TimeRangeNs { start: range.start, end }),
            }
        }
        reached = Some(reached.map_or(range.end, |end| end.max(range.end)));
    }
    twice
}

/// Cuts a selection into chunks, in segment order, without the row groups that cannot have a line with the literals: one of each
/// list must be there.
fn chunks(
    context: &QueryContext,
    index: &Index,
    entries: &[StreamEntry],
    range: TimeRangeNs,
    literals: &[Vec<Vec<u8>>],
) -> Vec<Chunk> {
    let mut chunks = index.chunks(entries, range, &[]);
    chunks.sort_by_key(|chunk| chunk.row_group);
    let all = chunks.len();
    for any in literals {
        let may_have = |literal: &Vec<u8>| index.chunks(entries, range, &[literal.as_slice()]);
        let groups: HashSet<u32> = any.iter().flat_map(may_have).map(|chunk| chunk.row_group).collect();
        chunks.retain(|chunk| groups.contains(&chunk.row_group));
    }
    context.counters.row_groups.fetch_add(all as u64, Ordering::Relaxed);
    context.counters.row_groups_pruned.fetch_add((all - chunks.len()) as u64, Ordering::Relaxed);
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_covered_twice_are_found() {
        let range = |start, end| TimeRangeNs::new(TimestampNs(start), TimestampNs(end));
        let twice = |ranges: &[(i64, i64)]| -> Vec<(i64, i64)> {
            let found = covered_twice(ranges.iter().map(|(start, end)| range(*start, *end)).collect());
            found.into_iter().map(|range| (range.start.0, range.end.0)).collect()
        };
        assert_eq!(twice(&[(0, 10)]), []);
        assert_eq!(twice(&[(0, 10), (10, 20)]), []);
        assert_eq!(twice(&[(0, 10), (9, 20), (30, 40)]), [(9, 10)]);
        assert_eq!(twice(&[(0, 100), (10, 20), (15, 30), (90, 120)]), [(10, 30), (90, 100)]);
        assert_eq!(twice(&[(5, 6), (5, 6), (5, 6)]), [(5, 6)]);
    }
}
