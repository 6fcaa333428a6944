//! Log nodes: plumbing between the source, the pipeline and the window kernels.

use super::{Context, Source};
use crate::error::EvalError;
use crate::logical::{LogQuery, LogWindow};
use crate::value::Value;

pub(super) fn window(window: &LogWindow, _source: &dyn Source, _context: &mut Context<'_>) -> Result<Value, EvalError> {
    Err(EvalError::Unsupported(format!("LogQL {} in the reference evaluator", window.function.as_str())))
}

pub(super) fn query(_query: &LogQuery, _source: &dyn Source, _context: &mut Context<'_>) -> Result<Value, EvalError> {
    Err(EvalError::Unsupported("log queries in the reference evaluator".to_owned()))
}
