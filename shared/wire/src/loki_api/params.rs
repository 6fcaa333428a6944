//! Times, directions, limits and steps, as Loki reads them.

use std::time::Duration;

use model::quote::go_quote;
use model::{TimeRangeNs, TimestampNs};

use crate::form::Form;
use crate::prom_api::params::{duration_ns, duration_units_ms, go_integer, rfc3339_ns};

/// How far back a request looks that gives no `start`.
const SINCE_DEFAULT_NS: i64 = 3_600_000_000_000;
/// Lines a log query returns that gives no `limit`.
const LIMIT_DEFAULT: usize = 100;
/// Points per series a range query may ask for.
const POINTS_MAX: i128 = 11_000;
/// Steps a range is divided into where the request gives none.
const STEPS_DEFAULT: i64 = 250;
const SECOND_NS: i64 = 1_000_000_000;

/// A parameter Loki would refuse, with its text; always status 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParameterError(pub String);

/// Which end of the range the lines of a log query are taken from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first; the default.
    Backward,
}

/// The parameters of `query_range`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeParams {
    /// First evaluation time; first entry.
    pub start: TimestampNs,
    /// Last evaluation time, inclusive; first entry after.
    pub end: TimestampNs,
    /// Distance of evaluation times, > 0.
    pub step_ns: i64,
    /// Least distance of lines; 0 returns all.
    pub interval_ns: i64,
    /// Lines to return.
    pub limit: usize,
    /// Which lines, and their order.
    pub direction: Direction,
}

impl RangeParams {
    /// Parses the parameters with every check and text of `/loki/api/v1/query_range`.
    pub fn parse(form: &Form, now: TimestampNs) -> Result<RangeParams, ParameterError> {
        let (start, end) = bounds(form, now)?;
        if end < start {
            return Err(ParameterError("end timestamp must not be before or equal to start time".into()));
        }
        let (limit, direction) = (limit(form)?, direction(form)?);
        let step_ns = step(form, start, end)?;
        let interval_ns = match form.get("interval") {
            "" => 0,
            text => duration_ns(text).map_err(ParameterError)?,
        };
        if interval_ns < 0 {
            return Err(ParameterError("interval must be >= 0".into()));
        }
        Ok(RangeParams { start, end, step_ns, interval_ns, limit, direction })
    }

    /// Rounds `start` down and `end` up to multiples of the step since the epoch, as Loki's query frontend does for metric queries.
    pub fn aligned(self) -> RangeParams {
        let floor = |at: i64| at.div_euclid(self.step_ns) * self.step_ns;
        let end = floor(self.end.0);
        let end = if end == self.end.0 { end } else { end.saturating_add(self.step_ns) };
        RangeParams { start: TimestampNs(floor(self.start.0)), end: TimestampNs(end), ..self }
    }
}

/// Parses the distance of points, with Loki's bounds.
pub(super) fn step(form: &Form, start: TimestampNs, end: TimestampNs) -> Result<i64, ParameterError> {
    let step_ns = match form.get("step") {
        "" => step_default_ns(start, end),
        text => duration_ns(text).map_err(ParameterError)?,
    };
    if step_ns <= 0 {
        let text = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ParameterError(text.into()));
    }
    if (i128::from(end.0) - i128::from(start.0)) / i128::from(step_ns) > POINTS_MAX {
        let text = "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter";
        return Err(ParameterError(text.into()));
    }
    Ok(step_ns)
}

fn step_default_ns(start: TimestampNs, end: TimestampNs) -> i64 {
    (end.0.saturating_sub(start.0) / SECOND_NS / STEPS_DEFAULT).max(1) * SECOND_NS
}

/// The parameters of `query`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InstantParams {
    /// Evaluation time.
    pub time: TimestampNs,
}

impl InstantParams {
    /// Parses the parameters of `/loki/api/v1/query`; `limit` and `direction` are checked and mean nothing.
    pub fn parse(form: &Form, now: TimestampNs) -> Result<InstantParams, ParameterError> {
        limit(form)?;
        let time = time(form.get("time"), now).map_err(ParameterError)?;
        direction(form)?;
        Ok(InstantParams { time })
    }
}

/// Parses `start`, `end` and `since` of a look-up.
pub fn lookup_range(form: &Form, now: TimestampNs) -> Result<TimeRangeNs, ParameterError> {
    let (start, end) = bounds(form, now)?;
    if end < start {
        return Err(ParameterError("end timestamp must not be before or equal to start time".into()));
    }
    Ok(TimeRangeNs::new(start, end))
}

