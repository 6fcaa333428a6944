//! Entries of the streams a selector selects: newest or oldest first, chunk by chunk, with an early stop.
//!
//! Owns: which chunks are read, and in which order. Does not own: what stages do to an entry (`plan::pipeline`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::{HashMap, HashSet};
use manifest::Part;
use model::{ErrorKind, LabelSet, Signal, TimeRangeNs, TimestampMs, TimestampNs};
use plan::logical::{LogQuery, LogSelect};
use plan::pipeline::{Category, Outcome, Pipeline, Scratch};
use plan::value::Entry;
use plan::{Grid, StreamEntries};
use segment::logs::{Chunk, EntryColumns, Index, Projection, StreamEntry};

use crate::EngineError;
use crate::cache::Cache;
use crate::context::QueryContext;
use crate::fetch::{OpenPart, open_parts, prune, read_ranges, warn_corrupt};

/// The chunks of a selector over all segments.
pub(crate) struct LogScan {
    parts: Vec<(OpenPart<Index>, Vec<StreamEntry>)>,
    /// Part and chunk.
    chunks: Vec<(usize, Chunk)>,
    range: TimeRangeNs,
}

/// One stored entry, seen once however many segments hold it.
pub(crate) struct Stored<'a> {
    pub(crate) timestamp: i64,
    pub(crate) line: &'a [u8],
    pub(crate) stream: &'a LabelSet,
    pub(crate) metadata: &'a LabelSet,
}

impl LogScan {
    /// Opens tails and plans chunks; no entry is read.
    pub(crate) async fn open(
        context: &QueryContext,
        cache: &Cache<Index>,
        parts: &[Part],
        select: &LogSelect,
        range: TimeRangeNs,
        pipeline: &Pipeline,
    ) -> Result<LogScan, EngineError> {
        let pruned = prune(Signal::Logs, parts, &select.matchers, range.cover_ms());
        let literals = pipeline.required_literals();
        // Of alternatives any one may be there: only single literals prune.
        let needles: Vec<&[u8]> = literals.iter().filter(|any| any.len() == 1).map(|any| any[0]).collect();
        let mut opened = Vec::new();
        let mut chunks = Vec::new();
        for part in open_parts(context, cache, pruned).await? {
            let entries = part.index.select(&select.matchers, range);
            context.count_series(entries.len() as u64)?;
            let part_chunks = part.index.chunks(&entries, range, &needles);
            chunks.extend(part_chunks.into_iter().map(|chunk| (opened.len(), chunk)));
            opened.push((part, entries));
        }
        Ok(LogScan { parts: opened, chunks, range })
    }

    fn order(&mut self, newest_first: bool) {
        match newest_first {
            true => self.chunks.sort_by_key(|(part, chunk)| (std::cmp::Reverse(chunk.range.end), *part, chunk.row_group)),
            false => self.chunks.sort_by_key(|(part, chunk)| (chunk.range.start, *part, chunk.row_group)),
        }
    }

