//! Why a block is not read.

use model::ErrorKind;

/// What is wrong with a part of a block.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BlockError {
    /// Its bytes end too early.
    #[error("{what} is truncated")]
    Truncated {
        /// The part.
        what: &'static str,
    },
    /// Its bytes are not those that were written.
    #[error("checksum of {what} is {found:08x}, expected {expected:08x}")]
    Checksum {
        /// The part.
        what: &'static str,
        /// What the bytes give.
        found: u32,
        /// What stands beside them.
        expected: u32,
    },
    /// It contradicts the format.
    #[error("{what} is corrupt: {how}")]
    Corrupt {
        /// The part.
        what: &'static str,
        /// How.
        how: String,
    },
    /// It has a form that is not known here.
    #[error("{what} is of version {version}, which is not known")]
    Version {
        /// The part.
        what: &'static str,
        /// The version, or the encoding.
        version: u8,
    },
    /// It passes a bound.
    #[error("{what} is {bytes} bytes, limit is {limit}")]
    TooLarge {
        /// The part.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The bound.
        limit: usize,
    },
}

impl BlockError {
    /// Answers what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            BlockError::TooLarge { .. } => ErrorKind::Limit,
            BlockError::Version { .. } => ErrorKind::Invalid,
            _ => ErrorKind::Corrupt,
        }
    }

    pub(super) fn corrupt(what: &'static str, how: impl Into<String>) -> BlockError {
        BlockError::Corrupt { what, how: how.into() }
    }
}
