//! `/patterns`: what lines have in common, counted by steps.

use model::{TimeRangeNs, TimestampNs};

use super::params::{ParameterError, bounds, step};
use crate::form::Form;
use crate::json_text::{comma, html_string, string, write_to};

/// The parameters of `/patterns`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PatternParams {
    /// When; empty where the end lies before the start.
    pub range: TimeRangeNs,
    /// Distance of points.
    pub step_ns: i64,
}

impl PatternParams {
    /// Parses the parameters as Loki does.
    pub fn parse(form: &Form, now: TimestampNs) -> Result<PatternParams, ParameterError> {
        let (start, end) = bounds(form, now)?;
        let step_ns = step(form, start, end)?;
        Ok(PatternParams { range: TimeRangeNs::new(start, end.max(start)), step_ns })
    }
}

/// Opens the answer; patterns follow, separated by [`comma`].
pub fn head(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"status\":\"success\",\"data\":[");
}

/// Writes a pattern; points are start of a step in milliseconds, and lines.
pub fn pattern(out: &mut Vec<u8>, text: &str, level: &str, samples: &[(i64, u64)]) {
    out.extend_from_slice(b"{\"pattern\":");
    html_string(out, text);
    out.extend_from_slice(b",\"level\":");
    string(out, level);
    out.extend_from_slice(b",\"samples\":[");
    for (index, (at, lines)) in samples.iter().enumerate() {
        comma(out, index);
        write_to(out, format_args!("[{},{lines}]", at.div_euclid(1000)));
    }
    out.extend_from_slice(b"]}");
}

/// Closes the answer.
pub fn tail(out: &mut Vec<u8>) {
    out.extend_from_slice(b"]}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer() {
        let mut out = Vec::new();
        head(&mut out);
        pattern(&mut out, "a <_>", "info", &[(10_000, 3), (20_000, 0)]);
        tail(&mut out);
        let want = r#"{"status":"success","data":[{"pattern":"a \u003c_\u003e","level":"info","samples":[[10,3],[20,0]]}]}"#;
        assert_eq!(out, want.as_bytes());
    }

    #[test]
    fn parameters() {
        let parse = |query: &str| PatternParams::parse(&Form::parse(query, b"").expect("valid form"), TimestampNs(0));
        assert_eq!(parse("start=1&end=2&step=10s").expect("valid").step_ns, 10_000_000_000);
        assert!(parse("start=2&end=1").expect("valid").range.start == parse("start=2&end=1").expect("valid").range.end);
        assert!(parse("start=1&end=2&step=0").is_err());
    }
}
