//! `/detected_labels`, `/detected_fields` and `/detected_field/…/values`: what a client may offer as filters.

use model::{TimeRangeNs, TimestampNs};

use super::params::{ParameterError, bounds, count, step};
use crate::form::Form;
use crate::json_text::{comma, string, strings, write_to};

/// Lines looked at where the request does not say.
const LINES_DEFAULT: usize = 100;
/// Fields or values returned where the request does not say.
const LIMIT_DEFAULT: usize = 1_000;

/// The parameters of `detected_fields` and of a detected field's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DetectedParams {
    /// When.
    pub range: TimeRangeNs,
    /// Lines to look at.
    pub lines: usize,
    /// Fields or values to return.
    pub limit: usize,
}

impl DetectedParams {
    /// Parses the parameters with every check of `/loki/api/v1/detected_fields`; the step is checked and means nothing.
    pub fn parse(form: &Form, now: TimestampNs) -> Result<DetectedParams, ParameterError> {
        let (start, end) = bounds(form, now)?;
        if end < start {
            return Err(ParameterError("end timestamp must not be before or equal to start time".into()));
        }
        let lines = count("line_limit", form.get("line_limit"), LINES_DEFAULT)?;
        let text = match form.get("limit") {
            // Before Loki 3.4 it had this name.
            "" => form.get("field_limit"),
            text => text,
        };
        let limit = count("limit", text, LIMIT_DEFAULT)?;
        step(form, start, end)?;
        Ok(DetectedParams { range: TimeRangeNs::new(start, end), lines, limit })
    }
}

/// A field as the answer has it.
#[derive(Clone, Copy, Debug)]
pub struct DetectedField<'a> {
    /// Its label.
    pub label: &'a str,
    /// `string`, `int`, ….
    pub kind: &'a str,
    /// Distinct values.
    pub cardinality: u64,
    /// Parsers that find it; none is written as `null`.
    pub parsers: &'a [&'a str],
    /// Keys from the root of a JSON line.
    pub json_path: &'a [String],
}

/// Returns the answer to `/detected_fields`.
pub fn fields<'a>(fields: impl IntoIterator<Item = DetectedField<'a>>, limit: usize) -> Vec<u8> {
    let mut list = Vec::new();
    for (index, field) in fields.into_iter().enumerate() {
        comma(&mut list, index);
        list.extend_from_slice(b"{\"label\":");
        string(&mut list, field.label);
        write_to(&mut list, format_args!(",\"type\":\"{}\",\"cardinality\":{},\"parsers\":", field.kind, field.cardinality));
        match field.parsers {
            [] => list.extend_from_slice(b"null"),
            parsers => strings(&mut list, parsers.iter().copied()),
        }
        if !field.json_path.is_empty() {
            list.extend_from_slice(b",\"jsonPath\":");
            strings(&mut list, field.json_path.iter().map(String::as_str));
        }
        list.push(b'}');
    }
    if list.is_empty() {
        return b"{}".to_vec();
    }
    let mut out = b"{\"fields\":[".to_vec();
    out.append(&mut list);
    write_to(&mut out, format_args!("],\"limit\":{limit}}}"));
    out
}

/// Returns the answer to a detected field's values.
pub fn values(values: &[String], limit: usize) -> Vec<u8> {
    if values.is_empty() {
        return b"{}".to_vec();
    }
    let mut out = Vec::new();
    write_to(&mut out, format_args!("{{\"limit\":{limit},\"values\":"));
    strings(&mut out, values.iter().map(String::as_str));
    out.push(b'}');
    out
}

/// Returns the answer to `/detected_labels`: labels and how many values each has.
pub fn labels<'a>(labels: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<u8> {
    let mut list = Vec::new();
    for (index, (label, cardinality)) in labels.into_iter().enumerate() {
        comma(&mut list, index);
        list.extend_from_slice(b"{\"label\":");
        string(&mut list, label);
        write_to(&mut list, format_args!(",\"cardinality\":{cardinality}}}"));
    }
    if list.is_empty() {
        return b"{}".to_vec();
    }
    let mut out = b"{\"detectedLabels\":[".to_vec();
    out.append(&mut list);
    out.extend_from_slice(b"]}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let parse = |query: &str| DetectedParams::parse(&Form::parse(query, b"").expect("valid form"), TimestampNs(0));
        let params = parse("start=1&end=2&line_limit=5&field_limit=7").expect("valid");
        assert_eq!((params.lines, params.limit), (5, 7));
        let params = parse("start=1&end=2").expect("valid");
        assert_eq!((params.lines, params.limit), (100, 1000));
        for query in ["start=2&end=1", "line_limit=0", "limit=-1", "limit=x", "start=1&end=99&step=0.001", "limit=4294967296"] {
            assert!(parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn answers() {
        let field = DetectedField { label: "a", kind: "int", cardinality: 2, parsers: &["json"], json_path: &["x".to_owned()] };
        let metadata = DetectedField { label: "t", kind: "string", cardinality: 1, parsers: &[], json_path: &[] };
        let want = concat!(
            r#"{"fields":[{"label":"a","type":"int","cardinality":2,"parsers":["json"],"jsonPath":["x"]},"#,
            r#"{"label":"t","type":"string","cardinality":1,"parsers":null}],"limit":9}"#
        );
        assert_eq!(fields([field, metadata], 9), want.as_bytes());
        assert_eq!(values(&["x".to_owned()], 9), br#"{"limit":9,"values":["x"]}"#);
        assert_eq!(labels([("app", 3)]), br#"{"detectedLabels":[{"label":"app","cardinality":3}]}"#);
        assert_eq!([fields([], 9), values(&[], 9), labels([])], [b"{}"; 3].map(|empty| empty.to_vec()));
    }
}
