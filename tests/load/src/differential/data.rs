//! Random series as a fleet has them: counters with resets, gauges with odd values, classic and native histograms, gaps, staleness.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::remote_write::{BucketSpan, Histogram, Label, Sample, TimeSeries, WriteRequest};

/// Distance of samples, milliseconds.
pub const STEP_MS: i64 = 15_000;
/// Bits of the NaN that ends a series.
const STALE: u64 = 0x7ff0_0000_0000_0002;
/// Bounds of the classic histogram.
const BOUNDS: [&str; 6] = ["0.1", "0.5", "1", "2.5", "10", "+Inf"];

/// How a series moves.
#[derive(Clone, Copy)]
enum Kind {
    /// Grows; falls back now and then, never near zero: versions differ in how far they extrapolate there.
    Counter,
    /// Wanders, with a rare NaN or infinity.
    Gauge { odd: bool },
    /// Holds still.
    Constant,
    /// Buckets with `_sum` and `_count`, by series; each bucket grows at least as much as the one below.
    Bucket(usize),
    /// A native histogram.
    Native(Shape),
    /// For some minutes floats, then for some a native histogram.
    Mixed,
}

/// Which native histogram.
#[derive(Clone, Copy)]
enum Shape {
    /// Exponential buckets, counted up.
    Exponential,
    /// Custom bounds, counted up; of two sets.
    Custom { coarse: bool },
    /// A gauge with negative buckets, whose schema changes now and then.
    Gauge,
}

struct Series {
    labels: Vec<Label>,
    kind: Kind,
    value: f64,
    /// Scrapes left out from now on.
    gap: u32,
    gaps: bool,
    /// Whether samples lie on full seconds.
    aligned: bool,
    buckets: [u64; 4],
    random: StdRng,
}

/// How long a mixed series stays one or the other.
const MIXED_MS: i64 = 8 * 60_000;
/// How far behind a full second scrapes are, milliseconds.
const OFFSET_MS: i64 = 123;
/// Scrapes in one request: the set should arrive in seconds, whatever a server waits before it answers.
const SCRAPES_PER_REQUEST: usize = 16;

/// Returns the requests of a set, oldest first. Sample times never lie on a full second, but for half of the series of a `native` set:
/// those meet the bounds of windows, which 3.0 has moved.
pub fn requests(seed: u64, steps: usize, end_ms: i64, native: bool) -> impl Iterator<Item = WriteRequest> {
    let mut series = fleet(seed, native);
    let first_ms = end_ms / 1000 * 1000 - steps as i64 * STEP_MS;
    (0..steps).step_by(SCRAPES_PER_REQUEST).map(move |from| {
        let times: Vec<i64> =
            (from..steps.min(from + SCRAPES_PER_REQUEST)).map(|step| first_ms + step as i64 * STEP_MS + OFFSET_MS).collect();
        let written = series.iter_mut().enumerate().map(|(index, series)| series.scrapes(index, &times));
        WriteRequest {
            timeseries: written.filter(|series| !series.samples.is_empty() || !series.histograms.is_empty()).collect(),
        }
    })
}

fn fleet(seed: u64, native: bool) -> Vec<Series> {
    let mut fleet = Vec::new();
    let mut add = |name: &str, labels: &[(&str, &str)], kind: Kind, gaps: bool| {
        let mut all: Vec<(&str, &str)> = labels.to_vec();
        all.push(("__name__", name));
        all.sort_unstable();
        let labels = all.iter().map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() }).collect();
        let mut random = StdRng::seed_from_u64(seed ^ (fleet.len() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let value = match kind {
            Kind::Counter => f64::from(random.random_range(1_000_000..9_000_000)),
            Kind::Gauge { .. } => f64::from(random.random_range(-5_000..5_000)) / 100.0,
            Kind::Constant => f64::from(random.random_range(0..3)),
            Kind::Bucket(_) => 1e6,
            Kind::Native(_) | Kind::Mixed => 0.0,
        };
        let aligned = native && fleet.len() % 2 == 0;
        fleet.push(Series { labels, kind, value, gap: 0, gaps, aligned, buckets: [0; 4], random });
    };
    for (instance, job) in [("a:1", "api"), ("b:1", "api"), ("c:1", "db"), ("d:1", "ünï ✓")] {
        let target = [("instance", instance), ("job", job)];
        let with = |more: &[(&'static str, &'static str)]| [&target[..], more].concat();
        add("up", &target, Kind::Constant, instance == "d:1");
        add("build_info", &with(&[("version", if job == "db" { "2" } else { "1" })]), Kind::Constant, false);
        for code in ["200", "404", "500"] {
            add("requests_total", &with(&[("code", code)]), Kind::Counter, code == "404");
            add("errors_total", &with(&[("code", code), ("kind", "timeout")]), Kind::Counter, false);
        }
        add("temperature", &with(&[("zone", "north")]), Kind::Gauge { odd: false }, false);
        add("temperature", &with(&[("zone", "south")]), Kind::Gauge { odd: true }, true);
        add("load", &target, Kind::Gauge { odd: false }, instance == "b:1");
        for (index, bound) in BOUNDS.iter().enumerate() {
            add("latency_seconds_bucket", &with(&[("le", bound)]), Kind::Bucket(index), false);
        }
        add("latency_seconds_count", &target, Kind::Bucket(BOUNDS.len() - 1), false);
        add("latency_seconds_sum", &target, Kind::Counter, false);
        if native {
            add("native_seconds", &target, Kind::Native(Shape::Exponential), instance == "c:1");
            add("native_seconds", &with(&[("zone", "north")]), Kind::Native(Shape::Exponential), false);
            add("custom_seconds", &target, Kind::Native(Shape::Custom { coarse: job == "db" }), instance == "b:1");
            add("gauge_seconds", &target, Kind::Native(Shape::Gauge), false);
            add("mixed_seconds", &target, Kind::Mixed, instance == "c:1");
        }
    }
    fleet
}

