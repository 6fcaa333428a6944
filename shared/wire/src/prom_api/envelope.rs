//! The JSON of answers, written in pieces: head, one series at a time, tail.
//!
//! Key order is Prometheus's: `status`, `data` (`resultType`, `result`, `stats`), `errorType`, `error`, `warnings`, `infos`.

use model::{Exemplar, Histogram, LabelSet, MetricMetadata};

use super::{ApiError, histogram};
use crate::json_text::{comma, html_string, html_strings, integer, labels, plain_float, prometheus_float, write_to};

/// What `resultType` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultType {
    /// Series of points.
    Matrix,
    /// Series of one point.
    Vector,
    /// One number.
    Scalar,
    /// One string.
    String,
}

impl ResultType {
    /// Returns the API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            ResultType::Matrix => "matrix",
            ResultType::Vector => "vector",
            ResultType::Scalar => "scalar",
            ResultType::String => "string",
        }
    }
}

/// Opens the answer to a query; matrix and vector series follow, separated by [`comma`].
pub fn head(out: &mut Vec<u8>, result_type: ResultType) {
    write_to(out, format_args!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{}\",\"result\":", result_type.as_str()));
    if matches!(result_type, ResultType::Matrix | ResultType::Vector) {
        out.push(b'[');
    }
}

/// Closes the answer to a query. `stats` is JSON.
pub fn tail(out: &mut Vec<u8>, result_type: ResultType, stats: Option<&str>, warnings: &[String], infos: &[String]) {
    if matches!(result_type, ResultType::Matrix | ResultType::Vector) {
        out.push(b']');
    }
    if let Some(stats) = stats {
        write_to(out, format_args!(",\"stats\":{stats}"));
    }
    out.push(b'}');
    notices(out, warnings, infos);
    out.push(b'}');
}

fn notices(out: &mut Vec<u8>, warnings: &[String], infos: &[String]) {
    for (name, notices) in [("warnings", warnings), ("infos", infos)] {
        if !notices.is_empty() {
            write_to(out, format_args!(",\"{name}\":"));
            html_strings(out, notices.iter().map(String::as_str));
        }
    }
}

/// Writes a series of a matrix; points are `(milliseconds, value)`. A series may have floats, histograms, or both.
pub fn matrix_series<'a>(
    out: &mut Vec<u8>,
    metric: &LabelSet,
    floats: impl IntoIterator<Item = (i64, f64)>,
    histograms: impl IntoIterator<Item = (i64, &'a Histogram)>,
) {
    series_head(out, metric);
    let mut points = Points::Values(0);
    floats.into_iter().for_each(|(at, value)| points.float(out, at, value));
    points.end(out);
    let mut points = Points::Histograms(0);
    histograms.into_iter().for_each(|(at, value)| points.histogram(out, at, value));
    points.end(out);
    series_tail(out);
}

/// Opens a series of a matrix; [`Points`] follow.
pub fn series_head(out: &mut Vec<u8>, metric: &LabelSet) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, metric);
}

/// Closes a series of a matrix.
pub fn series_tail(out: &mut Vec<u8>) {
    out.push(b'}');
}

/// The points of a series, written one by one; a list without a point is not written at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Points {
    /// Floats, and how many were written.
    Values(usize),
    /// Histograms, and how many were written.
    Histograms(usize),
}

impl Points {
    /// Writes a float.
    pub fn float(&mut self, out: &mut Vec<u8>, timestamp: i64, value: f64) {
        self.next(out);
        float_point(out, timestamp, value);
    }

    /// Writes a histogram.
    pub fn histogram(&mut self, out: &mut Vec<u8>, timestamp: i64, value: &Histogram) {
        self.next(out);
        histogram_point(out, timestamp, value);
    }

    /// Closes the list.
    pub fn end(self, out: &mut Vec<u8>) {
        if self.written() > 0 {
            out.push(b']');
        }
    }

    fn written(self) -> usize {
        let (Points::Values(written) | Points::Histograms(written)) = self;
        written
    }

    fn next(&mut self, out: &mut Vec<u8>) {
        let (written, key) = match self {
            Points::Values(written) => (written, b",\"values\":[".as_slice()),
            Points::Histograms(written) => (written, b",\"histograms\":[".as_slice()),
        };
        out.extend_from_slice(if *written == 0 { key } else { b"," });
        *written += 1;
    }
}

/// Writes a series of a vector with a float.
pub fn vector_float(out: &mut Vec<u8>, metric: &LabelSet, timestamp: i64, value: f64) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, metric);
    out.extend_from_slice(b",\"value\":");
    float_point(out, timestamp, value);
    out.push(b'}');
}

/// Writes a series of a vector with a histogram.
pub fn vector_histogram(out: &mut Vec<u8>, metric: &LabelSet, timestamp: i64, value: &Histogram) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, metric);
    out.extend_from_slice(b",\"histogram\":");
    histogram_point(out, timestamp, value);
    out.push(b'}');
}

