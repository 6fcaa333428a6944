//! Reading metrics segments, L0 and L1+ alike.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use model::{Exemplar, Histogram, LabelSet, Matcher, MetricMetadata, SeriesId, Slot, TimeRangeMs, TimestampMs};

use crate::{Fetched, SegmentError};

/// The opened tail of a metrics segment: label table, row ranges, page places. Cheap to clone, immutable, cacheable.
#[derive(Clone, Debug)]
pub struct Index {
    #[allow(dead_code)]
    inner: Arc<()>,
}

/// One series of a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesEntry {
    /// Its labels (shared, cheap to clone).
    pub labels: LabelSet,
    /// Its id.
    pub id: SeriesId,
    /// Its slot.
    pub slot: Slot,
    /// Its place in the segment's order (metric name, slot, id).
    pub ordinal: u32,
    /// Its rows in the segment, time ascending.
    pub rows: Range<u64>,
    /// Half-open cover of its samples' times; empty where it has exemplars only.
    pub range: TimeRangeMs,
}

/// Which columns to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Projection {
    /// Values and histograms; without them only timestamps are read and the other slices are empty.
    pub values: bool,
    /// Start timestamps.
    pub start_timestamps: bool,
}

impl Projection {
    /// Timestamps and values: what queries read.
    pub const SAMPLES: Projection = Projection { values: true, start_timestamps: false };
    /// Everything: what a merge reads.
    pub const ALL: Projection = Projection { values: true, start_timestamps: true };
}

/// A native histogram sample.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    /// When it was taken.
    pub timestamp: TimestampMs,
    /// Start timestamp, 0 where unknown or not projected.
    pub start_timestamp: TimestampMs,
    /// The value.
    pub histogram: Histogram,
}

/// Samples of several series as shared columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesColumns {
    /// Times of float samples, milliseconds, series by series.
    pub timestamps: Vec<i64>,
    /// Values of float samples, exact bits; empty where not projected.
    pub values: Vec<f64>,
    /// Start timestamps of float samples, 0 where unknown; empty where none is known or not projected.
    pub start_timestamps: Vec<i64>,
    /// Histogram samples, series by series.
    pub histograms: Vec<HistogramSample>,
    /// Per selected series, one past its last float sample and one past its last histogram.
    pub ends: Vec<(u32, u32)>,
}

/// The samples of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesSlices<'a> {
    /// Times of float samples, ascending, distinct.
    pub timestamps: &'a [i64],
    /// Values, as long as `timestamps` or empty.
    pub values: &'a [f64],
    /// Start timestamps, as long as `timestamps` or empty.
    pub start_timestamps: &'a [i64],
    /// Histograms, ascending; no time is in both.
    pub histograms: &'a [HistogramSample],
}

impl SeriesColumns {
    /// Counts the series.
    pub fn series_len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the samples of the `index`th selected series.
    pub fn series(&self, index: usize) -> SeriesSlices<'_> {
        let (start, histogram_start) = if index == 0 { (0, 0) } else { self.ends[index - 1] };
        let (end, histogram_end) = self.ends[index];
        let rows = start as usize..end as usize;
        SeriesSlices {
            timestamps: &self.timestamps[rows.clone()],
            values: self.values.get(rows.clone()).unwrap_or(&[]),
            start_timestamps: self.start_timestamps.get(rows).unwrap_or(&[]),
            histograms: &self.histograms[histogram_start as usize..histogram_end as usize],
        }
    }
}

/// An exemplar and the series it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplar {
    /// Labels of the series.
    pub labels: LabelSet,
    /// The exemplar.
    pub exemplar: Exemplar,
}

impl Index {
    /// Opens a whole object, such as an inline or small L0 block.
    ///
    /// # Errors
    /// `Corrupt`, `Version`.
    pub fn open(object: &Bytes) -> Result<Index, SegmentError> {
        let _ = object;
        todo!("body follows in the next commit")
    }

    /// Opens the tail: the bytes from `tail_offset` to the end of the object. Checksums are verified (S2).
    ///
    /// # Errors
    /// `Corrupt`, `Version`.
    pub fn open_tail(tail: &Bytes, tail_offset: u64) -> Result<Index, SegmentError> {
        let _ = (tail, tail_offset);
        todo!("body follows in the next commit")
    }

    /// Counts the series.
    pub fn series_len(&self) -> usize {
        todo!("body follows in the next commit")
    }

    /// Counts the samples.
    pub fn rows(&self) -> u64 {
        todo!("body follows in the next commit")
    }

    /// Returns the bytes this index keeps in memory, for a cache's accounting.
    pub fn memory_bytes(&self) -> usize {
        todo!("body follows in the next commit")
    }

    /// Returns the series that all matchers accept and whose samples overlap `range`, in segment order.
    pub fn select(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<SeriesEntry> {
        let _ = (matchers, range);
        todo!("body follows in the next commit")
    }

    /// Returns the distinct label names of the matching series, sorted.
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String> {
        let _ = (matchers, range);
        todo!("body follows in the next commit")
    }

    /// Returns the distinct values of label `name` among the matching series, sorted.
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String> {
        let _ = (name, matchers, range);
        todo!("body follows in the next commit")
    }

    /// Returns the byte ranges of the object that [`Index::decode`] will read, coalesced, ascending. Entries must come in
    /// ascending `ordinal`, as [`Index::select`] returns them. A part of the tail is never named.
    pub fn plan_ranges(&self, entries: &[SeriesEntry], projection: Projection) -> Vec<Range<u64>> {
        let _ = (entries, projection);
        todo!("body follows in the next commit")
    }

    /// Decodes the samples of `entries` (ascending `ordinal`): whole series, `ends` in the order of `entries`.
    ///
    /// # Errors
    /// `NotFetched` where a planned range is missing, `Corrupt` where a checksum or a promise of the format fails.
    pub fn decode(&self, entries: &[SeriesEntry], projection: Projection, fetched: &Fetched) -> Result<SeriesColumns, SegmentError> {
        let _ = (entries, projection, fetched);
        todo!("body follows in the next commit")
    }

    /// Returns the exemplars inside `range` of the series that all matchers accept, series by series, time ascending.
    /// They lie in the tail: nothing more is fetched.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn exemplars(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<SeriesExemplar>, SegmentError> {
        let _ = (matchers, range);
        todo!("body follows in the next commit")
    }

    /// Returns the metadata of metric families, sorted. It lies in the tail.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn metadata(&self) -> Result<Vec<MetricMetadata>, SegmentError> {
        todo!("body follows in the next commit")
    }
}
