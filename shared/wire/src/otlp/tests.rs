//! The same payload in JSON and in protobuf becomes the same series; what cannot be stored is told.

use expect_test::{Expect, expect};
use model::TimestampMs;
use model::otlp::{DeltaPolicy, Promotion, TranslationStrategy};

use super::*;
use crate::protobuf::write::{bytes, double, int, message, signed, varint};

/// 2026-01-01T00:00:00Z and the minute after, in nanoseconds.
const T0: u64 = 1_767_225_600_000_000_000;
const T1: u64 = T0 + 60_000_000_000;

fn now() -> TimestampMs {
    TimestampMs((T1 / 1_000_000) as i64)
}

fn decoded(json: &str, options: &OtlpOptions) -> Decoded {
    let json = json.replace("T0", &format!("\"{T0}\"")).replace("T1", &format!("\"{T1}\""));
    decode(json.as_bytes(), Encoding::Json, "", options, &Limits::default(), now()).unwrap()
}

/// Prints what is to be stored, a line per sample, histogram, exemplar and metadata.
fn shown(decoded: &Decoded) -> String {
    let (batch, mut lines) = (&decoded.batch, Vec::new());
    let at = |ms: i64| (ms - (T0 / 1_000_000) as i64) / 1000;
    let start = |ms: i64| if ms == 0 { String::new() } else { format!(" since {}", at(ms)) };
    for index in 0..batch.series_len() {
        let labels = batch.label_set(index).unwrap();
        for row in batch.sample_range(index) {
            let since = start(batch.start_timestamps.get(row).copied().unwrap_or(0));
            lines.push(match model::is_stale(batch.values[row]) {
                true => format!("{labels} stale @{}{since}", at(batch.timestamps[row])),
                false => format!("{labels} {} @{}{since}", batch.values[row], at(batch.timestamps[row])),
            });
        }
        for row in batch.histograms.iter().filter(|row| row.series as usize == index) {
            let h = &row.histogram;
            let buckets =
                format!("+{:?}{:?} -{:?}{:?}", h.positive_spans, h.positive_buckets, h.negative_spans, h.negative_buckets);
            let buckets = buckets.replace("Span ", "").replace("offset: ", "").replace("length: ", "");
            let (count, sum, zero) = (h.count, if h.is_stale() { "stale".to_owned() } else { h.sum.to_string() }, h.zero_count);
            lines.push(format!(
                "{labels} {{schema {} {:?} count {count} sum {sum} zero {zero} {buckets} bounds {:?}}} @{}{}",
                h.schema,
                h.counter_reset_hint,
                h.custom_values,
                at(row.timestamp.0),
                start(row.start_timestamp.0)
            ));
        }
        for row in batch.exemplars.iter().filter(|row| row.series as usize == index) {
            let exemplar = &row.exemplar;
            lines.push(format!("  # {} {} @{}", exemplar.labels, exemplar.value, at(exemplar.timestamp.0)));
        }
    }
    lines.extend(batch.metadata.iter().map(|one| format!("{} {} {:?} {:?}", one.metric, one.kind.as_str(), one.help, one.unit)));
    lines.extend(decoded.reasons.iter().map(|reason| format!("refused: {reason}")));
    lines.extend(decoded.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n") + "\n"
}

fn check(metric: &str, options: &OtlpOptions, expected: Expect) {
    let body = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[
            {{"key":"service.name","value":{{"stringValue":"shop"}}}},{{"key":"service.instance.id","value":{{"stringValue":"i1"}}}}]}},
            "scopeMetrics":[{{"scope":{{"name":"lib","version":"1","attributes":[{{"key":"a.b","value":{{"intValue":"7"}}}}]}},
            "metrics":[{metric}]}}]}}]}}"#
    );
    expected.assert_eq(&shown(&decoded(&body, options)));
}

