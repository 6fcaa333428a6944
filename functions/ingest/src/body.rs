//! Request bodies, read up to the bound and not a byte further, chunked ones included.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use wire::error::Error;

/// Reads a whole body.
///
/// # Errors
/// `BodyTooLarge` beyond the bound, `Body` where the client hung up.
pub async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Error> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(read) => Ok(read.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::BodyTooLarge { limit_bytes: bytes_max }),
        Err(error) => Err(Error::Body(format!("read request body: {error}"))),
    }
}
