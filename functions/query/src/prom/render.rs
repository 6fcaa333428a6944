//! An evaluation's value as Prometheus's JSON, one series at a time.

use model::LabelSet;
use plan::value::{Series, StepSeries, StepValue};
use plan::{Answer, Grid, Value};
use wire::json_text::comma;
use wire::prom_api::envelope::{self, ResultType};

use crate::respond::Pieces;

/// Labels that name removal takes away at the very end.
const NAME_LABELS: [&str; 3] = ["__name__", "__type__", "__unit__"];

/// What else the answer says.
pub struct Extras {
    /// JSON of the `stats` block, where asked for.
    pub stats: Option<String>,
    /// Series returned at most; 0 returns all.
    pub limit: usize,
}

/// Renders the answer of an instant query.
pub fn instant(answer: Answer, at_ms: i64, extras: Extras) -> Pieces {
    let Answer { value, mut warnings, infos, .. } = answer;
    let mut out = Vec::new();
    match value {
        Value::Scalar(values) => {
            envelope::head(&mut out, ResultType::Scalar);
            envelope::float_point(&mut out, at_ms, values.first().copied().unwrap_or(f64::NAN));
            envelope::tail(&mut out, ResultType::Scalar, extras.stats.as_deref(), &warnings, &infos);
            at_once(out)
        }
        Value::Text(text) => {
            envelope::head(&mut out, ResultType::String);
            envelope::text_point(&mut out, at_ms, &text);
            envelope::tail(&mut out, ResultType::String, extras.stats.as_deref(), &warnings, &infos);
            at_once(out)
        }
        Value::Vector(series) => {
            let series = truncated(series, extras.limit, &mut warnings);
            let write = move |out: &mut Vec<u8>, series: StepSeries| vector_series(out, &series, at_ms);
            in_pieces(ResultType::Vector, series, write, extras.stats, warnings, infos)
        }
        Value::Ranges(series) => {
            let series = truncated(series, extras.limit, &mut warnings);
            in_pieces(ResultType::Matrix, series, |out, series: Series| raw_series(out, &series), extras.stats, warnings, infos)
        }
        Value::Streams(_) => in_pieces(ResultType::Vector, Vec::new(), |_, ()| false, extras.stats, warnings, infos),
    }
}

/// Renders the answer of a range query: always a matrix.
pub fn range(answer: Answer, grid: Grid, extras: Extras) -> Pieces {
    let Answer { value, mut warnings, infos, .. } = answer;
    let series = match value {
        Value::Vector(series) => truncated(series, extras.limit, &mut warnings),
        Value::Scalar(values) => {
            let values = plan::StepValues { floats: values, histograms: Vec::new() };
            vec![StepSeries { labels: LabelSet::empty(), drop_name: false, values }]
        }
        Value::Text(_) | Value::Ranges(_) | Value::Streams(_) => Vec::new(),
    };
    let write = move |out: &mut Vec<u8>, series: StepSeries| grid_series(out, &series, grid);
    in_pieces(ResultType::Matrix, series, write, extras.stats, warnings, infos)
}

fn at_once(bytes: Vec<u8>) -> Pieces {
    let mut bytes = Some(bytes);
    Box::new(move |out| {
        out.extend(bytes.take().unwrap_or_default());
        false
    })
}

