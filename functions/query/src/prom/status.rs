//! Endpoints that answer the same to everyone: what Grafana and promtool probe.

use axum::response::Response;
use http::StatusCode;
use wire::prom_api::envelope;

use crate::respond::{JSON, text, whole};

/// Data of the fixed endpoints. `buildinfo` names the Prometheus whose API this is (Grafana derives features from it)
/// and has no `features`, which would mean Mimir; rules, alerts and targets have Prometheus's shapes and are empty.
pub const FIXED: [(&str, &str); 14] = [
    (
        "status/buildinfo",
        concat!(
            r#"{"version":"3.14.0","revision":"lamella-"#,
            env!("CARGO_PKG_VERSION"),
            r#"","branch":"HEAD","buildUser":"","buildDate":"","goVersion":""}"#
        ),
    ),
    (
        "status/flags",
        r#"{"query.lookback-delta":"5m","query.max-concurrency":"20","query.max-samples":"50000000","query.timeout":"2m","web.enable-remote-write-receiver":"true"}"#,
    ),
    ("status/config", r#"{"yaml":""}"#),
    ("status/runtimeinfo", r#"{"reloadConfigSuccess":true,"corruptionCount":0,"storageRetention":""}"#),
    ("status/walreplay", r#"{"min":0,"max":0,"current":0}"#),
    ("rules", r#"{"groups":[]}"#),
    ("alerts", r#"{"alerts":[]}"#),
    ("alertmanagers", r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#),
    ("targets", r#"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}"#),
    ("targets/metadata", "[]"),
    ("scrape_pools", r#"{"scrapePools":[]}"#),
    ("features", "{}"),
    ("notifications", "[]"),
    ("status/self_metrics", "[]"),
];

/// Answers a fixed endpoint.
pub async fn fixed(data: &'static str) -> Response {
    whole(StatusCode::OK, JSON, envelope::answer(|out| out.extend_from_slice(data.as_bytes())))
}

/// Says that the process is alive.
pub async fn healthy() -> Response {
    text(StatusCode::OK, "Lamella is Healthy.\n".to_owned())
}

/// Says that the process answers queries: there is nothing to load first.
pub async fn ready() -> Response {
    text(StatusCode::OK, "Lamella is Ready.\n".to_owned())
}
