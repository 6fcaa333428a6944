//! A request that was not stored, as an HTTP answer.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use wire::status;

/// Seconds after which a client may try again: a few lingers of the write buffer.
const RETRY_AFTER_SECONDS: &str = "2";

/// Why nothing was stored.
#[derive(Debug)]
pub enum Refusal {
    /// The request cannot be read or may not be stored.
    Request(wire::error::Error),
    /// It could not be made durable.
    Append(appender::Error),
}

impl Refusal {
    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Request(error) => status::of_request(error),
            Refusal::Append(error) => status::of_kind(error.kind()),
        }
    }
}

impl From<wire::error::Error> for Refusal {
    fn from(error: wire::error::Error) -> Refusal {
        Refusal::Request(error)
    }
}

impl From<appender::Error> for Refusal {
    fn from(error: appender::Error) -> Refusal {
        tracing::error!(error = &error as &dyn std::error::Error, "write was not acknowledged");
        Refusal::Append(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let text = match self {
            Refusal::Request(error) => error.to_string(),
            Refusal::Append(error) => error.to_string(),
        };
        plain(status, &text)
    }
}

/// Answers with a text, as Go's `http.Error` does; without one the body is empty.
pub fn plain(status: u16, text: &str) -> Response {
    let code = StatusCode::from_u16(status).expect("statuses are listed in wire::status");
    if text.is_empty() {
        return code.into_response();
    }
    let mut response = (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response();
    if matches!(status, 429 | 503) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    }
    response
}
