//! A request that was not stored, as an HTTP answer.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use wire::status;

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
            Refusal::Append(appender::Error::Backlogged { .. }) => status::BACKLOG,
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
        let error = match self {
            Refusal::Request(error) => return plain(status, &error.to_string()),
            Refusal::Append(error) => error,
        };
        let Some(retry_after) = error.retry_after() else { return plain(status, &error.to_string()) };
        let seconds = retry_after.as_secs();
        let mut response = plain(status, &format!("{error}: not acknowledged, send it again in {seconds} s"));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        response
    }
}

/// Answers with a text, as Go's `http.Error` does; without one the body is empty.
pub fn plain(status: u16, text: &str) -> Response {
    let code = StatusCode::from_u16(status).expect("statuses are listed in wire::status");
    if text.is_empty() {
        return code.into_response();
    }
    (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response()
}
