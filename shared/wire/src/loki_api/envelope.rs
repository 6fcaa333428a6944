//! The JSON of answers, written in pieces: head, one stream or series at a time, tail.

use model::LabelSet;

use super::Stats;
use crate::json_text::{comma, labels, lossy_string, plain_float, string, strings, write_to};

/// What `resultType` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultType {
    /// Log lines by stream.
    Streams,
    /// Series of points.
    Matrix,
    /// Series of one point.
    Vector,
    /// One number.
    Scalar,
}

impl ResultType {
    /// Returns the API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            ResultType::Streams => "streams",
            ResultType::Matrix => "matrix",
            ResultType::Vector => "vector",
            ResultType::Scalar => "scalar",
        }
    }
}

/// The request header that asks for labels by category, and its value.
pub const ENCODING_FLAGS_HEADER: &str = "x-loki-response-encoding-flags";
/// Labels of a line are told apart: stream, structured metadata, parsed.
pub const CATEGORIZE_LABELS: &str = "categorize-labels";

/// Opens the answer to a query; streams or series follow, separated by [`comma`].
pub fn head(out: &mut Vec<u8>, result_type: ResultType, categorized: bool) {
    write_to(out, format_args!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{}\",", result_type.as_str()));
    if categorized {
        write_to(out, format_args!("\"encodingFlags\":[\"{CATEGORIZE_LABELS}\"],"));
    }
    out.extend_from_slice(if result_type == ResultType::Scalar { b"\"result\":".as_slice() } else { b"\"result\":[" });
}

/// Closes the answer to a query.
pub fn tail(out: &mut Vec<u8>, result_type: ResultType, stats: &Stats, warnings: &[String]) {
    out.extend_from_slice(if result_type == ResultType::Scalar { b",\"stats\":".as_slice() } else { b"],\"stats\":" });
    stats.write(out);
    out.push(b'}');
    if !warnings.is_empty() {
        out.extend_from_slice(b",\"warnings\":");
        strings(out, warnings.iter().map(String::as_str));
    }
    out.push(b'}');
}

/// One line of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// When, nanoseconds.
    pub timestamp_ns: i64,
    /// The line; what is not UTF-8 becomes U+FFFD.
    pub line: &'a [u8],
    /// Structured metadata and parsed labels, where they were asked for.
    pub categories: Option<(&'a LabelSet, &'a LabelSet)>,
}

/// Opens a stream; its lines follow.
pub fn stream_head(out: &mut Vec<u8>, stream: &LabelSet) {
    out.extend_from_slice(b"{\"stream\":");
    labels(out, stream);
    out.extend_from_slice(b",\"values\":[");
}

/// Writes a line, `["nanoseconds","text"]`, with its categorised labels where they were asked for.
pub fn stream_line(out: &mut Vec<u8>, line: &Line<'_>) {
    write_to(out, format_args!("[\"{}\",", line.timestamp_ns));
    lossy_string(out, line.line);
    if let Some((metadata, parsed)) = line.categories {
        out.extend_from_slice(b",{");
        let present = [("structuredMetadata", metadata), ("parsed", parsed)].into_iter().filter(|(_, set)| !set.is_empty());
        for (index, (name, set)) in present.enumerate() {
            comma(out, index);
            write_to(out, format_args!("\"{name}\":"));
            labels(out, set);
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// Closes a stream.
pub fn stream_tail(out: &mut Vec<u8>) {
    out.extend_from_slice(b"]}");
}

/// Writes a series of a matrix; points are `(milliseconds, value)`.
pub fn matrix_series(out: &mut Vec<u8>, metric: &LabelSet, points: impl IntoIterator<Item = (i64, f64)>) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, metric);
    out.extend_from_slice(b",\"values\":[");
    for (index, (timestamp, value)) in points.into_iter().enumerate() {
        comma(out, index);
        point(out, timestamp, value);
    }
    out.extend_from_slice(b"]}");
}

/// Writes a series of a vector.
pub fn vector_sample(out: &mut Vec<u8>, metric: &LabelSet, timestamp_ms: i64, value: f64) {
    out.extend_from_slice(b"{\"metric\":");
    labels(out, metric);
    out.extend_from_slice(b",\"value\":");
    point(out, timestamp_ms, value);
    out.push(b'}');
}

/// Writes the result of a scalar query. Its time is in milliseconds: so Loki writes it, and clients know.
pub fn scalar(out: &mut Vec<u8>, timestamp_ms: i64, value: f64) {
    write_to(out, format_args!("[{timestamp_ms},\""));
    plain_float(out, value);
    out.extend_from_slice(b"\"]");
}

fn point(out: &mut Vec<u8>, timestamp_ms: i64, value: f64) {
    out.push(b'[');
    plain_float(out, timestamp_ms as f64 / 1000.0);
    out.extend_from_slice(b",\"");
    plain_float(out, value);
    out.extend_from_slice(b"\"]");
}

/// Returns the answer to a look-up of names or values; without `data` where there is none, as Loki answers.
pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut list = Vec::new();
    strings(&mut list, names);
    if list == b"[]" {
        return br#"{"status":"success"}"#.to_vec();
    }
    let mut out = br#"{"status":"success","data":"#.to_vec();
    out.append(&mut list);
    out.push(b'}');
    out
}

