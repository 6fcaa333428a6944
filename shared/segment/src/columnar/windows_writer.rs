//! Writing windows (5m, 1h): one row per series and window, the columns of [`Window`].
//!
//! Values are integers where the series' scale makes them so, as samples are ([`super::windows_values`]). What a monotone counter or a
//! constant gauge does not need is null: `min` and `max` where first or last say the same, `lost`, `resets`, `changes`, `m2` where they are 0.

use model::windowed::{NEVER, Quantum, Window};
use model::{LabelSet, SeriesId, Slot};
use parquet::file::writer::SerializedFileWriter;

use super::metrics_writer::{RowGroup, by_series, series_id, write_labels, write_numbers, write_runs};
use super::values::{Chunk, Values};
use super::windows_values::{CHAINED_SINCE, Cell, Cells, Chain, short_m2};
use super::{open_writer, parquet_error, properties, seal};
use crate::extras::Extras;
use crate::frame::{self, Kind};
use crate::limits::{WINDOW_ROWS_PER_GROUP, WINDOW_ROWS_PER_PAGE};
use crate::merge::Effort;
use crate::scale::{Split, divisor, to_int};
use crate::schema::{self, LabelShape};
use crate::table::{Row, TableBuilder, columns};
use crate::{Encoded, SegmentError, l0};
use model::labels::put_varint;

/// Writes one file of windows, series by series in segment order.
pub(crate) struct WindowsWriter {
    width_ms: i64,
    shape: LabelShape,
    writer: SerializedFileWriter<Vec<u8>>,
    table: TableBuilder,
    group: Group,
    last: Option<(String, u16, SeriesId)>,
}

/// What windows are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Of {
    /// Float samples.
    Floats,
    /// Native histograms: they are counted, and have no values.
    Histograms,
}

/// A nullable column in the making. Levels are Parquet's: 0 null, 1 present.
struct Column<T> {
    levels: Vec<i16>,
    values: Vec<T>,
}

impl<T> Default for Column<T> {
    fn default() -> Column<T> {
        Column { levels: Vec::new(), values: Vec::new() }
    }
}

impl<T> Column<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

/// A value as an integer or a double, or neither.
#[derive(Default)]
struct Pair {
    ints: Column<i64>,
    doubles: Column<f64>,
}

impl Pair {
    fn push(&mut self, value: Option<Cell>) {
        self.ints.push(value.and_then(Result::ok));
        self.doubles.push(value.and_then(Result::err));
    }
}

/// The row group in the making.
#[derive(Default)]
struct Group {
    /// (ordinal, rows).
    runs: Vec<(u32, u32)>,
    ends: Vec<i64>,
    counts: Vec<i64>,
    first_age: Column<i64>,
    last_age: Column<i64>,
    /// In the order of [`schema::WINDOW_VALUES`].
    values: [Pair; schema::WINDOW_VALUES.len()],
    sum_off: Column<f64>,
    resets: Column<i64>,
    changes: Column<i64>,
    m2: Column<f64>,
    stale_age: Column<i64>,
}

impl WindowsWriter {
    pub(crate) fn new(width_ms: i64, shape: LabelShape) -> Result<WindowsWriter, SegmentError> {
        let schema = schema::windows(&shape).map_err(parquet_error("build schema"))?;
        let writer = open_writer(schema, properties())?;
        Ok(WindowsWriter { width_ms, shape, writer, table: TableBuilder::default(), group: Group::default(), last: None })
    }

