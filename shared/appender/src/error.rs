//! What can go wrong between a batch and its acknowledgement.

use std::sync::Arc;
use std::time::Duration;

use model::{ErrorKind, Hour};

use crate::limits::{BACKLOG_RETRY_AFTER, RETRY_AFTER};

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
    /// The request spreads over too many event hours.
    #[error("request spreads over {hours} event hours, limit is {limit}: send it in several")]
    TooManyHours {
        /// Hours with rows.
        hours: usize,
        /// The bound.
        limit: usize,
    },
    /// Compaction is too far behind.
    #[error("{segments} segments of an hour wait for compaction, limit is {limit}")]
    Backlogged {
        /// The hour.
        hour: Hour,
        /// How many, about.
        segments: u32,
        /// The bound.
        limit: u32,
    },
    /// The stores did not answer in time.
    #[error("write took longer than {limit_ms} ms")]
    TooSlow {
        /// The bound.
        limit_ms: u64,
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
    /// Returns when the same request is worth sending again, where it is at all.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Backlogged { .. } => Some(BACKLOG_RETRY_AFTER),
            error if error.kind() == ErrorKind::Unavailable => Some(RETRY_AFTER),
            _ => None,
        }
    }

    /// Answers what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Segment(source) => source.kind(),
            Error::Manifest(source) => source.kind(),
            Error::TooManyHours { .. } => ErrorKind::Limit,
            Error::Object(source) => store::error::object_error_kind(source),
            Error::Burnt { .. } | Error::Closed | Error::Full { .. } | Error::Interrupted => ErrorKind::Unavailable,
            Error::Backlogged { .. } | Error::TooSlow { .. } => ErrorKind::Unavailable,
        }
    }
}
