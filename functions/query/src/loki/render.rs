//! An evaluation's value as Loki's JSON, one stream or series at a time.

use model::LabelSet;
use plan::value::{StepSeries, StreamEntries};
use plan::{Answer, Grid, Value};
use wire::json_text::comma;
use wire::loki_api::envelope::{self, Line, ResultType};
use wire::loki_api::{Stats, legacy};

use crate::respond::Pieces;

/// Renders the answer of an instant query.
pub fn instant(answer: Answer, at_ms: i64, stats: Stats) -> Pieces {
    let Answer { value, warnings, .. } = answer;
    match value {
        Value::Scalar(values) => {
            let value = values.first().copied().unwrap_or(f64::NAN);
            let mut out = Vec::new();
            envelope::head(&mut out, ResultType::Scalar, false);
            envelope::scalar(&mut out, at_ms, value);
            envelope::tail(&mut out, ResultType::Scalar, &stats, &warnings);
            let mut out = Some(out);
            Box::new(move |buffer| {
                buffer.extend(out.take().unwrap_or_default());
                false
            })
        }
        Value::Vector(series) => {
            let write = move |out: &mut Vec<u8>, series: StepSeries| match series.values.floats.first() {
                Some(value) if !model::is_stale(*value) => {
                    envelope::vector_sample(out, &series.labels, at_ms, *value);
                    true
                }
                _ => false,
            };
            in_pieces(ResultType::Vector, false, series, write, stats, warnings)
        }
        Value::Text(_) | Value::Ranges(_) | Value::Streams(_) => {
            in_pieces(ResultType::Vector, false, Vec::new(), |_, ()| false, stats, warnings)
        }
    }
}

/// Renders the answer of a metric query over a range: always a matrix.
pub fn matrix(answer: Answer, grid: Grid, stats: Stats) -> Pieces {
    let Answer { value, warnings, .. } = answer;
    let series = match value {
        Value::Vector(series) => series,
        Value::Scalar(values) => {
            let values = plan::StepValues { floats: values, histograms: Vec::new() };
            vec![StepSeries { labels: LabelSet::empty(), drop_name: false, values }]
        }
        Value::Text(_) | Value::Ranges(_) | Value::Streams(_) => Vec::new(),
    };
    let write = move |out: &mut Vec<u8>, series: StepSeries| {
        let points = series.values.floats.iter().enumerate().filter(|(_, value)| !model::is_stale(**value));
        let points = points.map(|(step, value)| (grid.at(step).div_euclid(1_000_000), *value));
        let any = !series.values.is_absent();
        if any {
            envelope::matrix_series(out, &series.labels, points);
        }
        any
    };
    in_pieces(ResultType::Matrix, false, series, write, stats, warnings)
}

/// Renders the answer of a log query.
pub fn streams(answer: Answer, categorized: bool, stats: Stats) -> Pieces {
    let Answer { value, warnings, .. } = answer;
    let streams = if let Value::Streams(streams) = value { streams } else { Vec::new() };
    let write = move |out: &mut Vec<u8>, stream: StreamEntries| {
        if stream.entries.is_empty() {
            return false;
        }
        envelope::stream_head(out, &stream.labels);
        for (index, entry) in stream.entries.iter().enumerate() {
            comma(out, index);
            let categories = categorized.then_some((&entry.metadata, &entry.parsed));
            envelope::stream_line(out, &Line { timestamp_ns: entry.timestamp, line: &entry.line, categories });
        }
        envelope::stream_tail(out);
        true
    };
    in_pieces(ResultType::Streams, categorized, streams, write, stats, warnings)
}

