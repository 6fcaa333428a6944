//! `query_range`, `query`, `format_query`, and the older `/api/prom/query`.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use http::StatusCode;
use model::{ErrorKind, Limits, TimeRangeNs, TimestampNs};
use plan::{Answer, LogicalPlan, Value};
use wire::loki_api::envelope::{self, CATEGORIZE_LABELS, ENCODING_FLAGS_HEADER};
use wire::loki_api::params::{InstantParams, check_lines, check_window};
use wire::loki_api::{Direction, RangeParams};

use super::{Failure, JSON, render, selector};
use crate::State;
use crate::cost::{self, Spent};
use crate::request::{Across, ApiRequest, header_text};
use crate::respond::{Pieces, pieces, whole};
use crate::source::Labels;

/// `format_query` writes the same type in lower case.
const JSON_LOWER: &str = "application/json; charset=utf-8";

/// Evaluates a log or metric query over a range.
pub async fn range(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let params = RangeParams::parse(&request.form, state.now_ns())?;
    let text = request.form.get("query");
    let expr = parse(&request, text)?;
    let categorized = is_categorized(&request);
    let labels = if categorized { Labels::Categorized } else { Labels::Merged };
    let (answer, spent, plan) = evaluate_range(&state, &request, (text, &expr), params, labels).await?;
    let returned = render::entries_returned(&answer.value);
    let is_log = matches!(expr, logql::Expr::Log(_));
    let stats = cost::loki_stats(&spent, returned, if is_log { returned } else { 0 });
    let body = match is_log {
        true => render::streams(answer, categorized, stats),
        false => render::matrix(answer, plan.grid, stats),
    };
    Ok(answered(body, &spent))
}

/// Evaluates a log query over a range for clients of Loki's first API; a second parameter may hold a line filter.
pub async fn legacy_range(Extract(state): Extract<State>, request: ApiRequest) -> Result<Response, Failure> {
    // Loki's first API shows what its parts say to each other.
    let wrapped = |text: String| Failure::bad(format!("rpc error: code = Code(400) desc = {text}"));
    let params = RangeParams::parse(&request.form, state.now_ns())?;
    let text = match request.form.get("regexp") {
        "" => request.form.get("query").to_owned(),
        regexp => filtered(request.form.get("query"), regexp).map_err(wrapped)?,
    };
    let expr = parse(&request, &text)?;
    if matches!(expr, logql::Expr::Metric(_)) {
        return Err(wrapped("legacy endpoints only support streams result type".to_owned()));
    }
    let (answer, spent, _) = evaluate_range(&state, &request, (&text, &expr), params, Labels::Merged).await?;
    let returned = render::entries_returned(&answer.value);
    let stats = cost::loki_stats(&spent, returned, returned);
    Ok(answered(render::legacy_streams(answer, stats), &spent))
}

/// Adds a regular expression to a log query as its last line filter.
pub(super) fn filtered(query: &str, regexp: &str) -> Result<String, String> {
    match logql::parse(query).map_err(|error| error.to_string())? {
        logql::Expr::Log(_) => Ok(format!("{query} |~ {}", model::quote::go_quote(regexp))),
        logql::Expr::Metric(_) => Err("only log selector is supported".to_owned()),
    }
}

async fn evaluate_range(
    state: &State,
    request: &ApiRequest,
    (text, expr): (&str, &logql::Expr),
    params: RangeParams,
    labels: Labels,
) -> Result<(Answer, Spent, Arc<Asked>), Failure> {
    let limits = &*request.limits;
    let is_log = matches!(expr, logql::Expr::Log(_));
    if is_log {
        check_lines(params.limit, limits.log_queries.lines_max)?;
    }
    let range = TimeRangeNs { start: params.start, end: params.end };
    let visible = check(state, request, (text, expr), range)?;
    let RangeParams { start, end, .. } = params;
    let range = visible.unwrap_or(TimeRangeNs::new(end.max(start), end.max(start)));
    let params = RangeParams { start: range.start, end: range.end, ..params };
    let params = if is_log || limits.log_queries.split_interval.is_none() { params } else { params.aligned() };
    let asked = Arc::new(Asked::over(text, &params));
    if visible.is_none() {
        let value = if is_log { Value::Streams(Vec::new()) } else { Value::Vector(Vec::new()) };
        let answer = Answer::of(value);
        return Ok((answer, Spent::default(), asked));
    }
    let plan = asked.lower(expr, limits)?;
    let (mut answer, spent) = evaluate(state, request, plan, labels).await?;
    limit_series(request, &mut answer)?;
    Ok((answer, spent, asked))
}

/// Evaluates a metric query at one time.
pub async fn instant(Extract(state): Extract<State>, Across(request): Across) -> Result<Response, Failure> {
    let InstantParams { time } = InstantParams::parse(&request.form, state.now_ns())?;
    let text = request.form.get("query");
    let expr = parse(&request, text)?;
    if matches!(expr, logql::Expr::Log(_)) {
        let text = "log queries are not supported as an instant query type, please change your query to a range query type";
        return Err(Failure::bad(text));
    }
    check(&state, &request, (text, &expr), TimeRangeNs::new(time, time))?;
    let plan = Asked::at(text, time).lower(&expr, &request.limits)?;
    let (mut answer, spent) = evaluate(&state, &request, plan, Labels::Merged).await?;
    limit_series(&request, &mut answer)?;
    let stats = cost::loki_stats(&spent, render::entries_returned(&answer.value), 0);
    Ok(answered(render::instant(answer, time.to_ms().0, stats), &spent))
}

