//! From entries to what the windows of a range aggregation are made of.
//!
//! Owns: series found so far, and per series either sums by step, where samples are whole numbers that only add up, or the samples.
//! Does not own: extraction (`plan::pipeline`), kernels (`plan::functions::log_range`).

use std::sync::Arc;

use futures::TryStreamExt;
use hashbrown::{HashMap, HashSet};
use model::LabelSet;
use plan::functions::log_range::{LogSamples, adds_up, log_range, of_sum};
use plan::logical::LogWindow;
use plan::pipeline::excerpt::Excerpt;
use plan::pipeline::{Extractor, Input, LineUse, PipelineError, Scratch};
use segment::logs::Projection;

use super::known::{Classes, KnownLines};
use super::rows::{MetadataSets, Run};
use super::spans::{Span, Spans};
use super::{Decoded, LogScan, Piece, Work};
use crate::EngineError;
use crate::context::QueryContext;

/// Which entries become which samples, and over which windows.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) window: LogWindow,
    pub(crate) extractor: Extractor,
    pub(crate) spans: Spans,
}

/// One value in the windows of some steps.
#[derive(Clone, Copy, Debug)]
struct Sum {
    first: u32,
    end: u32,
    sum: f64,
}

/// One sample; those of one time are ordered by stream, then as they arrived.
#[derive(Clone, Copy, Debug)]
struct Sample {
    timestamp: i64,
    stream: u32,
    value: f64,
}

/// What one series has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    sums: Vec<Sum>,
    samples: Vec<Sample>,
}

/// An entry that another part may have as well.
#[derive(Debug)]
struct Doubtful {
    key: (u32, i64, (u64, u64)),
    series: u32,
    value: f64,
}

/// What a piece, or all of them, came to. Series by the canonical encoding of their labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    known: HashMap<Vec<u8>, u32>,
    found: Vec<Found>,
}

#[derive(Debug, Default)]
pub(crate) struct Extracted {
    series: Series,
    doubtful: Vec<Doubtful>,
}

impl Ask {
    /// Reports whether windows are sums of what is read of each entry.
    pub(super) fn adds_up(&self) -> bool {
        adds_up(self.window.function, self.extractor.unwraps())
    }

    /// Says what is read of entries, for a plan's text.
    pub(crate) fn reads(&self) -> &'static str {
        match self.extractor.filtered_line_use() {
            LineUse::None => "times",
            LineUse::Length => "lengths",
            LineUse::Text => "lines",
        }
    }
}

impl Work for Ask {
    type Output = Extracted;

    fn projection(&self, scan: &LogScan, piece: &Piece) -> Projection {
        if piece.doubtful {
            return Projection::ALL;
        }
        let line_use = self.extractor.filtered_line_use();
        let settled = scan.streams_of(piece).all(|stream| self.extractor.series_of_stream(scan.labels(stream)).is_some());
        Projection { lines: line_use == LineUse::Text, line_lens: line_use == LineUse::Length, metadata: !settled }
    }

    fn excerpt(&self) -> Option<Excerpt<'_>> {
        self.extractor.excerpt()
    }

    fn run(&self, scan: &LogScan, decoded: &Decoded) -> Result<Extracted, EngineError> {
        // Excerpts of lines repeat where lines do not.
        let repeats = self.extractor.excerpt().is_some() && !self.extractor.pipeline().reads_time();
        let mut worker = Worker {
            ask: self,
            scan,
            decoded,
            out: Extracted::default(),
            scratch: Scratch::default(),
            known: HashMap::new(),
            known_lines: KnownLines::new(repeats),
            classes: Classes::default(),
            encoded: Vec::new(),
            sets: MetadataSets::default(),
        };
        for run in scan.runs(decoded)? {
            worker.run(&run)?;
        }
        Ok(worker.out)
    }
}

