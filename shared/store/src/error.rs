//! What can go wrong at the ports, by cause.

use crate::objects::ServerFailure;
use model::ErrorKind;

/// Source of an error, kept for the log.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// The result of a call to a port.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure at a port.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store could not be reached or asked us to slow down; nothing was changed.
    #[error("{operation}: store is unavailable")]
    Unavailable {
        /// The call that failed.
        operation: &'static str,
        /// What the client said.
        #[source]
        source: Source,
    },
    /// The call may or may not have taken effect: its answer was lost. Read before deciding anything.
    #[error("{operation}: outcome is unknown")]
    UnknownOutcome {
        /// The call whose answer was lost.
        operation: &'static str,
        /// What the client said.
        #[source]
        source: Source,
    },
    /// A record would pass the bound of an item.
    #[error("record is {size_bytes} bytes, limit is {limit_bytes}")]
    RecordTooLarge {
        /// Size of the value.
        size_bytes: usize,
        /// The bound.
        limit_bytes: usize,
    },
    /// The store refused the request as it is: credentials, a missing table or bucket, a bad configuration.
    #[error("{operation}: store refused the request")]
    Refused {
        /// The call that failed.
        operation: &'static str,
        /// What the client said.
        #[source]
        source: Source,
    },
    /// Stored bytes are not what was written.
    #[error("{what} is corrupt")]
    Corrupt {
        /// The thing read.
        what: String,
    },
    /// Another process has the records file open.
    #[error("{path} is open in another process, and one at a time can use it")]
    Locked {
        /// The file.
        path: String,
    },
    /// A configuration value cannot be used.
    #[error("{0}")]
    Config(String),
}

impl Error {
    /// Answers what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Unavailable { .. } | Error::UnknownOutcome { .. } => ErrorKind::Unavailable,
            Error::RecordTooLarge { .. } => ErrorKind::Limit,
            Error::Refused { .. } => ErrorKind::Internal,
            Error::Corrupt { .. } => ErrorKind::Corrupt,
            Error::Locked { .. } => ErrorKind::Conflict,
            Error::Config(_) => ErrorKind::Invalid,
        }
    }

    /// Reports whether the call may have taken effect although it failed.
    pub fn is_unknown_outcome(&self) -> bool {
        matches!(self, Error::UnknownOutcome { .. })
    }
}

/// Answers what the caller of an object store should do about its error.
pub fn object_error_kind(error: &object_store::Error) -> ErrorKind {
    match error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => ErrorKind::Conflict,
        object_store::Error::InvalidPath { .. } | object_store::Error::NotSupported { .. } => ErrorKind::Invalid,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => ErrorKind::Internal,
        error if ServerFailure::of(error).is_some_and(ServerFailure::is_refusal) => ErrorKind::Internal,
        _ => ErrorKind::Unavailable,
    }
}
