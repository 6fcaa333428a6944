//! Doubles as scaled integers: `v_int / divisor(scale)` gives the exact bits back, or the value stays a double.

/// Largest decimal exponent: what sensors, seconds and percentages have.
const DECIMALS_MAX: i8 = 4;
/// Integers beyond 2^51 are left to doubles: exact in f64, and the rounding trick below holds.
const INT_MAX: f64 = (1u64 << 51) as f64;
/// Adding and subtracting 1.5 × 2^52 rounds to the nearest integer.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Returns what `v_int` is divided by: a power of ten for `scale >= 0`, a negative power of two below.
pub(crate) fn divisor(scale: i8) -> f64 {
    match scale {
        0.. => 10f64.powi(i32::from(scale)),
        _ => 2f64.powi(i32::from(scale)),
    }
}

/// Returns the integer that gives the value's bits back, where there is one.
#[inline]
pub(crate) fn to_int(value: f64, divisor: f64) -> Option<i64> {
    let scaled = value * divisor;
    let rounded = (scaled + ROUND) - ROUND;
    // The comparison of bits keeps -0.0, NaN and infinities out.
    (rounded.abs() < INT_MAX && (rounded / divisor).to_bits() == value.to_bits()).then_some(rounded as i64)
}

/// Returns the integer that gives all but the last digits of a value back: sums of decimals are decimals, but for what adding them up
/// rounded.
pub(crate) fn nearest(value: f64, divisor: f64) -> Option<i64> {
    const OFF_MAX: f64 = 1.0 / (1u64 << 32) as f64;
    let rounded = (value * divisor + ROUND) - ROUND;
    let is_near = (rounded / divisor - value).abs() <= value.abs() * OFF_MAX;
    (rounded.abs() < INT_MAX && is_near).then_some(rounded as i64)
}

/// Splits the values of a series: integers with their scale where they fit, the rest stays double.
pub(crate) struct Split {
    pub(crate) scale: i8,
    /// Per value, whether it is an integer.
    pub(crate) is_int: Vec<bool>,
    pub(crate) ints: Vec<i64>,
    pub(crate) doubles: Vec<f64>,
}

impl Split {
    /// Chooses the smallest exponent under which nearly all values are integers; without one, all stay doubles.
    pub(crate) fn of(values: &[f64]) -> Split {
        let probe = values.len().div_ceil(32);
        let fits = |scale: &i8| {
            let divisor = divisor(*scale);
            let probed = values.iter().step_by(probe.max(1)).filter(|value| value.is_finite());
            let (mut count, mut misses) = (0, 0);
            probed.for_each(|value| {
                count += 1;
                misses += usize::from(to_int(*value, divisor).is_none());
            });
            count > 0 && misses * 16 <= count
        };
        let candidate = (0..=DECIMALS_MAX).find(fits).map(|scale| Split::with(values, scale));
        match candidate {
            // A probe may mislead: one value in eight as a double costs more than the integers gain.
            Some(split) if split.doubles.len() * 8 <= values.len() => split.reduced(),
            _ => Split { scale: 0, is_int: vec![false; values.len()], ints: Vec::new(), doubles: values.to_vec() },
        }
    }

    fn with(values: &[f64], scale: i8) -> Split {
        let divisor = divisor(scale);
        let mut split = Split {
            scale,
            is_int: Vec::with_capacity(values.len()),
            ints: Vec::with_capacity(values.len()),
            doubles: Vec::new(),
        };
        for value in values {
            let int = to_int(*value, divisor);
            split.is_int.push(int.is_some());
            match int {
                Some(int) => split.ints.push(int),
                None => split.doubles.push(*value),
            }
        }
        split
    }

    /// Takes a common power of two out of whole numbers: pages of memory, counts of bytes.
    fn reduced(mut self) -> Split {
        let zeros = self.ints.iter().fold(0i64, |all, int| all | int).trailing_zeros();
        if self.scale == 0 && (1..=50).contains(&zeros) {
            self.ints.iter_mut().for_each(|int| *int >>= zeros);
            self.scale = -(zeros as i8);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(split: &Split) -> Vec<u64> {
        let (mut ints, mut doubles) = (split.ints.iter(), split.doubles.iter());
        let value = |is_int: &bool| match is_int {
            true => *ints.next().unwrap() as f64 / divisor(split.scale),
            false => *doubles.next().unwrap(),
        };
        split.is_int.iter().map(value).map(f64::to_bits).collect()
    }

    #[test]
    fn every_bit_comes_back() {
        let pages: Vec<f64> = (0..100).map(|i| f64::from(i * 4096)).collect();
        let cents: Vec<f64> = (0..1000).map(|i| f64::from(i * 7) / 100.0).collect();
        let ratios: Vec<f64> = (1..100).map(|i| 1.0 / f64::from(i)).collect();
        let mut odd: Vec<f64> = (0..200).map(f64::from).collect();
        odd.extend([f64::NAN, f64::INFINITY, -0.0, model::STALE_NAN, 1e300, (1u64 << 60) as f64]);
        for (values, scale, doubles) in [(pages, -12, 0), (cents, 2, 0), (ratios, 0, 99), (odd, 0, 6), (vec![], 0, 0)] {
            let split = Split::of(&values);
            assert_eq!((split.scale, split.doubles.len()), (scale, doubles));
            assert_eq!(joined(&split), values.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
        }
    }
}
