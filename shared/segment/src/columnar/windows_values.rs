//! Values of windows as the small numbers that are stored, and back: the one place that knows what each of them counts from.
//!
//! Where the series' scale makes them integers, `first` counts from the last value of the window before (of the first window from
//! `v_base`), `last` from `first`, `min` from the smaller and `max` from the larger of the two, `sum` from what a straight line between
//! them would give, `lost` from `first` times the resets. What adding up rounds anyway is kept to the nearest integer or to 24 bits.

use model::windowed::{Quantum, Window};

use crate::SegmentError;
use crate::scale::{nearest, to_int};

/// A value as it is stored: an integer that counts from something, or a double.
pub(super) type Cell = Result<i64, f64>;

/// What is stored of the values of a window; `None` is null.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cells {
    /// In the order of [`crate::schema::WINDOW_VALUES`].
    pub(super) values: [Option<Cell>; 6],
    /// The distance of a sum from what first and last let expect.
    pub(super) sum_off: Option<f64>,
}

/// Goes along the windows of one series.
#[derive(Debug)]
pub(super) struct Chain {
    version: u16,
    divisor: f64,
    /// The last integer so far.
    before: i64,
    quantum: Quantum,
}

/// Version in which values began to count from those of the window before.
pub(super) const CHAINED_SINCE: u16 = 7;

/// Digits of a double that are kept of what is never exact.
const BITS_OF_SUMS: u32 = 23;
/// `m2` is within 0.2 %, a deviation therefore within 0.1 %.
const BITS_OF_M2: u32 = 8;

impl Chain {
    /// Starts at `base`, which the label table has.
    pub(super) fn new(version: u16, divisor: f64, base: i64, quantum: Quantum) -> Chain {
        Chain { version, divisor, before: base, quantum }
    }

    /// Returns what is stored of the next window, which has samples.
    pub(super) fn encode(&mut self, window: &Window) -> Cells {
        let int = |value: f64| to_int(value, self.divisor);
        let (first, last) = (int(window.first), int(window.last));
        let from = |value: Option<i64>, start: Option<i64>| value.zip(start).map(|(value, start)| value - start);
        let cell = |int: Option<i64>, value: f64| Some(int.ok_or(value));
        let (least, most) = edges(window.first, window.last);
        let [low, high] = [i64::min, i64::max].map(|edge| first.zip(last).map(|(first, last)| edge(first, last)));
        let differs = |value: f64, edge: f64| value.to_bits() != edge.to_bits();
        let (sum, sum_off) = self.encode_sum(window, first.zip(last));
        let values = [
            cell(from(first, Some(self.before)), window.first),
            cell(from(last, first.or(Some(self.before))), window.last),
            cell(from(int(window.min), low), window.min).filter(|_| differs(window.min, least)),
            cell(from(int(window.max), high), window.max).filter(|_| differs(window.max, most)),
            sum,
            self.encode_lost(window, first).filter(|_| window.resets > 0),
        ];
        self.before = last.or(first).unwrap_or(self.before);
        Cells { values, sum_off }
    }

    fn encode_sum(&self, window: &Window, edges: Option<(i64, i64)>) -> (Option<Cell>, Option<f64>) {
        let total = window.total();
        let is_exact = |sum: f64| Window { sum, compensation: 0.0, quantum: self.quantum, ..*window }.sum_is_exact();
        // Nobody may take it for exact once it is rounded.
        let may_round = |sum: f64| !is_exact(total) && !is_exact(sum);
        let int = to_int(total, self.divisor)
            .or_else(|| nearest(total, self.divisor).filter(|int| may_round(*int as f64 / self.divisor)));
        if let Some((int, line)) = int.zip(edges.and_then(|edges| straight(window.count, edges))) {
            return (Some(Ok(int.wrapping_sub(line))), None);
        }
        let off = rounded(total - expected(window), BITS_OF_SUMS);
        match off.is_finite() && may_round(expected(window) + off) {
            true => (None, Some(off)),
            false => (Some(Err(total)), None),
        }
    }

