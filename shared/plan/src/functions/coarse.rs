//! Functions over the windows of a coarse copy, each with whether the answer is that of the samples themselves (D1).
//!
//! The order of operations is that of [`super::window`] over samples. An answer is exact where no window straddles an edge of the
//! range and adding up rounds nowhere; otherwise it is the closest defined one: windows at the edges count whole.

mod gaps;

pub use gaps::{Gap, is_exact_without, left_out};

use model::windowed::{NEVER, Window};

use crate::logical::Function;

/// An answer and whether samples would give the same bits.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Approached {
    /// The value.
    pub value: f64,
    /// Whether it is that of the samples.
    pub is_exact: bool,
}

/// Which columns of windows a function reads beside count, first, last and staleness.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// Smallest and largest values.
    pub extremes: bool,
    /// Sums.
    pub sum: bool,
    /// What resets took away.
    pub lost: bool,
    /// Changes.
    pub changes: bool,
    /// Squared distances from the mean.
    pub m2: bool,
}

/// Returns what a function needs; `None` where windows do not answer it. The newest sample and its time have no function of a range.
pub fn needs(function: Option<Function>) -> Option<Needs> {
    use Function::*;
    let none = Needs::default();
    Some(match function {
        None | Some(Timestamp) => none,
        Some(CountOverTime | PresentOverTime | FirstOverTime | LastOverTime | TsOfFirstOverTime | TsOfLastOverTime | Delta) => {
            none
        }
        Some(MinOverTime | MaxOverTime) => Needs { extremes: true, ..none },
        Some(SumOverTime | AvgOverTime) => Needs { extremes: true, sum: true, ..none },
        Some(StddevOverTime | StdvarOverTime) => Needs { extremes: true, sum: true, m2: true, ..none },
        Some(Rate | Increase) => Needs { extremes: true, lost: true, ..none },
        Some(Resets) => Needs { lost: true, ..none },
        Some(Changes) => Needs { changes: true, ..none },
        Some(_) => return None,
    })
}

/// Windows of one series, for functions of a range: those with samples, ascending.
#[derive(Clone, Debug)]
pub struct Ranges {
    windows: Vec<Window>,
}

impl Ranges {
    /// Takes windows that ascend; where two overlap in time, their samples do not.
    pub fn new(windows: &[Window]) -> Ranges {
        Ranges { windows: windows.iter().filter(|window| window.count > 0).copied().collect() }
    }

    /// Evaluates a function over `(start, end]`, and counts the samples that stand behind it; `None` where there is no value.
    pub fn evaluate(&self, function: Function, start: i64, end: i64) -> (usize, Option<Approached>) {
        let from = self.windows.partition_point(|window| window.last_at <= start);
        let to = self.windows.partition_point(|window| window.first_at <= end).max(from);
        let Some((first, rest)) = self.windows[from..to].split_first() else { return (0, None) };
        let mut all = *first;
        rest.iter().for_each(|window| all.merge(window));
        let is_whole = start < all.first_at && all.last_at <= end;
        let answer =
            value(function, &all, start, end).map(|(value, is_exact)| Approached { value, is_exact: is_exact && is_whole });
        (usize::try_from(all.count).unwrap_or(usize::MAX), answer.or_else(|| absent(is_whole)))
    }
}

/// No value where one was asked for: exact where the samples would not give one either.
fn absent(is_whole: bool) -> Option<Approached> {
    (!is_whole).then_some(Approached { value: model::STALE_NAN, is_exact: false })
}

