//! Extrapolated rates over `(0, 60 s]`, worked out by hand (upstream `extrapolatedRate`).

use super::*;

const WINDOW_END_MS: i64 = 60_000;

/// Samples as (milliseconds, value).
type Samples<'a> = &'a [(i64, f64)];

fn outcome(function: Function) -> Outcome<'static> {
    Outcome {
        function,
        start: 0,
        end: WINDOW_END_MS,
        at: WINDOW_END_MS,
        range_seconds: 60.0,
        extension: Extension::None,
        start_timestamps: false,
        left_out: 0,
        name: "requests_total",
        span: Span::default(),
    }
}

fn evaluated(outcome: &Outcome<'_>, samples: Samples<'_>, start_timestamps: &[i64]) -> Option<f64> {
    let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    let window = Window { timestamps: &timestamps, values: &values, start_timestamps, histograms: &[] };
    let mut annotations = Annotations::default();
    let value = evaluate(outcome, window, &[], &mut annotations).unwrap();
    assert!(annotations.is_empty(), "{samples:?}: {annotations:?}");
    value.map(|value| match value {
        StepValue::Float(value) => value,
        StepValue::Histogram(histogram) => panic!("{samples:?}: {histogram:?}"),
    })
}

fn check(function: Function, samples: Samples<'_>, want: Option<f64>) {
    assert_close(evaluated(&outcome(function), samples, &[]), want, &format!("{} of {samples:?}", function.as_str()));
}

fn assert_close(got: Option<f64>, want: Option<f64>, case: &str) {
    let same = match (got, want) {
        (Some(got), Some(want)) => (got - want).abs() < 1e-9,
        (got, want) => got == want,
    };
    assert!(same, "{case}: {got:?}, want {want:?}");
}

/// One sample each 10 s from `first_ms` on.
fn each_10s(first_ms: i64, values: &[f64]) -> Vec<(i64, f64)> {
    (0..).map(|index| first_ms + index * 10_000).zip(values.iter().copied()).collect()
}

#[test]
fn rates_reach_for_the_edges_of_the_window() {
    use Function::{Delta, Increase, Rate};
    let full = &[100.0, 110.0, 120.0, 130.0, 140.0, 150.0];
    for (function, samples, want) in [
        // 50 in 50 s, and 10 s to the start: 50 · 60/50.
        (Increase, each_10s(10_000, full), 60.0),
        (Rate, each_10s(10_000, full), 1.0),
        (Delta, each_10s(10_000, full), 60.0),
        // To the start 10.9 s < 1.1 · 10 s: all of it. 40 · (40 + 10.9 + 9.1)/40.
        (Increase, each_10s(10_900, &full[..5]), 60.0),
        // 11 s are too far, half an interval stands in: 40 · (40 + 5 + 9)/40.
        (Increase, each_10s(11_000, &full[..5]), 54.0),
        // To the end 35 s are too far: 20 · (20 + 5 + 5)/20.
        (Increase, each_10s(5_000, &full[..3]), 30.0),
        // Two samples at the very edges: nothing to add.
        (Increase, vec![(1, 100.0), (60_000, 160.0)], 60.0 * 60.0 / 59.999),
        // A gauge falls, a counter stands still.
        (Delta, each_10s(10_000, &[60.0, 50.0, 40.0, 30.0, 20.0, 10.0]), -60.0),
        (Increase, each_10s(10_000, &[7.0; 6]), 0.0),
    ] {
        check(function, &samples, Some(want));
    }
}

#[test]
fn one_sample_has_no_rate() {
    for function in [Function::Rate, Function::Increase, Function::Delta, Function::Irate, Function::Idelta] {
        check(function, &[(30_000, 5.0)], None);
    }
}

#[test]
fn resets_are_added_back() {
    use Function::{Delta, Increase};
    // 65 - 100 + 120 = 85, times 60/50.
    let once = each_10s(10_000, &[100.0, 120.0, 5.0, 25.0, 45.0, 65.0]);
    // 10 - 100 + 120 + 30 = 60, times 60/50.
    let twice = each_10s(10_000, &[100.0, 120.0, 10.0, 30.0, 0.0, 10.0]);
    check(Increase, &once, Some(102.0));
    check(Delta, &once, Some(-42.0));
    check(Increase, &twice, Some(72.0));
}

#[test]
fn counters_are_not_extrapolated_below_zero() {
    use Function::{Delta, Increase};
    for (function, samples, want) in [
        // It was zero 50 · 2/100 = 1 s before the first sample: 100 · 51/50.
        (Increase, each_10s(10_000, &[2.0, 22.0, 42.0, 62.0, 82.0, 102.0]), 102.0),
        (Increase, each_10s(10_000, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0]), 100.0),
        // A gauge may well have been below.
        (Delta, each_10s(10_000, &[2.0, 22.0, 42.0, 62.0, 82.0, 102.0]), 120.0),
        // What starts below zero is no counter one could clamp: 50 · 60/50.
        (Increase, each_10s(10_000, &[-10.0, 0.0, 10.0, 20.0, 30.0, 40.0]), 60.0),
        // 30 s to the start are cut to 5 s first, then to the 1 s since zero: 30 · 31/30.
        (Increase, each_10s(30_000, &[1.0, 11.0, 21.0, 31.0]), 31.0),
        // Zero was 6 s ago, the cut is 5 s: 30 · 35/30. Clamping first would have given 36.
        (Increase, each_10s(30_000, &[6.0, 16.0, 26.0, 36.0]), 35.0),
    ] {
        check(function, &samples, Some(want));
    }
}

#[test]
fn start_timestamps_in_the_window_are_the_zero_point() {
    let known = Outcome { start_timestamps: true, ..outcome(Function::Increase) };
    for (samples, starts, want) in [
        // 20 since the first sample and its 4 since the start; start and end are exact.
        (each_10s(40_000, &[4.0, 14.0, 24.0]), [30_000; 3].as_slice(), 24.0),
        (vec![(60_000, 3.0)], &[30_000], 3.0),
        // The counter began anew at 45 s, although it shows more than before: 14 - 4 + 4 and the first 4.
        (each_10s(40_000, &[4.0, 14.0, 24.0]), &[30_000, 45_000, 45_000], 28.0),
    ] {
        assert_close(evaluated(&known, &samples, starts), Some(want), &format!("{samples:?} since {starts:?}"));
    }
}
