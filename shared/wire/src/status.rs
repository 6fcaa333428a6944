//! Failure to HTTP status of the write protocols, in one place (W4: 4xx never succeeds later, 5xx and 429 may).

use model::ErrorKind;

use crate::error::Error;

/// The status where a tenant's writes must wait for compaction.
pub const BACKLOG: u16 = 429;

/// The status where a tenant sends faster than it may.
pub const TOO_FAST: u16 = 429;

/// Returns the status of a failure inside the write path.
pub fn of_kind(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::Invalid => 400,
        ErrorKind::NotFound => 404,
        ErrorKind::Limit => 413,
        ErrorKind::Conflict | ErrorKind::Unavailable => 503,
        ErrorKind::Corrupt | ErrorKind::Internal => 500,
    }
}

/// Returns the status of a write request that cannot be read.
pub fn of_request(error: &Error) -> u16 {
    match error {
        Error::MediaType(_) => 415,
        Error::BodyTooLarge { .. } => 413,
        Error::NoStreams => 422,
        Error::RateLimited(_) => TOO_FAST,
        Error::NoTenant => 401,
        Error::DecodedTooLarge { .. } | Error::Body(_) | Error::Tenant(_) => 400,
    }
}
