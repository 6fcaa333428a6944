//! Targets: nothing is scraped here, so the lists are empty; their parameters are checked all the same.

use axum::extract::State as Extract;
use axum::response::Response;
use http::StatusCode;
use wire::prom_api::params::go_integer;
use wire::prom_api::{ApiError, envelope};

use super::Failure;
use crate::State;
use crate::request::ApiRequest;
use crate::respond::{JSON, whole};

fn fixed(data: &'static str) -> Response {
    whole(StatusCode::OK, JSON, envelope::answer(|out| out.extend_from_slice(data.as_bytes())))
}

/// Lists targets; counts of dropped ones only where those are asked for.
pub async fn targets(request: ApiRequest) -> Response {
    let state = request.form.get("state").to_lowercase();
    fixed(match matches!(state.as_str(), "" | "any" | "dropped") {
        true => r#"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}"#,
        false => r#"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":null}"#,
    })
}

/// Lists what targets say of their metrics.
pub async fn metadata(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    let form = &request.form;
    if !form.get("limit").is_empty() && go_integer(form.get("limit")).is_err() {
        return Err(ApiError::bad_data("limit must be a number").into());
    }
    let target = form.get("match_target");
    if !target.is_empty() {
        promql::parse_selector(target, &state.options.language).map_err(|error| ApiError::parameter("match_target", error))?;
    }
    Ok(fixed("[]"))
}

/// Would explain relabelling of a scrape pool.
pub async fn relabel_steps(request: ApiRequest) -> Result<Response, Failure> {
    let pool = request.form.get("scrapePool");
    let reason = match (pool, request.form.get("labels")) {
        ("", _) => "no scrapePool parameter provided".to_owned(),
        (_, "") => "no labels parameter provided".to_owned(),
        _ => format!("error retrieving scrape config: scrape pool {} not found", model::quote::go_quote(pool)),
    };
    Err(ApiError::bad_data(reason).into())
}
