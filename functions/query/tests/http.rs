//! The routers over a source that answers from memory: statuses, texts, headers, and what hostile requests get.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use fn_query::source::{
    Cardinality, Cost, Count, Deletion, DeletionRequest, DeletionState, Evaluated, Found, Labels, Lookup, Source, SourceError,
    Volume, VolumeBy, VolumeKey, VolumeQuery, VolumeSum, Volumes,
};
use fn_query::{Options, State, router};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use model::{
    Clock, ErrorKind, Exemplar, LabelSet, Limits, Matcher, MetricKind, MetricMetadata, TenantId, TenantLimits, TimeRangeMs,
    TimeRangeNs, TimestampMs,
};
use plan::patterns::Pattern;
use plan::value::{Entry, StepSeries, StepValues, StreamEntries};
use plan::{Answer, LogicalPlan, Node, SampleCounts, Series, Value};
use tower::ServiceExt;

const NOW: TimestampMs = TimestampMs(1_767_225_600_000);

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        NOW
    }
}

/// Answers by the plan's shape: selectors give one series of ones, `hang` never answers, `panic` panics.
struct Canned;

fn found<T>(items: impl IntoIterator<Item = T>) -> Found<T> {
    Found { items: items.into_iter().collect(), warnings: Vec::new(), truncated: false }
}

fn named(plan: &LogicalPlan, text: &str) -> bool {
    plan.text.contains(text)
}

fn value(plan: &LogicalPlan) -> Value {
    match &plan.root {
        Node::Logs(query) => Value::Streams(vec![StreamEntries {
            labels: LabelSet::from_pairs([("limit", query.limit.to_string().as_str())]),
            entries: vec![Entry {
                timestamp: plan.grid.start,
                line: b"line".to_vec(),
                metadata: LabelSet::empty(),
                parsed: LabelSet::empty(),
            }],
        }]),
        Node::Literal(number) => Value::Scalar(vec![*number; plan.grid.len()]),
        Node::Text(text) => Value::Text(text.clone()),
        _ => {
            let copies = if named(plan, "many") { 600 } else { 1 };
            let series = |index: usize| StepSeries {
                labels: LabelSet::from_pairs([("__name__", "m"), ("i", index.to_string().as_str())]),
                drop_name: false,
                values: StepValues { floats: vec![1.0; plan.grid.len()], histograms: Vec::new() },
            };
            Value::Vector((0..copies).map(series).collect())
        }
    }
}

#[async_trait]
impl Source for Canned {
    async fn evaluate(&self, tenants: &[TenantId], plan: LogicalPlan, _: Labels) -> Result<Evaluated, SourceError> {
        if named(&plan, "hang") {
            std::future::pending::<()>().await;
        }
        assert!(!named(&plan, "panic"), "asked to");
        if named(&plan, "fail") {
            return Err(SourceError {
                kind: ErrorKind::Limit,
                message: format!("too many samples for {}", tenants[0]),
                timed_out: false,
            });
        }
        let warnings = plan.options.replica_labels.iter().map(|label| format!("replicas by {label}")).collect();
        let answer = Answer {
            value: value(&plan),
            warnings,
            infos: Vec::new(),
            samples: SampleCounts { queryable: 5, read: 4 },
            samples_peak: 3,
        };
        Ok(Evaluated {
            answer,
            cost: Cost { requests: 2, record_requests: 4, bytes: 100, rows: 3, row_bytes: 48, segments: 1, ..Cost::default() },
        })
    }

    async fn series(&self, lookup: Lookup) -> Result<Found<LabelSet>, SourceError> {
        let truncated = lookup.matcher_sets.iter().flatten().any(|matcher| matcher.value() == "cut");
        let items = (0..lookup.limit.min(3)).map(|i| LabelSet::from_pairs([("i", i.to_string().as_str())]));
        Ok(Found { truncated, ..found(items) })
    }

    async fn label_names(&self, lookup: Lookup) -> Result<Found<String>, SourceError> {
        Ok(found(["a", "b", "c"].into_iter().take(lookup.limit).map(str::to_owned)))
    }

    async fn label_values(&self, _: Lookup, name: String) -> Result<Found<String>, SourceError> {
        if name == "hang" {
            std::future::pending::<()>().await;
        }
        Ok(found(Some(name).filter(|name| name != "none")))
    }

