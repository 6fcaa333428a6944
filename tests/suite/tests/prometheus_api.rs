//! Golden tests of the Prometheus API: scripts of requests and what a real Prometheus answered (`tests/data/prometheus-api`),
//! against the functions in process, over stores in memory and a clock that stands where the series end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use boot::{Config, Host};
use http_body_util::BodyExt;
use load::api::{self, Answer, END_S, Request};
use model::TimestampMs;
use model::otlp::{DeltaPolicy, OtlpOptions};
use store::{objects, records};
use testkit::SimulatedClock;
use tower::ServiceExt;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/prometheus-api")
}

/// Reads what Prometheus has in its `otlp` section, and the flags its comment names.
fn otlp(settings: &str) -> OtlpOptions {
    let value = |name: &str| {
        let key = name.strip_prefix("LAMELLA_OTLP_")?.to_lowercase();
        let line = settings.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")))?;
        Some(line.trim_matches(['[', ']']).to_owned())
    };
    let options = boot::otlp::from_lookup(&value).expect("the settings are ours too");
    let delta = if settings.contains("otlp-native-delta-ingestion") { DeltaPolicy::Native } else { DeltaPolicy::Refuse };
    OtlpOptions { delta, type_and_unit_labels: settings.contains("type-and-unit-labels"), ..options }
}

fn server(settings: &str) -> Router {
    let config = Config { otlp: otlp(settings), ..Config::memory() };
    let clock = Arc::new(SimulatedClock::at(TimestampMs(END_S * 1000)));
    let host = Host::over(config, objects::memory(), records::memory(), clock, 1);
    let ingest = fn_ingest::router(fn_ingest::State::direct(&host));
    let query = fn_query::router(fn_query::State::over(&host, fn_query::Options::default()));
    ingest.merge(query).fallback(fn_query::respond::not_found)
}

async fn send(server: &Router, request: &Request) -> Answer {
    let mut built = http::Request::builder().method(request.method.as_str()).uri(&request.target);
    for (name, value) in &request.headers {
        built = built.header(name, value);
    }
    let request = built.body(Body::from(request.body.clone())).expect("a script has requests");
    let (parts, body) = server.clone().oneshot(request).await.expect("routers do not fail").into_parts();
    let body = body.collect().await.expect("the answer is whole").to_bytes();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Answer::new(parts.status.as_u16(), header, String::from_utf8_lossy(&body).into_owned())
}

async fn check(script: &str, settings: &str) {
    let read = |name: String| std::fs::read_to_string(folder().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let recorded = api::transcript(&read(format!("{script}-{settings}.transcript")));
    let requests = api::script(&folder().join(format!("{script}.script"))).expect("the script is readable");
    assert_eq!(requests.len(), recorded.len(), "script and transcript have the same requests");
    let server = server(&read(format!("settings/{settings}.yml")));
    let written = send(&server, &api::written().expect("series encode")).await;
    assert_eq!(written.status, 204, "{}", written.body);
    let mut differences = Vec::new();
    for (request, (line, recorded)) in requests.iter().zip(&recorded) {
        assert_eq!(&request.line, line);
        let ours = send(&server, request).await;
        if let Some(difference) = api::difference(request.sameness, recorded, &ours) {
            differences.push(format!("{line}\n    {difference}"));
        }
    }
    let count = differences.len();
    assert!(differences.is_empty(), "{count} of {} answers differ:\n{}", requests.len(), differences.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_answers_as_prometheus() {
    check("api", "stock").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn otlp_with_stock_settings() {
    check("otlp", "stock").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn otlp_with_plain_names() {
    check("otlp", "plain-names").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn otlp_with_utf8_names_and_suffixes() {
    check("otlp", "utf8-suffixes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn otlp_untranslated() {
    check("otlp", "untranslated").await;
}
