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

/// Evaluates a date function at seconds since the epoch; `None` for any other function.
pub fn date(function: Function, seconds: i64) -> Option<f64> {
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    // Far out of any calendar: keep the arithmetic in range.
    let (year, month, day) = civil(days.clamp(-1 << 50, 1 << 50));
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
