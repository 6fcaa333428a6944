//! The synthetic metric sets: hosts with counters, gauges, loads and ratios, made from a seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::remote_write::Label;

/// Metrics per host.
const METRICS_PER_HOST: usize = 100;
/// Distance of samples, milliseconds.
pub const STEP_MS: i64 = 15_000;

/// How a series moves.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A power of two that never changes (30 %).
    Constant,
    /// An integer counter with noise and rare resets (30 %).
    Counter { rate_per_second: f64 },
    /// A seconds counter with two decimals (10 %).
    Seconds { rate_per_second: f64 },
    /// A gauge in pages of 4,096 bytes that moves two steps in three (20 %).
    Pages,
    /// A load with two decimals (5 %).
    Load,
    /// A ratio at full precision (5 %).
    Ratio,
}

/// One series: its labels and where its walk stands.
pub struct Walk {
    /// Sorted labels.
    pub labels: Vec<Label>,
    /// Offset of its host's scrapes, milliseconds.
    pub offset_ms: i64,
    kind: Kind,
    value: f64,
    random: StdRng,
}

impl Walk {
    /// Makes series `index` of a set.
    pub fn new(index: usize, seed: u64) -> Walk {
        let (host, metric) = (index / METRICS_PER_HOST, index % METRICS_PER_HOST);
        let mut random = StdRng::seed_from_u64(seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut log_uniform = || 0.1 * 10f64.powf(random.random::<f64>() * 4.0);
        let (kind, name) = match metric {
            0..30 => (Kind::Constant, format!("node_info_{metric}_value")),
            30..60 => (Kind::Counter { rate_per_second: log_uniform() }, counter_name(metric)),
            60..70 => (Kind::Seconds { rate_per_second: log_uniform() / 1000.0 }, format!("node_busy_{metric}_seconds_total")),
            70..90 => {
                (Kind::Pages, if metric == 70 { "mem_bytes_value".to_owned() } else { format!("mem_{metric}_bytes_value") })
            }
            90..95 => (Kind::Load, format!("load_{metric}_value")),
            _ => (Kind::Ratio, format!("ratio_{metric}_value")),
        };
        let value = match kind {
            Kind::Constant => 2f64.powi(random.random_range(0..40)),
            Kind::Counter { .. } => random.random_range(0..1_000_000) as f64,
            Kind::Seconds { .. } => f64::from(random.random_range(0..1_000_000)) / 100.0,
            Kind::Pages => f64::from(random.random_range(1_000..1_000_000)) * 4096.0,
            Kind::Load => f64::from(random.random_range(0..800)) / 100.0,
            Kind::Ratio => random.random(),
        };
        let offset_ms = (host as i64 * 7_919) % STEP_MS;
        Walk { labels: labels(index, host, metric, &name), offset_ms, kind, value, random }
    }

    /// Moves one step on and returns the value there.
    pub fn step(&mut self) -> f64 {
        let seconds = STEP_MS as f64 / 1000.0;
        match self.kind {
            Kind::Constant => {}
            Kind::Counter { rate_per_second } => {
                let mean = rate_per_second * seconds;
                let noise = (self.random.random::<f64>() - 0.5) * 2.0 * mean.sqrt();
                self.value = if self.random.random_ratio(1, 20_000) { 0.0 } else { self.value + (mean + noise).round().max(0.0) };
            }
            Kind::Seconds { rate_per_second } => {
                let grown = self.value + rate_per_second * seconds * (0.5 + self.random.random::<f64>());
                self.value = (grown * 100.0).round() / 100.0;
            }
            Kind::Pages => {
                if self.random.random_ratio(2, 3) {
                    self.value = (self.value + f64::from(self.random.random_range(-64i32..=64)) * 4096.0).max(4096.0);
                }
            }
            Kind::Load => {
                let moved = self.value + (self.random.random::<f64>() - 0.5) * 0.4;
                self.value = (moved.max(0.0) * 100.0).round() / 100.0;
            }
            Kind::Ratio => self.value = self.random.random(),
        }
        self.value
    }
}

fn counter_name(metric: usize) -> String {
    match metric {
        30..34 => "http_requests_total".to_owned(),
        34 => "cpu_requests_total".to_owned(),
        _ => format!("requests_{metric}_total"),
    }
}

fn labels(index: usize, host: usize, metric: usize, name: &str) -> Vec<Label> {
    let label = |name: &str, value: String| Label { name: name.to_owned(), value };
    vec![
        label("__name__", name.to_owned()),
        label("cluster", format!("cluster-{}", host % 3)),
        label("instance", format!("host-{host:04}.example.internal:9100")),
        label("job", format!("job-{}", host % 10)),
        label("mode", format!("mode-{metric}")),
        label("namespace", format!("namespace-{}", index % 17)),
        label("pod", format!("pod-{index:08x}-{:05}", (index * 7_907) % 99_991)),
    ]
}
