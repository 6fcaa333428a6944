//! What many lines have in common: patterns mined as Drain does, with `<_>` where lines differ.
//!
//! The method is that of He, Zhu, Zheng and Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth Tree" (ICWS 2017), with
//! the tokens and bounds of Loki's pattern ingester (August 2026), so that the patterns are those its clients know.
//!
//! ```text
//! line ─ tokens ─▶ tree (length, then token by token) ─▶ leaf ─ most similar cluster ─▶ cluster: tokens that differ become <_>
//! ```
//! Owns: tokens, the tree, counting by level and time. Does not own: which lines are read (`engine`).

mod tokens;
mod tree;

use std::collections::BTreeMap;

use hashbrown::HashMap;
use model::LabelSet;
use model::labels::DETECTED_LEVEL;

use tokens::Format;
use tree::Tree;

/// Stands where lines of a pattern differ.
pub const PLACEHOLDER: &str = "<_>";
/// Lines a pattern must have to be told (Loki: 30).
pub const LINES_MIN: f64 = 30.0;
/// Patterns told (Loki: 300).
pub const PATTERNS_MAX: usize = 300;
/// Shortest step, milliseconds: how finely Loki counts.
pub const STEP_MS_MIN: i64 = 10_000;

const LEVEL_UNKNOWN: &str = "unknown";
const LEVELS: [&str; 8] = ["trace", "debug", "info", "warn", "error", "critical", "fatal", LEVEL_UNKNOWN];

/// A pattern and how often lines matched it.
#[derive(Clone, PartialEq, Debug)]
pub struct Pattern {
    /// The text, with placeholders.
    pub text: String,
    /// The level of its lines.
    pub level: &'static str,
    /// Lines by step: start of the step in milliseconds, and how many.
    pub samples: Vec<(i64, u64)>,
}

/// Learns lines, stream by stream and level by level.
#[derive(Debug)]
pub struct Miner {
    step_ms: i64,
    trees: HashMap<(LabelSet, &'static str), Tree>,
    formats: HashMap<LabelSet, Format>,
    counts: HashMap<ClusterKey, BTreeMap<i64, f64>>,
    trees_made: u32,
}

/// A cluster of one of the trees.
type ClusterKey = (u32, u32);

impl Miner {
    /// Makes a miner that counts by steps, of at least [`STEP_MS_MIN`].
    pub fn new(step_ms: i64) -> Miner {
        let step_ms = step_ms.max(STEP_MS_MIN);
        Miner { step_ms, trees: HashMap::new(), formats: HashMap::new(), counts: HashMap::new(), trees_made: 0 }
    }

    /// Learns a line that stands for `weight` lines.
    pub fn learn(&mut self, stream: &LabelSet, metadata: &LabelSet, timestamp_ms: i64, line: &[u8], weight: f64) {
        let Ok(line) = std::str::from_utf8(line) else { return };
        // As in Loki, a stream's first line says how all its lines are written.
        let format = *self.formats.entry(stream.clone()).or_insert_with(|| Format::of(line));
        let Some(tokens) = tokens::tokenize(line, format) else { return };
        let trees_made = &mut self.trees_made;
        let tree = self.trees.entry((stream.clone(), level_of(metadata))).or_insert_with(|| {
            *trees_made += 1;
            Tree::new(*trees_made, format)
        });
        let learned = tree.learn(tokens);
        if let Some(forgotten) = learned.forgotten {
            self.counts.remove(&(tree.number, forgotten));
        }
        let counts = self.counts.entry((tree.number, learned.cluster)).or_default();
        *counts.entry(timestamp_ms.div_euclid(self.step_ms) * self.step_ms).or_default() += weight;
    }

    /// Returns the patterns, most frequent first; those of too few lines are left out.
    pub fn finish(self) -> Vec<Pattern> {
        let mut merged: BTreeMap<(&'static str, String), BTreeMap<i64, f64>> = BTreeMap::new();
        for ((_, level), tree) in &self.trees {
            for (cluster, text) in tree.patterns() {
                let samples = merged.entry((level, text)).or_default();
                for (at, count) in self.counts.get(&(tree.number, cluster)).into_iter().flatten() {
                    *samples.entry(*at).or_default() += count;
                }
            }
        }
        let sum = |samples: &BTreeMap<i64, f64>| samples.values().sum::<f64>();
        let mut frequent: Vec<_> = merged.into_iter().map(|(key, samples)| (sum(&samples), key, samples)).collect();
        frequent.retain(|(lines, (_, text), _)| *lines >= LINES_MIN && !text.is_empty());
        frequent.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        frequent.truncate(PATTERNS_MAX);
        let told = |(_, (level, text), samples)| Pattern { text, level, samples: self.filled(&samples) };
        frequent.into_iter().map(told).collect()
    }

    /// Rounds counts. Steps without a line between others count zero, except at the finest step, as in Loki.
    fn filled(&self, samples: &BTreeMap<i64, f64>) -> Vec<(i64, u64)> {
        let mut filled: Vec<(i64, u64)> = Vec::with_capacity(samples.len());
        for (at, count) in samples {
            while let Some((last, _)) = filled.last().filter(|(last, _)| self.step_ms > STEP_MS_MIN && last + self.step_ms < *at)
            {
                filled.push((last + self.step_ms, 0));
            }
            filled.push((*at, count.round() as u64));
        }
        filled
    }
}

fn level_of(metadata: &LabelSet) -> &'static str {
    let level = metadata.get(DETECTED_LEVEL).unwrap_or(LEVEL_UNKNOWN);
    LEVELS.into_iter().find(|known| level.eq_ignore_ascii_case(known)).unwrap_or(LEVEL_UNKNOWN)
}

#[cfg(test)]
mod tests;
