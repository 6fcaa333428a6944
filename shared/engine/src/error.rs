//! What can go wrong in a query.

use datafusion_common::DataFusionError;
use model::{ErrorKind, Limits};
use plan::EvalOptions;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Prometheus's text for its sample limit.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples {
        /// The bound.
        limit: usize,
    },
    /// Prometheus's text for a query that took too long.
    #[error("query timed out in expression evaluation")]
    Timeout {
        /// The bound, milliseconds.
        limit_ms: u64,
    },
    /// Prometheus's text for a query that nobody waits for any more.
    #[error("query was canceled in query execution")]
    Cancelled,
    /// A bound of ours was hit.
    #[error("query needs {value} {what}, limit is {limit}")]
    Limit {
        /// What there would be too many of.
        what: &'static str,
        /// How many there would be at least.
        value: u64,
        /// The bound.
        limit: u64,
    },
    /// The query's memory is used up.
    #[error("query needs more than {limit_bytes} bytes of memory")]
    Memory {
        /// The bound.
        limit_bytes: usize,
    },
    /// The expression fails on this data, as the language says it.
    #[error("{0}")]
    Evaluation(String),
    /// A construct the engine does not execute.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// The manifest could not be read.
    #[error("read manifest")]
    Manifest(#[from] manifest::Error),
    /// An object could not be read.
    #[error("read segment {key}")]
    Object {
        /// The object.
        key: String,
        /// The store's error.
        #[source]
        source: store::objects::ObjectError,
    },
    /// A fault of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl EngineError {
    /// Returns what the caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            EngineError::TooManySamples { .. } | EngineError::Limit { .. } | EngineError::Memory { .. } => ErrorKind::Limit,
            EngineError::Timeout { .. } | EngineError::Cancelled => ErrorKind::Unavailable,
            EngineError::Evaluation(_) | EngineError::Unsupported(_) => ErrorKind::Invalid,
            EngineError::Manifest(source) => source.kind(),
            EngineError::Object { source, .. } => store::error::object_error_kind(source),
            EngineError::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Reports whether an object of the snapshot was gone: a newer snapshot may answer.
    pub(crate) fn is_missing_object(&self) -> bool {
        matches!(self, EngineError::Object { source: store::objects::ObjectError::NotFound { .. }, .. })
    }

    /// Turns a failure of the reference evaluator into one of the engine.
    pub(crate) fn of_evaluation(error: plan::EvalError, options: &EvalOptions, limits: &Limits) -> EngineError {
        match error {
            plan::EvalError::Execution(text) => EngineError::Evaluation(text),
            plan::EvalError::Stopped => EngineError::Cancelled,
            plan::EvalError::TooManySamples => EngineError::TooManySamples { limit: options.samples_max },
            plan::EvalError::TooMuchMemory => EngineError::Memory { limit_bytes: limits.query_memory_bytes_max },
            plan::EvalError::Unsupported(what) => EngineError::Unsupported(what),
            plan::EvalError::Source { message, .. } => EngineError::Internal(message),
        }
    }

    /// Wraps the error for the way through DataFusion's streams.
    pub(crate) fn boxed(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }

    /// Unwraps an error that came through DataFusion's streams.
    pub(crate) fn unboxed(error: DataFusionError, limit_bytes: usize) -> EngineError {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<EngineError>() {
                Ok(own) => *own,
                Err(other) => match other.downcast::<DataFusionError>() {
                    Ok(nested) => EngineError::unboxed(*nested, limit_bytes),
                    Err(other) => EngineError::Internal(other.to_string()),
                },
            },
            DataFusionError::ResourcesExhausted(_) => EngineError::Memory { limit_bytes },
            DataFusionError::Context(_, inner) => EngineError::unboxed(*inner, limit_bytes),
            DataFusionError::Shared(inner) => match &*inner {
                DataFusionError::ResourcesExhausted(_) => EngineError::Memory { limit_bytes },
                other => EngineError::Internal(other.to_string()),
            },
            other => EngineError::Internal(other.to_string()),
        }
    }
}
