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

use super::rows::{MetadataSets, Run, filtered};
use super::{Decoded, LogScan};
use crate::EngineError;
use crate::cache::Cache;
use crate::context::QueryContext;
use crate::limits::PIECES_IN_FLIGHT;

/// Rows of a run that are filtered before the limit is looked at again.
const ROWS_PER_LOOK: usize = 4096;

/// What is asked for, as the threads that work on pieces share it.
struct Ask {
    pipeline: Pipeline,
    newest_first: bool,
    limit: usize,
    interval_ns: i64,
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
    let ask = Arc::new(Ask { pipeline, newest_first, limit, interval_ns });
    let mut walk = Walk { newest_first, limit, interval_ns, ..Walk::default() };
    let (mut next, mut wave) = (0, 1);
    while next < scan.pieces.len() && !walk.is_full() {
        // The first piece alone is often enough; where it was not, more and more are read at a time.
        let pieces = next..(next + wave).min(scan.pieces.len());
        (next, wave) = (pieces.end, (wave * 2).min(PIECES_IN_FLIGHT));
        let bound = walk.bound();
        let work = {
            let ask = Arc::clone(&ask);
            Arc::new(move |scan: &LogScan, decoded: Decoded| ask.candidates(scan, &decoded, bound))
        };
        let found: Vec<Option<Vec<Candidate>>> =
            scan.run(context, pieces, |_| Projection::ALL, work, workers).try_collect().await?;
        walk.pending.extend(found.into_iter().flatten().flatten());
        let following = scan.pieces.get(next).map(|piece| piece.chunk.range);
        walk.settle(following);
    }
    Ok(streams(walk.settled))
}

impl Ask {
    /// Returns the entries of a piece that pass; of many only those that may be among the first `limit`. `bound`: times beyond it
    /// cannot be.
    fn candidates(&self, scan: &LogScan, decoded: &Decoded, bound: Option<i64>) -> Result<Vec<Candidate>, EngineError> {
        let mut worker = Worker {
            ask: self,
            scan,
            decoded,
            best: BinaryHeap::new(),
            bound,
            out: Vec::new(),
            scratch: Scratch::default(),
            sets: MetadataSets::default(),
        };
        for run in scan.runs(decoded)? {
            worker.run(&run)?;
        }
        let Worker { mut out, bound, .. } = worker;
        out.retain(|candidate| !self.is_beyond(candidate.entry.timestamp, bound));
        Ok(out)
    }

    /// Returns a time as a number that is the smaller the earlier its entry comes.
    fn rank(&self, timestamp: i64) -> i64 {
        if self.newest_first { !timestamp } else { timestamp }
    }

    fn is_beyond(&self, timestamp: i64, bound: Option<i64>) -> bool {
        bound.is_some_and(|bound| self.rank(timestamp) > self.rank(bound))
    }
}

/// Works on one piece.
struct Worker<'a> {
    ask: &'a Ask,
    scan: &'a LogScan,
    decoded: &'a Decoded,
    /// The ranks of the best `limit` entries so far that count for sure.
    best: BinaryHeap<i64>,
    /// The time of the worst of them, once they are so many.
    bound: Option<i64>,
    out: Vec<Candidate>,
    scratch: Scratch,
    sets: MetadataSets,
}

impl Worker<'_> {
    fn run(&mut self, run: &Run) -> Result<(), EngineError> {
        let timestamps = &self.decoded.columns.timestamps;
        let mut rest = run.rows.clone();
        let mut picked = Vec::new();
        while rest.start < rest.end {
            let look = match self.ask.newest_first {
                true => rest.end.saturating_sub(ROWS_PER_LOOK).max(rest.start)..rest.end,
                false => rest.start..(rest.start + ROWS_PER_LOOK).min(rest.end),
            };
            let nearest = if self.ask.newest_first { look.end - 1 } else { look.start };
            if self.ask.is_beyond(timestamps[nearest], self.bound) {
                break;
            }
            match self.ask.newest_first {
                true => rest.end = look.start,
                false => rest.start = look.end,
            }
            picked.clear();
            filtered(&self.ask.pipeline, &self.decoded.columns, look, &mut picked);
            if self.ask.newest_first {
                picked.reverse();
            }
            for row in &picked {
                if self.ask.is_beyond(timestamps[*row as usize], self.bound) {
                    return Ok(());
                }
                self.entry(run, *row as usize)?;
            }
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
            self.best.push(self.ask.rank(timestamp));
            if self.best.len() > self.ask.limit {
                self.best.pop();
            }
            if self.best.len() == self.ask.limit {
                let worst = self.best.peek().map(|rank| self.ask.rank(*rank));
                self.bound = match self.bound {
                    Some(bound) if worst.is_some_and(|worst| self.ask.rank(worst) > self.ask.rank(bound)) => Some(bound),
                    _ => worst,
                };
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
