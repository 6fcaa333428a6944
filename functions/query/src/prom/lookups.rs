//! `series`, `labels`, `label/…/values`, `metadata`, `query_exemplars`.

use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use model::quote::go_quote_bytes;
use model::{MetricMetadata, Signal, TimeRangeMs};
use wire::form::decode_path_bytes;
use wire::json_text::html_strings;
use wire::prom_api::params::{self, TIME_MAX, TIME_MIN, go_integer, unescape_label_name};
use wire::prom_api::{ApiError, envelope};

use super::query::{query_text, replica_labels};
use super::{Failure, lookup_range, matcher_sets};
use crate::State;
use crate::limits::LOOKUP_MAX;
use crate::request::{Across, ApiRequest};
use crate::respond::{JSON, not_found, whole};
use crate::source::{Found, Lookup};

const TRUNCATED: &str = "results truncated due to limit";

/// What is asked, and how much of what is found is told.
struct Asked {
    lookup: Lookup,
    limit: usize,
    /// Labels that tell replicas apart which are to be answered as one; no answer shows them then (docs/0021).
    replica_labels: Vec<String>,
}

/// Parses what look-ups share. One result more than the limit is asked for, so that truncation is seen; more where replicas become one.
/// `in_parameter` says whether a wrong selector is told as an invalid parameter: upstream's endpoints differ.
fn asked(state: &State, request: &ApiRequest, in_parameter: bool) -> Result<Asked, ApiError> {
    let limit = params::limit(&request.form)?;
    let range = lookup_range(request, state)?;
    let matcher_sets = matcher_sets(request, state).map_err(|reason| match in_parameter {
        true => ApiError::parameter("match[]", reason),
        false => ApiError::bad_data(reason),
    })?;
    let replica_labels = replica_labels(request, &request.limits)?;
    let most = if limit == 0 { LOOKUP_MAX } else { limit.min(LOOKUP_MAX) };
    let read = if replica_labels.is_empty() { most + 1 } else { LOOKUP_MAX + 1 };
    let lookup = Lookup { tenants: request.tenants.clone(), signal: Signal::Metrics, matcher_sets, range, limit: read };
    Ok(Asked { lookup, limit: most, replica_labels })
}

/// Cuts a result to the limit, with a warning that says so; also where what became fewer was cut before.
fn truncate<T>(found: Found<T>, limit: usize) -> (Vec<T>, Vec<String>) {
    let Found { mut items, mut warnings, truncated } = found;
    if truncated || items.len() > limit {
        warnings.push(TRUNCATED.to_owned());
    }
    items.truncate(limit);
    (items, warnings)
}

fn names(found: Found<String>, limit: usize) -> Response {
    let (items, warnings) = truncate(found, limit);
    let body = envelope::noted_answer(|out| html_strings(out, items.iter().map(String::as_str)), &warnings, &[]);
    whole(StatusCode::OK, JSON, body)
}

/// Lists the series that match.
pub async fn series(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    request.whole_form().map_err(ApiError::bad_data)?;
    if request.form.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided").into());
    }
    let Asked { lookup, limit, replica_labels } = asked(&state, &request, true)?;
    let mut found = state.looked_up(&request.limits, |source| async move { source.series(lookup).await }).await??;
    if !replica_labels.is_empty() {
        let is_kept = |name: &str| !replica_labels.iter().any(|label| label == name);
        found.items.iter_mut().for_each(|labels| *labels = labels.retain(is_kept));
        found.items.sort_unstable();
        found.items.dedup();
    }
    let (items, warnings) = truncate(found, limit);
    Ok(whole(StatusCode::OK, JSON, envelope::noted_answer(|out| envelope::series_list(out, &items), &warnings, &[])))
}

/// Lists label names.
pub async fn label_names(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let Asked { lookup, limit, replica_labels } = asked(&state, &request, false)?;
    let mut found = state.looked_up(&request.limits, |source| async move { source.label_names(lookup).await }).await??;
    found.items.retain(|name| !replica_labels.contains(name));
    Ok(names(found, limit))
}

/// Lists the values of a label.
pub async fn label_values(Extract(state): Extract<State>, uri: Uri, Across(request): Across) -> Result<Response, Failure> {
    let segment = uri.path().rsplit('/').nth(1).unwrap_or_default();
    // Upstream's router takes a slash for one, however it is written.
    let name = match decode_path_bytes(segment) {
        Ok(name) if !name.is_empty() && !name.contains(&b'/') => name,
        _ => return Ok(not_found().await),
    };
    let name = String::from_utf8(name).map_err(|error| invalid_name(error.as_bytes()))?;
    let name = unescape_label_name(&name);
    if name.is_empty() {
        return Err(invalid_name(b"").into());
    }
    let Asked { lookup, limit, replica_labels } = asked(&state, &request, false)?;
    if replica_labels.contains(&name) {
        return Ok(names(Found::default(), limit));
    }
    let found = state.looked_up(&request.limits, |source| async move { source.label_values(lookup, name).await }).await??;
    Ok(names(found, limit))
}

fn invalid_name(name: &[u8]) -> ApiError {
    ApiError::bad_data(format!("invalid label name: {}", go_quote_bytes(name)))
}

/// Lists metric metadata. A negative `limit` is none, and 0 is nothing; of `limit_per_metric` both are none.
pub async fn metadata(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    let number = |name: &str| match request.form.get(name) {
        "" => Ok(-1),
        text => go_integer(text).map_err(|_| ApiError::bad_data(format!("{name} must be a number"))),
    };
    let metrics = usize::try_from(number("limit")?).unwrap_or(usize::MAX);
    let per_metric = usize::try_from(number("limit_per_metric")?).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let metric = Some(request.form.get("metric").to_owned()).filter(|metric| !metric.is_empty());
    let tenant = request.tenant.clone();
    let range = state.bounded(TimeRangeMs::new(TIME_MIN, TIME_MAX));
    let Found { items, warnings, .. } =
        state.looked_up(&request.limits, |source| async move { source.metadata(&tenant, metric, range).await }).await??;
    let kept = items.chunk_by(|a, b| a.metric == b.metric).take(metrics).flat_map(|family| family.iter().take(per_metric));
    let kept: Vec<MetricMetadata> = kept.cloned().collect();
    Ok(whole(StatusCode::OK, JSON, envelope::noted_answer(|out| envelope::metadata(out, &kept), &warnings, &[])))
}

/// Lists the exemplars of the series a query selects. Grafana probes with milliseconds in `start` and `end`: no error.
pub async fn exemplars(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    let start = params::time_parameter(&request.form, "start", TIME_MIN)?;
    let end = params::time_parameter(&request.form, "end", TIME_MAX)?;
    if end < start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp").into());
    }
    let text = query_text(&request)?;
    let expr = promql::parse(text, &state.options.language).map_err(|error| ApiError::bad_data(error.to_string()))?;
    let matcher_sets: Vec<_> = expr.selectors().map(|selector| selector.matchers.clone()).collect();
    if matcher_sets.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let range = lookup_range(&request, &state)?;
    let lookup = Lookup { tenants: request.tenants.clone(), signal: Signal::Metrics, matcher_sets, range, limit: LOOKUP_MAX };
    let found = state.looked_up(&request.limits, |source| async move { source.exemplars(lookup).await }).await??;
    Ok(whole(StatusCode::OK, JSON, envelope::noted_answer(|out| envelope::exemplars(out, &found.items), &found.warnings, &[])))
}
