//! The reference evaluator over series in memory.

use model::{LabelSet, Matcher, TimeRangeMs, TimeRangeNs};
use plan::reference::{self, Source};
use plan::{Answer, EvalError, LogicalPlan, Series, StreamEntries};

use super::engine::Evaluator;

/// The reference evaluator and what is loaded into it.
#[derive(Debug, Default)]
pub struct Reference(Vec<Series>);

impl Evaluator for Reference {
    fn load(&mut self, series: Vec<Series>) {
        self.0 = series;
    }

    fn evaluate(&self, plan: &LogicalPlan) -> Result<Answer, String> {
        reference::evaluate(plan, self).map_err(|error| error.to_string())
    }
}

impl Source for Reference {
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        let matching = |labels: &LabelSet| matchers.iter().all(|matcher| matcher.matches_labels(labels));
        let found = self.0.iter().filter(|series| matching(&series.labels)).map(|series| within(series, range));
        Ok(found.filter(|series| !series.timestamps.is_empty() || !series.histograms.is_empty()).collect())
    }

    fn streams(&self, _matchers: &[Matcher], _range: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        Ok(Vec::new())
    }
}

/// Cuts a series to `[start, end)`.
fn within(series: &Series, range: TimeRangeMs) -> Series {
    let place = |at: i64| series.timestamps.partition_point(|timestamp| *timestamp < at);
    let floats = place(range.start.0)..place(range.end.0);
    let histogram = |at: i64| series.histograms.partition_point(|sample| sample.timestamp < at);
    Series {
        labels: series.labels.clone(),
        timestamps: series.timestamps[floats.clone()].to_vec(),
        values: series.values[floats.clone()].to_vec(),
        start_timestamps: series.start_timestamps.get(floats).unwrap_or_default().to_vec(),
        histograms: series.histograms[histogram(range.start.0)..histogram(range.end.0)].to_vec(),
    }
}
