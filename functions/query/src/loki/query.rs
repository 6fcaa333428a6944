//! `query_range`, `query`, `format_query`.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use http::StatusCode;
use model::ErrorKind;
use plan::{Answer, LogicalPlan, Value};
use wire::loki_api::envelope::{self, CATEGORIZE_LABELS, ENCODING_FLAGS_HEADER};
use wire::loki_api::params::{InstantParams, check_lines, check_range};
use wire::loki_api::{Direction, RangeParams};

use super::{Failure, JSON, render};
use crate::State;
use crate::cost::{self, Spent};
use crate::request::{ApiRequest, header_text};
use crate::respond::{pieces, whole};
use crate::source::Labels;

/// `format_query` writes the same type in lower case.
const JSON_LOWER: &str = "application/json; charset=utf-8";

/// Evaluates a log or metric query over a range.
pub async fn range(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    let params = RangeParams::parse(&request.form, state.now_ns())?;
    let expr = parse(&state, &request)?;
    let limits = &state.limits(&request.tenant).log_queries;
    if let Some(most) = limits.range_max {
        check_range(params.end.0.saturating_sub(params.start.0), most)?;
    }
    let is_log = matches!(expr, logql::Expr::Log(_));
    if is_log {
        check_lines(params.limit, limits.lines_max)?;
    }
    let categorized =
        header_text(&request.headers, ENCODING_FLAGS_HEADER).split(',').any(|flag| flag.trim() == CATEGORIZE_LABELS);
    let params = if is_log { params } else { params.aligned() };
    let lowering = logql::Params {
        text: text(&request),
        start_ns: params.start.0,
        end_ns: params.end.0,
        step_ns: params.step_ns,
        instant: false,
        newest_first: params.direction == Direction::Backward,
        limit: params.limit,
        interval_ns: params.interval_ns,
        approx_topk: false,
    };
    let plan = lower(&state, &request, &expr, &lowering)?;
    let grid = plan.grid;
    let labels = if categorized { Labels::Categorized } else { Labels::Merged };
    let (answer, spent) = evaluate(&state, &request, plan, labels).await?;
    check_series(&state, &request, &answer)?;
    let returned = render::entries_returned(&answer.value);
    let stats = cost::loki_stats(&spent, returned, if is_log { returned } else { 0 });
    let body = match is_log {
        true => render::streams(answer, categorized, stats),
        false => render::matrix(answer, grid, stats),
    };
    Ok(cost::stamped(pieces(JSON, body), &spent))
}

/// Evaluates a metric query at one time.
pub async fn instant(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    let InstantParams { time } = InstantParams::parse(&request.form, state.now_ns())?;
    let expr = parse(&state, &request)?;
    if matches!(expr, logql::Expr::Log(_)) {
        let text = "log queries are not supported as an instant query type, please change your query to a range query type";
        return Err(Failure::bad(text));
    }
    let lowering = logql::Params {
        text: text(&request),
        start_ns: time.0,
        end_ns: time.0,
        step_ns: 1,
        instant: true,
        newest_first: true,
        limit: 0,
        interval_ns: 0,
        approx_topk: false,
    };
    let plan = lower(&state, &request, &expr, &lowering)?;
    let (answer, spent) = evaluate(&state, &request, plan, Labels::Merged).await?;
    check_series(&state, &request, &answer)?;
    let stats = cost::loki_stats(&spent, render::entries_returned(&answer.value), 0);
    let body = render::instant(answer, time.to_ms().0, stats);
    Ok(cost::stamped(pieces(JSON, body), &spent))
}

/// Prints a query over several lines; a query that does not parse is the one error Loki answers in JSON.
pub async fn format(Extract(state): Extract<State>, request: ApiRequest) -> Response {
    let formatted = parse(&state, &request).map(|expr| logql::pretty(&expr));
    let status = if formatted.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let result = formatted.as_ref().map(String::as_str).map_err(|failure| failure.message.as_str());
    whole(status, JSON_LOWER, envelope::formatted(result))
}

fn text(request: &ApiRequest) -> Arc<str> {
    Arc::from(request.form.get("query"))
}

fn parse(state: &State, request: &ApiRequest) -> Result<logql::Expr, Failure> {
    let (text, most) = (request.form.get("query"), state.limits(&request.tenant).query_text_bytes_max);
    if text.len() > most {
        return Err(Failure::bad(format!("query text is {} bytes, limit is {most}", text.len())));
    }
    logql::parse(text).map_err(Failure::bad)
}

fn lower(state: &State, request: &ApiRequest, expr: &logql::Expr, params: &logql::Params) -> Result<LogicalPlan, Failure> {
    let refused = |error: logql::Error| match error.kind() {
        // Loki answers what its server does not have switched on with 500.
        ErrorKind::Internal => Failure { status: StatusCode::INTERNAL_SERVER_ERROR, message: error.to_string() },
        _ => Failure::bad(error),
    };
    let mut plan = logql::lower(expr, params).map_err(refused)?;
    plan.options.samples_max = state.limits(&request.tenant).query_samples_max;
    Ok(plan)
}

async fn evaluate(state: &State, request: &ApiRequest, plan: LogicalPlan, labels: Labels) -> Result<(Answer, Spent), Failure> {
    let (source, tenant) = (Arc::clone(&state.source), request.tenant.clone());
    let timeout = state.limits(&tenant).query_timeout;
    let timed = state.gate.run(timeout, async move { source.evaluate(&tenant, plan, labels).await }).await?;
    let evaluated = timed.value?;
    let spent = Spent { cost: evaluated.cost, samples: evaluated.answer.samples_loaded, queued: timed.queued, took: timed.took };
    Ok((evaluated.answer, spent))
}

/// Checks the series of a metric query against the tenant's limit.
fn check_series(state: &State, request: &ApiRequest, answer: &Answer) -> Result<(), Failure> {
    let most = state.limits(&request.tenant).log_queries.series_max;
    match &answer.value {
        Value::Vector(series) if series.len() > most => Err(Failure::bad(format!(
            "maximum number of series ({most}) reached for a single query; consider reducing query cardinality by adding more specific \
             stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()"
        ))),
        _ => Ok(()),
    }
}
