//! What a script needs of an evaluator, and the reference evaluator over samples in memory.

use model::{Matcher, TimeRangeMs, TimeRangeNs, TimestampMs};
use plan::reference::{Source, evaluate};
use plan::{Answer, EvalError, EvalOptions, LogicalPlan, Series, StreamEntries};
use promql::{EvalParams, Options};

use super::script::When;

/// A query of a script.
#[derive(Clone, Debug)]
pub struct Query {
    /// Text.
    pub text: String,
    /// When.
    pub when: When,
    /// The time that selectors without `@` are fixed to.
    pub pin: Option<i64>,
}

impl Query {
    /// Parses and lowers under the conformance profile: every feature on, 10,000 samples.
    ///
    /// # Errors
    /// With the text a user would see.
    pub fn plan(&self) -> Result<LogicalPlan, String> {
        let expr = promql::parse(&self.text, &Options::all()).map_err(|e| e.to_string())?;
        let options =
            EvalOptions { samples_max: 10_000, delayed_name_removal: true, use_start_timestamps: true, ..EvalOptions::default() };
        let (start, end, step_ms) = match self.when {
            When::Instant(t) => (t, t, 0),
            When::Range { start, end, step } => (start, end, step),
        };
        let params = EvalParams { start: TimestampMs(start), end: TimestampMs(end), step_ms, lookback_ms: 300_000, options };
        let mut plan = promql::lower(&self.text, &expr, &params).map_err(|e| e.to_string())?;
        if let Some(t) = self.pin {
            super::pin::pin(&mut plan.root, TimestampMs(t));
        }
        Ok(plan)
    }
}

/// Holds series and evaluates queries over them.
pub trait Evaluator {
    /// Replaces everything held, sorted by labels.
    fn load(&mut self, series: Vec<Series>);
    /// Evaluates.
    ///
    /// # Errors
    /// With the text a user would see.
    fn eval(&self, query: &Query) -> Result<Answer, String>;
}

/// The reference evaluator over samples in memory.
#[derive(Default)]
pub struct ReferenceEvaluator(Vec<Series>);

impl Source for ReferenceEvaluator {
    fn series(&self, matchers: &[Matcher], range: TimeRangeMs) -> Result<Vec<Series>, EvalError> {
        let inside = |t: i64| t >= range.start.0 && t < range.end.0;
        let matching = self.0.iter().filter(|s| matchers.iter().all(|m| m.matches_labels(&s.labels)));
        let has = |s: &&Series| s.timestamps.iter().any(|t| inside(*t)) || s.histograms.iter().any(|h| inside(h.timestamp));
        Ok(matching.filter(has).cloned().collect())
    }

    fn streams(&self, _: &[Matcher], _: TimeRangeNs) -> Result<Vec<StreamEntries>, EvalError> {
        Ok(Vec::new())
    }
}

impl Evaluator for ReferenceEvaluator {
    fn load(&mut self, series: Vec<Series>) {
        self.0 = series;
    }

    fn eval(&self, query: &Query) -> Result<Answer, String> {
        evaluate(&query.plan()?, self).map_err(|e| e.to_string())
    }
}
