//! Classic histograms as native ones with custom bounds (upstream `util/convertnhcb`).

use std::collections::BTreeMap;
use std::sync::Arc;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};
use model::{Histogram, LabelSet};

use super::number;
use super::script::LoadSeries;
use super::series::Item;

/// A classic histogram at one step.
#[derive(Clone, Debug, Default)]
struct Classic {
    /// Cumulative counts with their upper bounds.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// What a classic series says of its histogram.
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// Returns the native histograms of all classic ones among the series of a load.
pub fn convert(series: &[LoadSeries]) -> Vec<LoadSeries> {
    let mut classics: BTreeMap<LabelSet, Vec<Option<Classic>>> = BTreeMap::new();
    for one in series {
        let Some((labels, part)) = part(&one.labels) else { continue };
        let steps = classics.entry(labels).or_default();
        steps.resize(steps.len().max(one.items.len()), None);
        for (step, item) in steps.iter_mut().zip(&one.items) {
            let Item::Float(value) = item else { continue };
            let classic = step.get_or_insert_default();
            match part {
                Part::Bucket(bound) => classic.buckets.push((bound, *value)),
                Part::Count => classic.count = Some(*value),
                Part::Sum => classic.sum = *value,
            }
        }
    }
    let native =
        |classic: Option<Classic>| classic.and_then(Classic::native).map_or(Item::Gap, |h| Item::Histogram(Arc::new(h), false));
    let load = |(labels, steps): (LabelSet, Vec<Option<Classic>>)| LoadSeries {
        labels,
        items: steps.into_iter().map(native).collect(),
        start_offsets_ms: Vec::new(),
    };
    classics.into_iter().map(load).collect()
}

fn part(labels: &LabelSet) -> Option<(LabelSet, Part)> {
    let name = labels.metric_name()?;
    let (base, part) = if let Some(base) = name.strip_suffix("_bucket") {
        let bound = labels.get("le").and_then(number::whole).filter(|bound| !bound.is_nan())?;
        (base, Part::Bucket(bound))
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Part::Count)
    } else {
        (name.strip_suffix("_sum")?, Part::Sum)
    };
    let mut builder = labels.without("le").to_builder();
    builder.set("__name__", base);
    Some((builder.build(), part))
}

impl Classic {
    /// Converts; a histogram that contradicts itself has no native form.
    fn native(mut self) -> Option<Histogram> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = self.buckets.last().copied();
        let count = self.count.or(last.map(|(_, count)| count)).unwrap_or(0.0);
        if last.is_none_or(|(bound, _)| bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut below = 0.0;
        let mut counts = Vec::new();
        for (_, cumulative) in &self.buckets {
            counts.push(cumulative - below);
            below = *cumulative;
        }
        if counts.iter().any(|count| *count < 0.0) || below != count {
            return None;
        }
        self.buckets.pop();
        let length = u32::try_from(counts.len()).ok()?;
        let mut histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length }],
            positive_buckets: counts,
            custom_values: self.buckets.into_iter().map(|(bound, _)| bound).collect(),
            ..Histogram::default()
        };
        plan::functions::histogram::compact(&mut histogram);
        Some(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promqltest::series;

    #[test]
    fn cumulative_counts_become_buckets() {
        let lines = ["m_bucket{le=\"1\",a=\"b\"} 1 2", "m_bucket{le=\"+Inf\",a=\"b\"} 4 _", "m_sum{a=\"b\"} 9 9", "other 1"];
        let load = |line: &&str| {
            let line = series::parse(line).expect("the line is well formed");
            LoadSeries { labels: line.labels, items: line.items, start_offsets_ms: Vec::new() }
        };
        let converted = convert(&lines.iter().map(load).collect::<Vec<_>>());
        let [one] = converted.as_slice() else { panic!("{converted:?}") };
        assert_eq!(one.labels, LabelSet::from_pairs([("__name__", "m"), ("a", "b")]));
        let Item::Histogram(first, _) = &one.items[0] else { panic!("{one:?}") };
        assert_eq!((first.count, first.sum, first.custom_values.as_slice()), (4.0, 9.0, [1.0].as_slice()));
        assert_eq!(first.positive_buckets, [1.0, 3.0]);
    }
}
