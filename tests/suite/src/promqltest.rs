//! Runner for the `promqltest` language: loads series, evaluates queries, compares with what the script expects.

pub mod evaluator;
pub mod expect;
mod hints;
mod histogram_text;
mod nhcb;
mod number;
mod pin;
mod run;
pub mod script;
pub mod series;
mod storage;

pub use evaluator::{Evaluator, Query, ReferenceEvaluator};
pub use run::{Failure, FileReport, run};