/// Works on one piece.
struct Worker<'a> {
    ask: &'a Ask,
    scan: &'a LogScan,
    decoded: &'a Decoded,
    out: Extracted,
    scratch: Scratch,
    /// By stream and set of metadata, where nothing else decides: the series of an entry and its value, none where it is dropped.
    known: HashMap<(u32, u32), Option<(u32, f64)>>,
    /// The same by class and line, where lines are likely to repeat.
    known_lines: KnownLines,
    classes: Classes,
    encoded: Vec<u8>,
    sets: MetadataSets,
}

impl Worker<'_> {
    fn run(&mut self, run: &Run) -> Result<(), EngineError> {
        let doubtful = self.scan.piece_of(self.decoded).doubtful;
        match self.ask.extractor.series_of_stream(self.scan.labels(run.stream)) {
            Some(series) if self.ask.adds_up() && !doubtful => {
                let series = self.out.series.of(&series);
                self.counted(run, series);
                Ok(())
            }
            _ => self.extracted(run),
        }
    }

    /// Adds up a run whose entries are all of one series.
    fn counted(&mut self, run: &Run, series: u32) {
        let columns = &self.decoded.columns;
        let timestamps = &columns.timestamps;
        let found = &mut self.out.series.found[series as usize];
        let mut rows = run.rows.clone();
        while rows.start < rows.end {
            let span = self.ask.spans.of(timestamps[rows.start]);
            let end = rows.start + timestamps[rows.clone()].partition_point(|time| *time <= span.until);
            if span.first < span.end {
                let all = rows.start..end;
                let sum = match self.ask.extractor.counts_bytes() {
                    false => all.len() as f64,
                    true => columns.line_lens[all].iter().map(|len| u64::from(*len)).sum::<u64>() as f64,
                };
                found.add(span, sum);
            }
            rows.start = end;
        }
    }

    /// Extracts a run entry by entry.
    fn extracted(&mut self, run: &Run) -> Result<(), EngineError> {
        let columns = &self.decoded.columns;
        let mut span = Span { first: 0, end: 0, until: i64::MIN };
        for row in run.rows.clone() {
            let timestamp = columns.timestamps[row];
            if timestamp > span.until || span.until == i64::MIN {
                span = self.ask.spans.of(timestamp);
            }
            if span.first == span.end {
                continue;
            }
            let Some((series, value)) = self.value(run, row)? else { continue };
            match self.scan.content(self.decoded, run, row) {
                Some(content) => self.out.doubtful.push(Doubtful { key: (run.stream, timestamp, content), series, value }),
                None => {
                    self.out.series.found[series as usize].take(self.ask, span, Sample { timestamp, stream: run.stream, value })
                }
            }
        }
        Ok(())
    }

    /// Returns series and value of an entry; `None` where it is dropped.
    fn value(&mut self, run: &Run, row: usize) -> Result<Option<(u32, f64)>, EngineError> {
        let (columns, extractor) = (&self.decoded.columns, &self.ask.extractor);
        let line_bytes = match extractor.filtered_line_use() {
            LineUse::Text => return self.read_value(run, row),
            LineUse::None => 0,
            LineUse::Length if self.scan.piece_of(self.decoded).doubtful => columns.lines.get(row).len(),
            LineUse::Length => columns.line_lens[row] as usize,
        };
        let settled = |value: f64| if extractor.counts_bytes() { line_bytes as f64 } else { value };
        let set = if columns.metadata.is_empty() { 0 } else { columns.metadata.set_of(row) };
        if let Some(known) = self.known.get(&(run.stream, set)) {
            return Ok(known.map(|(series, value)| (series, settled(value))));
        }
        let metadata = self.sets.get(columns, row)?;
        let (labels, timestamp) = (self.scan.labels(run.stream), columns.timestamps[row]);
        let value =
            extractor.extract_unread_into(&mut self.scratch, timestamp, line_bytes, (labels, &metadata), &mut self.encoded);
        let found = value.map(|value| (self.out.series.of(&self.encoded), value));
        if !extractor.pipeline().reads_time() {
            self.known.insert((run.stream, set), found);
        }
        Ok(found)
    }

    /// As [`Worker::value`], where the line is looked at.
    fn read_value(&mut self, run: &Run, row: usize) -> Result<Option<(u32, f64)>, EngineError> {
        let columns = &self.decoded.columns;
        let line = columns.lines.get(row);
        let set = if columns.metadata.is_empty() { 0 } else { columns.metadata.set_of(row) };
        if self.known_lines.is_on() {
            let class = self.class(run.stream, set, row)?;
            if let Some(known) = self.known_lines.get(class, line) {
                return Ok(known);
            }
        }
        let metadata = self.sets.get(columns, row)?;
        let (timestamp_ns, stream) = (columns.timestamps[row], self.scan.labels(run.stream));
        let entry = Input { timestamp_ns, line, stream, metadata: &metadata };
        let value = self.ask.extractor.extract_into(&mut self.scratch, entry, true, &mut self.encoded);
        let found = value.map(|value| (self.out.series.of(&self.encoded), value));
        // What failed shows labels that classes do not tell apart.
        if !self.scratch.has_failed() {
            self.known_lines.insert(found);
        }
        Ok(found)
    }

    /// Returns the class of a stream and the set of metadata of a row.
    fn class(&mut self, stream: u32, set: u32, row: usize) -> Result<u32, EngineError> {
        if let Some(class) = self.classes.get(stream, set) {
            return Ok(class);
        }
        let metadata = self.sets.get(&self.decoded.columns, row)?;
        let mut bytes = Vec::new();
        self.ask.extractor.put_class(&mut self.scratch, self.scan.labels(stream), &metadata, &mut bytes);
        Ok(self.classes.add(stream, set, bytes))
    }
}