pub(super) fn bounds(form: &Form, now: TimestampNs) -> Result<(TimestampNs, TimestampNs), ParameterError> {
    let failed =
        |name: &'static str| move |reason: String| ParameterError(format!("could not parse '{name}' parameter: {reason}"));
    let since_ns = match form.get("since") {
        "" => SINCE_DEFAULT_NS,
        text => since_ns(text).map_err(failed("since"))?,
    };
    let end = time(form.get("end"), now).map_err(failed("end"))?;
    let start_absent = TimestampNs(end.min(now).0.saturating_sub(since_ns));
    let start = time(form.get("start"), start_absent).map_err(failed("start"))?;
    Ok((start, end))
}

fn since_ns(text: &str) -> Result<i64, String> {
    let ms = duration_units_ms(text).and_then(|ms| ms.checked_mul(1_000_000));
    ms.ok_or_else(|| format!("not a valid duration string: {}", go_quote(text)))
}

/// Parses a time: up to ten digits are seconds, more are nanoseconds, a decimal point makes float seconds, else RFC 3339.
pub fn time(text: &str, absent: TimestampNs) -> Result<TimestampNs, String> {
    if text.is_empty() {
        return Ok(absent);
    }
    if let (true, Ok(seconds)) = (text.contains('.'), text.parse::<f64>()) {
        let ms = (seconds.fract() * 1000.0).round() as i64;
        return Ok(TimestampNs((seconds.trunc() as i64).saturating_mul(SECOND_NS).saturating_add(ms * 1_000_000)));
    }
    match go_integer(text) {
        Ok(number) if text.len() <= 10 => Ok(TimestampNs(number.saturating_mul(SECOND_NS))),
        Ok(number) => Ok(TimestampNs(number)),
        Err(reason) => rfc3339_ns(text).map(TimestampNs).ok_or_else(|| reason.replacen("Atoi", "ParseInt", 1)),
    }
}

fn limit(form: &Form) -> Result<usize, ParameterError> {
    count("limit", form.get("limit"), LIMIT_DEFAULT)
}

/// Parses how many of something a request wants; the text of Loki's error names any of them `limit`.
pub(super) fn count(name: &str, text: &str, absent: usize) -> Result<usize, ParameterError> {
    if text.is_empty() {
        return Ok(absent);
    }
    let value = go_integer(text).map_err(ParameterError)?;
    if value <= 0 {
        return Err(ParameterError("limit must be a positive value".into()));
    }
    u32::try_from(value).map(|value| value as usize).map_err(|_| out_of_range(name, value))
}

pub(super) fn out_of_range(name: &str, value: i64) -> ParameterError {
    ParameterError(format!("{name} value {value} is out of range [0, {}]", u32::MAX))
}

pub(super) fn direction(form: &Form) -> Result<Direction, ParameterError> {
    match form.get("direction") {
        "" => Ok(Direction::Backward),
        text if text.eq_ignore_ascii_case("forward") => Ok(Direction::Forward),
        text if text.eq_ignore_ascii_case("backward") => Ok(Direction::Backward),
        text => Err(ParameterError(format!("invalid direction '{text}'"))),
    }
}

/// Checks the lines a log query asks for against the tenant's limit.
pub fn check_lines(limit: usize, lines_max: usize) -> Result<(), ParameterError> {
    if limit <= lines_max {
        return Ok(());
    }
    let text = format!("max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {lines_max})");
    Err(ParameterError(text))
}

/// Checks the length of a query's time range against the tenant's limit.
pub fn check_range(range_ns: i64, longest: Duration) -> Result<(), ParameterError> {
    let length = Duration::from_nanos(u64::try_from(range_ns).unwrap_or(0));
    if length <= longest {
        return Ok(());
    }
    let text = format!(
        "the query time range exceeds the limit (query length: {}, limit: {})",
        go_duration(length),
        prometheus_duration(longest)
    );
    Err(ParameterError(text))
}

/// Checks the length of a range vector against the tenant's limit.
pub fn check_window(range_ns: i64, longest: Duration) -> Result<(), ParameterError> {
    let length = Duration::from_nanos(u64::try_from(range_ns).unwrap_or(0));
    if length <= longest {
        return Ok(());
    }
    let (length, longest) = (prometheus_duration(length), prometheus_duration(longest));
    Err(ParameterError(format!("[interval] value exceeds limit: [{length}] > [{longest}]")))
}

