use super::*;
use crate::STALE_NAN;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Irregular scrapes with gaps, resets, stale markers; `dyadic`: values whose sums are exact.
fn samples(random: &mut Random, dyadic: bool) -> (Vec<i64>, Vec<f64>) {
    let (mut timestamps, mut values, mut at, mut counter) = (Vec::new(), Vec::new(), -7_000_000i64, 0.0);
    for _ in 0..random.below(900) {
        at += 1 + match random.below(40) {
            0 => random.below(4_000_000) as i64,
            1 => 59_999,
            _ => random.below(30_000) as i64,
        };
        counter = if random.below(50) == 0 { 0.0 } else { counter + random.below(1000) as f64 / 4.0 };
        timestamps.push(at);
        values.push(match random.below(30) {
            0 => STALE_NAN,
            1 if !dyadic => [f64::NAN, -0.0, 1e300, f64::INFINITY, 0.1][random.below(5) as usize],
            2 => -counter,
            _ if dyadic => counter,
            _ => counter * 0.1,
        });
    }
    (timestamps, values)
}

/// Without what cannot be exact.
fn exact(window: &Window) -> String {
    let certain = Window { sum: 0.0, compensation: 0.0, lost: 0.0, m2: 0.0, ..*window };
    format!(
        "{certain:?} {:?}",
        [window.first, window.last, window.min, window.max].map(|value| (value.to_bits(), value.is_nan()))
    )
}

fn near(a: f64, b: f64, scale: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || !scale.is_finite() || (a - b).abs() <= 1e-9 * scale.abs().max(1.0)
}

fn regrouped(fine: &[Window], width_ms: i64) -> Vec<Window> {
    let mut coarse: Vec<Window> = Vec::new();
    for window in fine {
        let end = end_of(window.end, width_ms);
        match coarse.last_mut() {
            Some(last) if last.end == end => last.merge(window),
            _ => coarse.push(Window { start: end - width_ms, end, ..*window }),
        }
    }
    coarse
}

/// Raw → 5m → 1h is raw → 1h, and so is every other way to get there.
#[test]
fn however_windows_are_made_they_are_the_same() {
    let mut random = Random(20);
    for case in 0..400 {
        let dyadic = case % 2 == 0;
        let (timestamps, values) = samples(&mut random, dyadic);
        let hours = windows(3_600_000, &timestamps, &values);
        let singles = windows(1, &timestamps, &values);
        let cut = random.below(1 + timestamps.len() as u64) as usize;
        let (before, after) = (&timestamps[..cut], &timestamps[cut..]);
        let halves = [windows(300_000, before, &values[..cut]), windows(300_000, after, &values[cut..])].concat();
        for fine in [windows(300_000, &timestamps, &values), singles, windows(60_000, &timestamps, &values), halves] {
            let other = regrouped(&fine, 3_600_000);
            assert_eq!(other.len(), hours.len());
            for (a, b) in hours.iter().zip(&other) {
                assert_eq!(exact(a), exact(b), "case {case}");
                if dyadic {
                    assert_eq!((a.total().to_bits(), a.lost.to_bits()), (b.total().to_bits(), b.lost.to_bits()));
                    assert!(a.sum_is_exact() && a.increase_is_exact());
                }
                let scale = a.max.abs().max(a.min.abs()) * a.count as f64;
                assert!(near(a.total(), b.total(), scale) && near(a.lost, b.lost, scale), "case {case}: {a:?} {b:?}");
                assert!(near(a.m2, b.m2, scale * scale), "case {case}: {a:?} {b:?}");
            }
        }
    }
}

/// The columns are what a plain loop over the samples gives.
#[test]
fn columns_are_what_their_names_say() {
    let mut random = Random(21);
    for _ in 0..200 {
        let (timestamps, values) = samples(&mut random, true);
        for window in windows(300_000, &timestamps, &values) {
            let inside: Vec<(i64, f64)> = timestamps.iter().copied().zip(values.iter().copied()).collect();
            let inside: Vec<(i64, f64)> = inside.into_iter().filter(|(at, _)| window.start < *at && *at <= window.end).collect();
            let kept: Vec<(i64, f64)> = inside.iter().copied().filter(|(_, value)| !is_stale(*value)).collect();
            assert_eq!(window.count as usize, kept.len());
            let stale = inside.iter().filter(|(_, value)| is_stale(*value)).map(|(at, _)| *at).max();
            assert_eq!(window.stale_at, stale.unwrap_or(NEVER));
            let (Some(first), Some(last)) = (kept.first(), kept.last()) else { continue };
            assert_eq!((window.first_at, window.first, window.last_at, window.last), (first.0, first.1, last.0, last.1));
            let numbers: Vec<f64> = kept.iter().map(|(_, value)| *value).collect();
            assert_eq!(window.total(), numbers.iter().sum::<f64>());
            assert_eq!(window.min, numbers.iter().copied().fold(f64::INFINITY, f64::min));
            assert_eq!(window.max, numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            let resets: Vec<f64> = numbers.windows(2).filter(|pair| pair[1] < pair[0]).map(|pair| pair[0]).collect();
            assert_eq!((window.resets as usize, window.lost), (resets.len(), resets.iter().sum()));
            assert_eq!(window.changes as usize, numbers.windows(2).filter(|pair| pair[0] != pair[1]).count());
            let mean = window.total() / window.count as f64;
            let m2: f64 = numbers.iter().map(|value| (value - mean) * (value - mean)).sum();
            assert!((window.m2 - m2).abs() <= 1e-6 * m2.max(1.0), "{} {m2}", window.m2);
        }
    }
}

#[test]
fn windows_are_open_at_the_start() {
    let found = windows(300_000, &[300_000, 300_001, 600_000, 600_001], &[1.0; 4]);
    assert_eq!(
        found.iter().map(|window| (window.end, window.count)).collect::<Vec<_>>(),
        [(300_000, 1), (600_000, 2), (900_000, 1)]
    );
    assert_eq!(end_of(-1, 300_000), 0);
}

#[test]
fn rounding_sums_are_not_called_exact() {
    let tenths = windows(300_000, &[1, 2, 3], &[0.1, 0.2, 0.3]);
    assert!(!tenths[0].sum_is_exact() && tenths[0].increase_is_exact());
    let twice_reset = windows(300_000, &[1, 2, 3, 4], &[0.3, 0.1, 0.2, 0.1]);
    assert!(!twice_reset[0].increase_is_exact());
    assert!(!windows(300_000, &[1, 2], &[1.0, f64::NAN])[0].sum_is_exact());
}
