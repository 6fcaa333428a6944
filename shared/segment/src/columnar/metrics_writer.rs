//! Writing metrics as series-major typed rows.

use std::collections::HashMap;

use model::{Histogram, LabelSet, SeriesId, Slot};
use parquet::basic::Encoding;
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnDescPtr;

use super::runs::{self, Dictionary};
use super::values::{self, Chunk, Values};
use super::{open_writer, parquet_error, properties, seal, with_encoding};
use crate::extras::Extras;
use crate::frame::{self, Kind};
use crate::histogram::hint_code;
use crate::limits::{METRIC_ROWS_PER_GROUP, ROWS_PER_PAGE};
use crate::merge::Effort;
use crate::rows::SeriesRows;
use crate::scale::{Split, divisor};
use crate::schema::{self, MetricsShape};
use crate::table::{Row, TableBuilder, columns};
use crate::{Encoded, SegmentError, l0};

/// Writes one metrics file, series by series in segment order.
pub(crate) struct MetricsWriter {
    shape: MetricsShape,
    writer: SerializedFileWriter<Vec<u8>>,
    table: TableBuilder,
    group: Group,
    extras: Extras,
    effort: Effort,
    /// Last `v_int` written: the next series starts there.
    chain: i64,
    /// Counted as they come: it is asked for each series.
    rows: u64,
    last: Option<(String, u16, SeriesId)>,
}

/// Where the chain of `v_int` starts again at 0.
const CHAIN_MAX: i64 = 1 << 60;

/// The row group in the making. Levels are Parquet's: 0 null, 1 present.
#[derive(Default)]
struct Group {
    /// (ordinal, rows).
    runs: Vec<(u32, u32)>,
    ts: Vec<i64>,
    int_levels: Vec<i16>,
    ints: Vec<i64>,
    double_levels: Vec<i16>,
    doubles: Vec<f64>,
    start_levels: Vec<i16>,
    starts: Vec<i64>,
    histogram_levels: Vec<i16>,
    histograms: Vec<Histogram>,
}

/// A row group being written, column by column in the order of the schema.
pub(super) struct RowGroup<'a> {
    writer: SerializedRowGroupWriter<'a, Vec<u8>>,
    columns: Vec<ColumnDescPtr>,
    next: usize,
    rows_per_page: usize,
}

impl<'a> RowGroup<'a> {
    pub(super) fn start(file: &'a mut SerializedFileWriter<Vec<u8>>, rows_per_page: usize) -> Result<RowGroup<'a>, SegmentError> {
        let columns = file.schema_descr().columns().to_vec();
        let writer = file.next_row_group().map_err(parquet_error("start row group"))?;
        Ok(RowGroup { writer, columns, next: 0, rows_per_page })
    }

    pub(super) fn close(self) -> Result<(), SegmentError> {
        assert_eq!(self.next, self.columns.len(), "every column of the schema was written");
        self.writer.close().map_err(parquet_error("end row group"))?;
        Ok(())
    }
}

impl MetricsWriter {
    pub(crate) fn new(shape: MetricsShape, effort: Effort) -> Result<MetricsWriter, SegmentError> {
        let schema = schema::metrics(&shape).map_err(parquet_error("build schema"))?;
        let mut builder = properties();
        builder = with_encoding(builder, schema::ST, Encoding::DELTA_BINARY_PACKED);
        let writer = open_writer(schema, builder)?;
        Ok(MetricsWriter {
            shape,
            writer,
            table: TableBuilder::default(),
            group: Group::default(),
            extras: Extras::default(),
            effort,
            chain: 0,
            rows: 0,
            last: None,
        })
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns about how many bytes the file has so far.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.bytes_written() + self.group.ts.len() * 2
    }

    pub(crate) fn series_len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn extras_mut(&mut self) -> &mut Extras {
        &mut self.extras
    }

