use super::*;
use crate::prom_api::ErrorType;
use model::{MetricKind, Span, TimestampMs};

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn metric() -> LabelSet {
    LabelSet::from_pairs([("__name__", "up"), ("job", "a\"b")])
}

#[test]
fn matrix() {
    let body = text(|out| {
        head(out, ResultType::Matrix);
        matrix_series(out, &metric(), [(1_500, 1.0), (2_000, f64::NAN)], []);
        comma(out, 1);
        matrix_series(out, &LabelSet::empty(), [], []);
        tail(out, ResultType::Matrix, Some("{}"), &["w".into()], &["i".into()]);
    });
    let expected = concat!(
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a\"b"},"#,
        r#""values":[[1.500,"1"],[2,"NaN"]]},{"metric":{}}],"stats":{}},"warnings":["w"],"infos":["i"]}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn series_with_floats_and_histograms() {
    let histogram = Histogram {
        count: 5.0,
        sum: 2.5,
        zero_count: 1.0,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![4.0, 0.0],
        ..Histogram::default()
    };
    let body = text(|out| matrix_series(out, &LabelSet::empty(), [(1_000, 1e21)], [(2_001, &histogram)]));
    let expected = concat!(
        r#"{"metric":{},"values":[[1,"1e+21"]],"histograms":[[2.001,{"count":"5","sum":"2.5","#,
        r#""buckets":[[3,"-0.001","0.001","1"],[0,"0.5","1","4"]]}]]}"#
    );
    assert_eq!(body, expected);
    let body = text(|out| matrix_series(out, &metric(), [], [(2_001, &Histogram::default())]));
    assert!(body.ends_with(r#""job":"a\"b"},"histograms":[[2.001,{"count":"0","sum":"0"}]]}"#), "{body}");
}

#[test]
fn vector_scalar_and_string() {
    let body = text(|out| {
        head(out, ResultType::Vector);
        vector_float(out, &metric(), -1_001, 0.5);
        tail(out, ResultType::Vector, None, &[], &[]);
    });
    let expected = concat!(
        r#"{"status":"success","data":{"resultType":"vector","#,
        r#""result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[-1.001,"0.5"]}]}}"#
    );
    assert_eq!(body, expected);
    let body = text(|out| {
        head(out, ResultType::Scalar);
        scalar_point(out, 4_100, 1e21);
        tail(out, ResultType::Scalar, None, &[], &[]);
    });
    assert_eq!(body, r#"{"status":"success","data":{"resultType":"scalar","result":[4.1,"1000000000000000000000"]}}"#);
    assert_eq!(text(|out| text_point(out, 1, "<a")), r#"[0.001,"\u003ca"]"#);
}

#[test]
fn lookups_and_errors() {
    assert_eq!(answer(|out| html_strings(out, [])), br#"{"status":"success","data":[]}"#);
    let error_body = error(&ApiError::new(ErrorType::Execution, "a \"b\""));
    assert_eq!(error_body, br#"{"status":"error","errorType":"execution","error":"a \"b\""}"#);
    let item = |metric: &str, help: &str| MetricMetadata {
        metric: metric.into(),
        kind: MetricKind::Counter,
        help: help.into(),
        unit: String::new(),
    };
    let expected = concat!(
        r#"{"a":[{"type":"counter","help":"x","unit":""},{"type":"counter","help":"y","unit":""}],"#,
        r#""b":[{"type":"counter","help":"z","unit":""}]}"#
    );
    assert_eq!(text(|out| metadata(out, &[item("a", "x"), item("a", "y"), item("b", "z")])), expected);
    let exemplar = Exemplar { labels: LabelSet::from_pairs([("trace_id", "t")]), value: 0.25, timestamp: TimestampMs(1_600) };
    assert_eq!(
        text(|out| exemplars(out, &[(LabelSet::empty(), vec![exemplar])])),
        r#"[{"seriesLabels":{},"exemplars":[{"labels":{"trace_id":"t"},"value":"0.25","timestamp":1.600}]}]"#
    );
}
