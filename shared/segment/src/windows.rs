//! Reading segments of windows: the coarse copies of metrics (5m, 1h).

use bytes::Bytes;
use model::LabelSet;
use model::windowed::{self, Window};

use crate::columnar::{Layout, windows_reader as reader};
use crate::cursor::Cursor;
use crate::frame::{self, Kind};
use crate::metrics::{Extent, Reads, SeriesColumns};
use crate::table::Table;
use crate::{Fetched, SegmentError, metrics};

/// Which columns to read beside count, first, last and staleness. What is not read is 0, extremes are those of first and last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Projection {
    /// `min` and `max`.
    pub extremes: bool,
    /// `sum`.
    pub sum: bool,
    /// `lost` and `resets`.
    pub lost: bool,
    /// `changes`.
    pub changes: bool,
    /// `m2`.
    pub m2: bool,
}

impl Projection {
    /// Everything.
    pub const ALL: Projection = Projection { extremes: true, sum: true, lost: true, changes: true, m2: true };
}

/// Windows of several series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowColumns {
    /// Windows, ascending by end, series by series.
    pub windows: Vec<Window>,
    /// Per selected series, one past its last window.
    pub ends: Vec<u32>,
}

impl WindowColumns {
    /// Returns the windows of the `index`th selected series.
    pub fn series(&self, index: usize) -> &[Window] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.windows[start as usize..self.ends[index] as usize]
    }
}

impl WindowColumns {
    /// Returns the samples that windows still have; those of a place that `has_none` accepts have none.
    pub(crate) fn into_samples(self, with_values: bool, has_none: impl Fn(usize) -> bool) -> SeriesColumns {
        let mut columns = SeriesColumns::default();
        for place in 0..self.ends.len() {
            let windows = if has_none(place) { &[] } else { self.series(place) };
            let (timestamps, values) = windowed::samples(windows);
            columns.timestamps.extend(timestamps);
            if with_values {
                columns.values.extend(values);
            }
            columns.ends.push((columns.timestamps.len() as u32, 0));
        }
        columns
    }
}

/// The index of a segment of windows: that of a metrics segment, which knows its series, with its windows.
#[derive(Clone, Debug)]
pub struct Index {
    series: metrics::Index,
    width_ms: i64,
}

/// A window is at most a day long.
const WIDTH_MS_MAX: u64 = 86_400_000;

/// Reports whether a tail is that of a segment of windows; whoever opens it says what else is wrong with it.
pub fn is_windows(tail: &Bytes, tail_offset: u64) -> bool {
    frame::open_tail(tail, tail_offset).is_ok_and(|tail| tail.seal.kind == Kind::ParquetWindows)
}

/// Reads the width out of the extras of a tail.
pub(crate) fn take_width(extras: &[u8]) -> Result<i64, SegmentError> {
    let extras = frame::decompress(extras, "window width")?;
    let mut cursor = Cursor::new(&extras, "window width");
    let width = cursor.varint()?;
    cursor.finish()?;
    if width == 0 || width > WIDTH_MS_MAX {
        return Err(SegmentError::corrupt(format!("window width is {width} ms")));
    }
    Ok(width as i64)
}

impl Index {
    /// Opens the tail: the bytes from `tail_offset` (or earlier) to the end of the object. Checksums are verified (S2).
    ///
    /// # Errors
    /// `Corrupt`, `Version`.
    pub fn open_tail(tail: &Bytes, tail_offset: u64) -> Result<Index, SegmentError> {
        let series = metrics::Index::open_tail(tail, tail_offset)?;
        Index::of(series).ok_or_else(|| SegmentError::corrupt("object holds no windows"))
    }

    pub(crate) fn of(series: metrics::Index) -> Option<Index> {
        let width_ms = series.width_ms()?;
        Some(Index { series, width_ms })
    }

    /// Returns the width of its windows, milliseconds.
    pub fn width_ms(&self) -> i64 {
        self.width_ms
    }

    /// Counts the series.
    pub fn series_len(&self) -> usize {
        self.series.series_len()
    }

    /// Returns the labels of a series.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn labels(&self, ordinal: u32) -> LabelSet {
        self.table().labels(ordinal as usize)
    }

    /// Returns slot, number of windows, first and last time of a series.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn extent(&self, ordinal: u32) -> Extent {
        self.series.extent(ordinal)
    }

    /// Reports whether the windows of a series are of native histograms: they say how many there were, and the samples that matter lie in
    /// a segment of samples of the same copy.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn is_of_histograms(&self, ordinal: u32) -> bool {
        self.series.has_histograms(ordinal)
    }

    pub(crate) fn table(&self) -> &Table {
        self.series.table()
    }

    pub(crate) fn layout(&self) -> &Layout {
        self.series.layout().expect("windows are in Parquet")
    }

    /// Returns what [`Index::decode_ordinals`] will read; `ordinals` ascend.
    pub fn plan_ordinals(&self, ordinals: &[u32], projection: Projection) -> Reads {
        if ordinals.is_empty() {
            return Reads::default();
        }
        reader::plan(self.layout(), self.table(), &self.series.places(ordinals), projection)
    }

    /// Decodes the windows of some series, in the order of `ordinals`, which ascend.
    ///
    /// # Errors
    /// `NotFetched` where a planned range is missing, `Corrupt` where a checksum or a promise of the format fails.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn decode_ordinals(
        &self,
        ordinals: &[u32],
        projection: Projection,
        fetched: &Fetched,
    ) -> Result<WindowColumns, SegmentError> {
        assert!(ordinals.windows(2).all(|pair| pair[0] < pair[1]), "ordinals ascend");
        if ordinals.is_empty() {
            return Ok(WindowColumns::default());
        }
        let places = self.series.places(ordinals);
        reader::decode(self.layout(), self.table(), (&places, self.width_ms), projection, fetched)
    }
}
