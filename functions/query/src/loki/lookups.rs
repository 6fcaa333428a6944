//! `labels`, `label/…/values`, `series`.

use std::collections::BTreeSet;

use axum::extract::{Path, State as Extract};
use axum::response::Response;
use http::StatusCode;
use model::{Matcher, Signal};
use wire::loki_api::envelope;
use wire::loki_api::params::lookup_range;

use super::{Failure, JSON, selector};
use crate::State;
use crate::limits::LOOKUP_MAX;
use crate::request::{Across, ApiRequest};
use crate::respond::whole;
use crate::source::Lookup;

/// Makes the look-up of a request; `None` where all it asks for is older than the tenant's queries reach.
fn lookup(state: &State, request: &ApiRequest, matcher_sets: Vec<Vec<Matcher>>) -> Result<Option<Lookup>, Failure> {
    let now = state.now_ns();
    let visible = selector::visible(lookup_range(&request.form, now)?, &request.limits, now.0)?;
    Ok(visible.map(|range| {
        let range = state.bounded(range.cover_ms());
        Lookup { tenants: request.tenants.clone(), signal: Signal::Logs, matcher_sets, range, limit: LOOKUP_MAX }
    }))
}

/// Parses the `query` parameter, where there is one.
fn query(request: &ApiRequest) -> Result<Vec<Vec<Matcher>>, Failure> {
    match request.form.get("query") {
        "" => Ok(Vec::new()),
        text => Ok(vec![selector::checked(text)?]),
    }
}

/// Parses the selectors of `/series`: none, or `{}` alone, are all streams.
fn selectors(request: &ApiRequest) -> Result<Vec<Vec<Matcher>>, Failure> {
    let texts: BTreeSet<&str> = request.form.all("match").chain(request.form.all("match[]")).collect();
    if texts.len() == 1 && texts.iter().all(|text| text.replace(' ', "") == "{}") {
        return Ok(Vec::new());
    }
    let parse = |text: &str| match logql::parse_matchers(text).map_err(Failure::bad)? {
        matchers if matchers.is_empty() => Err(Failure::bad(format!("0 matchers in group: {text}"))),
        matchers => Ok(matchers),
    };
    texts.into_iter().map(parse).collect()
}

fn names(names: &[String]) -> Response {
    whole(StatusCode::OK, JSON, envelope::names(names.iter().map(String::as_str)))
}

/// Lists label names.
pub async fn label_names(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let Some(lookup) = lookup(&state, &request, query(&request)?)? else { return Ok(names(&[])) };
    let found = state.looked_up(&request.limits, |source| async move { source.label_names(lookup).await }).await??;
    Ok(names(&found.items))
}

/// Lists the values of a label.
pub async fn label_values(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    Across(request): Across,
) -> Result<Response, Failure> {
    let Some(lookup) = lookup(&state, &request, query(&request)?)? else { return Ok(names(&[])) };
    let found = state.looked_up(&request.limits, |source| async move { source.label_values(lookup, name).await }).await??;
    Ok(names(&found.items))
}

/// Lists streams; without a selector, or with `{}`, all of them.
pub async fn series(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let Some(lookup) = lookup(&state, &request, selectors(&request)?)? else {
        return Ok(whole(StatusCode::OK, JSON, envelope::series(&[])));
    };
    let found = state.looked_up(&request.limits, |source| async move { source.series(lookup).await }).await??;
    Ok(whole(StatusCode::OK, JSON, envelope::series(&found.items)))
}
