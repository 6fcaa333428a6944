use std::time::Duration;

use model::Limits;

use super::*;

const NOW: TimestampNs = TimestampNs(1_767_225_700_000_000_000);

fn push(body: &str) -> (u16, String) {
    let limits =
        Limits { labels_per_stream_max: 3, line_bytes_max: 100, logs_age_max: Duration::from_secs(604_800), ..Limits::default() };
    match decode(body.as_bytes(), Some("application/json; charset=utf-8"), None, &limits, NOW) {
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
    assert_eq!(push(r#"{"streams":[{"labels":"{app=\"l\"}","entries":[{"ts":"2026-01-01T00:00:01Z","line":"old"}]}]}"#), ok);
}

#[test]
fn the_rest_is_stored() {
    let long = "x".repeat(101);
    let body = stream(
        r#"{"app":"a"}"#,
        &format!(r#"[["1767225601000000000","level=warn"],["1767225601000000000","{long}"],["1","y"]]"#),
    );
    let limits = Limits { line_bytes_max: 100, ..Limits::default() };
    let decoded = decode(body.as_bytes(), Some("application/json"), None, &limits, NOW).unwrap();
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
    let text =
        |kind, encoding, body: &[u8]| decode(body, kind, encoding, &limits, NOW).map(|_| ()).map_err(|error| error.to_string());
    let json = Some("application/json");
    assert_eq!(text(Some(""), None, b"{}"), Err("mime: no media type".to_owned()));
    assert_eq!(text(Some("application/json; ;"), None, b"{}"), Err("mime: invalid media parameter".to_owned()));
    assert_eq!(text(json, Some("zstd"), b"{}"), Err("Content-Encoding \"zstd\" not supported".to_owned()));
    assert_eq!(text(json, Some("gzip"), b"{}"), Err("gzip: invalid header".to_owned()));
    assert_eq!(text(Some("text/plain"), None, b"{\"streams\": []}"), Err("snappy: corrupt input".to_owned()));
    assert_eq!(text(None, None, &[0]), Err("error at least one valid stream is required for ingestion".to_owned()));
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
    let decoded = decode(&message("{b=\"2\", app=\"pb\"}"), Some("application/x-protobuf"), None, &limits, NOW).unwrap();
    assert_eq!(decoded.answer().status, 204);
    assert_eq!(decoded.batch.lines.get(0), b"\xffx");
    let labels: Vec<_> = model::labels::Iter::over(decoded.batch.labels.get(0)).collect();
    assert_eq!(labels, [("app", "pb"), ("b", "2"), ("service_name", "pb")]);
    assert!(model::labels::verify(decoded.batch.metadata.get(0)).is_ok());
    let twice = decode(&message("{app=\"a\",app=\"b\"}"), None, None, &limits, NOW).unwrap();
    assert_eq!(twice.answer().text, "stream '{app=\"a\", app=\"b\", service_name=\"a\"}' has duplicate label name: 'app'");
    let open = decode(&message("{app=\"pb\""), None, None, &limits, NOW).unwrap_err();
    assert_eq!(open.to_string(), "couldn't parse labels: 1:10: parse error: unexpected end of input inside braces");
}
