//! A request that was not stored, as an HTTP answer.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use model::ErrorKind;
use wire::status;

use crate::pace::TooFast;

/// Why nothing was stored.
#[derive(Debug)]
pub enum Refusal {
    /// The request cannot be read or may not be stored.
    Request(wire::error::Error),
    /// Its tenant sends too fast.
    Pace(TooFast),
    /// It is not known which replica is elected.
    Election(manifest::Error),
    /// It could not be made durable.
    Append(appender::Error),
}

/// When who is being elected is known: a write later.
const ELECTED_AFTER_SECONDS: u64 = 2;

impl Refusal {
    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Request(error) => status::of_request(error),
            Refusal::Pace(_) => status::TOO_FAST,
            Refusal::Append(appender::Error::Backlogged { .. }) => status::BACKLOG,
            Refusal::Append(error) => status::of_kind(error.kind()),
            Refusal::Election(error) => status::of_kind(error.kind()),
        }
    }
}

impl Refusal {
    /// Returns the text for the client.
    pub fn text(&self) -> String {
        match (self, self.retry_after_seconds()) {
            (Refusal::Request(error), _) => error.to_string(),
            (Refusal::Pace(error), _) => error.to_string(),
            (Refusal::Append(error), None) => error.to_string(),
            (Refusal::Election(error), None) => error.to_string(),
            (Refusal::Append(error), Some(seconds)) => again(error, seconds),
            (Refusal::Election(error), Some(seconds)) => again(error, seconds),
        }
    }

    /// Returns when the client may try again, where that can help.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            // A bucket of tokens fills by the second.
            Refusal::Request(wire::error::Error::RateLimited(_)) => Some(1),
            Refusal::Request(_) => None,
            Refusal::Pace(error) => Some(error.retry_after.as_secs()),
            Refusal::Election(error) => (error.kind() == ErrorKind::Unavailable).then_some(ELECTED_AFTER_SECONDS),
            Refusal::Append(error) => error.retry_after().map(|after| after.as_secs()),
        }
    }
}

fn again(error: &dyn std::error::Error, seconds: u64) -> String {
    format!("{error}: not acknowledged, send it again in {seconds} s")
}

impl From<manifest::Error> for Refusal {
    fn from(error: manifest::Error) -> Refusal {
        tracing::warn!(error = &error as &dyn std::error::Error, "replicas could not be told apart");
        Refusal::Election(error)
    }
}

impl From<wire::error::Error> for Refusal {
    fn from(error: wire::error::Error) -> Refusal {
        Refusal::Request(error)
    }
}

impl From<TooFast> for Refusal {
    fn from(error: TooFast) -> Refusal {
        Refusal::Pace(error)
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
        let mut response = plain(self.status(), &self.text());
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Go's `http.Error` says so beside its texts.
const NO_SNIFFING: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

/// Answers a method that a path of Prometheus's does not know.
pub async fn method_not_allowed() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED.as_u16(), "Method Not Allowed")
}

/// Answers with a text, as Go's `http.Error` does; without one the body is empty.
pub fn plain(status: u16, text: &str) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if text.is_empty() {
        return code.into_response();
    }
    (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), NO_SNIFFING], format!("{text}\n")).into_response()
}
