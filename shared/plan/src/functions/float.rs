//! Float kernels over the values of one window or one step; order of operations as upstream.

/// Kahan–Neumaier sum.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Kahan {
    /// Running sum.
    pub sum: f64,
    /// Compensation.
    pub c: f64,
}

impl Kahan {
    /// Adds a term.
    #[inline]
    pub fn add(&mut self, term: f64) {
        let t = self.sum + term;
        if t.is_infinite() {
            self.c = 0.0;
        } else if self.sum.abs() >= term.abs() {
            self.c += (self.sum - t) + term;
        } else {
            self.c += (term - t) + self.sum;
        }
        self.sum = t;
    }

    /// Returns sum and compensation together.
    #[inline]
    pub fn total(self) -> f64 {
        self.sum + self.c
    }
}

/// Sum of a window.
pub fn sum(values: &[f64]) -> f64 {
    let mut acc = Kahan::default();
    values.iter().for_each(|v| acc.add(*v));
    if acc.sum.is_infinite() { acc.sum } else { acc.total() }
}

/// A mean that sums directly and turns incremental only where the sum would overflow.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    acc: Kahan,
    count: f64,
    incremental: bool,
}

impl Mean {
    /// Starts with the first value.
    pub fn new(first: f64) -> Mean {
        Mean { acc: Kahan { sum: first, c: 0.0 }, count: 1.0, incremental: false }
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.acc;
            next.add(value);
            if !next.sum.is_infinite() {
                self.acc = next;
                return;
            }
            self.incremental = true;
            self.acc.sum /= self.count - 1.0;
            self.acc.c /= self.count - 1.0;
        }
        let q = (self.count - 1.0) / self.count;
        self.acc = Kahan { sum: q * self.acc.sum, c: q * self.acc.c };
        self.acc.add(value / self.count);
    }

    /// Returns the mean.
    pub fn value(self) -> f64 {
        if self.incremental { self.acc.total() } else { self.acc.sum / self.count + self.acc.c / self.count }
    }
}

/// Population variance of a window.
pub fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut aux) = (0.0, Kahan::default(), Kahan::default());
    for v in values {
        count += 1.0;
        let delta = v - mean.total();
        mean.add(delta / count);
        aux.add(delta * (v - mean.total()));
    }
    aux.total() / count
}

/// The φ-quantile, NaN before all else; changes the order of `values`.
pub fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (values.len() as f64 - 1.0);
    let weight = rank - rank.floor();
    // The two values around the rank are found without sorting all.
    let (_, lower, above) = values.select_nth_unstable_by(rank.floor().max(0.0) as usize, |a, b| nan_first(*a, *b));
    let upper = above.iter().copied().min_by(|a, b| nan_first(*a, *b)).unwrap_or(*lower);
    *lower * (1.0 - weight) + upper * weight
}

/// Ascending order with NaN first.
pub fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Median absolute deviation of a window.
pub fn mad(values: &[f64]) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let mut values = values.to_vec();
    let median = quantile(0.5, &mut values);
    values.iter_mut().for_each(|v| *v = (*v - median).abs());
    quantile(0.5, &mut values)
}

/// Least-squares slope and intercept at `intercept_ms`.
pub fn linear_regression(timestamps: &[i64], values: &[f64], intercept_ms: i64) -> (f64, f64) {
    let (mut x_sum, mut y_sum, mut xy_sum, mut x2_sum) = (Kahan::default(), Kahan::default(), Kahan::default(), Kahan::default());
    let mut constant = true;
    let n = values.len() as f64;
    for (t, y) in timestamps.iter().zip(values) {
        constant &= *y == values[0] || std::ptr::eq(y, &raw const values[0]);
        let x = (t - intercept_ms) as f64 / 1e3;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        x2_sum.add(x * x);
    }
    if constant {
        return if values[0].is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, values[0]) };
    }
    let (sx, sy, sxy, sx2) = (x_sum.total(), y_sum.total(), xy_sum.total(), x2_sum.total());
    let slope = (sxy - sx * sy / n) / (sx2 - sx * sx / n);
    (slope, sy / n - slope * sx / n)
}

/// Holt's double exponential smoothing; needs two values.
pub fn double_exponential_smoothing(values: &[f64], sf: f64, tf: f64) -> f64 {
    let (mut s0, mut s1, mut b) = (0.0, values[0], values[1] - values[0]);
    for (index, value) in values.iter().enumerate().skip(1) {
        let x = sf * value;
        if index > 1 {
            b = tf * (s1 - s0) + (1.0 - tf) * b;
        }
        let y = (1.0 - sf) * (s1 + b);
        (s0, s1) = (s1, x + y);
    }
    s1
}

/// Go's `math.Max`: NaN wins over all but +Inf.
pub fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else {
        a.max(b)
    }
}

/// Go's `math.Min`: NaN wins over all but -Inf.
pub fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

