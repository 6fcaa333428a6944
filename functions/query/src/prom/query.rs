//! `query`, `query_range`, `format_query`, `parse_query`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Extract;
use axum::response::Response;
use http::StatusCode;
use model::{Limits, TenantId, TimestampMs};
use plan::{EvalOptions, Grid, LogicalPlan};
use promql::Expr;
use wire::json_text::html_string;
use wire::prom_api::{ApiError, ErrorType, RangeParams, envelope, params};

use super::Failure;
use super::render::{self, Extras};
use super::syntax_tree;
use crate::State;
use crate::cost::{self, Spent};
use crate::request::{Across, ApiRequest};
use crate::respond::{self, JSON, whole};
use crate::source::Labels;

/// Evaluates a query at one time.
pub async fn instant(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let form = &request.form;
    let limit = params::limit(form)?;
    let at = params::time_parameter(form, "time", state.clock.now())?.of_query();
    let timeout = params::timeout(form, request.limits.query_timeout)?;
    let plan = plan(&state, &request, Grid::instant_ms(at), true)?;
    let (mut evaluated, spent) = evaluate(&state, &request.tenants, plan, timeout).await?;
    evaluated.warnings.extend(params::stats_warning(form.get("stats")));
    let extras = Extras { stats: cost::prometheus_stats(form.get("stats"), &spent), limit };
    let pieces = render::instant(evaluated, at.0, extras);
    Ok(cost::stamped(respond::pieces(JSON, pieces), &spent))
}

/// Evaluates a query over a range.
pub async fn range(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let form = &request.form;
    let limit = params::limit(form)?;
    let RangeParams { start, end, step_ms } = RangeParams::parse(form)?;
    let timeout = params::timeout(form, request.limits.query_timeout)?;
    let grid = Grid::range_ms(start, end, step_ms);
    let plan = plan(&state, &request, grid, false)?;
    let (mut evaluated, spent) = evaluate(&state, &request.tenants, plan, timeout).await?;
    evaluated.warnings.extend(params::stats_warning(form.get("stats")));
    let extras = Extras { stats: cost::prometheus_stats(form.get("stats"), &spent), limit };
    let pieces = render::range(evaluated, grid, extras);
    Ok(cost::stamped(respond::pieces(JSON, pieces), &spent))
}

/// Prints a query the way `promtool promql format` does.
pub async fn format(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    let expr = parsed(&state, query_text(&request)?)?;
    let body = envelope::answer(|out| html_string(out, &promql::prettify(&expr)));
    Ok(whole(StatusCode::OK, JSON, body))
}

/// Returns a query's syntax tree.
pub async fn parse(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    let expr = parsed(&state, query_text(&request)?)?;
    Ok(whole(StatusCode::OK, JSON, envelope::answer(|out| syntax_tree::write(out, &expr))))
}

/// Returns the query's text, within the tenant's limit.
pub(super) fn query_text(request: &ApiRequest) -> Result<&str, ApiError> {
    let text = request.form.get("query");
    let most = request.limits.query_text_bytes_max;
    match text.len() > most {
        true => Err(ApiError::parameter("query", format!("query text is {} bytes, limit is {most}", text.len()))),
        false => Ok(text),
    }
}

fn parsed(state: &State, text: &str) -> Result<Expr, ApiError> {
    promql::parse(text, &state.options.language).map_err(|error| ApiError::parameter("query", error))
}

fn plan(state: &State, request: &ApiRequest, grid: Grid, instant: bool) -> Result<LogicalPlan, ApiError> {
    let lookback_ms = params::lookback_delta_ms(&request.form)?;
    let text = query_text(request)?;
    let limits = &*request.limits;
    let (resolution_max, resolution) = params::resolutions(&request.form)?;
    let replica_labels = replica_labels(request, limits)?;
    let samples_max = limits.query_samples_max;
    let options = EvalOptions { instant, samples_max, resolution_max, resolution, replica_labels, ..state.options.eval.clone() };
    let step_ms = if instant { 0 } else { grid.step };
    let lookback_ms = lookback_ms.unwrap_or(state.options.lookback_ms);
    let params = promql::EvalParams { start: TimestampMs(grid.start), end: TimestampMs(grid.end), step_ms, lookback_ms, options };
    let expr = parsed(state, text)?;
    promql::lower(text, &expr, &params).map_err(|error| ApiError::parameter("query", error))
}

/// Returns the labels that tell replicas apart which are to be answered as one: only where the request or the tenant's limits ask for
/// it, for a request of Prometheus's own API gets Prometheus's answer. Both parameters are Thanos's.
pub(super) fn replica_labels(request: &ApiRequest, limits: &Limits) -> Result<Vec<String>, ApiError> {
    if !params::boolean(&request.form, "dedup")?.unwrap_or(limits.replicas_deduplicated) {
        return Ok(Vec::new());
    }
    let given: Vec<String> = request.form.all("replicaLabels[]").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(if given.is_empty() { limits.replica_labels.clone() } else { given })
}

async fn evaluate(
    state: &State,
    tenants: &[TenantId],
    plan: LogicalPlan,
    timeout: Duration,
) -> Result<(plan::Answer, Spent), Failure> {
    // Upstream finds a deadline that passed already before its engine does, and calls it thus.
    if timeout.is_zero() {
        return Err(ApiError::new(ErrorType::Execution, "context deadline exceeded").into());
    }
    let (source, owned) = (Arc::clone(&state.source), tenants.to_vec());
    let timed = state.gate.run(timeout, async move { source.evaluate(&owned, plan, Labels::Merged).await }).await?;
    let evaluated = timed.value?;
    let spent = state.spent(tenants, &evaluated, timed.queued, timed.took);
    Ok((evaluated.answer, spent))
}
