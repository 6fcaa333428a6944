//! OTLP logs, protobuf and JSON, into streams and entries, by Loki's rules (upstream `pkg/loghttp/push/otlp.go`, `otlplabels`).
//!
//! Owns: which attributes become labels of the stream and which structured metadata, what a record's line and time are, what to
//! answer. Does not own: checks of labels and entries and what is added to them, which are those of [`crate::loki_push`].
//!
//! ```text
//! body ─ decode ─▶ resource, scope, record ─ translate ─▶ labels, line, metadata ─▶ loki_push ─▶ LogBatch
//! ```

mod json;
mod protobuf;

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::TimestampNs;
use model::otlp::logs::{AttributeAction, AttributeRule, OtlpLogOptions, action_of};

use super::Answer;
use super::names::normalised_label;
use super::value::AnyValue;
use crate::decompress;
use crate::error::Error;
use crate::loki_push::builder::Builder;
use crate::loki_push::{Decoded, Intake, too_large};
use crate::protobuf::write::bytes;

/// Content type of a failure's body.
pub const FAILURE_TYPE: &str = "application/octet-stream";

/// Decodes and translates a request body, compressed as `content_encoding` says; every size is bounded.
///
/// # Errors
/// Where the body cannot be read, or an attribute's name is none; entries that cannot be stored are refused one by one.
pub fn decode(body: &[u8], content_type: &str, content_encoding: &str, intake: &Intake<'_>) -> Result<Decoded, Error> {
    let message = unpacked(body, content_encoding, intake.limits.decoded_bytes_max).map_err(too_large)?;
    let mut translator = Translator::new(intake);
    match content_type {
        "application/x-protobuf" => protobuf::walk(&message, &mut translator)?,
        "application/json" => json::walk(&message, &mut translator)?,
        other => return Err(Error::Body(format!("content type: {other} is not supported"))),
    }
    match translator.records {
        0 => Err(Error::NoStreams),
        _ => Ok(translator.builder.finish()),
    }
}

fn unpacked<'a>(body: &'a [u8], encoding: &str, bytes_max: usize) -> Result<Cow<'a, [u8]>, Error> {
    match encoding {
        "" => Ok(Cow::Borrowed(body)),
        "gzip" => decompress::gzip(body, bytes_max).map(Cow::Owned),
        "zstd" => decompress::zstd(body, bytes_max).map(Cow::Owned),
        "lz4" => decompress::lz4(body, bytes_max).map(Cow::Owned),
        other => Err(Error::Body(format!("unsupported content encoding {other}: only gzip, lz4 and zstd are supported"))),
    }
}

/// Returns the answer of a request that failed, or of which something was refused: a `google.rpc.Status` without a code.
///
/// Clients of this protocol repeat no 500, so it becomes 503.
pub fn failure(status: u16, text: &str) -> Answer {
    let mut body = Vec::new();
    bytes(&mut body, 2, text.as_bytes());
    Answer { status: if status == 500 { 503 } else { status }, body }
}

/// Attributes in the order of the request.
type Attributes = Vec<(String, AnyValue)>;
/// Names and values of metadata.
type Pairs = Vec<(String, String)>;

/// Who logged.
#[derive(Debug, Default)]
struct Scope {
    name: String,
    version: String,
    attributes: Attributes,
    dropped: u32,
}

/// One record. Times are nanoseconds, 0 where unknown; ids are hexadecimal, empty where there is none.
#[derive(Debug, Default)]
struct Record {
    time_ns: u64,
    observed_ns: u64,
    severity: i64,
    severity_text: String,
    body: AnyValue,
    attributes: Attributes,
    dropped: u32,
    flags: u32,
    trace_id: String,
    span_id: String,
    event_name: String,
}

/// Takes a request resource by resource.
struct Translator<'l> {
    builder: Builder<'l>,
    options: &'l OtlpLogOptions,
    now: TimestampNs,
    /// Of the resource.
    labels: BTreeMap<String, String>,
    resource: Pairs,
    scope: Pairs,
    /// The resource's stream is the one that is open.
    opened: bool,
    records: usize,
}

