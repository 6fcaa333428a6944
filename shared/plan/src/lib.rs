//! The one small plan both languages lower to, the kernels that give it meaning, and the evaluator that is its specification.
//!
//! Owns: [`logical`] (the plan as data), [`value`] (what an evaluation returns), [`functions`] (pure kernels, one file per family),
//! [`pipeline`] (log stages), [`patterns`] (what lines have in common), [`mod@reference`] (the slow, obvious evaluator), [`resolution`] (which copy a selector reads), [`explain`] (the plan as text).
//! Does not own: any text syntax, any IO, DataFusion. `plan` does no IO.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod annotations;
pub mod error;
pub mod explain;
pub mod functions;
pub mod logical;
pub mod patterns;
pub mod pipeline;
pub mod reference;
pub mod resolution;
pub mod template;
pub mod value;

pub use annotations::Annotations;
pub use error::EvalError;
pub use logical::{Dialect, EvalOptions, Grid, LogicalPlan, Node, TimeUnit};
pub use value::{Answer, SampleCounts, Series, StepSeries, StepValues, StreamEntries, Value};
