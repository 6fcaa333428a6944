//! What templates can call: names, parameters, and one file per family. The families are Go's builtins, Loki's own and those of
//! the sprig library that Loki lets through.

mod builtin;
mod decimal;
mod encoding;
mod json;
mod number;
mod printf;
mod strings;
pub(super) mod time;

use super::eval::Surroundings;
use super::value::Value;

/// Type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    Any,
    Text,
    Int,
    Float,
    Time,
}

impl Type {
    /// Returns Go's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Any => "interface {}",
            Type::Text => "string",
            Type::Int => "int",
            Type::Float => "float64",
            Type::Time => "time.Time",
        }
    }

    /// Reports whether a value can be passed.
    pub(super) fn takes(self, value: &Value) -> bool {
        match self {
            Type::Any => true,
            Type::Text => matches!(value, Value::Text(_)),
            Type::Int => matches!(value, Value::Int(_)),
            Type::Float => matches!(value, Value::Float(_)),
            Type::Time => matches!(value, Value::Time(_)),
        }
    }
}

/// What a call gets: arguments of the declared types.
pub(super) type Run = fn(&Surroundings<'_>, &[Value]) -> Result<Value, String>;

/// A function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    pub(super) params: &'static [Type],
    /// Type of any number of further arguments.
    pub(super) rest: Option<Type>,
    pub(super) run: Run,
}

/// A family: names with their functions.
type Family = &'static [(&'static str, &'static [Type], Option<Type>, Run)];

const FAMILIES: [Family; 5] = [builtin::FAMILY, encoding::FAMILY, number::FAMILY, strings::FAMILY, time::FAMILY];

/// Finds a function.
pub(super) fn find(name: &str) -> Option<Function> {
    let mut all = FAMILIES.iter().flat_map(|family| family.iter());
    all.find(|(known, ..)| *known == name).map(|(_, params, rest, run)| Function { params, rest: *rest, run: *run })
}

/// Returns argument `index` as bytes; types were checked before the call.
fn bytes(args: &[Value], index: usize) -> &[u8] {
    match args.get(index) {
        Some(Value::Text(text)) => text,
        _ => b"",
    }
}

/// Returns argument `index` as text; what is not UTF-8 is replaced.
fn text(args: &[Value], index: usize) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes(args, index))
}

/// Returns argument `index` as an integer.
fn int(args: &[Value], index: usize) -> i64 {
    match args.get(index) {
        Some(Value::Int(value) | Value::Int64(value)) => *value,
        _ => 0,
    }
}
