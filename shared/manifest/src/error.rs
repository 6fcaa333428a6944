//! What can go wrong in the manifest, by cause.

use model::ErrorKind;

/// The result of a manifest call.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of the manifest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record store failed.
    #[error("{step}")]
    Store {
        /// What was being done, verb first.
        step: &'static str,
        /// The store's error.
        #[source]
        source: store::Error,
    },
    /// A record does not decode.
    #[error("record {key} is corrupt: {reason}")]
    Corrupt {
        /// The record.
        key: String,
        /// Why it does not decode.
        reason: &'static str,
    },
    /// A head has so many pages that it would pass its bound.
    #[error("head {key} would be {size_bytes} bytes, limit is {limit_bytes}")]
    HeadTooLarge {
        /// The head.
        key: String,
        /// Its size with the change.
        size_bytes: usize,
        /// The bound.
        limit_bytes: usize,
    },
    /// Pages of a head kept vanishing while it was read.
    #[error("pages of head {key} were gone {attempts} times")]
    PagesGone {
        /// The head.
        key: String,
        /// Times it was read.
        attempts: u32,
    },
    /// An L0 item is too large for a record.
    #[error("l0 item is {size_bytes} bytes, limit is {limit_bytes}")]
    ItemTooLarge {
        /// Its encoded size.
        size_bytes: usize,
        /// The bound.
        limit_bytes: usize,
    },
    /// A write attempt is too old to be committed safely: begin again under a fresh key.
    #[error("write attempt is {age_ms} ms old, limit is {limit_ms}")]
    AttemptTooOld {
        /// Milliseconds since the attempt was minted.
        age_ms: i64,
        /// The bound.
        limit_ms: i64,
    },
    /// The hour's day was dropped by retention.
    #[error("hour {hour} was dropped by retention")]
    Dropped {
        /// The hour.
        hour: String,
    },
    /// Reading the manifest took longer than a snapshot may.
    #[error("snapshot took {took_ms} ms, limit is {limit_ms}")]
    SnapshotTooSlow {
        /// Milliseconds between its first and last read.
        took_ms: i64,
        /// The bound.
        limit_ms: i64,
    },
    /// A head kept changing under us.
    #[error("head {key} changed {attempts} times while it was being updated")]
    Contended {
        /// The head.
        key: String,
        /// Updates tried.
        attempts: u32,
    },
    /// A replacement that no snapshot can have led to.
    #[error("replacement in {window}: {reason}")]
    Replacement {
        /// The window.
        window: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A deletion that would delete nothing, or everything by mistake.
    #[error("deletion refused: {reason}")]
    Deletion {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A deletion is too large for its record.
    #[error("deletion is {size_bytes} bytes, limit is {limit_bytes}")]
    DeletionTooLarge {
        /// Its encoded size.
        size_bytes: usize,
        /// The bound.
        limit_bytes: usize,
    },
    /// Too many deletions are on their way.
    #[error("there are {limit} deletions already, which is the limit: try again when some have ended")]
    TooManyDeletions {
        /// The bound.
        limit: usize,
    },
    /// A deletion was removed while it was being requested.
    #[error("deletion {id:032x} is gone")]
    DeletionGone {
        /// Its id.
        id: u128,
    },
    /// Too many parts are in quarantine.
    #[error("there are {limit} parts in quarantine already, which is the limit")]
    TooManyQuarantined {
        /// The bound.
        limit: usize,
    },
    /// A replica has claimed to be the elected one, and nothing of it is stored yet.
    #[error("replicas of cluster {cluster:?} are being elected")]
    Undecided {
        /// What they are replicas of.
        cluster: String,
    },
    /// A ring epoch is not valid.
    #[error("ring epoch {epoch}: {reason}")]
    Ring {
        /// The epoch.
        epoch: u32,
        /// Why it was refused.
        reason: &'static str,
    },
}

impl Error {
    /// Answers what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Store { source, .. } => source.kind(),
            Error::Corrupt { .. } => ErrorKind::Corrupt,
            Error::HeadTooLarge { .. }
            | Error::ItemTooLarge { .. }
            | Error::DeletionTooLarge { .. }
            | Error::TooManyDeletions { .. }
            | Error::TooManyQuarantined { .. } => ErrorKind::Limit,
            Error::DeletionGone { .. } => ErrorKind::NotFound,
            Error::AttemptTooOld { .. }
            | Error::SnapshotTooSlow { .. }
            | Error::Contended { .. }
            | Error::PagesGone { .. }
            | Error::Undecided { .. } => ErrorKind::Unavailable,
            Error::Dropped { .. } | Error::Replacement { .. } | Error::Ring { .. } | Error::Deletion { .. } => ErrorKind::Invalid,
        }
    }
}
