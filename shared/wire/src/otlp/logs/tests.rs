use model::limits::LogLimits;
use model::otlp::logs::{AttributeNames, AttributeRule};
use model::re2::Pattern;
use model::{Limits, TenantId};

use super::*;
use crate::protobuf::write::{int, message};

const NOW: TimestampNs = TimestampNs(1_767_225_700_000_000_000);

fn read(body: &[u8], content_type: &str, encoding: &str, logs: LogLimits) -> Result<Decoded, Error> {
    let (tenant, limits) = (TenantId::anonymous(), Limits { logs, ..Limits::default() });
    decode(body, content_type, encoding, &Intake { tenant: &tenant, limits: &limits, now: NOW })
}

/// Shows streams, lines and metadata, one entry a line.
fn shown(decoded: &Decoded) -> String {
    let batch = &decoded.batch;
    let pairs = |set| model::labels::Iter::over(set).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
    let mut out = String::new();
    for stream in 0..batch.streams_len() {
        for row in batch.entry_range(stream) {
            let (labels, metadata) = (pairs(batch.labels.get(stream)), pairs(batch.metadata.get(row)));
            let (at, line) = (batch.timestamps[row] - NOW.0, String::from_utf8_lossy(batch.lines.get(row)));
            out.push_str(&format!("{{{labels}}} {at} {line:?} {{{metadata}}}\n"));
        }
    }
    out
}

