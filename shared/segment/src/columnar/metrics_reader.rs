//! Reading metrics out of Parquet pages: whole column ranges once, then sliced by series.

use std::ops::Range;

use model::{Histogram, Span, TimestampMs};
use parquet::data_type::{DataType, DoubleType, Int32Type, Int64Type};

use super::Layout;
use super::pages::read_error;
use crate::fetched::coalesce;
use crate::histogram::{hint_of, verify_spans};
use crate::metrics::{HistogramSample, Place, Projection, Reads, SeriesColumns};
use crate::scale::divisor;
use crate::schema;
use crate::table::{Table, columns};
use crate::{Fetched, SegmentError};

/// Rows of selected series in one row group that lie side by side.
pub(super) type Runs = Vec<Range<u64>>;

/// Returns, per row group, the joined rows of the entries that use one of the columns in `mask` (0: all).
pub(super) fn runs(layout: &Layout, table: &Table, entries: &[Place], mask: u8) -> Vec<(usize, Runs)> {
    let mut groups: Vec<(usize, Runs)> = Vec::new();
    for entry in entries {
        if mask != 0 && table.row(entry.ordinal as usize).columns & mask == 0 {
            continue;
        }
        for (group, rows) in layout.cut(&entry.rows) {
            match groups.last_mut() {
                Some((last, runs)) if *last == group => match runs.last_mut() {
                    Some(run) if run.end == rows.start => run.end = rows.end,
                    _ => runs.push(rows),
                },
                _ => groups.push((group, vec![rows])),
            }
        }
    }
    groups
}

/// The columns that a projection reads, each with the bits of the series that use it.
fn wanted(projection: Projection) -> Vec<(&'static str, u8)> {
    let mut wanted = vec![(schema::TS, 0)];
    // Which rows are histograms is told by the value columns, so these come along even for timestamps alone.
    let mask = if projection.values { 0 } else { columns::HISTOGRAM };
    let bits = |bit: u8| if mask == 0 { bit } else { mask };
    wanted.push((schema::V_INT, bits(columns::INT)));
    wanted.push((schema::V_DBL, bits(columns::DOUBLE)));
    if projection.start_timestamps {
        wanted.push((schema::ST, columns::START));
    }
    wanted
}

fn histogram_paths() -> impl Iterator<Item = String> {
    let flat = schema::HIST_INTS.iter().chain(&schema::HIST_DOUBLES).map(|name| format!("{}.{name}", schema::HIST));
    let lists =
        schema::HIST_SPANS.iter().chain(&schema::HIST_BUCKETS).map(|name| format!("{}.{name}.list.element", schema::HIST));
    flat.chain(lists)
}

pub(crate) fn plan(layout: &Layout, table: &Table, entries: &[Place], projection: Projection) -> Reads {
    let mut ranges = Vec::new();
    let mut add = |path: &str, mask: u8| {
        if let Some(column) = layout.column(path) {
            for (group, rows) in runs(layout, table, entries, mask) {
                layout.plan(group, column, &rows, &mut ranges);
            }
        }
    };
    wanted(projection).into_iter().for_each(|(path, mask)| add(path, mask));
    histogram_paths().for_each(|path| add(&path, columns::HISTOGRAM));
    let row_groups = runs(layout, table, entries, 0).len() as u64;
    Reads { row_groups, pages: ranges.len() as u64, ranges: coalesce(ranges, 0) }
}

pub(crate) fn decode(
    layout: &Layout,
    table: &Table,
    entries: &[Place],
    projection: Projection,
    fetched: &Fetched,
) -> Result<SeriesColumns, SegmentError> {
    let rows_len: u64 = entries.iter().map(|entry| entry.rows.end - entry.rows.start).sum();
    if rows_len > u64::from(u32::MAX) {
        return Err(SegmentError::TooLarge { what: "rows of a selection", value: rows_len, limit: u64::from(u32::MAX) });
    }
    let mut decoder = Decoder::new(layout, table, entries, fetched);
    let timestamps = decoder.required(schema::TS, rows_len as usize)?;
    let any_histogram = entries.iter().any(|entry| table.has_histograms(entry.ordinal as usize));
    let mut floats = Floats::default();
    if projection.values || any_histogram {
        floats = decoder.floats(rows_len as usize, any_histogram)?;
    }
    let any_start = entries.iter().any(|entry| table.row(entry.ordinal as usize).columns & columns::START != 0);
    let start_timestamps =
        if projection.start_timestamps && any_start { decoder.start_timestamps(rows_len as usize)? } else { Vec::new() };
    if any_histogram {
        return decoder.split(timestamps, floats, start_timestamps, projection);
    }
    let mut end = 0;
    let ends = entries.iter().map(|entry| {
        end += (entry.rows.end - entry.rows.start) as u32;
        (end, 0)
    });
    let ends = ends.collect();
    Ok(SeriesColumns { timestamps, values: floats.values, start_timestamps, histograms: Vec::new(), ends })
}

