//! Numbers and times as people read them. Times are UTC, as keys and windows are.

use model::time::HOUR_MS;
use model::{TimeRangeMs, TimestampMs};
use store::keys::format_day;

/// Returns a count with commas between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a size in bytes, or with one decimal in KiB, MiB, GiB, TiB.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // Rounding must not show 1024.0 of a unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Returns bytes per row, or nothing where there are no rows.
pub fn per_row(bytes: u64, rows: u64) -> String {
    if rows == 0 { String::new() } else { format!("{:.2}", bytes as f64 / rows as f64) }
}

const DAY_MS: i64 = 24 * HOUR_MS;

/// Returns a time of day, `11:02:03.120`.
fn time_of_day(ms: i64) -> String {
    let (seconds, millis) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Returns an instant, `2026-11-21 11:02:03.120`.
pub fn instant(at: TimestampMs) -> String {
    format!("{} {}", format_day(at.0.div_euclid(DAY_MS)), time_of_day(at.0.rem_euclid(DAY_MS)))
}

/// Returns the first and the last instant of a half-open range. Within a day only the times: the window says which day.
pub fn span(range: TimeRangeMs) -> (String, String) {
    let last = TimestampMs(range.end.0.saturating_sub(1).max(range.start.0));
    if range.start.0.div_euclid(DAY_MS) == last.0.div_euclid(DAY_MS) {
        return (time_of_day(range.start.0.rem_euclid(DAY_MS)), time_of_day(last.0.rem_euclid(DAY_MS)));
    }
    (instant(range.start), instant(last))
}

/// Digits of an id in tables: enough to name it to the tools.
const SHORT_ID: usize = 12;

/// Returns the beginning of an id.
pub fn short(id: &str) -> String {
    id.chars().take(SHORT_ID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let sizes = [0, 1023, 1024, 1_048_575, 5 << 30].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "5.0 GiB"]);
        assert_eq!(per_row(100, 8), "12.50");
        assert_eq!(per_row(100, 0), "");
    }

    #[test]
    fn ranges_name_their_first_and_last_instant() {
        let of = |start, end| span(TimeRangeMs::new(TimestampMs(start), TimestampMs(end)));
        assert_eq!(of(0, HOUR_MS), ("00:00:00.000".into(), "00:59:59.999".into()));
        assert_eq!(of(-1, 1), ("1969-12-31 23:59:59.999".into(), "1970-01-01 00:00:00.000".into()));
        assert_eq!(of(5, 5), ("00:00:00.005".into(), "00:00:00.005".into()));
    }
}