/// Writes `[seconds,"value"]`: a point of a series.
pub fn float_point(out: &mut Vec<u8>, timestamp: i64, value: f64) {
    out.push(b'[');
    seconds(out, timestamp);
    out.extend_from_slice(b",\"");
    prometheus_float(out, value);
    out.extend_from_slice(b"\"]");
}

/// Writes the result of a scalar query: unlike a point, seconds without trailing zeros and never an exponent (upstream
/// marshals it apart).
pub fn scalar_point(out: &mut Vec<u8>, timestamp: i64, value: f64) {
    out.push(b'[');
    prometheus_float(out, timestamp as f64 / 1000.0);
    out.extend_from_slice(b",\"");
    plain_float(out, value);
    out.extend_from_slice(b"\"]");
}

/// Writes the result of a string query, its time like that of a scalar.
pub fn text_point(out: &mut Vec<u8>, timestamp: i64, text: &str) {
    out.push(b'[');
    prometheus_float(out, timestamp as f64 / 1000.0);
    out.push(b',');
    html_string(out, text);
    out.push(b']');
}

fn histogram_point(out: &mut Vec<u8>, timestamp: i64, value: &Histogram) {
    out.push(b'[');
    seconds(out, timestamp);
    out.push(b',');
    histogram::write(out, value);
    out.push(b']');
}

/// Writes milliseconds as seconds: three decimals where there is a fraction, else none.
pub fn seconds(out: &mut Vec<u8>, timestamp_ms: i64) {
    if timestamp_ms < 0 {
        out.push(b'-');
    }
    let ms = timestamp_ms.unsigned_abs();
    integer(out, (ms / 1000) as i64);
    if !ms.is_multiple_of(1000) {
        let fraction = ms % 1000;
        out.extend_from_slice(&[
            b'.',
            b'0' + (fraction / 100) as u8,
            b'0' + (fraction / 10 % 10) as u8,
            b'0' + (fraction % 10) as u8,
        ]);
    }
}

/// Returns an answer whose data `write` appends.
pub fn answer(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    noted_answer(write, &[], &[])
}

/// Returns an answer whose data `write` appends, with warnings and infos.
pub fn noted_answer(write: impl FnOnce(&mut Vec<u8>), warnings: &[String], infos: &[String]) -> Vec<u8> {
    let mut out = b"{\"status\":\"success\",\"data\":".to_vec();
    write(&mut out);
    notices(&mut out, warnings, infos);
    out.push(b'}');
    out
}

/// Returns an error answer; evaluation may have left warnings before it failed.
pub fn error(error: &ApiError) -> Vec<u8> {
    let mut out = Vec::new();
    write_to(&mut out, format_args!("{{\"status\":\"error\",\"errorType\":\"{}\",\"error\":", error.error_type.as_str()));
    html_string(&mut out, &error.message);
    out.push(b'}');
    out
}

/// Writes label sets as a list: the data of `/series`.
pub fn series_list(out: &mut Vec<u8>, series: &[LabelSet]) {
    out.push(b'[');
    for (index, metric) in series.iter().enumerate() {
        comma(out, index);
        labels(out, metric);
    }
    out.push(b']');
}

/// Writes metadata by metric; `items` are ordered by metric.
pub fn metadata(out: &mut Vec<u8>, items: &[MetricMetadata]) {
    out.push(b'{');
    for (index, family) in items.chunk_by(|a, b| a.metric == b.metric).enumerate() {
        comma(out, index);
        html_string(out, &family[0].metric);
        out.extend_from_slice(b":[");
        for (index, item) in family.iter().enumerate() {
            comma(out, index);
            write_to(out, format_args!("{{\"type\":\"{}\",\"help\":", item.kind.as_str()));
            html_string(out, &item.help);
            out.extend_from_slice(b",\"unit\":");
            html_string(out, &item.unit);
            out.push(b'}');
        }
        out.push(b']');
    }
    out.push(b'}');
}

/// Writes the exemplars of series: the data of `/query_exemplars`.
pub fn exemplars(out: &mut Vec<u8>, series: &[(LabelSet, Vec<Exemplar>)]) {
    out.push(b'[');
    for (index, (metric, exemplars)) in series.iter().enumerate() {
        comma(out, index);
        out.extend_from_slice(b"{\"seriesLabels\":");
        labels(out, metric);
        out.extend_from_slice(b",\"exemplars\":[");
        for (index, exemplar) in exemplars.iter().enumerate() {
            comma(out, index);
            out.extend_from_slice(b"{\"labels\":");
            labels(out, &exemplar.labels);
            out.extend_from_slice(b",\"value\":\"");
            prometheus_float(out, exemplar.value);
            out.extend_from_slice(b"\",\"timestamp\":");
            seconds(out, exemplar.timestamp.0);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
    out.push(b']');
}

#[cfg(test)]
mod tests;
