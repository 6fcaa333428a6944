//! A fleet of scraped instances: twenty series each, of the kinds that make up real dashboards.

use model::{LabelSet, MetricBatch, TimestampMs};

use crate::downsample::Random;

/// Series of one instance.
const SERIES_PER_INSTANCE: usize = 20;
/// Bytes of a page of memory.
const PAGE: f64 = 4096.0;

/// How a value moves from scrape to scrape.
enum Kind {
    /// A configured limit.
    Constant(f64),
    /// A counter of whole things; `rate` a second.
    Counter { rate: f64, value: f64 },
    /// A counter of seconds with two decimals.
    Seconds { rate: f64, value: f64 },
    /// Memory, by pages.
    Pages(f64),
    /// A gauge with two decimals.
    Load(f64),
    /// A quotient with every digit a double has.
    Ratio,
    /// A counter that two replicas scrape, each at its own time.
    Shared { rate: f64 },
}

struct Member {
    labels: LabelSet,
    instance: u64,
    /// When its scrapes are due within the interval, milliseconds.
    offset_ms: i64,
    kind: Kind,
}

/// All series, and how far they have come.
pub struct Fleet {
    random: Random,
    members: Vec<Member>,
    step_ms: i64,
}

impl Fleet {
    /// Makes about `series` series, scraped every `step_ms`.
    pub fn new(series: usize, step_ms: i64) -> Fleet {
        let mut random = Random::new(1);
        let mut members = Vec::new();
        for instance in 0..series.div_ceil(SERIES_PER_INSTANCE) as u64 {
            let offset_ms = random.below(step_ms as u64) as i64;
            for place in 0..SERIES_PER_INSTANCE {
                members.push(member(&mut random, instance, place, offset_ms, step_ms));
            }
        }
        members.truncate(series);
        Fleet { random, members, step_ms }
    }

    /// Counts the series.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Scrapes everything from `start` on, before `end`; spans follow one another.
    pub fn scrape(&mut self, start: i64, end: i64) -> MetricBatch {
        let mut batch = MetricBatch::default();
        for member in &mut self.members {
            batch.start_series_of(&member.labels);
            let mut due = start;
            while due < end {
                let at = due + member.offset_ms + lateness_ms(member.instance, due);
                let value = member.kind.next(&mut self.random, at, self.step_ms);
                batch.push_sample(TimestampMs(at), value, TimestampMs(0));
                due += self.step_ms;
            }
        }
        batch
    }
}

/// Prometheus writes the time a scrape was due unless it was late by more than 2 ms: of fifty scrapes of an instance one is.
fn lateness_ms(instance: u64, due: i64) -> i64 {
    let mut random = Random::new(instance << 48 ^ due as u64);
    if random.below(50) == 0 { 3 + random.below(20) as i64 } else { 0 }
}

fn member(random: &mut Random, instance: u64, place: usize, offset_ms: i64, step_ms: i64) -> Member {
    let tenfold = |random: &mut Random| 10f64.powf(4.0 * unit(random) - 1.0);
    let (name, kind) = match place {
        0..5 => ("app_limit", Kind::Constant((1u64 << random.below(40)) as f64)),
        5..11 => ("app_requests_total", Kind::Counter { rate: tenfold(random), value: 0.0 }),
        11..13 => ("app_busy_seconds_total", Kind::Seconds { rate: unit(random), value: 0.0 }),
        13..16 => ("app_memory_bytes", Kind::Pages(PAGE * random.below(1 << 20) as f64)),
        16 => ("app_load", Kind::Load(random.below(800) as f64)),
        17 => ("app_hit_ratio", Kind::Ratio),
        _ => ("ha_requests_total", Kind::Shared { rate: 1.0 + instance as f64 }),
    };
    let (mode, replica) = if place < 18 { (place, "") } else { (0, if place == 18 { "a" } else { "b" }) };
    let labels = LabelSet::from_pairs([
        ("__name__", name),
        ("cluster", &format!("cluster-{}", instance % 3)),
        ("instance", &format!("10.0.{}.{}:9100", instance / 250, instance % 250)),
        ("job", "app"),
        ("mode", &format!("mode-{mode}")),
        ("replica", replica),
    ]);
    // The second replica scrapes between the scrapes of the first.
    let offset_ms = if replica == "b" { (offset_ms + step_ms / 3) % step_ms } else { offset_ms };
    Member { labels, instance: instance << 1 | u64::from(replica == "b"), offset_ms, kind }
}

/// Uniform in [0, 1).
fn unit(random: &mut Random) -> f64 {
    random.below(1 << 53) as f64 / (1u64 << 53) as f64
}

/// About normal, mean 0, deviation 1.
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| unit(random)).sum::<f64>() - 6.0
}

impl Kind {
    fn next(&mut self, random: &mut Random, at: i64, step_ms: i64) -> f64 {
        let seconds = step_ms as f64 / 1000.0;
        match self {
            Kind::Constant(value) => *value,
            Kind::Counter { rate, value } => {
                let mean = *rate * seconds;
                let step = (mean + mean.sqrt() * normal(random)).round().max(0.0);
                *value = if random.below(100_000) == 0 { 0.0 } else { *value + step };
                *value
            }
            Kind::Seconds { rate, value } => {
                *value += *rate * seconds * (1.0 + 0.1 * normal(random)).max(0.0);
                (*value * 100.0).round() / 100.0
            }
            Kind::Pages(value) => {
                if random.below(3) < 2 {
                    *value = (*value + PAGE * (normal(random) * 20.0).round()).max(0.0);
                }
                *value
            }
            Kind::Load(value) => {
                *value = (*value + normal(random) * 5.0).max(0.0);
                value.round() / 100.0
            }
            Kind::Ratio => random.below(1_000_000) as f64 / (1 + random.below(1_000_000)) as f64,
            Kind::Shared { rate } => (*rate * (at / 1000 % 10_000_000) as f64).floor(),
        }
    }
}
