//! Why an evaluation failed, in Prometheus's words.

use model::ErrorKind;

/// A failed evaluation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// The query cannot be evaluated on this data.
    #[error("{0}")]
    Execution(String),
    /// More samples than `samples_max` were held at once.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// Nobody waits for the answer any more: the query timed out or was cancelled.
    #[error("query was canceled in query execution")]
    Stopped,
    /// The values of the evaluation do not fit into what its source grants.
    #[error("query needs more memory than it may have")]
    TooMuchMemory,
    /// A construct this evaluator does not know.
    #[error("not implemented: {0}")]
    Unsupported(String),
    /// The source failed.
    #[error("expanding series: {message}")]
    Source {
        /// What the caller should do.
        kind: ErrorKind,
        /// What happened.
        message: String,
    },
}

impl EvalError {
    /// Returns what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            EvalError::Execution(_) => ErrorKind::Invalid,
            EvalError::TooManySamples | EvalError::TooMuchMemory => ErrorKind::Limit,
            EvalError::Stopped => ErrorKind::Unavailable,
            EvalError::Unsupported(_) => ErrorKind::Internal,
            EvalError::Source { kind, .. } => *kind,
        }
    }

    /// The text for result vectors in which a label set occurs twice.
    pub fn same_labelset() -> EvalError {
        EvalError::Execution("vector cannot contain metrics with the same labelset".to_owned())
    }
}
