use std::time::Duration;

use model::limits::LogLimits;

use super::*;

const PROTOBUF: Option<&str> = Some("application/x-protobuf");
const NOW: TimestampNs = TimestampNs(1_767_225_700_000_000_000);

fn limits(logs: LogLimits) -> Limits {
    Limits { logs, ..Limits::default() }
}

fn read(body: &[u8], content_type: Option<&str>, encoding: Option<&str>, limits: &Limits) -> Result<Decoded, Error> {
    let tenant = TenantId::anonymous();
    decode(body, content_type, encoding, Shape::V1, &Intake { tenant: &tenant, limits, now: NOW })
}

fn push(body: &str) -> (u16, String) {
    let age_max = Some(Duration::from_secs(604_800));
    let limits = limits(LogLimits { labels_per_stream_max: 3, line_bytes_max: 100, age_max, ..LogLimits::default() });
    match read(body.as_bytes(), Some("application/json; charset=utf-8"), None, &limits) {
        Ok(decoded) => (decoded.answer().status, decoded.answer().text),
        Err(error) => (crate::status::of_request(&error), error.to_string()),
    }
}

fn stream(labels: &str, values: &str) -> String {
    format!(r#"{{"streams":[{{"stream":{labels},"values":{values}}}]}}"#)
}

#[test]
fn answers_are_lokis() {
    let ok = (204, String::new());
    let one = r#"[["1767225601000000000","x"]]"#;
    let values = |values| push(&stream(r#"{"app":"a"}"#, values));
    for accepted in [
        one,
        "null",
        "[]",
        r#"[["1767225601000000000"]]"#,
        r#"[["1767225601000000000","x",{},"z"]]"#,
        r#"[["1767225601000000000","x",{"a.b":"v"}]]"#,
    ] {
        assert_eq!(values(accepted), ok, "{accepted}");
    }
    for refused in [
        r#"[[1767225601000000000,"x"]]"#,
        r#"[["2026-01-01T00:00:01Z","x"]]"#,
        r#"[["1767225600.5","x"]]"#,
        r#"[["1767225601000000000",5]]"#,
        r#"[["1767225601000000000","x",{"a":5}]]"#,
        r#"[["1767225601000000000","x",null]]"#,
    ] {
        assert_eq!(values(refused).0, 400, "{refused}");
    }
    for labels in ["{}", r#"{"app":5}"#, r#"{"app":"a","e":""}"#] {
        assert_eq!(push(&stream(labels, one)), ok, "{labels}");
    }
    let text = |labels| push(&stream(labels, one)).1;
    assert_eq!(text(r#"{"app-x":"a"}"#), "couldn't parse labels: 1:5: parse error: unexpected character inside braces: '-'");
    assert_eq!(text(r#"{"é":"a"}"#), "couldn't parse labels: 1:2: parse error: unexpected character inside braces: 'é'");
    assert_eq!(
        text(r#"{"a":"1","b":"2","c":"3","d":"4"}"#),
        "entry for stream '{a=\"1\", b=\"2\", c=\"3\", d=\"4\", service_name=\"unknown_service\"}' has 4 label names; limit 3"
    );
    assert_eq!(push(r#"{"streams":[]}"#), (422, "error at least one valid stream is required for ingestion".to_owned()));
    assert_eq!(push(""), (400, "EOF".to_owned()));
    assert_eq!(push(r#"{"streams":["#).0, 400);
    assert_eq!(push("[]").0, 400);
}

#[test]
fn the_rest_is_stored() {
    let long = "x".repeat(101);
    let body = stream(
        r#"{"app":"a"}"#,
        &format!(r#"[["1767225601000000000","level=warn"],["1767225601000000000","{long}"],["1","y"]]"#),
    );
    let limits = limits(LogLimits { line_bytes_max: 100, ..LogLimits::default() });
    let decoded = read(body.as_bytes(), Some("application/json"), None, &limits).unwrap();
    let max = "max entry size '100' bytes exceeded for stream '{app=\"a\", service_name=\"a\"}' while adding an entry with length '101' bytes";
    assert!(
        decoded.answer().text.starts_with(&format!("1 errors like: {max}; 1 errors like: entry for stream")),
        "{:?}",
        decoded.answer()
    );
    assert_eq!(decoded.answer().status, 400);
    assert_eq!(decoded.batch.entries_len(), 1);
    let metadata: Vec<_> = model::labels::Iter::over(decoded.batch.metadata.get(0)).collect();
    assert_eq!(metadata, [("detected_level", "warn")]);
}

#[test]
fn headers_are_read_as_go_does() {
    let limits = Limits::default();
    let text = |kind, encoding, body: &[u8]| read(body, kind, encoding, &limits).map(|_| ()).map_err(|error| error.to_string());
    let json = Some("application/json");
    assert_eq!(text(Some(""), None, b"{}"), Err("mime: no media type".to_owned()));
    assert_eq!(text(None, None, &[0]), Err("mime: no media type".to_owned()));
    assert_eq!(text(Some("application/json; ;"), None, b"{}"), Err("mime: invalid media parameter".to_owned()));
    assert_eq!(text(json, Some("zstd"), b"{}"), Err("Content-Encoding \"zstd\" not supported".to_owned()));
    assert_eq!(text(json, Some("gzip"), b"{}"), Err("gzip: invalid header".to_owned()));
    assert_eq!(text(Some("text/plain"), None, b"{\"streams\": []}"), Err("snappy: corrupt input".to_owned()));
    assert_eq!(text(PROTOBUF, None, &[0]), Err("error at least one valid stream is required for ingestion".to_owned()));
}

#[test]
fn protobuf_keeps_bytes_and_duplicate_labels_are_named() {
    let limits = Limits::default();
    let pair = [10, 5, b't', b'r', b'a', b'c', b'e', 18, 1, b't'];
    let mut entry = vec![10, 6, 8, 0x81, 0xf2, 0xd6, 0xca, 6, 18, 2, 0xff, b'x', 26, pair.len() as u8];
    entry.extend(pair);
    let message = |labels: &str| {
        let mut stream = vec![10, labels.len() as u8];
        stream.extend(labels.bytes());
        stream.extend([18, entry.len() as u8]);
        stream.extend(&entry);
        let mut message = vec![10, stream.len() as u8];
        message.extend(stream);
        snap::raw::Encoder::new().compress_vec(&message).unwrap()
    };
    let decoded = read(&message("{b=\"2\", app=\"pb\"}"), PROTOBUF, None, &limits).unwrap();
    assert_eq!(decoded.answer().status, 204);
    assert_eq!(decoded.batch.lines.get(0), b"\xffx");
    let labels: Vec<_> = model::labels::Iter::over(decoded.batch.labels.get(0)).collect();
    assert_eq!(labels, [("app", "pb"), ("b", "2"), ("service_name", "pb")]);
    assert!(model::labels::verify(decoded.batch.metadata.get(0)).is_ok());
    let twice = read(&message("{app=\"a\",app=\"b\"}"), PROTOBUF, None, &limits).unwrap();
    assert_eq!(twice.answer().text, "stream '{app=\"a\", app=\"b\", service_name=\"a\"}' has duplicate label name: 'app'");
    let open = read(&message("{app=\"pb\""), PROTOBUF, None, &limits).unwrap_err();
    assert_eq!(open.to_string(), "couldn't parse labels: 1:10: parse error: unexpected end of input inside braces");
}

#[test]
fn the_legacy_path_has_its_own_shape() {
    let (tenant, limits) = (TenantId::anonymous(), Limits::default());
    let intake = Intake { tenant: &tenant, limits: &limits, now: NOW };
    let old = r#"{"streams":[{"labels":"{app=\"l\"}","entries":[{"ts":"2026-01-01T00:00:01Z","line":"old"}]}]}"#;
    let new = stream(r#"{"app":"a"}"#, r#"[["1767225601000000000","x"]]"#);
    for (shape, body, entries) in
        [(Shape::Legacy, old, 1), (Shape::Legacy, new.as_str(), 0), (Shape::V1, old, 0), (Shape::V1, new.as_str(), 1)]
    {
        let decoded = decode(body.as_bytes(), Some("application/json"), None, shape, &intake).unwrap();
        assert_eq!((decoded.answer().status, decoded.batch.entries_len()), (204, entries), "{shape:?} {body}");
    }
}

fn stored(logs: LogLimits, body: &str) -> Decoded {
    read(body.as_bytes(), Some("application/json"), None, &limits(logs)).unwrap()
}

fn lines(decoded: &Decoded) -> Vec<(i64, String)> {
    let batch = &decoded.batch;
    let line = |row| String::from_utf8_lossy(batch.lines.get(row)).into_owned();
    (0..batch.entries_len()).map(|row| (batch.timestamps[row] - 1_767_225_601_000_000_000, line(row))).collect()
}

#[test]
fn a_tenant_decides_what_is_cut_moved_added_and_required() {
    let default = LogLimits::default;
    let values = |values: &str| stream(r#"{"app":"a"}"#, values);
    let cut = LogLimits { line_bytes_max: 4, line_truncated: true, line_truncation_mark: "!".into(), ..default() };
    let long = values(r#"[["1767225601000000000","abcdef"],["1767225601000000000","abcd"]]"#);
    assert_eq!(lines(&stored(cut, &long)), [(0, "abc!".to_owned()), (0, "abcd".to_owned())]);

    let moved = LogLimits { duplicates_moved: true, ..default() };
    let same = values(
        r#"[["1767225601000000000","a"],["1767225601000000000","b"],["1767225601000000000","a"],["1767225602000000000","c"]]"#,
    );
    let times: Vec<i64> = lines(&stored(moved, &same)).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [0, 1, 2, 1_000_000_000]);

    let bare = LogLimits { service_labels: Vec::new(), levels_detected: false, ..default() };
    let decoded = stored(bare.clone(), &values(r#"[["1767225601000000000","level=warn",{"a.b":"x\ufffd","e":""}]]"#));
    let labels: Vec<_> = model::labels::Iter::over(decoded.batch.labels.get(0)).collect();
    let metadata: Vec<_> = model::labels::Iter::over(decoded.batch.metadata.get(0)).collect();
    assert_eq!((labels, metadata), (vec![("app", "a")], vec![("a_b", "x")]));
    let unlabelled = stored(bare, &stream("{}", r#"[["1767225601000000000","x"]]"#));
    assert_eq!(unlabelled.answer().text, "error at least one label pair is required per stream");

    let enforced = LogLimits { labels_required: vec!["team".into(), "app".into()], ..default() };
    let text = "missing required labels 'team' for user 'anonymous' for stream '{app=\"a\", service_name=\"a\"}' (policy: '')";
    assert_eq!(stored(enforced, &long).answer(), Answer { status: 400, text: format!("2 errors like: {text}").split_off(15) });

    let without = LogLimits { metadata_allowed: false, ..default() };
    let refused = stored(without.clone(), &values(r#"[["1767225601000000000","x",{"a":"b"}]]"#)).answer();
    assert!(
        refused.text.contains("this feature is disallowed. Please see `limits_config.allow_structured_metadata`"),
        "{refused:?}"
    );
    assert!(stored(without, &values(r#"[["1767225601000000000","x"]]"#)).batch.metadata.get(0).is_empty());
}

#[test]
fn levels_that_were_sent_stay() {
    let body = stream(r#"{"app":"a"}"#, r#"[["1767225601000000000","error",{"detected_level":"WARNING","x":"y"}]]"#);
    let decoded = stored(LogLimits::default(), &body);
    let metadata: Vec<_> = model::labels::Iter::over(decoded.batch.metadata.get(0)).collect();
    assert_eq!(metadata, [("detected_level", "warn"), ("x", "y")]);
}

#[test]
fn blocked_ingestion_stores_nothing() {
    let body = stream(r#"{"app":"a"}"#, r#"[["1767225601000000000","x"]]"#);
    for (status, until, expected) in [(456, 1, 456), (200, 1, 204), (456, -1, 204)] {
        let blocked = model::limits::BlockedIngestion { until: TimestampNs(NOW.0 + until), status };
        let decoded = stored(LogLimits { blocked: Some(blocked), ..LogLimits::default() }, &body);
        assert_eq!((decoded.answer().status, decoded.batch.is_empty()), (expected, until > 0));
    }
    let blocked = model::limits::BlockedIngestion { until: TimestampNs(1_893_456_000_000_000_000), status: 456 };
    let text = stored(LogLimits { blocked: Some(blocked), ..LogLimits::default() }, &body).answer().text;
    assert_eq!(text, "ingestion blocked for user 'anonymous' until '2030-01-01T00:00:00Z' with status code '456'");
}

#[test]
fn rates_streams_and_order_are_bounded_where_a_tenant_is() {
    let admission = Admission::default();
    let push = |logs: &LogLimits, app: &str, second: i64, line: &str, now: i64| {
        let (tenant, limits) = (TenantId::anonymous(), limits(logs.clone()));
        let intake = Intake { tenant: &tenant, limits: &limits, now: TimestampNs(NOW.0 + now * 1_000_000_000) };
        let body =
            stream(&format!(r#"{{"app":"{app}"}}"#), &format!(r#"[["{}","{line}"]]"#, (1_767_225_600 + second) * 1_000_000_000));
        let mut decoded = decode(body.as_bytes(), Some("application/json"), None, Shape::V1, &intake).unwrap();
        let admitted = admission.admit(&intake, &mut decoded);
        admitted.map(|()| (decoded.answer(), decoded.batch.entries_len())).map_err(|error| error.to_string())
    };
    let rate = LogLimits { rate_bytes_max: Some(10), burst_bytes_max: 20, ..LogLimits::default() };
    assert!(push(&rate, "a", 1, &"x".repeat(20), 0).is_ok());
    let refused = push(&rate, "a", 1, &"x".repeat(11), 1).unwrap_err();
    assert!(refused.starts_with("ingestion rate limit exceeded for user anonymous (limit: 10 bytes/sec) while attempting to ingest '1' lines totaling '11' bytes, reduce"), "{refused}");
    assert!(push(&rate, "a", 1, &"x".repeat(10), 1).is_ok());

    let few = LogLimits { streams_max: Some(1), ..LogLimits::default() };
    assert_eq!(push(&few, "b", 1, "x", 0).unwrap().1, 1);
    let (answer, stored) = push(&few, "c", 1, "x", 0).unwrap();
    assert_eq!((answer.status, stored), (429, 0));
    assert!(
        answer
            .text
            .starts_with("maximum active stream limit exceeded when trying to create stream {app=\"c\", service_name=\"c\"}, ")
    );
    assert_eq!(push(&few, "c", 1, "x", 1801).unwrap().1, 1, "idle streams do not count");

    let ordered = LogLimits { out_of_order_window: Some(Duration::from_secs(60)), ..LogLimits::default() };
    assert_eq!(push(&ordered, "d", 100, "x", 0).unwrap().0.status, 204);
    assert_eq!(push(&ordered, "d", 40, "x", 0).unwrap().0.status, 204);
    let (answer, stored) = push(&ordered, "d", 39, "x", 0).unwrap();
    assert_eq!((answer.status, stored), (400, 0));
    assert_eq!(
        answer.text,
        "entry with timestamp 2026-01-01 00:00:39 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-01-01T00:00:39Z, oldest acceptable timestamp is: 2026-01-01T00:00:40Z',\nuser 'anonymous', total ignored: 1 out of 1 for stream: {app=\"d\", service_name=\"d\"}"
    );

    let slow = LogLimits { stream_rate_bytes_max: Some(2048), stream_burst_bytes_max: 4, ..LogLimits::default() };
    let (answer, stored) = push(&slow, "e", 1, "xxxxx", 0).unwrap();
    assert_eq!((answer.status, stored), (429, 0));
    assert!(answer.text.contains("Per stream rate limit exceeded (limit: 2KB/sec) while attempting to ingest for stream '{app=\"e\", service_name=\"e\"}' totaling 5B, consider"), "{}", answer.text);
}
