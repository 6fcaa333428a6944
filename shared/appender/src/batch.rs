//! What the write path carries: a batch of either signal, and how batches are put together.

use model::batch::Arena;
use model::{LogBatch, MetricBatch, Signal};

/// A decoded batch of one signal.
#[derive(Clone, Debug, PartialEq)]
pub enum Batch {
    /// Series of samples.
    Metrics(MetricBatch),
    /// Streams of entries.
    Logs(LogBatch),
}

impl Batch {
    /// Returns the batch's signal.
    pub fn signal(&self) -> Signal {
        match self {
            Batch::Metrics(_) => Signal::Metrics,
            Batch::Logs(_) => Signal::Logs,
        }
    }

    /// Reports whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        match self {
            Batch::Metrics(batch) => batch.is_empty(),
            Batch::Logs(batch) => batch.is_empty(),
        }
    }

    /// Counts samples, or entries.
    pub fn rows(&self) -> usize {
        match self {
            Batch::Metrics(batch) => batch.samples_len(),
            Batch::Logs(batch) => batch.entries_len(),
        }
    }

    /// Estimates the memory the batch holds, bytes.
    pub fn held_bytes(&self) -> usize {
        /// Times, values and bookkeeping of a sample; a histogram is counted as its usual 20 buckets.
        const SAMPLE_BYTES: usize = 24;
        const HISTOGRAM_BYTES: usize = 400;
        match self {
            Batch::Metrics(batch) => {
                batch.labels.bytes_len()
                    + batch.timestamps.len() * SAMPLE_BYTES
                    + (batch.histograms.len() + batch.exemplars.len() + batch.metadata.len()) * HISTOGRAM_BYTES
            }
            Batch::Logs(batch) => {
                batch.labels.bytes_len()
                    + batch.lines.bytes_len()
                    + batch.metadata.bytes_len()
                    + batch.timestamps.len() * SAMPLE_BYTES
            }
        }
    }

    /// Appends another batch of the same signal. Equal label sets stay apart: encoding puts them together.
    ///
    /// # Panics
    /// If the signals differ.
    pub fn extend(&mut self, other: &Batch) {
        match (self, other) {
            (Batch::Metrics(all), Batch::Metrics(more)) => extend_metrics(all, more),
            (Batch::Logs(all), Batch::Logs(more)) => extend_logs(all, more),
            _ => panic!("a group holds one signal"),
        }
    }
}

fn extend_metrics(all: &mut MetricBatch, more: &MetricBatch) {
    let (series, samples) = (all.series_len() as u32, all.timestamps.len() as u32);
    extend_arena(&mut all.labels, &more.labels);
    all.sample_ends.extend(more.sample_ends.iter().map(|end| end + samples));
    if !more.start_timestamps.is_empty() || !all.start_timestamps.is_empty() {
        all.start_timestamps.resize(all.timestamps.len(), 0);
        all.start_timestamps.extend_from_slice(&more.start_timestamps);
        all.start_timestamps.resize(all.timestamps.len() + more.timestamps.len(), 0);
    }
    all.timestamps.extend_from_slice(&more.timestamps);
    all.values.extend_from_slice(&more.values);
    all.histograms.extend(more.histograms.iter().cloned().map(|mut row| {
        row.series += series;
        row
    }));
    all.exemplars.extend(more.exemplars.iter().cloned().map(|mut row| {
        row.series += series;
        row
    }));
    all.metadata.extend_from_slice(&more.metadata);
}

fn extend_logs(all: &mut LogBatch, more: &LogBatch) {
    let entries = all.timestamps.len() as u32;
    extend_arena(&mut all.labels, &more.labels);
    all.entry_ends.extend(more.entry_ends.iter().map(|end| end + entries));
    all.timestamps.extend_from_slice(&more.timestamps);
    extend_arena(&mut all.lines, &more.lines);
    extend_arena(&mut all.metadata, &more.metadata);
}

fn extend_arena(all: &mut Arena, more: &Arena) {
    more.iter().for_each(|item| all.push(item));
}
