//! `labels`, `label/…/values`, `series`.

use axum::extract::{Path, State as Extract};
use axum::response::Response;
use http::StatusCode;
use model::{Matcher, Signal};
use wire::loki_api::envelope;
use wire::loki_api::params::lookup_range;

use super::{Failure, JSON};
use crate::State;
use crate::limits::LOOKUP_MAX;
use crate::request::ApiRequest;
use crate::respond::whole;
use crate::source::Lookup;

fn lookup(state: &State, request: &ApiRequest, selectors: Vec<&str>) -> Result<Lookup, Failure> {
    let range = lookup_range(&request.form, state.now_ns())?.cover_ms();
    let sets: Result<Vec<Vec<Matcher>>, _> = selectors.into_iter().map(logql::parse_matchers).collect();
    let matcher_sets = sets.map_err(Failure::bad)?;
    let matcher_sets = if matcher_sets.iter().any(Vec::is_empty) { Vec::new() } else { matcher_sets };
    let range = state.bounded(range);
    Ok(Lookup { tenant: request.tenant.clone(), signal: Signal::Logs, matcher_sets, range, limit: LOOKUP_MAX })
}

/// Returns the `query` parameter as a selector, where there is one.
fn query(request: &ApiRequest) -> Vec<&str> {
    Some(request.form.get("query")).filter(|query| !query.is_empty()).into_iter().collect()
}

fn names(names: &[String]) -> Response {
    whole(StatusCode::OK, JSON, envelope::names(names.iter().map(String::as_str)))
}

/// Lists label names.
pub async fn label_names(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    let lookup = lookup(&state, &request, query(&request))?;
    let found = state.looked_up(&request.tenant, |source| async move { source.label_names(lookup).await }).await??;
    Ok(names(&found.items))
}

/// Lists the values of a label.
pub async fn label_values(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    request: ApiRequest,
) -> Result<Response, Failure> {
    let lookup = lookup(&state, &request, query(&request))?;
    let found = state.looked_up(&request.tenant, |source| async move { source.label_values(lookup, name).await }).await??;
    Ok(names(&found.items))
}

/// Lists streams; without a selector, or with `{}`, all of them.
pub async fn series(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    let selectors = request.form.all("match[]").chain(request.form.all("match")).collect();
    let lookup = lookup(&state, &request, selectors)?;
    let found = state.looked_up(&request.tenant, |source| async move { source.series(lookup).await }).await??;
    Ok(whole(StatusCode::OK, JSON, envelope::series(&found.items)))
}
