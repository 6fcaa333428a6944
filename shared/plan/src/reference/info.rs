//! `info()`: data labels of info series joined to other series by `instance` and `job`.

use super::{Context, Source};
use crate::error::EvalError;
use crate::logical::Call;
use crate::value::Value;

pub(super) fn evaluate(_call: &Call, _source: &dyn Source, _context: &mut Context<'_>) -> Result<Value, EvalError> {
    Err(EvalError::Unsupported("function info".to_owned()))
}
