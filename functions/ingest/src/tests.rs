use std::sync::Mutex;

use appender::{Batch, Receipt};
use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use model::Hour;
use tower::ServiceExt;

use super::*;

/// Remembers what it was given, or fails.
#[derive(Debug, Default)]
struct Buffer {
    rows: Mutex<usize>,
    fails: Option<appender::Error>,
}

#[async_trait::async_trait]
impl WriteBuffer for Buffer {
    async fn append(&self, _: &TenantId, batch: Batch) -> appender::Result<Receipt> {
        if let Some(error) = &self.fails {
            return Err(error.clone());
        }
        *self.rows.lock().unwrap() += batch.rows();
        Ok(Receipt::default())
    }

    async fn close(&self) {}
}

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> model::TimestampMs {
        model::TimestampMs(1_767_225_700_000)
    }
}

fn state(buffer: &Arc<Buffer>) -> State {
    let limits = model::Limits { body_bytes_max: 1000, ..Default::default() }.into();
    State {
        buffer: buffer.clone(),
        clock: Arc::new(Noon),
        limits,
        otlp: Arc::default(),
        require_tenant: false,
        admission: Arc::default(),
        guard: Guard::open(),
        pace: Arc::default(),
        bill: Bill::default(),
        elections: Elections::new(store::records::memory(), Arc::new(Noon), &model::Nonces::seeded(1)),
        metrics: Arc::default(),
    }
}

async fn send(state: &State, request: Request<Body>) -> (u16, HeaderMap, String) {
    let response = router(state.clone()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (parts.status.as_u16(), parts.headers, text)
}

fn push(body: impl Into<Body>) -> Request<Body> {
    Request::post("/loki/api/v1/push").header("content-type", "application/json").body(body.into()).unwrap()
}

/// A failure of the object store, made by one.
fn object_store_error() -> store::objects::ObjectError {
    store::objects::ObjectError::Generic { store: "test", source: "gone".into() }
}

const ONE: &str = r#"{"streams":[{"stream":{"app":"a"},"values":[["1767225601000000000","x"]]}]}"#;

#[tokio::test]
async fn entries_are_stored_then_answered() {
    let buffer = Arc::default();
    let state = state(&buffer);
    let (status, headers, text) = send(&state, push(ONE)).await;
    assert_eq!((status, text.as_str()), (204, ""));
    assert_eq!(headers["x-lamella-write"], "direct; reason=fixed; requests-per-minute=0; segments=0; inline=0");
    assert_eq!(*buffer.rows.lock().unwrap(), 1);
    let (status, _, text) = send(&state, push(r#"{"streams":[]}"#)).await;
    assert_eq!((status, text.as_str()), (422, "error at least one valid stream is required for ingestion\n"));
    let mut page = String::new();
    state.metrics.render(&mut page);
    assert!(page.contains("lamella_ingest_rows_total{kind=\"entry\"} 1\n"), "{page}");
    assert!(page.contains("lamella_ingest_line_bytes_total 1\n"), "{page}");
    assert!(page.contains("lamella_ingest_appends_total{strategy=\"direct\",reason=\"fixed\"} 1\n"), "{page}");
    assert!(page.contains("lamella_ingest_requests_total{protocol=\"loki_push\",outcome=\"refused\"} 1\n"), "{page}");
}

#[tokio::test]
async fn foreign_requests_are_refused() {
    let buffer = Arc::default();
    let state = state(&buffer);
    assert_eq!(send(&state, push("x".repeat(1001))).await.0, StatusCode::PAYLOAD_TOO_LARGE.as_u16());
    let get = Request::get("/api/v1/write").body(Body::empty()).unwrap();
    assert_eq!(send(&state, get).await.0, 405);
    let json = Request::post("/api/v1/write").header("content-type", "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(send(&state, json).await.0, 415);
    let required = State { require_tenant: true, ..state };
    assert_eq!(send(&required, push(ONE)).await.2, "no org id\n");
}

#[tokio::test]
async fn what_is_not_durable_is_not_acknowledged() {
    use appender::Error;
    let object = object_store_error();
    let cases = [
        (Error::Closed, 503, Some("2"), "the server is shutting down: not acknowledged, send it again in 2 s\n"),
        (Error::TooSlow { limit_ms: 5 }, 503, Some("2"), "write took longer than 5 ms: not acknowledged, send it again in 2 s\n"),
        (Error::Object(Arc::new(object)), 503, Some("2"), "put segment: not acknowledged, send it again in 2 s\n"),
        (
            Error::Backlogged { hour: Hour(1), segments: 4097, limit: 4096 },
            429,
            Some("30"),
            "4097 segments of an hour wait for compaction, limit is 4096: not acknowledged, send it again in 30 s\n",
        ),
        (
            Error::TooManyHours { hours: 2000, limit: 1024 },
            413,
            None,
            "request spreads over 2000 event hours, limit is 1024: send it in several\n",
        ),
    ];
    for (error, status, retry_after, text) in cases {
        let answer = send(&state(&Arc::new(Buffer { fails: Some(error.clone()), ..Buffer::default() })), push(ONE)).await;
        let found = answer.1.get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!((answer.0, found, answer.2.as_str()), (status, retry_after, text), "{error:?}");
    }
}

#[tokio::test]
async fn remote_write_two_says_what_was_written() {
    let empty = Request::post("/api/v1/write")
        .header("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
        .body(Body::from(vec![0]))
        .unwrap();
    let (status, headers, _) = send(&state(&Arc::default()), empty).await;
    assert_eq!(status, 204);
    assert_eq!(headers["x-prometheus-remote-write-samples-written"], "0");
}

#[tokio::test]
async fn otlp_metrics() {
    let post = |content_type: &str, body: &'static str| {
        Request::post("/api/v1/otlp/v1/metrics").header("content-type", content_type).body(Body::from(body)).unwrap()
    };
    let good = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1767225650000000000","asInt":1}]}}]}]}]}"#;
    let old = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1","asInt":1}]}}]}]}]}"#;
    let buffer = Arc::default();
    let state = state(&buffer);
    let (status, headers, text) = send(&state, post("application/json", good)).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap(), text.as_str()), (200, "application/json", "{}"));
    assert_eq!(*buffer.rows.lock().unwrap(), 1);
    let (status, _, text) = send(&state, post("application/json", old)).await;
    assert_eq!((status, text.as_str()), (400, r#"{"code":3,"message":"too old sample: metric \"g\""}"#));
    // A day whose replicas are merged after half a minute gets nothing that is older.
    let merged = model::Limits { replicas_merged_after: Some(std::time::Duration::from_secs(30)), ..model::Limits::default() };
    let narrow = State { limits: merged.into(), ..state.clone() };
    let (status, _, text) = send(&narrow, post("application/json", good)).await;
    assert_eq!((status, text.as_str()), (400, r#"{"code":3,"message":"too old sample: metric \"g\""}"#));
    let (status, headers, _) = send(&state, post("application/x-protobuf", "\u{7f}")).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (400, "application/x-protobuf"));
    let (status, _, text) = send(&state, post("text/plain", good)).await;
    let expected = "unsupported content type: text/plain, supported: [application/json, application/x-protobuf]\n";
    assert_eq!((status, text.as_str()), (400, expected));
    let closed = Arc::new(Buffer { fails: Some(appender::Error::Closed), ..Buffer::default() });
    let (status, headers, text) = send(&self::state(&closed), post("application/json", good)).await;
    assert!(status == 503 && headers.contains_key("retry-after") && text.starts_with(r#"{"code":14,"#), "{status} {text}");
}

#[tokio::test]
async fn otlp_logs() {
    let post = |content_type: &str, body: &'static str| {
        Request::post("/otlp/v1/logs").header("content-type", content_type).body(Body::from(body)).unwrap()
    };
    const RECORDS: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}},{"body":{}}]}]}]}"#;
    let buffer = Arc::default();
    let state = state(&buffer);
    let (status, headers, text) = send(&state, post("application/json", RECORDS)).await;
    assert_eq!((status, text.as_str(), headers.get("content-type")), (204, "", None));
    assert_eq!(*buffer.rows.lock().unwrap(), 2);
    let (status, headers, text) = send(&state, post("text/plain", RECORDS)).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (400, "application/octet-stream"));
    assert_eq!(text, "\u{12})content type: text/plain is not supported");
    assert_eq!(send(&state, post("application/json", "{}")).await.0, 422);
    let required = State { require_tenant: true, ..state };
    assert_eq!(send(&required, post("application/json", RECORDS)).await.2, "no org id\n");
}

