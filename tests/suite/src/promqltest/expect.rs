//! What a case demands, and the comparison with what came.
//!
//! Owns: tolerances, annotations, order. Does not own: how expectations are written ([`super::script`]).

use std::sync::Arc;

use model::{Histogram, LabelSet, Matcher, is_stale};
use plan::functions::histogram;
use plan::value::StepValue;
use plan::{Answer, Series, StepSeries, Value};

use super::script::When;
use super::series::Item;

/// Relative difference up to which floats are equal.
const EPSILON: f64 = 1e-6;

/// A text that must come.
#[derive(Clone, Debug)]
pub enum Text {
    /// Any.
    Any,
    /// Exactly this.
    Exact(String),
    /// One that the pattern matches somewhere.
    Pattern(Matcher),
}

impl Text {
    /// Reports whether a text is what was expected.
    pub fn accepts(&self, text: &str) -> bool {
        match self {
            Text::Any => true,
            Text::Exact(exact) => exact == text,
            Text::Pattern(pattern) => pattern.matches(text),
        }
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Text::Any => f.write_str("any"),
            Text::Exact(exact) => write!(f, "{exact:?}"),
            Text::Pattern(pattern) => write!(f, "pattern {:?}", pattern.value()),
        }
    }
}

/// Everything a case demands.
#[derive(Clone, Debug, Default)]
pub struct Expectation {
    /// The query must fail.
    pub fail: Option<Text>,
    /// Warnings that must come, and no other.
    pub warnings: Vec<Text>,
    /// Infos that must come, and no other.
    pub infos: Vec<Text>,
    /// No warning may come.
    pub no_warnings: bool,
    /// No info may come.
    pub no_infos: bool,
    /// Series come in the order written.
    pub ordered: bool,
    /// The result is this string.
    pub string: Option<String>,
    /// The result is a range vector whose points lie at these times.
    pub range_vector: Option<When>,
    /// The result is this scalar.
    pub scalar: Option<f64>,
    /// The series that must come.
    pub series: Vec<(LabelSet, Vec<Item>)>,
}

/// Points of a series by time, milliseconds.
type Samples = Vec<(i64, StepValue)>;

/// One series with its points.
type Points = (LabelSet, Samples);

impl Expectation {
    /// Compares with the answer to an instant query.
    ///
    /// # Errors
    /// With the first difference.
    pub fn check_instant(&self, answer: &Answer) -> Result<(), String> {
        self.check_annotations(answer)?;
        match &answer.value {
            Value::Scalar(values) => self.check_scalar(values.first().copied()),
            Value::Vector(series) => self.check_vector(&vector(series, 0), self.ordered),
            Value::Ranges(series) => self.check_matrix(&series.iter().map(points).collect::<Vec<_>>(), self.range_vector),
            Value::Text(text) if self.string.as_deref().unwrap_or_default() == text.to_lossy() => Ok(()),
            Value::Text(text) => Err(format!("expected {}\ncame the string {text:?}", self.summary())),
            Value::Streams(_) => Err("came log streams".to_owned()),
        }
    }

    /// Compares with the answer to a range query.
    ///
    /// # Errors
    /// With the first difference.
    pub fn check_range(&self, answer: &Answer, when: When) -> Result<(), String> {
        self.check_annotations(answer)?;
        self.check_matrix(&matrix(&answer.value, when)?, Some(when))
    }

    /// Compares one step of a range query's answer with what an instant query must answer; its annotations count for nothing.
    ///
    /// # Errors
    /// With the first difference.
    pub fn check_step(&self, answer: &Answer, step: usize, when: When) -> Result<(), String> {
        if self.ordered {
            return Ok(());
        }
        check_sorted(&matrix(&answer.value, when)?)?;
        match &answer.value {
            Value::Scalar(values) => self.check_scalar(values.get(step).copied()),
            Value::Vector(series) => self.check_vector(&vector(series, step), false),
            _ => Err("came no matrix".to_owned()),
        }
    }

    fn check_annotations(&self, answer: &Answer) -> Result<(), String> {
        check_texts("warning", &self.warnings, self.no_warnings, &answer.warnings)?;
        check_texts("info", &self.infos, self.no_infos, &answer.infos)
    }

    fn check_scalar(&self, value: Option<f64>) -> Result<(), String> {
        match (self.scalar, value) {
            (Some(want), Some(got)) if same_float(want, got) => Ok(()),
            (_, got) => Err(format!("expected {}\ncame the scalar {got:?}", self.summary())),
        }
    }

    fn check_vector(&self, vector: &[(LabelSet, StepValue)], ordered: bool) -> Result<(), String> {
        if self.scalar.is_some() || self.string.is_some() || self.range_vector.is_some() {
            return Err(format!("expected {}\ncame a vector of {}", self.summary(), vector.len()));
        }
        let places = self.check_labels(vector, value_text)?;
        for (position, (place, (labels, value))) in places.iter().zip(vector).enumerate() {
            if ordered && *place != position {
                return Err(format!("expected {labels} at position {place}\ncame at position {position}"));
            }
            let want = self.series[*place].1.first().unwrap_or(&Item::Gap);
            if !same_value(want, Some(value)) {
                return Err(format!("expected {labels} {}\ncame {}", item_text(want), value_text(value)));
            }
        }
        Ok(())
    }

