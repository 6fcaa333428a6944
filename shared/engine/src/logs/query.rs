//! Log queries: entries newest or oldest first over all segments, until the limit is reached.
//!
//! Owns: the order of the walk, when it may end, and the order of what it returns: by time, then stream (by hash, as in Loki), then as
//! they arrived, or the other way round where the newest come first. Does not own: what stages do to an entry (`plan::pipeline`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use futures::TryStreamExt;
use hashbrown::HashSet;
use manifest::Part;
use model::{LabelSet, TimeRangeNs, TimestampNs};
use plan::logical::LogQuery;
use plan::pipeline::{Category, Input, Outcome, Pipeline, Scratch};
use plan::value::Entry;
use plan::{Grid, StreamEntries};
use segment::logs::{Index, Projection};

use super::rows::{MetadataSets, Run};
use super::wanted::Need;
use super::{Decoded, LogScan, Piece, Work};
use crate::EngineError;
use crate::cache::Cache;
use crate::context::QueryContext;
use crate::limits::PIECES_IN_FLIGHT;

/// What is asked for, as the threads that work on pieces share it.
struct Ask {
    pipeline: Pipeline,
    limit: usize,
    interval_ns: i64,
}

/// What is asked of some pieces.
struct Wave {
    ask: Arc<Ask>,
    need: Need,
}

impl Work for Wave {
    type Output = Vec<Candidate>;

    fn projection(&self, _: &LogScan, _: &Piece) -> Projection {
        Projection::ALL
    }

    fn need(&self) -> Need {
        self.need
    }

    fn run(&self, scan: &LogScan, decoded: &Decoded) -> Result<Vec<Candidate>, EngineError> {
        self.ask.candidates(scan, decoded, self.need)
    }
}

/// An entry that passed.
struct Candidate {
    /// Where it stands among those of its time: stream, part, row.
    place: (u32, u32, usize),
    /// Where another part may have it as well.
    content: Option<(u64, u64)>,
    labels: LabelSet,
    entry: Entry,
}

/// Opens the scan of a log query and puts its pieces into the order of the walk.
pub(crate) async fn open(
    context: &QueryContext,
    cache: &Cache<Index>,
    parts: &[Part],
    query: &LogQuery,
    grid: Grid,
) -> Result<(LogScan, Pipeline), EngineError> {
    let pipeline = Pipeline::compile(&query.select.stages).map_err(|error| EngineError::Evaluation(error.to_string()))?;
    let range = TimeRangeNs::new(TimestampNs(grid.start), TimestampNs(grid.end.max(grid.start)));
    let mut scan = LogScan::open(context, cache, parts, &query.select, range, &pipeline).await?;
    match query.newest_first {
        true => scan.pieces.sort_by_key(|piece| Reverse(piece.chunk.range.end)),
        false => scan.pieces.sort_by_key(|piece| piece.chunk.range.start),
    }
    Ok((scan, pipeline))
}

/// Answers a log query: at most `limit` lines over all streams.
pub(crate) async fn query(
    context: &Arc<QueryContext>,
    cache: &Cache<Index>,
    parts: &[Part],
    query: &LogQuery,
    grid: Grid,
    workers: usize,
) -> Result<Vec<StreamEntries>, EngineError> {
    if query.limit > context.limits.log_queries.lines_max {
        let (value, limit) = (query.limit as u64, context.limits.log_queries.lines_max as u64);
        return Err(EngineError::Limit { what: "log lines", value, limit });
    }
    let (scan, pipeline) = open(context, cache, parts, query, grid).await?;
    let scan = Arc::new(scan);
    let LogQuery { newest_first, limit, interval_ns, .. } = *query;
    let exact = interval_ns == 0 && pipeline.keeps_all();
    let ask = Arc::new(Ask { pipeline, limit, interval_ns });
    let mut walk = Walk { newest_first, limit, interval_ns, ..Walk::default() };
    let (mut next, mut wave) = (0, 1);
    while next < scan.pieces.len() && !walk.is_full() {
        // The first piece alone is often enough; where it was not, more and more are read at a time.
        let pieces = next..(next + wave).min(scan.pieces.len());
        (next, wave) = (pieces.end, (wave * 2).min(PIECES_IN_FLIGHT));
        let need = Need { newest_first, limit: exact.then_some(limit), bound: walk.bound() };
        let work = Arc::new(Wave { ask: Arc::clone(&ask), need });
        let found: Vec<Option<Vec<Candidate>>> = scan.run(context, pieces, &work, workers).try_collect().await?;
        walk.pending.extend(found.into_iter().flatten().flatten());
        let following = scan.pieces.get(next).map(|piece| piece.chunk.range);
        walk.settle(following);
    }
    Ok(streams(walk.settled))
}

impl Ask {
    /// Returns the entries of a piece that pass; of many only those that may be among the first `limit`.
    fn candidates(&self, scan: &LogScan, decoded: &Decoded, need: Need) -> Result<Vec<Candidate>, EngineError> {
        let mut worker = Worker {
            ask: self,
            scan,
            decoded,
            best: BinaryHeap::new(),
            need,
            out: Vec::new(),
            scratch: Scratch::default(),
            sets: MetadataSets::default(),
        };
        for run in scan.runs(decoded)? {
            worker.run(&run)?;
        }
        let Worker { mut out, need, .. } = worker;
        out.retain(|candidate| !need.is_beyond(candidate.entry.timestamp));
        Ok(out)
    }
}

