//! Aggregations of floats column by column, in the order and arithmetic of the reference evaluator.
//!
//! Owns: `sum avg count min max group stddev stdvar` over values that are all held. Does not own: values too many to be
//! held ([`crate::exec::aggregate`]).

use hashbrown::HashMap;
use model::{LabelSet, STALE_NAN, is_stale};
use plan::functions::float::{Kahan, Mean};
use plan::logical::{Aggregate, AggregateOp};
use plan::{StepSeries, StepValues};

/// One group at one step.
#[derive(Clone, Copy)]
enum Cell {
    Empty,
    Best(f64),
    Count(f64),
    Sum(Kahan),
    Mean(Mean),
    Spread { count: f64, mean: f64, squares: f64 },
}

impl Cell {
    fn start(op: AggregateOp, value: f64) -> Cell {
        match op {
            AggregateOp::Sum => Cell::Sum(Kahan { sum: value, c: 0.0 }),
            AggregateOp::Avg => Cell::Mean(Mean::new(value)),
            AggregateOp::Count | AggregateOp::Group => Cell::Count(1.0),
            AggregateOp::Min | AggregateOp::Max => Cell::Best(value),
            _ => Cell::Spread { count: 1.0, mean: value, squares: if value.is_finite() { 0.0 } else { f64::NAN } },
        }
    }

    fn add(&mut self, op: AggregateOp, value: f64) {
        match self {
            Cell::Empty => *self = Cell::start(op, value),
            Cell::Sum(sum) => sum.add(value),
            Cell::Mean(mean) => mean.add(value),
            Cell::Count(count) => *count += 1.0,
            Cell::Best(best) if op == AggregateOp::Min && (*best > value || best.is_nan()) => *best = value,
            Cell::Best(best) if op == AggregateOp::Max && (*best < value || best.is_nan()) => *best = value,
            Cell::Best(_) => {}
            Cell::Spread { count, mean, squares } => {
                *count += 1.0;
                let delta = value - *mean;
                *mean += delta / *count;
                *squares += delta * (value - *mean);
            }
        }
    }

    fn value(&self, op: AggregateOp) -> f64 {
        match self {
            Cell::Empty => STALE_NAN,
            Cell::Best(best) => *best,
            Cell::Count(_) if op == AggregateOp::Group => 1.0,
            Cell::Count(count) => *count,
            Cell::Sum(sum) => sum.total(),
            Cell::Mean(mean) => mean.value(),
            Cell::Spread { count, squares, .. } if op == AggregateOp::Stddev => (squares / count).sqrt(),
            Cell::Spread { count, squares, .. } => squares / count,
        }
    }
}

/// Aggregates series that are sorted by labels; groups come in the order of their first series.
pub(crate) fn apply(aggregate: &Aggregate, input: &[(&LabelSet, &[f64])], steps: usize, drop_name: bool) -> Vec<StepSeries> {
    let mut index: HashMap<LabelSet, usize> = HashMap::new();
    let mut groups: Vec<(LabelSet, Vec<Cell>)> = Vec::new();
    for (labels, floats) in input {
        let labels = aggregate.grouping.labels_of(labels);
        let at = *index.entry(labels).or_insert_with_key(|labels| {
            groups.push((labels.clone(), vec![Cell::Empty; steps]));
            groups.len() - 1
        });
        for (cell, value) in groups[at].1.iter_mut().zip(*floats) {
            if !is_stale(*value) {
                cell.add(aggregate.op, *value);
            }
        }
    }
    let finished = groups.into_iter().map(|(labels, cells)| {
        let floats = cells.iter().map(|cell| cell.value(aggregate.op)).collect();
        StepSeries { labels, drop_name, values: StepValues { floats, histograms: Vec::new() } }
    });
    finished.filter(|one| !one.values.is_absent()).collect()
}
