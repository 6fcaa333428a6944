//! What a script needs of an engine, and the choice between engines.

use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::ValueEnum;
use model::TimestampMs;
use plan::{Answer, EvalOptions, LogicalPlan, Series};
use promql::{EvalParams, Options};

use super::datafusion::DataFusion;
use super::reference::Reference;
use super::script::When;

/// How far instant selectors look back, milliseconds.
const LOOKBACK_MS: i64 = 300_000;
/// Samples a query may hold; the data's own bound.
const SAMPLES_MAX: usize = 10_000;
/// Steps a query may have: a range over all time must not take the machine with it.
const STEPS_MAX: usize = 100_000;

/// Loads series and evaluates plans.
pub trait Evaluator {
    /// Replaces everything loaded by these series, which are sorted by labels.
    fn load(&mut self, series: Vec<Series>);
    /// Evaluates a plan over what is loaded.
    ///
    /// # Errors
    /// With the text that a user would see.
    fn evaluate(&self, plan: &LogicalPlan) -> Result<Answer, String>;
}

/// The engines a script can be run against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// The slow, obvious evaluator.
    #[default]
    Reference,
    /// The engine, over segments in memory stores; named after whose operators run.
    #[value(name = "datafusion")]
    DataFusion,
}

impl Engine {
    /// Makes an engine with nothing loaded.
    pub fn start(self) -> Box<dyn Evaluator> {
        match self {
            Engine::Reference => Box::new(Reference::default()),
            Engine::DataFusion => Box::new(DataFusion::default()),
        }
    }
}

/// Evaluates a query text with everything of the language on; an engine that panics gives an error.
///
/// # Errors
/// With the text of the parser or of the engine, without position.
pub fn evaluate(engine: &dyn Evaluator, query: &str, when: When) -> Result<Answer, String> {
    let attempt = || {
        let plan = plan(query, when)?;
        match plan.grid.len() {
            steps if steps > STEPS_MAX => Err(format!("the query has {steps} steps, limit is {STEPS_MAX}")),
            _ => engine.evaluate(&plan),
        }
    };
    catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|panic| Err(format!("{PANICKED}{}", panic_text(panic.as_ref()))))
}

/// How the error of an evaluation that panicked begins; no case expects one.
pub const PANICKED: &str = "panicked: ";

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}

fn plan(query: &str, when: When) -> Result<LogicalPlan, String> {
    let expr = promql::parse(query, &Options::all()).map_err(|error| error.message)?;
    promql::lower(query, &expr, &params(when)).map_err(|error| error.to_string())
}

fn params(when: When) -> EvalParams {
    let (start, end, step_ms) = match when {
        When::Instant(at) => (at, at, 0),
        When::Range { start, end, step } => (start, end, step),
    };
    let options = EvalOptions {
        samples_max: SAMPLES_MAX,
        delayed_name_removal: true,
        use_start_timestamps: true,
        ..EvalOptions::default()
    };
    EvalParams { start: TimestampMs(start), end: TimestampMs(end), step_ms, lookback_ms: LOOKBACK_MS, options }
}
