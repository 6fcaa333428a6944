//! Aggregations of floats column by column, in the order and arithmetic of the reference evaluator.
//!
//! Series come one after another in the order of their labels, so that only the groups are held. Owns: `sum avg count min max
//! group stddev stdvar quantile` over floats. Does not own: which series make a group ([`crate::registry`]), histograms.

use model::{LabelSet, STALE_NAN, is_stale};
use plan::functions::float::{self, Kahan, Mean};
use plan::logical::{Aggregate, AggregateOp, Node};
use plan::{StepSeries, StepValues};

/// How an aggregation is made here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// Series by series.
    Fold(AggregateOp),
    /// The quantile, which wants all values of a step.
    Quantile(f64),
}

/// Recognises the aggregations made here; those with something to say about their parameter are left to the reference.
pub(crate) fn way(aggregate: &Aggregate) -> Option<Way> {
    use AggregateOp::*;
    match (aggregate.op, &aggregate.param) {
        (Sum | Avg | Count | Min | Max | Group | Stddev | Stdvar, None) => Some(Way::Fold(aggregate.op)),
        (Quantile, Some(Node::Literal(phi))) if (0.0..=1.0).contains(phi) => Some(Way::Quantile(*phi)),
        _ => None,
    }
}

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

/// The groups of an aggregation while series are added.
pub(crate) struct Fold {
    op: AggregateOp,
    steps: usize,
    /// Per group its cells, none until a series came.
    groups: Vec<Vec<Cell>>,
    /// Groups in the order of their first series.
    order: Vec<u32>,
}

impl Fold {
    pub(crate) fn new(op: AggregateOp, steps: usize, groups: usize) -> Fold {
        Fold { op, steps, groups: vec![Vec::new(); groups], order: Vec::new() }
    }

    /// Adds a series to its group. Series come in the order of their labels.
    pub(crate) fn add(&mut self, group: u32, floats: &[f64]) {
        let cells = &mut self.groups[group as usize];
        if cells.is_empty() {
            cells.resize(self.steps, Cell::Empty);
            self.order.push(group);
        }
        for (cell, value) in cells.iter_mut().zip(floats) {
            if !is_stale(*value) {
                cell.add(self.op, *value);
            }
        }
    }

    /// Returns the values of each group that has some, in the order of their first series.
    pub(crate) fn finish(self) -> Vec<(u32, Vec<f64>)> {
        let values = |group: &u32| self.groups[*group as usize].iter().map(|cell| cell.value(self.op)).collect();
        self.order.iter().map(|group| (*group, values(group))).collect()
    }
}

/// Returns the quantile of each group per step; `of` is the group of each row.
pub(crate) fn quantile(phi: f64, of: &[u32], rows: &[&[f64]], groups: usize, steps: usize) -> Vec<(u32, Vec<f64>)> {
    let mut members: Vec<Vec<&[f64]>> = vec![Vec::new(); groups];
    of.iter().zip(rows).for_each(|(group, row)| members[*group as usize].push(row));
    let mut values = Vec::new();
    let mut of_members = |members: Vec<&[f64]>| {
        let at = |step: usize| {
            values.clear();
            values.extend(members.iter().map(|row| row[step]).filter(|value| !is_stale(*value)));
            if values.is_empty() { STALE_NAN } else { float::quantile(phi, &mut values) }
        };
        (0..steps).map(at).collect()
    };
    members.into_iter().enumerate().map(|(group, members)| (group as u32, of_members(members))).collect()
}

/// Gives groups their labels; those without a value are left out.
pub(crate) fn labelled(groups: Vec<(u32, Vec<f64>)>, drop_name: bool, labels: impl Fn(u32) -> LabelSet) -> Vec<StepSeries> {
    let filled = groups.into_iter().filter(|(_, floats)| floats.iter().any(|value| !is_stale(*value)));
    let series = filled.map(|(group, floats)| StepSeries {
        labels: labels(group),
        drop_name,
        values: StepValues { floats, histograms: Vec::new() },
    });
    series.collect()
}
