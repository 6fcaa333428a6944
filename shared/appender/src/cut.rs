//! A batch cut by event hour: the grain of the manifest. Pure, and one scan however many hours there are.

use std::collections::{BTreeSet, HashMap};

use model::{Hour, LogBatch, MetricBatch, TimestampMs, TimestampNs};

use crate::Batch;

/// Lists the event hours of a batch, ascending: those of its rows, or that of `now` for metadata alone.
pub fn hours(batch: &Batch, now: TimestampMs) -> Vec<Hour> {
    match batch {
        Batch::Metrics(batch) => {
            let hours = hours_of(|| metric_times(batch));
            if hours.is_empty() { vec![now.hour()] } else { hours }
        }
        Batch::Logs(batch) => hours_of(|| batch.timestamps.iter().map(|at| TimestampNs(*at).to_ms())),
    }
}

/// Cuts a batch into one batch per event hour, hours ascending. Metadata, which has no time, goes with the first, or with the hour
/// of `now` where there is no sample at all.
pub fn cut(batch: Batch, now: TimestampMs) -> Vec<(Hour, Batch)> {
    match batch {
        Batch::Metrics(batch) => cut_metrics(batch, now),
        Batch::Logs(batch) => cut_logs(batch),
    }
}

fn metric_times(batch: &MetricBatch) -> impl Iterator<Item = TimestampMs> {
    let samples = batch.timestamps.iter().map(|at| TimestampMs(*at));
    let histograms = batch.histograms.iter().map(|row| row.timestamp);
    let exemplars = batch.exemplars.iter().map(|row| row.exemplar.timestamp);
    samples.chain(histograms).chain(exemplars)
}

/// Lists the distinct hours, ascending. Nearly every batch has one, which its first and last moment tell without a division a row.
fn hours_of<I: Iterator<Item = TimestampMs>>(times: impl Fn() -> I) -> Vec<Hour> {
    let (first, last) =
        times().fold((TimestampMs(i64::MAX), TimestampMs(i64::MIN)), |(first, last), at| (first.min(at), last.max(at)));
    if first > last {
        return Vec::new();
    }
    if first.hour() == last.hour() {
        return vec![first.hour()];
    }
    let (mut hours, mut newest) = (BTreeSet::new(), None);
    for hour in times().map(TimestampMs::hour) {
        // Neighbours usually share theirs.
        if newest.replace(hour) != Some(hour) {
            hours.insert(hour);
        }
    }
    hours.into_iter().collect()
}

/// The parts made so far, one per hour, found by the hour of a row.
struct Parts<B> {
    parts: Vec<Part<B>>,
    places: HashMap<Hour, usize>,
    /// The part of the row before.
    newest: usize,
}

/// One hour's rows, and which series or stream of the whole was started last in it.
struct Part<B> {
    hour: Hour,
    batch: B,
    started: Option<usize>,
}

impl<B: Default> Parts<B> {
    fn new() -> Parts<B> {
        Parts { parts: Vec::new(), places: HashMap::new(), newest: 0 }
    }

    /// Returns the batch of an hour, and whether `series` has yet to be started in it.
    fn at(&mut self, hour: Hour, series: usize) -> (&mut B, bool) {
        if self.parts.get(self.newest).is_none_or(|part| part.hour != hour) {
            self.newest = *self.places.entry(hour).or_insert(self.parts.len());
            if self.newest == self.parts.len() {
                self.parts.push(Part { hour, batch: B::default(), started: None });
            }
        }
        let part = &mut self.parts[self.newest];
        let starts = part.started.replace(series) != Some(series);
        (&mut part.batch, starts)
    }

    fn ascending(mut self) -> impl Iterator<Item = (Hour, B)> {
        self.parts.sort_by_key(|part| part.hour);
        self.parts.into_iter().map(|part| (part.hour, part.batch))
    }
}

impl Parts<MetricBatch> {
    /// Returns the batch of an hour and the index of the series in it, which is started where it has not been.
    fn series_at(&mut self, hour: Hour, series: usize, labels: &[u8]) -> (&mut MetricBatch, u32) {
        let (part, starts) = self.at(hour, series);
        if starts {
            part.start_series(|out| out.extend_from_slice(labels));
        }
        let index = part.series_len() as u32 - 1;
        (part, index)
    }
}

fn cut_metrics(mut batch: MetricBatch, now: TimestampMs) -> Vec<(Hour, Batch)> {
    let hours = hours_of(|| metric_times(&batch));
    if hours.len() <= 1 {
        let hour = hours.first().copied().unwrap_or(now.hour());
        return vec![(hour, Batch::Metrics(batch))];
    }
    let mut parts = Parts::<MetricBatch>::new();
    let mut histograms = std::mem::take(&mut batch.histograms).into_iter().peekable();
    let mut exemplars = std::mem::take(&mut batch.exemplars).into_iter().peekable();
    for series in 0..batch.series_len() {
        let labels = batch.labels.get(series);
        for row in batch.sample_range(series) {
            let at = TimestampMs(batch.timestamps[row]);
            let start = batch.start_timestamps.get(row).copied().unwrap_or(0);
            parts.series_at(at.hour(), series, labels).0.push_sample(at, batch.values[row], TimestampMs(start));
        }
        while let Some(mut row) = histograms.next_if(|row| row.series as usize == series) {
            let (part, index) = parts.series_at(row.timestamp.hour(), series, labels);
            row.series = index;
            part.histograms.push(row);
        }
        while let Some(mut row) = exemplars.next_if(|row| row.series as usize == series) {
            let (part, index) = parts.series_at(row.exemplar.timestamp.hour(), series, labels);
            row.series = index;
            part.exemplars.push(row);
        }
    }
    let mut metadata = std::mem::take(&mut batch.metadata);
    let parts = parts.ascending().map(|(hour, mut part)| {
        part.metadata = std::mem::take(&mut metadata);
        (hour, Batch::Metrics(part))
    });
    parts.collect()
}

fn cut_logs(batch: LogBatch) -> Vec<(Hour, Batch)> {
    let hours = hours_of(|| batch.timestamps.iter().map(|at| TimestampNs(*at).to_ms()));
    match hours[..] {
        [] => return Vec::new(),
        [hour] => return vec![(hour, Batch::Logs(batch))],
        _ => {}
    }
    let mut parts = Parts::<LogBatch>::new();
    for stream in 0..batch.streams_len() {
        for row in batch.entry_range(stream) {
            let at = TimestampNs(batch.timestamps[row]);
            let (part, starts) = parts.at(at.hour(), stream);
            if starts {
                part.start_stream(|out| out.extend_from_slice(batch.labels.get(stream)));
            }
            part.push_entry(at, batch.lines.get(row), batch.metadata.get(row));
        }
    }
    parts.ascending().map(|(hour, part)| (hour, Batch::Logs(part))).collect()
}

#[cfg(test)]
mod tests;
