//! Log nodes: plumbing between the source, the pipeline and the window kernels.

use std::collections::BTreeMap;

use model::series::stable_hash;
use model::{LabelSet, Matcher, TimeRangeNs, TimestampNs};

use super::{Context, Source};
use crate::error::EvalError;
use crate::functions::log_range::{LogSamples, absent_labels, log_range};
use crate::logical::{Grid, LogQuery, LogRangeFunction, LogWindow};
use crate::pipeline::{Category, Extractor, LineUse, Outcome, Pipeline, PipelineError, Scratch};
use crate::value::{Entry, SampleCounts, StepSeries, StepValue, StepValues, StreamEntries, Value};

/// Samples of one series, times ascending.
#[derive(Default)]
struct Samples {
    timestamps_ns: Vec<i64>,
    values: Vec<f64>,
}

/// A range aggregation over every window of the grid.
pub(super) fn window(window: &LogWindow, source: &dyn Source, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let grid = context.grid;
    if grid.is_empty() {
        return Ok(Value::Vector(Vec::new()));
    }
    let series = samples(window, source, context)?;
    let mut out = Vec::new();
    for (labels, samples) in series {
        let values = over_windows(window, &labels, &samples, &grid)?;
        if !values.is_absent() {
            out.push(StepSeries { labels, drop_name: false, values });
        }
    }
    Ok(Value::Vector(if window.function == LogRangeFunction::AbsentOverTime { absent(window, &out, &grid) } else { out }))
}

/// Reads what all windows together cover, and extracts.
fn samples(window: &LogWindow, source: &dyn Source, context: &mut Context<'_>) -> Result<BTreeMap<LabelSet, Samples>, EvalError> {
    let extractor = Extractor::compile(window).map_err(|error| EvalError::Execution(error.to_string()))?;
    let mut scratch = Scratch::default();
    let mut found: BTreeMap<LabelSet, Vec<(i64, f64)>> = BTreeMap::new();
    for stream in selected(source, &window.select.matchers, covered(window, &context.grid))? {
        context.budget.counts += SampleCounts::each(stream.entries.len());
        for entry in &stream.entries {
            let (at, labels, metadata) = (entry.timestamp, &stream.labels, &entry.metadata);
            let sample = match extractor.line_use() {
                LineUse::Text => extractor.extract(&mut scratch, at, &entry.line, labels, metadata),
                LineUse::None => extractor.extract_unread(&mut scratch, at, 0, labels, metadata),
                LineUse::Length => extractor.extract_unread(&mut scratch, at, entry.line.len(), labels, metadata),
            };
            let Some(sample) = sample else { continue };
            context.budget.hold(1)?;
            found.entry(sample.labels).or_default().push((at, sample.value));
        }
    }
    let ordered = found.into_iter().map(|(labels, mut samples)| {
        samples.sort_by_key(|sample| sample.0);
        let (timestamps_ns, values) = samples.into_iter().unzip();
        (labels, Samples { timestamps_ns, values })
    });
    Ok(ordered.collect())
}

/// The entries that the windows of a grid reach: `(first - range, last]`, half-open as everywhere.
fn covered(window: &LogWindow, grid: &Grid) -> TimeRangeNs {
    let last = grid.at(grid.len().saturating_sub(1)).saturating_sub(window.offset_ns);
    let first = grid.start.saturating_sub(window.offset_ns).saturating_sub(window.range_ns);
    TimeRangeNs::new(TimestampNs(first.saturating_add(1)), TimestampNs(last.saturating_add(1)))
}

fn over_windows(window: &LogWindow, labels: &LabelSet, samples: &Samples, grid: &Grid) -> Result<StepValues, EvalError> {
    let mut out = StepValues::absent(grid.len());
    for (step, at) in grid.iter().enumerate() {
        let end_ns = at.saturating_sub(window.offset_ns);
        let after = end_ns.saturating_sub(window.range_ns);
        let from = samples.timestamps_ns.partition_point(|t| *t <= after);
        let to = samples.timestamps_ns.partition_point(|t| *t <= end_ns).max(from);
        if from == to {
            continue;
        }
        if let Some(error) = PipelineError::of(labels) {
            return Err(EvalError::Execution(error.to_string()));
        }
        let (timestamps_ns, values) = (&samples.timestamps_ns[from..to], &samples.values[from..to]);
        let inside = LogSamples { timestamps_ns, values, end_ns, range_ns: window.range_ns };
        out.set(step, StepValue::Float(log_range(window.function, window.param, inside)));
    }
    Ok(out)
}

