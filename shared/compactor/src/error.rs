//! What can go wrong in a compaction.

use model::ErrorKind;

/// Why a compaction step failed. Whatever it had put is garbage that the collector finds.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// The manifest refused or failed.
    #[error("{step}")]
    Manifest {
        /// What was being done, verb first.
        step: &'static str,
        /// The manifest's error.
        #[source]
        source: manifest::Error,
    },
    /// The object store failed.
    #[error("{step} {key}")]
    Objects {
        /// What was being done, verb first.
        step: &'static str,
        /// The object.
        key: String,
        /// The store's error.
        #[source]
        source: store::objects::ObjectError,
    },
    /// The merge failed for another reason than one bad input.
    #[error("merge segments")]
    Segment {
        /// The error of the merge.
        #[source]
        source: segment::SegmentError,
    },
    /// A deletion's filter means nothing here.
    #[error("filter of a deletion {text:?}: {reason}")]
    EntryFilter {
        /// The filter.
        text: String,
        /// Why it does not compile.
        reason: String,
    },
    /// What runs tell each other could not be read or written.
    #[error("read compaction journal")]
    Journal {
        /// The store's error.
        #[source]
        source: store::Error,
    },
    /// The thread of the merge died.
    #[error("merge was cancelled")]
    Cancelled,
}

impl CompactError {
    /// Answers what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            CompactError::Manifest { source, .. } => source.kind(),
            CompactError::Objects { source, .. } => store::error::object_error_kind(source),
            CompactError::Segment { source } => source.kind(),
            CompactError::Journal { source } => source.kind(),
            CompactError::EntryFilter { .. } => ErrorKind::Invalid,
            CompactError::Cancelled => ErrorKind::Unavailable,
        }
    }
}
