//! What Grafana and promtool probe: build, flags, features, health, and what is empty here.

use std::collections::BTreeMap;

use axum::extract::State as Extract;
use axum::response::Response;
use http::StatusCode;
use model::re2;
use plan::logical::{AggregateOp, Function};
use promql::functions::is_experimental;
use wire::json_text::{comma, html_string, write_to};
use wire::prom_api::{ApiError, envelope};

use super::Failure;
use crate::State;
use crate::request::ApiRequest;
use crate::respond::{JSON, text, whole};

/// Data of the endpoints that answer the same to everyone. `buildinfo` names the Prometheus whose API this is (Grafana derives
/// features from it) and has no `features`, which would mean Mimir; alerts and pools have Prometheus's shapes and are empty.
pub const FIXED: [(&str, &str); 6] = [
    (
        "status/buildinfo",
        concat!(
            r#"{"version":"3.14.0","revision":"lamella-"#,
            env!("CARGO_PKG_VERSION"),
            r#"","branch":"HEAD","buildUser":"","buildDate":"","goVersion":""}"#
        ),
    ),
    ("status/walreplay", r#"{"min":0,"max":0,"current":0}"#),
    ("status/tsdb/blocks", r#"{"blocks":[]}"#),
    ("alertmanagers", r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#),
    ("scrape_pools", r#"{"scrapePools":[]}"#),
    ("notifications", "[]"),
];

fn answer(write: impl FnOnce(&mut Vec<u8>)) -> Response {
    whole(StatusCode::OK, JSON, envelope::answer(write))
}

/// Shows the settings that a configuration file would have.
pub async fn config(Extract(state): Extract<State>) -> Response {
    let interval = state.options.eval.subquery_step_ms / 1000;
    let yaml = format!("global:\n  evaluation_interval: {interval}s\n  metric_name_validation_scheme: utf8\n");
    answer(|out| {
        out.extend_from_slice(b"{\"yaml\":");
        html_string(out, &yaml);
        out.push(b'}');
    })
}

/// Shows the settings that have a flag of Prometheus's.
pub async fn flags(Extract(state): Extract<State>) -> Response {
    let (options, limits) = (&state.options, state.limits.default_limits());
    let flags: BTreeMap<&str, String> = [
        ("enable-feature", enabled(&state).join(",")),
        ("query.lookback-delta", seconds(options.lookback_ms / 1000)),
        ("query.max-concurrency", options.places.to_string()),
        ("query.max-samples", limits.query_samples_max.to_string()),
        ("query.timeout", seconds(limits.query_timeout.as_secs() as i64)),
        ("storage.remote.read-max-bytes-in-frame", crate::limits::READ_FRAME_BYTES_MAX.to_string()),
        ("storage.remote.read-sample-limit", crate::limits::READ_SAMPLES_MAX.to_string()),
        ("storage.tsdb.retention.time", seconds(limits.metrics_age_max.as_secs() as i64)),
        ("web.cors.origin", ".*".to_owned()),
        ("web.enable-admin-api", options.admin.to_string()),
        ("web.enable-lifecycle", "false".to_owned()),
        ("web.enable-otlp-receiver", "true".to_owned()),
        ("web.enable-remote-write-receiver", "true".to_owned()),
    ]
    .into();
    answer(|out| object(out, &flags, |out, value| html_string(out, value)))
}

/// Prints whole seconds as a duration with one unit.
fn seconds(seconds: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit = units.iter().find(|(size, _)| seconds > 0 && seconds % size == 0);
    unit.map_or_else(|| format!("{seconds}s"), |(size, name)| format!("{}{name}", seconds / size))
}

fn enabled(state: &State) -> Vec<&'static str> {
    let (language, eval) = (&state.options.language, &state.options.eval);
    let features = [
        (language.experimental_functions, "promql-experimental-functions"),
        (language.extended_range_selectors, "promql-extended-range-selectors"),
        (language.binop_fill, "promql-binop-fill-modifiers"),
        (eval.delayed_name_removal, "promql-delayed-name-removal"),
        (eval.type_and_unit_labels, "type-and-unit-labels"),
        (eval.use_start_timestamps, "use-start-timestamps"),
    ];
    features.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect()
}

/// Tells about the process, as far as there is something to tell without a Go runtime.
pub async fn runtime_info(Extract(state): Extract<State>) -> Response {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (started, now) = (rfc3339(state.started.0), rfc3339(state.clock.now().0));
    let retention = seconds(state.limits.default_limits().metrics_age_max.as_secs() as i64);
    answer(|out| {
        write_to(
            out,
            format_args!(
                concat!(
                    r#"{{"startTime":"{started}","CWD":"","hostname":"","serverTime":"{now}","reloadConfigSuccess":true,"#,
                    r#""lastConfigTime":"{started}","corruptionCount":0,"goroutineCount":0,"GOMAXPROCS":{threads},"#,
                    r#""GOMEMLIMIT":9223372036854775807,"GOGC":"","GODEBUG":"","storageRetention":"{retention}"}}"#
                ),
                started = started,
                now = now,
                threads = threads,
                retention = retention
            ),
        );
    })
}

fn rfc3339(ms: i64) -> String {
    wire::prom_api::params::rfc3339(model::TimestampMs(ms))
}

/// Lists metrics of the process by a pattern of their names: upstream those of its own registry, of which there is none here.
pub async fn self_metrics(request: ApiRequest) -> Result<Response, Failure> {
    let pattern = format!("^(?:{})$", request.form.get("metric_name_pattern"));
    re2::compile(&pattern).map_err(|error| ApiError::bad_data(format!("invalid metric_name_pattern: {error}")))?;
    Ok(answer(|out| out.extend_from_slice(b"[]")))
}

/// Lists what of Prometheus is there, by its names.
pub async fn features(Extract(state): Extract<State>) -> Response {
    let categories: BTreeMap<&str, BTreeMap<&str, bool>> = [
        ("api", api_features(&state)),
        ("otlp_receiver", [("delta_conversion", false), ("native_delta_ingestion", true)].into()),
        ("prometheus", [("agent_mode", false), ("server_mode", true)].into()),
        ("promql", language_features(&state)),
        ("promql_functions", functions(&state)),
        ("promql_operators", operators(&state)),
        ("tsdb", [("exemplar_storage", true), ("native_histograms", true), ("st_storage", true)].into()),
    ]
    .into();
    answer(|out| object(out, &categories, |out, names| object(out, names, |out, on| write_to(out, format_args!("{on}")))))
}

fn api_features(state: &State) -> BTreeMap<&'static str, bool> {
    let always = [
        "exclude_alerts",
        "label_values_match",
        "otlp_write_receiver",
        "query_stats",
        "query_warnings",
        "remote_write_receiver",
        "time_range_labels",
        "time_range_series",
    ];
    let mut features: BTreeMap<&str, bool> = always.into_iter().map(|name| (name, true)).collect();
    features.extend([("admin", state.options.admin), ("lifecycle", false), ("search", false)]);
    features
}

fn language_features(state: &State) -> BTreeMap<&'static str, bool> {
    let (language, eval) = (&state.options.language, &state.options.eval);
    let always = [
        "at_modifier",
        "bool",
        "by",
        "group_left",
        "group_right",
        "ignoring",
        "negative_offset",
        "offset",
        "on",
        "per_query_lookback_delta",
        "subqueries",
        "without",
    ];
    let mut features: BTreeMap<&str, bool> = always.into_iter().map(|name| (name, true)).collect();
    features.extend(["anchored", "smoothed"].map(|name| (name, language.extended_range_selectors)));
    features.extend(["fill", "fill_left", "fill_right"].map(|name| (name, language.binop_fill)));
    features.extend([
        ("delayed_name_removal", eval.delayed_name_removal),
        ("duration_expr", language.duration_expressions),
        ("per_step_stats", false),
        ("type_and_unit_labels", eval.type_and_unit_labels),
    ]);
    features
}

fn functions(state: &State) -> BTreeMap<&'static str, bool> {
    let experimental = state.options.language.experimental_functions;
    let all = Function::ALL.iter();
    all.map(|function| (function.as_str(), experimental || !is_experimental(*function))).collect()
}

fn operators(state: &State) -> BTreeMap<&'static str, bool> {
    const SIGNS: [&str; 21] = [
        "!=", "!~", "%", "*", "+", "-", "/", "<", "</", "<=", "==", "=~", ">", ">/", ">=", "@", "^", "and", "atan2", "or",
        "unless",
    ];
    let experimental = state.options.language.experimental_functions;
    let logql_only = [AggregateOp::Sort, AggregateOp::SortDesc, AggregateOp::ApproxTopK];
    let aggregations = AggregateOp::ALL.iter().filter(|op| !logql_only.contains(op));
    let on = |op: &AggregateOp| experimental || !matches!(op, AggregateOp::LimitK | AggregateOp::LimitRatio);
    SIGNS.into_iter().map(|sign| (sign, true)).chain(aggregations.map(|op| (op.as_str(), on(op)))).collect()
}

fn object<V>(out: &mut Vec<u8>, map: &BTreeMap<&str, V>, mut value: impl FnMut(&mut Vec<u8>, &V)) {
    out.push(b'{');
    for (index, (key, item)) in map.iter().enumerate() {
        comma(out, index);
        write_to(out, format_args!("\"{key}\":"));
        value(out, item);
    }
    out.push(b'}');
}

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