/// One series, 1 at the steps at which nothing was found.
fn absent(window: &LogWindow, found: &[StepSeries], grid: &Grid) -> Vec<StepSeries> {
    let mut values = StepValues::absent(grid.len());
    for step in 0..grid.len() {
        if found.iter().all(|series| series.values.get(step).is_none()) {
            values.set(step, StepValue::Float(1.0));
        }
    }
    let labels = absent_labels(&window.select.matchers);
    if values.is_absent() { Vec::new() } else { vec![StepSeries { labels, drop_name: false, values }] }
}

/// A log query: entries in order over all streams, thinned, cut at the limit, then told apart by their labels.
pub(super) fn query(query: &LogQuery, source: &dyn Source, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let mut kept = entries(query, source, context)?;
    // Entries of one time and stream stay as they arrived, or exactly the other way round.
    if query.newest_first {
        kept.reverse();
    }
    kept.sort_by_key(|(stream, _, entry)| (if query.newest_first { !entry.timestamp } else { entry.timestamp }, *stream));
    let kept = kept.into_iter().map(|(_, labels, entry)| (labels, entry)).collect();
    let mut streams: BTreeMap<String, StreamEntries> = BTreeMap::new();
    for (labels, entry) in thinned(kept, query.interval_ns).take(query.limit) {
        let stream = streams.entry(labels.to_string());
        stream.or_insert_with(|| StreamEntries { labels, entries: Vec::new() }).entries.push(entry);
    }
    Ok(Value::Streams(streams.into_values().collect()))
}

/// Returns the streams a selector selects, in the order in which Loki merges them.
fn selected(source: &dyn Source, matchers: &[Matcher], range: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
    let mut streams = source.streams(matchers, range)?;
    streams.sort_by_cached_key(|stream| stable_hash(&stream.labels));
    Ok(streams)
}

/// An entry that passed, with the number of its stream and its labels.
type Kept = (usize, LabelSet, Entry);

fn entries(query: &LogQuery, source: &dyn Source, context: &mut Context<'_>) -> Result<Vec<Kept>, EvalError> {
    let (start, end) = (context.grid.start, context.grid.end);
    if end <= start {
        return Ok(Vec::new());
    }
    let pipeline = Pipeline::compile(&query.select.stages).map_err(|error| EvalError::Execution(error.to_string()))?;
    let mut scratch = Scratch::default();
    let mut out = Vec::new();
    let range = TimeRangeNs::new(TimestampNs(start), TimestampNs(end));
    for (number, stream) in selected(source, &query.select.matchers, range)?.into_iter().enumerate() {
        context.budget.counts += SampleCounts::each(stream.entries.len());
        for entry in &stream.entries {
            let outcome = pipeline.process(&mut scratch, entry.timestamp, &entry.line, &stream.labels, &entry.metadata);
            let Outcome::Keep { line, labels } = outcome else { continue };
            context.budget.hold(1)?;
            let (metadata, parsed) = (labels.of(Category::Metadata), labels.of(Category::Parsed));
            let entry = Entry { timestamp: entry.timestamp, line: line.into_owned(), metadata, parsed };
            out.push((number, labels.merged(), entry));
        }
    }
    Ok(out)
}

/// Leaves out entries nearer than `interval_ns` to the last one left in, over all streams (Loki's `readStreams`).
fn thinned(entries: Vec<(LabelSet, Entry)>, interval_ns: i64) -> impl Iterator<Item = (LabelSet, Entry)> {
    let mut last: Option<i64> = None;
    entries.into_iter().filter(move |(_, entry)| {
        let far = |last: i64| entry.timestamp.abs_diff(last) >= interval_ns.unsigned_abs();
        let keep = interval_ns == 0 || last.is_none_or(far);
        if keep {
            last = Some(entry.timestamp);
        }
        keep
    })
}
