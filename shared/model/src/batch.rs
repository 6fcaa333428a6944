//! What one ingest request carries, as columns: no object per label, per sample or per line.

use crate::labels::{Iter, LabelSetError};
use crate::{Exemplar, Histogram, LabelSet, MetricMetadata, TimestampMs, TimestampNs, labels};

/// Byte strings back to back in one buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arena {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Arena {
    /// Makes an arena with room for `items` strings of `bytes` bytes in all.
    pub fn with_capacity(items: usize, bytes: usize) -> Arena {
        Arena { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(items) }
    }

    /// Appends a string.
    ///
    /// # Panics
    /// If the arena would pass 4 GiB; request limits keep it far below.
    pub fn push(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
        self.close();
    }

    /// Appends a string by writing it in place.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.close();
    }

    fn close(&mut self) {
        self.ends.push(u32::try_from(self.bytes.len()).expect("request limits keep an arena below 4 GiB"));
    }

    /// Returns string `index`.
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.bytes[start..self.ends[index] as usize]
    }

    /// Returns all strings back to back.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns, per string, one past its last byte among [`Arena::bytes`].
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Counts the strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Reports whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Counts the bytes of all strings.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Drops all strings from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    /// Iterates over the strings.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// A native histogram sample of series `series` of the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramRow {
    /// Index of the series in the batch.
    pub series: u32,
    /// When it was taken.
    pub timestamp: TimestampMs,
    /// Start timestamp of the counter in milliseconds, 0 where unknown.
    pub start_timestamp: TimestampMs,
    /// The value.
    pub histogram: Histogram,
}

/// An exemplar of series `series` of the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarRow {
    /// Index of the series in the batch.
    pub series: u32,
    /// The exemplar.
    pub exemplar: Exemplar,
}

/// Samples of one request: series as canonical label sets, float samples as columns grouped by series.
///
/// # Invariants
/// `labels.len() == sample_ends.len()`; `sample_ends` ascends to `timestamps.len() == values.len()`;
/// `start_timestamps` is empty (none known) or as long as `timestamps`. The same label set may occur more than once;
/// samples of a series may come in any time order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricBatch {
    /// Canonical label sets ([`crate::labels`]).
    pub labels: Arena,
    /// Per series, one past its last sample.
    pub sample_ends: Vec<u32>,
    /// Sample times, milliseconds.
    pub timestamps: Vec<i64>,
    /// Sample values, exact bits.
    pub values: Vec<f64>,
    /// Start timestamps, milliseconds, 0 where unknown; empty where no sample has one.
    pub start_timestamps: Vec<i64>,
    /// Native histogram samples, ordered by series.
    pub histograms: Vec<HistogramRow>,
    /// Exemplars, ordered by series.
    pub exemplars: Vec<ExemplarRow>,
    /// Metadata of metric families.
    pub metadata: Vec<MetricMetadata>,
}

impl MetricBatch {
    /// Starts a series whose canonical label set `write` appends; following samples belong to it.
    pub fn start_series(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.labels.push_with(write);
        self.sample_ends.push(self.timestamps.len() as u32);
    }

    /// Starts a series with the given labels.
    pub fn start_series_of(&mut self, labels: &LabelSet) {
        self.start_series(|out| out.extend_from_slice(labels.encoded()));
    }

    /// Appends a float sample to the series started last; `start_timestamp` is 0 where unknown.
    ///
    /// # Panics
    /// If no series was started.
    pub fn push_sample(&mut self, timestamp: TimestampMs, value: f64, start_timestamp: TimestampMs) {
        if start_timestamp.0 != 0 && self.start_timestamps.is_empty() {
            self.start_timestamps.resize(self.timestamps.len(), 0);
        }
        let filled = !self.start_timestamps.is_empty() || start_timestamp.0 != 0;
        self.timestamps.push(timestamp.0);
        self.values.push(value);
        if filled {
            self.start_timestamps.push(start_timestamp.0);
        }
        *self.sample_ends.last_mut().expect("a series was started before its samples") = self.timestamps.len() as u32;
    }

    /// Counts the series.
    pub fn series_len(&self) -> usize {
        self.labels.len()
    }

    /// Returns the rows of the columns that belong to series `index`.
    pub fn sample_range(&self, index: usize) -> std::ops::Range<usize> {
        let start = if index == 0 { 0 } else { self.sample_ends[index - 1] as usize };
        start..self.sample_ends[index] as usize
    }

    /// Iterates over the labels of series `index`.
    pub fn labels_of(&self, index: usize) -> Iter<'_> {
        Iter::over(self.labels.get(index))
    }

    /// Returns the label set of series `index`.
    pub fn label_set(&self, index: usize) -> Result<LabelSet, LabelSetError> {
        LabelSet::from_encoded(self.labels.get(index))
    }

    /// Counts float and histogram samples.
    pub fn samples_len(&self) -> usize {
        self.timestamps.len() + self.histograms.len()
    }

    /// Reports whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty() && self.histograms.is_empty() && self.exemplars.is_empty() && self.metadata.is_empty()
    }
}

/// Entries of one request: streams as canonical label sets, entries as columns grouped by stream.
///
/// # Invariants
/// `labels.len() == entry_ends.len()`; `entry_ends` ascends to the length of `timestamps`, `lines` and `metadata`.
/// `metadata` items are canonical label sets, empty where an entry has none. Lines are bytes, usually UTF-8.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogBatch {
    /// Canonical stream label sets.
    pub labels: Arena,
    /// Per stream, one past its last entry.
    pub entry_ends: Vec<u32>,
    /// Entry times, nanoseconds.
    pub timestamps: Vec<i64>,
    /// Lines.
    pub lines: Arena,
    /// Structured metadata per entry, canonical label-set encoding.
    pub metadata: Arena,
}

impl LogBatch {
    /// Starts a stream whose canonical label set `write` appends; following entries belong to it.
    pub fn start_stream(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.labels.push_with(write);
        self.entry_ends.push(self.timestamps.len() as u32);
    }

    /// Appends an entry to the stream started last; `metadata` is a canonical label-set encoding.
    ///
    /// # Panics
    /// If no stream was started.
    pub fn push_entry(&mut self, timestamp: TimestampNs, line: &[u8], metadata: &[u8]) {
        debug_assert!(labels::verify(metadata).is_ok());
        self.timestamps.push(timestamp.0);
        self.lines.push(line);
        self.metadata.push(metadata);
        *self.entry_ends.last_mut().expect("a stream was started before its entries") = self.timestamps.len() as u32;
    }

    /// Counts the streams.
    pub fn streams_len(&self) -> usize {
        self.labels.len()
    }

    /// Returns the rows of the columns that belong to stream `index`.
    pub fn entry_range(&self, index: usize) -> std::ops::Range<usize> {
        let start = if index == 0 { 0 } else { self.entry_ends[index - 1] as usize };
        start..self.entry_ends[index] as usize
    }

    /// Counts the entries.
    pub fn entries_len(&self) -> usize {
        self.timestamps.len()
    }

    /// Reports whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }
}
