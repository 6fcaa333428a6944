//! What a script needs of an evaluator, and the reference evaluator over samples in memory.

use model::{LabelSet, Matcher, TimeRangeMs, TimeRangeNs, TimestampMs};
use plan::reference::{Source, evaluate};
use plan::{Answer, EvalError, EvalOptions, Series, StreamEntries};
use promql::{EvalParams, Options};

/// A query of a script.
#[derive(Clone, Debug)]
pub struct Query {
    /// Text.
    pub text: String,
    /// First evaluation time, milliseconds.
    pub start: i64,
    /// Last evaluation time.
    pub end: i64,
    /// Step; 0 for an instant query.
    pub step: i64,
}

/// Loads samples and evaluates queries.
pub trait Evaluator {
    /// Drops everything loaded.
    fn clear(&mut self);
    /// Adds samples, merged with those of the same series.
    fn load(&mut self, series: Series);
    /// Evaluates; the error is the text a user would see, without position.
    fn eval(&self, query: &Query) -> Result<Answer, String>;
}

/// The reference evaluator over samples in memory.
#[derive(Default)]
pub struct ReferenceEvaluator {
    series: std::collections::BTreeMap<LabelSet, Series>,
}

impl Source for ReferenceEvaluator {
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        let inside = |t: i64| t >= range.start.0 && t < range.end.0;
        let matching = self.series.values().filter(|s| matchers.iter().all(|m| m.matches_labels(&s.labels)));
        let has = |s: &&Series| s.timestamps.iter().any(|t| inside(*t)) || s.histograms.iter().any(|h| inside(h.timestamp));
        Ok(matching.filter(has).cloned().collect())
    }

    fn streams(&self, _: &[Matcher], _: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        Ok(Vec::new())
    }
}

impl Evaluator for ReferenceEvaluator {
    fn clear(&mut self) {
        self.series.clear();
    }

    fn load(&mut self, series: Series) {
        let Some(old) = self.series.get_mut(&series.labels) else {
            self.series.insert(series.labels.clone(), series);
            return;
        };
        let starts = |s: &Series| if s.start_timestamps.is_empty() { vec![0; s.values.len()] } else { s.start_timestamps.clone() };
        let start_timestamps = [starts(old), starts(&series)].concat();
        let times = [&old.timestamps[..], &series.timestamps].concat();
        let values = [&old.values[..], &series.values].concat();
        let mut order: Vec<usize> = (0..times.len()).collect();
        order.sort_by_key(|i| times[*i]);
        old.timestamps = order.iter().map(|i| times[*i]).collect();
        old.values = order.iter().map(|i| values[*i]).collect();
        old.start_timestamps = order.iter().map(|i| start_timestamps[*i]).collect();
        old.histograms.extend(series.histograms);
        old.histograms.sort_by_key(|h| h.timestamp);
    }

    fn eval(&self, query: &Query) -> Result<Answer, String> {
        let expr = promql::parse(&query.text, &Options::all()).map_err(|e| e.to_string())?;
        let options = EvalOptions {
            samples_max: 10_000,
            delayed_name_removal: true,
            use_start_timestamps: true,
            ..EvalOptions::default()
        };
        let params = EvalParams {
            start: TimestampMs(query.start),
            end: TimestampMs(query.end),
            step_ms: query.step,
            lookback_ms: 300_000,
            options,
        };
        let plan = promql::lower(&query.text, &expr, &params).map_err(|e| e.to_string())?;
        evaluate(&plan, self).map_err(|e| e.to_string())
    }
}
