//! The grain of manifest partitions: an hour, or the day it rolls into.

use model::{Hour, TimeRangeMs};
use std::fmt;

/// One hour or one day of one tenant and signal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Window {
    /// An hour: L0 items and the first merged levels.
    Hour(Hour),
    /// Days since the Unix epoch: what sealed hours roll into.
    Day(i64),
}

impl Window {
    /// Returns the day this window lies in, in days since the Unix epoch.
    pub fn day(self) -> i64 {
        match self {
            Window::Hour(hour) => hour.day(),
            Window::Day(day) => day,
        }
    }

    /// Returns the instants of the window.
    pub fn range(self) -> TimeRangeMs {
        match self {
            Window::Hour(hour) => TimeRangeMs::new(hour.start(), hour.end()),
            Window::Day(day) => {
                let first = Hour(day.saturating_mul(24));
                TimeRangeMs::new(first.start(), Hour(first.0.saturating_add(24)).start())
            }
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Hour(hour) => write!(f, "{}T{:02}", format_day(hour.day()), hour.0.rem_euclid(24)),
            Window::Day(day) => f.write_str(&format_day(*day)),
        }
    }
}

/// Returns days since the Unix epoch as `yyyy-mm-dd` of the proleptic Gregorian calendar.
pub fn format_day(day: i64) -> String {
    // Years are counted from 1 March so that the leap day comes last.
    let shifted = day.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}")
}

/// Parses what [`format_day`] prints; `None` for anything else.
pub fn parse_day(text: &str) -> Option<i64> {
    let mut fields = text.rsplitn(3, '-');
    let date: i64 = fields.next()?.parse().ok()?;
    let month: i64 = fields.next()?.parse().ok()?;
    let year: i64 = fields.next()?.parse().ok()?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&date) || !(-9_999..=9_999).contains(&year) {
        return None;
    }
    let year_from_march = year - i64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + date - 1;
    let year_of_era = year_from_march.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let day = year_from_march.div_euclid(400) * 146_097 + day_of_era - 719_468;
    (format_day(day) == text).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_round_trip() {
        for (day, text) in
            [(0, "1970-01-01"), (-1, "1969-12-31"), (20_778, "2026-11-21"), (11_016, "2000-02-29"), (59, "1970-03-01")]
        {
            assert_eq!(format_day(day), text);
            assert_eq!(parse_day(text), Some(day));
        }
        assert!((-200_000..200_000).step_by(13).all(|day| parse_day(&format_day(day)) == Some(day)));
        for bad in ["2026-02-30", "2026-1-01", "x", "2026-13-01", "--", "99999999999999999999-01-01"] {
            assert_eq!(parse_day(bad), None, "{bad}");
        }
    }
}
