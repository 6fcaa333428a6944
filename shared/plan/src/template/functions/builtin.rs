//! Go's builtins: comparison, indexing, printing. `and`, `or` evaluate lazily and so live in the evaluator.

use std::cmp::Ordering;

use super::Type::{Any, Text};
use super::{Family, number, printf};
use crate::template::eval::Surroundings;
use crate::template::value::Value;

pub(super) const FAMILY: Family = &[
    ("and", &[Any], Some(Any), |_, args| Ok(args.iter().find(|arg| !arg.truth()).or(args.last()).cloned().unwrap_or(Value::Nil))),
    ("or", &[Any], Some(Any), |_, args| Ok(args.iter().find(|arg| arg.truth()).or(args.last()).cloned().unwrap_or(Value::Nil))),
    ("not", &[Any], None, |_, args| Ok(Value::Bool(!args[0].truth()))),
    ("eq", &[Any], Some(Any), |_, args| equal_any(args).map(Value::Bool)),
    ("ne", &[Any, Any], None, |_, args| equal(&args[0], &args[1]).map(|equal| Value::Bool(!equal))),
    ("lt", &[Any, Any], None, |_, args| compared(args, Ordering::is_lt)),
    ("le", &[Any, Any], None, |_, args| compared(args, Ordering::is_le)),
    ("gt", &[Any, Any], None, |_, args| compared(args, Ordering::is_gt)),
    ("ge", &[Any, Any], None, |_, args| compared(args, Ordering::is_ge)),
    ("len", &[Any], None, |_, args| length(&args[0])),
    ("index", &[Any], Some(Any), |_, args| args[1..].iter().try_fold(args[0].clone(), |of, at| indexed(&of, at))),
    ("slice", &[Any], Some(Any), |_, args| sliced(&args[0], &args[1..])),
    ("call", &[Any], Some(Any), |_, args| Err(format!("non-function of type {}", args[0].type_name()))),
    ("print", &[], Some(Any), |_, args| Ok(Value::Text(printf::print(args)))),
    ("println", &[], Some(Any), |_, args| Ok(Value::Text(printf::println(args)))),
    ("printf", &[Text], Some(Any), |_, args| printf::printf(args)),
    ("default", &[Any], Some(Any), default),
    ("__line__", &[], None, |all, _| Ok(Value::Text(all.line.to_vec()))),
];

/// Returns the first argument where the second is absent or empty.
fn default(_: &Surroundings<'_>, args: &[Value]) -> Result<Value, String> {
    let given = args.get(1).filter(|given| given.truth() || matches!(given, Value::Time(_)));
    Ok(given.unwrap_or(&args[0]).clone())
}

fn mismatch(a: &Value, b: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())
}

fn equal_any(args: &[Value]) -> Result<bool, String> {
    if args.len() < 2 {
        return Err("missing argument for comparison".to_owned());
    }
    for other in &args[1..] {
        if equal(&args[0], other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Nil, other) | (other, Value::Nil) => Ok(*other == Value::Nil),
        (Value::Int(a) | Value::Int64(a), Value::Int(b) | Value::Int64(b)) => Ok(a == b),
        (Value::Map(_) | Value::List(_) | Value::Labels(_), _) | (_, Value::Map(_) | Value::List(_) | Value::Labels(_)) => {
            Err(format!("non-comparable types {}: {}, {}: {}", a.formatted(), a.type_name(), b.type_name(), b.formatted()))
        }
        (a, b) if a.type_name() != b.type_name() => Err(mismatch(a, b)),
        (a, b) => Ok(a == b),
    }
}

fn compared(args: &[Value], holds: fn(Ordering) -> bool) -> Result<Value, String> {
    let order = match (&args[0], &args[1]) {
        (Value::Int(a) | Value::Int64(a), Value::Int(b) | Value::Int64(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (a @ (Value::Int(_) | Value::Int64(_) | Value::Float(_) | Value::Text(_)), b) => return Err(mismatch(a, b)),
        _ => return Err("invalid type for comparison".to_owned()),
    };
    Ok(Value::Bool(order.is_some_and(holds)))
}

fn length(of: &Value) -> Result<Value, String> {
    Ok(Value::Int(match of {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(members) => members.len(),
        Value::Labels(labels) => labels.len(),
        Value::Nil => return Err("len of nil pointer".to_owned()),
        other => return Err(format!("len of type {}", other.type_name())),
    } as i64))
}

/// Returns a position within `len`, with Go's complaints.
fn position(at: &Value, len: usize) -> Result<usize, String> {
    let index = match at {
        Value::Int(index) | Value::Int64(index) => *index,
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    usize::try_from(index).ok().filter(|index| *index <= len).ok_or_else(|| format!("index out of range: {index}"))
}

fn indexed(of: &Value, at: &Value) -> Result<Value, String> {
    let key = || match at {
        Value::Text(key) => Ok(String::from_utf8_lossy(key).into_owned()),
        Value::Nil => Err("value is nil; should be of type string".to_owned()),
        other => Err(format!("value has type {}; should be string", other.type_name())),
    };
    let missing = || format!("index out of range: {}", number::to_int(at));
    match of {
        Value::Text(text) => text.get(position(at, text.len())?).map(|byte| Value::Int(i64::from(*byte))).ok_or_else(missing),
        Value::List(items) => items.get(position(at, items.len())?).cloned().ok_or_else(missing),
        Value::Map(members) => Ok(members.get(&key()?).cloned().unwrap_or(Value::Nil)),
        Value::Labels(labels) => Ok(Value::text(labels.get(&key()?).cloned().unwrap_or_default())),
        Value::Nil => Err("index of untyped nil".to_owned()),
        other => Err(format!("can't index item of type {}", other.type_name())),
    }
}

fn sliced(of: &Value, bounds: &[Value]) -> Result<Value, String> {
    let len = match of {
        Value::Text(text) if bounds.len() < 3 => text.len(),
        Value::Text(_) => return Err("cannot 3-index slice a string".to_owned()),
        Value::List(items) => items.len(),
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    let from = bounds.first().map_or(Ok(0), |at| position(at, len))?;
    let to = bounds.get(1).map_or(Ok(len), |at| position(at, len))?;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    Ok(match of {
        Value::Text(text) => Value::Text(text[from..to].to_vec()),
        Value::List(items) => Value::List(items[from..to].to_vec()),
        _ => Value::Nil,
    })
}