/// Where each entry's rows start among all selected rows.
fn starts_of(entries: &[Place]) -> Vec<usize> {
    let mut start = 0;
    entries
        .iter()
        .map(|entry| {
            let at = start;
            start += (entry.rows.end - entry.rows.start) as usize;
            at
        })
        .collect()
}

#[derive(Default)]
struct Floats {
    values: Vec<f64>,
    /// Per row, whether a value column has it; empty where all do.
    filled: Vec<bool>,
}

pub(super) struct Decoder<'a> {
    layout: &'a Layout,
    table: &'a Table,
    entries: &'a [Place],
    fetched: &'a Fetched,
    starts: Vec<usize>,
}

/// A part of one series inside one row group: index of the entry, rows in the group, place among all selected rows.
pub(super) struct Portion {
    entry: usize,
    rows: Range<u64>,
    pub(super) at: usize,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(layout: &'a Layout, table: &'a Table, entries: &'a [Place], fetched: &'a Fetched) -> Decoder<'a> {
        Decoder { layout, table, entries, fetched, starts: starts_of(entries) }
    }

    fn portions(&self, mask: u8) -> impl Iterator<Item = (usize, Portion)> {
        let used = move |entry: &Place| mask == 0 || self.table.row(entry.ordinal as usize).columns & mask != 0;
        self.entries.iter().enumerate().filter(move |(_, entry)| used(entry)).flat_map(move |(index, entry)| {
            let mut at = self.starts[index];
            self.layout.cut(&entry.rows).map(move |(group, rows)| {
                let portion = Portion { entry: index, at, rows: rows.clone() };
                at += (rows.end - rows.start) as usize;
                (group, portion)
            })
        })
    }

    fn column(&self, path: &str) -> Result<usize, SegmentError> {
        self.layout.column(path).ok_or_else(|| SegmentError::corrupt(format!("column {path} is missing")))
    }

    /// Reads a column of integers that has no nulls.
    pub(super) fn required(&self, path: &str, len: usize) -> Result<Vec<i64>, SegmentError> {
        let column = self.column(path)?;
        let mut numbers = Vec::with_capacity(len);
        for (group, runs) in runs(self.layout, self.table, self.entries, 0) {
            let mut reader = self.layout.reader::<Int64Type>(group, column, self.fetched)?;
            let mut at = 0;
            for run in runs {
                skip(&mut reader, run.start - at)?;
                let wanted = (run.end - run.start) as usize;
                let (records, _, _) = reader.read_records(wanted, None, None, &mut numbers).map_err(read_error)?;
                expect(records == wanted)?;
                at = run.end;
            }
        }
        expect(numbers.len() == len)?;
        Ok(numbers)
    }

    /// Reads a nullable column for all series that use it; `take` gets each portion, its levels, and the values left.
    pub(super) fn nullable<T: DataType>(
        &self,
        path: &str,
        mask: u8,
        mut take: impl FnMut(&Portion, &[i16], &[T::T]) -> usize,
    ) -> Result<(), SegmentError> {
        let mut portions = self.portions(mask).peekable();
        let Some(column) = self.layout.column(path) else {
            return Ok(());
        };
        let (mut levels, mut values): (Vec<i16>, Vec<T::T>) = (Vec::new(), Vec::new());
        for (group, runs) in runs(self.layout, self.table, self.entries, mask) {
            let mut reader = self.layout.reader::<T>(group, column, self.fetched)?;
            let mut at = 0;
            for run in runs {
                skip(&mut reader, run.start - at)?;
                let wanted = (run.end - run.start) as usize;
                levels.clear();
                values.clear();
                let (records, _, _) = reader.read_records(wanted, Some(&mut levels), None, &mut values).map_err(read_error)?;
                expect(records == wanted && levels.len() == wanted)?;
                at = run.end;
                let mut used = 0;
                while let Some((_, portion)) = portions.next_if(|(g, portion)| *g == group && portion.rows.end <= run.end) {
                    let start = (portion.rows.start - run.start) as usize;
                    let end = (portion.rows.end - run.start) as usize;
                    used += take(&portion, &levels[start..end], &values[used..]);
                    expect(used <= values.len())?;
                }
            }
        }
        Ok(())
    }

    fn floats(&self, len: usize, any_histogram: bool) -> Result<Floats, SegmentError> {
        let mut values = vec![0f64; len];
        let mut filled = vec![false; if any_histogram { len } else { 0 }];
        let mut missing = len;
        let row_of = |portion: &Portion| self.table.row(self.entries[portion.entry].ordinal as usize);
        self.nullable::<Int64Type>(schema::V_INT, columns::INT, |portion, levels, ints| {
            let out = &mut values[portion.at..portion.at + levels.len()];
            let row = row_of(portion);
            let used = match row.scale {
                0 => place(out, levels, ints, |int| int.wrapping_add(row.base) as f64),
                scale => {
                    let divisor = divisor(scale);
                    place(out, levels, ints, |int| int.wrapping_add(row.base) as f64 / divisor)
                }
            };
            mark(&mut filled, portion.at, levels);
            missing -= used;
            used
        })?;
        self.nullable::<DoubleType>(schema::V_DBL, columns::DOUBLE, |portion, levels, doubles| {
            let out = &mut values[portion.at..portion.at + levels.len()];
            let used = place(out, levels, doubles, |double| double);
            mark(&mut filled, portion.at, levels);
            missing = missing.wrapping_sub(used);
            used
        })?;
        // Every row has a value in exactly one column.
        expect(any_histogram || missing == 0)?;
        Ok(Floats { values, filled })
    }

    fn start_timestamps(&self, len: usize) -> Result<Vec<i64>, SegmentError> {
        let mut starts = vec![0i64; len];
        self.nullable::<Int64Type>(schema::ST, columns::START, |portion, levels, values| {
            place(&mut starts[portion.at..portion.at + levels.len()], levels, values, |start| start)
        })?;
        Ok(starts)
    }

    /// Parts rows into floats and histograms.
    fn split(
        &mut self,
        timestamps: Vec<i64>,
        floats: Floats,
        starts: Vec<i64>,
        projection: Projection,
    ) -> Result<SeriesColumns, SegmentError> {
        let histograms = self.histograms()?;
        let mut histograms = histograms.into_iter();
        let mut columns = SeriesColumns::default();
        for (index, entry) in self.entries.iter().enumerate() {
            let rows = self.starts[index]..self.starts[index] + (entry.rows.end - entry.rows.start) as usize;
            let uses_histograms = self.table.has_histograms(entry.ordinal as usize);
            for row in rows {
                let start = starts.get(row).copied().unwrap_or(0);
                if floats.filled[row] || !uses_histograms {
                    columns.timestamps.push(timestamps[row]);
                    if projection.values {
                        columns.values.push(floats.values[row]);
                    }
                    if !starts.is_empty() {
                        columns.start_timestamps.push(start);
                    }
                    continue;
                }
                let histogram = histograms.next().ok_or_else(|| SegmentError::corrupt("histogram rows are missing"))?;
                let (timestamp, start_timestamp) = (TimestampMs(timestamps[row]), TimestampMs(start));
                columns.histograms.push(HistogramSample { timestamp, start_timestamp, histogram });
            }
            columns.ends.push((columns.timestamps.len() as u32, columns.histograms.len() as u32));
        }
        expect(histograms.next().is_none())?;
        Ok(columns)
    }

    fn histograms(&self) -> Result<Vec<Histogram>, SegmentError> {
        let mut all: Vec<Histogram> = Vec::new();
        let flat = |name: &str| format!("{}.{name}", schema::HIST);
        let mut schemas = Vec::new();
        self.nullable::<Int32Type>(&flat(schema::HIST_INTS[0]), columns::HISTOGRAM, |_, levels, v| {
            take_all(&mut schemas, levels, v)
        })?;
        all.resize(schemas.len(), Histogram::default());
        all.iter_mut().zip(schemas).for_each(|(histogram, schema)| histogram.schema = schema);
        let mut hints = Vec::new();
        self.nullable::<Int32Type>(&flat(schema::HIST_INTS[1]), columns::HISTOGRAM, |_, levels, v| {
            take_all(&mut hints, levels, v)
        })?;
        expect(hints.len() == all.len())?;
        for (histogram, hint) in all.iter_mut().zip(hints) {
            let hint = u8::try_from(hint).ok().and_then(hint_of);
            histogram.counter_reset_hint = hint.ok_or_else(|| SegmentError::corrupt("histogram has an unknown reset hint"))?;
        }
        for name in schema::HIST_DOUBLES {
            let mut values = Vec::new();
            self.nullable::<DoubleType>(&flat(name), columns::HISTOGRAM, |_, levels, v| take_all(&mut values, levels, v))?;
            expect(values.len() == all.len())?;
            for (histogram, value) in all.iter_mut().zip(values) {
                match name {
                    "zero_threshold" => histogram.zero_threshold = value,
                    "zero_count" => histogram.zero_count = value,
                    "count" => histogram.count = value,
                    _ => histogram.sum = value,
                }
            }
        }
        self.histogram_lists(&mut all)?;
        Ok(all)
    }

    fn histogram_lists(&self, all: &mut [Histogram]) -> Result<(), SegmentError> {
        let list = |name: &str| format!("{}.{name}.list.element", schema::HIST);
        let spans = schema::HIST_SPANS.map(|name| self.lists::<Int32Type>(&list(name), all.len()));
        let [positive_offsets, positive_lengths, negative_offsets, negative_lengths] = spans;
        let (positive_offsets, positive_lengths) = (positive_offsets?, positive_lengths?);
        let (negative_offsets, negative_lengths) = (negative_offsets?, negative_lengths?);
        let buckets = schema::HIST_BUCKETS.map(|name| self.lists::<DoubleType>(&list(name), all.len()));
        let [positive, negative, custom] = buckets;
        let (mut positive, mut negative, mut custom) = (positive?, negative?, custom?);
        for (index, histogram) in all.iter_mut().enumerate() {
            histogram.positive_spans = join_spans(&positive_offsets[index], &positive_lengths[index])?;
            histogram.negative_spans = join_spans(&negative_offsets[index], &negative_lengths[index])?;
            histogram.positive_buckets = std::mem::take(&mut positive[index]);
            histogram.negative_buckets = std::mem::take(&mut negative[index]);
            histogram.custom_values = std::mem::take(&mut custom[index]);
            let fits = verify_spans(&histogram.positive_spans, histogram.positive_buckets.len())
                .and(verify_spans(&histogram.negative_spans, histogram.negative_buckets.len()));
            fits.ok_or_else(|| SegmentError::corrupt("histogram has spans that do not fit the buckets"))?;
        }
        Ok(())
    }

    /// Reads one list per histogram.
    fn lists<T: DataType>(&self, path: &str, count: usize) -> Result<Vec<Vec<T::T>>, SegmentError> {
        let column = self.column(path)?;
        let mut lists: Vec<Vec<T::T>> = Vec::with_capacity(count);
        for (group, runs) in runs(self.layout, self.table, self.entries, columns::HISTOGRAM) {
            let mut reader = self.layout.reader::<T>(group, column, self.fetched)?;
            let mut at = 0;
            for run in runs {
                skip(&mut reader, run.start - at)?;
                let wanted = (run.end - run.start) as usize;
                let (mut levels, mut repetition, mut values) = (Vec::new(), Vec::new(), Vec::new());
                let read = reader.read_records(wanted, Some(&mut levels), Some(&mut repetition), &mut values);
                expect(read.map_err(read_error)?.0 == wanted)?;
                at = run.end;
                let mut values = values.into_iter();
                for (level, repeated) in levels.iter().zip(&repetition) {
                    if *repeated == 0 && *level > 0 {
                        lists.push(Vec::new());
                    }
                    if *level == 2 {
                        let (list, value) = (lists.last_mut(), values.next());
                        let (list, value) = list.zip(value).ok_or_else(|| SegmentError::corrupt("histogram list is broken"))?;
                        list.push(value);
                    }
                }
            }
        }
        expect(lists.len() == count)?;
        Ok(lists)
    }
}