impl Series {
    /// Returns the number of a series.
    pub(super) fn of(&mut self, encoded: &[u8]) -> u32 {
        if let Some(known) = self.known.get(encoded) {
            return *known;
        }
        let number = self.found.len() as u32;
        self.known.insert(encoded.to_vec(), number);
        self.found.push(Found::default());
        number
    }

    /// Adds to a series what entries in the windows of some steps come to.
    pub(super) fn add(&mut self, series: u32, span: Span, value: f64) {
        self.found[series as usize].add(span, value);
    }
}

impl Found {
    fn take(&mut self, ask: &Ask, span: Span, sample: Sample) {
        match ask.adds_up() {
            true => self.add(span, sample.value),
            false => self.samples.push(sample),
        }
    }

    fn add(&mut self, span: Span, value: f64) {
        match self.sums.last_mut() {
            Some(last) if last.first == span.first && last.end == span.end => last.sum += value,
            _ => self.sums.push(Sum { first: span.first, end: span.end, sum: value }),
        }
    }

    fn is_empty(&self) -> bool {
        self.sums.is_empty() && self.samples.is_empty()
    }

    /// Writes the value of every window that is not empty.
    pub(crate) fn slide(mut self, ask: &Ask, out: &mut [f64]) {
        let LogWindow { function, param, range_ns, .. } = ask.window;
        if ask.adds_up() {
            // Whole numbers: no rounding, whatever the order. How many values a step has says whether its window is empty.
            let mut changes = vec![(0.0, 0i64); out.len() + 1];
            for sum in &self.sums {
                let (first, end) = (sum.first as usize, sum.end as usize);
                (changes[first].0, changes[first].1) = (changes[first].0 + sum.sum, changes[first].1 + 1);
                (changes[end].0, changes[end].1) = (changes[end].0 - sum.sum, changes[end].1 - 1);
            }
            let mut held = (0.0, 0i64);
            for (result, change) in out.iter_mut().zip(changes) {
                held = (held.0 + change.0, held.1 + change.1);
                if held.1 > 0 {
                    *result = of_sum(function, held.0, range_ns);
                }
            }
            return;
        }
        self.samples.sort_by_key(|sample| (sample.timestamp, sample.stream));
        let (timestamps, values): (Vec<i64>, Vec<f64>) =
            self.samples.iter().map(|sample| (sample.timestamp, sample.value)).unzip();
        let (mut from, mut to) = (0, 0);
        for (step, result) in out.iter_mut().enumerate() {
            let end_ns = ask.spans.window_end(step);
            let after = end_ns.saturating_sub(range_ns);
            from += timestamps[from..].partition_point(|time| *time <= after);
            to = to.max(from);
            to += timestamps[to..].partition_point(|time| *time <= end_ns);
            if from < to {
                let (timestamps_ns, values) = (&timestamps[from..to], &values[from..to]);
                *result = log_range(function, param, LogSamples { timestamps_ns, values, end_ns, range_ns });
            }
        }
    }
}

