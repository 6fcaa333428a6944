//! An evaluation's value as Prometheus's JSON, some points at a time: an answer of millions of points is never held as text.

mod rows;

use model::LabelSet;
use plan::annotations::limited;
use plan::value::{StepSeries, StepValue};
use plan::{Answer, Grid, Value};
use wire::json_text::comma;
use wire::prom_api::envelope::{self, ResultType};

use self::rows::{GridRows, Open, RawRows, Rows, metric};
use crate::limits::ANNOTATIONS_MAX;
use crate::respond::Pieces;

/// What else the answer says.
pub struct Extras {
    /// JSON of the `stats` block, where asked for.
    pub stats: Option<String>,
    /// Series returned at most; 0 returns all.
    pub limit: usize,
}

/// What follows the series.
struct Tail {
    result_type: ResultType,
    stats: Option<String>,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Tail {
    fn write(&self, out: &mut Vec<u8>) {
        let warnings = limited(&self.warnings, "warning", ANNOTATIONS_MAX);
        let infos = limited(&self.infos, "info", ANNOTATIONS_MAX);
        envelope::tail(out, self.result_type, self.stats.as_deref(), &warnings, &infos);
    }

    /// Cuts the series to the limit, with a warning that says so.
    fn truncated<T>(&mut self, mut series: Vec<T>, limit: usize, is_absent: impl Fn(&T) -> bool) -> Vec<T> {
        if limit > 0 && series.len() > limit {
            series.retain(|one| !is_absent(one));
            if series.len() > limit {
                series.truncate(limit);
                self.warnings.push("results truncated due to limit".to_owned());
            }
        }
        series
    }
}

/// Renders the answer of an instant query.
pub fn instant(answer: Answer, at_ms: i64, extras: Extras) -> Pieces {
    let Answer { value, warnings, infos, .. } = answer;
    let mut tail = Tail { result_type: ResultType::Vector, stats: extras.stats, warnings, infos };
    match value {
        Value::Scalar(values) => {
            tail.result_type = ResultType::Scalar;
            at_once(&tail, |out| envelope::scalar_point(out, at_ms, values.first().copied().unwrap_or(f64::NAN)))
        }
        Value::Text(text) => {
            tail.result_type = ResultType::String;
            at_once(&tail, |out| envelope::text_point(out, at_ms, &text.to_lossy()))
        }
        Value::Vector(series) => {
            let series = tail.truncated(series, extras.limit, |one| one.values.is_absent());
            vector(series, at_ms, tail)
        }
        Value::Ranges(series) => {
            tail.result_type = ResultType::Matrix;
            let series = tail.truncated(series.into_iter().map(RawRows).collect(), extras.limit, Rows::is_absent);
            matrix(series.into_iter(), tail)
        }
        Value::Streams(_) => vector(Vec::new(), at_ms, tail),
    }
}

/// Renders the answer of a range query: always a matrix.
pub fn range(answer: Answer, grid: Grid, extras: Extras) -> Pieces {
    let Answer { value, warnings, infos, .. } = answer;
    let mut tail = Tail { result_type: ResultType::Matrix, stats: extras.stats, warnings, infos };
    let series = match value {
        Value::Vector(series) => tail.truncated(series, extras.limit, |one| one.values.is_absent()),
        Value::Scalar(values) => {
            let values = plan::StepValues { floats: values, histograms: Vec::new() };
            vec![StepSeries { labels: LabelSet::empty(), drop_name: false, values }]
        }
        Value::Text(_) | Value::Ranges(_) | Value::Streams(_) => Vec::new(),
    };
    matrix(series.into_iter().map(move |series| GridRows { series, grid }), tail)
}

fn at_once(tail: &Tail, write: impl FnOnce(&mut Vec<u8>)) -> Pieces {
    let mut bytes = Vec::new();
    envelope::head(&mut bytes, tail.result_type);
    write(&mut bytes);
    tail.write(&mut bytes);
    let mut bytes = Some(bytes);
    Box::new(move |out| {
        out.extend(bytes.take().unwrap_or_default());
        false
    })
}

fn vector(series: Vec<StepSeries>, at_ms: i64, tail: Tail) -> Pieces {
    let mut series = series.into_iter().filter(|one| !one.values.is_absent());
    let (mut begun, mut written) = (false, 0);
    Box::new(move |out| {
        if !std::mem::replace(&mut begun, true) {
            envelope::head(out, ResultType::Vector);
        }
        let Some(one) = series.next() else {
            tail.write(out);
            return false;
        };
        comma(out, written);
        written += 1;
        match one.values.get(0) {
            Some(StepValue::Histogram(value)) => envelope::vector_histogram(out, &metric(&one), at_ms, &value),
            Some(StepValue::Float(value)) => envelope::vector_float(out, &metric(&one), at_ms, value),
            None => unreachable!("absent series were left out"),
        }
        true
    })
}

/// Writes head, series and tail. A series is dropped once it is written; one without a point is left out.
fn matrix<R: Rows + Send + 'static>(series: impl Iterator<Item = R> + Send + 'static, tail: Tail) -> Pieces {
    let mut series = series.filter(|one| !one.is_absent());
    let mut open: Option<Open<R>> = None;
    let (mut begun, mut written) = (false, 0);
    Box::new(move |out| {
        if !std::mem::replace(&mut begun, true) {
            envelope::head(out, ResultType::Matrix);
        }
        if let Some(one) = &mut open {
            if !one.write_some(out) {
                open = None;
            }
            return true;
        }
        let Some(next) = series.next() else {
            tail.write(out);
            return false;
        };
        comma(out, written);
        written += 1;
        open = Some(Open::begin(next, out));
        true
    })
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
        Answer::of(value)
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
        let many = Answer { infos: (0..12).map(|n| n.to_string()).collect(), ..answer(Value::Vector(Vec::new())) };
        let expected = r#""infos":["0","1","2","3","4","5","6","7","8","9","2 more info annotations omitted"]}"#;
        assert!(all(instant(many, 0, extras(0))).ends_with(expected));
        let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
        assert_eq!(all(instant(answer(Value::Vector(Vec::new())), 0, extras(0))), empty);
        let text = r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#;
        assert_eq!(all(instant(answer(Value::Text("x".into())), 1000, extras(0))), text);
    }
}