    /// Appends a settled series. A series without rows stands for its exemplars.
    ///
    /// # Panics
    /// If series do not ascend by (metric name, slot, id).
    pub(crate) fn push(&mut self, labels: &LabelSet, slot: Slot, rows: &SeriesRows) -> Result<(), SegmentError> {
        let key = (labels.metric_name().unwrap_or("").to_owned(), slot.0, SeriesId::of(labels));
        assert!(self.last.as_ref().is_none_or(|last| *last <= key), "series are written in segment order");
        self.last = Some(key);
        let mut split = Split::of(&rows.values);
        let base = self.chained(&mut split.ints);
        let (first, last) = rows.times().unwrap_or((0, 0));
        let mut used = 0;
        used |= if split.ints.is_empty() { 0 } else { columns::INT };
        used |= if split.doubles.is_empty() { 0 } else { columns::DOUBLE };
        used |= if rows.histograms.is_empty() { 0 } else { columns::HISTOGRAM };
        used |= if rows.any_start() { columns::START } else { 0 };
        let extra = rows.histograms.len() as u64;
        let row = Row { slot: slot.0, rows: rows.len() as u64, first, last, columns: used, scale: split.scale, extra, base };
        let ordinal = self.table.len() as u32;
        self.table.push(labels.encoded(), row);
        self.rows += rows.len() as u64;
        self.push_rows(ordinal, rows, &split)
    }

    /// Shifts the integers of a series so that they go on where the last series ended: a jump would widen the packing of
    /// all its neighbours. Returns what has to be added to get them back.
    fn chained(&mut self, ints: &mut [i64]) -> i64 {
        let Some(first) = ints.first().copied() else { return 0 };
        // Scaled integers stay below 2^51, so that nothing here overflows.
        let chain = if self.chain.abs() < CHAIN_MAX { self.chain } else { 0 };
        let base = first - chain;
        ints.iter_mut().for_each(|int| *int -= base);
        self.chain = ints.last().copied().unwrap_or(chain);
        base
    }

    fn push_rows(&mut self, ordinal: u32, rows: &SeriesRows, split: &Split) -> Result<(), SegmentError> {
        if rows.histograms.is_empty() {
            return self.push_floats(ordinal, rows, split);
        }
        let mut places = Vec::with_capacity(rows.len());
        rows.interleave(|timestamp, place| places.push((timestamp, place)));
        let (mut int, mut double) = (0, 0);
        for (timestamp, place) in places {
            self.make_room()?;
            let group = &mut self.group;
            group.ts.push(timestamp);
            let (is_int, is_double, start) = match place {
                Ok(float) => (split.is_int[float], !split.is_int[float], rows.starts[float]),
                Err(histogram) => {
                    group.histograms.push(rows.histograms[histogram].histogram.clone());
                    (false, false, rows.histograms[histogram].start_timestamp.0)
                }
            };
            if is_int {
                group.ints.push(split.ints[int]);
                int += 1;
            }
            if is_double {
                group.doubles.push(split.doubles[double]);
                double += 1;
            }
            group.int_levels.push(i16::from(is_int));
            group.double_levels.push(i16::from(is_double));
            group.histogram_levels.push(i16::from(place.is_err()));
            group.push_start(self.shape.starts, start);
            group.add_run(ordinal, 1);
        }
        Ok(())
    }