fn join_spans(offsets: &[i32], lengths: &[i32]) -> Result<Vec<Span>, SegmentError> {
    expect(offsets.len() == lengths.len())?;
    Ok(offsets.iter().zip(lengths).map(|(offset, length)| Span { offset: *offset, length: *length as u32 }).collect())
}

fn take_all<T: Clone>(out: &mut Vec<T>, levels: &[i16], values: &[T]) -> usize {
    let used = levels.iter().filter(|level| **level > 0).count().min(values.len());
    out.extend_from_slice(&values[..used]);
    used
}

/// Puts values where levels say so; returns how many were used.
#[inline]
fn place<V: Copy, O>(out: &mut [O], levels: &[i16], values: &[V], convert: impl Fn(V) -> O) -> usize {
    let present = levels.iter().map(|level| usize::from(*level > 0)).sum::<usize>().min(values.len());
    if present == levels.len() {
        out.iter_mut().zip(values).for_each(|(out, value)| *out = convert(*value));
        return present;
    }
    let mut values = values[..present].iter();
    for (out, level) in out.iter_mut().zip(levels) {
        if *level > 0
            && let Some(value) = values.next()
        {
            *out = convert(*value);
        }
    }
    present
}

fn mark(filled: &mut [bool], at: usize, levels: &[i16]) {
    if !filled.is_empty() {
        filled[at..at + levels.len()].iter_mut().zip(levels).for_each(|(filled, level)| *filled |= *level > 0);
    }
}

fn skip<T: DataType>(reader: &mut parquet::column::reader::ColumnReaderImpl<T>, rows: u64) -> Result<(), SegmentError> {
    let skipped = reader.skip_records(rows as usize).map_err(read_error)?;
    expect(skipped as u64 == rows)
}

fn expect(holds: bool) -> Result<(), SegmentError> {
    if holds { Ok(()) } else { Err(SegmentError::corrupt("columns do not agree on their rows")) }
}
