//! The shapes of record batches between operators: one row per series.
//!
//! *Samples*: slot, labels, times and values as lists, and a handle to histograms and start timestamps.
//! *Steps*: slot, labels, and one float per step (the staleness marker is "absent").

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, FixedSizeListArray, Float64Array, Int64Array, ListArray, UInt16Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use model::{LabelSet, STALE_NAN};
use plan::{StepSeries, StepValues};

use crate::EngineError;

fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, false))
}

/// Returns the schema of samples.
pub(crate) fn samples_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("slot", DataType::UInt16, false),
        Field::new("labels", DataType::Binary, false),
        Field::new("timestamps", DataType::List(item(DataType::Int64)), false),
        Field::new("values", DataType::List(item(DataType::Float64)), false),
        Field::new("extras", DataType::UInt64, false),
    ]))
}

/// Returns the schema of values over `steps` steps.
pub(crate) fn steps_schema(steps: usize) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("slot", DataType::UInt16, false),
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
    slots: Vec<u16>,
    labels: Vec<LabelSet>,
    lengths: Vec<usize>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
    extras: Vec<u64>,
}

impl SamplesBuilder {
    pub(crate) fn push(&mut self, slot: u16, labels: &LabelSet, timestamps: &[i64], values: &[f64], extras: u64) {
        self.slots.push(slot);
        self.labels.push(labels.clone());
        self.lengths.push(timestamps.len());
        self.timestamps.extend_from_slice(timestamps);
        self.values.extend_from_slice(values);
        self.extras.push(extras);
    }

    pub(crate) fn reserve(&mut self, samples: usize) {
        self.timestamps.reserve(samples);
        self.values.reserve(samples);
    }

    pub(crate) fn finish(self) -> Result<RecordBatch, EngineError> {
        let offsets = OffsetBuffer::<i32>::from_lengths(self.lengths);
        let timestamps =
            ListArray::new(item(DataType::Int64), offsets.clone(), Arc::new(Int64Array::from(self.timestamps)), None);
        let values = ListArray::new(item(DataType::Float64), offsets, Arc::new(Float64Array::from(self.values)), None);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt16Array::from(self.slots)),
            binary(&self.labels),
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
    pub(crate) slot: u16,
    pub(crate) labels: &'a [u8],
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) extras: u64,
}

/// Iterates over the rows of a batch of samples.
pub(crate) fn samples_rows(batch: &RecordBatch) -> impl Iterator<Item = SamplesRow<'_>> {
    let slots: &UInt16Array = column(batch, 0);
    let labels: &BinaryArray = column(batch, 1);
    let timestamps: &ListArray = column(batch, 2);
    let values: &ListArray = column(batch, 3);
    let extras: &UInt64Array = column(batch, 4);
    let all_times: &Int64Array = timestamps.values().as_any().downcast_ref().expect("timestamps are Int64");
    let all_values: &Float64Array = values.values().as_any().downcast_ref().expect("values are Float64");
    (0..batch.num_rows()).map(move |row| {
        let range = timestamps.value_offsets()[row] as usize..timestamps.value_offsets()[row + 1] as usize;
        SamplesRow {
            slot: slots.value(row),
            labels: labels.value(row),
            timestamps: &all_times.values()[range.clone()],
            values: &all_values.values()[range],
            extras: extras.value(row),
        }
    })
}

/// Collects a batch of step values.
#[derive(Debug)]
pub(crate) struct StepsBuilder {
    steps: usize,
    slots: Vec<u16>,
    labels: Vec<LabelSet>,
    floats: Vec<f64>,
}

impl StepsBuilder {
    pub(crate) fn new(steps: usize) -> StepsBuilder {
        StepsBuilder { steps, slots: vec![], labels: vec![], floats: vec![] }
    }

    /// Starts a row, and returns its floats, all absent.
    pub(crate) fn start(&mut self) -> &mut [f64] {
        let at = self.floats.len();
        self.floats.resize(at + self.steps, STALE_NAN);
        &mut self.floats[at..]
    }

    /// Ends the row started last.
    pub(crate) fn end(&mut self, slot: u16, labels: LabelSet) {
        self.slots.push(slot);
        self.labels.push(labels);
    }

    /// Takes back the row started last.
    pub(crate) fn cancel(&mut self) {
        let at = self.floats.len() - self.steps;
        self.floats.truncate(at);
    }

    pub(crate) fn finish(self) -> Result<RecordBatch, EngineError> {
        let floats = Arc::new(Float64Array::from(self.floats));
        let floats = FixedSizeListArray::try_new(item(DataType::Float64), self.steps as i32, floats, None);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt16Array::from(self.slots)),
            binary(&self.labels),
            Arc::new(floats.map_err(|error| EngineError::Internal(error.to_string()))?),
        ];
        RecordBatch::try_new(steps_schema(self.steps), columns).map_err(|error| EngineError::Internal(error.to_string()))
    }
}

/// One row of step values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepsRow<'a> {
    pub(crate) slot: u16,
    pub(crate) labels: &'a [u8],
    pub(crate) floats: &'a [f64],
}

/// Iterates over the rows of a batch of step values.
pub(crate) fn steps_rows(batch: &RecordBatch) -> impl Iterator<Item = StepsRow<'_>> {
    let slots: &UInt16Array = column(batch, 0);
    let labels: &BinaryArray = column(batch, 1);
    let floats: &FixedSizeListArray = column(batch, 2);
    let all: &Float64Array = floats.values().as_any().downcast_ref().expect("floats are Float64");
    let steps = floats.value_length() as usize;
    (0..batch.num_rows()).map(move |row| StepsRow {
        slot: slots.value(row),
        labels: labels.value(row),
        floats: &all.values()[row * steps..(row + 1) * steps],
    })
}

/// Reads a label set that an operator of ours wrote.
pub(crate) fn label_set(encoded: &[u8]) -> Result<LabelSet, EngineError> {
    LabelSet::from_encoded(encoded).map_err(|error| EngineError::Internal(error.to_string()))
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