impl Series {
    /// Returns what scrapes at these times bring.
    fn scrapes(&mut self, index: usize, times_ms: &[i64]) -> TimeSeries {
        let mut written = TimeSeries { labels: self.labels.clone(), ..TimeSeries::default() };
        // Never both in one request: Prometheus appends a request's floats first, and histograms before them are then out of order.
        let mixed_histogram = times_ms.first().is_some_and(|at_ms| at_ms / MIXED_MS % 2 == 0);
        for at_ms in times_ms {
            let timestamp = if self.aligned { at_ms - OFFSET_MS } else { at_ms + (index as i64 * 37) % 700 };
            let begins_gap = self.gap == 0 && self.gaps && self.random.random_ratio(1, 40);
            if begins_gap {
                self.gap = self.random.random_range(1..40);
                // Some series end with a marker, others just stop.
                if self.random.random_bool(0.5) && !matches!(self.kind, Kind::Native(_) | Kind::Mixed) {
                    written.samples.push(Sample { value: f64::from_bits(STALE), timestamp });
                }
                continue;
            }
            self.grow();
            if self.gap > 0 {
                self.gap -= 1;
                continue;
            }
            match self.kind {
                Kind::Native(shape) => written.histograms.push(self.histogram(shape, timestamp)),
                Kind::Mixed if mixed_histogram => written.histograms.push(self.histogram(Shape::Exponential, timestamp)),
                Kind::Gauge { odd: true } if self.random.random_ratio(1, 50) => {
                    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0][self.random.random_range(0..5)];
                    written.samples.push(Sample { value: odd, timestamp });
                }
                _ => written.samples.push(Sample { value: self.value, timestamp }),
            }
        }
        written
    }

    fn grow(&mut self) {
        match self.kind {
            Kind::Counter if self.random.random_ratio(1, 120) => self.value = 500_000.0 + self.value / 8.0,
            Kind::Counter => self.value += f64::from(self.random.random_range(0..200)),
            Kind::Gauge { .. } => self.value = ((self.value + self.random.random::<f64>() - 0.5) * 100.0).round() / 100.0,
            Kind::Constant => {}
            Kind::Bucket(index) => self.value += (index as f64 + 1.0) * 10.0,
            Kind::Native(_) | Kind::Mixed if self.random.random_ratio(1, 100) => (self.buckets, self.value) = ([1; 4], 3.0),
            Kind::Native(_) | Kind::Mixed => {
                for bucket in &mut self.buckets {
                    *bucket += self.random.random_range(0..5);
                }
                self.value += self.random.random_range(0..100) as f64 / 8.0;
            }
        }
    }

    fn histogram(&self, shape: Shape, timestamp: i64) -> Histogram {
        let [zero, first, second, third] = self.buckets;
        let deltas = |counts: [u64; 3]| {
            let [first, second, third] = counts.map(|count| count as i64);
            vec![first, second - first, third - second]
        };
        let span = |offset, length| BucketSpan { offset, length };
        let counted =
            Histogram { count_int: Some(zero + first + second + third), sum: self.value, timestamp, ..Histogram::default() };
        // Three positive buckets with a hole between them.
        let exponential = Histogram {
            schema: 1,
            zero_threshold: 0.001,
            zero_count_int: Some(zero),
            positive_spans: vec![span(-1, 2), span(2, 1)],
            positive_deltas: deltas([first, second, third]),
            ..counted.clone()
        };
        match shape {
            Shape::Exponential => exponential,
            Shape::Custom { coarse } => Histogram {
                schema: -53,
                positive_spans: vec![span(0, 3)],
                positive_deltas: deltas([zero + first, second, third]),
                custom_values: if coarse { vec![0.5, 5.0] } else { vec![0.5, 1.0, 5.0] },
                ..counted
            },
            Shape::Gauge => Histogram {
                count_int: Some(zero + 2 * (first + second + third)),
                schema: if timestamp / 600_000 % 2 == 0 { 0 } else { 2 },
                negative_spans: vec![span(0, 3)],
                negative_deltas: deltas([third, second, first]),
                reset_hint: 3,
                ..exponential
            },
        }
    }
}
