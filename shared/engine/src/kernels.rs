//! Sliding windows over the float samples of one series, without an allocation per window.
//!
//! Owns: the window functions the engine executes itself, with Prometheus's arithmetic in Prometheus's order.
//! Does not own: windows that hold native histograms; the meaning, which is that of `plan::reference::windows`, bit for bit.

use std::collections::VecDeque;

use model::is_stale;
use plan::SampleCounts;
use plan::functions::float::{self, Mean};
use plan::logical::Function;

/// The window functions over floats.
pub(crate) fn is_supported(function: Function) -> bool {
    use Function::*;
    matches!(
        function,
        Rate | Increase
            | Delta
            | Irate
            | Idelta
            | SumOverTime
            | AvgOverTime
            | CountOverTime
            | MinOverTime
            | MaxOverTime
            | LastOverTime
            | FirstOverTime
            | PresentOverTime
            | StddevOverTime
            | StdvarOverTime
            | Changes
            | Resets
    )
}

/// Windows `(end - range, end]`, one per step, ends ascending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// End of the first window, milliseconds.
    pub(crate) first_end: i64,
    /// Distance of ends; 0 where all windows are the same.
    pub(crate) step: i64,
    /// Length, milliseconds.
    pub(crate) range: i64,
}

/// What windows have of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// Samples of the largest window.
    pub(crate) largest: usize,
    /// Samples of the last window.
    pub(crate) last: usize,
    /// Samples of all.
    pub(crate) counts: SampleCounts,
}

/// Computes `function` per window into `out`; a window without a result is left as it is. Samples hold no staleness marker.
pub(crate) fn slide(function: Function, windows: Windows, timestamps: &[i64], values: &[f64], out: &mut [f64]) -> Used {
    let mut extremes = Extremes::of(function, values);
    let mut used = Used::default();
    let resets = if matches!(function, Function::Rate | Function::Increase) { reset_positions(values) } else { Vec::new() };
    let (mut from, mut to, mut reset_from, mut reset_to) = (0, 0, 0, 0);
    for (step, result) in out.iter_mut().enumerate() {
        let end = windows.first_end + windows.step * step as i64;
        let start = end - windows.range;
        let seen = to;
        while from < timestamps.len() && timestamps[from] <= start {
            from += 1;
        }
        to = to.max(from);
        while to < timestamps.len() && timestamps[to] <= end {
            to += 1;
        }
        used.last = to - from;
        if from == to {
            continue;
        }
        used.largest = used.largest.max(used.last);
        used.counts.window(used.last, to - seen.max(from));
        if let Some(extremes) = &mut extremes {
            *result = extremes.of_window(from, to);
            continue;
        }
        while reset_from < resets.len() && resets[reset_from] <= from {
            reset_from += 1;
        }
        reset_to = reset_to.max(reset_from);
        while reset_to < resets.len() && resets[reset_to] < to {
            reset_to += 1;
        }
        let window = Window {
            timestamps: &timestamps[from..to],
            values: &values[from..to],
            lost: &resets[reset_from..reset_to],
            all: values,
            start,
            end,
        };
        if let Some(value) = window.apply(function) {
            *result = value;
        }
    }
    used
}

/// The extremes of windows that only move forward: positions whose value no later one in the window beats, best first.
/// Of equal values the earliest stands, as in a scan of the window; values are no NaN.
struct Extremes<'a> {
    values: &'a [f64],
    is_max: bool,
    candidates: VecDeque<usize>,
    seen: usize,
}

impl Extremes<'_> {
    fn of(function: Function, values: &[f64]) -> Option<Extremes<'_>> {
        let is_max = match function {
            Function::MaxOverTime => true,
            Function::MinOverTime => false,
            _ => return None,
        };
        let known = !values.iter().any(|value| value.is_nan());
        known.then(|| Extremes { values, is_max, candidates: VecDeque::new(), seen: 0 })
    }

    fn of_window(&mut self, from: usize, to: usize) -> f64 {
        self.seen = self.seen.max(from);
        for at in self.seen..to {
            let value = self.values[at];
            let beats = |older: f64| if self.is_max { value > older } else { value < older };
            while self.candidates.back().is_some_and(|older| beats(self.values[*older])) {
                self.candidates.pop_back();
            }
            self.candidates.push_back(at);
        }
        self.seen = self.seen.max(to);
        while self.candidates.front().is_some_and(|at| *at < from) {
            self.candidates.pop_front();
        }
        self.values[self.candidates[0]]
    }
}