/// Prints a duration as Go's `Duration.String` does from a second on: `2h0m0s`, `1m1.5s`.
fn go_duration(length: Duration) -> String {
    let (seconds, nanos) = (length.as_secs(), length.subsec_nanos());
    let fraction = if nanos == 0 { String::new() } else { format!(".{}", format!("{nanos:09}").trim_end_matches('0')) };
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}{fraction}s"),
        (0, m, s) => format!("{m}m{s}{fraction}s"),
        (h, m, s) => format!("{h}h{m}m{s}{fraction}s"),
    }
}

/// Prints a duration as Prometheus's configuration does: `30d1h`.
pub(super) fn prometheus_duration(length: Duration) -> String {
    let mut rest = length.as_secs();
    let mut out = String::new();
    for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        if rest >= seconds {
            out.push_str(&format!("{}{unit}", rest / seconds));
            rest %= seconds;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampNs = TimestampNs(1_767_225_600_000_000_000);

    fn parse(query: &str) -> Result<RangeParams, ParameterError> {
        RangeParams::parse(&Form::parse(query, b"").expect("valid form"), NOW)
    }

    #[test]
    fn defaults() {
        let params = parse("").expect("valid");
        assert_eq!((params.end, params.start.0), (NOW, NOW.0 - SINCE_DEFAULT_NS));
        assert_eq!((params.step_ns, params.limit, params.direction), (14 * SECOND_NS, 100, Direction::Backward));
        let params = parse("end=1767229200000000000&since=15s").expect("valid");
        assert_eq!(params.start.0, NOW.0 - 15 * SECOND_NS, "since counts from now where the end is in the future");
    }

    #[test]
    fn times() {
        for text in ["1767225600", "1767225600.0", "1767225600000000000", "2026-01-01T00:00:00Z"] {
            assert_eq!(time(text, TimestampNs(0)), Ok(NOW), "{text}");
        }
        assert_eq!(time("1767225600000", NOW), Ok(TimestampNs(1_767_225_600_000)), "thirteen digits are nanoseconds");
        assert_eq!(time("1767225600.5", NOW), Ok(TimestampNs(NOW.0 + 500_000_000)));
    }

    #[test]
    fn errors_have_lokis_texts() {
        let table = [
            ("start=1767225700000000000&end=1767225610000000000", "end timestamp must not be before or equal to start time"),
            ("end=x", "could not parse 'end' parameter: strconv.ParseInt: parsing \"x\": invalid syntax"),
            ("limit=0", "limit must be a positive value"),
            ("limit=abc", "strconv.Atoi: parsing \"abc\": invalid syntax"),
            ("direction=sideways", "invalid direction 'sideways'"),
            ("step=abc", "cannot parse \"abc\" to a valid duration"),
            ("interval=-5s", "cannot parse \"-5s\" to a valid duration"),
            ("interval=-5", "interval must be >= 0"),
            (
                "step=0.001",
                "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
            ),
            ("step=-1", "zero or negative query resolution step widths are not accepted. Try a positive integer"),
            ("since=1x", "could not parse 'since' parameter: not a valid duration string: \"1x\""),
        ];
        for (query, text) in table {
            assert_eq!(parse(query), Err(ParameterError(text.into())), "{query}");
        }
        assert!(parse("start=-9223372036854775808&end=9223372036854775807&step=1").is_err());
    }

    #[test]
    fn limits_have_lokis_texts() {
        let longest = Duration::from_secs(3600);
        let error = check_range(7200 * SECOND_NS, longest).expect_err("too long");
        assert_eq!(error.0, "the query time range exceeds the limit (query length: 2h0m0s, limit: 1h)");
        assert_eq!(prometheus_duration(Duration::from_secs(30 * 86_400 + 3_600)), "30d1h");
        let error = check_window(1200 * SECOND_NS, Duration::from_secs(600)).expect_err("too long");
        assert_eq!(error.0, "[interval] value exceeds limit: [20m] > [10m]");
        assert_eq!(check_window(600 * SECOND_NS, Duration::from_secs(600)), Ok(()));
        let error = check_lines(6, 5).expect_err("too many");
        assert_eq!(error.0, "max entries limit per query exceeded, limit > max_entries_limit_per_query (6 > 5)");
    }

    #[test]
    fn metric_queries_align_outwards() {
        let params = parse("start=1767225607&end=1767225727&step=60").expect("valid").aligned();
        assert_eq!((params.start.0, params.end.0), (1_767_225_600 * SECOND_NS, 1_767_225_780 * SECOND_NS));
        let params = parse("start=1767225600&end=1767225720&step=60").expect("valid");
        assert_eq!(params.aligned(), params);
    }
}
