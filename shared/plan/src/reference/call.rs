//! Functions of instant vectors and scalars.

use model::{LabelSet, Matcher, Text};

use super::collect;
use super::{Context, histogram_functions, selector_of};
use crate::error::EvalError;
use crate::functions::{exponent, float, histogram as native, power, ranking, time, trigonometry};
use crate::logical::{Call, Dialect, Function, Grid, RangeInput, TimeUnit};
use crate::value::{StepSeries, StepValue, StepValues, Value};

fn scalar(value: Option<&Value>, call: &Call) -> Result<Vec<f64>, EvalError> {
    match value {
        Some(Value::Scalar(values)) => Ok(values.clone()),
        _ => Err(EvalError::Unsupported(format!("argument of {}", call.function.as_str()))),
    }
}

fn vector(value: Option<&mut Value>, call: &Call) -> Result<Vec<StepSeries>, EvalError> {
    match value {
        Some(Value::Vector(series)) => Ok(std::mem::take(series)),
        _ => Err(EvalError::Unsupported(format!("argument of {}", call.function.as_str()))),
    }
}

fn text<'v>(value: Option<&'v Value>, call: &Call) -> Result<&'v Text, EvalError> {
    match value {
        Some(Value::Text(text)) => Ok(text),
        _ => Err(EvalError::Unsupported(format!("argument of {}", call.function.as_str()))),
    }
}

fn seconds(grid: &Grid, t: i64) -> f64 {
    match grid.unit {
        TimeUnit::Milliseconds => t as f64 / 1000.0,
        TimeUnit::Nanoseconds => t as f64 / 1e9,
    }
}

pub(super) fn apply(call: &Call, mut args: Vec<Value>, context: &mut Context<'_>) -> Result<Value, EvalError> {
    use Function::*;
    let grid = context.grid;
    let query = context.query;
    let constant = |value: f64| Ok(Value::Scalar(vec![value; grid.len()]));
    match call.function {
        Time => Ok(Value::Scalar(grid.iter().map(|t| seconds(&grid, t)).collect())),
        Pi => constant(std::f64::consts::PI),
        Start => constant(seconds(&query, query.start)),
        End => constant(seconds(&query, query.end)),
        Range => constant(seconds(&query, query.end - query.start)),
        Step => constant(if context.options.instant || query.start == query.end { 0.0 } else { seconds(&query, query.step) }),
        MaxOf | MinOf => {
            let (a, b) = (scalar(args.first(), call)?, scalar(args.get(1), call)?);
            let f = if call.function == MaxOf { float::go_max } else { float::go_min };
            Ok(Value::Scalar(a.into_iter().zip(b).map(|(a, b)| f(a, b)).collect()))
        }
        Scalar => {
            let input = vector(args.first_mut(), call)?;
            Ok(Value::Scalar((0..grid.len()).map(|step| only(&input, step)).collect()))
        }
        Vector => {
            let floats = scalar(args.first(), call)?;
            let values = StepValues { floats, histograms: Vec::new() };
            Ok(Value::Vector(vec![StepSeries { labels: LabelSet::empty(), drop_name: false, values }]))
        }
        Absent => {
            let input = vector(args.first_mut(), call)?;
            let matchers = selector_of(call.args.first()).map_or(&[][..], |select| &select.matchers);
            Ok(absent(matchers, &input, false, context))
        }
        HistogramQuantile | HistogramQuantiles | HistogramFraction => histogram_functions::apply(call, args, context),
        LabelReplace | LabelJoin => relabel(call, args, context.options.dialect),
        Sort | SortDesc | SortByLabel | SortByLabelDesc => sort(call, args, context),
        Clamp | ClampMin | ClampMax => clamp(call, args, context),
        Round => {
            let nearest = if args.len() > 1 { scalar(args.get(1), call)? } else { vec![1.0; grid.len()] };
            let input = vector(args.first_mut(), call)?;
            floats(input, context, |step, v| {
                let inverse = 1.0 / nearest[step];
                (v * inverse + 0.5).floor() / inverse
            })
        }
        HistogramCount | HistogramSum | HistogramAvg | HistogramStddev | HistogramStdvar => {
            let input = vector(args.first_mut(), call)?;
            histograms(input, call.function, context)
        }
        Timestamp => {
            let input = vector(args.first_mut(), call)?;
            let mapped = input.into_iter().map(|mut s| {
                for (step, t) in grid.iter().enumerate() {
                    if s.values.get(step).is_some() {
                        s.values.floats[step] = seconds(&grid, t);
                    }
                }
                s.values.histograms = Vec::new();
                s
            });
            finish(mapped.collect(), context)
        }
        StartTimestamp => Ok(Value::Vector(Vec::new())),
        Year | Month | DayOfMonth | DayOfWeek | DayOfYear | DaysInMonth | Hour | Minute => {
            if args.is_empty() {
                let floats =
                    grid.iter().map(|t| time::date(call.function, (seconds(&grid, t)).trunc() as i64).unwrap_or(f64::NAN));
                let values = StepValues { floats: floats.collect(), histograms: Vec::new() };
                return Ok(Value::Vector(vec![StepSeries { labels: LabelSet::empty(), drop_name: false, values }]));
            }
            let input = vector(args.first_mut(), call)?;
            // Go converts NaN and what does not fit to the least integer.
            let whole = |v: f64| if v.is_nan() || v.abs() >= 9_223_372_036_854_775_808.0 { i64::MIN } else { v as i64 };
            floats(input, context, |_, v| time::date(call.function, whole(v)).unwrap_or(f64::NAN))
        }
        _ => {
            let Some(f) = math(call.function) else {
                return Err(EvalError::Unsupported(format!("function {}", call.function.as_str())));
            };
            let input = vector(args.first_mut(), call)?;
            floats(input, context, |_, v| f(v))
        }
    }
}