    /// Calls `each` with every entry inside the range of one chunk.
    async fn read(
        &self,
        context: &QueryContext,
        chunk: &(usize, Chunk),
        seen: &mut Seen,
        each: &mut (dyn FnMut(Stored<'_>) -> Result<(), EngineError> + Send),
    ) -> Result<(), EngineError> {
        let (part, streams) = &self.parts[chunk.0];
        let fetched = read_ranges(context, part, part.index.plan_ranges(&chunk.1, Projection::ALL)).await?;
        let columns = match part.index.decode(&chunk.1, Projection::ALL, &fetched) {
            Ok(columns) => columns,
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                warn_corrupt(context, &part.part, &error);
                return Ok(());
            }
            Err(error) => return Err(EngineError::Internal(error.to_string())),
        };
        self.pass(context, (part, streams), &columns, seen, each)
    }

    fn pass(
        &self,
        context: &QueryContext,
        (part, streams): (&OpenPart<Index>, &[StreamEntry]),
        columns: &EntryColumns,
        seen: &mut Seen,
        each: &mut (dyn FnMut(Stored<'_>) -> Result<(), EngineError> + Send),
    ) -> Result<(), EngineError> {
        let several = self.parts.len() > 1;
        let empty = LabelSet::empty();
        let (mut entries, mut line_bytes) = (0, 0);
        for (stream, rows) in &columns.runs {
            let labels = &streams[*stream as usize].labels;
            let erased = part.erased_ms(labels);
            for row in rows.start as usize..rows.end as usize {
                let timestamp = columns.timestamps[row];
                if timestamp < self.range.start.0 || timestamp >= self.range.end.0 {
                    continue;
                }
                let at = TimestampMs(timestamp.div_euclid(1_000_000));
                if erased.iter().any(|gone| gone.start <= at && at < gone.end) {
                    continue;
                }
                let (line, encoded) = (columns.lines.get(row), columns.metadata.get(row));
                if several && !seen.first(labels, timestamp, line, encoded) {
                    continue;
                }
                entries += 1;
                line_bytes += line.len() as u64;
                let decoded;
                let metadata = if encoded.is_empty() {
                    &empty
                } else {
                    decoded = crate::batch::label_set(encoded)?;
                    &decoded
                };
                each(Stored { timestamp, line, stream: labels, metadata })?;
            }
        }
        context.counters.entries.fetch_add(entries, Ordering::Relaxed);
        context.counters.line_bytes.fetch_add(line_bytes, Ordering::Relaxed);
        context.count_samples(entries);
        Ok(())
    }

    /// Calls `each` with every entry, in no order that matters.
    pub(crate) async fn for_each(
        &self,
        context: &QueryContext,
        each: &mut (dyn FnMut(Stored<'_>) -> Result<(), EngineError> + Send),
    ) -> Result<(), EngineError> {
        let mut seen = Seen::default();
        for chunk in &self.chunks {
            self.read(context, chunk, &mut seen, each).await?;
        }
        Ok(())
    }
}

/// Entries seen, as 128-bit hashes: an entry that two segments hold counts once (W3).
#[derive(Default)]
struct Seen {
    entries: HashSet<(i64, u64, u64)>,
    hasher: std::hash::RandomState,
}

impl Seen {
    fn first(&mut self, labels: &LabelSet, timestamp: i64, line: &[u8], metadata: &[u8]) -> bool {
        use std::hash::BuildHasher;
        let content = self.hasher.hash_one((line, metadata));
        let stream = self.hasher.hash_one((labels.encoded(), line.len()));
        self.entries.insert((timestamp, content, stream))
    }
}

/// Answers a log query: at most `limit` lines over all streams.
pub(crate) async fn query(
    context: &QueryContext,
    cache: &Arc<Cache<Index>>,
    parts: &[Part],
    query: &LogQuery,
    grid: Grid,
) -> Result<Vec<StreamEntries>, EngineError> {
    let limit = query.limit;
    if limit > context.limits.query_lines_max {
        let (value, limit) = (limit as u64, context.limits.query_lines_max as u64);
        return Err(EngineError::Limit { what: "log lines", value, limit });
    }
    let pipeline = Pipeline::compile(&query.select.stages).map_err(|error| EngineError::Evaluation(error.to_string()))?;
    let range = TimeRangeNs::new(TimestampNs(grid.start), TimestampNs(grid.end));
    let mut scan = LogScan::open(context, cache, parts, &query.select, range, &pipeline).await?;
    scan.order(query.newest_first);
    let mut found: Vec<(LabelSet, Entry)> = Vec::new();
    let mut seen = Seen::default();
    let mut scratch = Scratch::default();
    let sign = if query.newest_first { -1 } else { 1 };
    for (index, chunk) in scan.chunks.iter().enumerate() {
        scan.read(context, chunk, &mut seen, &mut |stored| {
            if let Outcome::Keep { line, labels } =
                pipeline.process(&mut scratch, stored.timestamp, stored.line, stored.stream, stored.metadata)
            {
                let (metadata, parsed) = (labels.of(Category::Metadata), labels.of(Category::Parsed));
                found.push((labels.merged(), Entry { timestamp: stored.timestamp, line: line.into_owned(), metadata, parsed }));
            }
            Ok(())
        })
        .await?;
        found.sort_by(|a, b| (a.1.timestamp * sign).cmp(&(b.1.timestamp * sign)).then_with(|| a.0.cmp(&b.0)));
        if query.interval_ns <= 0 {
            found.truncate(limit);
        }
        // Nothing later in the order can displace what is full already.
        let next = scan.chunks.get(index + 1).map(|(_, next)| &next.range);
        let done = match (found.last(), next) {
            (Some((_, last)), Some(next)) if query.newest_first => last.timestamp >= next.end.0,
            (Some((_, last)), Some(next)) => last.timestamp < next.start.0,
            _ => false,
        };
        if done && found.len() >= limit && query.interval_ns <= 0 {
            break;
        }
    }
    Ok(streams(thin(found, query.interval_ns, limit)))
}

/// Leaves out entries closer than `interval_ns` to the one kept before, per stream.
fn thin(mut found: Vec<(LabelSet, Entry)>, interval_ns: i64, limit: usize) -> Vec<(LabelSet, Entry)> {
    if interval_ns > 0 {
        let mut last: HashMap<LabelSet, i64> = HashMap::new();
        found.retain(|(labels, entry)| match last.get(labels) {
            Some(kept) if entry.timestamp.abs_diff(*kept) < interval_ns.unsigned_abs() => false,
            _ => {
                last.insert(labels.clone(), entry.timestamp);
                true
            }
        });
    }
    found.truncate(limit);
    found
}

fn streams(found: Vec<(LabelSet, Entry)>) -> Vec<StreamEntries> {
    let mut by_labels: HashMap<LabelSet, Vec<Entry>> = HashMap::new();
    for (labels, entry) in found {
        by_labels.entry(labels).or_default().push(entry);
    }
    let mut streams: Vec<StreamEntries> =
        by_labels.into_iter().map(|(labels, entries)| StreamEntries { labels, entries }).collect();
    streams.sort_by(|a, b| a.labels.cmp(&b.labels));
    streams
}
