//! Window functions of LogQL: what a range aggregation makes of the samples of one series in one window `(t - range, t]`.
//!
//! Owns: the numbers and `absent_over_time`'s labels (LogQL reference B.14). Does not own: windowing, extraction.

use model::{LabelSet, MatchOp, Matcher};

use crate::logical::LogRangeFunction;

/// One window of one series. Times ascend; both slices are equally long and not empty.
#[derive(Clone, Copy, Debug)]
pub struct LogSamples<'a> {
    /// Times of the samples, nanoseconds.
    pub timestamps_ns: &'a [i64],
    /// Values: unwrapped, bytes of the line, or 1 per line.
    pub values: &'a [f64],
    /// End of the window, inclusive, nanoseconds.
    pub end_ns: i64,
    /// Length of the window, nanoseconds.
    pub range_ns: i64,
}

/// Computes a range aggregation over one window that is not empty; `param` is `φ` of `quantile_over_time`.
pub fn log_range(function: LogRangeFunction, param: Option<f64>, samples: LogSamples<'_>) -> f64 {
    let values = samples.values;
    match function {
        LogRangeFunction::CountOverTime => values.len() as f64,
        LogRangeFunction::Rate | LogRangeFunction::BytesRate => sum(values) / seconds(samples.range_ns),
        LogRangeFunction::BytesOverTime | LogRangeFunction::SumOverTime => sum(values),
        LogRangeFunction::AbsentOverTime => 1.0,
        LogRangeFunction::RateCounter => rate_counter(samples),
        LogRangeFunction::AvgOverTime => average(values),
        LogRangeFunction::MinOverTime => extreme(values, |value, best| value < best),
        LogRangeFunction::MaxOverTime => extreme(values, |value, best| value > best),
        LogRangeFunction::FirstOverTime => values.first().copied().unwrap_or(f64::NAN),
        LogRangeFunction::LastOverTime => values.last().copied().unwrap_or(f64::NAN),
        LogRangeFunction::StddevOverTime => variance(values).sqrt(),
        LogRangeFunction::StdvarOverTime => variance(values),
        LogRangeFunction::QuantileOverTime => quantile(param.unwrap_or(f64::NAN), values),
    }
}

/// Reports whether a range aggregation only adds up samples that are whole numbers (1 per line, or its bytes), or asks whether there
/// is one: windows can then be summed up in any order, without keeping samples. `unwraps`: samples are values of a label.
pub fn adds_up(function: LogRangeFunction, unwraps: bool) -> bool {
    match function {
        LogRangeFunction::AbsentOverTime => true,
        LogRangeFunction::CountOverTime | LogRangeFunction::Rate => !unwraps,
        LogRangeFunction::BytesRate | LogRangeFunction::BytesOverTime => !unwraps,
        _ => false,
    }
}

/// Computes what [`log_range`] does over one window that is not empty, of the sum of its samples; for functions of [`adds_up`].
pub fn of_sum(function: LogRangeFunction, sum: f64, range_ns: i64) -> f64 {
    match function {
        LogRangeFunction::Rate | LogRangeFunction::BytesRate => sum / seconds(range_ns),
        LogRangeFunction::AbsentOverTime => 1.0,
        _ => sum,
    }
}

/// Returns the labels of what `absent_over_time` answers for an empty window: those that `=` matchers name, but none that is
/// matched twice or otherwise.
pub fn absent_labels(matchers: &[Matcher]) -> LabelSet {
    let alone = |matcher: &&Matcher| {
        matcher.op() == MatchOp::Equal && matchers.iter().filter(|other| other.name() == matcher.name()).count() == 1
    };
    LabelSet::from_pairs(matchers.iter().filter(alone).map(|matcher| (matcher.name(), matcher.value())))
}

/// Converts as Go's `Duration.Seconds` does: whole seconds and the rest apart.
fn seconds(ns: i64) -> f64 {
    (ns / 1_000_000_000) as f64 + (ns % 1_000_000_000) as f64 / 1e9
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() + 0.0
}

/// Running mean; an infinite mean stays what it is until a NaN or the other infinity comes.
fn average(values: &[f64]) -> f64 {
    let mut mean = 0.0;
    for (index, value) in values.iter().enumerate() {
        let count = (index + 1) as f64;
        if f64::is_infinite(mean) && !value.is_nan() && (value.is_finite() || (mean > 0.0) == (*value > 0.0)) {
            continue;
        }
        mean += value / count - mean / count;
    }
    mean
}

/// Finds the least or greatest value; NaN only where there is nothing else.
fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    values.iter().copied().fold(f64::NAN, |best, value| if best.is_nan() || better(value, best) { value } else { best })
}

/// Population variance by Welford's recurrence.
fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let delta = value - mean;
        mean += delta / (index + 1) as f64;
        squares += delta * (value - mean);
    }
    squares / values.len() as f64
}

