//! Why a process could not start.

use model::ErrorKind;

/// The result of starting.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure to start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An environment variable cannot be used.
    #[error("environment variable {name} is {value:?}, expected {expected}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// An environment variable is missing.
    #[error("environment variable {name} is not set: {needed}")]
    Missing {
        /// Its name.
        name: &'static str,
        /// What needs it.
        needed: &'static str,
    },
    /// Variables that exclude each other.
    #[error("only one of {} may be set", names.join(", "))]
    Several {
        /// Their names.
        names: [&'static str; 3],
    },
    /// Accounts cannot be read.
    #[error("read credentials of {place}")]
    Credentials {
        /// Where they are kept.
        place: String,
        /// Why, without what stands there.
        #[source]
        source: edge::ReadError,
    },
    /// A file that a variable names cannot be read.
    #[error("read {path}, named by {name}")]
    File {
        /// The variable.
        name: &'static str,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A text of limits cannot be used.
    #[error("read the limits of {name}")]
    Limits {
        /// The variable that holds it or names its file.
        name: &'static str,
        /// Why, and where.
        #[source]
        source: serde_yaml_ng::Error,
    },
    /// Limits contradict each other.
    #[error("limits of {whose}: {reason}")]
    Contradiction {
        /// A tenant, or everybody.
        whose: String,
        /// What contradicts what.
        reason: &'static str,
    },
    /// The data directory cannot be made.
    #[error("make data directory {path}")]
    DataDirectory {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A directory is named where none can be had.
    #[error("a function keeps nothing in a directory: name LAMELLA_BUCKET and LAMELLA_TABLE instead of {path}")]
    NoDirectory {
        /// The directory.
        path: String,
    },
    /// A store cannot be opened.
    #[error("open store")]
    Store(#[source] store::Error),
}

impl Error {
    /// Answers what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Variable { .. } | Error::Missing { .. } | Error::Several { .. } | Error::NoDirectory { .. } => {
                ErrorKind::Invalid
            }
            Error::File { .. } | Error::Limits { .. } | Error::Contradiction { .. } | Error::Credentials { .. } => {
                ErrorKind::Invalid
            }
            Error::DataDirectory { .. } => ErrorKind::Internal,
            Error::Store(source) => source.kind(),
        }
    }
}
