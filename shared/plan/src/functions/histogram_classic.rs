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

/// The φ-quantile, with the correction made to get there. Buckets are left in order and corrected: as upstream, the next quantile of the
/// same ones has nothing to correct.
pub fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Correction) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if !prepare(buckets) {
        return (f64::NAN, None);
    }
    let correction = make_monotonic(buckets);
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

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    /// Ten observations in (0, 1], ten in (1, 2].
    const EVEN: &[(f64, f64)] = &[(1.0, 10.0), (2.0, 20.0), (INF, 20.0)];

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|&(upper, count)| Bucket { upper, count }).collect()
    }

    fn same(got: f64, want: f64) -> bool {
        got == want || (got - want).abs() < 1e-12 || (got.is_nan() && want.is_nan())
    }

    #[test]
    fn quantiles_interpolate_within_a_bucket() {
        for (q, pairs, want) in [
            (NAN, EVEN, NAN),
            (-0.1, EVEN, -INF),
            (1.1, EVEN, INF),
            (0.25, EVEN, 0.5),
            (0.5, EVEN, 1.0),
            (0.75, EVEN, 1.5),
            (1.0, EVEN, 2.0),
            // The order of the series says nothing.
            (0.75, &[(INF, 20.0), (2.0, 20.0), (1.0, 10.0)], 1.5),
            // Equal bounds ("1" and "1.0") are one bucket.
            (0.5, &[(1.0, 5.0), (1.0, 5.0), (2.0, 20.0), (INF, 20.0)], 1.0),
            // Without +Inf nobody knows how many there were.
            (0.5, &[(1.0, 10.0), (2.0, 20.0)], NAN),
            (0.5, &[], NAN),
            (0.5, &[(INF, 10.0)], NAN),
            (0.5, &[(1.0, 0.0), (INF, 0.0)], NAN),
            // Ranks in the last bucket answer its lower bound.
            (0.9, &[(1.0, 10.0), (2.0, 20.0), (INF, 40.0)], 2.0),
            (1.0, &[(1.0, 0.0), (INF, 40.0)], 1.0),
            // The first bucket starts at zero, unless it ends there or below.
            (0.1, &[(5.0, 10.0), (INF, 10.0)], 0.5),
            (0.25, &[(0.0, 10.0), (1.0, 20.0), (INF, 20.0)], 0.0),
            (0.25, &[(-1.0, 10.0), (1.0, 20.0), (INF, 20.0)], -1.0),
            (0.75, &[(-1.0, 10.0), (1.0, 20.0), (INF, 20.0)], 0.0),
        ] {
            let (got, correction) = quantile(q, &mut buckets(pairs));
            assert!(same(got, want), "quantile {q} of {pairs:?}: {got}, want {want}");
            assert_eq!(correction, None, "quantile {q} of {pairs:?}");
        }
    }

    #[test]
    fn dips_are_levelled_and_reported() {
        for (q, pairs, want, correction) in [
            (0.75, &[(1.0, 10.0), (2.0, 8.0), (3.0, 20.0), (INF, 20.0)][..], 2.5, Some((2.0, 2.0, 2.0))),
            (0.75, &[(1.0, 10.0), (2.0, 8.0), (3.0, 5.0), (4.0, 20.0), (INF, 20.0)], 3.5, Some((2.0, 3.0, 5.0))),
            (1.0, &[(1.0, 10.0), (2.0, 12.0), (INF, 11.0)], 2.0, Some((INF, INF, 1.0))),
            // What rounding may have done, up to 1e-12 of the counts, is levelled silently.
            (0.5, &[(1.0, 1.0), (2.0, 1.0 - 1e-13), (INF, 2.0)], 1.0, None),
            (0.5, &[(1.0, 1.0), (2.0, 0.75), (INF, 2.0)], 1.0, Some((2.0, 2.0, 0.25))),
        ] {
            let (got, found) = quantile(q, &mut buckets(pairs));
            assert!(same(got, want), "quantile {q} of {pairs:?}: {got}, want {want}");
            assert_eq!(found, correction, "quantile {q} of {pairs:?}");
        }
        let mut dipped = buckets(&[(2.0, 8.0), (1.0, 10.0), (3.0, 20.0), (INF, 20.0)]);
        assert_eq!(quantile(0.75, &mut dipped), (2.5, Some((2.0, 2.0, 2.0))));
        assert_eq!(quantile(0.75, &mut dipped), (2.5, None));
    }

    #[test]
    fn fractions_are_differences_of_ranks() {
        for (lower, upper, pairs, want) in [
            (0.0, 1.0, EVEN, 0.5),
            (0.5, 1.5, EVEN, 0.5),
            (-INF, INF, EVEN, 1.0),
            (2.0, INF, EVEN, 0.0),
            (1.0, 1.0, EVEN, 0.0),
            (2.0, 1.0, EVEN, 0.0),
            (NAN, 1.0, EVEN, NAN),
            (0.0, NAN, EVEN, NAN),
            (0.0, 1.0, &[(1.0, 10.0)], NAN),
            (0.0, 1.0, &[(1.0, 0.0), (INF, 0.0)], NAN),
        ] {
            let got = fraction(lower, upper, buckets(pairs));
            assert!(same(got, want), "fraction ({lower}, {upper}] of {pairs:?}: {got}, want {want}");
        }
    }
}