    fn check_matrix(&self, matrix: &[Points], when: Option<When>) -> Result<(), String> {
        if self.scalar.is_some() || self.string.is_some() || self.ordered {
            return Err(format!("expected {}\ncame a matrix of {}", self.summary(), matrix.len()));
        }
        check_sorted(matrix)?;
        let places = self.check_labels(matrix, points_text)?;
        let Some(When::Range { start, end, step }) = when else {
            return if matrix.is_empty() { Ok(()) } else { Err("came a range vector".to_owned()) };
        };
        for (place, (labels, points)) in places.into_iter().zip(matrix) {
            let items = &self.series[place].1;
            let times = (0..items.len()).map(|index| start.saturating_add(step.saturating_mul(index as i64)));
            if times.clone().next_back().is_some_and(|last| last > end) {
                return Err(format!("expected {} points of {labels}, more than the range has", items.len()));
            }
            let want: Vec<_> = times.zip(items).filter(|(_, item)| **item != Item::Gap).collect();
            let same = want.len() == points.len()
                && want.iter().zip(points).all(|((at, item), (time, value))| at == time && same_value(item, Some(value)));
            if !same {
                let want: Vec<String> = want.iter().map(|(at, item)| format!("{}@{at}", item_text(item))).collect();
                return Err(format!("expected {labels} {}\ncame {}", want.join(" "), points_text(points)));
            }
        }
        Ok(())
    }

    /// Checks that the series expected came and no other, and returns the place of each in the expectation.
    fn check_labels<T>(&self, came: &[(LabelSet, T)], text: fn(&T) -> String) -> Result<Vec<usize>, String> {
        let mut places = Vec::new();
        for (labels, values) in came {
            match self.series.iter().position(|(expected, _)| expected == labels) {
                Some(place) if places.contains(&place) => return Err(format!("came {labels} twice")),
                Some(place) => places.push(place),
                None => return Err(format!("expected {}\ncame {labels} {}", self.summary(), text(values))),
            }
        }
        match self.series.iter().enumerate().find(|(place, _)| !places.contains(place)) {
            Some((_, (labels, _))) => Err(format!("expected {labels}\ncame {} other series", came.len())),
            None => Ok(places),
        }
    }

    /// Says in a few words what was expected.
    pub fn summary(&self) -> String {
        if let Some(text) = &self.fail {
            return format!("an error, {text}");
        }
        match (&self.string, self.scalar, self.series.len()) {
            (Some(string), _, _) => format!("the string {string:?}"),
            (None, Some(scalar), _) => format!("the scalar {scalar}"),
            (None, None, 0) => "nothing".to_owned(),
            (None, None, 1) => format!("one series, {}", self.series[0].0),
            (None, None, count) => format!("{count} series, {} the first", self.series[0].0),
        }
    }
}

fn check_texts(kind: &str, expected: &[Text], none: bool, came: &[String]) -> Result<(), String> {
    if none && !came.is_empty() {
        return Err(format!("expected no {kind}\ncame {came:?}"));
    }
    if let Some(missing) = expected.iter().find(|text| !came.iter().any(|came| text.accepts(came))) {
        return Err(format!("expected {kind} {missing}\ncame {came:?}"));
    }
    match came.iter().find(|came| !expected.is_empty() && !expected.iter().any(|text| text.accepts(came))) {
        Some(unexpected) => Err(format!("expected no further {kind}\ncame {unexpected:?}")),
        None => Ok(()),
    }
}

fn check_sorted(matrix: &[Points]) -> Result<(), String> {
    match matrix.windows(2).find(|pair| pair[0].0 > pair[1].0) {
        Some(pair) => Err(format!("expected series sorted by labels\ncame {} before {}", pair[0].0, pair[1].0)),
        None => Ok(()),
    }
}

fn vector(series: &[StepSeries], step: usize) -> Vec<(LabelSet, StepValue)> {
    let at = |series: &StepSeries| (step < series.values.len()).then(|| series.values.get(step)).flatten();
    series.iter().filter_map(|series| Some((series.labels.clone(), at(series)?))).collect()
}

