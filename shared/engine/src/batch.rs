//! The shapes of record batches between operators: one row per series.
//!
//! *Samples*: the series' place in its leaf, times and values as lists, and a handle to histograms and start timestamps.
//! *Windows*: the place in the leaf, samples of the largest window and of all, one float per step, and a handle to histograms.
//! *Steps*: labels, and one float per step (the staleness marker is "absent").

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, FixedSizeListArray, Float64Array, Int64Array, ListArray, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use model::{LabelSet, STALE_NAN, is_stale};
use plan::{SampleCounts, StepSeries, StepValues};

use crate::EngineError;

fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, false))
}

/// Returns the schema of samples.
pub(crate) fn samples_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("series", DataType::UInt32, false),
        Field::new("timestamps", DataType::List(item(DataType::Int64)), false),
        Field::new("values", DataType::List(item(DataType::Float64)), false),
        Field::new("extras", DataType::UInt64, false),
    ]))
}

/// Returns the schema of windows over `steps` steps.
pub(crate) fn windows_schema(steps: usize) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("series", DataType::UInt32, false),
        Field::new("window", DataType::UInt32, false),
        Field::new("queryable", DataType::UInt64, false),
        Field::new("read", DataType::UInt64, false),
        Field::new("extras", DataType::UInt64, false),
        Field::new("floats", DataType::FixedSizeList(item(DataType::Float64), steps as i32), false),
    ]))
}

/// Returns the schema of values over `steps` steps.
pub(crate) fn steps_schema(steps: usize) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("labels", DataType::Binary, false),
        Field::new("floats", DataType::FixedSizeList(item(DataType::Float64), steps as i32), false),
    ]))
}

fn column<T: Array + 'static>(batch: &RecordBatch, index: usize) -> &T {
    batch.column(index).as_any().downcast_ref::<T>().expect("operators exchange the schemas of this module")
}

fn binary(labels: &[LabelSet]) -> ArrayRef {
    Arc::new(BinaryArray::from_iter_values(labels.iter().map(LabelSet::encoded)))
}

/// Collects a batch of samples.
#[derive(Debug, Default)]
pub(crate) struct SamplesBuilder {
    series: Vec<u32>,
    lengths: Vec<usize>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
    extras: Vec<u64>,
}

impl SamplesBuilder {
    pub(crate) fn push(&mut self, series: u32, timestamps: &[i64], values: &[f64], extras: u64) {
        self.series.push(series);
        self.lengths.push(timestamps.len());
        self.timestamps.extend_from_slice(timestamps);
        self.values.extend_from_slice(values);
        self.extras.push(extras);
    }

    pub(crate) fn finish(self) -> Result<RecordBatch, EngineError> {
        let offsets = OffsetBuffer::<i32>::from_lengths(self.lengths);
        let timestamps =
            ListArray::new(item(DataType::Int64), offsets.clone(), Arc::new(Int64Array::from(self.timestamps)), None);
        let values = ListArray::new(item(DataType::Float64), offsets, Arc::new(Float64Array::from(self.values)), None);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.series)),
            Arc::new(timestamps),
            Arc::new(values),
            Arc::new(UInt64Array::from(self.extras)),
        ];
        RecordBatch::try_new(samples_schema(), columns).map_err(|error| EngineError::Internal(error.to_string()))
    }
}

/// One row of samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SamplesRow<'a> {
    pub(crate) series: u32,
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) extras: u64,
}

/// Iterates over the rows of a batch of samples.
pub(crate) fn samples_rows(batch: &RecordBatch) -> impl Iterator<Item = SamplesRow<'_>> {
    let series: &UInt32Array = column(batch, 0);
    let timestamps: &ListArray = column(batch, 1);
    let values: &ListArray = column(batch, 2);
    let extras: &UInt64Array = column(batch, 3);
    let all_times: &Int64Array = timestamps.values().as_any().downcast_ref().expect("timestamps are Int64");
    let all_values: &Float64Array = values.values().as_any().downcast_ref().expect("values are Float64");
    (0..batch.num_rows()).map(move |row| {
        let range = timestamps.value_offsets()[row] as usize..timestamps.value_offsets()[row + 1] as usize;
        SamplesRow {
            series: series.value(row),
            timestamps: &all_times.values()[range.clone()],
            values: &all_values.values()[range],
            extras: extras.value(row),
        }
    })
}

/// Collects a batch of windows.
#[derive(Debug)]
pub(crate) struct WindowsBuilder {
    steps: usize,
    series: Vec<u32>,
    windows: Vec<u32>,
    queryable: Vec<u64>,
    read: Vec<u64>,
    extras: Vec<u64>,
    floats: Vec<f64>,
}

impl WindowsBuilder {
    pub(crate) fn new(steps: usize, series: usize) -> WindowsBuilder {
        let floats = Vec::with_capacity(steps.saturating_mul(series));
        WindowsBuilder { steps, series: vec![], windows: vec![], queryable: vec![], read: vec![], extras: vec![], floats }
    }

    /// Starts a row, and returns its floats, all absent.
    pub(crate) fn start(&mut self) -> &mut [f64] {
        let at = self.floats.len();
        self.floats.resize(at + self.steps, STALE_NAN);
        &mut self.floats[at..]
    }

