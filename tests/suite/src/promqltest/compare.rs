//! Compares an answer with expected lines.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use model::{Histogram, LabelSet};
use plan::functions::float::almost_equal;
use plan::functions::histogram as native;
use plan::value::{StepValue, Value};

use super::items::{Item, expand, number, series};
use super::script::Case;

const EPSILON: f64 = 1e-6;

/// Points of one series: time to value.
type Points = BTreeMap<i64, StepValue>;

fn same(expected: &Item, got: &StepValue) -> bool {
    match (expected, got) {
        (Item::Float(a), StepValue::Float(b)) => almost_equal(*a, *b, EPSILON),
        (Item::Histogram(a, hinted), StepValue::Histogram(b)) => {
            histograms(a, b) && (!hinted || a.counter_reset_hint == b.counter_reset_hint)
        }
        _ => false,
    }
}

fn histograms(a: &Histogram, b: &Histogram) -> bool {
    let (mut a, mut b) = (a.clone(), b.clone());
    native::compact(&mut a);
    native::compact(&mut b);
    let close = |x: &[f64], y: &[f64]| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| almost_equal(*x, *y, EPSILON));
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.custom_values == b.custom_values
        && close(&[a.count, a.sum, a.zero_count], &[b.count, b.sum, b.zero_count])
        && close(&a.positive_buckets, &b.positive_buckets)
        && close(&a.negative_buckets, &b.negative_buckets)
}

/// Brings an answer into points per series, in result order.
pub fn points(value: &Value, times: &[i64]) -> Vec<(LabelSet, Points)> {
    match value {
        Value::Scalar(values) => {
            let points = times.iter().zip(values).map(|(t, v)| (*t, StepValue::Float(*v))).collect();
            vec![(LabelSet::empty(), points)]
        }
        Value::Vector(series) => series
            .iter()
            .map(|s| (s.labels.clone(), times.iter().enumerate().filter_map(|(i, t)| Some((*t, s.values.get(i)?))).collect()))
            .collect(),
        Value::Ranges(series) => series
            .iter()
            .map(|s| {
                let floats = s.timestamps.iter().zip(&s.values).map(|(t, v)| (*t, StepValue::Float(*v)));
                let histograms = s.histograms.iter().map(|h| (h.timestamp, StepValue::Histogram(h.histogram.clone())));
                (s.labels.clone(), floats.chain(histograms).collect())
            })
            .collect(),
        Value::Text(_) | Value::Streams(_) => Vec::new(),
    }
}

/// Fails with the first difference.
pub fn check(case: &Case, value: &Value, times: &[i64]) -> Result<()> {
    if let Some(expected) = &case.string {
        ensure!(matches!(value, Value::Text(got) if got == expected), "string {expected:?} expected, got {value:?}");
        return Ok(());
    }
    let slots: Vec<i64> = match case.range_vector {
        Some((from, to, step)) => (0..).map(|k| from + k * step).take_while(|t| *t <= to).collect(),
        None => times.to_vec(),
    };
    let got = points(value, times);
    if let [line] = &case.results[..]
        && let Ok(expected) = number(line)
    {
        let Value::Scalar(values) = value else { bail!("scalar {expected} expected, got {value:?}") };
        ensure!(almost_equal(expected, values[0], EPSILON), "{expected} expected, got {}", values[0]);
        return Ok(());
    }
    if matches!(value, Value::Scalar(_)) && case.times.2 == 0 {
        bail!("a vector expected, got {value:?}");
    }
    let mut expected: Vec<(LabelSet, BTreeMap<i64, Item>)> = Vec::new();
    for line in &case.results {
        let (labels, rest) = series(line)?;
        let items = expand(rest)?;
        ensure!(items.len() <= slots.len(), "{} items for {} steps: {line}", items.len(), slots.len());
        let points = items.into_iter().zip(&slots).filter(|(item, _)| !matches!(item, Item::Gap)).map(|(item, t)| (*t, item));
        expected.push((labels, points.collect()));
    }
    let show = || got.iter().map(|(l, p)| format!("{l} {p:?}")).collect::<Vec<_>>().join("\n");
    ensure!(expected.len() == got.len(), "{} series expected, got {}:\n{}", expected.len(), got.len(), show());
    for (position, (labels, want)) in expected.iter().enumerate() {
        let found = if case.ordered { got.get(position).filter(|g| g.0 == *labels) } else { got.iter().find(|g| g.0 == *labels) };
        let Some((_, have)) = found else { bail!("series {labels} expected, got:\n{}", show()) };
        ensure!(want.keys().eq(have.keys()), "points of {labels} at {:?} expected, got:\n{}", want.keys().collect::<Vec<_>>(), show());
        for (t, item) in want {
            ensure!(same(item, &have[t]), "{labels} at {t}: {item:?} expected, got {:?}", have[t]);
        }
    }
    Ok(())
}
