//! What operators have evaluated of a leaf: values, notes beside them, and the aggregation right above.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use model::{Histogram, is_stale};
use plan::error::EvalError;
use plan::logical::{Aggregate, Function};
use plan::reference::evaluated::{is_metric_label, keeps_name, named, size};
use plan::reference::{Evaluated, Weight};
use plan::{EvalOptions, StepSeries, StepValues};

use super::Above;
use crate::aggregate::{self, Fold, Way};
use crate::batch::{WindowsRow, windows_rows};
use crate::context::QueryContext;
use crate::leaf::Leaf;
use crate::registry::Groups;

/// Reports whether the values of a leaf have lost their names by the time somebody groups them.
fn loses_name(options: &EvalOptions, function: Option<Function>) -> bool {
    !options.delayed_name_removal && function.is_some_and(|function| !keeps_name(function))
}

/// Reports whether a label of a leaf's series is one of its group's.
fn keeps(above: &Aggregate, lost: bool) -> impl Fn(&str) -> bool {
    move |name| above.grouping.keeps(name) && !(lost && is_metric_label(name))
}

/// Groups series of a leaf.
pub(super) fn grouped(
    leaf: &Leaf,
    series: &[u32],
    options: &EvalOptions,
    above: &Aggregate,
    function: Option<Function>,
) -> Groups {
    leaf.group(series, keeps(above, loses_name(options, function)))
}

/// What the series of a leaf have said so far beside their values.
#[derive(Default)]
pub(super) struct Notes {
    weights: Vec<Weight>,
    annotations: plan::Annotations,
    /// What the first series that fails says.
    error: Option<EvalError>,
}

impl Notes {
    /// Takes what a row says, and returns its histograms. After an error nothing more is heard.
    pub(super) fn take(&mut self, context: &QueryContext, row: &WindowsRow<'_>) -> Vec<Option<Arc<Histogram>>> {
        let extras = context.attachments.take_steps(row.extras);
        if self.error.is_some() {
            return Vec::new();
        }
        self.annotations.merge(extras.annotations);
        let floats = row.floats.iter().filter(|value| !is_stale(**value)).count();
        // Floats stay where they are until it is known whether somebody wants them one by one.
        let beside = StepValues { floats: Vec::new(), histograms: extras.histograms };
        self.weights.push(Weight { window: row.window as usize, result: floats + size(&beside), counts: row.counts });
        self.error = extras.error;
        beside.histograms
    }

    /// Returns the groups of an aggregation of floats; `present` are the series that have a value.
    #[allow(clippy::too_many_arguments)] // What an aggregation is made of.
    pub(super) fn aggregated(
        self,
        leaf: &Leaf,
        present: &[u32],
        options: &EvalOptions,
        above: &Aggregate,
        function: Option<Function>,
        groups: &Groups,
        values: Vec<(u32, Vec<f64>)>,
    ) -> Evaluated {
        let lost = loses_name(options, function);
        // Names are settled before groups are formed, as below any other node.
        let distinct = !lost || leaf.group(present, |name| !is_metric_label(name)).heads.len() == present.len();
        let drop_name = function.is_some_and(|function| !keeps_name(function));
        let labels = |group: u32| leaf.labels_kept(groups.heads[group as usize], keeps(above, lost));
        let series = match self.error {
            Some(error) => Err(error),
            None if !distinct => Err(EvalError::same_labelset()),
            None => Ok(aggregate::labelled(values, drop_name, labels)),
        };
        Evaluated { series, annotations: self.annotations, weights: self.weights }
    }
}

/// The values of a leaf, in the order of labels.
pub(super) struct LeafValues<'b> {
    leaf: &'b Leaf,
    rows: Vec<(WindowsRow<'b>, Vec<Option<Arc<Histogram>>>)>,
    notes: Notes,
    pub(super) any_histogram: bool,
}

impl<'b> LeafValues<'b> {
    pub(super) fn of(context: &QueryContext, leaf: &'b Leaf, batches: &'b [RecordBatch]) -> LeafValues<'b> {
        let mut rows: Vec<WindowsRow<'b>> = batches.iter().flat_map(windows_rows).collect();
        rows.sort_unstable_by_key(|row| row.series);
        let (mut notes, mut any_histogram) = (Notes::default(), false);
        let with_histograms = |row: WindowsRow<'b>| {
            let histograms = notes.take(context, &row);
            any_histogram |= !histograms.is_empty();
            (row, histograms)
        };
        let rows = rows.into_iter().map(with_histograms).collect();
        LeafValues { leaf, rows, notes, any_histogram }
    }

    /// Returns the series as the function leaves them.
    pub(super) fn settled(self, options: &EvalOptions, function: Option<Function>) -> Evaluated {
        let Notes { weights, annotations, error } = self.notes;
        let series = self.rows.into_iter().map(|(row, histograms)| StepSeries {
            labels: self.leaf.labels(row.series).clone(),
            drop_name: false,
            values: StepValues { floats: row.floats.to_vec(), histograms },
        });
        let series: Vec<StepSeries> = series.filter(|one| !one.values.is_absent()).collect();
        let series = match (error, function) {
            (Some(error), _) => Err(error),
            (None, Some(function)) => named(function, series, options),
            (None, None) => Ok(series),
        };
        Evaluated { series, annotations, weights }
    }

    /// Returns the groups of an aggregation of floats.
    pub(super) fn aggregated(
        self,
        options: &EvalOptions,
        above: Above<'_>,
        function: Option<Function>,
        steps: usize,
    ) -> Evaluated {
        let present = |row: &WindowsRow<'_>| row.floats.iter().any(|value| !is_stale(*value));
        let rows = self.rows.iter().map(|(row, _)| *row).filter(present);
        let (series, rows): (Vec<u32>, Vec<&[f64]>) = rows.map(|row| (row.series, row.floats)).unzip();
        let groups = grouped(self.leaf, &series, options, above.aggregate, function);
        let values = match above.way {
            Way::Quantile(phi) => aggregate::quantile(phi, &groups.of, &rows, groups.heads.len(), steps),
            Way::Fold(op) => {
                let mut fold = Fold::new(op, steps, groups.heads.len());
                groups.of.iter().zip(rows).for_each(|(group, floats)| fold.add(*group, floats));
                fold.finish()
            }
        };
        self.notes.aggregated(self.leaf, &series, options, above.aggregate, function, &groups, values)
    }
}