/// Returns the answer to `/series`.
pub fn series(series: &[LabelSet]) -> Vec<u8> {
    let mut out = br#"{"status":"success","data":["#.to_vec();
    for (index, stream) in series.iter().enumerate() {
        comma(&mut out, index);
        labels(&mut out, stream);
    }
    out.extend_from_slice(b"]}");
    out
}

/// Returns the answer to `/format_query`: the text, or why it does not parse (the only error Loki writes as JSON).
pub fn formatted(result: Result<&str, &str>) -> Vec<u8> {
    let (head, text) = match result {
        Ok(text) => (r#"{"status":"success","data":"#, text),
        Err(text) => (r#"{"status":"invalid-query","error":"#, text),
    };
    let mut out = head.as_bytes().to_vec();
    string(&mut out, text);
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn streams() {
        let (metadata, parsed, none) =
            (LabelSet::from_pairs([("t", "1")]), LabelSet::from_pairs([("p", "2")]), LabelSet::empty());
        let body = text(|out| {
            head(out, ResultType::Streams, true);
            stream_head(out, &LabelSet::from_pairs([("app", "a")]));
            stream_line(out, &Line { timestamp_ns: 5, line: b"x\xff", categories: Some((&metadata, &parsed)) });
            comma(out, 1);
            stream_line(out, &Line { timestamp_ns: 6, line: b"y", categories: Some((&none, &none)) });
            stream_tail(out);
            tail(out, ResultType::Streams, &Stats::default(), &[]);
        });
        let expected = concat!(
            r#"{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[{"stream":{"app":"a"},"#,
            "\"values\":[[\"5\",\"x\u{fffd}\",{\"structuredMetadata\":{\"t\":\"1\"},\"parsed\":{\"p\":\"2\"}}],[\"6\",\"y\",{}]]}],\"stats\":{"
        );
        assert!(body.starts_with(expected), "{body}");
    }

    #[test]
    fn numbers() {
        let metric = LabelSet::empty();
        let body = text(|out| matrix_series(out, &metric, [(1_767_225_659_999, 1e21), (1_500, f64::NAN)]));
        assert_eq!(body, r#"{"metric":{},"values":[[1767225659.999,"1000000000000000000000"],[1.5,"NaN"]]}"#);
        assert_eq!(text(|out| vector_sample(out, &metric, 4_000, 2.0)), r#"{"metric":{},"value":[4,"2"]}"#);
        assert_eq!(text(|out| scalar(out, 4_000, 2.0)), r#"[4000,"2"]"#);
    }

    #[test]
    fn lookups() {
        assert_eq!(names([]), br#"{"status":"success"}"#);
        assert_eq!(names(["a"]), br#"{"status":"success","data":["a"]}"#);
        assert_eq!(series(&[LabelSet::empty()]), br#"{"status":"success","data":[{}]}"#);
        assert_eq!(formatted(Err("no")), br#"{"status":"invalid-query","error":"no"}"#);
    }
}