/// Reports whether two values differ by less than `epsilon` relative to their sum (upstream `util/almost`).
pub fn almost_equal(a: f64, b: f64, epsilon: f64) -> bool {
    if model::is_stale(a) || model::is_stale(b) {
        return model::is_stale(a) && model::is_stale(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let diff = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < epsilon * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < epsilon
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;

    /// Equal, both NaN, or within 1e-15 of the greater of `scale` and the value wanted.
    fn assert_close(got: f64, want: f64, scale: f64, case: &str) {
        let near = (got - want).abs() <= 1e-15 * scale.max(want.abs());
        assert!(got == want || near || (got.is_nan() && want.is_nan()), "{case}: {got}, want {want}");
    }

    #[test]
    fn sums_keep_what_plain_addition_loses() {
        for (values, want) in [
            (&[][..], 0.0),
            (&[1e100, 1.0, -1e100], 1.0),
            (&[1.0, 1e100, 1.0, -1e100], 2.0),
            (&[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], 1.0),
            (&[9007199254740992.0, 1.0, 1.0], 9007199254740994.0),
            // Once over the top there is no way back.
            (&[f64::MAX, f64::MAX, -f64::MAX], INF),
            (&[INF, 1.0], INF),
            (&[1.0, -INF, 1.0], -INF),
            (&[INF, -INF], NAN),
            (&[NAN, 1.0], NAN),
        ] {
            let got = sum(values);
            assert!(got == want || (got.is_nan() && want.is_nan()), "sum of {values:?}: {got}, want {want}");
        }
    }

    #[test]
    fn means_survive_overflow() {
        for (values, want, scale) in [
            (&[1e100, 1.0, -1e100][..], 1.0 / 3.0, 0.0),
            (&[1.0, 2.0, 6.0], 3.0, 0.0),
            (&[f64::MAX, f64::MAX], f64::MAX, 0.0),
            (&[f64::MAX, f64::MAX, f64::MAX], f64::MAX, 0.0),
            (&[-f64::MAX, -f64::MAX], -f64::MAX, 0.0),
            (&[1e308, 1e308, 2e307], 7.333333333333333e307, 1e308),
            (&[1e308, 1e308, -1e308, -1e308], 0.0, 1e308),
            (&[INF, 1.0], INF, 0.0),
            (&[1.0, -INF, 2.0], -INF, 0.0),
            (&[INF, -INF], NAN, 0.0),
            (&[NAN, 1.0], NAN, 0.0),
        ] {
            let mut mean = Mean::new(values[0]);
            values[1..].iter().for_each(|value| mean.add(*value));
            assert_close(mean.value(), want, scale, &format!("mean of {values:?}"));
        }
    }

    #[test]
    fn variance_is_of_the_population() {
        for (values, want) in
            [(&[5.0][..], 0.0), (&[1.0, 3.0], 1.0), (&[1e9 + 1.0, 1e9 + 3.0], 1.0), (&[1.0, NAN], NAN), (&[1.0, INF], NAN)]
        {
            assert_close(variance(values), want, 0.0, &format!("variance of {values:?}"));
        }
    }

    #[test]
    fn quantiles_are_linear_between_ranks() {
        let four = [4.0, 1.0, 3.0, 2.0];
        for (q, values, want) in [
            (0.5, &[][..], NAN),
            (NAN, &four, NAN),
            (-0.1, &four, -INF),
            (1.1, &four, INF),
            (0.0, &four, 1.0),
            // Rank 0.75 of 0..3.
            (0.25, &four, 1.75),
            (0.5, &four, 2.5),
            (1.0, &four, 4.0),
            (0.0, &[7.0], 7.0),
            (0.9, &[7.0], 7.0),
            // NaN sorts first: it takes the low ranks and leaves the high ones alone.
            (0.0, &[2.0, NAN, 1.0], NAN),
            (0.25, &[2.0, NAN, 1.0], NAN),
            (0.5, &[2.0, NAN, 1.0], 1.0),
            (0.75, &[2.0, NAN, 1.0], 1.5),
            (1.0, &[2.0, NAN, 1.0], 2.0),
        ] {
            assert_close(quantile(q, &mut values.to_vec()), want, 0.0, &format!("quantile {q} of {values:?}"));
        }
    }

    #[test]
    fn slopes_are_per_second() {
        let times = [0, 10_000, 20_000];
        for (values, want) in
            [([1.0, 2.0, 3.0], (0.1, 1.0)), ([5.0, 5.0, 5.0], (0.0, 5.0)), ([0.0, 3.0, 0.0], (0.0, 1.0)), ([INF; 3], (NAN, NAN))]
        {
            let (slope, intercept) = linear_regression(&times, &values, 0);
            assert_close(slope, want.0, 1.0, &format!("slope of {values:?}"));
            assert_close(intercept, want.1, 1.0, &format!("intercept of {values:?}"));
        }
    }
}