const COUNTER: &str = r#"{"name":"http.requests","unit":"{req}","description":"served","sum":{"aggregationTemporality":2,"isMonotonic":true,
    "dataPoints":[{"attributes":[{"key":"http.method","value":{"stringValue":"GET"}}],"startTimeUnixNano":T0,"timeUnixNano":T1,"asInt":"41",
    "exemplars":[{"timeUnixNano":T1,"asDouble":0.5,"traceId":"0AF7651916CD43DD8448EB211C80319C","spanId":"0000000000000000",
    "filteredAttributes":[{"key":"user","value":{"stringValue":"u"}}]}]},
    {"timeUnixNano":T1,"flags":1}]}}"#;

#[test]
fn sums() {
    check(
        COUNTER,
        &OtlpOptions::default(),
        expect![[r#"
        {__name__="http_requests_total", http_method="GET", instance="i1", job="shop"} 41 @60 since 0
          # {trace_id="0af7651916cd43dd8448eb211c80319c", user="u"} 0.5 @60
        {__name__="http_requests_total", instance="i1", job="shop"} stale @60
        http_requests_total counter "served" ""
    "#]],
    );
    let scoped = OtlpOptions {
        strategy: TranslationStrategy::NoTranslation,
        promote_scope_metadata: true,
        type_and_unit_labels: true,
        promotion: Promotion::AllBut(vec!["service.name".into()]),
        ..OtlpOptions::default()
    };
    check(
        COUNTER,
        &scoped,
        expect![[r#"
        {__name__="http.requests", __type__="counter", "http.method"="GET", instance="i1", job="shop", "otel_scope_a.b"="7", otel_scope_name="lib", otel_scope_version="1", "service.instance.id"="i1"} 41 @60 since 0
          # {trace_id="0af7651916cd43dd8448eb211c80319c", user="u"} 0.5 @60
        {__name__="http.requests", __type__="counter", instance="i1", job="shop", "otel_scope_a.b"="7", otel_scope_name="lib", otel_scope_version="1", "service.instance.id"="i1"} stale @60
        http.requests counter "served" ""
    "#]],
    );
}

#[test]
fn delta_is_stored_natively_or_refused() {
    let delta = COUNTER.replace("\"aggregationTemporality\":2", "\"aggregationTemporality\":\"AGGREGATION_TEMPORALITY_DELTA\"");
    check(
        &delta,
        &OtlpOptions::default(),
        expect![[r#"
        {__name__="http_requests_total", http_method="GET", instance="i1", job="shop"} 41 @60 since 0
          # {trace_id="0af7651916cd43dd8448eb211c80319c", user="u"} 0.5 @60
        {__name__="http_requests_total", instance="i1", job="shop"} stale @60
        http_requests_total unknown "served" ""
    "#]],
    );
    check(
        &delta,
        &OtlpOptions { delta: DeltaPolicy::Refuse, ..OtlpOptions::default() },
        expect![[r#"
        refused: invalid temporality and type combination for metric "http.requests"
    "#]],
    );
}

const EXPLICIT: &str = r#"{"name":"latency","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":T1,"count":"7",
    "sum":2.5,"bucketCounts":["0","4","0","3"],"explicitBounds":[0.1,1,10],
    "exemplars":[{"asDouble":0.3,"timeUnixNano":T1},{"asDouble":99,"timeUnixNano":T1}]}]}}"#;

#[test]
fn explicit_histograms() {
    let native = OtlpOptions { convert_histograms_to_nhcb: true, ..OtlpOptions::default() };
    check(
        EXPLICIT,
        &OtlpOptions::default(),
        expect![[r#"
        {__name__="latency_seconds_sum", instance="i1", job="shop"} 2.5 @60
        {__name__="latency_seconds_count", instance="i1", job="shop"} 7 @60
        {__name__="latency_seconds_bucket", instance="i1", job="shop", le="0.1"} 0 @60
        {__name__="latency_seconds_bucket", instance="i1", job="shop", le="1"} 4 @60
          # {} 0.3 @60
        {__name__="latency_seconds_bucket", instance="i1", job="shop", le="10"} 4 @60
        {__name__="latency_seconds_bucket", instance="i1", job="shop", le="+Inf"} 7 @60
          # {} 99 @60
        latency_seconds histogram "" "seconds"
    "#]],
    );
    check(
        EXPLICIT,
        &native,
        expect![[r#"
        {__name__="latency_seconds", instance="i1", job="shop"} {schema -53 Unknown count 7 sum 2.5 zero 0 +[{ 1, 3 }][4.0, 0.0, 3.0] -[][] bounds [0.1, 1.0, 10.0]} @60
          # {} 0.3 @60
          # {} 99 @60
        latency_seconds histogram "" "seconds"
    "#]],
    );
    let no_sum = EXPLICIT.replace("\"sum\":2.5,", "").replace("\"exemplars\"", "\"unknown\"");
    check(
        &no_sum,
        &OtlpOptions::default(),
        expect![[r#"
        {__name__="latency_seconds_count", instance="i1", job="shop"} 7 @60
        {__name__="latency_seconds_bucket", instance="i1", job="shop", le="0.1"} 0 @60
        {__name__="latency_seconds_bucket", instance="i1", job="shop", le="1"} 4 @60
        {__name__="latency_seconds_bucket", instance="i1", job="shop", le="10"} 4 @60
        {__name__="latency_seconds_bucket", instance="i1", job="shop", le="+Inf"} 7 @60
        latency_seconds histogram "" "seconds"
    "#]],
    );
    check(
        &EXPLICIT.replace("\"7\"", "\"8\""),
        &native,
        expect![[r#"
        refused: 7 observations found in buckets, but the Count field is 8: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN): metric "latency"
    "#]],
    );
}

#[test]
fn exponential_histograms_and_summaries() {
    let exponential = r#"{"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[
        {"timeUnixNano":T1,"count":"10","sum":5,"scale":9,"zeroCount":"1","positive":{"offset":-2,"bucketCounts":["1","2","0","3"]},
         "negative":{"offset":8,"bucketCounts":["1","0","0","0","0","0","0","0","0","0","2"]}},
        {"timeUnixNano":T1,"count":"1","scale":-5},
        {"timeUnixNano":T1,"flags":1,"scale":0}]}}"#;
    check(
        exponential,
        &OtlpOptions::default(),
        expect![[r#"
        {__name__="e", instance="i1", job="shop"} {schema 8 Unknown count 10 sum 5 zero 1 +[{ 0, 2 }][3.0, 3.0] -[{ 5, 1 }, { 4, 1 }][1.0, 2.0] bounds []} @60
        {__name__="e", instance="i1", job="shop"} {schema 0 Unknown count 0 sum stale zero 0 +[][] -[][] bounds []} @60
        e histogram "" ""
        refused: cannot convert exponential to native histogram. Scale must be >= -4, was -5: metric "e"
    "#]],
    );
    let summary = r#"{"name":"s","unit":"By","summary":{"dataPoints":[{"timeUnixNano":T1,"count":"3","sum":1.5,
        "quantileValues":[{"quantile":0.5,"value":0.2},{"quantile":1,"value":"NaN"}]}]}}"#;
    check(
        summary,
        &OtlpOptions::default(),
        expect![[r#"
        {__name__="s_bytes_sum", instance="i1", job="shop"} 1.5 @60
        {__name__="s_bytes_count", instance="i1", job="shop"} 3 @60
        {__name__="s_bytes", instance="i1", job="shop", quantile="0.5"} 0.2 @60
        {__name__="s_bytes", instance="i1", job="shop", quantile="1"} NaN @60
        s_bytes summary "" "bytes"
    "#]],
    );
}

#[test]
fn target_info_and_colliding_attributes() {
    let body = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},
        {"key":"host.name","value":{"stringValue":"h"}},{"key":"host_name","value":{"stringValue":"g"}}]},"scopeMetrics":[{"metrics":[
        {"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1767225240000000000","asDouble":1},{"timeUnixNano":T1,"asDouble":2}]}}]}]},
        {"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"no job"}}]},"scopeMetrics":[{"metrics":[
        {"name":"old","gauge":{"dataPoints":[{"timeUnixNano":"1000000000","asDouble":1}]}},{"name":"none","gauge":{"dataPoints":[]}},
        {"name":"","gauge":{"dataPoints":[{"timeUnixNano":T1,"asInt":1}]}}]}]}]}"#;
    let promoted = OtlpOptions { promotion: Promotion::Listed(vec!["host.name".into()]), ..OtlpOptions::default() };
    expect![[r#"
        {__name__="g", host_name="h", job="shop"} 1 @-360
        {__name__="g", host_name="h", job="shop"} 2 @60
        {__name__="target_info", host_name="h;g", job="shop"} 1 @-360
        {__name__="target_info", host_name="h;g", job="shop"} 1 @-210
        {__name__="target_info", host_name="h;g", job="shop"} 1 @-60
        {__name__="target_info", host_name="h;g", job="shop"} 1 @60
        g gauge "" ""
        target_info gauge "Target metadata" ""
        refused: too old sample: metric "old"
        refused: empty data points. none is dropped
        refused: normalization for metric "" resulted in empty name
        warning: resource attribute "host_name" collides with another as label "host_name", values are joined with ';'
    "#]]
    .assert_eq(&shown(&decoded(body, &promoted)));
}

/// [`COUNTER`]'s first point and an exponential histogram, in protobuf.
fn protobuf() -> Vec<u8> {
    let attribute = |out: &mut Vec<u8>, field: u32, key: &str, value: &str| {
        message(out, field, |out| {
            bytes(out, 1, key.as_bytes());
            message(out, 2, |out| bytes(out, 1, value.as_bytes()));
        });
    };
    let fixed = |out: &mut Vec<u8>, field: u32, value: u64| double(out, field, f64::from_bits(value), true);
    let counter = |out: &mut Vec<u8>| {
        bytes(out, 1, b"http.requests");
        bytes(out, 2, b"served");
        bytes(out, 3, b"{req}");
        message(out, 7, |out| {
            message(out, 1, |out| {
                attribute(out, 7, "http.method", "GET");
                fixed(out, 2, T0);
                fixed(out, 3, T1);
                fixed(out, 6, 41);
                message(out, 5, |out| {
                    fixed(out, 2, T1);
                    double(out, 3, 0.5, true);
                    bytes(out, 5, &0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
                    attribute(out, 7, "user", "u");
                });
            });
            int(out, 2, 2);
            int(out, 3, 1);
        });
    };
    let exponential = |out: &mut Vec<u8>| {
        bytes(out, 1, b"e");
        message(out, 10, |out| {
            message(out, 1, |out| {
                fixed(out, 3, T1);
                fixed(out, 4, 3);
                double(out, 5, 5.0, true);
                signed(out, 6, 3);
                message(out, 8, |out| {
                    signed(out, 1, -2);
                    let mut packed = Vec::new();
                    [1, 2].iter().for_each(|count| varint(&mut packed, *count));
                    bytes(out, 2, &packed);
                });
            });
            int(out, 2, 2);
        });
    };
    let mut out = Vec::new();
    message(&mut out, 1, |out| {
        message(out, 1, |out| {
            attribute(out, 1, "service.name", "shop");
            attribute(out, 1, "service.instance.id", "i1");
        });
        message(out, 2, |out| {
            message(out, 2, counter);
            message(out, 2, exponential);
        });
    });
    out
}

#[test]
fn protobuf_says_the_same() {
    let json = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}},
        {{"key":"service.instance.id","value":{{"stringValue":"i1"}}}}]}},"scopeMetrics":[{{"metrics":[{},
        {{"name":"e","exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[{{"timeUnixNano":T1,"count":3,"sum":5,"scale":3,
        "positive":{{"offset":-2,"bucketCounts":[1,2]}}}}]}}}}]}}]}}]}}"#,
        COUNTER.replace(",\n    {\"timeUnixNano\":T1,\"flags\":1}", "")
    );
    let options = OtlpOptions::default();
    let body = protobuf();
    let from_protobuf = decode(&body, Encoding::Protobuf, "", &options, &Limits::default(), now()).unwrap();
    assert_eq!(shown(&from_protobuf), shown(&decoded(&json, &options)));
    assert_eq!(from_protobuf.points, 2);
    for len in 0..body.len() {
        // Cut anywhere: an error or less data, no panic.
        let _ = decode(&body[..len], Encoding::Protobuf, "", &options, &Limits::default(), now());
    }
}

