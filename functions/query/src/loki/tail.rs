//! `tail`: lines as they come, over a WebSocket.
//!
//! A tail begins with the newest lines of the past. Then it tells what this process makes durable, whatever its time, as Loki's
//! ingesters do; what other processes write to the same storage it does not see. Where there is no process that lives on, as on
//! Lambda, there is no [`Hub`] and the request is refused.

mod feed;
mod session;
mod socket;

use std::time::Duration;

use axum::extract::{FromRequest, Request, State as Extract};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use hyper::upgrade::OnUpgrade;
use model::TimeRangeNs;
use plan::Value;
use plan::pipeline::Pipeline;
use wire::loki_api::tail::TailParams;

use super::query::{Asked, check, evaluate, filtered, is_categorized, parse};
use super::{Failure, selector};
use crate::State;
use crate::live::Hub;
use crate::request::ApiRequest;
use crate::respond::plain_error;
use crate::source::Labels;
use session::Session;

const SECOND_NS: i64 = 1_000_000_000;
/// Time between the beginning of the watch and the look at the past: a write that began before is visible by then.
const PAST_AFTER: Duration = Duration::from_millis(500);
const NO_SOCKETS: &str =
    "tail needs a WebSocket, which this server cannot hold open; ask query_range again and again with a later start instead";

/// A tail that was asked for.
struct Tail {
    request: ApiRequest,
    text: String,
    expr: logql::Expr,
    params: TailParams,
    categorized: bool,
}

/// Opens a tail, or says why not.
pub async fn tail(Extract(state): Extract<State>, mut request: Request) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    let request = match ApiRequest::from_request(request, &state).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    let opened = socket::handshake(&request.headers);
    let asked = match asked(&state, request) {
        Ok(asked) => asked,
        Err(failure) => return failure.into_response(),
    };
    let Some(hub) = state.options.live.clone() else {
        return Failure { status: StatusCode::NOT_IMPLEMENTED, message: NO_SOCKETS.to_owned() }.into_response();
    };
    let Some(response) = opened else { return plain_error(StatusCode::BAD_REQUEST, "Bad Request") };
    tokio::spawn(serve(state, hub, upgrade, asked));
    response
}

fn asked(state: &State, request: ApiRequest) -> Result<Tail, Failure> {
    let query = request.form.get("query");
    let expr = parse(&request, query)?;
    let (text, expr) = match request.form.get("regexp") {
        "" => (query.to_owned(), expr),
        regexp => {
            let text = filtered(query, regexp).map_err(Failure::bad)?;
            let expr = parse(&request, &text)?;
            (text, expr)
        }
    };
    let now = state.now_ns();
    let params = TailParams::parse(&request.form, now)?;
    check(state, &request, (&text, &expr), TimeRangeNs::new(params.start.min(now), now))?;
    let categorized = is_categorized(&request);
    Ok(Tail { request, text, expr, params, categorized })
}

async fn serve(state: State, hub: Hub, upgrade: OnUpgrade, tail: Tail) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!(%error, "a client left before its tail began"),
    };
    let socket = socket::take(upgraded);
    let tenant = &tail.request.tenant;
    let most = state.limits(tenant).log_queries.tails_max;
    let watch = match hub.watch(tenant, most) {
        Ok(watch) => watch,
        Err(present) => {
            let reason = format!("max concurrent tail requests limit exceeded, count > limit ({} > {most})", present + 1);
            return socket::refuse(socket, &format!("rpc error: code = Code(400) desc = {reason}")).await;
        }
    };
    tracing::info!(%tenant, query = tail.text, "tail begins");
    match begun(&state, &tail).await {
        Ok(session) => socket::run(socket, watch, session, state.clock.clone()).await,
        Err(failure) => socket::refuse(socket, &failure.message).await,
    }
    tracing::info!(%tenant, query = tail.text, "tail ends");
}

/// Makes the session with its lines of the past. A query of numbers has neither past nor future.
async fn begun(state: &State, tail: &Tail) -> Result<Session, Failure> {
    let delay_ns = i64::from(tail.params.delay_s) * SECOND_NS;
    let compile = |stages| Pipeline::compile(stages).map_err(Failure::bad);
    let logql::Expr::Log(log) = &tail.expr else { return Ok(Session::silent(compile(&[])?)) };
    let pipeline = compile(&log.stages)?;
    let mut session = Session::new(log.matchers.clone(), pipeline, delay_ns, tail.categorized);
    tokio::time::sleep(PAST_AFTER).await;
    let limits = state.limits(&tail.request.tenant);
    let (now, start) = (state.now_ns(), tail.params.start);
    let Some(range) = selector::visible(TimeRangeNs::new(start.min(now), now), limits, now.0)? else { return Ok(session) };
    let plan = Asked::newest(&tail.text, range, tail.params.limit.min(limits.log_queries.lines_max)).lower(&tail.expr, limits)?;
    let labels = if tail.categorized { Labels::Categorized } else { Labels::Merged };
    if let Value::Streams(streams) = evaluate(state, &tail.request, plan, labels).await?.0.value {
        session.remember(streams);
    }
    Ok(session)
}
