//! Native histograms of aligned windows: those samples that say everything rates, resets and edges ask, and how many there were.
//!
//! Between two samples that are kept lie only ones each of which has *grown* out of the one before: the same layout, nothing smaller.
//! No reset, change of schema or change of hint is among them, so that whoever goes from kept sample to kept sample meets the same resets,
//! layouts and hints, and subtracts and adds the same histograms in the same order (D1). What is lost is their number, which
//! windows keep.

use super::{Window, end_of};
use crate::histogram::{CounterResetHint, entries};
use crate::{Histogram, Span};

/// What is kept of the histograms of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thinned {
    /// Places of the samples that are kept, ascending.
    pub kept: Vec<usize>,
    /// Per window with samples that are not stale markers: how many, the first and the last time. Values are 0.
    pub windows: Vec<Window>,
}

/// Chooses what to keep of samples at ascending times.
pub fn thin<'a>(width_ms: i64, samples: impl Iterator<Item = (i64, &'a Histogram)>) -> Thinned {
    let mut thinned = Thinned::default();
    let mut previous: Option<(i64, usize, &Histogram)> = None;
    for (place, (at, histogram)) in samples.enumerate() {
        let end = end_of(at, width_ms);
        let goes_on = previous.is_some_and(|(before, _, of)| before == end && has_grown(histogram, of));
        if !goes_on {
            previous.iter().for_each(|(_, place, _)| thinned.keep(*place));
            thinned.keep(place);
        }
        if !histogram.is_stale() {
            thinned.count(at, end, width_ms);
        }
        previous = Some((end, place, histogram));
    }
    previous.iter().for_each(|(_, place, _)| thinned.keep(*place));
    thinned
}

impl Thinned {
    fn keep(&mut self, place: usize) {
        if self.kept.last() != Some(&place) {
            self.kept.push(place);
        }
    }

    fn count(&mut self, at: i64, end: i64, width_ms: i64) {
        if self.windows.last().is_none_or(|last| last.end != end) {
            self.windows.push(Window { first_at: at, ..Window::empty(end.saturating_sub(width_ms), end) });
        }
        let window = self.windows.last_mut().expect("one was pushed above");
        (window.count, window.last_at) = (window.count + 1, at);
    }
}

/// Reports whether a histogram is the one before and more: certainly no reset, and nothing about it is new but its numbers.
pub fn has_grown(next: &Histogram, before: &Histogram) -> bool {
    let sides =
        |of: &Histogram| [buckets(&of.positive_spans, &of.positive_buckets), buckets(&of.negative_spans, &of.negative_buckets)];
    let is_stated = next.counter_reset_hint == CounterResetHint::Reset || next.is_stale() || before.is_stale();
    let is_alike = next.counter_reset_hint == before.counter_reset_hint
        && next.schema == before.schema
        && next.zero_threshold == before.zero_threshold
        && next.custom_values == before.custom_values;
    !is_stated
        && is_alike
        && next.count >= before.count
        && next.zero_count >= before.zero_count
        && sides(next).iter().zip(&sides(before)).all(|(next, before)| covers(next, before))
}

/// Buckets by index, those without observations left out; ascending.
fn buckets(spans: &[Span], counts: &[f64]) -> Vec<(i64, f64)> {
    entries(spans, counts).filter(|(_, count)| *count != 0.0).collect()
}

/// Reports whether each bucket holds at least what it held before.
fn covers(next: &[(i64, f64)], before: &[(i64, f64)]) -> bool {
    let mut next = next.iter().peekable();
    before.iter().all(|(index, least)| {
        // A bucket that is new must not have less than nothing.
        while let Some((_, count)) = next.next_if(|(at, _)| at < index) {
            if count.is_nan() || *count < 0.0 {
                return false;
            }
        }
        next.next_if(|(at, _)| at == index).is_some_and(|(_, count)| count >= least)
    }) && next.all(|(_, count)| *count >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::STALE_NAN;

    fn histogram(buckets: [f64; 3]) -> Histogram {
        let count = buckets.iter().sum();
        let positive_spans = vec![Span { offset: 1, length: 2 }, Span { offset: 3, length: 1 }];
        Histogram { count, sum: count * 2.0, positive_spans, positive_buckets: buckets.to_vec(), ..Histogram::default() }
    }

    #[test]
    fn growing_is_more_of_the_same() {
        let before = histogram([1.0, 0.0, 5.0]);
        let grown = histogram([1.0, 2.0, 5.0]);
        assert!(has_grown(&grown, &before) && has_grown(&before, &before));
        assert!(!has_grown(&before, &grown));
        let moved = Histogram { positive_spans: vec![Span { offset: 2, length: 3 }], ..grown.clone() };
        // A bucket is gone, or one came.
        assert!(!has_grown(&moved, &before));
        let wider = Histogram {
            positive_spans: vec![Span { offset: 0, length: 7 }],
            positive_buckets: vec![0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 5.0],
            ..before.clone()
        };
        assert!(has_grown(&wider, &before) && has_grown(&before, &wider));
        let more_below =
            Histogram { negative_spans: vec![Span { offset: 0, length: 1 }], negative_buckets: vec![1.0], ..grown.clone() };
        assert!(has_grown(&more_below, &before) && !has_grown(&grown, &more_below));
        for other in [
            Histogram { counter_reset_hint: CounterResetHint::Reset, ..grown.clone() },
            Histogram { counter_reset_hint: CounterResetHint::Gauge, ..grown.clone() },
            Histogram { schema: 1, ..grown.clone() },
            Histogram { zero_threshold: 0.5, ..grown.clone() },
            Histogram { zero_count: f64::NAN, ..grown.clone() },
            Histogram { count: 3.0, ..grown.clone() },
            Histogram { sum: STALE_NAN, ..grown.clone() },
        ] {
            assert!(!has_grown(&other, &before), "{other:?}");
        }
    }

    #[test]
    fn edges_resets_and_markers_are_kept() {
        let mut samples: Vec<(i64, Histogram)> = (1..=40).map(|at| (at * 15_000, histogram([at as f64, 1.0, 2.0]))).collect();
        samples[9].1 = histogram([0.0, 0.0, 1.0]);
        (10..20).for_each(|at| samples[at].1 = histogram([at as f64, 1.0, 2.0]));
        samples[30].1.sum = STALE_NAN;
        let thinned = thin(300_000, samples.iter().map(|(at, of)| (*at, of)));
        // First and last of a window, the reset and the one before it, the marker between its neighbours.
        assert_eq!(thinned.kept, [0, 8, 9, 19, 20, 29, 30, 31, 39]);
        let counted = |window: &Window| (window.start, window.end, window.count, window.first_at, window.last_at);
        assert_eq!(
            thinned.windows.iter().map(counted).collect::<Vec<_>>(),
            [(0, 300_000, 20, 15_000, 300_000), (300_000, 600_000, 19, 315_000, 600_000)]
        );
        assert_eq!(thin(300_000, std::iter::empty()), Thinned::default());
    }
}
