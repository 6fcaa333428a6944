//! Durations, limits, and the parameters of a range query.

use std::time::Duration;

use model::quote::go_quote;
use model::{Resolution, TimeRangeMs, TimestampMs, TimestampNs, go_float};

use super::ApiError;
use super::time::{self, ApiTime};
use crate::form::Form;

/// The earliest time the API knows; what `start` is where it is absent in look-ups.
pub const TIME_MIN: TimestampMs = TimestampMs((i64::MIN / 1000 + SECONDS_BEFORE_EPOCH) * 1000);
/// The latest time the API knows.
pub const TIME_MAX: TimestampMs = TimestampMs((i64::MAX / 1000 - SECONDS_BEFORE_EPOCH) * 1000 + 999);
/// From the year 1 to the epoch: what Go's times keep free at both ends.
const SECONDS_BEFORE_EPOCH: i64 = 62_135_596_801;
/// Points per series a range query may ask for.
pub const POINTS_MAX: i64 = 11_000;

/// Parses RFC 3339, as nanoseconds since the epoch where these have 64 bits.
pub(crate) fn rfc3339_ns(text: &str) -> Option<i64> {
    time::rfc3339(text)?.nanoseconds()
}

/// Prints a time as RFC 3339 in UTC, as Go's JSON does; a time beyond the calendar as the epoch.
pub fn rfc3339(at: TimestampMs) -> String {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// Prints a time of nanoseconds as RFC 3339 in UTC, with as many digits as it needs; a time beyond the calendar as the epoch.
pub fn rfc3339_nanos(at: TimestampNs) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// Parses a time parameter; an absent one is `absent`.
pub fn time_parameter(form: &Form, name: &str, absent: TimestampMs) -> Result<ApiTime, ApiError> {
    match form.get(name) {
        "" => Ok(absent.into()),
        text => {
            ApiTime::parse(text).map_err(|reason| ApiError::parameter(name, format!("invalid time value for '{name}': {reason}")))
        }
    }
}

/// Parses float seconds or Prometheus's duration syntax; nanoseconds, possibly negative.
pub fn duration_ns(text: &str) -> Result<i64, String> {
    let invalid = || format!("cannot parse {} to a valid duration", go_quote(text));
    if let Ok(seconds) = go_float::parse(text) {
        let ns = seconds * 1e9;
        return match ns {
            // Go converts it to the least integer (on x86-64), which no step and no timeout may be.
            ns if ns.is_nan() => Ok(i64::MIN),
            ns if ns.abs() > i64::MAX as f64 => Err(format!("{}. It overflows int64", invalid())),
            ns => Ok(ns as i64),
        };
    }
    duration_units_ms(text).and_then(|ms| ms.checked_mul(1_000_000)).ok_or_else(invalid)
}

/// Units of Prometheus's durations, in the order they must stand, in milliseconds.
const UNITS: [(&str, i64); 7] =
    [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses `1h30m`: each unit at most once, largest first.
pub fn duration_units_ms(text: &str) -> Option<i64> {
    let (mut rest, mut total, mut next) = (text, 0i64, 0);
    if rest == "0" {
        return Some(0);
    }
    while !rest.is_empty() || next == 0 {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit = UNITS.iter().position(|(name, _)| *name == &rest[..letters]).filter(|unit| *unit >= next)?;
        total = total.checked_add(number.checked_mul(UNITS[unit].1)?)?;
        (rest, next) = (&rest[letters..], unit + 1);
    }
    Some(total)
}

/// Parses what Go's `ParseBool` takes; `None` where the parameter is absent.
pub fn boolean(form: &Form, name: &str) -> Result<Option<bool>, ApiError> {
    match form.get(name) {
        "" => Ok(None),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
        text => Err(ApiError::parameter(name, format!("strconv.ParseBool: parsing {}: invalid syntax", go_quote(text)))),
    }
}

/// Parses `limit`; 0 is no limit.
pub fn limit(form: &Form) -> Result<usize, ApiError> {
    let text = form.get("limit");
    if text.is_empty() {
        return Ok(0);
    }
    let value = go_integer(text).map_err(|reason| ApiError::parameter("limit", reason))?;
    usize::try_from(value).map_err(|_| ApiError::parameter("limit", "limit must be non-negative"))
}

/// Parses an integer with the texts of Go's `strconv.Atoi`.
pub fn go_integer(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let reason = if valid { "value out of range" } else { "invalid syntax" };
    text.parse().map_err(|_| format!("strconv.Atoi: parsing {}: {reason}", go_quote(text)))
}

/// Parses `timeout`; it can only shorten `longest`.
pub fn timeout(form: &Form, longest: Duration) -> Result<Duration, ApiError> {
    match form.get("timeout") {
        "" => Ok(longest),
        text => {
            let ns = duration_ns(text).map_err(|reason| ApiError::parameter("timeout", reason))?;
            Ok(Duration::from_nanos(u64::try_from(ns).unwrap_or(0)).min(longest))
        }
    }
}

/// Returns the warning for values of `stats` that are to go away.
pub fn stats_warning(stats: &str) -> Option<String> {
    let known = matches!(stats, "" | "true" | "all");
    (!known).then(|| {
        let value = go_quote(stats);
        format!(
            "value {value} for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\""
        )
    })
}

/// Parses `lookback_delta`, whole milliseconds, of which less than one has none: nothing is found then. `None` where absent, zero or
/// negative.
pub fn lookback_delta_ms(form: &Form) -> Result<Option<i64>, ApiError> {
    match form.get("lookback_delta") {
        "" => Ok(None),
        text => {
            let ns = duration_ns(text)
                .map_err(|reason| ApiError::bad_data(format!("error parsing lookback delta duration: {reason}")))?;
            Ok(Some(ns).filter(|ns| *ns > 0).map(|ns| ns / 1_000_000))
        }
    }
}

/// Parses which copies of the data may be read: `max_source_resolution` (Thanos: a duration or `auto`) bounds those that are read
/// where they are exact, `source_resolution` (`raw`, `5m`, `1h`; ours) names those that are read wherever they are live.
pub fn resolutions(form: &Form) -> Result<(Resolution, Option<Resolution>), ApiError> {
    let most = match form.get("max_source_resolution") {
        "" | "auto" => Resolution::OneHour,
        text => {
            let ns = duration_ns(text).map_err(|reason| ApiError::parameter("max_source_resolution", reason))?;
            let fits = |of: &Resolution| of.width_ms().is_none_or(|width_ms| width_ms <= ns / 1_000_000);
            Resolution::ALL.into_iter().rev().find(fits).unwrap_or(Resolution::Raw)
        }
    };
    let wanted = match form.get("source_resolution") {
        "" => None,
        text => {
            let reason = || ApiError::parameter("source_resolution", format!("{text:?} is none of raw, 5m, 1h"));
            Some(Resolution::parse(text).ok_or_else(reason)?)
        }
    };
    Ok((most, wanted))
}

/// When and how densely a range query is evaluated; `end` is inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeParams {
    /// First evaluation time.
    pub start: TimestampMs,
    /// Bound of the last one, inclusive.
    pub end: TimestampMs,
    /// Distance, at least 1.
    pub step_ms: i64,
}

impl RangeParams {
    /// Parses `start`, `end` and `step` with every check and text of `/api/v1/query_range`.
    pub fn parse(form: &Form) -> Result<RangeParams, ApiError> {
        let bound = |name| ApiTime::parse(form.get(name)).map_err(|reason| ApiError::parameter(name, reason));
        let (start, end) = (bound("start")?, bound("end")?);
        if end < start {
            return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
        }
        let step_ns = duration_ns(form.get("step")).map_err(|reason| ApiError::parameter("step", reason))?;
        if step_ns <= 0 {
            let reason = "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(ApiError::parameter("step", reason));
        }
        if end.ns_since(start) / step_ns > POINTS_MAX {
            let reason =
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
            return Err(ApiError::bad_data(reason));
        }
        // Two times that wrap around apart may change places.
        let (start, end) = (start.of_query(), end.of_query());
        Ok(RangeParams { start, end: end.max(start), step_ms: (step_ns / 1_000_000).max(1) })
    }
}

/// Parses `start` and `end` of a look-up into a half-open range; absent bounds are the widest.
pub fn lookup_range(form: &Form) -> Result<TimeRangeMs, ApiError> {
    let start = time_parameter(form, "start", TIME_MIN)?.of_lookup();
    let end = time_parameter(form, "end", TIME_MAX)?.of_lookup();
    Ok(TimeRangeMs::new(start, TimestampMs(end.0.saturating_add(1))))
}

/// Code points are written with at most six hexadecimal digits.
const ESCAPE_DIGITS_MAX: usize = 6;

/// Undoes `U__…` escaping of a label name in a path; a name that is not escaped properly stands for itself.
pub fn unescape_label_name(name: &str) -> String {
    name.strip_prefix("U__").and_then(unescaped).unwrap_or_else(|| name.to_owned())
}

fn unescaped(escaped: &str) -> Option<String> {
    let (mut out, mut rest) = (String::new(), escaped);
    while let Some((plain, after)) = rest.split_once('_') {
        out.push_str(plain);
        if let Some(after) = after.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let (digits, after) = after.split_once('_')?;
        if digits.len() > ESCAPE_DIGITS_MAX || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(query: &str) -> Form {
        Form::parse(query, b"").expect("valid form")
    }

    #[test]
    fn durations() {
        let table = [
            ("15", 15_000),
            ("0.5", 500),
            ("1m", 60_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("0", 0),
            ("-5", -5_000),
            ("1_0", 10_000),
            ("0x1p-1", 500),
        ];
        for (text, ms) in table {
            assert_eq!(duration_ns(text), Ok(ms * 1_000_000), "{text}");
        }
        for text in ["", "abc", "1m1h", "1m1m", "1", "5x", "-5s", "999999999999y", "1hm"] {
            assert!(duration_units_ms(text).is_none(), "{text}");
        }
        assert_eq!(duration_ns("NaN"), Ok(i64::MIN));
        assert_eq!(duration_ns("-NaN"), Err("cannot parse \"-NaN\" to a valid duration".into()));
        assert_eq!(duration_ns("1e300"), Err("cannot parse \"1e300\" to a valid duration. It overflows int64".into()));
    }

    #[test]
    fn range_errors_have_prometheus_texts() {
        let table = [
            ("end=1&step=1", "invalid parameter \"start\": cannot parse \"\" to a valid timestamp"),
            ("start=2&end=1&step=1", "invalid parameter \"end\": end timestamp must not be before start time"),
            ("start=1&end=2", "invalid parameter \"step\": cannot parse \"\" to a valid duration"),
            (
                "start=1&end=2&step=0",
                "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
            ),
            (
                "start=0&end=11001&step=1",
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            ),
        ];
        for (query, message) in table {
            assert_eq!(RangeParams::parse(&form(query)), Err(ApiError::bad_data(message)), "{query}");
        }
        let range = RangeParams { start: TimestampMs(0), end: TimestampMs(11_000_000), step_ms: 1000 };
        assert_eq!(RangeParams::parse(&form("start=0&end=11000&step=1")), Ok(range));
        assert!(RangeParams::parse(&form("start=-1e15&end=1e15&step=0.0000001")).is_err());
        // Past the reach of nanoseconds the end wraps around; it does not come before the start.
        let far = RangeParams::parse(&form("start=0&end=1e10&step=1e6"));
        assert_eq!(far, Ok(RangeParams { start: TimestampMs(0), end: TimestampMs(0), step_ms: 1_000_000_000 }));
    }

    #[test]
    fn limits_and_timeouts() {
        assert_eq!(limit(&form("")), Ok(0));
        assert_eq!(limit(&form("limit=-1")), Err(ApiError::parameter("limit", "limit must be non-negative")));
        assert_eq!(limit(&form("limit=x")), Err(ApiError::parameter("limit", "strconv.Atoi: parsing \"x\": invalid syntax")));
        let longest = Duration::from_secs(120);
        assert_eq!(timeout(&form("timeout=5s"), longest), Ok(Duration::from_secs(5)));
        assert_eq!(timeout(&form("timeout=1h"), longest), Ok(longest));
        for (text, ms) in [("1m", Some(60_000)), ("0.0005", Some(0)), ("0", None), ("-1", None)] {
            assert_eq!(lookback_delta_ms(&form(&format!("lookback_delta={text}"))), Ok(ms), "{text}");
        }
        for (text, most, wanted) in [
            ("", Resolution::OneHour, None),
            ("max_source_resolution=auto", Resolution::OneHour, None),
            ("max_source_resolution=0s", Resolution::Raw, None),
            ("max_source_resolution=10m", Resolution::FiveMinutes, None),
            ("max_source_resolution=300", Resolution::FiveMinutes, None),
            ("max_source_resolution=1h&source_resolution=5m", Resolution::OneHour, Some(Resolution::FiveMinutes)),
        ] {
            assert_eq!(resolutions(&form(text)), Ok((most, wanted)), "{text}");
        }
        assert!(resolutions(&form("source_resolution=2m")).is_err() && resolutions(&form("max_source_resolution=x")).is_err());
        assert_eq!(lookup_range(&form("")), Ok(TimeRangeMs::new(TIME_MIN, TimestampMs(TIME_MAX.0 + 1))));
        assert_eq!(
            time_parameter(&form("time=x"), "time", TIME_MIN),
            Err(ApiError::bad_data(
                "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp"
            ))
        );
    }

    #[test]
    fn escaped_names() {
        assert_eq!(unescape_label_name("job"), "job");
        assert_eq!(unescape_label_name("U__service_2e_name"), "service.name");
        assert_eq!(unescape_label_name("U__a__b"), "a_b");
        assert_eq!(unescape_label_name("U__a_zz_b"), "U__a_zz_b");
        assert_eq!(unescape_label_name("U__a_2"), "U__a_2");
    }
}