/// Renders the answer of a log query as Loki's first API did.
pub fn legacy_streams(answer: Answer, stats: Stats) -> Pieces {
    let streams = if let Value::Streams(streams) = answer.value { streams } else { Vec::new() };
    let mut streams = streams.into_iter().filter(|stream| !stream.entries.is_empty()).enumerate();
    let mut begun = false;
    Box::new(move |out| {
        if !begun {
            legacy::head(out);
            begun = true;
        }
        let Some((index, stream)) = streams.next() else {
            legacy::tail(out, &stats);
            return false;
        };
        comma(out, index);
        legacy::stream(out, &stream.labels, stream.entries.iter().map(|entry| (entry.timestamp, entry.line.as_slice())));
        true
    })
}

/// Counts the lines or points an answer has.
pub fn entries_returned(value: &Value) -> u64 {
    match value {
        Value::Streams(streams) => streams.iter().map(|stream| stream.entries.len() as u64).sum(),
        Value::Vector(series) => {
            let points =
                |series: &StepSeries| series.values.floats.iter().filter(|value| !model::is_stale(**value)).count() as u64;
            series.iter().map(points).sum()
        }
        Value::Scalar(values) => values.len() as u64,
        Value::Text(_) | Value::Ranges(_) => 0,
    }
}

/// Writes head, items and tail; `write` says whether it wrote the item.
fn in_pieces<T: Send + 'static>(
    result_type: ResultType,
    categorized: bool,
    items: Vec<T>,
    mut write: impl FnMut(&mut Vec<u8>, T) -> bool + Send + 'static,
    stats: Stats,
    warnings: Vec<String>,
) -> Pieces {
    let mut items = items.into_iter();
    let (mut begun, mut written) = (false, 0);
    Box::new(move |out| {
        if !begun {
            envelope::head(out, result_type, categorized);
            begun = true;
        }
        let Some(item) = items.next() else {
            envelope::tail(out, result_type, &stats, &warnings);
            return false;
        };
        let before = out.len();
        comma(out, written);
        match write(out, item) {
            true => written += 1,
            false => out.truncate(before),
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::TimeUnit;
    use plan::value::Entry;

    fn all(mut pieces: Pieces) -> serde_json::Value {
        let mut out = Vec::new();
        while pieces(&mut out) {}
        let mut json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert!(json["data"]["stats"]["summary"].is_object());
        json["data"].as_object_mut().unwrap().remove("stats");
        json["data"].take()
    }

    fn answer(value: Value) -> Answer {
        Answer::of(value)
    }

    #[test]
    fn values_of_every_type() {
        let grid = Grid { start: 1_000_000_000, end: 2_000_000_000, step: 1_000_000_000, unit: TimeUnit::Nanoseconds };
        let json = all(matrix(answer(Value::Scalar(vec![2.0, 2.0])), grid, Stats::default()));
        assert_eq!(json.to_string(), r#"{"result":[{"metric":{},"values":[[1,"2"],[2,"2"]]}],"resultType":"matrix"}"#);
        let json = all(instant(answer(Value::Scalar(vec![2.0])), 4_000, Stats::default()));
        assert_eq!(json.to_string(), r#"{"result":[4000,"2"],"resultType":"scalar"}"#);
        let json = all(instant(answer(Value::Vector(Vec::new())), 4_000, Stats::default()));
        assert_eq!(json.to_string(), r#"{"result":[],"resultType":"vector"}"#);
        let entry =
            Entry { timestamp: 5, line: b"x".to_vec(), metadata: LabelSet::empty(), parsed: LabelSet::from_pairs([("p", "1")]) };
        let value = Value::Streams(vec![StreamEntries { labels: LabelSet::from_pairs([("app", "a")]), entries: vec![entry] }]);
        assert_eq!(entries_returned(&value), 1);
        let json = all(streams(answer(value), true, Stats::default()));
        let expected = concat!(
            r#"{"encodingFlags":["categorize-labels"],"result":[{"stream":{"app":"a"},"values":[["5","x",{"parsed":{"p":"1"}}]]}],"#,
            r#""resultType":"streams"}"#
        );
        assert_eq!(json.to_string(), expected);
    }
}
