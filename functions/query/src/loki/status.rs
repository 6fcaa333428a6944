//! What says how the server is: `ready`, build, configuration, limits, services, log level.

use std::time::Duration;

use axum::extract::State as Extract;
use axum::response::Response;
use http::StatusCode;
use model::retention::Keep;
use model::{Signal, TenantId};
use wire::json_text;
use wire::loki_api::limits;

use super::JSON;
use crate::State;
use crate::request::ApiRequest;
use crate::respond::{self, text, whole};

/// The Loki whose API this is: Grafana derives features from it.
pub const VERSION: &str = "3.7.6";
/// How Loki writes a type of its own handlers.
const JSON_LOWER: &str = "application/json; charset=utf-8";

/// Answers that requests are served.
pub async fn ready() -> Response {
    text(StatusCode::OK, "ready\n".to_owned())
}

/// Names the Loki whose API this is.
pub async fn buildinfo() -> Response {
    let revision = concat!("lamella-", env!("CARGO_PKG_VERSION"));
    let body = format!(
        r#"{{"version":"{VERSION}","revision":"{revision}","branch":"HEAD","buildUser":"","buildDate":"","goVersion":""}}"#
    );
    whole(StatusCode::OK, JSON, body.into_bytes())
}

/// Answers the tenant's limits as Logs Drilldown reads them.
pub async fn drilldown_limits(Extract(state): Extract<State>, request: ApiRequest) -> Response {
    let body = limits::drilldown(&request.limits, retention(&state, &request.tenant), VERSION);
    whole(StatusCode::OK, respond::JSON, body)
}

/// Answers the tenant's limits for people.
pub async fn tenant_limits(Extract(state): Extract<State>, request: ApiRequest) -> Response {
    yaml(limits::yaml(&request.limits, retention(&state, &request.tenant), ""))
}

/// Answers what of the configuration has a name in Loki's.
pub async fn config(Extract(state): Extract<State>) -> Response {
    let mut body = format!("auth_enabled: {}\nlimits_config:\n", state.options.require_tenant).into_bytes();
    let anonymous = TenantId::anonymous();
    body.extend(limits::yaml(state.limits.default_limits(), retention(&state, &anonymous), "  "));
    yaml(body)
}

fn yaml(body: Vec<u8>) -> Response {
    whole(StatusCode::OK, "text/plain; charset=utf-8", body)
}

fn retention(state: &State, tenant: &TenantId) -> Option<Duration> {
    match state.options.retention.of(tenant, Signal::Logs).raw {
        Keep::For(time) => Some(time),
        Keep::Forever => None,
    }
}

/// Answers what runs here, as Loki lists its modules.
pub async fn services() -> Response {
    text(StatusCode::OK, "querier => Running\n".to_owned())
}

/// Answers how much is logged.
pub async fn log_level(Extract(state): Extract<State>) -> Response {
    let mut body = b"{\"message\":".to_vec();
    json_text::string(&mut body, &format!("Current log level is {}", state.options.log_level));
    body.extend_from_slice(b"}\n");
    whole(StatusCode::OK, JSON_LOWER, body)
}