/// Positions whose value is below the one before.
fn reset_positions(values: &[f64]) -> Vec<usize> {
    (1..values.len()).filter(|index| values[*index] < values[*index - 1]).collect()
}

struct Window<'a> {
    timestamps: &'a [i64],
    values: &'a [f64],
    /// Resets inside the window, as positions in `all`.
    lost: &'a [usize],
    all: &'a [f64],
    start: i64,
    end: i64,
}

impl Window<'_> {
    fn apply(&self, function: Function) -> Option<f64> {
        let values = self.values;
        match function {
            Function::Rate => self.extrapolated(true, true),
            Function::Increase => self.extrapolated(true, false),
            Function::Delta => self.extrapolated(false, false),
            Function::Irate => self.instant(true),
            Function::Idelta => self.instant(false),
            Function::SumOverTime => Some(float::sum(values)),
            Function::AvgOverTime => Some(average(values)),
            Function::CountOverTime => Some(values.len() as f64),
            Function::MinOverTime => Some(extreme(values, |value, best| value < best)),
            Function::MaxOverTime => Some(extreme(values, |value, best| value > best)),
            Function::LastOverTime => values.last().copied(),
            Function::FirstOverTime => values.first().copied(),
            Function::PresentOverTime => Some(1.0),
            Function::StdvarOverTime => Some(float::variance(values)),
            Function::StddevOverTime => Some(float::variance(values).sqrt()),
            Function::Changes => {
                Some(values.windows(2).filter(|pair| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan())).count() as f64)
            }
            Function::Resets => Some(values.windows(2).filter(|pair| pair[1] < pair[0]).count() as f64),
            _ => None,
        }
    }

    /// Prometheus's `extrapolatedRate`.
    fn extrapolated(&self, is_counter: bool, is_rate: bool) -> Option<f64> {
        let (timestamps, values) = (self.timestamps, self.values);
        if values.len() < 2 {
            return None;
        }
        let (first, last) = (values[0], values[values.len() - 1]);
        let mut result = last - first;
        for position in self.lost {
            result += self.all[*position - 1];
        }
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let mut to_start = seconds(timestamps[0] - self.start);
        let mut to_end = seconds(self.end - timestamps[timestamps.len() - 1]);
        let sampled = seconds(timestamps[timestamps.len() - 1] - timestamps[0]);
        let average = sampled / (values.len() - 1) as f64;
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if is_counter && result > 0.0 && first >= 0.0 {
            to_start = to_start.min(sampled * (first / result));
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut factor = (sampled + to_start + to_end) / sampled;
        if is_rate {
            factor /= seconds(self.end - self.start);
        }
        Some(result * factor)
    }

    fn instant(&self, is_rate: bool) -> Option<f64> {
        let count = self.values.len();
        let (earlier, later) = (count.checked_sub(2)?, count - 1);
        let (before, last) = (self.values[earlier], self.values[later]);
        let reset = is_rate && last < before;
        let difference = if reset { last } else { last - before };
        let interval = self.timestamps[later] - self.timestamps[earlier];
        Some(if is_rate { difference / (interval as f64 / 1000.0) } else { difference })
    }
}

fn average(values: &[f64]) -> f64 {
    let mut mean = Mean::new(values[0]);
    values[1..].iter().for_each(|value| mean.add(*value));
    mean.value()
}

fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    values[1..].iter().fold(values[0], |best, value| if better(*value, best) || best.is_nan() { *value } else { best })
}

/// Calls `found` with each of `steps` steps that has a sample in its window, and the position of the newest.
pub(crate) fn newest(windows: Windows, steps: usize, timestamps: &[i64], mut found: impl FnMut(usize, usize)) {
    let mut to = 0;
    for step in 0..steps {
        let end = windows.first_end + windows.step * step as i64;
        while to < timestamps.len() && timestamps[to] <= end {
            to += 1;
        }
        if to > 0 && timestamps[to - 1] > end - windows.range {
            found(step, to - 1);
        }
    }
}

