//! Seeded data: set S of the benchmarks (hosts × metrics of six kinds), and synthetic logs in five formats.
#![allow(dead_code)]

use model::{LabelSet, LogBatch, MetricBatch, TimestampMs, TimestampNs};

/// SplitMix64: small, seedable, good enough for test data.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, mean 0, deviation 1.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

enum Kind {
    Constant(f64),
    Counter { rate: f64, value: f64 },
    Seconds { rate: f64, value: f64 },
    Pages(f64),
    Load(f64),
    Ratio,
}

/// Metrics as set S describes them.
pub struct SetS {
    random: Random,
    pub series: Vec<(LabelSet, i64)>,
    kinds: Vec<Kind>,
    step: i64,
}

pub const START_MS: i64 = 1_800_000_000_000;

impl SetS {
    pub fn new(seed: u64, hosts: u64, metrics: u64) -> SetS {
        let mut random = Random(seed);
        let (mut series, mut kinds) = (Vec::new(), Vec::new());
        for host in 0..hosts {
            let offset = random.below(15_000) as i64;
            for metric in 0..metrics {
                let (suffix, kind) = match metric % 20 {
                    0..6 => ("value", Kind::Constant((1u64 << random.below(40)) as f64)),
                    6..12 => ("total", Kind::Counter { rate: 0.1 * 10f64.powf(4.0 * random.unit()), value: 0.0 }),
                    12..14 => ("seconds_total", Kind::Seconds { rate: 10.0 * random.unit(), value: 0.0 }),
                    14..18 => ("bytes", Kind::Pages(4096.0 * random.below(1 << 20) as f64)),
                    18 => ("load", Kind::Load(random.below(800) as f64)),
                    _ => ("ratio", Kind::Ratio),
                };
                let labels = LabelSet::from_pairs([
                    ("__name__", &*format!("app_metric_{metric:02}_{suffix}")),
                    ("cluster", &format!("cluster-{}", host % 3)),
                    ("instance", &format!("10.0.{}.{}:9100", host / 250, host % 250)),
                    ("job", &format!("job-{}", metric % 10)),
                    ("mode", &format!("mode-{metric}")),
                    ("namespace", &format!("namespace-{}", host % 17)),
                    ("pod", &format!("pod-{:08x}-{:05x}", random.below(1 << 32), random.below(1 << 20))),
                ]);
                series.push((labels, offset));
                kinds.push(kind);
            }
        }
        SetS { random, series, kinds, step: 0 }
    }

    fn sample(&mut self, index: usize) -> f64 {
        let random = &mut self.random;
        match &mut self.kinds[index] {
            Kind::Constant(value) => *value,
            Kind::Counter { rate, value } => {
                let mean = *rate * 15.0;
                let step = (mean + mean.sqrt() * random.normal()).round().max(0.0);
                *value = if random.below(20_000) == 0 { 0.0 } else { *value + step };
                *value
            }
            Kind::Seconds { rate, value } => {
                *value += *rate * 15.0 * (1.0 + 0.1 * random.normal());
                (*value * 100.0).round() / 100.0
            }
            Kind::Pages(value) => {
                if random.below(3) < 2 {
                    *value = (*value + 4096.0 * (random.normal() * 20.0).round()).max(0.0);
                }
                *value
            }
            Kind::Load(value) => {
                *value = (*value + random.normal() * 5.0).max(0.0);
                value.round() / 100.0
            }
            Kind::Ratio => random.below(1_000_000) as f64 / (1 + random.below(1_000_000)) as f64,
        }
    }

    /// Makes the next scrape of all series, as batches of at most `samples` samples.
    pub fn scrape(&mut self, samples: usize) -> Vec<MetricBatch> {
        let mut batches = Vec::new();
        let mut batch = MetricBatch::default();
        for index in 0..self.series.len() {
            let value = self.sample(index);
            let (labels, offset) = &self.series[index];
            batch.start_series_of(labels);
            batch.push_sample(TimestampMs(START_MS + self.step * 15_000 + offset), value, TimestampMs(0));
            if batch.samples_len() == samples {
                batches.push(std::mem::take(&mut batch));
            }
        }
        self.step += 1;
        batches.extend((!batch.is_empty()).then_some(batch));
        batches
    }

    /// Makes one batch of `steps` scrapes, series by series.
    pub fn history(&mut self, steps: usize) -> MetricBatch {
        let mut batch = MetricBatch::default();
        for index in 0..self.series.len() {
            let (labels, offset) = self.series[index].clone();
            batch.start_series_of(&labels);
            for step in 0..steps {
                let value = self.sample(index);
                batch.push_sample(TimestampMs(START_MS + (self.step + step as i64) * 15_000 + offset), value, TimestampMs(0));
            }
        }
        self.step += steps as i64;
        batch
    }
}

const MESSAGES: [&str; 5] =
    ["request served", "cache miss", "user logged in", "retrying upstream call", "connection closed by peer"];

/// One log request: `streams` streams with `lines` lines each.
pub fn logs(random: &mut Random, first_stream: u64, streams: u64, lines: u64, start_ns: i64) -> LogBatch {
    let mut batch = LogBatch::default();
    for stream in first_stream..first_stream + streams {
        let app = stream % 25;
        let labels = LabelSet::from_pairs([
            ("app", &*format!("app-{app}")),
            ("cluster", &format!("cluster-{}", stream % 3)),
            ("namespace", &format!("namespace-{}", stream % 7)),
            ("pod", &format!("app-{app}-{:08x}", stream.wrapping_mul(0x9e37_79b9) & 0xffff_ffff)),
        ]);
        batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
        let mut time = start_ns;
        for _ in 0..lines {
            time += random.below(2_000_000) as i64;
            let (trace_a, trace_b) = (random.next(), random.next());
            let (status, took, user) = (200 + 100 * random.below(4), random.below(2000), random.below(100_000));
            let level = ["error", "warn", "warn", "debug", "debug", "info"][(random.below(100) as usize).min(5)];
            let message = MESSAGES[random.below(5) as usize];
            let line = match app % 5 {
                0 => format!(
                    "{{\"level\":\"{level}\",\"msg\":\"{message}\",\"status\":{status},\"duration_ms\":{took},\"user\":{user},\"trace_id\":\"{trace_a:016x}{trace_b:016x}\"}}"
                ),
                1 => format!(
                    "level={level} msg=\"{message}\" status={status} duration={took}ms user={user} trace_id={trace_a:016x}{trace_b:016x}"
                ),
                2 => format!(
                    "10.{}.{}.{} - - \"GET /api/v1/items/{user} HTTP/1.1\" {status} {took} \"-\" \"curl/8.5\"",
                    random.below(256),
                    random.below(256),
                    random.below(256)
                ),
                3 => format!(
                    "{} [worker-{}] com.example.Service - {message} for user {user} in {took} ms",
                    level.to_uppercase(),
                    random.below(16)
                ),
                _ => format!(
                    "I1121 {:06} 1 controller.go:{}] {message} object=\"ns/item-{user}\" took={took}ms",
                    random.below(1_000_000),
                    random.below(900)
                ),
            };
            batch.push_entry(TimestampNs(time), line.as_bytes(), &[]);
        }
    }
    batch
}