impl<'l> Translator<'l> {
    fn new(intake: &'l Intake<'l>) -> Translator<'l> {
        Translator {
            builder: Builder::new(intake),
            options: &intake.limits.logs.otlp,
            now: intake.now,
            labels: BTreeMap::new(),
            resource: Pairs::new(),
            scope: Pairs::new(),
            opened: false,
            records: 0,
        }
    }

    /// Begins a resource.
    fn resource(&mut self, attributes: Attributes) -> Result<(), Error> {
        let named = attributes.iter().find(|(key, _)| key == "service.name");
        let has_service = named.is_some_and(|(_, value)| !value.clone().into_text().is_empty());
        self.labels.clear();
        self.resource = sorted(attributes, &self.options.resource, &mut self.labels)?;
        if !has_service {
            let mut labels = std::mem::take(&mut self.labels).into_iter().collect();
            self.builder.discover_service(&mut labels);
            self.labels = labels.into_iter().collect();
        }
        self.opened = false;
        Ok(())
    }

    /// Begins a scope of it.
    fn scope(&mut self, scope: Scope) -> Result<(), Error> {
        // None may become a label; such a rule does not get past the configuration.
        self.scope = sorted(scope.attributes, &self.options.scope, &mut BTreeMap::new())?;
        push_text(&mut self.scope, "scope_name", scope.name);
        push_text(&mut self.scope, "scope_version", scope.version);
        push_number(&mut self.scope, "scope_dropped_attributes_count", scope.dropped.into());
        Ok(())
    }

    /// Takes a record of the scope.
    fn record(&mut self, mut record: Record) -> Result<(), Error> {
        self.records += 1;
        let mut labels = BTreeMap::new();
        if !record.event_name.is_empty() {
            record.attributes.retain(|(key, _)| key != "event_name");
        }
        let attributes = std::mem::take(&mut record.attributes);
        let mut metadata = sorted(attributes, &self.options.record, &mut labels)?;
        if self.options.severity_text_as_label && !record.severity_text.is_empty() {
            labels.insert("severity_text".to_owned(), record.severity_text.clone());
        }
        let time = [record.time_ns, record.observed_ns].into_iter().find(|time| *time != 0);
        let time = time.map_or(self.now, |time| TimestampNs(time as i64));
        let line = std::mem::take(&mut record.body).into_text();
        push_fields(&mut metadata, record);
        self.open(labels);
        let all: Vec<_> = metadata.iter().chain(&self.resource).chain(&self.scope).map(pair).collect();
        self.builder.entry(time, line.as_bytes(), &all);
        Ok(())
    }

    /// Opens the stream of the resource, with the labels of a record where it has some.
    fn open(&mut self, labels: BTreeMap<String, String>) {
        if labels.is_empty() && self.opened {
            return;
        }
        self.opened = labels.is_empty();
        let mut all = self.labels.clone();
        all.extend(labels);
        self.builder.open(all.into_iter().collect());
    }
}

fn pair((name, value): &(String, String)) -> crate::canonical::Pair<'_> {
    (name.as_bytes(), value.as_bytes())
}

/// Adds what a record has beside its attributes.
fn push_fields(metadata: &mut Pairs, record: Record) {
    // Where there is no other time, the time observed is the entry's already.
    if record.time_ns != 0 {
        push_number(metadata, "observed_timestamp", record.observed_ns as i64);
    }
    push_number(metadata, "severity_number", record.severity);
    push_text(metadata, "severity_text", record.severity_text);
    push_number(metadata, "dropped_attributes_count", record.dropped.into());
    push_number(metadata, "flags", record.flags.into());
    push_text(metadata, "trace_id", record.trace_id);
    push_text(metadata, "span_id", record.span_id);
    push_text(metadata, "event_name", record.event_name);
}

fn push_text(into: &mut Pairs, name: &str, value: String) {
    if !value.is_empty() {
        into.push((name.to_owned(), value));
    }
}

fn push_number(into: &mut Pairs, name: &str, value: i64) {
    if value != 0 {
        into.push((name.to_owned(), value.to_string()));
    }
}

/// Sorts attributes by what the rules want: labels into `labels`, metadata is returned.
fn sorted(attributes: Attributes, rules: &[AttributeRule], labels: &mut BTreeMap<String, String>) -> Result<Pairs, Error> {
    let mut metadata = Pairs::with_capacity(attributes.len());
    for (key, value) in attributes {
        match action_of(rules, &key) {
            AttributeAction::Drop => {}
            AttributeAction::Metadata => flatten(&key, value, &mut |name, value| metadata.push((name, value)))?,
            AttributeAction::Label => flatten(&key, value, &mut |name, value| drop(labels.insert(name, value)))?,
        }
    }
    Ok(metadata)
}

/// Hands over an attribute under its name as a label; a map is handed over member by member.
fn flatten(key: &str, value: AnyValue, take: &mut impl FnMut(String, String)) -> Result<(), Error> {
    let name = normalised_label(key).map_err(|text| Error::Body(format!("symbolizer lookup: {text}")))?;
    match value {
        AnyValue::Map(pairs) => pairs.into_iter().try_for_each(|(key, value)| flatten(&format!("{name}_{key}"), value, take)),
        value => {
            take(name.into_owned(), value.into_text());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