/// Copies the samples without staleness markers, where there are any.
pub(crate) fn without_stale(timestamps: &[i64], values: &[f64]) -> Option<(Vec<i64>, Vec<f64>)> {
    if !values.iter().any(|value| is_stale(*value)) {
        return None;
    }
    Some(timestamps.iter().zip(values).filter(|(_, value)| !is_stale(**value)).unzip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{LabelSet, STALE_NAN, TimestampMs};
    use plan::logical::{Call, Extension, RangeInput, Select, Span};
    use plan::reference::Budget;
    use plan::reference::windows::range;
    use plan::{Annotations, EvalOptions, Grid, Series};

    fn run(function: Function, values: &[f64]) -> f64 {
        let timestamps: Vec<i64> = (1..=values.len() as i64).map(|i| i * 15_000).collect();
        let mut out = [STALE_NAN];
        slide(function, Windows { first_end: 60_000, step: 1, range: 60_000 }, &timestamps, values, &mut out);
        out[0]
    }

    #[test]
    fn windows_are_open_at_the_start() {
        assert_eq!(run(Function::CountOverTime, &[1.0; 8]), 4.0);
        let mut out = [STALE_NAN; 3];
        slide(Function::CountOverTime, Windows { first_end: 10, step: 10, range: 10 }, &[10, 20, 30], &[1.0; 3], &mut out);
        assert_eq!(out, [1.0, 1.0, 1.0]);
    }

    #[test]
    fn functions_follow_prometheus() {
        assert_eq!(run(Function::Increase, &[0.0, 15.0, 30.0, 45.0]), 45.0);
        assert_eq!(run(Function::Increase, &[10.0, 20.0, 5.0, 10.0]), 20.0 * ((45.0 + 15.0) / 45.0));
        assert_eq!(run(Function::Irate, &[1.0, 2.0, 3.0, 6.0]), 0.2);
        assert_eq!(run(Function::SumOverTime, &[1e100, 1.0, -1e100, 0.0]), 1.0);
        assert_eq!(run(Function::MaxOverTime, &[f64::NAN, 1.0, 3.0, 2.0]), 3.0);
        assert_eq!(run(Function::StdvarOverTime, &[1.0, 2.0, 3.0, 4.0]), 1.25);
        assert_eq!(run(Function::Resets, &[3.0, 1.0, 2.0, 0.0]), 2.0);
        assert!(is_stale(run(Function::Rate, &[1.0])));
    }

    #[test]
    fn every_kernel_gives_the_bits_of_the_reference() {
        let mut state = 1u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for case in 0..200 {
            let (mut timestamps, mut values, mut at) = (Vec::new(), Vec::new(), 0);
            for _ in 0..random(60) {
                at += 1 + random(40_000) as i64;
                timestamps.push(at);
                values.push(match random(12) {
                    0 => STALE_NAN,
                    1 if case % 10 == 0 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -0.0][random(5) as usize],
                    2 => 0.0,
                    other => random(1 << 40) as f64 / 7.0 * if case % 3 == 0 && other % 2 == 0 { -1.0 } else { 1.0 },
                });
            }
            let grid = Grid::range_ms(TimestampMs(0), TimestampMs(1_200_000), 1 + random(90_000) as i64);
            let range_ms = 1 + random(300_000) as i64;
            for function in Function::ALL.iter().copied().filter(|function| is_supported(*function)) {
                let expected = reference(function, &timestamps, &values, grid, range_ms);
                let mut found = vec![STALE_NAN; grid.len()];
                let windows = Windows { first_end: grid.start, step: grid.step, range: range_ms };
                let (timestamps, values) =
                    without_stale(&timestamps, &values).unwrap_or_else(|| (timestamps.clone(), values.clone()));
                slide(function, windows, &timestamps, &values, &mut found);
                let same = |(a, b): (&f64, &f64)| {
                    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan() && !is_stale(*a) && !is_stale(*b))
                };
                assert!(expected.iter().zip(&found).all(same), "{function:?}, case {case}: {expected:?} {found:?}");
            }
        }
    }

    fn reference(function: Function, timestamps: &[i64], values: &[f64], grid: Grid, range_ms: i64) -> Vec<f64> {
        let select = Select {
            matchers: Vec::new(),
            offset_ms: 0,
            at: None,
            lookback_ms: 0,
            extension: Extension::None,
            span: Span::default(),
        };
        let input = RangeInput::Select { select, range_ms, span: Span::default() };
        let call = Call { function, args: Vec::new(), arg_spans: Vec::new(), span: Span::default() };
        let series = Series {
            labels: LabelSet::empty(),
            timestamps: timestamps.to_vec(),
            values: values.to_vec(),
            start_timestamps: Vec::new(),
            histograms: Vec::new(),
        };
        let (mut annotations, options) = (Annotations::default(), EvalOptions::default());
        let mut budget = Budget { max: usize::MAX, ..Budget::default() };
        range(&call, (&series, &[]), &input, &[], &grid, &options, &mut annotations, &mut budget).unwrap().floats
    }
}
