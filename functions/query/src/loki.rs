//! Loki's HTTP API.
//!
//! Owns: its routes and what each answers. Does not own: parameters and JSON (`wire::loki_api`), the language (`logql`).
//! Endpoints that only guess (`detected_fields`, `patterns`) are not served: a client sees 404 and does without.

mod lookups;
mod query;
mod render;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use model::ErrorKind;
use wire::loki_api::params::ParameterError;

use crate::State;
use crate::gate::Refusal;
use crate::respond::{text, whole};
use crate::source::SourceError;

const PREFIX: &str = "/loki/api/v1";
/// Loki's content type.
const JSON: &str = "application/json; charset=UTF-8";

/// Reports whether a path belongs to Loki's API, whose errors are plain text.
pub fn is_loki_path(path: &str) -> bool {
    path.starts_with("/loki/")
}

/// Returns the API's routes.
pub fn router() -> Router<State> {
    let path = |end: &str| format!("{PREFIX}/{end}");
    Router::new()
        .route("/ready", get(ready))
        .route(&path("query_range"), get(query::range).post(query::range))
        .route(&path("query"), get(query::instant).post(query::instant))
        .route(&path("format_query"), get(query::format).post(query::format))
        .route(&path("labels"), get(lookups::label_names).post(lookups::label_names))
        .route(&path("label"), get(lookups::label_names).post(lookups::label_names))
        .route(&path("label/{name}/values"), get(lookups::label_values).post(lookups::label_values))
        .route(&path("series"), get(lookups::series).post(lookups::series))
        .route(&path("status/buildinfo"), get(buildinfo))
}

async fn ready() -> Response {
    text(StatusCode::OK, "ready\n".to_owned())
}

/// Names the Loki whose API this is: Grafana derives features from the version.
async fn buildinfo() -> Response {
    let body = concat!(
        r#"{"version":"3.7.6","revision":"lamella-"#,
        env!("CARGO_PKG_VERSION"),
        r#"","branch":"HEAD","buildUser":"","buildDate":"","goVersion":""}"#
    );
    whole(StatusCode::OK, JSON, body.as_bytes().to_vec())
}

/// A failed request: a status and a text.
struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    fn bad(message: impl std::fmt::Display) -> Failure {
        Failure { status: StatusCode::BAD_REQUEST, message: message.to_string() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        text(self.status, self.message)
    }
}

impl From<ParameterError> for Failure {
    fn from(error: ParameterError) -> Failure {
        Failure::bad(error)
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Failure {
        if error.timed_out {
            return Failure::from(Refusal::TimedOut);
        }
        // Loki has no status of its own for what its engine finds out about vector matching.
        let matching = error.kind == ErrorKind::Invalid && is_matching(&error.message);
        let status = match error.kind {
            _ if matching => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorKind::Invalid | ErrorKind::Limit | ErrorKind::NotFound => StatusCode::BAD_REQUEST,
            ErrorKind::Unavailable | ErrorKind::Conflict => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure { status, message: error.message }
    }
}

fn is_matching(message: &str) -> bool {
    message.contains("many-to-many matching not allowed") || message.starts_with("multiple matches for labels:")
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let (status, message) = match refusal {
            Refusal::TimedOut | Refusal::TimedOutInQueue => (
                StatusCode::GATEWAY_TIMEOUT,
                "request timed out, decrease the duration of the request or add more label matchers (prefer exact match over regex match) to reduce the amount of data processed".to_owned(),
            ),
            Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, refusal.to_string()),
            Refusal::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, refusal.to_string()),
        };
        Failure { status, message }
    }
}
