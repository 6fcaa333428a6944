use model::windowed::{self, end_of};
use model::{LabelSet, STALE_NAN, TimestampMs, is_stale};

use super::*;
use crate::annotations::Annotations;
use crate::logical::{Call, EvalOptions, Extension, Grid, RangeInput, Select, Span};
use crate::reference::{Budget, windows as reference};
use crate::value::Series;

pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Irregular scrapes with gaps, resets and stale markers, whole numbers or not.
fn series(random: &mut Random) -> Series {
    let (mut timestamps, mut values, mut at, mut value) = (Vec::new(), Vec::new(), random.below(300_000) as i64, 0.0);
    let whole = random.below(2) == 0;
    let aligned = random.below(3) == 0;
    for _ in 0..random.below(1_500) {
        at += match random.below(60) {
            0 => random.below(3_000_000) as i64,
            _ if aligned => 15_000 - at.rem_euclid(15_000),
            _ => 1 + random.below(20_000) as i64,
        };
        value = match random.below(40) {
            0 => 0.0,
            1 => -value,
            2..5 => value,
            _ if whole => value + random.below(100) as f64,
            _ => value + random.below(1000) as f64 / 300.0,
        };
        timestamps.push(at);
        values.push(match random.below(60) {
            0 => STALE_NAN,
            1 if !whole => [f64::NAN, f64::INFINITY, -0.0][random.below(3) as usize],
            _ => value,
        });
    }
    Series { labels: LabelSet::empty(), timestamps, values, start_timestamps: Vec::new(), histograms: Vec::new() }
}

fn select(lookback_ms: i64) -> Select {
    Select { matchers: Vec::new(), offset_ms: 0, at: None, lookback_ms, extension: Extension::None, span: Span::default() }
}

fn over_samples(function: Function, series: &Series, grid: Grid, range_ms: i64) -> Vec<f64> {
    let input = RangeInput::Select { select: select(0), range_ms, span: Span::default() };
    let call = Call { function, args: Vec::new(), arg_spans: Vec::new(), span: Span::default() };
    let (mut annotations, options) = (Annotations::default(), EvalOptions::default());
    let mut budget = Budget { max: usize::MAX, ..Budget::default() };
    reference::range(&call, (series, &[]), &input, &[], &grid, &options, &mut annotations, &mut budget).unwrap().floats
}

/// A multiple of the unit that makes no more than some hundred steps.
fn step_of(random: &mut Random, unit: i64) -> i64 {
    (unit * (1 + random.below(900_000 / unit as u64 + 1) as i64)).max(20_000)
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan() && is_stale(a) == is_stale(b))
}

fn of_windows(function: Function, ranges: &Ranges, t: i64, range_ms: i64) -> (f64, bool) {
    match ranges.evaluate(function, t - range_ms, t).1 {
        Some(answer) => (answer.value, answer.is_exact),
        None => (STALE_NAN, true),
    }
}

/// D1: what is called exact has the bits of the reference over samples, for every function, width, range and time.
#[test]
fn what_is_called_exact_is_what_samples_give() {
    let functions: Vec<Function> =
        Function::ALL.iter().copied().filter(|f| needs(Some(*f)).is_some() && *f != Function::Timestamp).collect();
    let (mut random, mut exact, mut all, mut aligned_exact) = (Random(3), 0, 0, 0);
    for case in 0..300 {
        let series = series(&mut random);
        let width_ms = [60_000, 300_000, 3_600_000][random.below(3) as usize];
        let windows = windowed::windows(width_ms, &series.timestamps, &series.values);
        // As a raw day beside a coarse one: the samples before some time stay single.
        let cut = random.below(6_000_000) as i64;
        let after = series.timestamps.partition_point(|at| *at <= cut);
        let mut mixed = windowed::windows(1, &series.timestamps[..after], &series.values[..after]);
        mixed.extend(windowed::windows(width_ms, &series.timestamps[after..], &series.values[after..]));
        let aligned = random.below(2) == 0;
        let unit = if aligned { width_ms } else { 1 };
        let range_ms = unit * (1 + random.below(8_000_000 / unit as u64) as i64);
        let start = end_of(random.below(2_000_000) as i64, unit);
        let grid = Grid::range_ms(TimestampMs(start), TimestampMs(start + 9_000_000), step_of(&mut random, unit));
        for function in functions.iter().copied() {
            let expected = over_samples(function, &series, grid, range_ms);
            for windows in [&windows, &mixed] {
                let ranges = Ranges::new(windows);
                for (step, t) in grid.iter().enumerate() {
                    let (value, is_exact) = of_windows(function, &ranges, t, range_ms);
                    (all, exact) = (all + 1, exact + usize::from(is_exact));
                    aligned_exact += usize::from(is_exact && aligned && !is_stale(value));
                    let right = !is_exact || same(value, expected[step]);
                    assert!(
                        right,
                        "case {case}: {function:?}[{range_ms}ms] at {t}, width {width_ms}: {value} is not {}",
                        expected[step]
                    );
                }
            }
        }
    }
    assert!(
        exact * 5 > all && aligned_exact > 10_000,
        "exactness is claimed often enough to be of use: {exact} of {all}, {aligned_exact}"
    );
}

