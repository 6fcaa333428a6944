//! Replicas as one series: which stored series differ in nothing but the labels of replicas, and what stands of their samples.

use std::ops::Range;

use model::replicas::{Replica, elect};
use model::{LabelSet, TimeRangeMs, is_stale};

use crate::merge::Merged;
use crate::registry::Names;

/// Stored series, side by side by the series they make.
#[derive(Debug)]
pub(super) struct Replicas {
    labels: Vec<String>,
    /// Per series, one past its last stored one.
    ends: Vec<u32>,
}

impl Replicas {
    /// Groups stored series by their labels without `labels`, and orders `numbers` by those and then by replica; `None` where no label
    /// tells replicas apart.
    pub(super) fn of(names: &Names, numbers: &mut Vec<u32>, labels: &[String]) -> Option<Replicas> {
        if labels.is_empty() {
            return None;
        }
        let mut stored: Vec<(LabelSet, LabelSet, u32)> = numbers
            .iter()
            .map(|number| {
                let all = names.labels(*number);
                let tells_apart = |name: &str| labels.iter().any(|label| label == name);
                (all.retain(|name| !tells_apart(name)), all.retain(tells_apart), *number)
            })
            .collect();
        stored.sort_unstable();
        *numbers = stored.iter().map(|(_, _, number)| *number).collect();
        let mut end = 0;
        let ends = stored.chunk_by(|a, b| a.0 == b.0).map(|group| {
            end += group.len() as u32;
            end
        });
        Some(Replicas { labels: labels.to_vec(), ends: ends.collect() })
    }

    /// Reports whether a label tells replicas apart, and is in no answer therefore.
    pub(super) fn tells_apart(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label == name)
    }

    /// Returns the stored series that make one.
    pub(super) fn members(&self, series: u32) -> Range<usize> {
        let start = if series == 0 { 0 } else { self.ends[series as usize - 1] };
        start as usize..self.ends[series as usize] as usize
    }

    fn groups(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.ends.len() as u32).map(|series| self.members(series))
    }

    /// Returns the first of each series' stored ones.
    pub(super) fn heads(&self, numbers: &[u32]) -> Vec<u32> {
        self.groups().map(|group| numbers[group.start]).collect()
    }

    /// Adds up what the stored series of each have.
    pub(super) fn sums(&self, counts: &[u64]) -> Vec<u64> {
        self.groups().map(|group| counts[group].iter().sum()).collect()
    }
}

/// `replica|__replica__`.
impl std::fmt::Display for Replicas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.labels.join("|"))
    }
}

/// Where a sample lies: among the histograms or among the floats.
#[derive(Clone, Copy)]
enum Place {
    Float(usize),
    Histogram(usize),
}

/// Returns what stands of several replicas' samples inside a range. The samples reach further, as far as the election looks.
pub(super) fn deduplicated(replicas: &[Merged], range: TimeRangeMs) -> Merged {
    let places: Vec<Vec<(i64, Place)>> = replicas.iter().map(places).collect();
    let candidates: Vec<Replica> = replicas.iter().zip(&places).map(|(samples, places)| candidate(samples, places)).collect();
    let starts = replicas.iter().any(|replica| !replica.start_timestamps.is_empty());
    let mut standing = Merged::default();
    for piece in elect(&candidates) {
        let samples = &replicas[piece.replica];
        let inside = places[piece.replica][piece.rows].iter().filter(|(at, _)| range.start.0 <= *at && *at < range.end.0);
        for (at, place) in inside {
            match *place {
                Place::Float(row) => {
                    standing.timestamps.push(*at);
                    standing.values.push(samples.values[row]);
                    if starts {
                        standing.start_timestamps.push(samples.start_timestamps.get(row).copied().unwrap_or(0));
                    }
                }
                Place::Histogram(row) => standing.histograms.push(samples.histograms[row].clone()),
            }
        }
    }
    standing
}

/// Lists a replica's floats and histograms in the order of time; a merge has left one of each time.
fn places(samples: &Merged) -> Vec<(i64, Place)> {
    let floats = samples.timestamps.iter().enumerate().map(|(row, at)| (*at, Place::Float(row)));
    let histograms = samples.histograms.iter().enumerate().map(|(row, sample)| (sample.timestamp, Place::Histogram(row)));
    let mut places: Vec<(i64, Place)> = floats.chain(histograms).collect();
    places.sort_by_key(|(at, _)| *at);
    places
}

fn candidate(samples: &Merged, places: &[(i64, Place)]) -> Replica {
    let is_marker = |(_, place): &(i64, Place)| match *place {
        Place::Float(row) => is_stale(samples.values[row]),
        Place::Histogram(row) => samples.histograms[row].histogram.is_stale(),
    };
    Replica { times: places.iter().map(|(at, _)| *at).collect(), stale: places.iter().map(is_marker).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TimestampMs;

    #[test]
    fn floats_and_histograms_of_the_elected_replica_stand() {
        let histogram = |at| plan::value::HistogramSample {
            timestamp: at,
            start_timestamp: 0,
            histogram: std::sync::Arc::new(model::Histogram { count: at as f64, ..model::Histogram::default() }),
        };
        let of = |floats: &[i64], histograms: &[i64], value: f64| Merged {
            timestamps: floats.to_vec(),
            values: vec![value; floats.len()],
            histograms: histograms.iter().map(|at| histogram(*at)).collect(),
            ..Merged::default()
        };
        let steps = |from: i64, to: i64| -> Vec<i64> { (from..to).step_by(15_000).collect() };
        let a = of(&steps(0, 300_000), &steps(300_000, 600_000), 1.0);
        let b = of(&steps(7_000, 600_000), &[], 2.0);
        let found = deduplicated(&[a, b], TimeRangeMs::new(TimestampMs(60_000), TimestampMs(400_000)));
        assert_eq!(found.timestamps, steps(60_000, 300_000));
        assert!(found.values.iter().all(|value| *value == 1.0));
        let histograms: Vec<i64> = found.histograms.iter().map(|sample| sample.timestamp).collect();
        assert_eq!(histograms, steps(300_000, 400_000));
    }
}