    async fn metadata(&self, _: &TenantId, metric: Option<String>, _: TimeRangeMs) -> Result<Found<MetricMetadata>, SourceError> {
        let item = |metric: &str| MetricMetadata {
            metric: metric.into(),
            kind: MetricKind::Gauge,
            help: "h".into(),
            unit: String::new(),
        };
        Ok(found(["a", "b"].into_iter().filter(|name| metric.as_deref().is_none_or(|metric| metric == *name)).map(item)))
    }

    async fn samples(&self, _: &TenantId, matchers: Vec<Matcher>, range: TimeRangeMs) -> Result<Found<Series>, SourceError> {
        Ok(found(Some(Series {
            labels: LabelSet::from_pairs(matchers.iter().map(|matcher| (matcher.name(), matcher.value()))),
            timestamps: vec![range.end.0 - 2, range.end.0 - 1],
            values: vec![1.0, 2.5],
            start_timestamps: Vec::new(),
            histograms: Vec::new(),
        })))
    }

    async fn cardinality(&self, _: &TenantId, _: TimeRangeMs, limit: usize) -> Result<Cardinality, SourceError> {
        let series_by_metric = vec![Count { name: "up".into(), count: limit as u64 }];
        Ok(Cardinality { series: 7, label_pairs: 3, series_by_metric, ..Cardinality::default() })
    }

    async fn delete(&self, _: &TenantId, matchers: Vec<Matcher>, _: TimeRangeMs) -> Result<(), SourceError> {
        assert_eq!(matchers.len(), 2);
        Ok(())
    }

    async fn volumes(&self, _: &[TenantId], query: VolumeQuery) -> Result<Volumes, SourceError> {
        let volume = |index: usize| Volume { streams: 1, chunks: 2, entries: 3.0, bytes: 10.0 + index as f64 };
        let volumes = (0..query.intervals.len()).map(volume).collect();
        let key = match query.by {
            VolumeBy::Nothing | VolumeBy::Series(None) => VolumeKey::Series(LabelSet::empty()),
            VolumeBy::Series(Some(names)) => {
                VolumeKey::Series(LabelSet::from_pairs(names.iter().map(|name| (name.as_str(), "v"))))
            }
            VolumeBy::Labels(_) => VolumeKey::Label("app".into()),
        };
        Ok(Volumes { sums: vec![VolumeSum { key, volumes }], truncated: false })
    }

    async fn patterns(
        &self,
        _: &[TenantId],
        _: Vec<Matcher>,
        range: TimeRangeNs,
        step_ms: i64,
    ) -> Result<Found<Pattern>, SourceError> {
        let samples = vec![(range.start.to_ms().0, step_ms as u64)];
        Ok(found([Pattern { text: "took <_>".into(), level: "info", samples }]))
    }

    async fn delete_entries(&self, _: &TenantId, request: DeletionRequest) -> Result<Deletion, SourceError> {
        Ok(Deletion { id: 1, requested_at: NOW, request, state: DeletionState::Requested })
    }

    async fn entry_deletions(&self, tenant: &TenantId) -> Result<Vec<Deletion>, SourceError> {
        let range = TimeRangeMs::new(TimestampMs(1_000), TimestampMs(2_001));
        let request = DeletionRequest { range, matchers: vec![Matcher::equal("app", "a")], filter: Some("|= \"x\"".into()) };
        let deletion = |id, requested_at, state| Deletion { id, requested_at, request: request.clone(), state };
        let old = TimestampMs(NOW.0 - 25 * 3_600_000);
        let all = vec![
            deletion(1, NOW, DeletionState::Requested),
            deletion(2, NOW, DeletionState::Finished(NOW)),
            deletion(3, NOW, DeletionState::Cancelled(NOW)),
            deletion(4, old, DeletionState::Requested),
        ];
        Ok(if tenant.as_str() == "none" { Vec::new() } else { all })
    }

    async fn cancel_deletion(&self, _: &TenantId, id: u128) -> Result<bool, SourceError> {
        Ok(id == 1 || id == 4)
    }

    async fn exemplars(&self, _: Lookup) -> Result<Found<(LabelSet, Vec<Exemplar>)>, SourceError> {
        Ok(found([]))
    }
}

fn app(options: Options, limits: Limits) -> Router {
    router(State::new(Arc::new(Canned), limits.into(), options, Arc::new(Fixed)))
}

fn stock() -> Router {
    app(Options::default(), Limits::default())
}

async fn send(app: Router, request: Request<Body>) -> (StatusCode, http::HeaderMap, String) {
    let response = app.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8_lossy(&body).into_owned())
}