    /// The common case: no histograms, so columns are copied in pieces.
    fn push_floats(&mut self, ordinal: u32, rows: &SeriesRows, split: &Split) -> Result<(), SegmentError> {
        let (mut at, mut int, mut double) = (0, 0, 0);
        while at < rows.timestamps.len() {
            self.make_room()?;
            let group = &mut self.group;
            let end = rows.timestamps.len().min(at + METRIC_ROWS_PER_GROUP - group.ts.len());
            group.ts.extend_from_slice(&rows.timestamps[at..end]);
            let ints = split.is_int[at..end].iter().filter(|is_int| **is_int).count();
            let doubles = end - at - ints;
            group.ints.extend_from_slice(&split.ints[int..int + ints]);
            group.doubles.extend_from_slice(&split.doubles[double..double + doubles]);
            group.int_levels.extend(split.is_int[at..end].iter().map(|is_int| i16::from(*is_int)));
            group.double_levels.extend(split.is_int[at..end].iter().map(|is_int| i16::from(!is_int)));
            if self.shape.histograms {
                group.histogram_levels.resize(group.ts.len(), 0);
            }
            if self.shape.starts {
                rows.starts[at..end].iter().for_each(|start| group.push_start(true, *start));
            }
            group.add_run(ordinal, (end - at) as u32);
            (at, int, double) = (end, int + ints, double + doubles);
        }
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), SegmentError> {
        if self.group.ts.len() >= METRIC_ROWS_PER_GROUP { self.flush() } else { Ok(()) }
    }

    /// Writes the row group, column by column in the order of the schema.
    fn flush(&mut self) -> Result<(), SegmentError> {
        let group = std::mem::take(&mut self.group);
        if group.ts.is_empty() {
            return Ok(());
        }
        let mut writer = RowGroup::start(&mut self.writer, ROWS_PER_PAGE)?;
        let series_ids = by_series(&self.table, &group.runs, |series, _| Some(series_id(&self.table, series).0));
        write_runs(&mut writer, series_ids)?;
        let bounds = group.ts.iter().copied().min().zip(group.ts.iter().copied().max());
        write_numbers(&mut writer, Chunk { values: Values::Ints(&group.ts), levels: None }, self.effort, bounds)?;
        let scales = by_series(&self.table, &group.runs, |_, row| Some(divisor(row.scale).to_bits()));
        write_runs(&mut writer, scales)?;
        let bases = by_series(&self.table, &group.runs, |_, row| Some(row.base as u64));
        write_runs(&mut writer, bases)?;
        let ints = Chunk { values: Values::Ints(&group.ints), levels: Some(&group.int_levels) };
        write_numbers(&mut writer, ints, self.effort, None)?;
        let doubles = Chunk { values: Values::Doubles(&group.doubles), levels: Some(&group.double_levels) };
        write_numbers(&mut writer, doubles, self.effort, None)?;
        if self.shape.starts {
            write_values::<Int64Type>(&mut writer, &group.starts, Some(&group.start_levels), None)?;
        }
        if self.shape.histograms {
            write_histograms(&mut writer, &group)?;
        }
        write_labels(&mut writer, &self.table, &self.shape.labels, self.shape.labels_rest, &group.runs)?;
        writer.close()
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<Encoded, SegmentError> {
        self.flush()?;
        self.extras.settle();
        let extras = if self.extras.is_empty() { Vec::new() } else { frame::compress(&self.extras.encode(), super::ZSTD_LEVEL)? };
        let stats = l0::metrics_stats(&self.table, &self.extras);
        let (bytes, tail_offset) = seal(self.writer, Kind::ParquetMetrics, &self.table, &extras)?;
        Ok(Encoded { bytes: bytes.into(), stats, tail_offset })
    }
}

impl Group {
    fn add_run(&mut self, ordinal: u32, rows: u32) {
        match self.runs.last_mut() {
            Some(last) if last.0 == ordinal => last.1 += rows,
            _ => self.runs.push((ordinal, rows)),
        }
    }

