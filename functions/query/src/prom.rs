//! Prometheus's HTTP API.
//!
//! Owns: its routes and what each answers. Does not own: parameters and JSON (`wire::prom_api`), the language (`promql`).

mod admin;
mod federate;
mod lookups;
mod query;
mod read;
mod render;
mod rules;
mod status;
mod syntax_tree;
mod targets;
mod tsdb;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::StatusCode;
use model::{Matcher, TimeRangeMs};
use wire::prom_api::{ApiError, ErrorType, envelope, params};

use crate::State;
use crate::gate::Refusal;
use crate::request::ApiRequest;
use crate::respond::{self, JSON, whole};
use crate::source::SourceError;

/// Where the API is served: Prometheus's own path, and the prefix Mimir and Loki put before it.
const PREFIXES: [&str; 2] = ["/api/v1", "/prometheus/api/v1"];

/// Returns the API's routes.
pub fn router() -> Router<State> {
    let mut router = Router::new().route("/federate", get(federate::federate));
    for prefix in PREFIXES {
        let path = |end: &str| format!("{prefix}/{end}");
        let admin = |end: &str| path(&format!("admin/tsdb/{end}"));
        router = router
            .route(&path("query"), get(query::instant).post(query::instant))
            .route(&path("query_range"), get(query::range).post(query::range))
            .route(&path("query_exemplars"), get(lookups::exemplars).post(lookups::exemplars))
            .route(&path("format_query"), get(query::format).post(query::format))
            .route(&path("parse_query"), get(query::parse).post(query::parse))
            .route(&path("series"), get(lookups::series).post(lookups::series))
            .route(&path("labels"), get(lookups::label_names).post(lookups::label_names))
            .route(&path("label/{name}/values"), get(lookups::label_values))
            .route(&path("metadata"), get(lookups::metadata))
            .route(&path("read"), post(read::read))
            .route(&path("targets"), get(targets::targets))
            .route(&path("targets/metadata"), get(targets::metadata))
            .route(&path("targets/relabel_steps"), get(targets::relabel_steps))
            .route(&path("status/config"), get(status::config))
            .route(&path("status/flags"), get(status::flags))
            .route(&path("status/runtimeinfo"), get(status::runtime_info))
            .route(&path("status/tsdb"), get(tsdb::status))
            .route(&path("status/self_metrics"), get(status::self_metrics))
            .route(&path("features"), get(status::features))
            .route(&admin("delete_series"), post(admin::delete_series).put(admin::delete_series))
            .route(&admin("clean_tombstones"), post(admin::clean_tombstones).put(admin::clean_tombstones))
            .route(&admin("snapshot"), post(admin::snapshot).put(admin::snapshot))
            // Here so that the middleware answers `OPTIONS` on any path.
            .route(&path("{*any}"), any(respond::not_found));
        for end in ["search/metric_names", "search/label_names", "search/label_values"] {
            router = router.route(&path(end), get(search_disabled).post(search_disabled));
        }
        for (end, data) in status::FIXED {
            router = router.route(&path(end), get(move || status::fixed(data)));
        }
    }
    let [own, ruler] = PREFIXES;
    router = router
        .route(&format!("{own}/rules"), get(rules::rules))
        .route(&format!("{own}/alerts"), get(rules::alerts))
        .route(&format!("{ruler}/rules"), get(rules::ruler_rules))
        .route(&format!("{ruler}/alerts"), get(rules::ruler_alerts));
    let probes = Router::new().route("/-/healthy", get(status::healthy)).route("/-/ready", get(status::ready));
    router.layer(axum::middleware::from_fn(respond::without_head)).merge(probes)
}

/// Searching has a flag upstream, off by default, and is not there behind it here.
async fn search_disabled() -> Failure {
    Failure(ApiError::new(ErrorType::Unavailable, "search API disabled"))
}

/// A failed request as a response.
pub struct Failure(pub ApiError);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        whole(status_of(self.0.error_type), JSON, envelope::error(&self.0))
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure(error)
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Failure {
        let error_type = if error.timed_out { ErrorType::Timeout } else { ErrorType::of_evaluation(error.kind) };
        Failure(ApiError::new(error_type, error.message))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure(match refusal {
            Refusal::TimedOut => ApiError::new(ErrorType::Timeout, "query timed out in expression evaluation"),
            Refusal::TimedOutInQueue => ApiError::new(ErrorType::Timeout, "query timed out in query queue"),
            Refusal::Busy => ApiError::new(ErrorType::Timeout, refusal.to_string()),
            Refusal::Panicked => ApiError::new(ErrorType::Internal, refusal.to_string()),
        })
    }
}

fn status_of(error_type: ErrorType) -> StatusCode {
    StatusCode::from_u16(error_type.http_status()).expect("the table has statuses only")
}

/// Parses `match[]`: each a selector with a matcher that refuses the empty string.
fn matcher_sets(request: &ApiRequest, state: &State) -> Result<Vec<Vec<Matcher>>, String> {
    let sets = selectors(request, state)?;
    match sets.iter().any(|matchers| matchers.iter().all(Matcher::matches_empty)) {
        true => Err("match[] must contain at least one non-empty matcher".to_owned()),
        false => Ok(sets),
    }
}

/// Parses `match[]`, whatever the selectors match.
fn selectors(request: &ApiRequest, state: &State) -> Result<Vec<Vec<Matcher>>, String> {
    let parse = |text| promql::parse_selector(text, &state.options.language).map_err(|error| error.to_string());
    request.form.all("match[]").map(parse).collect()
}

/// Parses `start` and `end` of a look-up; whatever the client asks, nothing lies before the epoch or in the far future.
fn lookup_range(request: &ApiRequest, state: &State) -> Result<TimeRangeMs, ApiError> {
    let asked = params::lookup_range(&request.form)?;
    Ok(state.bounded(asked))
}