/// Linear interpolation at rank `q (n - 1)` of the sorted values, NaN first.
fn quantile(q: f64, values: &[f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = q * (sorted.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(sorted.len() - 1);
    let weight = rank - rank.floor();
    sorted[lower] * (1.0 - weight) + sorted[upper] * weight
}

/// Increase per second with counter resets, extrapolated to the window's bounds as Prometheus does; 0 for a single sample.
fn rate_counter(samples: LogSamples<'_>) -> f64 {
    let LogSamples { timestamps_ns: times, values, end_ns, range_ns } = samples;
    let ([first, .., last], [start, .., end]) = (values, times) else { return 0.0 };
    let mut increase = last - first;
    for pair in values.windows(2) {
        if pair[1] < pair[0] {
            increase += pair[0];
        }
    }
    let sampled = seconds(end.saturating_sub(*start));
    let spacing = sampled / (values.len() - 1) as f64;
    let near = |distance: f64| if distance < spacing * 1.1 { distance } else { spacing / 2.0 };
    let mut to_start = near(seconds(start.saturating_sub(end_ns.saturating_sub(range_ns))));
    let to_end = near(seconds(end_ns.saturating_sub(*end)));
    if increase > 0.0 && *first >= 0.0 {
        // A counter is never negative: extrapolation stops where it would have been zero.
        to_start = to_start.min(sampled * (first / increase));
    }
    increase * ((sampled + to_start + to_end) / sampled) / seconds(range_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(function: LogRangeFunction, param: Option<f64>, values: &[f64], want: f64) {
        let timestamps_ns: Vec<i64> = (1..=values.len() as i64).map(|i| i * 10_000_000_000).collect();
        let end_ns = 60_000_000_000;
        let got =
            log_range(function, param, LogSamples { timestamps_ns: &timestamps_ns, values, end_ns, range_ns: 60_000_000_000 });
        assert!(
            (got - want).abs() < 1e-9 || got == want || (got.is_nan() && want.is_nan()),
            "{function:?} {values:?}: {got}, want {want}"
        );
    }

    #[test]
    fn functions_over_one_window() {
        use LogRangeFunction as F;
        let inf = f64::INFINITY;
        for (function, param, values, want) in [
            (F::Rate, None, &[1.0, 1.0, 1.0][..], 0.05),
            (F::CountOverTime, None, &[7.0, 7.0], 2.0),
            (F::SumOverTime, None, &[1.0, 2.5], 3.5),
            (F::AvgOverTime, None, &[1.0, 3.0], 2.0),
            (F::AvgOverTime, None, &[inf, 3.0, inf], inf),
            (F::AvgOverTime, None, &[inf, -inf], f64::NAN),
            (F::MinOverTime, None, &[f64::NAN, 3.0, 2.0], 2.0),
            (F::MaxOverTime, None, &[f64::NAN], f64::NAN),
            (F::FirstOverTime, None, &[4.0, 5.0], 4.0),
            (F::LastOverTime, None, &[4.0, 5.0], 5.0),
            (F::StdvarOverTime, None, &[1.0, 3.0], 1.0),
            (F::StddevOverTime, None, &[1.0, 5.0], 2.0),
            (F::QuantileOverTime, Some(0.5), &[4.0, 1.0, 2.0, 3.0], 2.5),
            (F::QuantileOverTime, Some(1.5), &[4.0], inf),
            (F::RateCounter, None, &[5.0], 0.0),
            (F::RateCounter, None, &[10.0, 20.0, 30.0, 40.0, 50.0, 60.0], 1.0),
            (F::RateCounter, None, &[10.0, 20.0, 0.0, 10.0, 20.0, 30.0], 0.8),
        ] {
            check(function, param, values, want);
        }
    }

    #[test]
    fn sums_say_what_samples_say() {
        let range_ns = 90_000_000_001;
        for function in LogRangeFunction::ALL {
            if adds_up(*function, false) {
                let values = vec![if *function == LogRangeFunction::BytesRate { 7.0 } else { 1.0 }; 13];
                let timestamps_ns = vec![5; 13];
                let window = LogSamples { timestamps_ns: &timestamps_ns, values: &values, end_ns: 6, range_ns };
                let sum = of_sum(*function, values.iter().sum(), range_ns);
                assert_eq!(log_range(*function, None, window).to_bits(), sum.to_bits(), "{function:?}");
            }
        }
        assert!(!adds_up(LogRangeFunction::Rate, true) && !adds_up(LogRangeFunction::SumOverTime, true));
    }

    #[test]
    fn absence_has_the_labels_that_are_certain() {
        let matcher = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
        let matchers = [
            matcher("a", MatchOp::Equal, "1"),
            matcher("b", MatchOp::Equal, "1"),
            matcher("b", MatchOp::Equal, "2"),
            matcher("c", MatchOp::Regex, "x"),
            matcher("d", MatchOp::NotEqual, "x"),
        ];
        assert_eq!(absent_labels(&matchers), LabelSet::from_pairs([("a", "1")]));
    }
}