fn json(resource: &str, records: &str) -> String {
    let scope =
        r#"{"name":"s","version":"1","attributes":[{"key":"sa","value":{"stringValue":"sv"}}],"droppedAttributesCount":3}"#;
    let scope_logs = format!(r#"[{{"scope":{scope},"logRecords":[{records}]}}]"#);
    format!(r#"{{"resourceLogs":[{{"resource":{{"attributes":[{resource}]}},"scopeLogs":{scope_logs}}}]}}"#)
}

#[test]
fn attributes_are_labels_or_metadata() {
    let resource = r#"{"key":"service.name","value":{"stringValue":"shop"}},{"key":"host.name","value":{"stringValue":"h"}}"#;
    let full = r#"{"timeUnixNano":"1767225700000000001","observedTimeUnixNano":5,"severityNumber":"SEVERITY_NUMBER_ERROR",
        "severityText":"E","body":{"stringValue":"x"},"flags":1,"droppedAttributesCount":2,"eventName":"boot",
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"0000000000000000","attributes":[
        {"key":"n","value":{"kvlistValue":{"values":[{"key":"a.b","value":{"intValue":"5"}},{"key":"l","value":{"arrayValue":{"values":[{"boolValue":true}]}}}]}}},
        {"key":"event_name","value":{"stringValue":"old"}},{"key":"1x","value":{"doubleValue":1.5}}]}"#;
    let bare = r#"{"observedTimeUnixNano":"1767225700000000002","body":{"kvlistValue":{"values":[{"key":"b","value":{"intValue":1}},{"key":"a","value":{}}]}}},
        {"body":{"bytesValue":"aGk="},"traceId":"","severityNumber":9}"#;
    let decoded =
        read(json(resource, &format!("{full},{bare}")).as_bytes(), "application/json", "", LogLimits::default()).unwrap();
    expect_test::expect![[r#"
        {service_name=shop} 1 "x" {detected_level=E,dropped_attributes_count=2,event_name=boot,flags=1,host_name=h,key_1x=1.5,n_a_b=5,n_l=[true],observed_timestamp=5,sa=sv,scope_dropped_attributes_count=3,scope_name=s,scope_version=1,severity_number=17,severity_text=E,trace_id=5b8efff798038103d269b633813fc60c}
        {service_name=shop} 2 "{\"a\":null,\"b\":1}" {detected_level=unknown,host_name=h,sa=sv,scope_dropped_attributes_count=3,scope_name=s,scope_version=1}
        {service_name=shop} 0 "aGk=" {detected_level=info,host_name=h,sa=sv,scope_dropped_attributes_count=3,scope_name=s,scope_version=1,severity_number=9}
    "#]]
    .assert_eq(&shown(&decoded));
}

#[test]
fn a_tenant_decides_about_attributes() {
    let listed = |names: &[&str]| AttributeNames::Listed(names.iter().map(|name| (*name).to_owned()).collect());
    let matching = |pattern| AttributeNames::Matching(Pattern::anchored(pattern).unwrap());
    let rule = |action, names| AttributeRule { action, names };
    let otlp = OtlpLogOptions {
        resource: vec![rule(AttributeAction::Label, matching("k8s.*"))],
        scope: vec![rule(AttributeAction::Drop, matching(".*"))],
        record: vec![rule(AttributeAction::Label, listed(&["team"])), rule(AttributeAction::Drop, listed(&["secret"]))],
        severity_text_as_label: true,
    };
    let resource = r#"{"key":"service.name","value":{"stringValue":"shop"}},{"key":"k8s.pod","value":{"stringValue":"p"}}"#;
    let text = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
    let records = format!(
        r#"{{"body":{{"stringValue":"a"}},"attributes":[{},{}]}},{{"body":{{"stringValue":"b"}}}},{{"body":{{"stringValue":"c"}},"severityText":"W"}}"#,
        text("team", "t"),
        text("secret", "s")
    );
    let limits = LogLimits { otlp, levels_detected: false, ..LogLimits::default() };
    let decoded = read(json(resource, &records).as_bytes(), "application/json", "", limits).unwrap();
    expect_test::expect![[r#"
        {k8s_pod=p,team=t} 0 "a" {scope_dropped_attributes_count=3,scope_name=s,scope_version=1,service_name=shop}
        {k8s_pod=p} 0 "b" {scope_dropped_attributes_count=3,scope_name=s,scope_version=1,service_name=shop}
        {k8s_pod=p,severity_text=W} 0 "c" {scope_dropped_attributes_count=3,scope_name=s,scope_version=1,service_name=shop,severity_text=W}
    "#]]
    .assert_eq(&shown(&decoded));
}

/// A request with one record, in protobuf.
fn one_record(trace_id: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let any = |out: &mut Vec<u8>, field, text: &str| message(out, field, |out| bytes(out, 1, text.as_bytes()));
    message(&mut out, 1, |out| {
        message(out, 1, |out| {
            message(out, 1, |out| {
                bytes(out, 1, b"k8s.pod.name");
                any(out, 2, "p");
            });
        });
        message(out, 2, |out| {
            message(out, 1, |out| bytes(out, 1, b"scope"));
            message(out, 2, |out| {
                out.push(1 << 3 | 1);
                out.extend((NOW.0 as u64 + 7).to_le_bytes());
                int(out, 2, 13);
                any(out, 5, "line");
                out.push(8 << 3 | 5);
                out.extend(1u32.to_le_bytes());
                bytes(out, 9, trace_id);
            });
        });
    });
    out
}

#[test]
fn protobuf_and_every_encoding() {
    let body = one_record(&[0xab; 16]);
    let expected = format!(
        "{{k8s_pod_name=p,service_name=unknown_service}} 7 \"line\" {{detected_level=warn,flags=1,scope_name=scope,severity_number=13,trace_id={}}}\n",
        "ab".repeat(16)
    );
    let gzip = {
        let mut compressor = crate::compress::Compressor::new(crate::compress::Encoding::Gzip);
        let mut out = compressor.push(&body);
        out.extend(compressor.finish());
        out
    };
    let zstd = zstd::encode_all(&body[..], 1).unwrap();
    let lz4 = {
        let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
        std::io::Write::write_all(&mut encoder, &body).unwrap();
        encoder.finish().0
    };
    for (encoding, body) in [("", &body), ("gzip", &gzip), ("zstd", &zstd), ("lz4", &lz4)] {
        let decoded = read(body, "application/x-protobuf", encoding, LogLimits::default()).unwrap();
        assert_eq!(shown(&decoded), expected, "{encoding}");
    }
    let refused = |body: &[u8], kind, encoding| read(body, kind, encoding, LogLimits::default()).unwrap_err().to_string();
    assert_eq!(refused(&one_record(&[1; 3]), "application/x-protobuf", ""), "invalid length for TraceID");
    assert_eq!(refused(&body, "text/plain", ""), "content type: text/plain is not supported");
    assert_eq!(
        refused(&body, "application/x-protobuf", "br"),
        "unsupported content encoding br: only gzip, lz4 and zstd are supported"
    );
    assert_eq!(refused(b"", "application/x-protobuf", ""), "error at least one valid stream is required for ingestion");
    assert_eq!(refused(br#"{"resourceLogs":[]}"#, "application/json", ""), Error::NoStreams.to_string());
    let nameless = json("", r#"{"attributes":[{"key":"__","value":{"stringValue":"x"}}]}"#);
    assert!(refused(nameless.as_bytes(), "application/json", "").starts_with("symbolizer lookup: normalization for label name"));
}

#[test]
fn entries_are_checked_as_those_of_a_push() {
    let old = json("", r#"{"timeUnixNano":"1","body":{"stringValue":"x"}},{"body":{"stringValue":"y"}}"#);
    let decoded = read(old.as_bytes(), "application/json", "", LogLimits::default()).unwrap();
    let answer = decoded.answer();
    assert_eq!((answer.status, decoded.batch.entries_len()), (400, 1));
    assert!(
        answer.text.starts_with("entry for stream '{service_name=\"unknown_service\"}' has timestamp too old: "),
        "{answer:?}"
    );
    assert_eq!(failure(500, "no").status, 503);
    assert_eq!(failure(400, "no").body, [0x12, 2, b'n', b'o']);
}
