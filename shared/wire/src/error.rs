//! What can be wrong with a write request, by cause.

use model::ErrorKind;

/// Why a write request was refused as a whole.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Content type, message type or content encoding is not ours to read.
    #[error("{0}")]
    MediaType(String),
    /// The body as received is too large.
    #[error("request body is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The bound.
        limit_bytes: usize,
    },
    /// The decompressed body would be too large.
    #[error("decompressed body is larger than {limit_bytes} bytes")]
    DecodedTooLarge {
        /// The bound.
        limit_bytes: usize,
    },
    /// The body cannot be decoded, or what it says cannot be stored.
    #[error("{0}")]
    Body(String),
    /// The tenant sends faster than its limit.
    #[error("{0}")]
    RateLimited(String),
    /// A push request without a stream.
    #[error("error at least one valid stream is required for ingestion")]
    NoStreams,
    /// Authentication is on and no tenant was named.
    #[error("no org id")]
    NoTenant,
    /// The tenant named is not a tenant id.
    #[error("{0}")]
    Tenant(String),
}

impl Error {
    /// Answers what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::BodyTooLarge { .. } | Error::DecodedTooLarge { .. } | Error::RateLimited(_) => ErrorKind::Limit,
            _ => ErrorKind::Invalid,
        }
    }

    pub(crate) fn body(text: impl Into<String>) -> Error {
        Error::Body(text.into())
    }
}
