//! Points in time as parameters give them: float seconds or RFC 3339, as far as Go's `time.Time` reaches.
//!
//! Upstream turns such a time into milliseconds in two ways, which differ past the years 1678 and 2262: the engine counts its
//! nanoseconds since the epoch in 64 bits, which wrap around, look-ups its seconds. Both are here, so that answers are the same.

use model::quote::go_quote;
use model::{TimestampMs, go_float};

use super::params::{TIME_MAX, TIME_MIN};

/// How Prometheus prints its own earliest and latest time.
const TIME_MIN_TEXT: &str = "-292273086-05-16T16:47:06Z";
const TIME_MAX_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// From the year 1 to the epoch.
const EPOCH_SECONDS: i64 = 62_135_596_800;

/// A time as Go holds it, which is also how times compare.
///
/// # Invariants
/// `nanos` is in `[0, 1e9)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ApiTime {
    /// Since the year 1; what is beyond 64 bits has wrapped around.
    seconds: i64,
    nanos: i64,
}

impl ApiTime {
    /// Parses float seconds or RFC 3339.
    pub fn parse(text: &str) -> Result<ApiTime, String> {
        let read = match text {
            TIME_MIN_TEXT => Some(TIME_MIN.into()),
            TIME_MAX_TEXT => Some(ApiTime { nanos: NANOS_PER_SECOND - 1, ..TIME_MAX.into() }),
            _ => go_float::parse(text).ok().map(ApiTime::of_seconds).or_else(|| rfc3339(text)),
        };
        read.ok_or_else(|| format!("cannot parse {} to a valid timestamp", go_quote(text)))
    }

    /// Rounds the fraction to milliseconds, then cuts it to whole nanoseconds, as upstream does: `0.29` may lose a millisecond on the
    /// way, and loses it here too. What is no 64-bit number becomes the least one, as on x86-64.
    fn of_seconds(seconds: f64) -> ApiTime {
        let fraction = if seconds.is_finite() { seconds.fract() } else { f64::NAN };
        let fraction_ns = go_i64((fraction * 1000.0).round() / 1000.0 * 1e9);
        let (carried, nanos) = (fraction_ns.div_euclid(NANOS_PER_SECOND), fraction_ns.rem_euclid(NANOS_PER_SECOND));
        ApiTime::since_epoch(go_i64(seconds.trunc()).wrapping_add(carried), nanos)
    }

    fn since_epoch(seconds: i64, nanos: i64) -> ApiTime {
        ApiTime { seconds: seconds.wrapping_add(EPOCH_SECONDS), nanos }
    }

    fn unix_seconds(self) -> i64 {
        self.seconds.wrapping_sub(EPOCH_SECONDS)
    }

    /// Returns when the engine evaluates: the milliseconds of its nanoseconds since the epoch.
    pub fn of_query(self) -> TimestampMs {
        TimestampMs(self.unix_seconds().wrapping_mul(NANOS_PER_SECOND).wrapping_add(self.nanos) / 1_000_000)
    }

    /// Returns the bound of a look-up, within the times the API knows.
    pub fn of_lookup(self) -> TimestampMs {
        let ms = self.unix_seconds().wrapping_mul(1000).wrapping_add(self.nanos / 1_000_000);
        TimestampMs(ms).clamp(TIME_MIN, TIME_MAX)
    }

    /// Returns the nanoseconds since the epoch, where there are so many.
    pub(crate) fn nanoseconds(self) -> Option<i64> {
        self.unix_seconds().checked_mul(NANOS_PER_SECOND)?.checked_add(self.nanos)
    }

