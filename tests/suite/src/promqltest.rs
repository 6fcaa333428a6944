//! Runner for the `promqltest` language: loads series, evaluates queries, compares with what the script expects.

mod compare;
mod evaluator;
mod histogram;
mod items;
mod run;
mod script;

pub use evaluator::{Evaluator, Query, ReferenceEvaluator};
pub use run::{Failure, FileReport, run};
