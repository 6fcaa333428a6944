//! Values of an evaluation: Go's dynamic types as far as templates see them, how they print and when they are true.

use std::collections::BTreeMap;

use super::functions::time::Instant;
use crate::pipeline::units::format_float;

/// A value. Strings are bytes: functions may cut them anywhere.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing at all, or Go's nil.
    Nil,
    Bool(bool),
    /// Go's `int`.
    Int(i64),
    /// Go's `int64`.
    Int64(i64),
    Float(f64),
    Text(Vec<u8>),
    Time(Instant),
    List(Vec<Value>),
    /// What `fromJson` makes of an object.
    Map(BTreeMap<String, Value>),
    /// The labels; a missing one is "".
    Labels(std::rc::Rc<BTreeMap<String, String>>),
}

impl Value {
    /// Makes a string.
    pub(super) fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into().into_bytes())
    }

    /// Returns the Go type's name.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Int64(_) => "int64",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::Time(_) => "time.Time",
            Value::List(_) => "[]interface {}",
            Value::Map(_) => "map[string]interface {}",
            Value::Labels(_) => "map[string]string",
        }
    }

    /// Returns about how many bytes a copy takes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Value::Text(text) => 16 + text.len(),
            Value::List(items) => items.iter().map(Value::weight).sum::<usize>() + 16,
            Value::Map(members) => members.iter().map(|(name, value)| name.len() + value.weight()).sum::<usize>() + 16,
            _ => 16,
        }
    }

    /// Reports whether `if` takes the value for true.
    pub(super) fn truth(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) | Value::Int64(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Time(_) => true,
            Value::List(items) => !items.is_empty(),
            Value::Map(members) => !members.is_empty(),
            Value::Labels(labels) => !labels.is_empty(),
        }
    }

    /// Appends the value as an action prints it.
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        match self {
            Value::Nil => out.extend_from_slice(b"<no value>"),
            other => other.format(out),
        }
    }

    /// Appends the value as Go's `%v`.
    pub(super) fn format(&self, out: &mut Vec<u8>) {
        match self {
            Value::Nil => out.extend_from_slice(b"<nil>"),
            Value::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Value::Int(value) | Value::Int64(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Value::Float(value) => out.extend_from_slice(format_float(*value).as_bytes()),
            Value::Text(text) => out.extend_from_slice(text),
            Value::Time(time) => out.extend_from_slice(time.to_string().as_bytes()),
            Value::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { b" " } else { b"" });
                    item.format(out);
                }
                out.push(b']');
            }
            Value::Map(members) => entries(out, members.iter(), |value, out| value.format(out)),
            Value::Labels(labels) => entries(out, labels.iter(), |value, out| out.extend_from_slice(value.as_bytes())),
        }
    }

    /// Returns the value as Go's `%v`.
    pub(super) fn formatted(&self) -> String {
        let mut out = Vec::new();
        self.format(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn entries<'a, T: 'a>(
    out: &mut Vec<u8>,
    members: impl Iterator<Item = (&'a String, &'a T)>,
    mut print: impl FnMut(&T, &mut Vec<u8>),
) {
    out.extend_from_slice(b"map[");
    for (index, (name, value)) in members.enumerate() {
        out.extend_from_slice(if index > 0 { b" " } else { b"" });
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        print(value, out);
    }
    out.push(b']');
}

impl Value {
    /// Returns the value as Go's `%v`, in bytes.
    pub(super) fn formatted_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.format(&mut out);
        out
    }
}
