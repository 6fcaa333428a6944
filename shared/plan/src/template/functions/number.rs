//! Arithmetic: whole numbers wrap as Go's do, the others are decimal.

use model::go_float;

use super::Type::{Any, Float, Int};
use super::decimal::Decimal;
use super::{Family, int};
use crate::functions::power;
use crate::template::eval::Surroundings;
use crate::template::parser::parse_integer;
use crate::template::value::Value;

pub(super) const FAMILY: Family = &[
    ("int", &[Any], None, |_, args| Ok(Value::Int(to_int(&args[0])))),
    ("float64", &[Any], None, |_, args| Ok(Value::Float(to_float(&args[0])))),
    ("add", &[], Some(Any), |_, args| Ok(Value::Int64(args.iter().map(to_int).fold(0, i64::wrapping_add)))),
    ("sub", &[Any, Any], None, |_, args| Ok(Value::Int64(to_int(&args[0]).wrapping_sub(to_int(&args[1]))))),
    ("mul", &[Any], Some(Any), |_, args| Ok(Value::Int64(args.iter().map(to_int).fold(1, i64::wrapping_mul)))),
    ("div", &[Any, Any], None, |_, args| divided(args, i64::wrapping_div)),
    ("mod", &[Any, Any], None, |_, args| divided(args, i64::wrapping_rem)),
    ("max", &[Any], Some(Any), |_, args| Ok(Value::Int64(args.iter().map(to_int).max().unwrap_or(0)))),
    ("min", &[Any], Some(Any), |_, args| Ok(Value::Int64(args.iter().map(to_int).min().unwrap_or(0)))),
    ("maxf", &[Any], Some(Any), |_, args| Ok(Value::Float(extreme(args, f64::INFINITY, f64::max)))),
    ("minf", &[Any], Some(Any), |_, args| Ok(Value::Float(extreme(args, f64::NEG_INFINITY, f64::min)))),
    ("addf", &[], Some(Any), |_, args| folded(&Value::Float(0.0), args, |a, b| Ok(a.plus(&b)))),
    ("subf", &[Any], Some(Any), |_, args| folded(&args[0], &args[1..], |a, b| Ok(a.minus(&b)))),
    ("mulf", &[Any], Some(Any), |_, args| folded(&args[0], &args[1..], |a, b| Ok(a.times(&b)))),
    ("divf", &[Any], Some(Any), |_, args| folded(&args[0], &args[1..], |a, b| a.over(&b))),
    ("ceil", &[Any], None, |_, args| Ok(Value::Float(to_float(&args[0]).ceil()))),
    ("floor", &[Any], None, |_, args| Ok(Value::Float(to_float(&args[0]).floor()))),
    ("round", &[Any, Int], Some(Float), round),
];

fn divided(args: &[Value], operation: fn(i64, i64) -> i64) -> Result<Value, String> {
    match to_int(&args[1]) {
        0 => Err("runtime error: integer divide by zero".to_owned()),
        by => Ok(Value::Int64(operation(to_int(&args[0]), by))),
    }
}

fn folded(first: &Value, rest: &[Value], step: fn(Decimal, Decimal) -> Result<Decimal, String>) -> Result<Value, String> {
    let start = Decimal::of(to_float(first))?;
    let total = rest.iter().try_fold(start, |total, next| step(total, Decimal::of(to_float(next))?))?;
    Ok(Value::Float(total.to_float()))
}

/// Rounds at `places`; the third argument says from which fraction on upwards.
fn round(_: &Surroundings<'_>, args: &[Value]) -> Result<Value, String> {
    let up_from = if let Some(Value::Float(from)) = args.get(2) { *from } else { 0.5 };
    let shift = power::pow(10.0, int(args, 1) as f64);
    let digits = shift * to_float(&args[0]);
    let rounded = if digits.fract() >= up_from { digits.ceil() } else { digits.floor() };
    Ok(Value::Float(rounded / shift))
}

/// Returns the largest or smallest: infinity wins over NaN, NaN over any number, as in Go's `math.Max` and `math.Min`.
fn extreme(args: &[Value], winner: f64, of: fn(f64, f64) -> f64) -> f64 {
    let step = |a: f64, b: f64| match (a == winner || b == winner, a.is_nan() || b.is_nan()) {
        (true, _) => winner,
        (_, true) => f64::NAN,
        _ => of(a, b),
    };
    args.iter().map(to_float).fold(-winner, step)
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

/// Takes a value for a whole number; what is none is 0.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(value) | Value::Int64(value) => *value,
        // What does not fit is the least number, as on Go's usual machines.
        Value::Float(value) if !(-TWO_POW_63..TWO_POW_63).contains(value) => i64::MIN,
        Value::Float(value) => *value as i64,
        Value::Bool(value) => i64::from(*value),
        Value::Text(text) => std::str::from_utf8(text).ok().and_then(|text| parse_integer(without_fraction(text))).unwrap_or(0),
        _ => 0,
    }
}

/// Drops `.5` of `3.5`.
fn without_fraction(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        _ => text,
    }
}

/// Takes a value for a float; what is none is 0.
pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(value) | Value::Int64(value) => *value as f64,
        Value::Float(value) => *value,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Text(text) => std::str::from_utf8(text).ok().and_then(|text| go_float::parse(text).ok()).unwrap_or(0.0),
        _ => 0.0,
    }
}
