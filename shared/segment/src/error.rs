//! What can go wrong with a segment.

use model::ErrorKind;

/// Why a segment could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// Stored bytes are not what was written (S2).
    #[error("segment is corrupt: {what}")]
    Corrupt {
        /// Which part, and how it is wrong.
        what: String,
    },
    /// One input of a merge cannot be read; the others may be fine.
    #[error("merge input {position}")]
    Input {
        /// Its position among the inputs.
        position: usize,
        /// What is wrong with it.
        #[source]
        source: Box<SegmentError>,
    },
    /// The file was written by a newer version.
    #[error("segment version is {version}, newest known is {known}")]
    Version {
        /// Version found.
        version: u16,
        /// Newest version this program reads.
        known: u16,
    },
    /// The caller did not fetch bytes that `plan_ranges` had named.
    #[error("segment bytes {start}..{end} were not fetched")]
    NotFetched {
        /// First byte missing.
        start: u64,
        /// One past the last byte missing.
        end: u64,
    },
    /// The input passes a bound of the format.
    #[error("{what} is {value}, limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        value: u64,
        /// The bound.
        limit: u64,
    },
    /// The Parquet library refused to write or read.
    #[error("{context}")]
    Parquet {
        /// What was being done.
        context: &'static str,
        /// The library's error.
        #[source]
        source: parquet::errors::ParquetError,
    },
}

impl SegmentError {
    /// Returns what the caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            SegmentError::Corrupt { .. } => ErrorKind::Corrupt,
            SegmentError::Version { .. } => ErrorKind::Corrupt,
            SegmentError::Input { source, .. } => source.kind(),
            SegmentError::TooLarge { .. } => ErrorKind::Limit,
            SegmentError::NotFetched { .. } | SegmentError::Parquet { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> SegmentError {
        SegmentError::Corrupt { what: what.into() }
    }
}