/// On aligned times all that does not add up is exact.
#[test]
fn aligned_windows_are_exact_but_for_rounding() {
    let mut random = Random(9);
    for _ in 0..60 {
        let series = series(&mut random);
        let windows = windowed::windows(300_000, &series.timestamps, &series.values);
        let ranges = Ranges::new(&windows);
        use Function::*;
        for function in
            [CountOverTime, MinOverTime, MaxOverTime, FirstOverTime, LastOverTime, Resets, Changes, Delta, PresentOverTime]
        {
            for t in (0..30).map(|step| step * 300_000) {
                assert!(of_windows(function, &ranges, t, 900_000).1, "{function:?}");
            }
        }
        for t in (0..30).map(|step| step * 300_000) {
            assert!(newest(&windows, t, 300_000).is_exact);
        }
    }
}

#[test]
fn the_newest_sample_is_that_of_the_samples_where_exact() {
    let (mut random, mut exact, mut all) = (Random(4), 0, 0);
    for case in 0..400 {
        let series = series(&mut random);
        let width_ms = [60_000, 300_000, 3_600_000][random.below(3) as usize];
        let windows = windowed::windows(width_ms, &series.timestamps, &series.values);
        let unit = if random.below(2) == 0 { width_ms } else { 1 };
        let grid = Grid::range_ms(
            TimestampMs(end_of(random.below(900_000) as i64, unit)),
            TimestampMs(12_000_000),
            step_of(&mut random, unit),
        );
        let lookback_ms = 1 + random.below(1_000_000) as i64;
        let (select, mut annotations) = (select(lookback_ms), Annotations::default());
        let expected = reference::instant(&series, &select, &grid, &mut annotations).unwrap().floats;
        let times = reference::timestamps(&series, &select, &grid, Function::Timestamp, &EvalOptions::default()).floats;
        for (step, t) in grid.iter().enumerate() {
            let found = newest(&windows, t, lookback_ms);
            (all, exact) = (all + 1, exact + usize::from(found.is_exact));
            let (value, at) = found.sample.map_or((STALE_NAN, STALE_NAN), |(value, at)| (value, at as f64 / 1000.0));
            let right = !found.is_exact || (same(value, expected[step]) && same(at, times[step]));
            assert!(right, "case {case} at {t}, width {width_ms}, lookback {lookback_ms}: {found:?}, {}", expected[step]);
        }
    }
    assert!(exact * 5 > all, "{exact} of {all}");
}

#[test]
fn the_closest_answer_is_near() {
    let timestamps: Vec<i64> = (1..=960).map(|scrape| scrape * 15_000).collect();
    let values: Vec<f64> = (1..=960).map(f64::from).collect();
    let hours = windowed::windows(3_600_000, &timestamps, &values);
    let ranges = Ranges::new(&hours);
    let at = |function, range_ms| of_windows(function, &ranges, 9_000_000, range_ms);
    // A range shorter than a window: the window's rate.
    let (rate, is_exact) = at(Function::Rate, 300_000);
    assert!(!is_exact && (rate - 1.0 / 15.0).abs() < 1e-9, "{rate}");
    let (increase, _) = at(Function::Increase, 300_000);
    assert!((increase - 20.0).abs() < 1e-6, "{increase}");
    let found = newest(&hours, 9_000_000, 300_000);
    assert_eq!((found.sample, found.is_exact), (Some((481.0, 7_215_000)), false));
}
