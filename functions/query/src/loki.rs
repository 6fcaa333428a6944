//! Loki's HTTP API.
//!
//! Owns: its routes and what each answers. Does not own: parameters and JSON (`wire::loki_api`), the language (`logql`).
//! There is no ruler yet: rules are answered in the shapes of a server that has none.

mod delete;
mod detected;
mod index;
mod lookups;
mod query;
mod render;
mod rules;
mod selector;
mod status;
mod tail;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::StatusCode;
use model::ErrorKind;
use wire::loki_api::params::ParameterError;

use crate::State;
use crate::gate::Refusal;
use crate::respond::text;
use crate::source::SourceError;

const PREFIX: &str = "/loki/api/v1";
/// Where Loki's first API was.
const LEGACY: &str = "/api/prom";
/// Loki's content type.
const JSON: &str = "application/json; charset=UTF-8";

/// Reports whether a path belongs to Loki's API, whose errors are plain text.
pub fn is_loki_path(path: &str) -> bool {
    path.starts_with("/loki/") || path.starts_with(LEGACY)
}

/// Returns the API's routes.
pub fn router() -> Router<State> {
    let path = |end: &str| format!("{PREFIX}/{end}");
    let reads = |router: Router<State>, paths: &[&str], handlers: MethodRouter<State>| {
        paths.iter().fold(router, |router, path| router.route(path, handlers.clone()))
    };
    let router = Router::new()
        .route("/ready", get(status::ready))
        .route("/services", get(status::services))
        .route("/config", get(status::config))
        .route("/config/tenant/v1/limits", get(status::tenant_limits))
        .route("/log_level", get(status::log_level))
        .route(&path("status/buildinfo"), get(status::buildinfo))
        .route(&path("drilldown-limits"), get(status::drilldown_limits))
        .route(&path("query_range"), get(query::range).post(query::range))
        .route(&path("query"), get(query::instant).post(query::instant))
        .route(&path("format_query"), get(query::format).post(query::format))
        .route(&path("index/stats"), get(index::stats).post(index::stats))
        .route(&path("index/shards"), get(index::shards).post(index::shards))
        .route(&path("index/volume"), get(index::volume).post(index::volume))
        .route(&path("index/volume_range"), get(index::volume_range).post(index::volume_range))
        .route(&path("detected_labels"), get(detected::labels).post(detected::labels))
        .route(&path("detected_fields"), get(detected::fields).post(detected::fields))
        .route(&path("detected_field/{name}/values"), get(detected::field_values).post(detected::field_values))
        .route(&path("patterns"), get(detected::patterns).post(detected::patterns))
        .route(&path("delete"), get(delete::list).post(delete::add).put(delete::add).delete(delete::cancel))
        .route(&path("rules"), get(rules::list))
        .route(&path("rules/{namespace}"), get(rules::list).post(rules::create).delete(rules::remove_namespace))
        .route(&path("rules/{namespace}/{group}"), get(rules::group).delete(rules::remove_group))
        .route(&format!("{LEGACY}/query"), get(query::legacy_range).post(query::legacy_range));
    let names = get(lookups::label_names).post(lookups::label_names);
    let router = reads(router, &[&path("labels"), &path("label"), &format!("{LEGACY}/label")], names);
    let values = get(lookups::label_values).post(lookups::label_values);
    let router = reads(router, &[&path("label/{name}/values"), &format!("{LEGACY}/label/{{name}}/values")], values);
    let series = get(lookups::series).post(lookups::series);
    let router = reads(router, &[&path("series"), &format!("{LEGACY}/series")], series);
    reads(router, &[&path("tail"), &format!("{LEGACY}/tail")], get(tail::tail))
}

/// A failed request: a status and a text.
#[derive(Debug)]
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
