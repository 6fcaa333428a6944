//! Subtrees that somebody else has evaluated: how their values enter an evaluation as if it had made them itself.

use super::{Context, collect};
use crate::annotations::Annotations;
use crate::error::EvalError;
use crate::logical::{EvalOptions, Function};
use crate::value::{SampleCounts, StepSeries, Value};

/// Values of a subtree over the grid it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// The subtree's value in the order the reference gives it, or why it has none.
    pub series: Result<Vec<StepSeries>, EvalError>,
    /// Warnings and infos, in the order of the leaf's series.
    pub annotations: Annotations,
    /// What the series of the leaf below weigh against `samples_max`, in their order.
    pub weights: Vec<Weight>,
}

/// Samples of one series of a leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Held at once at most: its largest window, or its last with the result beside it.
    pub window: usize,
    /// In its result.
    pub result: usize,
    /// Used.
    pub counts: SampleCounts,
}

impl Evaluated {
    /// Takes part in the evaluation: annotations and samples count as if the leaf had been read here.
    pub(super) fn enter(self, context: &mut Context<'_>) -> Result<Value, EvalError> {
        context.annotations.merge(self.annotations);
        for weight in self.weights {
            context.budget.check(weight.window)?;
            context.budget.counts += weight.counts;
            context.budget.hold(weight.result)?;
        }
        self.series.map(Value::Vector)
    }
}

/// Reports whether a leaf function leaves the metric's name to its result.
pub fn keeps_name(function: Function) -> bool {
    matches!(function, Function::LastOverTime | Function::FirstOverTime)
}

/// Reports whether a label goes with the metric's name.
pub fn is_metric_label(name: &str) -> bool {
    collect::is_metric_label(name)
}

/// Settles the names of the series a leaf function returns, as the function and the options say.
///
/// # Errors
/// Where two series end up with the same labels.
pub fn named(function: Function, series: Vec<StepSeries>, options: &EvalOptions) -> Result<Vec<StepSeries>, EvalError> {
    if keeps_name(function) {
        return Ok(series);
    }
    let series: Vec<StepSeries> = series.into_iter().map(|one| collect::drop_name(one, options)).collect();
    collect::check_unique(&series, options)?;
    Ok(series)
}

/// Counts the samples of values, as `samples_max` counts them.
pub fn size(values: &crate::value::StepValues) -> usize {
    collect::size(values)
}
