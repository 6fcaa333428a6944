//! Answers as text, so that two can be held against each other bit by bit.

use plan::{Answer, StepSeries, Value};

/// Values, warnings and infos.
type Words = (Vec<String>, Vec<String>, Vec<String>);

/// What an answer says, with the bits of its floats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said(Result<Words, String>);

impl Said {
    /// Writes an answer, or why there is none.
    pub fn of(answer: Result<Answer, String>) -> Said {
        Said(answer.map(|answer| (values(&answer.value), answer.warnings, answer.infos)))
    }

    /// Reports whether it says that samples might say something else.
    pub fn is_called_inexact(&self) -> bool {
        self.0.as_ref().is_ok_and(|(.., infos)| infos.iter().any(|info| info.contains("not exact")))
    }

    /// Returns why there is no answer.
    pub fn error(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }

    /// Returns the largest difference between the numbers of two answers, as a share of the larger; `None` where they are not of the same shape.
    pub fn distance(&self, other: &Said) -> Option<f64> {
        let (Ok((ours, ..)), Ok((theirs, ..))) = (&self.0, &other.0) else { return None };
        let numbers = |lines: &[String]| -> Vec<Option<f64>> {
            let words = lines.iter().flat_map(|line| line.split(' ')).filter_map(|word| word.split_once('/'));
            words.map(|(number, _)| number.parse().ok()).collect()
        };
        let (ours, theirs) = (numbers(ours), numbers(theirs));
        let mut pairs = ours.iter().zip(&theirs).map(|(a, b)| {
            let (a, b) = ((*a)?, (*b)?);
            Some(if a == b { 0.0 } else { (a - b).abs() / a.abs().max(b.abs()) })
        });
        if ours.len() == theirs.len() { pairs.try_fold(0.0, |largest: f64, of| of.map(|of| largest.max(of))) } else { None }
    }

    /// Returns the beginning of it.
    pub fn text(&self) -> String {
        let text = format!("{:?}", self.0);
        text[..text.floor_char_boundary(2_000)].to_owned()
    }
}

/// A number as its text: a NaN is a NaN, whatever its payload.
fn numbers(floats: &[f64]) -> String {
    let text = |value: &f64| match () {
        () if model::is_stale(*value) => "-".into(),
        () if value.is_nan() => "NaN".into(),
        () => format!("{value}/{:x}", value.to_bits()),
    };
    floats.iter().map(text).collect::<Vec<String>>().join(" ")
}

fn values(value: &Value) -> Vec<String> {
    match value {
        Value::Scalar(floats) => vec![numbers(floats)],
        Value::Text(text) => vec![format!("{text:?}")],
        Value::Ranges(series) => {
            series.iter().map(|of| format!("{} {:?} {}", of.labels, of.timestamps, numbers(&of.values))).collect()
        }
        Value::Vector(series) => {
            let one = |of: &StepSeries| format!("{} {} {:?}", of.labels, numbers(&of.values.floats), of.values.histograms);
            series.iter().map(one).collect()
        }
        Value::Streams(_) => vec!["streams".into()],
    }
}
