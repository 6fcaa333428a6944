//! Reading segments of windows: the coarse copies of metrics (5m, 1h).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use model::windowed::Window;
use model::{LabelSet, Matcher, TimeRangeMs, TimestampMs};

use crate::columnar::{Layout, windows_reader as reader};
use crate::cursor::Cursor;
use crate::frame::{self, Kind};
use crate::metrics::Place;
use crate::table::Table;
use crate::{Fetched, SegmentError};

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

/// The opened tail of a segment of windows. Cheap to clone, immutable, cacheable.
#[derive(Clone, Debug)]
pub struct Index {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    table: Table,
    layout: Layout,
    width_ms: i64,
}

/// A window is at most a day long.
const WIDTH_MS_MAX: u64 = 86_400_000;

/// Reports whether a tail is that of a segment of windows; whoever opens it says what else is wrong with it.
pub fn is_windows(tail: &Bytes, tail_offset: u64) -> bool {
    frame::open_tail(tail, tail_offset).is_ok_and(|tail| tail.seal.kind == Kind::ParquetWindows)
}

impl Index {
    /// Opens the tail: the bytes from `tail_offset` (or earlier) to the end of the object. Checksums are verified (S2).
    ///
    /// # Errors
    /// `Corrupt`, `Version`.
    pub fn open_tail(tail: &Bytes, tail_offset: u64) -> Result<Index, SegmentError> {
        let parts = frame::open_tail(tail, tail_offset)?;
        if parts.seal.kind != Kind::ParquetWindows {
            return Err(SegmentError::corrupt("object holds no windows"));
        }
        let raw = frame::decompress(parts.index, "label table")?;
        let mut cursor = Cursor::new(&raw, "label table");
        let table = Table::decode(parts.version, &mut cursor)?;
        cursor.finish()?;
        let layout = Layout::open(tail, tail_offset, parts.version, parts.sums, table.rows_sum())?;
        let extras = frame::decompress(parts.extras, "window width")?;
        let mut cursor = Cursor::new(&extras, "window width");
        let width = cursor.varint()?;
        cursor.finish()?;
        if width == 0 || width > WIDTH_MS_MAX {
            return Err(SegmentError::corrupt(format!("window width is {width} ms")));
        }
        Ok(Index { inner: Arc::new(Inner { table, layout, width_ms: width as i64 }) })
    }

    /// Returns the width of its windows, milliseconds.
    pub fn width_ms(&self) -> i64 {
        self.inner.width_ms
    }

    /// Counts the series.
    pub fn series_len(&self) -> usize {
        self.inner.table.len()
    }

    /// Counts the windows.
    pub fn rows(&self) -> u64 {
        self.inner.table.rows_sum()
    }

    /// Returns the bytes this index keeps in memory, for a cache's accounting.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Inner>() + self.inner.table.memory_bytes() + self.inner.layout.memory_bytes()
    }

    /// Returns the ordinals of the series that all matchers accept and whose samples overlap `range`, ascending.
    pub fn ordinals(&self, matchers: &[Matcher], range: TimeRangeMs) -> Vec<u32> {
        let mut ordinals = self.inner.table.select(matchers);
        ordinals.retain(|ordinal| {
            let row = self.inner.table.row(*ordinal as usize);
            row.first < range.end.0 && row.last >= range.start.0
        });
        ordinals
    }

    /// Returns the labels of a series.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn labels(&self, ordinal: u32) -> LabelSet {
        self.inner.table.labels(ordinal as usize)
    }

    /// Appends the canonical label set of a series to `out`.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn encode_labels(&self, ordinal: u32, out: &mut Vec<u8>) {
        self.inner.table.encode_labels(ordinal as usize, out);
    }

    /// Returns slot, number of windows, first and last time of a series.
    ///
    /// # Panics
    /// If the segment has no such ordinal.
    pub fn extent(&self, ordinal: u32) -> crate::metrics::Extent {
        let row = self.inner.table.row(ordinal as usize);
        let (first, last) = (TimestampMs(row.first), TimestampMs(row.last));
        crate::metrics::Extent { slot: model::Slot(row.slot), rows: row.rows, first, last }
    }

    pub(crate) fn table(&self) -> &Table {
        &self.inner.table
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// Returns the byte ranges that [`Index::decode_ordinals`] will read; `ordinals` ascend.
    pub fn plan_ordinals(&self, ordinals: &[u32], projection: Projection) -> Vec<Range<u64>> {
        if ordinals.is_empty() {
            return Vec::new();
        }
        reader::plan(&self.inner.layout, &self.inner.table, &self.places(ordinals), projection)
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
        let places = self.places(ordinals);
        reader::decode(&self.inner.layout, &self.inner.table, (&places, self.inner.width_ms), projection, fetched)
    }

    fn places(&self, ordinals: &[u32]) -> Vec<Place> {
        let place = |ordinal: &u32| Place { ordinal: *ordinal, rows: self.inner.table.row_range(*ordinal as usize) };
        ordinals.iter().map(place).collect()
    }
}
