//! Calendar kernels in UTC.

use crate::logical::Function;

/// Year, month 1…12, day 1…31 of a count of days since 1970-01-01 (proleptic Gregorian).
pub fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

fn leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Go counts seconds from March 1st of year −292,277,022,400 in 64 unsigned bits, and wraps around before it.
const GO_EPOCH: i128 = 9_223_372_028_741_760_000;

/// Evaluates a date function at seconds since the epoch, of any size, as Go's `time.Unix` understands them; `None` for any
/// other function.
pub fn date(function: Function, seconds: i64) -> Option<f64> {
    let wrapped = (i128::from(seconds) + GO_EPOCH).rem_euclid(1 << 64) - GO_EPOCH;
    // At most 2^64 / 86,400 of either sign.
    let days = i64::try_from(wrapped.div_euclid(86_400)).ok()?;
    let rest = i64::try_from(wrapped.rem_euclid(86_400)).ok()?;
    let (year, month, day) = civil(days);
    Some(match function {
        Function::Year => year,
        Function::Month => month,
        Function::DayOfMonth => day,
        Function::DayOfWeek => (days + 4).rem_euclid(7),
        Function::DayOfYear => day + (1..month).map(|m| month_days(year, m)).sum::<i64>(),
        Function::DaysInMonth => month_days(year, month),
        Function::Hour => rest / 3600,
        Function::Minute => rest / 60 % 60,
        _ => return None,
    } as f64)
}

/// Formats seconds since the epoch as RFC 3339 in UTC.
pub fn rfc3339(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let rest = seconds.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_any_size_are_gos() {
        use Function::*;
        const ALL: [Function; 8] = [Year, Month, DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, Hour, Minute];
        for (seconds, want) in [
            (0, [1970.0, 1.0, 1.0, 4.0, 1.0, 31.0, 0.0, 0.0]),
            (951_825_599, [2000.0, 2.0, 29.0, 2.0, 60.0, 29.0, 11.0, 59.0]),
            (-1, [1969.0, 12.0, 31.0, 3.0, 365.0, 31.0, 23.0, 59.0]),
            (9_200_000_000_000_000_000, [291_536_396_232.0, 8.0, 31.0, 5.0, 244.0, 31.0, 11.0, 33.0]),
            (-9_200_000_000_000_000_000, [-291_536_392_293.0, 5.0, 3.0, 2.0, 123.0, 31.0, 12.0, 26.0]),
            // What NaN and everything out of range become.
            (i64::MIN, [292_277_026_596.0, 12.0, 4.0, 0.0, 339.0, 31.0, 15.0, 30.0]),
        ] {
            assert_eq!(ALL.map(|function| date(function, seconds).unwrap_or(f64::NAN)), want, "{seconds}");
        }
    }
}
