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

/// The φ-quantile; sorts `values`, NaN first.
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
    values.sort_by(|a, b| nan_first(*a, *b));
    let n = values.len() as f64;
    let rank = q * (n - 1.0);
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(n - 1.0);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
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

/// Go's `math.Pow`, which differs from C only in nothing that `powf` does not do alike.
pub fn pow(a: f64, b: f64) -> f64 {
    a.powf(b)
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
