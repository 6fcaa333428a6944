//! `sum avg count min max group stddev stdvar`, partial per slot and final over slots in slot order.
//!
//! A partial row is the state of one group in one slot; a slot lies in one partition. The final fold goes over slots in
//! order, so that no partitioning changes a bit of the answer (Q2).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, FixedSizeListArray, Float64Array, UInt16Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion_execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::TryStreamExt;
use hashbrown::HashMap;
use model::{LabelSet, STALE_NAN, is_stale};
use plan::logical::{AggregateOp, Grouping};

use super::{Shared, once, operator, properties, single};
use crate::EngineError;
use crate::batch::{StepsBuilder, label_set, steps_schema, windows_rows};
use crate::exec::window::WindowExec;
use crate::leaf::Leaf;
use plan::functions::float::Kahan;

/// The aggregations that fold.
pub(crate) fn folds(op: AggregateOp) -> bool {
    use AggregateOp::*;
    matches!(op, Sum | Avg | Count | Min | Max | Group | Stddev | Stdvar)
}

/// State of one group: per step a count, and two numbers whose meaning the aggregation gives (sum and compensation, best,
/// mean and squared deviations).
#[derive(Clone, Debug)]
struct State {
    count: Vec<f64>,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl State {
    fn new(steps: usize) -> State {
        State { count: vec![0.0; steps], first: vec![0.0; steps], second: vec![0.0; steps] }
    }

    /// Adds one series.
    fn add(&mut self, op: AggregateOp, floats: &[f64]) {
        for (step, value) in floats.iter().enumerate().filter(|(_, value)| !is_stale(**value)) {
            let (count, first, second) = (&mut self.count[step], &mut self.first[step], &mut self.second[step]);
            match op {
                AggregateOp::Sum | AggregateOp::Avg => (*first, *second) = sum(*value, *first, *second),
                AggregateOp::Min if *count == 0.0 || *value < *first || first.is_nan() => *first = *value,
                AggregateOp::Max if *count == 0.0 || *value > *first || first.is_nan() => *first = *value,
                AggregateOp::Stddev | AggregateOp::Stdvar => {
                    let delta = value - *first;
                    *first += delta / (*count + 1.0);
                    *second += delta * (value - *first);
                }
                _ => {}
            }
            *count += 1.0;
        }
    }

    /// Folds in the state of a later slot.
    fn fold(&mut self, op: AggregateOp, other: StateRow<'_>) {
        for step in 0..self.count.len() {
            let n = other.count[step];
            if n == 0.0 {
                continue;
            }
            let (count, first, second) = (&mut self.count[step], &mut self.first[step], &mut self.second[step]);
            let (value, rest) = (other.first[step], other.second[step]);
            match op {
                _ if *count == 0.0 => (*first, *second) = (value, rest),
                AggregateOp::Sum | AggregateOp::Avg => {
                    (*first, *second) = sum(value, *first, *second);
                    *second += rest;
                }
                AggregateOp::Min if value < *first || first.is_nan() => *first = value,
                AggregateOp::Max if value > *first || first.is_nan() => *first = value,
                AggregateOp::Stddev | AggregateOp::Stdvar => {
                    // Chan's combination of two sets.
                    let (total, delta) = (*count + n, value - *first);
                    *first += delta * n / total;
                    *second += rest + delta * delta * *count * n / total;
                }
                _ => {}
            }
            *count += n;
        }
    }

    fn result(&self, op: AggregateOp, step: usize) -> f64 {
        let (count, first, second) = (self.count[step], self.first[step], self.second[step]);
        let sum = if first.is_infinite() { first } else { first + second };
        match op {
            _ if count == 0.0 => STALE_NAN,
            AggregateOp::Sum => sum,
            AggregateOp::Avg => sum / count,
            AggregateOp::Count => count,
            AggregateOp::Group => 1.0,
            AggregateOp::Stdvar => second / count,
            AggregateOp::Stddev => (second / count).sqrt(),
            _ => first,
        }
    }
}

/// Adds with the reference's compensation.
fn sum(value: f64, sum: f64, c: f64) -> (f64, f64) {
    let mut kahan = Kahan { sum, c };
    kahan.add(value);
    (kahan.sum, kahan.c)
}

#[derive(Clone, Copy)]
struct StateRow<'a> {
    count: &'a [f64],
    first: &'a [f64],
    second: &'a [f64],
}

