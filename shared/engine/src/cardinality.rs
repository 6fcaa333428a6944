//! Which names and labels a tenant's series are made of, from the label tables of segments: no sample is read.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use model::{LabelSet, Limits, Matcher, Signal, TenantId, TimeRangeMs, labels::METRIC_NAME};

use crate::{Engine, EngineError, QueryStats, StageTimes};

/// A name and how many there are of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What is counted.
    pub name: String,
    /// How many, or how many bytes.
    pub count: u64,
}

/// What `/api/v1/status/tsdb` says (upstream `tsdb/index.PostingsStats`). Lists are sorted by count, largest first, then by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cardinality {
    /// Distinct series.
    pub series: u64,
    /// Distinct pairs of label name and value.
    pub label_pairs: u64,
    /// Samples in segments; one that lies in two segments counts twice until they are merged.
    pub samples: u64,
    /// Live segments: what chunks are to Prometheus's head.
    pub segments: u64,
    /// Half-open cover of the samples' times, `None` without samples.
    pub time_range: Option<TimeRangeMs>,
    /// Series per metric name.
    pub series_by_metric: Vec<Count>,
    /// Distinct values per label name.
    pub values_by_label: Vec<Count>,
    /// Bytes of a label per label name, as Prometheus holds it, summed over series.
    pub bytes_by_label: Vec<Count>,
    /// Series per `name=value`.
    pub series_by_pair: Vec<Count>,
    /// Segments that could not be read.
    pub warnings: Vec<String>,
    /// What it cost.
    pub stats: QueryStats,
}

impl Engine {
    /// Counts the names and labels of all series with a sample inside `range`; lists have at most `limit` items.
    ///
    /// # Errors
    /// As [`Engine::query`]; more series than the tenant's limit are an error that names it.
    pub async fn cardinality(
        &self,
        tenant: &TenantId,
        range: TimeRangeMs,
        limit: usize,
        limits: &Limits,
    ) -> Result<Cardinality, EngineError> {
        let context = self.lookup_context(tenant, limits);
        let tails = self.opened(&context, &self.caches.tails, Signal::Metrics, &[] as &[Vec<Matcher>], range).await?;
        let mut found = Cardinality { segments: tails.len() as u64, ..Cardinality::default() };
        let mut distinct: HashSet<LabelSet> = HashSet::new();
        for (part, _) in &tails {
            let entries = part.index.index.select(&[], range).into_iter();
            for entry in entries.filter(|entry| !part.erases(&entry.labels, entry.range, range)) {
                found.samples += entry.rows.end - entry.rows.start;
                found.time_range = Some(found.time_range.map_or(entry.range, |cover| cover.union(entry.range)));
                if !distinct.contains(&entry.labels) {
                    context.count_series(1)?;
                    distinct.insert(entry.labels);
                }
            }
        }
        found.count(&distinct, limit);
        found.warnings = context.annotations.texts();
        found.stats = context.stats(StageTimes::default());
        Ok(found)
    }
}

impl Cardinality {
    fn count(&mut self, series: &HashSet<LabelSet>, limit: usize) {
        let mut values: BTreeMap<&str, HashMap<&str, u64>> = BTreeMap::new();
        for (name, value) in series.iter().flat_map(LabelSet::iter) {
            *values.entry(name).or_default().entry(value).or_default() += 1;
        }
        let counts = |name: &str| values.get(name).into_iter().flatten();
        let pairs = values.iter().flat_map(|(name, values)| values.iter().map(move |(value, series)| (*name, *value, *series)));
        self.series = series.len() as u64;
        self.label_pairs = values.values().map(|values| values.len() as u64).sum();
        self.series_by_metric = top(limit, counts(METRIC_NAME).map(|(name, series)| (*series, (*name).to_owned())));
        self.values_by_label = top(limit, values.iter().map(|(name, values)| (values.len() as u64, (*name).to_owned())));
        self.bytes_by_label = top(limit, values.iter().map(|(name, values)| (bytes(name, values), (*name).to_owned())));
        self.series_by_pair = top(limit, pairs.map(|(name, value, series)| (series, format!("{name}={value}"))));
    }
}

/// Each series holds name and value with their lengths (upstream's `labels_stringlabels.go`).
fn bytes(name: &str, values: &HashMap<&str, u64>) -> u64 {
    let held = |text: &str| text.len() as u64 + if text.len() < 255 { 1 } else { 4 };
    values.iter().map(|(value, series)| (held(name) + held(value)) * series).sum()
}

fn top(limit: usize, counts: impl Iterator<Item = (u64, String)>) -> Vec<Count> {
    let mut counts: Vec<Count> = counts.map(|(count, name)| Count { name, count }).collect();
    counts.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    counts.truncate(limit);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_distinct_series() {
        let series =
            [("a", "1"), ("a", "22"), ("b", "1")].map(|(name, job)| LabelSet::from_pairs([("__name__", name), ("job", job)]));
        let mut found = Cardinality::default();
        found.count(&series.into_iter().collect(), 2);
        let pairs = |counts: &[Count]| counts.iter().map(|one| (one.name.clone(), one.count)).collect::<Vec<_>>();
        assert_eq!((found.series, found.label_pairs), (3, 4));
        assert_eq!(pairs(&found.series_by_metric), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        assert_eq!(pairs(&found.values_by_label), [("__name__".to_owned(), 2), ("job".to_owned(), 2)]);
        assert_eq!(pairs(&found.bytes_by_label), [("__name__".to_owned(), 33), ("job".to_owned(), 19)]);
        assert_eq!(pairs(&found.series_by_pair), [("__name__=a".to_owned(), 2), ("job=1".to_owned(), 2)]);
    }
}