/// Returns the value of a function over everything in `all`, and whether it rounds nowhere else than over samples.
fn value(function: Function, all: &Window, start: i64, end: i64) -> Option<(f64, bool)> {
    use Function::*;
    let count = all.count as f64;
    let seconds = |ms: i64| ms as f64 / 1000.0;
    Some(match function {
        CountOverTime => (count, true),
        PresentOverTime => (1.0, true),
        FirstOverTime => (all.first, true),
        LastOverTime => (all.last, true),
        TsOfFirstOverTime => (seconds(all.first_at), true),
        TsOfLastOverTime => (seconds(all.last_at), true),
        MinOverTime => (all.min, true),
        MaxOverTime => (all.max, true),
        SumOverTime => (all.total(), all.sum_is_exact()),
        AvgOverTime => (all.mean(), all.sum_is_exact()),
        StddevOverTime | StdvarOverTime => {
            // Of one value again and again the variance is 0 over samples too; all others round differently.
            let is_constant = all.min.to_bits() == all.max.to_bits() && all.min.is_finite();
            let variance = if is_constant { 0.0 } else { all.m2 / count };
            (if function == StddevOverTime { variance.sqrt() } else { variance }, is_constant)
        }
        Resets => (f64::from(all.resets), true),
        Changes => (f64::from(all.changes), true),
        Rate => (extrapolated(all, start, end, true, true)?, all.increase_is_exact()),
        Increase => (extrapolated(all, start, end, true, false)?, all.increase_is_exact()),
        Delta => (extrapolated(all, start, end, false, false)?, true),
        _ => return None,
    })
}

/// Prometheus's `extrapolatedRate`. Where windows reach over the edges of the range, their edges are the range's.
fn extrapolated(all: &Window, start: i64, end: i64, is_counter: bool, is_rate: bool) -> Option<f64> {
    if all.count < 2 || all.first_at == all.last_at {
        return None;
    }
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let range = seconds(end - start);
    let (start, end) = (start.min(all.first_at - 1), end.max(all.last_at));
    let mut result = all.last - all.first;
    if is_counter && all.resets > 0 {
        result += all.lost;
    }
    let (mut to_start, mut to_end) = (seconds(all.first_at - start), seconds(end - all.last_at));
    let sampled = seconds(all.last_at - all.first_at);
    let average = sampled / (all.count - 1) as f64;
    let threshold = average * 1.1;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if is_counter && result > 0.0 && all.first >= 0.0 {
        to_start = to_start.min(sampled * (all.first / result));
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    let covered = seconds(end - start);
    if is_rate {
        factor /= covered;
    } else if covered > range {
        // What a wider range gained, by its share.
        factor *= range / covered;
    }
    Some(result * factor)
}

/// The newest sample as of some time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Newest {
    /// Its value and time; `None`: none within the lookback, or the series was stale.
    pub sample: Option<(f64, i64)>,
    /// Whether the samples would say the same.
    pub is_exact: bool,
}

/// Finds the newest sample in `(t - lookback, t]`, unless a stale marker is newer. `windows` ascend, those without samples included.
pub fn newest(windows: &[Window], t: i64, lookback_ms: i64) -> Newest {
    let mut is_exact = true;
    for window in windows[..windows.partition_point(|window| window.start < t)].iter().rev() {
        let marked = window.stale_at != NEVER;
        let stale_by_then = marked && window.stale_at <= t;
        if window.count == 0 || window.first_at > t {
            if stale_by_then {
                return Newest { sample: None, is_exact };
            }
            // An older marker of this window would have been forgotten.
            is_exact &= !marked;
            continue;
        }
        let is_known = window.last_at <= t;
        let (value, at) = if is_known { (window.last, window.last_at) } else { (window.first, window.first_at) };
        // Between first and last the newest is not known: the first stands for it, for as long as the window is wide.
        let reach = if is_known { lookback_ms } else { lookback_ms.max(window.end.saturating_sub(window.start)) };
        is_exact &= is_known && (!marked || stale_by_then);
        let is_stale = stale_by_then && window.stale_at > at;
        let sample = (!is_stale && at > t.saturating_sub(reach)).then_some((value, at));
        return Newest { sample, is_exact };
    }
    Newest { sample: None, is_exact }
}

#[cfg(test)]
mod tests;