fn math(function: Function) -> Option<fn(f64) -> f64> {
    use Function::*;
    Some(match function {
        Abs => f64::abs,
        Ceil => f64::ceil,
        Floor => f64::floor,
        Exp => power::exp,
        Sqrt => f64::sqrt,
        Ln => exponent::ln,
        Log2 => exponent::log2,
        Log10 => exponent::log10,
        Sin => trigonometry::sin,
        Cos => trigonometry::cos,
        Tan => trigonometry::tan,
        Asin => trigonometry::asin,
        Acos => trigonometry::acos,
        Atan => trigonometry::atan,
        Sinh => power::sinh,
        Cosh => power::cosh,
        Tanh => power::tanh,
        Asinh => exponent::asinh,
        Acosh => exponent::acosh,
        Atanh => exponent::atanh,
        Rad => |v| v * std::f64::consts::PI / 180.0,
        Deg => |v| v * 180.0 / std::f64::consts::PI,
        Sgn => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        _ => return None,
    })
}

fn only(input: &[StepSeries], step: usize) -> f64 {
    let mut found = input.iter().filter_map(|s| match s.values.get(step) {
        Some(StepValue::Float(v)) => Some(v),
        _ => None,
    });
    match (found.next(), found.next()) {
        (Some(value), None) => value,
        _ => f64::NAN,
    }
}

fn finish(series: Vec<StepSeries>, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let series = series.into_iter().filter(|s| !s.values.is_absent()).map(|s| collect::drop_name(s, context.options)).collect();
    if context.options.delayed_name_removal {
        return Ok(Value::Vector(series));
    }
    if context.single() { collect::unique(series, context) } else { Ok(Value::Vector(collect::merge(series)?)) }
}

/// Maps floats; histograms go.
fn floats(input: Vec<StepSeries>, context: &mut Context<'_>, f: impl Fn(usize, f64) -> f64) -> Result<Value, EvalError> {
    let mapped = input.into_iter().map(|mut s| {
        let histograms = std::mem::take(&mut s.values.histograms);
        for (step, v) in s.values.floats.iter_mut().enumerate() {
            if !model::is_stale(*v) && !matches!(histograms.get(step), Some(Some(_))) {
                *v = f(step, *v);
            }
        }
        s
    });
    finish(mapped.collect(), context)
}

fn histograms(input: Vec<StepSeries>, function: Function, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let mapped = input.into_iter().map(|mut s| {
        let histograms = std::mem::take(&mut s.values.histograms);
        s.values = StepValues::absent(s.values.len());
        for (step, h) in histograms.into_iter().enumerate() {
            let Some(h) = h else { continue };
            s.values.floats[step] = match function {
                Function::HistogramCount => h.count,
                Function::HistogramSum => h.sum,
                Function::HistogramAvg => h.sum / h.count,
                Function::HistogramStdvar => native::variance(&h),
                _ => native::variance(&h).sqrt(),
            };
        }
        s
    });
    finish(mapped.collect(), context)
}

