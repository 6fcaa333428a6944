//! Cutting observations off a native histogram: the operators `</` and `>/`.

use model::Histogram;

use super::{Bucket, compact, side_buckets};

/// Cuts observations above (`upper`) or below a value away.
pub fn trim(h: &Histogram, at: f64, upper: bool) -> Histogram {
    let custom = h.uses_custom_buckets();
    let mut out = h.clone();
    let (mut count, mut sum, mut trimmed) = (0.0, 0.0, false);
    let mut has = [false, false];
    for positive in [true, false] {
        let kept: Vec<f64> = side_buckets(h, positive)
            .iter()
            .map(|b| {
                if b.count == 0.0 {
                    return 0.0;
                }
                has[usize::from(positive)] = true;
                let (whole, part) = if upper { (b.upper <= at, b.lower < at) } else { (b.lower >= at, b.upper > at) };
                let (keep, middle) = if whole {
                    (b.count, midpoint(b.lower, b.upper, positive, custom))
                } else if part {
                    trim_bucket(b, at, upper, positive, custom)
                } else {
                    trimmed = true;
                    return 0.0;
                };
                count += keep;
                sum += middle * keep;
                trimmed |= keep != b.count;
                keep
            })
            .collect();
        *(if positive { &mut out.positive_buckets } else { &mut out.negative_buckets }) = kept;
    }
    if h.zero_count > 0.0 {
        let (mut low, mut high) = (-h.zero_threshold, h.zero_threshold);
        match has {
            [true, false] => high = 0.0,
            [false, true] => low = 0.0,
            _ => {}
        }
        let (keep, middle) = match (upper, at <= low, at >= high) {
            (true, true, _) | (false, false, true) => (0.0, 0.0),
            (true, _, true) | (false, true, _) => (h.zero_count, (low + high) / 2.0),
            (true, ..) => (h.zero_count * ((at - low) / (high - low)), (low + at) / 2.0),
            (false, ..) => (h.zero_count * ((high - at) / (high - low)), (at + high) / 2.0),
        };
        trimmed |= keep != h.zero_count;
        out.zero_count = keep;
        sum += middle * keep;
        count += keep;
    }
    if trimmed {
        out.count = count;
        out.sum = sum;
        compact(&mut out);
    }
    out
}

fn trim_bucket(b: &Bucket, at: f64, upper: bool, positive: bool, custom: bool) -> (f64, f64) {
    let finite = |v: f64| if v.is_infinite() { 0.0 } else { v };
    if b.lower == f64::NEG_INFINITY {
        return if upper {
            if at >= b.upper {
                (b.count, 0.0)
            } else if at > 0.0 && b.upper > 0.0 && b.upper != f64::INFINITY {
                (b.count * at / b.upper, at / 2.0)
            } else if b.upper <= 0.0 {
                (b.count, at)
            } else {
                (0.0, finite(b.upper))
            }
        } else if at <= b.lower {
            (b.count, 0.0)
        } else if at >= 0.0 && b.upper > at && b.upper != f64::INFINITY {
            (b.count * (1.0 - at / b.upper), (at + b.upper) / 2.0)
        } else {
            (0.0, finite(b.upper))
        };
    }
    if b.upper == f64::INFINITY {
        return if !upper && at >= b.lower { (b.count, at) } else { (0.0, finite(b.lower)) };
    }
    let under = if at <= b.lower {
        0.0
    } else if at >= b.upper {
        b.count
    } else {
        b.count * b.fraction_below(at, custom)
    };
    if upper {
        (under, midpoint(b.lower, at, positive, custom))
    } else {
        (b.count - under, midpoint(at, b.upper, positive, custom))
    }
}

fn midpoint(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    if lower.is_infinite() {
        return if upper.is_infinite() {
            0.0
        } else if upper > 0.0 {
            upper / 2.0
        } else {
            upper
        };
    }
    if upper.is_infinite() {
        return lower;
    }
    if linear {
        return (lower + upper) / 2.0;
    }
    let mean = (lower * upper).abs().sqrt();
    if positive { mean } else { -mean }
}
