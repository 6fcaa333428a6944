//! Reading metrics segments, L0 and L1+ alike.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use model::{Exemplar, Histogram, LabelSet, Matcher, MetricMetadata, SeriesId, Slot, TimeRangeMs, TimestampMs};

use crate::columnar::{Layout, metrics_reader as reader, windows_reader};
use crate::cursor::Cursor;
use crate::extras::{Extras, OrdinalExemplar};
use crate::frame::{self, Kind};
use crate::l0::{self, DataFrame};
use crate::table::Table;
use crate::{Fetched, SegmentError, windows};

/// The opened tail of a metrics segment: label table, row ranges, page places. Cheap to clone, immutable, cacheable.
#[derive(Clone, Debug)]
pub struct Index {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    table: Table,
    data: Data,
    /// The compressed frame of exemplars and metadata, empty where there are none.
    extras: Bytes,
}

#[derive(Debug)]
enum Data {
    Block(DataFrame),
    Parquet(Box<Layout>),
    /// A coarse copy; read as samples it gives those it still has: the first and last of each window, and stale markers.
    Windows {
        layout: Box<Layout>,
        width_ms: i64,
    },
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

/// How much there is of a series, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Its slot.
    pub slot: Slot,
    /// Its samples.
    pub rows: u64,
    /// Time of its first sample.
    pub first: TimestampMs,
    /// Time of its last sample, inclusive.
    pub last: TimestampMs,
}

/// Where a series is: what decoding needs of an entry.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) ordinal: u32,
    pub(crate) rows: Range<u64>,
}

impl Place {
    fn of(entry: &SeriesEntry) -> Place {
        Place { ordinal: entry.ordinal, rows: entry.rows.clone() }
    }
}

/// What is read to decode some series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Byte ranges of the object, coalesced, ascending.
    pub ranges: Vec<Range<u64>>,
    /// Row groups that hold the series; an L0 block counts as one.
    pub row_groups: u64,
    /// Pages inside the ranges; the data frame of an L0 block counts as one.
    pub pages: u64,
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

