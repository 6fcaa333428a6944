//! What can go wrong between a batch and its acknowledgement.

use std::sync::Arc;

use model::ErrorKind;

/// The result of an append.
pub type Result<T> = std::result::Result<T, Error>;

/// A write that was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The batch does not fit a segment.
    #[error("encode segment")]
    Segment(#[source] Arc<segment::SegmentError>),
    /// The object could not be put.
    #[error("put segment")]
    Object(#[source] Arc<object_store::Error>),
    /// The segment could not be committed.
    #[error("commit segment")]
    Manifest(#[source] Arc<manifest::Error>),
    /// The collector burnt every id that was tried.
    #[error("segment id was burnt {attempts} times")]
    Burnt {
        /// Ids tried.
        attempts: u32,
    },
    /// The process is shutting down.
    #[error("the server is shutting down")]
    Closed,
    /// Too much is waiting to be written.
    #[error("{held_bytes} bytes are waiting to be written, limit is {limit_bytes}")]
    Full {
        /// Bytes held.
        held_bytes: usize,
        /// The bound.
        limit_bytes: usize,
    },
    /// The task that wrote the group is gone.
    #[error("the write was interrupted")]
    Interrupted,
}

impl Error {
    /// Answers what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Segment(source) => source.kind(),
            Error::Manifest(source) => source.kind(),
            Error::Object(_) | Error::Burnt { .. } | Error::Closed | Error::Full { .. } | Error::Interrupted => {
                ErrorKind::Unavailable
            }
        }
    }
}