fn state_schema(steps: usize) -> SchemaRef {
    let list = || DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float64, false)), steps as i32);
    Arc::new(Schema::new(vec![
        Field::new("slot", DataType::UInt16, false),
        Field::new("labels", DataType::Binary, false),
        Field::new("count", list(), false),
        Field::new("first", list(), false),
        Field::new("second", list(), false),
    ]))
}

/// States by group and slot, as one partition collects them.
struct Partial {
    context: Shared,
    leaf: Arc<Leaf>,
    op: AggregateOp,
    grouping: Grouping,
    steps: usize,
    /// Group of a label set seen before.
    groups: HashMap<Vec<u8>, usize>,
    labels: Vec<LabelSet>,
    states: HashMap<(u16, usize), State>,
    reservation: MemoryReservation,
}

impl Partial {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        for row in windows_rows(batch) {
            if row.extras != 0 && !self.context.attachments.take_steps(row.extras).histograms.is_empty() {
                return Err(EngineError::Histograms);
            }
            let (slot, labels) = (self.leaf.slot(row.series), self.grouping.labels_of(self.leaf.labels(row.series)));
            let group = match self.groups.get(labels.encoded()) {
                Some(group) => *group,
                None => {
                    self.groups.insert(labels.encoded().to_vec(), self.labels.len());
                    self.labels.push(labels);
                    self.labels.len() - 1
                }
            };
            if !self.states.contains_key(&(slot, group)) {
                let grown = self.reservation.try_grow(self.steps * 24 + 64);
                grown.map_err(|error| EngineError::unboxed(error, usize::MAX))?;
            }
            let steps = self.steps;
            self.states.entry((slot, group)).or_insert_with(|| State::new(steps)).add(self.op, row.floats);
        }
        Ok(())
    }

    fn finish(self) -> Result<RecordBatch, EngineError> {
        let mut rows: Vec<((u16, usize), State)> = self.states.into_iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        let list = |column: &dyn Fn(&State) -> &[f64]| -> Result<ArrayRef, EngineError> {
            let values: Vec<f64> = rows.iter().flat_map(|(_, state)| column(state)).copied().collect();
            let field = Arc::new(Field::new("item", DataType::Float64, false));
            let list = FixedSizeListArray::try_new(field, self.steps as i32, Arc::new(Float64Array::from(values)), None);
            list.map(|list| Arc::new(list) as ArrayRef).map_err(|error| EngineError::Internal(error.to_string()))
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|((slot, _), _)| *slot).collect::<UInt16Array>()),
            Arc::new(BinaryArray::from_iter_values(rows.iter().map(|((_, group), _)| self.labels[*group].encoded()))),
            list(&|state| &state.count)?,
            list(&|state| &state.first)?,
            list(&|state| &state.second)?,
        ];
        RecordBatch::try_new(state_schema(self.steps), columns).map_err(|error| EngineError::Internal(error.to_string()))
    }
}

/// Folds the series of a partition per group and slot.
#[derive(Clone, Debug)]
pub(crate) struct PartialAggregateExec {
    context: Shared,
    leaf: Arc<Leaf>,
    op: AggregateOp,
    grouping: Grouping,
    steps: usize,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

/// Folds the states of all slots, in slot order.
#[derive(Clone, Debug)]
pub(crate) struct FinalAggregateExec {
    op: AggregateOp,
    steps: usize,
    children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

/// Plans an aggregation over the partitions of a window, each of which holds whole slots.
pub(crate) fn aggregate(
    context: &Shared,
    window: WindowExec,
    op: AggregateOp,
    grouping: &Grouping,
    steps: usize,
) -> Arc<dyn ExecutionPlan> {
    let leaf = Arc::clone(&window.leaf);
    let child: Arc<dyn ExecutionPlan> = Arc::new(window);
    let partial = PartialAggregateExec {
        context: Arc::clone(context),
        leaf,
        op,
        grouping: grouping.clone(),
        steps,
        properties: properties(state_schema(steps), child.output_partitioning().partition_count()),
        children: vec![child],
    };
    Arc::new(FinalAggregateExec {
        op,
        steps,
        children: vec![single(Arc::new(partial))],
        properties: properties(steps_schema(steps), 1),
    })
}

impl DisplayAs for PartialAggregateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.grouping.without { "without" } else { "by" };
        write!(f, "PartialAggregateExec: {} {word} ({})", self.op.as_str(), self.grouping.labels.join(", "))
    }
}