/// Returns the exact bytes of a histogram: of several at one time the largest wins (W3), wherever that is decided.
pub fn histogram_bytes(histogram: &Histogram) -> Vec<u8> {
    let mut bytes = Vec::new();
    crate::histogram::put(&mut bytes, histogram);
    bytes
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

impl SeriesColumns {
    /// Copies some series out of the columns of all.
    fn pick(&self, entries: &[Place]) -> SeriesColumns {
        let mut picked = SeriesColumns::default();
        for entry in entries {
            let slices = self.series(entry.ordinal as usize);
            picked.timestamps.extend_from_slice(slices.timestamps);
            picked.values.extend_from_slice(slices.values);
            picked.start_timestamps.extend_from_slice(slices.start_timestamps);
            picked.histograms.extend_from_slice(slices.histograms);
            picked.ends.push((picked.timestamps.len() as u32, picked.histograms.len() as u32));
        }
        picked
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
        Index::open_tail(object, 0)
    }

    /// Opens the tail: the bytes from `tail_offset` (or earlier) to the end of the object. Checksums are verified (S2).
    ///
    /// # Errors
    /// `Corrupt`, `Version`.
    pub fn open_tail(tail: &Bytes, tail_offset: u64) -> Result<Index, SegmentError> {
        let parts = frame::open_tail(tail, tail_offset)?;
        let raw = frame::decompress(parts.index, "label table")?;
        let mut cursor = Cursor::new(&raw, "label table");
        let (table, data) = match parts.seal.kind {
            Kind::BlockMetrics => {
                let frame = DataFrame::take(&mut cursor)?;
                (Table::decode(parts.version, &mut cursor)?, Data::Block(frame))
            }
            Kind::ParquetMetrics => {
                let table = Table::decode(parts.version, &mut cursor)?;
                let layout = Layout::open(tail, tail_offset, parts.version, parts.sums, table.rows_sum())?;
                (table, Data::Parquet(Box::new(layout)))
            }
            Kind::BlockLogs | Kind::ParquetLogs => return Err(SegmentError::corrupt("object holds logs instead of metrics")),
            Kind::ParquetWindows => {
                let table = Table::decode(parts.version, &mut cursor)?;
                let layout = Layout::open(tail, tail_offset, parts.version, parts.sums, table.rows_sum())?;
                (table, Data::Windows { layout: Box::new(layout), width_ms: windows::take_width(parts.extras)? })
            }
        };
        cursor.finish()?;
        if let Data::Block(frame) = &data
            && u64::from(frame.len) > parts.seal.tail_offset
        {
            return Err(SegmentError::corrupt("data frame is longer than the object"));
        }
        let is_windows = matches!(data, Data::Windows { .. });
        let extras = if is_windows { Bytes::new() } else { Bytes::copy_from_slice(parts.extras) };
        Ok(Index { inner: Arc::new(Inner { table, data, extras }) })
    }

    /// Counts the series.
    pub fn series_len(&self) -> usize {
        self.inner.table.len()
    }

    /// Counts the samples.
    pub fn rows(&self) -> u64 {
        self.inner.table.rows_sum()
    }

    /// Returns the bytes this index keeps in memory, for a cache's accounting.
    pub fn memory_bytes(&self) -> usize {
        let layout = match &self.inner.data {
            Data::Block(_) => 0,
            Data::Parquet(layout) | Data::Windows { layout, .. } => layout.memory_bytes(),
        };
        size_of::<Inner>() + self.inner.table.memory_bytes() + self.inner.extras.len() + layout
    }

    /// Returns the series that all matchers accept and whose samples overlap `range`, in segment order.
    pub fn select(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<SeriesEntry> {
        self.ordinals(matchers, range).into_iter().map(|ordinal| self.entry(ordinal)).collect()
    }

    /// Returns every series, in segment order.
    pub fn all(&self) -> Vec<SeriesEntry> {
        (0..self.series_len() as u32).map(|ordinal| self.entry(ordinal)).collect()
    }

    /// Returns the ordinals of the series that all matchers accept and whose samples overlap `range`, ascending. No label set is
    /// built, which is most of what [`Index::select`] costs.
    pub fn ordinals(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<u32> {
        let mut ordinals = self.inner.table.select(matchers);
        ordinals.retain(|ordinal| self.inner.table.overlaps(*ordinal as usize, range.start.0, range.end.0));
        ordinals
    }

    pub(crate) fn table(&self) -> &Table {
        &self.inner.table
    }

    pub(crate) fn layout(&self) -> Option<&Layout> {
        match &self.inner.data {
            Data::Block(_) => None,
            Data::Parquet(layout) | Data::Windows { layout, .. } => Some(layout),
        }
    }

    /// Returns the width of the windows of a coarse copy, milliseconds.
    pub(crate) fn width_ms(&self) -> Option<i64> {
        match &self.inner.data {
            Data::Windows { width_ms, .. } => Some(*width_ms),
            Data::Block(_) | Data::Parquet(_) => None,
        }
    }

    /// Returns this index as that of windows, where it is a coarse copy's.
    pub fn windows(&self) -> Option<windows::Index> {
        windows::Index::of(self.clone())
    }

    /// Reports whether this is an L0 block, which is decoded as a whole.
    pub fn is_block(&self) -> bool {
        matches!(self.inner.data, Data::Block(_))
    }

    /// Counts the distinct label pairs of all series.
    pub fn pairs_len(&self) -> usize {
        self.inner.table.pairs_len()
    }

    /// Returns the label pairs of a series in the order of their names, by their numbers in this segment.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn pairs(&self, ordinal: u32) -> &[u32] {
        self.inner.table.pairs(ordinal as usize)
    }

    /// Returns name and value of a label pair.
    ///
    /// # Panics
    /// If the segment has no such pair.
    pub fn pair(&self, id: u32) -> (&str, &str) {
        self.inner.table.pair(id)
    }

    /// Returns slot, number of rows, first and last time of a series.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn extent(&self, ordinal: u32) -> Extent {
        let row = self.inner.table.row(ordinal as usize);
        Extent { slot: Slot(row.slot), rows: row.rows, first: TimestampMs(row.first), last: TimestampMs(row.last) }
    }

    /// Counts the samples of a series.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn rows_of(&self, ordinal: u32) -> u64 {
        self.inner.table.rows_of(ordinal as usize)
    }

    /// Reports whether a series has native histograms.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn has_histograms(&self, ordinal: u32) -> bool {
        self.inner.table.has_histograms(ordinal as usize)
    }

    /// Returns what [`Index::decode_ordinals`] will read; `ordinals` ascend.
    pub fn plan_ordinals(&self, ordinals: &[u32], projection: Projection) -> Reads {
        match &self.inner.data {
            _ if ordinals.is_empty() => Reads::default(),
            Data::Block(frame) => Reads { ranges: std::iter::once(0..u64::from(frame.len)).collect(), row_groups: 1, pages: 1 },
            Data::Parquet(layout) => reader::plan(layout, &self.inner.table, &self.places(ordinals), projection),
            Data::Windows { layout, .. } => {
                windows_reader::plan(layout, &self.inner.table, &self.places(ordinals), windows::Projection::default())
            }
        }
    }

    /// Decodes the samples of some series, `ends` in the order of `ordinals`, which ascend.
    ///
    /// # Errors
    /// As [`Index::decode`].
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn decode_ordinals(
        &self,
        ordinals: &[u32],
        projection: Projection,
        fetched: &Fetched,
    ) -> Result<SeriesColumns, SegmentError> {
        assert!(ordinals.windows(2).all(|pair| pair[0] < pair[1]), "ordinals ascend");
        self.decode_places(&self.places(ordinals), projection, fetched)
    }

    pub(crate) fn places(&self, ordinals: &[u32]) -> Vec<Place> {
        let place = |ordinal: &u32| Place { ordinal: *ordinal, rows: self.inner.table.row_range(*ordinal as usize) };
        ordinals.iter().map(place).collect()
    }

    fn entry(&self, ordinal: u32) -> SeriesEntry {
        let table = &self.inner.table;
        let row = table.row(ordinal as usize);
        let labels = table.labels(ordinal as usize);
        let end = if row.rows == 0 { row.first } else { row.last + 1 };
        SeriesEntry {
            id: SeriesId::of(&labels),
            labels,
            slot: Slot(row.slot),
            ordinal,
            rows: table.row_range(ordinal as usize),
            range: TimeRangeMs::new(TimestampMs(row.first), TimestampMs(end)),
        }
    }

    /// Returns the distinct label names of the matching series, sorted.
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<String> {
        self.inner.table.label_names(&self.ordinals(matchers, range))
    }

    /// Returns the numbers of the distinct pairs with label `name` among some series.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn pairs_of(&self, name: &str, ordinals: &[u32]) -> Vec<u32> {
        self.inner.table.pairs_of(name, ordinals)
    }

    /// Returns the byte ranges of the object that [`Index::decode`] will read, coalesced, ascending. Entries must come in
    /// ascending `ordinal`, as [`Index::select`] returns them. A part of the tail is never named.
    pub fn plan_ranges(&self, entries: &[SeriesEntry], projection: Projection) -> Vec<Range<u64>> {
        if entries.is_empty() {
            return Vec::new();
        }
        match &self.inner.data {
            Data::Block(frame) => std::iter::once(0..u64::from(frame.len)).collect(),
            Data::Parquet(layout) => {
                let places: Vec<Place> = entries.iter().map(Place::of).collect();
                reader::plan(layout, &self.inner.table, &places, projection).ranges
            }
            Data::Windows { layout, .. } => {
                let places: Vec<Place> = entries.iter().map(Place::of).collect();
                windows_reader::plan(layout, &self.inner.table, &places, windows::Projection::default()).ranges
            }
        }
    }

    /// Decodes the samples of `entries` (ascending `ordinal`): whole series, `ends` in the order of `entries`.
    ///
    /// # Errors
    /// `NotFetched` where a planned range is missing, `Corrupt` where a checksum or a promise of the format fails.
    ///
    /// # Panics
    /// If `entries` are of another segment.
    pub fn decode(
        &self,
        entries: &[SeriesEntry],
        projection: Projection,
        fetched: &Fetched,
    ) -> Result<SeriesColumns, SegmentError> {
        assert!(entries.windows(2).all(|pair| pair[0].ordinal < pair[1].ordinal), "entries ascend by ordinal");
        self.decode_places(&entries.iter().map(Place::of).collect::<Vec<_>>(), projection, fetched)
    }

    pub(crate) fn decode_places(
        &self,
        entries: &[Place],
        projection: Projection,
        fetched: &Fetched,
    ) -> Result<SeriesColumns, SegmentError> {
        if entries.is_empty() {
            return Ok(SeriesColumns::default());
        }
        match &self.inner.data {
            Data::Block(frame) => {
                let raw = frame.open(&fetched.get(0..u64::from(frame.len))?)?;
                let columns = l0::decode_samples(&raw, &self.inner.table)?.into_columns();
                let all = entries.len() == self.series_len();
                Ok(if all { columns } else { columns.pick(entries) })
            }
            Data::Parquet(layout) => reader::decode(layout, &self.inner.table, entries, projection, fetched),
            Data::Windows { layout, width_ms } => {
                let (places, none) = ((entries, *width_ms), windows::Projection::default());
                let windows = windows_reader::decode(layout, &self.inner.table, places, none, fetched)?;
                let has_none = |place: usize| self.has_histograms(entries[place].ordinal);
                Ok(windows.into_samples(projection.values, has_none))
            }
        }
    }

    /// Returns the exemplars inside `range` of the series that all matchers accept, series by series, time ascending.
    /// They lie in the tail: nothing more is fetched.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn exemplars(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<SeriesExemplar>, SegmentError> {
        let mut selected = vec![false; self.series_len()];
        self.inner.table.select(matchers).into_iter().for_each(|ordinal| selected[ordinal as usize] = true);
        let extras = self.extras_of(&|ordinal| selected[ordinal as usize])?;
        let wanted = extras.exemplars.into_iter().filter(|exemplar| {
            let timestamp = exemplar.exemplar.timestamp;
            range.start <= timestamp && timestamp < range.end
        });
        let mut labels: Option<(u32, LabelSet)> = None;
        let exemplars = wanted.map(|OrdinalExemplar { ordinal, exemplar }| {
            let shared = match &labels {
                Some((last, shared)) if *last == ordinal => shared.clone(),
                _ => self.inner.table.labels(ordinal as usize),
            };
            labels = Some((ordinal, shared.clone()));
            SeriesExemplar { labels: shared, exemplar }
        });
        Ok(exemplars.collect())
    }

    /// Returns the metadata of metric families, sorted. It lies in the tail.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn metadata(&self) -> Result<Vec<MetricMetadata>, SegmentError> {
        self.extras().map(|extras| extras.metadata)
    }

    pub(crate) fn extras(&self) -> Result<Extras, SegmentError> {
        self.extras_of(&|_| true)
    }

    /// Returns the exemplars of the series that `wanted` names, and all metadata.
    pub(crate) fn extras_of(&self, wanted: &dyn Fn(u32) -> bool) -> Result<Extras, SegmentError> {
        if self.inner.extras.is_empty() {
            return Ok(Extras::default());
        }
        Extras::decode(&frame::decompress(&self.inner.extras, "exemplars and metadata")?, self.series_len(), wanted)
    }
}