    /// Returns about how many bytes the file has so far.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.group.ends.len() * 16
    }

    pub(crate) fn series_len(&self) -> usize {
        self.table.len()
    }

    /// Appends the windows of a series, of which there is at least one.
    ///
    /// # Panics
    /// If series do not ascend by (metric name, slot, id), or windows by end.
    pub(crate) fn push(&mut self, labels: &LabelSet, slot: Slot, of: Of, windows: &[Window]) -> Result<(), SegmentError> {
        let key = (labels.metric_name().unwrap_or("").to_owned(), slot.0, SeriesId::of(labels));
        assert!(self.last.as_ref().is_none_or(|last| *last <= key), "series are written in segment order");
        assert!(windows.windows(2).all(|pair| pair[0].end < pair[1].end), "windows ascend");
        self.last = Some(key);
        let scale = scale_of(windows);
        let base = windows.iter().find(|window| window.count > 0).and_then(|window| to_int(window.first, divisor(scale)));
        let base = base.unwrap_or(0);
        let (first, last) = times(windows).expect("a series has a window, and a window a time");
        // Decoders of samples know which of the two columns of values a series uses; windows may use both.
        let used = if of == Of::Histograms { columns::HISTOGRAM } else { columns::INT | columns::DOUBLE };
        let quantum = windows.iter().fold(Quantum::OF_ZERO, |all, window| all.and(window.quantum));
        let row =
            Row { slot: slot.0, rows: windows.len() as u64, first, last, columns: used, scale, extra: quantum.code(), base };
        let mut chain = (of == Of::Floats).then(|| Chain::new(CHAINED_SINCE, divisor(scale), base, quantum));
        let ordinal = self.table.len() as u32;
        self.table.push(labels.encoded(), row);
        for window in windows {
            if self.group.ends.len() >= WINDOW_ROWS_PER_GROUP {
                self.flush()?;
            }
            self.group.push(ordinal, window, chain.as_mut());
        }
        Ok(())
    }

    /// Writes the row group, column by column in the order of the schema.
    fn flush(&mut self) -> Result<(), SegmentError> {
        let group = std::mem::take(&mut self.group);
        if group.ends.is_empty() {
            return Ok(());
        }
        let mut writer = RowGroup::start(&mut self.writer, WINDOW_ROWS_PER_PAGE)?;
        write_runs(&mut writer, by_series(&self.table, &group.runs, |series, _| Some(series_id(&self.table, series).0)))?;
        let bounds = group.ends.iter().copied().min().zip(group.ends.iter().copied().max());
        write_numbers(&mut writer, Chunk { values: Values::Ints(&group.ends), levels: None }, Effort::Small, bounds)?;
        write_runs(&mut writer, by_series(&self.table, &group.runs, |_, row| Some(divisor(row.scale).to_bits())))?;
        write_runs(&mut writer, by_series(&self.table, &group.runs, |_, row| Some(row.base as u64)))?;
        write_numbers(&mut writer, Chunk { values: Values::Ints(&group.counts), levels: None }, Effort::Small, None)?;
        write_ints(&mut writer, &group.first_age)?;
        write_ints(&mut writer, &group.last_age)?;
        for pair in &group.values {
            write_ints(&mut writer, &pair.ints)?;
            write_doubles(&mut writer, &pair.doubles)?;
        }
        write_doubles(&mut writer, &group.sum_off)?;
        write_ints(&mut writer, &group.resets)?;
        write_ints(&mut writer, &group.changes)?;
        write_doubles(&mut writer, &group.m2)?;
        write_ints(&mut writer, &group.stale_age)?;
        write_labels(&mut writer, &self.table, &self.shape.labels, self.shape.labels_rest, &group.runs)?;
        writer.close()
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<Encoded, SegmentError> {
        self.flush()?;
        let mut width = Vec::new();
        put_varint(&mut width, self.width_ms.unsigned_abs());
        let extras = frame::compress(&width, super::ZSTD_LEVEL)?;
        let stats = l0::metrics_stats(&self.table, &Extras::default());
        let (bytes, tail_offset) = seal(self.writer, Kind::ParquetWindows, &self.table, &extras)?;
        Ok(Encoded { bytes: bytes.into(), stats, tail_offset })
    }
}

fn write_ints(writer: &mut RowGroup<'_>, column: &Column<i64>) -> Result<(), SegmentError> {
    let chunk = Chunk { values: Values::Ints(&column.values), levels: Some(&column.levels) };
    write_numbers(writer, chunk, Effort::Small, None)
}

fn write_doubles(writer: &mut RowGroup<'_>, column: &Column<f64>) -> Result<(), SegmentError> {
    let chunk = Chunk { values: Values::Doubles(&column.values), levels: Some(&column.levels) };
    write_numbers(writer, chunk, Effort::Small, None)
}

/// Chooses the scale by the samples at the windows' edges.
fn scale_of(windows: &[Window]) -> i8 {
    let kept = windows.iter().filter(|window| window.count > 0);
    Split::of(&kept.flat_map(|window| [window.first, window.last]).collect::<Vec<f64>>()).scale
}

/// Returns the first and last time that the windows know of.
fn times(windows: &[Window]) -> Option<(i64, i64)> {
    let first = |window: &Window| if window.count > 0 { window.first_at } else { window.stale_at };
    let last = |window: &Window| if window.count > 0 { window.last_at.max(window.stale_at) } else { window.stale_at };
    Some((first(windows.first()?), last(windows.last()?)))
}

impl Group {
    fn push(&mut self, ordinal: u32, window: &Window, chain: Option<&mut Chain>) {
        match self.runs.last_mut() {
            Some(last) if last.0 == ordinal => last.1 += 1,
            _ => self.runs.push((ordinal, 1)),
        }
        self.ends.push(window.end);
        self.counts.push(window.count as i64);
        let known = window.count > 0;
        self.first_age.push(known.then(|| window.end - window.first_at));
        self.last_age.push(known.then(|| window.end - window.last_at));
        let cells = chain.filter(|_| known).map_or_else(Cells::default, |chain| chain.encode(window));
        self.values.iter_mut().zip(cells.values).for_each(|(pair, cell)| pair.push(cell));
        self.sum_off.push(cells.sum_off);
        self.resets.push((known && window.resets > 0).then_some(i64::from(window.resets)));
        self.changes.push((known && window.changes > 0).then_some(i64::from(window.changes)));
        // Never exact, and a column of noise: a few of its digits are kept.
        let m2 = short_m2(window.m2);
        self.m2.push((known && m2.to_bits() != 0).then_some(m2));
        self.stale_age.push((window.stale_at != NEVER).then(|| window.end - window.stale_at));
    }
}