async fn get(path: &str) -> (u16, String) {
    let (status, _, body) = send(stock(), Request::get(path).body(Body::empty()).unwrap()).await;
    (status.as_u16(), body)
}

async fn post(path: &str, form: String) -> (u16, String) {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded").body(Body::from(form)).unwrap();
    let (status, _, body) = send(stock(), request).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn prometheus_answers() {
    let vector =
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","i":"0"},"value":[4,"1"]}]}}"#;
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1767225600,"1"]}}"#;
    let matrix = concat!(
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"m","i":"0"},"#,
        r#""values":[[1,"1"],[1.500,"1"],[2,"1"]]}]}}"#
    );
    let table = [
        ("/api/v1/query?query=up&time=4", 200, vector),
        ("/prometheus/api/v1/query?query=up&time=4", 200, vector),
        ("/api/v1/query?query=1", 200, scalar),
        ("/api/v1/query_range?query=up&start=1&end=2&step=0.5", 200, matrix),
        ("/api/v1/labels", 200, r#"{"status":"success","data":["a","b","c"]}"#),
        ("/api/v1/labels?limit=2", 200, r#"{"status":"success","data":["a","b"],"warnings":["results truncated due to limit"]}"#),
        ("/api/v1/label/U__a_2e_b/values", 200, r#"{"status":"success","data":["a.b"]}"#),
        ("/api/v1/label/none/values", 200, r#"{"status":"success","data":[]}"#),
        ("/api/v1/label/a%2Fb/values", 404, "404 page not found\n"),
        ("/api/v1/label//values", 404, "404 page not found\n"),
        // A time as Go reads it, and a form of which one part is wrong.
        ("/api/v1/query?query=1&time=2026-01-01T0:00:00.0000000001Z", 200, scalar),
        ("/api/v1/query?query=1&time=1_767_225_600&x=%zz&y=;", 200, scalar),
        (
            "/api/v1/series?match[]=up&limit=1",
            200,
            r#"{"status":"success","data":[{"i":"0"}],"warnings":["results truncated due to limit"]}"#,
        ),
        ("/api/v1/metadata?metric=a", 200, r#"{"status":"success","data":{"a":[{"type":"gauge","help":"h","unit":""}]}}"#),
        ("/api/v1/query_exemplars?query=up&start=1767225600000&end=1767229200000", 200, r#"{"status":"success","data":[]}"#),
        ("/api/v1/query_exemplars?query=1&start=1&end=2", 204, ""),
        ("/api/v1/rules", 200, r#"{"status":"success","data":{"groups":[]}}"#),
        ("/-/ready", 200, "Lamella is Ready.\n"),
        ("/api/v1/nope", 404, "404 page not found\n"),
        (
            "/api/v1/status/tsdb?limit=5",
            200,
            concat!(
                r#"{"status":"success","data":{"headStats":{"numSeries":7,"numLabelPairs":3,"chunkCount":0,"#,
                r#""minTime":9223372036854775807,"maxTime":-9223372036854775808},"#,
                r#""seriesCountByMetricName":[{"name":"up","value":5}],"labelValueCountByLabelName":[],"#,
                r#""memoryInBytesByLabelName":[],"seriesCountByLabelValuePair":[]}}"#
            ),
        ),
        ("/api/v1/format_query?query=a<1", 200, r#"{"status":"success","data":"a \u003c 1"}"#),
        (
            "/api/v1/parse_query?query=-a[5m]%20offset%201m",
            400,
            r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"range vector\""}"#,
        ),
        (
            "/api/v1/parse_query?query=rate(a[5m%2B1])",
            200,
            concat!(
                r#"{"status":"success","data":{"args":[{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"a"}],"#,
                r#""name":"a","offset":0,"offsetExpr":null,"range":0,"rangeExpr":{"lhs":{"duration":true,"type":"numberLiteral","#,
                r#""val":"300"},"op":"+","rhs":{"duration":false,"type":"numberLiteral","val":"1"},"type":"durationExpr","wrapped":false},"#,
                r#""smoothed":false,"startOrEnd":null,"timestamp":null,"type":"matrixSelector"}],"#,
                r#""func":{"argTypes":["matrix"],"name":"rate","returnType":"vector","variadic":0},"type":"call"}}"#
            ),
        ),
        (
            "/api/v1/parse_query?query=a%20offset%20(5)",
            200,
            concat!(
                r#"{"status":"success","data":{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"a"}],"name":"a","#,
                r#""offset":0,"offsetExpr":{"lhs":null,"op":"+","rhs":{"duration":false,"type":"numberLiteral","val":"5"},"#,
                r#""type":"durationExpr","wrapped":true},"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"}}"#
            ),
        ),
        (
            "/api/v1/parse_query?query=a%20offset%20%2Bstep()",
            200,
            concat!(
                r#"{"status":"success","data":{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"a"}],"name":"a","#,
                r#""offset":0,"offsetExpr":{"lhs":null,"op":"+","rhs":{"lhs":null,"op":"step","rhs":null,"type":"durationExpr","#,
                r#""wrapped":false},"type":"durationExpr","wrapped":false},"smoothed":false,"startOrEnd":null,"timestamp":null,"#,
                r#""type":"vectorSelector"}}"#
            ),
        ),
        (
            "/api/v1/targets?state=active",
            200,
            r#"{"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":null}}"#,
        ),
        (
            "/api/v1/status/config",
            200,
            r#"{"status":"success","data":{"yaml":"global:\n  evaluation_interval: 60s\n  metric_name_validation_scheme: utf8\n"}}"#,
        ),
    ];
    for (path, status, body) in table {
        let (found, text) = get(&path.replace('<', "%3C")).await;
        assert_eq!(found, status, "{path}");
        if !body.is_empty() || status == 204 {
            assert_eq!(text, body, "{path}");
        }
    }
    let form = "query=up&time=4".to_owned();
    assert_eq!(post("/api/v1/query", form).await, (200, vector.to_owned()));
    // As `curl -F` sends it: behind the URL's parameters.
    let part = |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let parts = format!("{}{}--b--\r\n", part("query", "up"), part("time", "5"));
    let request = Request::post("/api/v1/query?time=4").header("content-type", "multipart/form-data; boundary=b");
    let (status, _, body) = send(stock(), request.body(Body::from(parts)).unwrap()).await;
    assert_eq!((status.as_u16(), body.as_str()), (200, vector));
}

#[tokio::test]
async fn replicas_are_one_where_somebody_asks_for_it() {
    let warnings = async |query: &str| {
        let (status, text) = get(&format!("/api/v1/query?query=1{query}")).await;
        (status, text.split_once("\"warnings\":").map(|(_, rest)| rest.trim_end_matches('}').to_owned()).unwrap_or_default())
    };
    let stock = r#"["replicas by replica","replicas by __replica__","replicas by prometheus_replica"]"#.to_owned();
    assert_eq!(warnings("").await, (200, String::new()));
    assert_eq!(warnings("&dedup=false").await, (200, String::new()));
    assert_eq!(warnings("&dedup=true").await, (200, stock));
    assert_eq!(warnings("&dedup=1&replicaLabels[]=pod&replicaLabels[]=a").await.1, r#"["replicas by pod","replicas by a"]"#);
    let (status, text) = get("/api/v1/query?query=1&dedup=yes").await;
    let error = r#"invalid parameter \"dedup\": strconv.ParseBool: parsing \"yes\": invalid syntax"#;
    assert!(status == 400 && text.contains(error), "{text}");
}

/// Look-ups of replicas as one show none of their labels, and each series once; the limit counts what is left.
#[tokio::test]
async fn look_ups_of_replicas_as_one_do_not_show_them() {
    for (path, data) in [
        ("series?match[]=up&dedup=true&replicaLabels[]=i", r#"[{}]"#),
        ("series?match[]=up&dedup=true&replicaLabels[]=i&limit=1", r#"[{}]"#),
        ("series?match[]=up&dedup=true", r#"[{"i":"0"},{"i":"1"},{"i":"2"}]"#),
        ("series?match[]=up&dedup=false&replicaLabels[]=i", r#"[{"i":"0"},{"i":"1"},{"i":"2"}]"#),
        ("labels?dedup=true&replicaLabels[]=b", r#"["a","c"]"#),
        ("labels?dedup=true&replicaLabels[]=b&limit=2", r#"["a","c"]"#),
        ("label/pod/values?dedup=true&replicaLabels[]=pod", "[]"),
        ("label/pod/values?replicaLabels[]=pod", r#"["pod"]"#),
    ] {
        let expected = format!(r#"{{"status":"success","data":{data}}}"#);
        assert_eq!(get(&format!("/api/v1/{path}")).await, (200, expected), "{path}");
    }
    assert_eq!(get("/api/v1/labels?dedup=2").await.0, 400);
    // What was cut before replicas became one is said even where less than the limit is left.
    let cut = r#"{"status":"success","data":[{}],"warnings":["results truncated due to limit"]}"#;
    assert_eq!(get("/api/v1/series?match[]=cut&dedup=true&replicaLabels[]=i").await, (200, cut.to_owned()));
}

/// Snappy block of a remote read request for `{a="b", c="d"}`, all time, with one accepted response type.
fn read_request(response_type: u8) -> Vec<u8> {
    let matcher = |name: u8, value: u8| vec![0x1a, 6, 0x12, 1, name, 0x1a, 1, value];
    let mut query = vec![0x08, 1, 0x10, 0xff, 0xff, 0x7f];
    query.extend(matcher(b'a', b'b'));
    query.extend(matcher(b'c', b'd'));
    let mut message = vec![0x0a, query.len() as u8];
    message.extend(query);
    message.extend([0x10, response_type]);
    // One literal: (length - 1) << 2.
    let mut body = vec![message.len() as u8, (message.len() as u8 - 1) << 2];
    body.extend(message);
    body
}

#[tokio::test]
async fn remote_read_and_federation() {
    for (response_type, content_type, encoding) in [
        (0, "application/x-protobuf", Some("snappy")),
        (1, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse", None),
    ] {
        let request = Request::post("/api/v1/read").body(Body::from(read_request(response_type))).unwrap();
        let (status, headers, body) = send(stock(), request).await;
        assert_eq!((status.as_u16(), headers["content-type"].to_str().unwrap()), (200, content_type));
        assert_eq!(headers.get("content-encoding").map(|value| value.to_str().unwrap()), encoding);
        assert!(!body.is_empty());
    }
    assert_eq!(post("/api/v1/read", String::new()).await, (400, "snappy: corrupt input\n".to_owned()));
    let expected = "# TYPE up untyped\nup{job=\"j\",instance=\"\"} 2.5 1767225600000\n".to_owned();
    assert_eq!(get("/federate?match[]=up%7Bjob=%22j%22%7D").await, (200, expected));
    assert_eq!(get("/federate").await, (200, String::new()));
    assert_eq!(get("/federate?match[]=%7B%7D").await, (200, String::new()), "no matcher, no series");
    assert_eq!(get("/federate?match[]=%7B").await.0, 400);
    let reason = "error parsing form values: invalid URL escape \"%zz\"\n".to_owned();
    assert_eq!(get("/federate?match[]=up&x=%zz").await, (400, reason));
}

#[tokio::test]
async fn series_are_deleted_only_where_that_is_allowed() {
    let delete = |app, query: &str| {
        let request = Request::put(format!("/api/v1/admin/tsdb/delete_series{query}")).body(Body::empty()).unwrap();
        async move {
            let (status, _, body) = send(app, request).await;
            (status.as_u16(), body)
        }
    };
    let error = |kind: &str, text: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"{text}"}}"#);
    let admin = || app(Options { admin: true, ..Options::default() }, Limits::default());
    assert_eq!(delete(stock(), "?match[]=up").await, (500, error("unavailable", "admin APIs disabled")));
    assert_eq!(delete(admin(), "").await, (400, error("bad_data", "no match[] parameter provided")));
    assert_eq!(delete(admin(), "?match[]=up%7Ba=%22b%22%7D&start=1&end=2").await, (204, String::new()));
    let request = |path: &str| Request::post(format!("/api/v1/admin/tsdb/{path}")).body(Body::empty()).unwrap();
    assert_eq!(send(admin(), request("clean_tombstones")).await.0, 204);
    assert_eq!(send(admin(), request("snapshot")).await.0, 500);
}

#[tokio::test]
async fn prometheus_errors() {
    let table = [
        (
            "/api/v1/query?query=up&time=x",
            400,
            "bad_data",
            r#"invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp"#,
        ),
        ("/api/v1/query?query=up&limit=-1", 400, "bad_data", r#"invalid parameter \"limit\": limit must be non-negative"#),
        ("/api/v1/label/%ff/values", 400, "bad_data", r#"invalid label name: \"\\xff\""#),
        ("/api/v1/label/U__/values", 400, "bad_data", r#"invalid label name: \"\""#),
        (
            "/api/v1/query?query=%ff",
            400,
            "bad_data",
            "invalid parameter \\\"query\\\": 1:1: parse error: unexpected character: '\u{fffd}'",
        ),
        ("/api/v1/series?match[]=up&x=%zz", 400, "bad_data", r#"error parsing form values: invalid URL escape \"%zz\""#),
        ("/api/v1/series?match[]=up;y", 400, "bad_data", "error parsing form values: invalid semicolon separator in query"),
        ("/api/v1/rules?x=%zz", 400, "bad_data", r#"error parsing form values: invalid URL escape \"%zz\""#),
        (
            "/api/v1/query_range?query=up&start=2&end=1&step=1",
            400,
            "bad_data",
            r#"invalid parameter \"end\": end timestamp must not be before start time"#,
        ),
        ("/api/v1/series", 400, "bad_data", "no match[] parameter provided"),
        ("/api/v1/metadata?limit=x", 400, "bad_data", "limit must be a number"),
        ("/api/v1/labels?match[]={a=~\".*\"}", 400, "bad_data", "match[] must contain at least one non-empty matcher"),
        ("/api/v1/query?query=fail", 422, "execution", "too many samples for anonymous"),
        ("/api/v1/query?query=panic", 500, "internal", "query failed unexpectedly"),
        ("/api/v1/query?query=hang&timeout=0.01", 503, "timeout", "query timed out in expression evaluation"),
    ];
    for (path, status, kind, message) in table {
        let path = path.replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
        let expected = format!(r#"{{"status":"error","errorType":"{kind}","error":"{message}"}}"#);
        assert_eq!(get(&path).await, (status, expected), "{path}");
    }
    let (status, body) = get("/api/v1/query?query=sum(").await;
    assert!(status == 400 && body.contains(r#"invalid parameter \"query\": 1:5: parse error: "#), "{body}");
    let (status, body) = get("/api/v1/query_range?query=up[5m]&start=1&end=2&step=1").await;
    assert!(status == 400 && body.contains(r#"invalid expression type \"range vector\" for range query"#), "{body}");
}

#[tokio::test]
async fn loki_answers() {
    let start = "1767225607000000000";
    let streams = format!(r#""result":[{{"stream":{{"limit":"7"}},"values":[["{start}","line"]]}}],"stats":{{"summary":{{"#);
    let (status, body) =
        get(&format!("/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D&start={start}&end=1767225700000000000&limit=7")).await;
    assert!(status == 200 && body.contains(&streams), "{body}");
    let metric = "count_over_time(%7Ba%3D%22b%22%7D%5B1m%5D)";
    let (status, body) =
        get(&format!("/loki/api/v1/query_range?query={metric}&start={start}&end=1767225727000000000&step=60")).await;
    assert!(
        status == 200 && body.contains(r#""values":[[1767225600,"1"],[1767225660,"1"],[1767225720,"1"],[1767225780,"1"]]"#),
        "{body}"
    );
    let (status, body) = get(&format!("/loki/api/v1/query?query={metric}&time=4")).await;
    assert!(status == 200 && body.starts_with(r#"{"status":"success","data":{"resultType":"vector","result":[{"#), "{body}");
    assert_eq!(get("/loki/api/v1/label/none/values").await, (200, r#"{"status":"success"}"#.to_owned()));
    assert_eq!(get("/loki/api/v1/label").await, (200, r#"{"status":"success","data":["a","b","c"]}"#.to_owned()));
    assert_eq!(get("/ready").await, (200, "ready\n".to_owned()));
    let form = "query=%7Ba%3D%22b%22%7D%7C%3D%22c%22".to_owned();
    assert_eq!(
        post("/loki/api/v1/format_query", form).await,
        (200, r#"{"status":"success","data":"{a=\"b\"} |= \"c\""}"#.to_owned())
    );
}

#[tokio::test]
async fn loki_errors() {
    let range = "start=1767225600000000000&end=1767225730000000000";
    let table = [
        (
            format!("query_range?query={{a=\"b\"}}&{range}&limit=5001"),
            400,
            "max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)",
        ),
        (format!("query_range?query={{a=\"b\"}}&{range}&direction=sideways"), 400, "invalid direction 'sideways'"),
        (
            "query_range?query={a=\"b\"}&start=1&end=1767225600".into(),
            400,
            "the query time range exceeds the limit (query length: 490895h59m59s, limit: 30d1h)",
        ),
        (
            "query?query={a=\"b\"}".into(),
            400,
            "log queries are not supported as an instant query type, please change your query to a range query type",
        ),
        (
            "query?query=count_over_time({a=\"many\"}[1m])".into(),
            400,
            "maximum number of series (500) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()",
        ),
        (
            format!("label/env/values?query={{app=&{range}"),
            400,
            "parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING",
        ),
        (format!("label/env/values?query={{app=\"b\"}}%7C%3D\"x\"&{range}"), 400, "only label matchers are supported"),
        (
            "format_query?query=bad{".into(),
            400,
            r#"{"status":"invalid-query","error":"parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"}"#,
        ),
        ("nope".into(), 404, ""),
    ];
    for (path, status, body) in table {
        let path = path.replace('{', "%7B").replace('}', "%7D").replace('"', "%22").replace('[', "%5B").replace(']', "%5D");
        assert_eq!(get(&format!("/loki/api/v1/{path}")).await, (status, body.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn methods_tenants_and_browsers() {
    let request = |method: Method, path: &str| Request::builder().method(method).uri(path).header("origin", "http://x");
    let empty = |request: http::request::Builder| request.body(Body::empty()).unwrap();
    let (status, ..) = send(stock(), empty(request(Method::DELETE, "/api/v1/query"))).await;
    assert_eq!(status, 405);
    let (status, headers, _) = send(stock(), empty(request(Method::OPTIONS, "/api/v1/query"))).await;
    assert_eq!((status.as_u16(), headers["access-control-allow-origin"].to_str().unwrap()), (204, "http://x"));
    let locked = || app(Options { require_tenant: true, ..Options::default() }, Limits::default());
    let (status, headers, body) = send(locked(), empty(request(Method::GET, "/loki/api/v1/labels"))).await;
    assert_eq!((status.as_u16(), body.as_str()), (401, "no org id\n"));
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    let (status, ..) = send(locked(), empty(request(Method::GET, "/api/v1/labels").header("X-Scope-OrgID", "a"))).await;
    assert_eq!(status, 200);
    let (status, ..) = send(locked(), empty(request(Method::GET, "/api/v1/labels").header("X-Scope-OrgID", "a/b"))).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn several_tenants_are_asked_about_where_that_is_answered() {
    let ask = async |path: &str, tenants: &str| {
        let request = Request::get(path).header("X-Scope-OrgID", tenants).body(Body::empty()).unwrap();
        let (status, _, body) = send(stock(), request).await;
        (status.as_u16(), body)
    };
    let log_range = "/loki/api/v1/query_range?query=rate(%7Ba%3D%22b%22%7D%5B1m%5D)";
    let answered = [
        "/api/v1/query?query=up",
        "/api/v1/query_range?query=up&start=0&end=10&step=1",
        "/prometheus/api/v1/series?match[]=up",
        "/api/v1/labels",
        "/api/v1/label/job/values",
        log_range,
        "/loki/api/v1/query?query=rate(%7Ba%3D%22b%22%7D%5B1m%5D)",
        "/loki/api/v1/labels",
        "/loki/api/v1/label/job/values",
        "/loki/api/v1/series",
        "/loki/api/v1/index/stats?query=%7Ba%3D%22b%22%7D",
        "/loki/api/v1/index/shards?query=%7Ba%3D%22b%22%7D&targetBytesPerShard=1",
        "/loki/api/v1/index/volume?query=%7B%7D",
        "/loki/api/v1/index/volume_range?query=%7B%7D&step=60",
        "/loki/api/v1/detected_labels",
        "/loki/api/v1/detected_fields?query=%7Ba%3D%22b%22%7D",
        "/loki/api/v1/detected_field/a/values?query=%7Ba%3D%22b%22%7D",
        "/loki/api/v1/patterns?query=%7Ba%3D%22b%22%7D",
    ];
    for path in answered {
        assert_eq!(ask(path, "b|a").await.0, 200, "{path}");
        assert_eq!(ask(path, "a|").await, (400, "no org id".to_owned()), "{path}");
    }
    let refused = [
        "/api/v1/metadata",
        "/api/v1/query_exemplars?query=up&start=0&end=1",
        "/api/v1/status/tsdb",
        "/federate?match[]=up",
        "/loki/api/v1/delete",
        "/loki/api/v1/tail?query=%7Ba%3D%22b%22%7D",
        "/api/prom/query?query=%7Ba%3D%22b%22%7D",
    ];
    for path in refused {
        assert_eq!(ask(path, "a|b").await, (400, "multiple org IDs present".to_owned()), "{path}");
        assert_ne!(ask(path, "a|a").await.1, "multiple org IDs present", "{path}: one tenant, named twice");
    }
}

#[tokio::test]
async fn look_ups_about_several_tenants_have_the_shortest_time_of_any() {
    let hasty = Limits { query_timeout: Duration::from_millis(50), ..Limits::default() };
    let limits = TenantLimits::new(Limits::default(), BTreeMap::from([(TenantId::parse("b").unwrap(), hasty)]));
    let app = router(State::new(Arc::new(Canned), limits, Options::default(), Arc::new(Fixed)));
    for (path, status) in [("/api/v1/label/hang/values", 503), ("/loki/api/v1/label/hang/values", 504)] {
        let request = Request::get(path).header("X-Scope-OrgID", "a|b").body(Body::empty()).unwrap();
        let answered = tokio::time::timeout(Duration::from_secs(30), send(app.clone(), request)).await;
        assert_eq!(answered.expect("the second tenant's time is over").0, status, "{path}");
    }
}

#[tokio::test]
async fn cost_and_compression() {
    let request =
        Request::get("/api/v1/query_range?query=many&start=0&end=100&step=1&stats=all").header("accept-encoding", "gzip");
    let (status, headers, _) = send(stock(), request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-encoding"], "gzip");
    assert_eq!(headers["x-lamella-cost"], "requests=2, records=4, bytes=100, rows=3, segments=1, dollars=0.0000013000");
    assert!(headers["server-timing"].to_str().unwrap().starts_with("queue;dur="));
    let (_, body) = get("/api/v1/query?query=up&stats=all").await;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        json["data"]["stats"]["samples"],
        serde_json::json!({"totalQueryableSamples": 5, "samplesRead": 4, "peakSamples": 3})
    );
    assert_eq!(json["data"]["stats"]["cost"]["objectRequests"], 2);
    assert_eq!(json["data"]["stats"]["cost"]["dollars"], 0.000_001_3, "two GETs and four read units");
}

#[tokio::test]
async fn hostile_requests_are_refused_and_the_process_lives() {
    let deep = format!("query={}1{}", "(".repeat(60_000), ")".repeat(60_000));
    let chain = format!("query=1{}", "%2B1".repeat(40_000));
    let unary = format!("query={}1", "-".repeat(10_000));
    let calls = format!("query={}up{}", "abs(".repeat(20_000), ")".repeat(20_000));
    for form in [deep, chain, unary, calls] {
        let (status, body) = post("/api/v1/query", form.clone()).await;
        assert!(status == 400 || status == 200, "{} {}", &form[..40], &body[..body.len().min(200)]);
        let (status, _) = post("/loki/api/v1/query", form).await;
        assert!(status == 400 || status == 200);
    }
    let long = format!("query={}", "a".repeat(200_000));
    let (status, body) = post("/api/v1/query", long.clone()).await;
    assert_eq!(status, 400);
    assert!(body.contains("query text is 200000 bytes, limit is 131072"));
    assert_eq!(post("/loki/api/v1/query_range", long).await.0, 400);
    assert_eq!(post("/api/v1/query", "a".repeat(3 << 20)).await.0, 413);
    let many = "match[]=up&".repeat(20_000);
    assert_eq!(post("/api/v1/series", many).await.0, 400);
    for (path, status) in [
        ("/api/v1/query?query=%ff%fe", 400),
        ("/api/v1/query?query=%zz", 400),
        ("/loki/api/v1/query?query=%ff", 400),
        ("/api/v1/label/%ff/values", 400),
        ("/api/v1/query?query=up&time=1e300", 200),
        ("/api/v1/query?query=up&time=NaN", 200),
        ("/api/v1/query_range?query=up&start=0&end=1e15&step=1", 400),
        ("/api/v1/query_range?query=up&start=0&end=1&step=1e-9", 400),
        ("/loki/api/v1/query_range?query=1&start=0&end=4102444800&step=1", 400),
        ("/api/v1/labels?start=-1e300&end=1e300", 200),
    ] {
        assert_eq!(get(path).await.0, status, "{path}");
    }
    assert_eq!(get("/api/v1/query?query=1").await.0, 200);
}

#[tokio::test]
async fn places_are_bounded() {
    let options = Options { places: 1, ..Options::default() };
    let app = app(options, Limits { query_timeout: Duration::from_millis(50), ..Limits::default() });
    let request = |query: &str| Request::get(format!("/api/v1/query?query={query}")).body(Body::empty()).unwrap();
    let (hung, waiting) = tokio::join!(send(app.clone(), request("hang")), send(app.clone(), request("up")));
    assert_eq!((hung.0.as_u16(), waiting.0.as_u16()), (503, 503), "both run out of time, one while it waits");
    assert_eq!(send(app, request("up")).await.0, 200, "the place is free again");
}
