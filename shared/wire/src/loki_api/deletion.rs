//! `/delete`: which times a request names, and the list of requests.
//!
//! Only the URL's parameters count, and errors are those of Loki's compactor, each with a line break of its own.

use model::{TimeRangeMs, TimestampMs};

use super::params::ParameterError;
use crate::form::Form;
use crate::json_text::{comma, plain_float, string, write_to};
use crate::prom_api::params::rfc3339_ns;

/// Longest piece a request may be cut into (Loki's `delete_max_interval`), and its text.
const INTERVAL_MAX_NS: i64 = 24 * 3_600 * 1_000_000_000;
const INTERVAL_MAX_TEXT: &str = "24h0m0s";
/// How long after it was made a request may be cancelled without `force` (Loki's `delete_request_cancel_period`).
pub const CANCEL_PERIOD_MS: i64 = 24 * 3_600 * 1_000;

/// Parses `start` and `end`. Loki's end is inclusive, in milliseconds.
pub fn range(form: &Form, now: TimestampMs) -> Result<TimeRangeMs, ParameterError> {
    let refused = |text: &str| ParameterError(text.to_owned());
    let parsed = |name: &str| {
        let invalid = || ParameterError(format!("invalid {name} time: require unix seconds or RFC3339 format"));
        time(form.get(name)).ok_or_else(invalid)
    };
    if form.get("start").is_empty() {
        return Err(refused("start time not set"));
    }
    let start = parsed("start")?;
    let end = if form.get("end").is_empty() { now } else { parsed("end")? };
    if end > now {
        return Err(refused("deletes in the future are not allowed"));
    }
    if start >= end {
        return Err(refused("start time can't be greater than or equal to end time"));
    }
    Ok(TimeRangeMs::new(start, TimestampMs(end.0.saturating_add(1))))
}

/// Checks `max_interval`, by which Loki cuts a request with a filter; here a request is one piece whatever its length.
pub fn check_interval(interval_ns: Option<i64>, range: TimeRangeMs, print: impl Fn(i64) -> String) -> Result<(), ParameterError> {
    let refused = |text: String| Err(ParameterError(text));
    let Some(interval_ns) = interval_ns.filter(|ns| *ns >= 1_000_000_000) else {
        return refused("invalid max_interval: valid time units are 's', 'm', 'h'".to_owned());
    };
    let length_ns = (range.end.0 - 1).saturating_sub(range.start.0).saturating_mul(1_000_000);
    match interval_ns {
        longer if longer > INTERVAL_MAX_NS => refused(format!("max_interval can't be greater than {INTERVAL_MAX_TEXT}")),
        longer if longer > length_ns => {
            refused(format!("max_interval can't be greater than the interval to be deleted ({})", print(length_ns)))
        }
        _ => Ok(()),
    }
}

/// Parses ten digits of seconds, or RFC 3339.
fn time(text: &str) -> Option<TimestampMs> {
    if let Some(ns) = rfc3339_ns(text) {
        return Some(TimestampMs(ns.div_euclid(1_000_000)));
    }
    let is_seconds = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_seconds.then(|| text.parse::<i64>().ok()).flatten().map(|seconds| TimestampMs(seconds * 1000))
}

/// A request as the list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRequest {
    /// Its id.
    pub id: u128,
    /// Times, as [`range`] returned them.
    pub range: TimeRangeMs,
    /// The query.
    pub query: String,
    /// Whether nothing is left to do.
    pub is_processed: bool,
    /// When it was made.
    pub created_at: TimestampMs,
}

/// Prints an id.
pub fn id_text(id: u128) -> String {
    format!("{id:032x}")
}

/// Parses an id.
pub fn parse_id(text: &str) -> Option<u128> {
    let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Returns the list of requests.
pub fn list(requests: &[DeleteRequest]) -> Vec<u8> {
    let seconds = |out: &mut Vec<u8>, at: TimestampMs| plain_float(out, at.0 as f64 / 1000.0);
    let mut out = vec![b'['];
    for (index, request) in requests.iter().enumerate() {
        comma(&mut out, index);
        write_to(&mut out, format_args!("{{\"request_id\":\"{}\",\"start_time\":", id_text(request.id)));
        seconds(&mut out, request.range.start);
        out.extend_from_slice(b",\"end_time\":");
        seconds(&mut out, TimestampMs(request.range.end.0 - 1));
        out.extend_from_slice(b",\"query\":");
        string(&mut out, &request.query);
        write_to(&mut out, format_args!(",\"status\":\"{}\"", if request.is_processed { "processed" } else { "received" }));
        out.extend_from_slice(b",\"created_at\":");
        seconds(&mut out, request.created_at);
        out.extend_from_slice(b",\"user_id\":\"\"}");
    }
    out.extend_from_slice(b"]\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampMs = TimestampMs(1_767_225_700_000);

    fn parse(query: &str) -> Result<TimeRangeMs, ParameterError> {
        range(&Form::parse(query, b"").expect("valid form"), NOW)
    }

    #[test]
    fn times() {
        let want = TimeRangeMs::new(TimestampMs(1_767_225_600_000), TimestampMs(1_767_225_660_001));
        assert_eq!(parse("start=1767225600&end=1767225660"), Ok(want));
        assert_eq!(parse("start=2026-01-01T00:00:00Z&end=2026-01-01T00:01:00Z"), Ok(want));
        assert_eq!(parse("start=1767225600").map(|range| range.end.0), Ok(NOW.0 + 1));
        for (query, text) in [
            ("", "start time not set"),
            ("start=abc", "invalid start time: require unix seconds or RFC3339 format"),
            ("start=1767225600000", "invalid start time: require unix seconds or RFC3339 format"),
            ("start=1767225600&end=x", "invalid end time: require unix seconds or RFC3339 format"),
            ("start=1767225600&end=1767225701", "deletes in the future are not allowed"),
            ("start=1767225660&end=1767225600", "start time can't be greater than or equal to end time"),
        ] {
            assert_eq!(parse(query), Err(ParameterError(text.into())), "{query}");
        }
    }

    #[test]
    fn intervals() {
        let range = parse("start=1767225600&end=1767225660").expect("valid");
        let check = |seconds: i64| check_interval(Some(seconds * 1_000_000_000), range, |ns| format!("{}s", ns / 1_000_000_000));
        assert_eq!(check(60), Ok(()));
        assert_eq!(check(61).expect_err("too long").0, "max_interval can't be greater than the interval to be deleted (60s)");
        assert_eq!(check(86_401).expect_err("too long").0, "max_interval can't be greater than 24h0m0s");
        assert!(check(0).is_err() && check_interval(None, range, |_| String::new()).is_err());
    }

    #[test]
    fn lists_and_ids() {
        let range = parse("start=1767225600&end=1767225660").expect("valid");
        let request =
            DeleteRequest { id: 7, range, query: "{a=\"b\"}".into(), is_processed: false, created_at: TimestampMs(1500) };
        let want = concat!(
            r#"[{"request_id":"00000000000000000000000000000007","start_time":1767225600,"end_time":1767225660,"#,
            r#""query":"{a=\"b\"}","status":"received","created_at":1.5,"user_id":""}]"#,
            "\n"
        );
        assert_eq!(String::from_utf8_lossy(&list(&[request])), want);
        assert_eq!(list(&[]), b"[]\n");
        assert_eq!(parse_id(&id_text(u128::MAX)), Some(u128::MAX));
        assert_eq!([parse_id("zzz"), parse_id(""), parse_id("+0000000000000000000000000000007")], [None; 3]);
    }
}
