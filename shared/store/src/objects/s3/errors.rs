//! The SDK's errors as `object_store`'s, by HTTP status.

use crate::error::Source;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use object_store::path::Path;
use object_store::{Attributes, Error, PutMode, Result};
use std::fmt::Write;

/// What a failed request comes down to.
pub struct Cause {
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    source: Source,
}

impl Cause {
    pub fn of<E>(error: SdkError<E, HttpResponse>) -> Cause
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        Cause { status: error.raw_response().map(|response| response.status().as_u16()), source: source(error) }
    }
}

/// Returns the whole chain of an SDK error as one text; the SDK's own display says only "service error".
pub fn source<E: std::error::Error + Send + Sync + 'static>(error: SdkError<E, HttpResponse>) -> Source {
    DisplayErrorContext(&error).to_string().into()
}

/// Returns the service's error code.
pub fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

pub fn generic(source: Source) -> Error {
    Error::Generic { store: "s3", source }
}

/// Translates a failed read, copy or delete.
pub fn translate(location: &Path, cause: Cause) -> Error {
    let (path, source) = (location.to_string(), cause.source);
    match cause.status {
        Some(304) => Error::NotModified { path, source },
        Some(401) => Error::Unauthenticated { path, source },
        Some(403) => Error::PermissionDenied { path, source },
        Some(404) => Error::NotFound { path, source },
        Some(412) => Error::Precondition { path, source },
        _ => generic(source),
    }
}

/// Translates a failed put, where a failed condition means what its mode asked for.
pub fn translate_put(location: &Path, mode: &PutMode, cause: Cause) -> Error {
    let path = location.to_string();
    match (mode, cause.status) {
        (PutMode::Create, Some(412)) => Error::AlreadyExists { path, source: cause.source },
        // An update of what does not exist is answered 404.
        (PutMode::Update(_), Some(404 | 412)) => Error::Precondition { path, source: cause.source },
        _ => translate(location, cause),
    }
}

pub fn refuse_attributes(attributes: &Attributes) -> Result<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    Err(Error::NotImplemented { operation: "attributes".into(), implementer: "s3".into() })
}

/// Encodes a key for the header that names a copy's source.
pub fn percent_encode(key: &str) -> String {
    key.bytes().fold(String::with_capacity(key.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