    /// Ends the row started last; `window` and `counts` are those of its [`plan::reference::Weight`].
    pub(crate) fn end(&mut self, series: u32, window: usize, counts: SampleCounts, extras: u64) {
        self.series.push(series);
        self.windows.push(u32::try_from(window).unwrap_or(u32::MAX));
        self.queryable.push(counts.queryable);
        self.read.push(counts.read);
        self.extras.push(extras);
    }

    /// Takes back the row started last.
    pub(crate) fn cancel(&mut self) {
        self.floats.truncate(self.floats.len() - self.steps);
    }

    pub(crate) fn finish(self) -> Result<RecordBatch, EngineError> {
        let internal = |error: arrow::error::ArrowError| EngineError::Internal(error.to_string());
        let floats = Arc::new(Float64Array::from(self.floats));
        let floats = FixedSizeListArray::try_new(item(DataType::Float64), self.steps as i32, floats, None).map_err(internal)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from(self.series)),
            Arc::new(UInt32Array::from(self.windows)),
            Arc::new(UInt64Array::from(self.queryable)),
            Arc::new(UInt64Array::from(self.read)),
            Arc::new(UInt64Array::from(self.extras)),
            Arc::new(floats),
        ];
        RecordBatch::try_new(windows_schema(self.steps), columns).map_err(internal)
    }
}

/// One row of windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowsRow<'a> {
    pub(crate) series: u32,
    pub(crate) window: u32,
    pub(crate) counts: SampleCounts,
    pub(crate) extras: u64,
    pub(crate) floats: &'a [f64],
}

/// Iterates over the rows of a batch of windows.
pub(crate) fn windows_rows(batch: &RecordBatch) -> impl Iterator<Item = WindowsRow<'_>> {
    let (series, windows): (&UInt32Array, &UInt32Array) = (column(batch, 0), column(batch, 1));
    let (queryable, read): (&UInt64Array, &UInt64Array) = (column(batch, 2), column(batch, 3));
    let (extras, floats): (&UInt64Array, &FixedSizeListArray) = (column(batch, 4), column(batch, 5));
    let all: &Float64Array = floats.values().as_any().downcast_ref().expect("floats are Float64");
    let steps = floats.value_length() as usize;
    (0..batch.num_rows()).map(move |row| WindowsRow {
        series: series.value(row),
        window: windows.value(row),
        counts: SampleCounts { queryable: queryable.value(row), read: read.value(row) },
        extras: extras.value(row),
        floats: &all.values()[row * steps..(row + 1) * steps],
    })
}

/// Collects a batch of step values.
#[derive(Debug)]
pub(crate) struct StepsBuilder {
    steps: usize,
    labels: Vec<LabelSet>,
    floats: Vec<f64>,
}

impl StepsBuilder {
    pub(crate) fn new(steps: usize) -> StepsBuilder {
        StepsBuilder { steps, labels: vec![], floats: vec![] }
    }

    /// Starts a row, and returns its floats, all absent.
    pub(crate) fn start(&mut self) -> &mut [f64] {
        let at = self.floats.len();
        self.floats.resize(at + self.steps, STALE_NAN);
        &mut self.floats[at..]
    }

    /// Ends the row started last.
    pub(crate) fn end(&mut self, labels: LabelSet) {
        self.labels.push(labels);
    }

    /// Reports whether the row started last has no value.
    pub(crate) fn is_absent(&self) -> bool {
        self.floats[self.floats.len() - self.steps..].iter().all(|value| is_stale(*value))
    }

    /// Takes back the row started last.
    pub(crate) fn cancel(&mut self) {
        let at = self.floats.len() - self.steps;
        self.floats.truncate(at);
    }

    pub(crate) fn finish(self) -> Result<RecordBatch, EngineError> {
        let floats = Arc::new(Float64Array::from(self.floats));
        let floats = FixedSizeListArray::try_new(item(DataType::Float64), self.steps as i32, floats, None);
        let columns: Vec<ArrayRef> =
            vec![binary(&self.labels), Arc::new(floats.map_err(|error| EngineError::Internal(error.to_string()))?)];
        RecordBatch::try_new(steps_schema(self.steps), columns).map_err(|error| EngineError::Internal(error.to_string()))
    }
}

/// One row of step values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepsRow<'a> {
    pub(crate) labels: &'a [u8],
    pub(crate) floats: &'a [f64],
}

/// Iterates over the rows of a batch of step values.
pub(crate) fn steps_rows(batch: &RecordBatch) -> impl Iterator<Item = StepsRow<'_>> {
    let (labels, floats): (&BinaryArray, &FixedSizeListArray) = (column(batch, 0), column(batch, 1));
    let all: &Float64Array = floats.values().as_any().downcast_ref().expect("floats are Float64");
    let steps = floats.value_length() as usize;
    (0..batch.num_rows())
        .map(move |row| StepsRow { labels: labels.value(row), floats: &all.values()[row * steps..(row + 1) * steps] })
}

/// Reads a label set that an operator of ours wrote.
pub(crate) fn label_set(encoded: &[u8]) -> Result<LabelSet, EngineError> {
    LabelSet::from_encoded_with_empty(encoded).map_err(|error| EngineError::Internal(error.to_string()))
}

/// Turns rows into series values.
pub(crate) fn series_of(batches: &[RecordBatch]) -> Result<Vec<StepSeries>, EngineError> {
    let mut series = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for row in batches.iter().flat_map(steps_rows) {
        let values = StepValues { floats: row.floats.to_vec(), histograms: Vec::new() };
        series.push(StepSeries { labels: label_set(row.labels)?, drop_name: false, values });
    }
    Ok(series)
}