/// Works on one piece.
struct Worker<'a> {
    ask: &'a Ask,
    scan: &'a LogScan,
    decoded: &'a Decoded,
    /// The ranks of the best `limit` entries so far that count for sure.
    best: BinaryHeap<i64>,
    /// Its bound is the time of the worst of them, once they are so many.
    need: Need,
    out: Vec<Candidate>,
    scratch: Scratch,
    sets: MetadataSets,
}

impl Worker<'_> {
    fn run(&mut self, run: &Run) -> Result<(), EngineError> {
        let rows = run.rows.clone();
        for nth in 0..rows.len() {
            let row = if self.need.newest_first { rows.end - 1 - nth } else { rows.start + nth };
            if self.need.is_beyond(self.decoded.columns.timestamps[row]) {
                break;
            }
            self.entry(run, row)?;
        }
        Ok(())
    }

    fn entry(&mut self, run: &Run, row: usize) -> Result<(), EngineError> {
        let columns = &self.decoded.columns;
        let (timestamp, line) = (columns.timestamps[row], columns.lines.get(row));
        let metadata = self.sets.get(columns, row)?;
        let entry = Input { timestamp_ns: timestamp, line, stream: self.scan.labels(run.stream), metadata: &metadata };
        let Outcome::Keep { line, labels } = self.ask.pipeline.process_filtered(&mut self.scratch, entry, true) else {
            return Ok(());
        };
        let content = self.scan.content(self.decoded, run, row);
        let (metadata, parsed) = (labels.of(Category::Metadata), labels.of(Category::Parsed));
        let place = (run.stream, self.scan.piece_of(self.decoded).part, row);
        let entry = Entry { timestamp, line: line.into_owned(), metadata, parsed };
        self.out.push(Candidate { place, content, labels: labels.merged(), entry });
        // An entry that may be met again, or be too near to another one, does not count for sure.
        if content.is_none() && self.ask.interval_ns == 0 {
            self.best.push(self.need.rank(timestamp));
            if self.best.len() > self.ask.limit {
                self.best.pop();
            }
            if self.best.len() == self.ask.limit {
                let worst = self.best.peek().map(|rank| self.need.rank(*rank));
                // The bound only ever comes nearer.
                if worst.is_some_and(|worst| !self.need.is_beyond(worst)) {
                    self.need.bound = worst;
                }
            }
        }
        Ok(())
    }
}

/// The walk over the pieces: what is certain, and what a later piece may still come between.
#[derive(Default)]
struct Walk {
    newest_first: bool,
    limit: usize,
    interval_ns: i64,
    pending: Vec<Candidate>,
    settled: Vec<(LabelSet, Entry)>,
    /// Time of the entry settled last.
    last: Option<i64>,
}

impl Walk {
    fn is_full(&self) -> bool {
        self.settled.len() >= self.limit
    }

    /// Returns the time beyond which no further entry can be among the first `limit`.
    fn bound(&self) -> Option<i64> {
        let certain = self.interval_ns == 0 && self.pending.iter().all(|candidate| candidate.content.is_none());
        let missing = self.limit.saturating_sub(self.settled.len());
        let last = missing.checked_sub(1).and_then(|last| self.pending.get(last));
        last.filter(|_| certain).map(|candidate| candidate.entry.timestamp)
    }

    /// Settles the entries that come before everything in `following`, the cover of the next piece and so of all later ones.
    fn settle(&mut self, following: Option<TimeRangeNs>) {
        let newest_first = self.newest_first;
        self.pending.sort_by_key(|candidate| (candidate.entry.timestamp, candidate.place));
        // Of an entry in several parts the one that arrived first stays.
        let mut seen = HashSet::new();
        self.pending.retain(|candidate| {
            candidate.content.is_none_or(|content| seen.insert((candidate.entry.timestamp, candidate.place.0, content)))
        });
        if newest_first {
            let newest = |candidate: &Candidate| {
                let (stream, part, row) = candidate.place;
                (Reverse(candidate.entry.timestamp), stream, Reverse((part, row)))
            };
            self.pending.sort_by_key(newest);
        }
        let certain = self.pending.partition_point(|candidate| {
            let timestamp = candidate.entry.timestamp;
            following.is_none_or(|next| if newest_first { timestamp >= next.end.0 } else { timestamp < next.start.0 })
        });
        for Candidate { labels, entry, .. } in self.pending.drain(..certain) {
            let far = |last: i64| entry.timestamp.abs_diff(last) >= self.interval_ns.unsigned_abs();
            if self.settled.len() < self.limit && (self.interval_ns == 0 || self.last.is_none_or(far)) {
                self.last = Some(entry.timestamp);
                self.settled.push((labels, entry));
            }
        }
        if let Some(bound) = self.bound() {
            let beyond = |timestamp: i64| if newest_first { timestamp < bound } else { timestamp > bound };
            self.pending.retain(|candidate| !beyond(candidate.entry.timestamp));
        }
    }
}

/// Tells entries apart by their labels; streams in the order of their labels' text, as Loki has them.
pub(crate) fn streams(entries: Vec<(LabelSet, Entry)>) -> Vec<StreamEntries> {
    let mut streams: BTreeMap<String, StreamEntries> = BTreeMap::new();
    for (labels, entry) in entries {
        let stream = streams.entry(labels.to_string());
        stream.or_insert_with(|| StreamEntries { labels, entries: Vec::new() }).entries.push(entry);
    }
    streams.into_values().collect()
}