#[tokio::test]
async fn tenants_have_limits_of_their_own() {
    let buffer = Arc::default();
    let text = r#"{"overrides": {"slow": {"ingestion_rate_mb": 0.00001, "ingestion_burst_size_mb": 0.000001},
        "blocked": {"block_ingestion_until": "2030-01-01T00:00:00Z", "block_ingestion_status_code": 456}}}"#;
    let limits = boot::overrides::parse(text, model::Limits::default()).unwrap();
    let state = State { limits, ..state(&buffer) };
    for (tenant, status, retry_after) in [("slow", 429, Some("1")), ("blocked", 456, None), ("other", 204, None)] {
        let mut request = push(r#"{"streams":[{"stream":{"app":"a"},"values":[["1767225601000000000","xx"]]}]}"#);
        request.headers_mut().insert("x-scope-orgid", tenant.parse().unwrap());
        let (found, headers, _) = send(&state, request).await;
        let after = headers.get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!((found, after), (status, retry_after), "{tenant}");
    }
    assert_eq!(*buffer.rows.lock().unwrap(), 1);
}

#[tokio::test]
async fn who_sends_too_fast_is_told_when_to_come_again() {
    let buffer = Arc::default();
    let rates = model::limits::IngestRates { requests: model::limits::Rate::new(0.5, Some(1.0)), ..Default::default() };
    let state = State { limits: model::Limits { rates, ..Default::default() }.into(), ..state(&buffer) };
    assert_eq!(send(&state, push(ONE)).await.0, 204);
    let (status, headers, text) = send(&state, push(ONE)).await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "1"));
    assert_eq!(text, "tenant sends more than 0.5 requests a second, send it again in 1 s\n");
    assert_eq!(*buffer.rows.lock().unwrap(), 1, "nothing of it is stored");
    let other = Request::post("/loki/api/v1/push").header("content-type", "application/json").header("x-scope-orgid", "b");
    assert_eq!(send(&state, other.body(Body::from(ONE)).unwrap()).await.0, 204);
}