fn clamp(call: &Call, mut args: Vec<Value>, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let steps = context.grid.len();
    let (low, high) = match call.function {
        Function::Clamp => (scalar(args.get(1), call)?, scalar(args.get(2), call)?),
        Function::ClampMax => (vec![f64::NEG_INFINITY; steps], scalar(args.get(1), call)?),
        _ => (scalar(args.get(1), call)?, vec![f64::INFINITY; steps]),
    };
    let input = vector(args.first_mut(), call)?;
    floats(input, context, |step, v| {
        if high[step] < low[step] { model::STALE_NAN } else { float::go_max(low[step], float::go_min(high[step], v)) }
    })
}

/// Labels that a selector gives exactly one value and says nothing else about.
fn absent_labels(matchers: &[Matcher]) -> LabelSet {
    let alone = |matcher: &&Matcher| matchers.iter().filter(|other| other.name() == matcher.name()).count() == 1;
    let mut builder = LabelSet::empty().to_builder();
    for matcher in matchers.iter().filter(|m| m.name() != "__name__" && m.op() == model::MatchOp::Equal).filter(alone) {
        builder.set(matcher.name(), matcher.value());
    }
    builder.build()
}

fn absent(matchers: &[Matcher], input: &[StepSeries], drop_name: bool, context: &Context<'_>) -> Value {
    let mut values = StepValues::absent(context.grid.len());
    for step in 0..context.grid.len() {
        if !input.iter().any(|s| s.values.get(step).is_some()) {
            values.floats[step] = 1.0;
        }
    }
    let labels = absent_labels(matchers);
    Value::Vector(if values.is_absent() { Vec::new() } else { vec![StepSeries { labels, drop_name, values }] })
}

/// Turns "is there something in the window" of every series into `absent_over_time`.
pub(super) fn absent_over_time(input: &RangeInput, present: &[StepSeries], context: &Context<'_>) -> Value {
    let matchers = match input {
        RangeInput::Select { select, .. } => &select.matchers[..],
        RangeInput::Subquery { .. } => &[],
    };
    absent(matchers, present, true, context)
}

/// Returns a text as the name of a label, `None` where Prometheus takes it for none: any UTF-8 is one but nothing.
pub(super) fn label_name(text: &Text) -> Option<&str> {
    text.as_str().filter(|name| !name.is_empty())
}

fn value_of<'l>(labels: &'l LabelSet, name: &Text) -> &'l str {
    name.as_str().and_then(|name| labels.get(name)).unwrap_or("")
}

fn relabel(call: &Call, mut args: Vec<Value>, dialect: Dialect) -> Result<Value, EvalError> {
    let name = call.function.as_str();
    let invalid = |what: &str, value: &Text| EvalError::Execution(format!("invalid {what} in {name}(): {}", value.to_lossy()));
    let series = vector(args.first_mut(), call)?;
    let destination = text(args.get(1), call)?;
    let no_destination = || invalid("destination label name", destination);
    let dst;
    let replaced: Vec<Option<LabelSet>> = if call.function == Function::LabelReplace {
        let (replacement, src, pattern) = (text(args.get(2), call)?, text(args.get(3), call)?, text(args.get(4), call)?);
        let regex = pattern.as_str().and_then(|pattern| model::re2::compile_anchored(pattern).ok());
        let regex = regex.ok_or_else(|| invalid("regular expression", pattern))?;
        dst = match label_name(destination) {
            // Loki takes any name.
            None if dialect == Dialect::LogQl => "",
            name => name.ok_or_else(no_destination)?,
        };
        let replacement = replacement.to_lossy();
        series
            .iter()
            .map(|s| {
                let captures = regex.captures(value_of(&s.labels, src)).filter(|_| !dst.is_empty())?;
                let mut builder = s.labels.to_builder();
                builder.set(dst, &expand(&replacement, &captures));
                Some(builder.build())
            })
            .collect()
    } else {
        let separator = text(args.get(2), call)?;
        let sources = (3..args.len()).map(|i| text(args.get(i), call)).collect::<Result<Vec<_>, _>>()?;
        if let Some(source) = sources.iter().find(|source| label_name(source).is_none()) {
            return Err(invalid("source label name", source));
        }
        dst = label_name(destination).ok_or_else(no_destination)?;
        let separator = separator.to_lossy();
        series
            .iter()
            .map(|s| {
                let values: Vec<&str> = sources.iter().map(|source| value_of(&s.labels, source)).collect();
                let mut builder = s.labels.to_builder();
                builder.set(dst, &values.join(&separator));
                Some(builder.build())
            })
            .collect()
    };
    let out = series.into_iter().zip(replaced).map(|(s, labels)| match labels {
        Some(labels) => StepSeries { labels, drop_name: s.drop_name && dst != "__name__", values: s.values },
        None => s,
    });
    Ok(Value::Vector(collect::merge(out.collect())?))
}

