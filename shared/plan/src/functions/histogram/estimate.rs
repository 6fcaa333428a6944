//! What is estimated of the observations behind a native histogram: quantiles, fractions, their variance.

use model::Histogram;

use super::super::exponent::{exp2, log2};
use super::super::float::Kahan;
use super::{Bucket, buckets};

/// What `quantile` and `fraction` have to say about NaN observations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NanNote {
    /// Nothing.
    None,
    /// The result is NaN because of them.
    Result,
    /// The result is skewed, or excludes them.
    Skew,
}

/// The φ-quantile by exponential (custom buckets, zero bucket: linear) interpolation.
pub fn quantile(q: f64, h: &Histogram) -> (f64, NanNote) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, NanNote::None);
    }
    if q > 1.0 {
        return (f64::INFINITY, NanNote::None);
    }
    if h.count == 0.0 || q.is_nan() {
        return (f64::NAN, NanNote::None);
    }
    let forward = h.sum.is_nan() || q < 0.5;
    let mut all = buckets(h);
    let mut rank = if forward { q * h.count } else { (1.0 - q) * h.count };
    if !forward {
        all.reverse();
    }
    let mut rest = all.into_iter();
    let mut bucket = Bucket { lower: 0.0, upper: 0.0, count: 0.0, lower_inclusive: false, upper_inclusive: false };
    let mut count = 0.0;
    for next in rest.by_ref() {
        bucket = next;
        count += bucket.count;
        if bucket.count != 0.0 && count >= rank {
            break;
        }
    }
    let custom = h.uses_custom_buckets();
    if !custom && bucket.lower < 0.0 && bucket.upper > 0.0 {
        if h.negative_buckets.is_empty() && !h.positive_buckets.is_empty() {
            bucket.lower = 0.0;
        } else if h.positive_buckets.is_empty() && !h.negative_buckets.is_empty() {
            bucket.upper = 0.0;
        }
    } else if custom && bucket.lower == f64::NEG_INFINITY {
        if bucket.upper <= 0.0 {
            return (bucket.upper, NanNote::None);
        }
        bucket.lower = 0.0;
    } else if custom && bucket.upper == f64::INFINITY {
        return (bucket.lower, NanNote::None);
    }
    count = if count > h.count { h.count } else { count };
    if count < rank {
        return if h.sum.is_nan() { (f64::NAN, NanNote::Result) } else { (bucket.upper, NanNote::None) };
    }
    rank = if forward { rank - (count - bucket.count) } else { count - rank };
    let fraction = rank / bucket.count;
    let mut note = NanNote::None;
    if h.sum.is_nan() {
        // Upstream moves its bucket along while it counts the rest; the interpolation below uses the last one.
        for next in rest {
            bucket = next;
            count += bucket.count;
        }
        if count < h.count {
            note = NanNote::Skew;
        }
    }
    let fraction = if h.sum.is_nan() { rank / bucket.count } else { fraction };
    if custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return (bucket.lower + (bucket.upper - bucket.lower) * fraction, note);
    }
    let (lower, upper) = (log2(bucket.lower.abs()), log2(bucket.upper.abs()));
    if bucket.lower > 0.0 {
        return (exp2(lower + (upper - lower) * fraction), note);
    }
    (-exp2(upper + (lower - upper) * (1.0 - fraction)), note)
}

/// The fraction of observations between two values.
pub fn fraction(lower: f64, upper: f64, h: &Histogram) -> (f64, NanNote) {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, NanNote::None);
    }
    if lower >= upper {
        return (0.0, NanNote::None);
    }
    let all = buckets(h);
    let rank_of = |value: f64| -> Option<f64> {
        let mut rank = 0.0;
        for b in &all {
            let mut b = *b;
            let zero = b.lower <= 0.0 && b.upper >= 0.0;
            if zero && h.negative_buckets.is_empty() && !h.positive_buckets.is_empty() {
                b.lower = 0.0;
            } else if zero && h.positive_buckets.is_empty() && !h.negative_buckets.is_empty() {
                b.upper = 0.0;
            }
            if b.lower >= value {
                return Some(rank);
            }
            if b.upper > value {
                let linear = h.uses_custom_buckets() || zero;
                let inside = if linear && b.lower == f64::NEG_INFINITY {
                    b.count
                } else {
                    rank + b.count * b.fraction_below(value, linear)
                };
                return Some(inside);
            }
            rank += b.count;
        }
        None
    };
    let mut note = NanNote::None;
    let mut count = h.count;
    if h.sum.is_nan() {
        count = all.iter().map(|b| b.count).sum();
        if count < h.count {
            note = NanNote::Skew;
        }
    }
    let clamp = |rank: Option<f64>| rank.filter(|r| *r <= count || r.is_nan()).unwrap_or(count);
    ((clamp(rank_of(upper)) - clamp(rank_of(lower))) / h.count, note)
}

/// Variance estimated from the buckets' middles.
pub fn variance(h: &Histogram) -> f64 {
    let mean = h.sum / h.count;
    let mut acc = Kahan::default();
    for b in buckets(h).iter().filter(|b| b.count != 0.0) {
        let value = if h.uses_custom_buckets() {
            (b.upper + b.lower) / 2.0
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            (b.upper * b.lower).sqrt() * if b.upper < 0.0 { -1.0 } else { 1.0 }
        };
        let delta = value - mean;
        acc.add(b.count * delta * delta);
    }
    acc.total() / h.count
}
