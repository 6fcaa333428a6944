//! Quantiles and fractions of classic histograms (upstream `promql/quantile.go`).

use super::float::almost_equal;

/// Upper bound and cumulative count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// `le`.
    pub upper: f64,
    /// Observations up to `le`.
    pub count: f64,
}

/// Where monotonicity had to be forced: least and greatest bound, greatest correction.
pub type Correction = Option<(f64, f64, f64)>;

fn prepare(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|a, b| a.upper.partial_cmp(&b.upper).unwrap_or(std::cmp::Ordering::Equal));
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    true
}

/// The φ-quantile, with the correction made to get there.
pub fn quantile(q: f64, mut buckets: Vec<Bucket>) -> (f64, Correction) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if !prepare(&mut buckets) {
        return (f64::NAN, None);
    }
    let correction = make_monotonic(&mut buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if buckets.len() < 2 || observations == 0.0 {
        return (f64::NAN, correction);
    }
    let mut rank = q * observations;
    let b = buckets[..last].iter().position(|b| b.count >= rank).unwrap_or(last);
    if b == last {
        return (buckets[last - 1].upper, correction);
    }
    if b == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, correction);
    }
    let (mut start, end, mut count) = (0.0, buckets[b].upper, buckets[b].count);
    if b > 0 {
        start = buckets[b - 1].upper;
        count -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    (start + (end - start) * (rank / count), correction)
}

fn make_monotonic(buckets: &mut [Bucket]) -> Correction {
    let mut correction: Correction = None;
    let mut previous = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let current = bucket.count;
        if current == previous {
            continue;
        }
        if almost_equal(previous, current, 1e-12) {
            bucket.count = previous;
        } else if current < previous {
            bucket.count = previous;
            let (min, max, diff) = correction.unwrap_or((f64::INFINITY, f64::NEG_INFINITY, 0.0));
            correction = Some((min.min(bucket.upper), max.max(bucket.upper), diff.max(previous - current)));
        } else {
            previous = current;
        }
    }
    correction
}

/// The fraction of observations in `(lower, upper]`.
pub fn fraction(lower: f64, upper: f64, mut buckets: Vec<Bucket>) -> f64 {
    if !prepare(&mut buckets) {
        return f64::NAN;
    }
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank_of = |value: f64| {
        let mut low = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
        let mut rank = 0.0;
        for bucket in &buckets {
            if low >= value {
                return rank;
            }
            if bucket.upper > value {
                return if low == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    rank + (bucket.count - rank) * (value - low) / (bucket.upper - low)
                };
            }
            rank = bucket.count;
            low = bucket.upper;
        }
        count
    };
    let clamp = |rank: f64| if rank > count { count } else { rank };
    (clamp(rank_of(upper)) - clamp(rank_of(lower))) / count
}
