//! Functions of instant values.

use model::{STALE_NAN, is_stale};
use plan::logical::{Call, Function};
use plan::{Grid, StepSeries, Value};

use super::{map_floats, ordered, scalar_series};
use crate::EngineError;
use crate::context::QueryContext;

pub(super) fn apply(context: &QueryContext, call: &Call, args: Vec<Value>, grid: Grid) -> Result<Value, EngineError> {
    let steps = grid.len();
    let constant = |value: f64| Ok(Value::Scalar(vec![value; steps]));
    let mut args = args.into_iter();
    let first = args.next();
    let (second, third) = (args.next(), args.next());
    if let Some(each) = unary(call.function) {
        return map_floats(context, vector(first)?, each).map(Value::Vector);
    }
    match call.function {
        Function::Pi => constant(std::f64::consts::PI),
        Function::Time => Ok(Value::Scalar(grid.iter().map(|t| t as f64 / 1000.0).collect())),
        Function::Start => constant(grid.start as f64 / 1000.0),
        Function::End => constant(grid.end as f64 / 1000.0),
        Function::Step => constant(if context.options.instant { 0.0 } else { grid.step as f64 / 1000.0 }),
        Function::Range => constant((grid.end - grid.start) as f64 / 1000.0),
        Function::Vector => Ok(Value::Vector(vec![scalar_series(scalar(first)?)])),
        Function::Scalar => Ok(Value::Scalar(to_scalar(&vector(first)?, steps))),
        Function::ClampMin => {
            let low = scalar(second)?;
            with_steps(context, vector(first)?, |step, value| prefer_nan(value, low[step], f64::max))
        }
        Function::ClampMax => {
            let high = scalar(second)?;
            with_steps(context, vector(first)?, |step, value| prefer_nan(value, high[step], f64::min))
        }
        Function::Clamp => {
            let (low, high) = (scalar(second)?, scalar(third)?);
            with_steps(context, vector(first)?, |step, value| {
                let (low, high) = (low[step], high[step]);
                if high < low { STALE_NAN } else { prefer_nan(prefer_nan(value, high, f64::min), low, f64::max) }
            })
        }
        Function::Round => {
            let to = match second {
                Some(to) => scalar(Some(to))?,
                None => vec![1.0; steps],
            };
            // Prometheus divides by the inverse to keep precision.
            with_steps(context, vector(first)?, |step, value| {
                let inverse = 1.0 / to[step];
                (value * inverse + 0.5).floor() / inverse
            })
        }
        Function::Sort | Function::SortDesc => {
            let mut series = vector(first)?;
            if context.options.instant && steps > 0 {
                let rank = |one: &StepSeries| one.values.floats[0];
                series.sort_by(|a, b| match (rank(a), rank(b)) {
                    (a, b) if a.is_nan() || b.is_nan() => a.is_nan().cmp(&b.is_nan()),
                    (a, b) if call.function == Function::Sort => a.total_cmp(&b),
                    (a, b) => b.total_cmp(&a),
                });
            }
            Ok(Value::Vector(series))
        }
        function => Err(EngineError::Unsupported(format!("function \"{}\"", function.as_str()))),
    }
}

/// Go's `math.Max` and `math.Min`: a NaN on either side is the result.
fn prefer_nan(value: f64, bound: f64, pick: fn(f64, f64) -> f64) -> f64 {
    if value.is_nan() || bound.is_nan() { f64::NAN } else { pick(value, bound) }
}

fn unary(function: Function) -> Option<fn(f64) -> f64> {
    Some(match function {
        Function::Abs => f64::abs,
        Function::Ceil => f64::ceil,
        Function::Floor => f64::floor,
        Function::Exp => f64::exp,
        Function::Sqrt => f64::sqrt,
        Function::Ln => f64::ln,
        Function::Log2 => f64::log2,
        Function::Log10 => f64::log10,
        Function::Sin => f64::sin,
        Function::Cos => f64::cos,
        Function::Tan => f64::tan,
        Function::Asin => f64::asin,
        Function::Acos => f64::acos,
        Function::Atan => f64::atan,
        Function::Sinh => f64::sinh,
        Function::Cosh => f64::cosh,
        Function::Tanh => f64::tanh,
        Function::Asinh => f64::asinh,
        Function::Acosh => f64::acosh,
        Function::Atanh => f64::atanh,
        Function::Rad => |value| value * std::f64::consts::PI / 180.0,
        Function::Deg => |value| value * 180.0 / std::f64::consts::PI,
        Function::Sgn => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        _ => return None,
    })
}

fn with_steps(context: &QueryContext, series: Vec<StepSeries>, each: impl Fn(usize, f64) -> f64) -> Result<Value, EngineError> {
    let mapped = series.into_iter().map(|mut one| {
        for (step, value) in one.values.floats.iter_mut().enumerate() {
            if !is_stale(*value) {
                *value = each(step, *value);
            }
        }
        one.values.histograms = Vec::new();
        super::nameless(context, one)
    });
    ordered(mapped.collect()).map(Value::Vector)
}

fn to_scalar(series: &[StepSeries], steps: usize) -> Vec<f64> {
    let only = |step: usize| {
        let mut values = series.iter().map(|one| one.values.floats[step]).filter(|value| !is_stale(*value));
        match (values.next(), values.next()) {
            (Some(value), None) => value,
            _ => f64::NAN,
        }
    };
    (0..steps).map(only).collect()
}

fn vector(arg: Option<Value>) -> Result<Vec<StepSeries>, EngineError> {
    match arg {
        Some(Value::Vector(series)) => Ok(series),
        _ => Err(EngineError::Unsupported("function without a vector argument".into())),
    }
}

fn scalar(arg: Option<Value>) -> Result<Vec<f64>, EngineError> {
    match arg {
        Some(Value::Scalar(floats)) => Ok(floats),
        _ => Err(EngineError::Internal("argument is not a scalar".into())),
    }
}