    /// Returns the nanoseconds from another time to this one; the nearest number where they are too many.
    pub(super) fn ns_since(self, earlier: ApiTime) -> i64 {
        let ns = |time: ApiTime| i128::from(time.seconds) * i128::from(NANOS_PER_SECOND) + i128::from(time.nanos);
        (ns(self) - ns(earlier)).clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

impl From<TimestampMs> for ApiTime {
    fn from(at: TimestampMs) -> ApiTime {
        ApiTime::since_epoch(at.0.div_euclid(1000), at.0.rem_euclid(1000) * 1_000_000)
    }
}

/// Converts as Go does on x86-64.
fn go_i64(value: f64) -> i64 {
    let is_held = value >= i64::MIN as f64 && value < i64::MAX as f64;
    if is_held { value as i64 } else { i64::MIN }
}

/// Parses RFC 3339 as Go's `time.Parse` reads `2006-01-02T15:04:05.999999999Z07:00`: of hours one digit will do, of a fraction any
/// number of digits, of which nine count, and a zone may be 24 hours and 60 minutes away.
pub(crate) fn rfc3339(text: &str) -> Option<ApiTime> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    let month = after(&mut rest, b'-', 2)?;
    let day = after(&mut rest, b'-', 2)?;
    let hour_digits = if rest.get(2).is_some_and(u8::is_ascii_digit) { 2 } else { 1 };
    let hour = after(&mut rest, b'T', hour_digits)?;
    let minute = after(&mut rest, b':', 2)?;
    let second = after(&mut rest, b':', 2)?;
    let nanos = fraction_ns(&mut rest);
    let east = zone_seconds(rest)?;
    let in_calendar = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    if !in_calendar || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - east;
    Some(ApiTime::since_epoch(seconds, nanos))
}

/// Takes so many digits.
fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    head.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// Takes a mark and digits behind it.
fn after(rest: &mut &[u8], mark: u8, count: usize) -> Option<i64> {
    *rest = rest.strip_prefix(&[mark])?;
    digits(rest, count)
}

/// Takes a point or a comma and what digits follow; without a digit it is no fraction.
fn fraction_ns(rest: &mut &[u8]) -> i64 {
    let Some((b'.' | b',', tail)) = rest.split_first() else { return 0 };
    let count = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return 0;
    }
    let (fraction, behind) = tail.split_at(count);
    *rest = behind;
    (0..9).fold(0, |ns, place| ns * 10 + fraction.get(place).map_or(0, |digit| i64::from(digit - b'0')))
}

/// Parses `Z` or `±hh:mm`, the whole rest; seconds to the east.
fn zone_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, mut rest) = match zone {
        b"Z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let hours = digits(&mut rest, 2)?;
    let minutes = after(&mut rest, b':', 2)?;
    (rest.is_empty() && hours <= 24 && minutes <= 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the epoch to a date of the proleptic Gregorian calendar; years begin in March, so that a leap day is their last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_BEFORE_EPOCH: i64 = 719_468;
    let year = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - DAYS_BEFORE_EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<i64, String> {
        ApiTime::parse(text).map(|time| time.of_query().0)
    }

    fn lookup(text: &str) -> Result<i64, String> {
        ApiTime::parse(text).map(|time| time.of_lookup().0)
    }

    /// As Prometheus answers `time()` at these times.
    #[test]
    fn times() {
        for (text, ms) in [
            ("1.5", 1500),
            ("-1.5", -1500),
            ("1767225600.0004", 1_767_225_600_000),
            ("0x1p4", 16_000),
            ("1_000", 1_000_000),
            ("2026-01-01T00:00:00.25Z", 1_767_225_600_250),
            ("2026-01-01T01:00:00+01:00", 1_767_225_600_000),
            ("2020-01-01T00:00:00.1234567891Z", 1_577_836_800_123),
            ("2020-01-01T00:00:00,5Z", 1_577_836_800_500),
            ("2020-01-01T0:00:00Z", 1_577_836_800_000),
            ("2020-02-29T12:00:00-24:00", 1_583_064_000_000),
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.9999Z", 0),
        ] {
            assert_eq!(query(text), Ok(ms), "{text}");
        }
        for text in [
            "",
            "x",
            "2026-01-01",
            "2026-01-01 00:00:00Z",
            "2026-01-01t00:00:00Z",
            "2026-01-01T00:00:00z",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:60Z",
            "2026-01-01T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-1-01T00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01T00:00:00Zx",
            "10000-01-01T00:00:00Z",
            "-NaN",
            "1e400",
        ] {
            assert_eq!(query(text), Err(format!("cannot parse \"{text}\" to a valid timestamp")));
        }
    }

    #[test]
    fn times_past_the_reach_of_nanoseconds_wrap_around() {
        for (text, at_query, at_lookup) in [
            ("0000-01-01T00:00:00Z", -6_826_986_978_871, -62_167_219_200_000),
            ("9999-12-31T23:59:59.999999999Z", -4_852_116_231_933, 253_402_300_799_999),
            ("1e20", 0, 0),
            ("Inf", -9_223_372_036_854, -9_223_372_036_855),
            ("NaN", -9_223_372_036_854, -9_223_372_036_855),
            (TIME_MIN_TEXT, 6_795_364_580_679, TIME_MIN.0),
            (TIME_MAX_TEXT, -6_795_364_579_679, TIME_MAX.0),
            // A probe in milliseconds is far away, not an error.
            ("1767225600000", -3_661_831_076_116, 1_767_225_600_000_000),
        ] {
            assert_eq!((query(text), lookup(text)), (Ok(at_query), Ok(at_lookup)), "{text}");
        }
        // What has wrapped around comes before everything else.
        let time = |text| ApiTime::parse(text).expect("a time");
        assert!(time("Inf") < time("0") && time("0") < time(TIME_MAX_TEXT) && time(TIME_MIN_TEXT) < time("-1e10"));
        assert_eq!((time("Inf").ns_since(time("0")), time("2").ns_since(time("0.5"))), (i64::MIN, 1_500_000_000));
    }
}