    fn encode_lost(&self, window: &Window, first: Option<i64>) -> Option<Cell> {
        let is_exact = Window { quantum: self.quantum, ..*window }.increase_is_exact();
        let int = to_int(window.lost, self.divisor).or_else(|| nearest(window.lost, self.divisor).filter(|_| !is_exact));
        let int = int.zip(first).and_then(|(int, first)| int.checked_sub(first.checked_mul(i64::from(window.resets))?));
        Some(int.ok_or(if is_exact { window.lost } else { rounded(window.lost, BITS_OF_SUMS) }))
    }

    /// Puts what was stored of the next window into it; its count and resets are there already. What was not read is null.
    pub(super) fn decode(&mut self, cells: &Cells, reads_sum: bool, window: &mut Window) -> Result<(), SegmentError> {
        let [first, last, min, max, sum, lost] = cells.values;
        let is_chained = self.version >= CHAINED_SINCE;
        let add = |cell: Option<Cell>, start: Option<i64>| match cell {
            Some(Ok(int)) => start.map(|start| int.wrapping_add(start)).ok_or_else(broken).map(Some),
            _ => Ok(None),
        };
        let value = |cell: Option<Cell>, int: Option<i64>, otherwise: Option<f64>| match (int, cell) {
            (Some(int), _) => Ok(int as f64 / self.divisor),
            (None, Some(Err(double))) => Ok(double),
            (None, _) => otherwise.ok_or_else(broken),
        };
        let first_int = add(first, Some(self.before))?;
        let last_int = add(last, first_int.or(is_chained.then_some(self.before)))?;
        window.first = value(first, first_int, None)?;
        window.last = value(last, last_int, None)?;
        let (least, most) = edges(window.first, window.last);
        let [low, high] = match is_chained {
            true => [i64::min, i64::max].map(|edge| first_int.zip(last_int).map(|(first, last)| edge(first, last))),
            false => [first_int, first_int],
        };
        window.min = value(min, add(min, low)?, Some(least))?;
        window.max = value(max, add(max, high)?, Some(most))?;
        if reads_sum {
            let line = match is_chained {
                true => first_int.zip(last_int).and_then(|edges| straight(window.count, edges)),
                false => first_int.map(|first| first.wrapping_mul(window.count as i64)),
            };
            window.sum = value(sum, add(sum, line)?, cells.sum_off.map(|off| expected(window) + off))?;
        }
        let start = first_int.map(|first| first.wrapping_mul(i64::from(window.resets)));
        window.lost = value(lost, add(lost, start)?, Some(0.0))?;
        window.quantum = self.quantum;
        if is_chained {
            self.before = last_int.or(first_int).unwrap_or(self.before);
        }
        Ok(())
    }
}

pub(super) fn broken() -> SegmentError {
    SegmentError::corrupt("windows do not agree with their columns")
}

/// Returns the smaller and the larger of a window's first and last value, as a scan of the two finds them: what `min` and `max` are
/// where they are null.
fn edges(first: f64, last: f64) -> (f64, f64) {
    let least = if last < first || first.is_nan() { last } else { first };
    let most = if last > first || first.is_nan() { last } else { first };
    (least, most)
}

/// Adds up `count` integers on a straight line from the first to the last, rounded down.
fn straight(count: u64, (first, last): (i64, i64)) -> Option<i64> {
    Some(first.checked_add(last)?.checked_mul(i64::try_from(count).ok()?)? >> 1)
}

/// Likewise of doubles.
fn expected(window: &Window) -> f64 {
    window.count as f64 * (window.first / 2.0 + window.last / 2.0)
}

/// Returns `m2` as it is stored.
pub(super) fn short_m2(m2: f64) -> f64 {
    rounded(m2, BITS_OF_M2)
}

