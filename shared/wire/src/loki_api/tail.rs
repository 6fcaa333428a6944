//! `/tail`: what its parameters mean, and its frames.

use model::{LabelSet, TimestampNs};

use super::envelope::{self, CATEGORIZE_LABELS, Line};
use super::params::{ParameterError, bounds, count, out_of_range};
use crate::form::Form;
use crate::json_text::{comma, labels, write_to};
use crate::prom_api::params::go_integer;

/// Seconds a tail may lag behind on purpose.
const DELAY_MAX: u32 = 5;
/// Lines of the past a tail begins with where the request does not say.
const LIMIT_DEFAULT: usize = 100;

/// The parameters of `/tail` beside its query, which is checked first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TailParams {
    /// Lines of the past.
    pub limit: usize,
    /// From when they are.
    pub start: TimestampNs,
    /// Seconds to wait for late lines.
    pub delay_s: u32,
}

impl TailParams {
    /// Parses the parameters with every check and text of `/loki/api/v1/tail`.
    pub fn parse(form: &Form, now: TimestampNs) -> Result<TailParams, ParameterError> {
        let limit = count("limit", form.get("limit"), LIMIT_DEFAULT)?;
        let (start, _) = bounds(form, now)?;
        let delay = match form.get("delay_for") {
            "" => 0,
            text => go_integer(text).map_err(ParameterError)?,
        };
        let delay_s = u32::try_from(delay).map_err(|_| out_of_range("delay_for", delay))?;
        if delay_s > DELAY_MAX {
            return Err(ParameterError(format!("delay_for can't be greater than {DELAY_MAX}")));
        }
        Ok(TailParams { limit, start, delay_s })
    }
}

/// Opens a frame; streams follow, separated by [`comma`].
pub fn frame_head(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"streams\":[");
}

/// Writes a stream of one line, as Loki's frames have them.
pub fn frame_line(out: &mut Vec<u8>, stream: &LabelSet, line: &Line<'_>) {
    envelope::stream_head(out, stream);
    envelope::stream_line(out, line);
    envelope::stream_tail(out);
}

/// Closes a frame with the entries that could not be sent.
pub fn frame_tail(out: &mut Vec<u8>, dropped: &[(i64, LabelSet)], categorized: bool) {
    out.push(b']');
    if !dropped.is_empty() {
        out.extend_from_slice(b",\"dropped_entries\":[");
        for (index, (timestamp_ns, stream)) in dropped.iter().enumerate() {
            comma(out, index);
            write_to(out, format_args!("{{\"timestamp\":\"{timestamp_ns}\",\"labels\":"));
            labels(out, stream);
            out.push(b'}');
        }
        out.push(b']');
    }
    if categorized {
        write_to(out, format_args!(",\"encodingFlags\":[\"{CATEGORIZE_LABELS}\"]"));
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let parse = |query: &str| TailParams::parse(&Form::parse(query, b"").expect("valid form"), TimestampNs(9_000_000_000));
        assert_eq!(
            parse("limit=7&start=5&delay_for=5"),
            Ok(TailParams { limit: 7, start: TimestampNs(5_000_000_000), delay_s: 5 })
        );
        for (query, text) in [
            ("delay_for=10", "delay_for can't be greater than 5"),
            ("delay_for=-1", "delay_for value -1 is out of range [0, 4294967295]"),
            ("delay_for=x", "strconv.Atoi: parsing \"x\": invalid syntax"),
            ("limit=0", "limit must be a positive value"),
        ] {
            assert_eq!(parse(query), Err(ParameterError(text.into())), "{query}");
        }
    }

    #[test]
    fn frames() {
        let stream = LabelSet::from_pairs([("app", "a")]);
        let mut out = Vec::new();
        frame_head(&mut out);
        frame_line(&mut out, &stream, &Line { timestamp_ns: 5, line: b"x", categories: None });
        frame_tail(&mut out, &[(6, stream)], true);
        let want = concat!(
            r#"{"streams":[{"stream":{"app":"a"},"values":[["5","x"]]}],"#,
            r#""dropped_entries":[{"timestamp":"6","labels":{"app":"a"}}],"encodingFlags":["categorize-labels"]}"#
        );
        assert_eq!(String::from_utf8_lossy(&out), want);
    }
}
