//! `ExportLogsServiceRequest` in JSON.

use serde::de::{Deserialize, Deserializer};

use super::{Attributes, Record as Translated, Scope as Instrumentation, Translator};
use crate::error::Error;
use crate::otlp::json::{Any, Integer, KeyValue, Number, Scalar, body_of, messages, or_default};

messages! {
    Request { resource_logs: Vec<ResourceLogs>, }
    ResourceLogs { resource: Resource, scope_logs: Vec<ScopeLogs>, }
    Resource { attributes: Vec<KeyValue>, }
    ScopeLogs { scope: Scope, log_records: Vec<Record>, }
    Scope { name: String, version: String, attributes: Vec<KeyValue>, dropped_attributes_count: u32, }
    Record {
        time_unix_nano: Integer, observed_time_unix_nano: Integer, severity_number: Severity, severity_text: String, body: Any,
        attributes: Vec<KeyValue>, dropped_attributes_count: u32, flags: u32, trace_id: String, span_id: String,
        event_name: String,
    }
}

/// A severity by number or by name.
#[derive(Clone, Copy, Default)]
struct Severity(i64);

/// Levels of the names, in the order of their numbers, four to each.
const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

impl Severity {
    fn named(name: &str) -> Option<Severity> {
        let level = name.strip_prefix("SEVERITY_NUMBER_")?;
        if level == "UNSPECIFIED" {
            return Some(Severity(0));
        }
        let (level, step) = match level.strip_suffix(['2', '3', '4']) {
            Some(stripped) => (stripped, i64::from(level.as_bytes()[level.len() - 1] - b'1')),
            None => (level, 0),
        };
        let index = LEVELS.iter().position(|known| *known == level)?;
        Some(Severity(index as i64 * 4 + 1 + step))
    }
}

impl<'de> Deserialize<'de> for Severity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Severity, D::Error> {
        deserializer.deserialize_any(Scalar(|number| match number {
            Number::Whole(value) => i64::try_from(value).ok().map(Severity),
            Number::Float(_) => None,
            Number::Text(text) => Severity::named(text),
        }))
    }
}

/// Hands a request to the translator.
pub(super) fn walk(body: &[u8], translator: &mut Translator<'_>) -> Result<(), Error> {
    let request: Request = body_of(body)?;
    for resource in request.resource_logs {
        translator.resource(attributes(resource.resource.attributes))?;
        for scope_logs in resource.scope_logs {
            let Scope { name, version, attributes: pairs, dropped_attributes_count: dropped } = scope_logs.scope;
            translator.scope(Instrumentation { name, version, attributes: attributes(pairs), dropped })?;
            scope_logs.log_records.into_iter().try_for_each(|record| translator.record(record.settle()?))?;
        }
    }
    Ok(())
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    pairs.into_iter().map(KeyValue::settle).collect()
}

impl Record {
    fn settle(self) -> Result<Translated, Error> {
        Ok(Translated {
            time_ns: self.time_unix_nano.unsigned(),
            observed_ns: self.observed_time_unix_nano.unsigned(),
            severity: self.severity_number.0,
            severity_text: self.severity_text,
            body: self.body.settle(),
            attributes: attributes(self.attributes),
            dropped: self.dropped_attributes_count,
            flags: self.flags,
            trace_id: id(self.trace_id, 32, "TraceID")?,
            span_id: id(self.span_id, 16, "SpanID")?,
            event_name: self.event_name,
        })
    }
}

/// Reads an id of some hexadecimal digits; nothing and zeros are none.
fn id(text: String, digits: usize, what: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(text);
    }
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::body(format!("cannot unmarshal {what} from string '{text}'")));
    }
    Ok(if text.bytes().all(|byte| byte == b'0') { String::new() } else { text.to_ascii_lowercase() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_have_names() {
        for (name, number) in [("UNSPECIFIED", 0), ("TRACE", 1), ("DEBUG4", 8), ("INFO", 9), ("WARN2", 14), ("FATAL4", 24)] {
            assert_eq!(Severity::named(&format!("SEVERITY_NUMBER_{name}")).map(|severity| severity.0), Some(number), "{name}");
        }
        assert!(Severity::named("SEVERITY_NUMBER_LOUD").is_none() && Severity::named("INFO").is_none());
    }
}