/// A remote-write request of one sample, by hand: protobuf in a snappy block of one literal.
fn write(version: &str, labels: &[(&str, &str)], timestamp: i64) -> Request<Body> {
    let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
    let varint = |value: i64| {
        let mut out = Vec::new();
        model::labels::put_varint(&mut out, value as u64);
        out
    };
    let sample = field(0x12, &[&[0x09][..], &1f64.to_le_bytes(), &[0x10], &varint(timestamp)].concat());
    let message = match version {
        "" => {
            let label = |(name, value): &(&str, &str)| {
                field(0x0a, &[field(0x0a, name.as_bytes()), field(0x12, value.as_bytes())].concat())
            };
            field(0x0a, &[labels.iter().flat_map(label).collect(), sample].concat())
        }
        _ => {
            let symbols = std::iter::once("").chain(labels.iter().flat_map(|(name, value)| [*name, *value]));
            let symbols: Vec<u8> = symbols.flat_map(|symbol| field(0x22, symbol.as_bytes())).collect();
            let references: Vec<u8> = (1..=2 * labels.len() as u8).collect();
            [symbols, field(0x2a, &[field(0x0a, &references), sample].concat())].concat()
        }
    };
    let block = [varint(message.len() as i64), vec![60 << 2, message.len() as u8 - 1], message].concat();
    let content_type = format!("application/x-protobuf{version}");
    Request::post("/api/v1/write").header("content-type", content_type).body(Body::from(block)).unwrap()
}

const V2: &str = ";proto=io.prometheus.write.v2.Request";

/// Version, labels, the answer's status, and rows stored by then.
type Case<'c> = (&'c str, &'c [(&'c str, &'c str)], u16, usize);

#[tokio::test]
async fn one_replica_is_stored_and_the_other_is_told_so() {
    let buffer = Arc::default();
    let text = "limits_config: {accept_ha_samples: true, ha_replica_label: replica, ha_max_clusters: 1}";
    let limits = boot::overrides::parse(text, model::Limits::default()).unwrap();
    let state = State { limits, ..state(&buffer) };
    let at = Noon.now().0;
    let of = |replica| [("__name__", "up"), ("cluster", "c"), ("replica", replica)];
    let cases: [Case<'_>; 6] = [
        ("", &of("a"), 204, 1),
        (V2, &of("b"), 202, 1),
        ("", &of("b"), 202, 1),
        (V2, &of("a"), 204, 2),
        ("", &[("__name__", "up"), ("replica", "b")], 204, 3),
        (V2, &[("__name__", "up"), ("cluster", "other"), ("replica", "b")], 400, 3),
    ];
    for (version, labels, status, rows) in cases {
        let (found, headers, text) = send(&state, write(version, labels, at)).await;
        assert_eq!((found, *buffer.rows.lock().unwrap()), (status, rows), "{version} {labels:?}: {text}");
        let written = headers.get("x-prometheus-remote-write-samples-written").map(|value| value.to_str().unwrap());
        // Senders take less than they sent for a failure, although the answer is a success.
        assert_eq!(written, (version == V2).then_some(if status == 400 { "0" } else { "1" }), "{labels:?}");
        assert_eq!(text.contains("there are 1 clusters of replicas already, which is the limit"), status == 400, "{text}");
    }
    let mut page = String::new();
    state.metrics.render(&mut page);
    for (outcome, rows) in [("taken", 2), ("covered", 2), ("denied", 1)] {
        assert!(page.contains(&format!("lamella_ingest_replica_rows_total{{outcome=\"{outcome}\"}} {rows}\n")), "{page}");
    }
    assert!(page.contains("lamella_ingest_elections_total 1\n"), "{page}");
}

#[tokio::test]
async fn what_was_not_stored_elects_nobody() {
    let limits = boot::overrides::parse("limits_config: {accept_ha_samples: true}", model::Limits::default()).unwrap();
    let buffer = Arc::new(Buffer { fails: Some(appender::Error::Closed), ..Buffer::default() });
    let failing = State { limits, ..state(&buffer) };
    let working = State { buffer: Arc::new(Buffer::default()), ..failing.clone() };
    let of = |replica| [("__name__", "up"), ("cluster", "c"), ("__replica__", replica)];
    let at = Noon.now().0;
    assert_eq!(send(&failing, write("", &of("a"), at)).await.0, 503);
    let (status, headers, text) = send(&working, write("", &of("b"), at)).await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503, "2"), "covered by nobody");
    assert_eq!(text, "replicas of cluster \"c\" are being elected: not acknowledged, send it again in 2 s\n");
    assert_eq!(send(&working, write("", &of("a"), at)).await.0, 204);
    assert_eq!(send(&working, write("", &of("b"), at)).await.0, 202);
}
