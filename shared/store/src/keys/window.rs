//! The grain of manifest partitions: an hour, the day it rolls into, the month days are packed into.

use model::{Hour, TimeRangeMs};
use std::fmt;

/// One hour, day or month of one tenant and signal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Window {
    /// An hour: L0 items and the first merged levels.
    Hour(Hour),
    /// Days since the Unix epoch: what sealed hours roll into.
    Day(i64),
    /// Months since January 1970: where packed days are listed. Parts keep the window of their day.
    Month(i64),
}

impl Window {
    /// Returns the day this window begins on, in days since the Unix epoch.
    pub fn day(self) -> i64 {
        match self {
            Window::Hour(hour) => hour.day(),
            Window::Day(day) => day,
            Window::Month(month) => first_day(month),
        }
    }

    /// Returns the month this window lies in.
    pub fn month(self) -> Window {
        match self {
            Window::Month(_) => self,
            _ => {
                let (year, month, _) = date_of(self.day());
                Window::Month((year - 1970) * 12 + month - 1)
            }
        }
    }

    /// Returns the instants of the window.
    pub fn range(self) -> TimeRangeMs {
        match self {
            Window::Hour(hour) => TimeRangeMs::new(hour.start(), hour.end()),
            Window::Day(day) => days(day, day.saturating_add(1)),
            Window::Month(month) => days(first_day(month), first_day(month.saturating_add(1))),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Hour(hour) => write!(f, "{}T{:02}", format_day(hour.day()), hour.0.rem_euclid(24)),
            Window::Day(day) => f.write_str(&format_day(*day)),
            Window::Month(month) => {
                let first = format_day(first_day(*month));
                f.write_str(first.strip_suffix("-01").unwrap_or(&first))
            }
        }
    }
}

fn days(first: i64, end: i64) -> TimeRangeMs {
    TimeRangeMs::new(Hour(first.saturating_mul(24)).start(), Hour(end.saturating_mul(24)).start())
}

/// Parses what a window prints: `2026-11-21T11` or `2026-11-21`; `None` for anything else.
pub fn parse_window(text: &str) -> Option<Window> {
    let Some((day, hour)) = text.split_once('T') else { return parse_day(text).map(Window::Day) };
    let (day, number): (i64, i64) = (parse_day(day)?, hour.parse().ok()?);
    let window = Window::Hour(Hour(day * 24 + number));
    ((0..24).contains(&number) && window.to_string() == text).then_some(window)
}

/// Returns days since the Unix epoch as `yyyy-mm-dd` of the proleptic Gregorian calendar.
pub fn format_day(day: i64) -> String {
    let (year, month, date) = date_of(day);
    format!("{year:04}-{month:02}-{date:02}")
}

/// Returns year, month from 1 and day of the month.
fn date_of(day: i64) -> (i64, i64, i64) {
    // Years are counted from 1 March so that the leap day comes last.
    let shifted = day.saturating_add(719_468);
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, date)
}

/// Returns the first day of a month.
fn first_day(month: i64) -> i64 {
    let (year, month) = (1970 + month.div_euclid(12), month.rem_euclid(12) + 1);
    day_of(year, month, 1)
}

/// Returns days since the Unix epoch of a date.
fn day_of(year: i64, month: i64, date: i64) -> i64 {
    let year_from_march = year.saturating_sub(i64::from(month <= 2));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + date - 1;
    let year_of_era = year_from_march.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year_from_march.div_euclid(400).saturating_mul(146_097).saturating_add(day_of_era - 719_468)
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
    let day = day_of(year, month, date);
    (format_day(day) == text).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_hold_their_days() {
        for day in (-200_000..200_000).step_by(11) {
            let month = Window::Day(day).month();
            assert!(Window::Day(day).range().overlaps(month.range()) && month.month() == month);
            assert_eq!(month.to_string(), format_day(day)[..format_day(day).len() - 3]);
        }
        assert_eq!(Window::Month(0).range(), days(0, 31));
        assert_eq!(Window::Hour(Hour(20_778 * 24)).month().to_string(), "2026-11");
    }

    #[test]
    fn days_round_trip() {
        for (day, text) in
            [(0, "1970-01-01"), (-1, "1969-12-31"), (20_778, "2026-11-21"), (11_016, "2000-02-29"), (59, "1970-03-01")]
        {
            assert_eq!(format_day(day), text);
            assert_eq!(parse_day(text), Some(day));
        }
        assert!((-200_000..200_000).step_by(13).all(|day| parse_day(&format_day(day)) == Some(day)));
        for window in [Window::Day(20_778), Window::Hour(Hour(20_778 * 24 + 7)), Window::Hour(Hour(-1))] {
            assert_eq!(parse_window(&window.to_string()), Some(window));
        }
        assert!(
            ["", "2026-11-21T", "2026-11-21T7", "2026-11-21T24", "2026-11-21T-1"].iter().all(|bad| parse_window(bad).is_none())
        );
        for bad in ["2026-02-30", "2026-1-01", "x", "2026-13-01", "--", "99999999999999999999-01-01"] {
            assert_eq!(parse_day(bad), None, "{bad}");
        }
    }
}