#[test]
fn answers() {
    let options = OtlpOptions::default();
    let metric = |points: &str| {
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"g","gauge":{{"dataPoints":[{points}]}}}}]}}]}}]}}"#
        )
    };
    let (good, old) = (r#"{"timeUnixNano":T1,"asInt":1}"#, r#"{"timeUnixNano":"1","asInt":1}"#);
    let answer = |points: &str, encoding| decoded(&metric(points), &options).answer(encoding);
    assert_eq!(answer(good, Encoding::Json), Answer { status: 200, body: b"{}".to_vec() });
    assert_eq!(answer(good, Encoding::Protobuf), Answer { status: 200, body: Vec::new() });
    let partial = answer(&format!("{good},{old}"), Encoding::Json);
    let text = r#"{"partialSuccess":{"rejectedDataPoints":"1","errorMessage":"too old sample: metric \"g\""}}"#;
    assert_eq!((partial.status, String::from_utf8(partial.body).unwrap().as_str()), (200, text));
    let refused = answer(old, Encoding::Json);
    let text = r#"{"code":3,"message":"too old sample: metric \"g\""}"#;
    assert_eq!((refused.status, String::from_utf8(refused.body).unwrap().as_str()), (400, text));
    assert_eq!(answer(old, Encoding::Protobuf).body[..2], [8, 3]);
    let refused = |body: &[u8], encoding, compression| {
        decode(body, encoding, compression, &options, &Limits::default(), now()).unwrap_err().to_string()
    };
    assert_eq!(refused(b"\xff", Encoding::Protobuf, ""), "malformed protobuf message");
    assert!(refused(b"{", Encoding::Json, "").starts_with("invalid JSON: "));
    assert_eq!(
        refused(b"{}", Encoding::Json, "zstd"),
        "unsupported compression: zstd. Only \"gzip\" or no compression supported"
    );
    let deep = format!("{}{}", r#"{"resourceMetrics":"#.repeat(200), "}".repeat(200));
    assert!(decode(deep.as_bytes(), Encoding::Json, "", &options, &Limits::default(), now()).is_err());
    assert!(Encoding::negotiate("text/plain").is_err());
}

#[test]
fn a_point_of_many_rows_is_denied_as_points() {
    let of = |batch| Decoded { batch, points: 2, refused: 0, reasons: Vec::new(), warnings: Vec::new() };
    let rows = Written { samples: 12, ..Written::default() };
    let mut all = of(MetricBatch::default());
    all.deny(rows, "no place");
    assert_eq!((all.refused, all.answer(Encoding::Json).status), (2, 400));
    let mut batch = MetricBatch::default();
    batch.start_series_of(&model::LabelSet::from_pairs([("__name__", "m")]));
    batch.push_sample(TimestampMs(1), 1.0, TimestampMs(0));
    let mut some = of(batch);
    some.deny(rows, "no place");
    assert_eq!((some.refused, some.answer(Encoding::Json).status), (1, 200));
}