/// Keeps some bits of the fraction, rounded to the nearest.
fn rounded(value: f64, bits: u32) -> f64 {
    if value.is_nan() {
        // Its payload may be all ones: the carry would make a number of it.
        return value;
    }
    let dropped = 52 - bits;
    let short = f64::from_bits((value.to_bits() + (1 << (dropped - 1))) >> dropped << dropped);
    if short.is_finite() { short } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::windowed;

    /// Samples through windows into cells and back.
    fn round_trip(values: &[f64], divisor: f64) -> Vec<(Window, Window)> {
        let timestamps: Vec<i64> = (0..values.len() as i64).map(|at| at * 15_000 + 1).collect();
        let windows = windowed::windows(300_000, &timestamps, values);
        let quantum = windows.iter().fold(Quantum::OF_ZERO, |all, window| all.and(window.quantum));
        let base = to_int(windows[0].first, divisor).unwrap_or(0);
        let (mut there, mut back) =
            (Chain::new(CHAINED_SINCE, divisor, base, quantum), Chain::new(CHAINED_SINCE, divisor, base, quantum));
        let pairs = windows.into_iter().map(|window| {
            let mut found = Window { count: window.count, resets: window.resets, ..Window::empty(window.start, window.end) };
            back.decode(&there.encode(&window), true, &mut found).unwrap();
            (Window { quantum, ..window }, found)
        });
        pairs.collect()
    }

    #[test]
    fn what_is_exact_comes_back_to_the_bit_and_the_rest_nearly() {
        let counter: Vec<f64> = (0..100).map(|step| f64::from(step % 37 * 1_001)).collect();
        let decimals: Vec<f64> = (0..100).map(|step| f64::from(step * 7919 % 1000) / 100.0).collect();
        let fractions: Vec<f64> = (1..100).map(|step| 1.0 / f64::from(step * 7919 % 1000)).collect();
        let mut odd = counter.clone();
        (odd[3], odd[25], odd[41], odd[60]) = (f64::from_bits(u64::MAX >> 1), -0.0, f64::INFINITY, 1e300);
        for (values, divisor) in [(counter, 1.0), (decimals, 100.0), (fractions, 1.0), (odd, 1.0)] {
            for (window, found) in round_trip(&values, divisor) {
                let bits = |window: &Window| [window.first, window.last, window.min, window.max].map(f64::to_bits);
                assert_eq!(bits(&window), bits(&found), "{window:?}");
                assert_eq!(window.sum_is_exact(), found.sum_is_exact());
                assert_eq!(window.increase_is_exact(), found.increase_is_exact());
                let near =
                    |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan() || (a - b).abs() < 1e-6 * a.abs();
                assert!(near(window.total(), found.sum) && near(window.lost, found.lost), "{window:?} {found:?}");
                if window.sum_is_exact() {
                    assert_eq!(window.total().to_bits(), found.sum.to_bits());
                }
                if window.increase_is_exact() {
                    assert_eq!(window.lost.to_bits(), found.lost.to_bits());
                }
            }
        }
    }

    #[test]
    fn a_counter_is_small_numbers() {
        let values: Vec<f64> = (0..100).map(|step| f64::from(1_000_000 + step * 10)).collect();
        let (divisor, base) = (1.0, 1_000_000);
        let mut chain = Chain::new(CHAINED_SINCE, divisor, base, Quantum::of(1.0));
        let timestamps: Vec<i64> = (0..100).map(|at| at * 15_000 + 1).collect();
        for (at, window) in windowed::windows(300_000, &timestamps, &values).iter().enumerate() {
            let first = if at == 0 { 0 } else { 10 };
            let cells = [Some(Ok(first)), Some(Ok(190)), None, None, Some(Ok(0)), None];
            assert_eq!(chain.encode(window), Cells { values: cells, sum_off: None });
        }
    }

    #[test]
    fn rounding_keeps_the_leading_bits() {
        for (value, bits, expected) in [(1.0, 8, 1.0), (1.0 + 1.0 / 512.0, 8, 1.0 + 1.0 / 256.0), (f64::MAX, 8, f64::MAX)] {
            assert_eq!(rounded(value, bits), expected);
        }
        assert_eq!(rounded(f64::INFINITY, 8), f64::INFINITY);
        for nan in [f64::NAN.to_bits(), u64::MAX >> 1, u64::MAX] {
            assert!(rounded(f64::from_bits(nan), 8).is_nan(), "{nan:x}");
        }
    }
}