impl Ask {
    /// Reads all pieces of a scan to what was `counted` before ([`Ask::count_minutes`]); returns series ordered by labels. A series that
    /// carries an error fails the query, if it has an entry in some window.
    pub(crate) async fn read(
        self: &Arc<Ask>,
        context: &Arc<QueryContext>,
        (scan, counted): (&Arc<LogScan>, Series),
        workers: usize,
    ) -> Result<Vec<(LabelSet, Found)>, EngineError> {
        let ask = self;
        let mut all = counted;
        let mut seen = HashSet::new();
        let mut held = all.held();
        let pieces = scan.run(context, 0..scan.pieces.len(), ask, workers);
        let mut pieces = std::pin::pin!(pieces);
        while let Some(extracted) = pieces.try_next().await? {
            let Some(extracted) = extracted else { continue };
            held += all.join(ask, extracted, &mut seen);
            within_limits(held, context)?;
        }
        let series = all.known.into_iter().map(|(labels, number)| (labels, std::mem::take(&mut all.found[number as usize])));
        let series = series.filter(|(_, found)| !found.is_empty());
        let mut series: Vec<(LabelSet, Found)> =
            series.map(|(labels, found)| Ok((crate::batch::label_set(&labels)?, found))).collect::<Result<_, EngineError>>()?;
        series.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(error) = series.iter().find_map(|(labels, _)| PipelineError::of(labels)) {
            return Err(EngineError::Evaluation(error.to_string()));
        }
        Ok(series)
    }
}

/// Fails where so many values are more than a query may hold.
pub(super) fn within_limits(held: usize, context: &QueryContext) -> Result<(), EngineError> {
    let limit = context.limits.query_samples_max;
    if held > limit { Err(EngineError::TooManySamples { limit }) } else { Ok(()) }
}

impl Series {
    /// Returns how many values are held.
    pub(super) fn held(&self) -> usize {
        self.found.iter().map(|found| found.sums.len() + found.samples.len()).sum()
    }

    /// Takes in what a piece came to, without the entries that were seen before; returns how many values are held more.
    fn join(&mut self, ask: &Ask, extracted: Extracted, seen: &mut HashSet<(u32, i64, (u64, u64))>) -> usize {
        let mut numbers = vec![0; extracted.series.found.len()];
        for (labels, number) in &extracted.series.known {
            numbers[*number as usize] = self.of(labels);
        }
        let mut held = 0;
        for (local, found) in extracted.series.found.into_iter().enumerate() {
            let all = &mut self.found[numbers[local] as usize];
            held += found.sums.len() + found.samples.len();
            all.sums.extend(found.sums);
            all.samples.extend(found.samples);
        }
        for doubtful in extracted.doubtful {
            if seen.insert(doubtful.key) {
                held += 1;
                let (stream, timestamp, _) = doubtful.key;
                let sample = Sample { timestamp, stream, value: doubtful.value };
                self.found[numbers[doubtful.series as usize] as usize].take(ask, ask.spans.of(timestamp), sample);
            }
        }
        held
    }
}
