//! Bodies and parameters of requests. Decoders are given what lies inside the compression, so that mutations reach them.

use std::time::Duration;

use model::otlp::{DeltaPolicy, OtlpOptions, Promotion, TranslationStrategy};
use model::{Limits, TenantId, TimestampMs, TimestampNs};
use wire::form::Form;
use wire::loki_push::{Intake, Shape};
use wire::prom_api::params;
use wire::remote_write::Version;
use wire::{decompress, loki_push, otlp, remote_read, remote_write};

use crate::{halves, text};

const NOW: TimestampMs = TimestampMs(1_788_220_800_000);
/// Small enough that a bomb would show in the memory limit of the fuzzer.
const DECODED_BYTES_MAX: usize = 1 << 20;

pub(crate) fn remote_write_1(data: &[u8]) {
    write(data, Version::V1);
}

pub(crate) fn remote_write_2(data: &[u8]) {
    write(data, Version::V2);
}

/// What is accepted is what the answer counts.
fn write(message: &[u8], version: Version) {
    let Ok(decoded) = remote_write::decode_message(message, version, &Limits::default(), NOW) else { return };
    let answer = decoded.answer();
    assert!(matches!(answer.status, 204 | 400));
    assert_eq!(answer.status == 204, answer.text.is_empty());
}

pub(crate) fn remote_read(data: &[u8]) {
    let _ = remote_read::decode_message(data);
}

pub(crate) fn otlp_protobuf(data: &[u8]) {
    receive(data, otlp::Encoding::Protobuf);
}

pub(crate) fn otlp_json(data: &[u8]) {
    receive(data, otlp::Encoding::Json);
}

/// Under the default settings and under all others at once.
fn receive(message: &[u8], encoding: otlp::Encoding) {
    let others = OtlpOptions {
        strategy: TranslationStrategy::NoTranslation,
        promotion: Promotion::AllBut(vec!["service.name".to_owned()]),
        keep_identifying_attributes: true,
        convert_histograms_to_nhcb: true,
        promote_scope_metadata: true,
        delta: DeltaPolicy::Native,
        label_name_underscore_sanitization: false,
        label_name_preserve_multiple_underscores: false,
        type_and_unit_labels: true,
        lookback: Duration::from_secs(300),
    };
    for options in [OtlpOptions::default(), others] {
        let Ok(decoded) = otlp::decode(message, encoding, "", &options, &Limits::default(), NOW) else { return };
        assert!(decoded.refused <= decoded.points);
        assert!(matches!(decoded.answer(encoding).status, 200 | 400));
    }
}

pub(crate) fn otlp_logs_protobuf(data: &[u8]) {
    receive_logs(data, "application/x-protobuf");
}

pub(crate) fn otlp_logs_json(data: &[u8]) {
    receive_logs(data, "application/json");
}

fn receive_logs(message: &[u8], content_type: &str) {
    let (tenant, limits) = (TenantId::anonymous(), Limits::default());
    let intake = Intake { tenant: &tenant, limits: &limits, now: NOW.to_ns() };
    let Ok(decoded) = otlp::logs::decode(message, content_type, "", &intake) else { return };
    assert!(matches!(decoded.answer().status, 204 | 400));
}

/// Loki's protobuf comes in snappy.
pub(crate) fn loki_protobuf(data: &[u8]) {
    push(&snappy(data), "application/x-protobuf");
}

pub(crate) fn loki_json(data: &[u8]) {
    push(data, "application/json");
}

/// A request of one stream whose labels are the input.
pub(crate) fn loki_labels(data: &[u8]) {
    let mut stream = Vec::new();
    field(&mut stream, 1, text(data).as_bytes());
    field(&mut stream, 2, b"\x0a\x06\x08\x80\xf6\xb4\xd0\x06\x12\x01x");
    let mut request = Vec::new();
    field(&mut request, 1, &stream);
    push(&snappy(&request), "application/x-protobuf");
}

fn push(body: &[u8], content_type: &str) {
    let now = TimestampNs(NOW.0 * 1_000_000);
    let (tenant, limits) = (TenantId::anonymous(), Limits::default());
    let intake = Intake { tenant: &tenant, limits: &limits, now };
    let Ok(decoded) = loki_push::decode(body, Some(content_type), None, Shape::V1, &intake) else { return };
    assert!(matches!(decoded.answer().status, 204 | 400));
}

fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("an input is far below 4 GiB")
}

/// Appends a length-delimited field of protobuf.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    model::labels::put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// No output is longer than its bound.
pub(crate) fn decompression(data: &[u8]) {
    for decompress in [decompress::snappy_block, decompress::gzip, decompress::deflate] {
        if let Ok(out) = decompress(data, DECODED_BYTES_MAX) {
            assert!(out.len() <= DECODED_BYTES_MAX);
        }
    }
}

/// A query string, a zero byte, a form's body: every parameter of the Prometheus API.
pub(crate) fn parameters(data: &[u8]) {
    let (query, body) = halves(data);
    let _ = wire::form::decode_path(text(query));
    let Ok(form) = Form::parse(text(query), body) else { return };
    let _ = params::RangeParams::parse(&form);
    let _ = params::lookup_range(&form);
    let _ = params::time_parameter(&form, "time", NOW);
    let _ = params::limit(&form);
    let _ = params::timeout(&form, Duration::from_secs(120));
    let _ = params::lookback_delta_ms(&form);
    params::unescape_label_name(form.get("name"));
}
