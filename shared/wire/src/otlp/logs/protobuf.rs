//! `ExportLogsServiceRequest` in protobuf, walked once: only one record is held decoded at a time.

use super::{Attributes, Record, Scope, Translator};
use crate::error::Error;
use crate::otlp::protobuf::{Budget, each, fixed, text};
use crate::otlp::value::hex;
use crate::protobuf::{Fields, Value};

/// Hands a request to the translator.
pub(super) fn walk(body: &[u8], translator: &mut Translator<'_>) -> Result<(), Error> {
    each(body, 1, |resource_logs| {
        let mut attributes = Attributes::new();
        let mut budget = Budget::default();
        each(resource_logs, 1, |resource| {
            each(resource, 1, |pair| {
                attributes.push(budget.pair(pair, 0)?);
                Ok(())
            })
        })?;
        translator.resource(attributes)?;
        each(resource_logs, 2, |scope_logs| {
            let mut scope = Scope::default();
            each(scope_logs, 1, |message| read_scope(message, &mut scope))?;
            translator.scope(scope)?;
            each(scope_logs, 2, |record| translator.record(read_record(record)?))
        })
    })
}

fn read_scope(message: &[u8], scope: &mut Scope) -> Result<(), Error> {
    let mut budget = Budget::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => scope.name = text(value)?,
            2 => scope.version = text(value)?,
            3 => scope.attributes.push(budget.pair(value.bytes()?, 0)?),
            4 => scope.dropped = value.varint()? as u32,
            _ => {}
        }
    }
    Ok(())
}

fn read_record(message: &[u8]) -> Result<Record, Error> {
    let (mut record, mut budget) = (Record::default(), Budget::default());
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => record.time_ns = fixed(value)?,
            2 => record.severity = i64::from(value.varint()? as i32),
            3 => record.severity_text = text(value)?,
            5 => record.body = budget.value(value.bytes()?, 0)?,
            6 => record.attributes.push(budget.pair(value.bytes()?, 0)?),
            7 => record.dropped = value.varint()? as u32,
            8 => record.flags = value.fixed32()?,
            9 => record.trace_id = id::<16>(value, "TraceID")?,
            10 => record.span_id = id::<8>(value, "SpanID")?,
            11 => record.observed_ns = fixed(value)?,
            12 => record.event_name = text(value)?,
            _ => {}
        }
    }
    Ok(record)
}

/// Reads an id of `N` bytes; nothing and zeros are none.
fn id<const N: usize>(value: Value<'_>, what: &str) -> Result<String, Error> {
    match value.bytes()? {
        [] => Ok(String::new()),
        bytes if bytes.len() != N => Err(Error::body(format!("invalid length for {what}"))),
        bytes if bytes.iter().all(|byte| *byte == 0) => Ok(String::new()),
        bytes => Ok(hex(bytes)),
    }
}