impl DisplayAs for FinalAggregateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FinalAggregateExec: {}", self.op.as_str())
    }
}

operator!(
    PartialAggregateExec,
    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let reservation = MemoryConsumer::new("PartialAggregateExec").register(task.memory_pool());
        let mut input = self.children[0].execute(partition, task)?;
        let mut partial = Partial {
            context: Arc::clone(&self.context),
            leaf: Arc::clone(&self.leaf),
            op: self.op,
            grouping: self.grouping.clone(),
            steps: self.steps,
            groups: HashMap::new(),
            labels: Vec::new(),
            states: HashMap::new(),
            reservation,
        };
        let limit_bytes = self.context.limits.query_memory_bytes_max;
        Ok(once(self.schema(), async move {
            while let Some(batch) = input.try_next().await? {
                partial.add(&batch).map_err(|error| match error {
                    EngineError::Memory { .. } => EngineError::Memory { limit_bytes }.boxed(),
                    other => other.boxed(),
                })?;
            }
            partial.finish().map_err(EngineError::boxed)
        }))
    }
);

fn state_rows(batch: &RecordBatch) -> impl Iterator<Item = (u16, &[u8], StateRow<'_>)> {
    let slots: &UInt16Array = batch.column(0).as_any().downcast_ref().expect("slots are UInt16");
    let labels: &BinaryArray = batch.column(1).as_any().downcast_ref().expect("labels are Binary");
    let floats = |index: usize| {
        let list: &FixedSizeListArray = batch.column(index).as_any().downcast_ref().expect("states are lists");
        let values: &Float64Array = list.values().as_any().downcast_ref().expect("states are Float64");
        (list.value_length() as usize, &values.values()[..])
    };
    let ((steps, count), (_, first), (_, second)) = (floats(2), floats(3), floats(4));
    (0..batch.num_rows()).map(move |row| {
        let range = row * steps..(row + 1) * steps;
        let state = StateRow { count: &count[range.clone()], first: &first[range.clone()], second: &second[range] };
        (slots.value(row), labels.value(row), state)
    })
}

operator!(
    FinalAggregateExec,
    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> datafusion_common::Result<SendableRecordBatchStream> {
        let input = self.children[0].execute(partition, task)?;
        let (op, steps) = (self.op, self.steps);
        Ok(once(self.schema(), async move {
            let batches: Vec<RecordBatch> = input.try_collect().await?;
            finish(op, steps, &batches).map_err(EngineError::boxed)
        }))
    }
);

fn finish(op: AggregateOp, steps: usize, batches: &[RecordBatch]) -> Result<RecordBatch, EngineError> {
    let mut rows: Vec<(u16, &[u8], StateRow<'_>)> = batches.iter().flat_map(state_rows).collect();
    rows.sort_by_key(|(slot, _, _)| *slot);
    let mut states: HashMap<&[u8], State> = HashMap::new();
    for (_, labels, row) in rows {
        states.entry(labels).or_insert_with(|| State::new(steps)).fold(op, row);
    }
    let mut groups: Vec<(LabelSet, State)> =
        states.into_iter().map(|(labels, state)| Ok((label_set(labels)?, state))).collect::<Result<_, EngineError>>()?;
    groups.sort_by(|a, b| a.0.cmp(&b.0));
    let mut builder = StepsBuilder::new(steps);
    for (labels, state) in groups {
        builder.start().iter_mut().enumerate().for_each(|(step, out)| *out = state.result(op, step));
        builder.end(labels);
    }
    builder.finish()
}
