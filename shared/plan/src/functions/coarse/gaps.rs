//! Native histograms that a copy leaves out between those that it has ([`model::windowed::histograms`]).

use model::windowed::Window;

use crate::logical::Function;
use crate::value::HistogramSample;

/// Samples that are left out: none of them is a reset or brings anything new but numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// When the first sample of the window was taken, which is there.
    pub first_at: i64,
    /// When the last one was.
    pub last_at: i64,
    /// Samples between them that are not there.
    pub count: usize,
}

impl Gap {
    /// Returns what of a window is not among the samples that are there; their times ascend.
    pub fn of(window: &Window, held: &[HistogramSample]) -> Gap {
        let from = held.partition_point(|sample| sample.timestamp < window.first_at);
        let to = held.partition_point(|sample| sample.timestamp <= window.last_at).max(from);
        let held = held[from..to].iter().filter(|sample| !sample.histogram.is_stale()).count();
        let count = usize::try_from(window.count).unwrap_or(usize::MAX).saturating_sub(held);
        Gap { first_at: window.first_at, last_at: window.last_at, count }
    }
}

/// Counts what is left out of `(start, end]`; gaps ascend.
pub fn left_out(gaps: &[Gap], start: i64, end: i64) -> usize {
    touched(gaps, start, end).iter().map(|gap| gap.count).sum()
}

fn touched(gaps: &[Gap], start: i64, end: i64) -> &[Gap] {
    let from = gaps.partition_point(|gap| gap.last_at <= start);
    let to = gaps.partition_point(|gap| gap.first_at < end).max(from);
    &gaps[from..to]
}

/// Reports whether a function (`None`: the newest sample) says of `(start, end]` what it would say if nothing were left out.
pub fn is_exact_without(function: Option<Function>, gaps: &[Gap], start: i64, end: i64) -> bool {
    use Function::*;
    let of_each = matches!(function, Some(SumOverTime | AvgOverTime | Changes | Irate | Idelta));
    match function {
        None | Some(Timestamp) => touched(gaps, start, end).iter().all(|gap| gap.last_at <= end),
        _ => touched(gaps, start, end).iter().all(|gap| !of_each && start < gap.first_at && gap.last_at <= end),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::windowed::{end_of, histograms::thin};
    use model::{CounterResetHint, Histogram, LabelSet, Span as Run, TimestampMs};

    use super::super::tests::Random;
    use super::*;
    use crate::annotations::Annotations;
    use crate::logical::{Call, EvalOptions, Extension, Grid, RangeInput, Select, Span};
    use crate::reference::{Budget, windows as reference};
    use crate::value::Series;

    /// Counters of observations that are reset, go stale, change their layout and their hints.
    fn series(random: &mut Random) -> Series {
        let (mut histograms, mut at, mut counts, mut layout) = (Vec::new(), 0, [0.0; 2], 0);
        let is_gauge = random.below(8) == 0;
        for _ in 0..random.below(600) {
            at += if random.below(60) == 0 { random.below(2_000_000) as i64 } else { 15_000 - random.below(30) as i64 };
            counts = if random.below(80) == 0 { [1.0, 0.0] } else { counts.map(|count| count + random.below(4) as f64) };
            layout = if random.below(100) == 0 { random.below(4) as i32 } else { layout };
            let is_custom = layout == 3;
            let hint = match random.below(40) {
                _ if is_gauge => CounterResetHint::Gauge,
                0 => CounterResetHint::Reset,
                1..10 => CounterResetHint::NotReset,
                _ => CounterResetHint::Unknown,
            };
            let histogram = Histogram {
                counter_reset_hint: hint,
                schema: if is_custom { model::histogram::CUSTOM_BUCKETS_SCHEMA } else { layout },
                count: counts[0] + counts[1],
                sum: if random.below(90) == 0 { model::STALE_NAN } else { counts[0] / 3.0 },
                positive_spans: vec![Run { offset: 0, length: 2 }],
                positive_buckets: counts.to_vec(),
                custom_values: if is_custom { vec![1.0, 2.0] } else { Vec::new() },
                ..Histogram::default()
            };
            histograms.push(HistogramSample { timestamp: at, start_timestamp: 0, histogram: Arc::new(histogram) });
        }
        let labels = LabelSet::from_pairs([("__name__", "latency")]);
        Series { labels, timestamps: Vec::new(), values: Vec::new(), start_timestamps: Vec::new(), histograms }
    }

    fn said(function: Function, (series, gaps): (&Series, &[Gap]), grid: Grid, range_ms: i64) -> String {
        let (matchers, lookback_ms) = (Vec::new(), 0);
        let select = Select { matchers, offset_ms: 0, at: None, lookback_ms, extension: Extension::None, span: Span::default() };
        let input = RangeInput::Select { select, range_ms, span: Span::default() };
        let call = Call { function, args: Vec::new(), arg_spans: Vec::new(), span: Span::default() };
        let (mut annotations, options) = (Annotations::default(), EvalOptions::default());
        let mut budget = Budget { max: usize::MAX, ..Budget::default() };
        let found = reference::range(&call, (series, gaps), &input, &[], &grid, &options, &mut annotations, &mut budget);
        format!("{:?} {:?}", found.unwrap(), annotations.render(""))
    }

    /// D1 for native histograms: what is called exact is what all samples give, annotations included, for every function.
    #[test]
    fn what_is_called_exact_is_what_all_samples_give() {
        let (mut random, mut exact, mut less) = (Random(5), 0, 0);
        let of_windows = |function: &Function| super::super::needs(Some(*function)).is_some() && *function != Function::Timestamp;
        let functions: Vec<Function> = Function::ALL.iter().copied().filter(of_windows).collect();
        for _ in 0..200 {
            let series = series(&mut random);
            let width_ms = [300_000, 3_600_000][random.below(2) as usize];
            let thinned = thin(width_ms, series.histograms.iter().map(|sample| (sample.timestamp, &*sample.histogram)));
            let histograms: Vec<HistogramSample> = thinned.kept.iter().map(|place| series.histograms[*place].clone()).collect();
            let gaps: Vec<Gap> = thinned.windows.iter().map(|window| Gap::of(window, &histograms)).collect();
            less += series.histograms.len() - histograms.len();
            let kept = Series { histograms: histograms.clone(), ..series.clone() };
            let unit = if random.below(3) > 0 { width_ms } else { 1 };
            let range_ms = unit * (1 + random.below(8_000_000 / unit as u64) as i64);
            let end = end_of(random.below(9_000_000) as i64, unit);
            let grid = Grid::range_ms(TimestampMs(end), TimestampMs(end), 1);
            for function in functions.iter().copied() {
                if is_exact_without(Some(function), &gaps, end - range_ms, end) {
                    exact += 1;
                    let of_all = said(function, (&series, &[]), grid, range_ms);
                    assert_eq!(said(function, (&kept, &gaps), grid, range_ms), of_all, "{function:?}[{range_ms}] at {end}");
                }
            }
        }
        assert!(exact > 1_000 && less > 10_000, "{exact} exact answers, {less} samples left out");
    }
}