/// Go's `Regexp.Expand`: `$name`, `${name}`, `$1`, `$$`; unknown groups are empty.
fn expand(template: &str, captures: &regex::Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, after) = match braced {
            Some((name, after)) if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_') => (name, after),
            _ => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        if name.is_empty() {
            out.push('$');
            continue;
        }
        let group = if name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0')) {
            name.parse().ok().and_then(|index: usize| captures.get(index))
        } else {
            captures.name(name)
        };
        out.push_str(group.map_or("", |m| m.as_str()));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn sort(call: &Call, mut args: Vec<Value>, context: &mut Context<'_>) -> Result<Value, EvalError> {
    let mut series = vector(args.first_mut(), call)?;
    if !context.single() {
        context.annotations.warn("sort is ineffective for range queries since results are always ordered by labels", call.span);
    }
    let by_value = matches!(call.function, Function::Sort | Function::SortDesc);
    if by_value {
        series.iter_mut().for_each(|s| s.values.histograms = Vec::new());
        series.retain(|s| !s.values.is_absent());
    }
    if !context.single() {
        return Ok(Value::Vector(series));
    }
    let labels: Vec<&Text> = (1..args.len()).map(|i| text(args.get(i), call)).collect::<Result<_, _>>()?;
    let value = |s: &StepSeries| s.values.floats[0];
    // Upstream sorts the other way round, with NaN least, and turns the comparison around.
    ranking::sort(&mut series, |a, b| match call.function {
        Function::Sort => value(b).is_nan() || value(b) > value(a),
        Function::SortDesc => value(b).is_nan() || value(b) < value(a),
        Function::SortByLabel => precedes(&labels, a, b),
        _ => follows(&labels, a, b),
    });
    Ok(Value::Vector(series))
}

/// Returns the values of the first of the labels in which two series differ.
fn difference<'s>(labels: &[&Text], a: &'s StepSeries, b: &'s StepSeries) -> Option<(&'s str, &'s str)> {
    labels.iter().map(|label| (value_of(&a.labels, label), value_of(&b.labels, label))).find(|(a, b)| a != b)
}

fn precedes(labels: &[&Text], a: &StepSeries, b: &StepSeries) -> bool {
    difference(labels, a, b).map_or_else(|| a.labels < b.labels, |(a, b)| naturally_less(a, b))
}

/// What `sort_by_label_desc` puts first: whatever does not precede.
fn follows(labels: &[&Text], a: &StepSeries, b: &StepSeries) -> bool {
    difference(labels, a, b).map_or_else(|| a.labels > b.labels, |(a, b)| !naturally_less(a, b))
}

/// Natural order, in which runs of digits compare as numbers, as upstream's library (`facette/natsort`) has it: nothing is before or
/// after an empty text, and of numbers that are equal but not written alike each is before the other.
fn naturally_less(a: &str, b: &str) -> bool {
    let (a, b) = (runs(a), runs(b));
    for (index, x) in a.iter().enumerate() {
        let Some(y) = b.get(index) else { return false };
        match (x.parse::<i64>(), y.parse::<i64>()) {
            (Ok(x), Ok(y)) if x != y => return x < y,
            (Ok(_), Ok(_)) => {}
            _ if x != y => return x < y,
            _ => {}
        }
        if index + 1 == a.len() || index + 1 == b.len() {
            return index + 1 == a.len();
        }
    }
    false
}

/// Cuts a text where digits begin or end.
fn runs(text: &str) -> Vec<&str> {
    let digit = |c: &char| c.is_ascii_digit();
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| digit(&c) != digit(&first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        out.push(run);
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::naturally_less;

    #[test]
    fn numbers_in_texts_are_numbers() {
        for (a, b, less, greater) in [
            ("a2", "a10", true, false),
            ("a2b", "a2", false, true),
            ("a", "b", true, false),
            ("1", "a", true, false),
            ("", "a", false, false),
            ("01", "1", true, true),
            ("99999999999999999999", "100000000000000000000", false, true),
        ] {
            assert_eq!((naturally_less(a, b), naturally_less(b, a)), (less, greater), "{a} and {b}");
        }
    }
}