/// Prints a query over several lines; a query that does not parse is the one error Loki answers in JSON.
pub async fn format(request: ApiRequest) -> Response {
    let formatted = parse(&request, request.form.get("query")).map(|expr| logql::pretty(&expr));
    let status = if formatted.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let result = formatted.as_ref().map(String::as_str).map_err(|failure| failure.message.as_str());
    whole(status, JSON_LOWER, envelope::formatted(result))
}

/// Reports whether the client wants labels by category.
pub(super) fn is_categorized(request: &ApiRequest) -> bool {
    header_text(&request.headers, ENCODING_FLAGS_HEADER).split(',').any(|flag| flag.trim() == CATEGORIZE_LABELS)
}

fn answered(body: Pieces, spent: &Spent) -> Response {
    cost::stamped(pieces(JSON, body), spent)
}

pub(super) fn parse(request: &ApiRequest, text: &str) -> Result<logql::Expr, Failure> {
    let most = request.limits.query_text_bytes_max;
    if text.len() > most {
        return Err(Failure::bad(format!("query text is {} bytes, limit is {most}", text.len())));
    }
    logql::parse(text).map_err(Failure::bad)
}

/// Checks a query against the tenant's limits, in Loki's order; returns what of the range it may see.
pub(super) fn check(
    state: &State,
    request: &ApiRequest,
    (text, expr): (&str, &logql::Expr),
    range: TimeRangeNs,
) -> Result<Option<TimeRangeNs>, Failure> {
    let limits = &*request.limits;
    let selections = expr.selections();
    for selection in &selections {
        selector::check_labels(&selection.log.matchers, limits)?;
    }
    let visible = selector::visible(range, limits, state.now_ns().0)?;
    selector::check_blocked(text, expr, request, limits)?;
    if let Some(longest) = limits.log_queries.window_max {
        for range_ns in selections.iter().filter_map(|selection| selection.range_ns) {
            check_window(range_ns, longest)?;
        }
    }
    Ok(visible)
}

/// A query and how it is asked.
pub(super) struct Asked {
    params: logql::Params,
    pub(super) grid: plan::Grid,
}

impl Asked {
    /// Asks over a range.
    fn over(text: &str, params: &RangeParams) -> Asked {
        Asked::new(logql::Params {
            text: Arc::from(text),
            start_ns: params.start.0,
            end_ns: params.end.0,
            step_ns: params.step_ns,
            instant: false,
            newest_first: params.direction == Direction::Backward,
            limit: params.limit,
            interval_ns: params.interval_ns,
            approx_topk: false,
        })
    }

    /// Asks for the newest lines of a range.
    pub(super) fn newest(text: &str, range: TimeRangeNs, limit: usize) -> Asked {
        let TimeRangeNs { start, end } = range;
        Asked::over(text, &RangeParams { start, end, step_ns: 1, interval_ns: 0, limit, direction: Direction::Backward })
    }

    /// Asks at one time.
    fn at(text: &str, time: TimestampNs) -> Asked {
        let (start, end, direction) = (time, time, Direction::Backward);
        let asked = Asked::over(text, &RangeParams { start, end, step_ns: 1, interval_ns: 0, limit: 0, direction });
        Asked { params: logql::Params { instant: true, ..asked.params }, ..asked }
    }

    fn new(params: logql::Params) -> Asked {
        let unit = plan::TimeUnit::Nanoseconds;
        let grid = plan::Grid { start: params.start_ns, end: params.end_ns, step: params.step_ns.max(1), unit };
        Asked { params, grid }
    }

    /// Makes the plan.
    pub(super) fn lower(&self, expr: &logql::Expr, limits: &Limits) -> Result<LogicalPlan, Failure> {
        let refused = |error: logql::Error| match error.kind() {
            // Loki answers what its server does not have switched on with 500.
            ErrorKind::Internal => Failure { status: StatusCode::INTERNAL_SERVER_ERROR, message: error.to_string() },
            _ => Failure::bad(error),
        };
        let mut expr = expr.clone();
        logql::optimize(&mut expr);
        let mut plan = logql::lower(&expr, &self.params).map_err(refused)?;
        plan.options.samples_max = limits.query_samples_max;
        Ok(plan)
    }
}

pub(super) async fn evaluate(
    state: &State,
    request: &ApiRequest,
    plan: LogicalPlan,
    labels: Labels,
) -> Result<(Answer, Spent), Failure> {
    let (source, tenants) = (Arc::clone(&state.source), request.tenants.clone());
    let timeout = request.limits.query_timeout;
    let timed = state.gate.run(timeout, async move { source.evaluate(&tenants, plan, labels).await }).await?;
    let evaluated = timed.value?;
    let spent = state.spent(&request.tenants, &evaluated, timed.queued, timed.took);
    Ok((evaluated.answer, spent))
}

/// Bounds the series of a metric query. Logs Drilldown gets what there is room for, and a warning.
fn limit_series(request: &ApiRequest, answer: &mut Answer) -> Result<(), Failure> {
    let most = request.limits.log_queries.series_max;
    let Value::Vector(series) = &mut answer.value else { return Ok(()) };
    if series.len() <= most {
        return Ok(());
    }
    let reached = format!("maximum number of series ({most}) reached for a single query");
    if selector::is_drilldown(request) {
        series.truncate(most);
        answer.warnings.push(format!("{reached}; returning partial results"));
        return Ok(());
    }
    Err(Failure::bad(format!(
        "{reached}; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or \
         aggregating results with functions like sum(), count() or topk()"
    )))
}