/// Writes head, items and tail; `write` says whether it wrote the item (a series without a point is left out).
fn in_pieces<T: Send + 'static>(
    result_type: ResultType,
    items: Vec<T>,
    mut write: impl FnMut(&mut Vec<u8>, T) -> bool + Send + 'static,
    stats: Option<String>,
    warnings: Vec<String>,
    infos: Vec<String>,
) -> Pieces {
    let mut items = items.into_iter();
    let (mut begun, mut written) = (false, 0);
    Box::new(move |out| {
        if !begun {
            envelope::head(out, result_type);
            begun = true;
        }
        let Some(item) = items.next() else {
            envelope::tail(out, result_type, stats.as_deref(), &warnings, &infos);
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

fn truncated<T>(mut series: Vec<T>, limit: usize, warnings: &mut Vec<String>) -> Vec<T> {
    if limit > 0 && series.len() > limit {
        series.truncate(limit);
        warnings.push("results truncated due to limit".to_owned());
    }
    series
}

/// Returns the labels as they are shown.
fn metric(series: &StepSeries) -> LabelSet {
    match series.drop_name {
        true => series.labels.retain(|name| !NAME_LABELS.contains(&name)),
        false => series.labels.clone(),
    }
}

fn vector_series(out: &mut Vec<u8>, series: &StepSeries, at_ms: i64) -> bool {
    match series.values.get(0) {
        Some(StepValue::Float(value)) => envelope::vector_float(out, &metric(series), at_ms, value),
        Some(StepValue::Histogram(value)) => envelope::vector_histogram(out, &metric(series), at_ms, &value),
        None => return false,
    }
    true
}

fn grid_series(out: &mut Vec<u8>, series: &StepSeries, grid: Grid) -> bool {
    if series.values.is_absent() {
        return false;
    }
    let values = &series.values;
    let has_histogram = |step: usize| matches!(values.histograms.get(step), Some(Some(_)));
    let floats = values.floats.iter().enumerate();
    let floats = floats.filter(|(step, value)| !model::is_stale(**value) && !has_histogram(*step));
    let floats = floats.map(|(step, value)| (grid.at(step), *value));
    let histograms = values.histograms.iter().enumerate().filter_map(|(step, value)| Some((grid.at(step), &**value.as_ref()?)));
    envelope::matrix_series(out, &metric(series), floats, histograms);
    true
}

fn raw_series(out: &mut Vec<u8>, series: &Series) -> bool {
    let floats =
        series.timestamps.iter().copied().zip(series.values.iter().copied()).filter(|(_, value)| !model::is_stale(*value));
    let histograms = series.histograms.iter().filter(|sample| !sample.histogram.is_stale());
    let histograms = histograms.map(|sample| (sample.timestamp, &*sample.histogram));
    envelope::matrix_series(out, &series.labels, floats, histograms);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{STALE_NAN, TimestampMs};

    fn all(mut pieces: Pieces) -> String {
        let mut out = Vec::new();
        while pieces(&mut out) {}
        String::from_utf8(out).unwrap()
    }

    fn series(name: &str, floats: Vec<f64>) -> StepSeries {
        let values = plan::StepValues { floats, histograms: Vec::new() };
        StepSeries { labels: LabelSet::from_pairs([("__name__", "m"), ("l", name)]), drop_name: name == "dropped", values }
    }

    fn answer(value: Value) -> Answer {
        Answer { value, warnings: Vec::new(), infos: Vec::new(), samples_loaded: 0 }
    }

    fn extras(limit: usize) -> Extras {
        Extras { stats: None, limit }
    }

    #[test]
    fn gaps_and_absent_series_are_left_out() {
        let grid = Grid::range_ms(TimestampMs(1000), TimestampMs(3000), 1000);
        let value = Value::Vector(vec![
            series("absent", vec![STALE_NAN; 3]),
            series("gap", vec![1.0, STALE_NAN, 3.0]),
            series("dropped", vec![2.0; 3]),
        ]);
        let expected = concat!(
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"m","l":"gap"},"values":[[1,"1"],[3,"3"]]},"#,
            r#"{"metric":{"l":"dropped"},"values":[[1,"2"],[2,"2"],[3,"2"]]}]}}"#
        );
        assert_eq!(all(range(answer(value), grid, extras(0))), expected);
        let expected =
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"],[2,"2"],[3,"3"]]}]}}"#;
        assert_eq!(all(range(answer(Value::Scalar(vec![1.0, 2.0, 3.0])), grid, extras(0))), expected);
    }

    #[test]
    fn instant_values() {
        let vector = Value::Vector(vec![series("a", vec![1.0]), series("b", vec![2.0])]);
        let expected = concat!(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","l":"a"},"value":[1.500,"1"]}]},"#,
            r#""warnings":["results truncated due to limit"]}"#
        );
        assert_eq!(all(instant(answer(vector), 1500, extras(1))), expected);
        let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert_eq!(all(instant(answer(Value::Vector(Vec::new())), 0, extras(0))), empty);
        let text = r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#;
        assert_eq!(all(instant(answer(Value::Text("x".into())), 1000, extras(0))), text);
    }
}