/// Lists a range query's series; those without a point are not part of an answer.
fn matrix(value: &Value, when: When) -> Result<Vec<Points>, String> {
    let When::Range { start, step, .. } = when else { return Err("a range query has a range".to_owned()) };
    let time = |index: usize| start.saturating_add(step.saturating_mul(index as i64));
    let of = |series: &StepSeries| -> Points {
        let steps = (0..series.values.len()).filter_map(|index| Some((time(index), series.values.get(index)?)));
        (series.labels.clone(), steps.collect())
    };
    match value {
        Value::Scalar(values) => {
            let points = values.iter().enumerate().map(|(index, value)| (time(index), StepValue::Float(*value)));
            Ok(vec![(LabelSet::empty(), points.collect())])
        }
        Value::Vector(series) => Ok(series.iter().map(of).filter(|(_, points)| !points.is_empty()).collect()),
        other => Err(format!("came no matrix but {other:?}")),
    }
}

/// Lists the raw samples of a series by time.
fn points(series: &Series) -> Points {
    let floats = series.timestamps.iter().zip(&series.values).map(|(at, value)| (*at, StepValue::Float(*value)));
    let histograms =
        series.histograms.iter().map(|sample| (sample.timestamp, StepValue::Histogram(Arc::clone(&sample.histogram))));
    let mut points: Vec<_> = floats.chain(histograms).collect();
    points.sort_by_key(|(at, _)| *at);
    (series.labels.clone(), points)
}

fn same_value(want: &Item, got: Option<&StepValue>) -> bool {
    match (want, got) {
        (Item::Gap, None) => true,
        (Item::Float(want), Some(StepValue::Float(got))) => same_float(*want, *got),
        (Item::Histogram(want, names_hint), Some(StepValue::Histogram(got))) => same_histogram(want, got, *names_hint),
        _ => false,
    }
}

/// Compares floats as upstream's `almost.Equal` does.
pub fn same_float(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

fn same_histogram(want: &Histogram, got: &Histogram, with_hint: bool) -> bool {
    let (mut want, mut got) = (want.clone(), got.clone());
    histogram::compact(&mut want);
    histogram::compact(&mut got);
    let same = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_float(*a, *b));
    want.schema == got.schema
        && want.zero_threshold == got.zero_threshold
        && want.positive_spans == got.positive_spans
        && want.negative_spans == got.negative_spans
        && (!want.uses_custom_buckets() || want.custom_values == got.custom_values)
        && same_float(want.count, got.count)
        && same_float(want.sum, got.sum)
        && same_float(want.zero_count, got.zero_count)
        && same(&want.positive_buckets, &got.positive_buckets)
        && same(&want.negative_buckets, &got.negative_buckets)
        && (!with_hint || want.counter_reset_hint == got.counter_reset_hint)
}

fn item_text(item: &Item) -> String {
    match item {
        Item::Gap => "_".to_owned(),
        Item::Float(value) => value.to_string(),
        Item::Histogram(histogram, _) => histogram_text(histogram),
    }
}

fn points_text(points: &Samples) -> String {
    points.iter().map(|(at, value)| format!("{}@{at}", value_text(value))).collect::<Vec<_>>().join(" ")
}

fn value_text(value: &StepValue) -> String {
    match value {
        StepValue::Float(value) => value.to_string(),
        StepValue::Histogram(histogram) => histogram_text(histogram),
    }
}

fn histogram_text(of: &Histogram) -> String {
    let mut compact = of.clone();
    histogram::compact(&mut compact);
    let Histogram { schema, count, sum, zero_count, zero_threshold, counter_reset_hint: hint, .. } = &compact;
    let offset = |spans: &[model::Span]| spans.first().map_or(0, |span| span.offset);
    let (positive, negative) = (offset(&compact.positive_spans), offset(&compact.negative_spans));
    format!(
        "{{{{schema:{schema} count:{count} sum:{sum} z_bucket:{zero_count} z_bucket_w:{zero_threshold} hint:{hint:?} custom:{:?} \
         offset:{positive} spans:{} buckets:{:?} n_offset:{negative} n_buckets:{:?}}}}}",
        compact.custom_values,
        compact.positive_spans.len(),
        compact.positive_buckets,
        compact.negative_buckets,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_equal_within_a_millionth() {
        for (a, b, same) in [
            (1.0, 1.000_001, true),
            (1.0, 1.000_003, false),
            (0.0, 1e-300, false),
            (f64::NAN, f64::NAN, true),
            (f64::NAN, model::STALE_NAN, false),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, 1.0, false),
            (f64::MAX, f64::MAX * 0.999_999_999, true),
        ] {
            assert_eq!(same_float(a, b), same, "{a} {b}");
        }
    }

    #[test]
    fn annotations_must_match_both_ways() {
        let came = ["a".to_owned(), "b".to_owned()];
        let exact = |text: &str| Text::Exact(text.to_owned());
        assert!(check_texts("info", &[exact("a"), exact("b")], false, &came).is_ok());
        assert!(check_texts("info", &[exact("a")], false, &came).is_err());
        assert!(check_texts("info", &[Text::Any], false, &came).is_ok());
        assert!(check_texts("info", &[Text::Any], false, &[]).is_err());
        assert!(check_texts("info", &[], false, &came).is_ok());
        assert!(check_texts("info", &[], true, &came).is_err());
    }
}