    fn push_start(&mut self, wanted: bool, start: i64) {
        if wanted {
            self.start_levels.push(i16::from(start != 0));
            if start != 0 {
                self.starts.push(start);
            }
        }
    }
}

pub(super) fn series_id(table: &TableBuilder, series: usize) -> SeriesId {
    let mut encoded = Vec::with_capacity(256);
    table.pairs_of(series).for_each(|(name, value, _)| model::labels::encode_label(&mut encoded, name, value));
    SeriesId::of_encoded(&encoded)
}

/// A column that is constant along each series.
pub(super) struct RunColumn {
    pub(super) dictionary: Dictionary,
    pub(super) runs: Vec<(Option<u32>, u32)>,
}

/// Builds a run column of 64-bit words.
pub(super) fn by_series(
    table: &TableBuilder,
    runs: &[(u32, u32)],
    mut word: impl FnMut(usize, &Row) -> Option<u64>,
) -> RunColumn {
    let mut ids: HashMap<u64, u32> = HashMap::new();
    let mut plain = Vec::new();
    let entries = runs.iter().map(|(ordinal, len)| {
        let word = word(*ordinal as usize, table.row(*ordinal as usize));
        let id = word.map(|word| {
            let next = ids.len() as u32;
            *ids.entry(word).or_insert_with(|| {
                plain.extend_from_slice(&word.to_le_bytes());
                next
            })
        });
        (id, *len)
    });
    let runs = entries.collect();
    RunColumn { dictionary: Dictionary { plain, len: ids.len() as u32, bounds: None }, runs }
}

/// Writes the columns of labels, the last ones of every schema; `rest`: those without a column follow as a map.
pub(super) fn write_labels(
    writer: &mut RowGroup<'_>,
    table: &TableBuilder,
    labels: &[String],
    rest: bool,
    runs: &[(u32, u32)],
) -> Result<(), SegmentError> {
    for label in labels {
        write_runs(writer, label_runs(table, label, runs))?;
    }
    if rest { write_label_map(writer, table, labels, runs) } else { Ok(()) }
}

/// Builds the run column of a label.
fn label_runs(table: &TableBuilder, label: &str, runs: &[(u32, u32)]) -> RunColumn {
    let mut ids: HashMap<u32, u32> = HashMap::new();
    let mut plain = Vec::new();
    let mut bounds: Option<(Vec<u8>, Vec<u8>)> = None;
    let entries = runs.iter().map(|(ordinal, len)| {
        let pair = table.pairs_of(*ordinal as usize).find(|(name, _, _)| *name == label.as_bytes());
        let id = pair.map(|(_, value, pair)| {
            let next = ids.len() as u32;
            *ids.entry(pair).or_insert_with(|| {
                plain.extend_from_slice(&(value.len() as u32).to_le_bytes());
                plain.extend_from_slice(value);
                let (min, max) = bounds.get_or_insert_with(|| (value.to_vec(), value.to_vec()));
                if value < &min[..] {
                    *min = value.to_vec();
                }
                if value > &max[..] {
                    *max = value.to_vec();
                }
                next
            })
        });
        (id, *len)
    });
    let runs = entries.collect();
    RunColumn { dictionary: Dictionary { plain, len: ids.len() as u32, bounds }, runs }
}

pub(super) fn write_runs(writer: &mut RowGroup<'_>, column: RunColumn) -> Result<(), SegmentError> {
    let error = parquet_error("write run column");
    let descr = writer.columns[writer.next].clone();
    writer.next += 1;
    let (bytes, close) = runs::encode(descr, column.dictionary, &column.runs).map_err(&error)?;
    writer.writer.append_column(&bytes, close).map_err(&error)
}

/// Writes a column of numbers, each page as small as it gets.
pub(super) fn write_numbers(
    writer: &mut RowGroup<'_>,
    chunk: Chunk<'_>,
    effort: Effort,
    bounds: Option<(i64, i64)>,
) -> Result<(), SegmentError> {
    let error = parquet_error("write column of numbers");
    let descr = writer.columns[writer.next].clone();
    writer.next += 1;
    let (bytes, close) = values::encode(descr, chunk, (effort, writer.rows_per_page), bounds).map_err(&error)?;
    writer.writer.append_column(&bytes, close).map_err(&error)
}

pub(super) fn write_values<T: DataType>(
    writer: &mut RowGroup<'_>,
    values: &[T::T],
    levels: Option<&[i16]>,
    repetition: Option<&[i16]>,
) -> Result<(), SegmentError> {
    let error = parquet_error("write column");
    writer.next += 1;
    let mut column = writer.writer.next_column().map_err(&error)?.expect("the schema has the column being written");
    let typed: &mut ColumnWriterImpl<'_, T> = column.typed::<T>();
    typed.write_batch(values, levels, repetition).map_err(&error)?;
    column.close().map_err(&error)
}

fn write_histograms(writer: &mut RowGroup<'_>, group: &Group) -> Result<(), SegmentError> {
    let (levels, all) = (&group.histogram_levels, &group.histograms);
    let ints: [fn(&Histogram) -> i32; 2] = [|h| h.schema, |h| i32::from(hint_code(h.counter_reset_hint))];
    for int in ints {
        write_values::<Int32Type>(writer, &all.iter().map(int).collect::<Vec<_>>(), Some(levels), None)?;
    }
    let doubles: [fn(&Histogram) -> f64; 4] = [|h| h.zero_threshold, |h| h.zero_count, |h| h.count, |h| h.sum];
    for double in doubles {
        write_values::<DoubleType>(writer, &all.iter().map(double).collect::<Vec<_>>(), Some(levels), None)?;
    }
    let spans: [fn(&Histogram) -> Vec<i32>; 4] = [
        |h| h.positive_spans.iter().map(|span| span.offset).collect(),
        |h| h.positive_spans.iter().map(|span| span.length as i32).collect(),
        |h| h.negative_spans.iter().map(|span| span.offset).collect(),
        |h| h.negative_spans.iter().map(|span| span.length as i32).collect(),
    ];
    for list in spans {
        write_lists::<Int32Type>(writer, levels, all, list)?;
    }
    let lists: [fn(&Histogram) -> Vec<f64>; 3] =
        [|h| h.positive_buckets.clone(), |h| h.negative_buckets.clone(), |h| h.custom_values.clone()];
    for list in lists {
        write_lists::<DoubleType>(writer, levels, all, list)?;
    }
    Ok(())
}

/// Writes one list per histogram: level 0 no histogram, 1 an empty list, 2 an element.
fn write_lists<T: DataType>(
    writer: &mut RowGroup<'_>,
    rows: &[i16],
    histograms: &[Histogram],
    list: fn(&Histogram) -> Vec<T::T>,
) -> Result<(), SegmentError> {
    let (mut values, mut levels, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
    let mut histograms = histograms.iter();
    for row in rows {
        let items = match row {
            0 => None,
            _ => histograms.next().map(list),
        };
        let len = items.as_ref().map_or(0, Vec::len);
        if len == 0 {
            levels.push(i16::from(items.is_some()));
            repetition.push(0);
        }
        for index in 0..len {
            levels.push(2);
            repetition.push(i16::from(index > 0));
        }
        values.extend(items.into_iter().flatten());
    }
    write_values::<T>(writer, &values, Some(&levels), Some(&repetition))
}

/// Writes the labels that have no column, once per row.
fn write_label_map(
    writer: &mut RowGroup<'_>,
    table: &TableBuilder,
    with_column: &[String],
    runs: &[(u32, u32)],
) -> Result<(), SegmentError> {
    let (mut keys, mut values, mut levels, mut repetition) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (ordinal, len) in runs {
        let rest = table.pairs_of(*ordinal as usize);
        let rest = rest.filter(|(name, _, _)| !with_column.iter().any(|column| column.as_bytes() == *name));
        let rest: Vec<(ByteArray, ByteArray)> =
            rest.map(|(name, value, _)| (ByteArray::from(name.to_vec()), ByteArray::from(value.to_vec()))).collect();
        for _ in 0..*len {
            if rest.is_empty() {
                levels.push(0);
                repetition.push(0);
            }
            for (index, (key, value)) in rest.iter().enumerate() {
                keys.push(key.clone());
                values.push(value.clone());
                levels.push(1);
                repetition.push(i16::from(index > 0));
            }
        }
    }
    write_values::<ByteArrayType>(writer, &keys, Some(&levels), Some(&repetition))?;
    write_values::<ByteArrayType>(writer, &values, Some(&levels), Some(&repetition))
}
