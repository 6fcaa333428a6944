//! The SDK's errors as `object_store`'s, by HTTP status.

use crate::error::Source;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use object_store::path::Path;
use object_store::{Attributes, Error, PutMode, Result};
use std::fmt::{self, Write};

/// What a failed request comes down to: the source of the `object_store` error, so that a retry can tell refusals apart.
#[derive(Debug)]
pub struct ServerFailure {
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// S3's error code, if the answer had one.
    pub code: Option<String>,
    text: String,
}

impl ServerFailure {
    /// Returns the failure inside an error of the S3 client.
    pub fn of(error: &Error) -> Option<&ServerFailure> {
        match error {
            Error::Generic { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }

    /// Reports whether the same request will be refused again: a 3xx or 4xx that is about the request itself, such as a bucket
    /// of another region.
    pub fn is_refusal(&self) -> bool {
        let passing = matches!(self.code.as_deref(), Some("RequestTimeout" | "IncompleteBody" | "SlowDown" | "Throttling"));
        let about_request = self.status.is_some_and(|status| (300..500).contains(&status) && !matches!(status, 408 | 409 | 429));
        about_request && !passing
    }
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ServerFailure {}

impl ServerFailure {
    pub(super) fn of_sdk<E>(error: SdkError<E, HttpResponse>) -> ServerFailure
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = code(&error).map(str::to_owned);
        // The SDK's own display says only "service error".
        ServerFailure { status, code, text: DisplayErrorContext(&error).to_string() }
    }
}

/// Boxes the failure behind an SDK error.
pub fn source<E>(error: SdkError<E, HttpResponse>) -> Source
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    Box::new(ServerFailure::of_sdk(error))
}

/// Returns the service's error code.
pub fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

pub fn generic(source: Source) -> Error {
    Error::Generic { store: "s3", source }
}

/// Translates a failed read, copy or delete.
pub fn translate(location: &Path, cause: ServerFailure) -> Error {
    let path = location.to_string();
    let status = cause.status;
    let source: Source = Box::new(cause);
    match status {
        Some(304) => Error::NotModified { path, source },
        Some(401) => Error::Unauthenticated { path, source },
        Some(403) => Error::PermissionDenied { path, source },
        Some(404) => Error::NotFound { path, source },
        Some(412) => Error::Precondition { path, source },
        _ => generic(source),
    }
}

/// Translates a failed put, where a failed condition means what its mode asked for.
pub fn translate_put(location: &Path, mode: &PutMode, cause: ServerFailure) -> Error {
    let path = location.to_string();
    match (mode, cause.status) {
        (PutMode::Create, Some(412)) => Error::AlreadyExists { path, source: Box::new(cause) },
        // An update of what does not exist is answered 404.
        (PutMode::Update(_), Some(404 | 412)) => Error::Precondition { path, source: Box::new(cause) },
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
