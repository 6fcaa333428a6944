//! Times: Go's layouts, read and written, and the functions over them.

use std::fmt;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};

use super::Type::{Any, Text, Time};
use super::{Family, text};
use crate::template::eval::Surroundings;
use crate::template::value::Value;

pub(super) const FAMILY: Family = &[
    ("now", &[], None, |all, _| Ok(Value::Time(Instant::from_ns(all.now_ns)))),
    ("__timestamp__", &[], None, |all, _| Ok(Value::Time(Instant::from_ns(all.timestamp_ns)))),
    ("date", &[Text, Any], None, date),
    ("toDate", &[Text, Text], None, |_, args| {
        Ok(Value::Time(parse(&text(args, 0), &text(args, 1), None).unwrap_or(Instant::ZERO)))
    }),
    ("toDateInZone", &[Text, Text, Text], None, to_date_in_zone),
    ("unixEpoch", &[Time], None, |_, args| Ok(Value::text(instant(args).seconds.to_string()))),
    ("unixEpochMillis", &[Time], None, |_, args| Ok(Value::text((instant(args).ns() / 1_000_000).to_string()))),
    ("unixEpochNanos", &[Time], None, |_, args| Ok(Value::text(instant(args).ns().to_string()))),
    ("unixToTime", &[Text], None, unix_to_time),
];

/// A moment, shown at an offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::template) struct Instant {
    seconds: i64,
    nanoseconds: u32,
    offset_seconds: i32,
    /// Whose offset that is; `None` for UTC and offsets of no zone.
    zone: Option<Tz>,
}

/// Seconds from the year 1 to 1970.
const ZERO_SECONDS: i64 = -62_135_596_800;
const DAY_SECONDS: i64 = 86_400;
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Instant {
    /// Go's zero time.
    const ZERO: Instant = Instant { seconds: ZERO_SECONDS, nanoseconds: 0, offset_seconds: 0, zone: None };

    /// Makes the instant `ns` nanoseconds after 1970.
    pub(in crate::template) fn from_ns(ns: i64) -> Instant {
        let nanoseconds = ns.rem_euclid(1_000_000_000) as u32;
        Instant { seconds: ns.div_euclid(1_000_000_000), nanoseconds, offset_seconds: 0, zone: None }
    }

    fn ns(self) -> i64 {
        self.seconds.wrapping_mul(1_000_000_000).wrapping_add(i64::from(self.nanoseconds))
    }

    /// Returns year, month and day (from 1), and the seconds of the day.
    fn civil(self) -> (i64, u32, u32, i64) {
        let local = self.seconds.saturating_add(i64::from(self.offset_seconds));
        let (year, month, day) = civil_of(local.div_euclid(DAY_SECONDS));
        (year, month, day, local.rem_euclid(DAY_SECONDS))
    }

    fn weekday(self) -> usize {
        let days = self.seconds.saturating_add(i64::from(self.offset_seconds)).div_euclid(DAY_SECONDS);
        (days + 4).rem_euclid(7) as usize
    }

    fn year_day(self) -> i64 {
        let (year, month, day, _) = self.civil();
        days_of(year, month, day) - days_of(year, 1, 1) + 1
    }

    /// Returns the zone's abbreviation at this moment, or the offset.
    fn zone(self) -> String {
        if let Some((offset_seconds, name)) = self.zone.and_then(|zone| in_effect(zone, self.seconds)) {
            // Zones without names are called by their offset, as short as it goes.
            let offset = offset_text(offset_seconds, false);
            return name.unwrap_or_else(|| offset.strip_suffix("00").unwrap_or(&offset).to_owned());
        }
        if self.offset_seconds == 0 { "UTC".to_owned() } else { offset_text(self.offset_seconds, false) }
    }

    /// Writes by a Go layout.
    pub(in crate::template) fn format(self, layout: &str) -> String {
        let (year, month, day, second) = self.civil();
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let hour12 = (hour + 11) % 12 + 1;
        let mut out = String::new();
        let mut rest = layout;
        while let Some((before, part, after)) = next_part(rest) {
            out.push_str(before);
            rest = after;
            match part {
                Part::Year => out.push_str(&format!("{year:04}")),
                Part::Year2 => out.push_str(&format!("{:02}", year.rem_euclid(100))),
                Part::MonthName => out.push_str(MONTHS[month as usize - 1]),
                Part::MonthShort => out.push_str(&MONTHS[month as usize - 1][..3]),
                Part::Month2 => out.push_str(&format!("{month:02}")),
                Part::Month => out.push_str(&month.to_string()),
                Part::DayName => out.push_str(DAYS[self.weekday()]),
                Part::DayShort => out.push_str(&DAYS[self.weekday()][..3]),
                Part::Day2 => out.push_str(&format!("{day:02}")),
                Part::DayBlank => out.push_str(&format!("{day:2}")),
                Part::Day => out.push_str(&day.to_string()),
                Part::YearDay => out.push_str(&format!("{:03}", self.year_day())),
                Part::Hour24 => out.push_str(&format!("{hour:02}")),
                Part::Hour2 => out.push_str(&format!("{hour12:02}")),
                Part::Hour => out.push_str(&hour12.to_string()),
                Part::Minute2 => out.push_str(&format!("{minute:02}")),
                Part::Minute => out.push_str(&minute.to_string()),
                Part::Second2 => out.push_str(&format!("{second:02}")),
                Part::Second => out.push_str(&second.to_string()),
                Part::Pm => out.push_str(if hour >= 12 { "PM" } else { "AM" }),
                Part::PmSmall => out.push_str(if hour >= 12 { "pm" } else { "am" }),
                Part::Zone => out.push_str(&self.zone()),
                Part::Offset { z: true, .. } if self.offset_seconds == 0 => out.push('Z'),
                Part::Offset { hours_only: true, .. } => out.push_str(&offset_text(self.offset_seconds, false)[..3]),
                Part::Offset { colon, .. } => out.push_str(&offset_text(self.offset_seconds, colon)),
                Part::Fraction { separator, digits, trims } => {
                    let text = format!("{:09}", self.nanoseconds);
                    let digits = &text[..digits.min(9)];
                    let digits = if trims { digits.trim_end_matches('0') } else { digits };
                    if !digits.is_empty() {
                        out.push(separator);
                        out.push_str(digits);
                    }
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// Calls a method of Go's `time.Time`; `None` where there is none of that name here.
    pub(in crate::template) fn method(self, name: &str) -> Option<Value> {
        let (year, month, day, second) = self.civil();
        Some(match name {
            "Unix" => Value::Int64(self.seconds),
            "UnixMilli" => Value::Int64(self.ns() / 1_000_000),
            "UnixMicro" => Value::Int64(self.ns() / 1_000),
            "UnixNano" => Value::Int64(self.ns()),
            "Year" => Value::Int(year),
            "Month" => Value::text(MONTHS[month as usize - 1]),
            "Day" => Value::Int(i64::from(day)),
            "Weekday" => Value::text(DAYS[self.weekday()]),
            "YearDay" => Value::Int(self.year_day()),
            "Hour" => Value::Int(second / 3600),
            "Minute" => Value::Int(second / 60 % 60),
            "Second" => Value::Int(second % 60),
            "Nanosecond" => Value::Int(i64::from(self.nanoseconds)),
            "UTC" => Value::Time(Instant { offset_seconds: 0, zone: None, ..self }),
            "String" => Value::text(self.to_string()),
            "IsZero" => Value::Bool(self.seconds == ZERO_SECONDS && self.nanoseconds == 0),
            _ => return None,
        })
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

fn offset_text(offset_seconds: i32, colon: bool) -> String {
    let size = offset_seconds.abs() / 60;
    let sign = if offset_seconds < 0 { '-' } else { '+' };
    format!("{sign}{:02}{}{:02}", size / 60, if colon { ":" } else { "" }, size % 60)
}

/// Returns the offset of a zone at a moment, in seconds, and its abbreviation; `None` outside of what `chrono` can say.
fn in_effect(zone: Tz, seconds: i64) -> Option<(i32, Option<String>)> {
    let offset = zone.offset_from_utc_datetime(&DateTime::from_timestamp(seconds, 0)?.naive_utc());
    Some((offset.fix().local_minus_utc(), offset.abbreviation().map(str::to_owned)))
}

/// Returns the offset at a local time as Go's `time.Date` finds it: that of the same time in UTC, or where that leads across a
/// change of the offset, the one after it.
fn offset_of_local(zone: Tz, local: i64) -> i32 {
    let at = |seconds| in_effect(zone, seconds).map_or(0, |(offset, _)| offset);
    match at(local) {
        0 => 0,
        offset => at(local - i64::from(offset)),
    }
}

/// Days since 1970 to year, month and day of the Gregorian calendar, for all time.
fn civil_of(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * from_march + 2) / 5 + 1) as u32;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil_of`].
fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A part of a layout.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Year,
    Year2,
    MonthName,
    MonthShort,
    Month2,
    Month,
    DayName,
    DayShort,
    Day2,
    DayBlank,
    Day,
    YearDay,
    Hour24,
    Hour2,
    Hour,
    Minute2,
    Minute,
    Second2,
    Second,
    Pm,
    PmSmall,
    Zone,
    Offset { z: bool, colon: bool, hours_only: bool },
    Fraction { separator: char, digits: usize, trims: bool },
}

/// Spellings of parts, longer ones before those they start with.
const PARTS: [(&str, Part); 28] = [
    ("January", Part::MonthName),
    ("Jan", Part::MonthShort),
    ("Monday", Part::DayName),
    ("Mon", Part::DayShort),
    ("MST", Part::Zone),
    ("2006", Part::Year),
    ("002", Part::YearDay),
    ("01", Part::Month2),
    ("02", Part::Day2),
    ("03", Part::Hour2),
    ("04", Part::Minute2),
    ("05", Part::Second2),
    ("06", Part::Year2),
    ("15", Part::Hour24),
    ("_2", Part::DayBlank),
    ("PM", Part::Pm),
    ("pm", Part::PmSmall),
    ("-07:00", Part::Offset { z: false, colon: true, hours_only: false }),
    ("-0700", Part::Offset { z: false, colon: false, hours_only: false }),
    ("-07", Part::Offset { z: false, colon: false, hours_only: true }),
    ("Z07:00", Part::Offset { z: true, colon: true, hours_only: false }),
    ("Z0700", Part::Offset { z: true, colon: false, hours_only: false }),
    ("Z07", Part::Offset { z: true, colon: false, hours_only: true }),
    ("1", Part::Month),
    ("2", Part::Day),
    ("3", Part::Hour),
    ("4", Part::Minute),
    ("5", Part::Second),
];

/// Finds the next part of a layout: what precedes it, the part, what follows.
fn next_part(layout: &str) -> Option<(&str, Part, &str)> {
    for (at, c) in layout.char_indices() {
        let rest = &layout[at..];
        if let Some((digits, trims)) = fraction(c, rest) {
            let part = Part::Fraction { separator: c, digits, trims };
            return Some((&layout[..at], part, &rest[1 + digits..]));
        }
        let found = PARTS.iter().find(|(text, _)| rest.starts_with(text));
        if let Some((text, part)) = found {
            // Go reads "_2006" as a blank and the year.
            if *part == Part::DayBlank && rest.starts_with("_2006") {
                return Some((&layout[..=at], Part::Year, &rest[5..]));
            }
            return Some((&layout[..at], *part, &rest[text.len()..]));
        }
    }
    None
}

/// Reads `.000` and `,999`: the number of digits, and whether zeros at the end go.
fn fraction(separator: char, rest: &str) -> Option<(usize, bool)> {
    if !matches!(separator, '.' | ',') {
        return None;
    }
    let digit = rest[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let digits = rest[1..].chars().take_while(|c| *c == digit).count();
    let followed = rest[1 + digits..].starts_with(|c: char| c.is_ascii_digit());
    (!followed).then_some((digits, digit == '9'))
}

/// What was read so far.
struct Read {
    year: i64,
    month: u32,
    day: u32,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanoseconds: u32,
    afternoon: Option<bool>,
    /// As written.
    offset_seconds: Option<i32>,
}

/// Reads a time by a Go layout, in a zone where the text names no offset; `None` where the text does not fit.
fn parse(layout: &str, text: &str, zone: Option<Tz>) -> Option<Instant> {
    let mut read = Read {
        year: 0,
        month: 1,
        day: 1,
        year_day: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanoseconds: 0,
        afternoon: None,
        offset_seconds: None,
    };
    let (mut layout, mut text) = (layout, text);
    while let Some((before, part, after)) = next_part(layout) {
        text = text.strip_prefix(before)?;
        text = read.take(part, text, after)?;
        layout = after;
    }
    (text == layout).then_some(())?;
    read.finish(zone)
}

impl Read {
    fn take<'t>(&mut self, part: Part, text: &'t str, after: &str) -> Option<&'t str> {
        match part {
            Part::Year => {
                let (value, rest) = digits(text, 4, 4)?;
                self.year = value;
                Some(rest)
            }
            Part::Year2 => {
                let (value, rest) = digits(text, 2, 2)?;
                self.year = if value >= 69 { 1900 + value } else { 2000 + value };
                Some(rest)
            }
            Part::MonthName | Part::MonthShort => {
                let (index, rest) = name(text, &MONTHS, part == Part::MonthShort)?;
                self.month = index as u32 + 1;
                Some(rest)
            }
            Part::DayName | Part::DayShort => name(text, &DAYS, part == Part::DayShort).map(|(_, rest)| rest),
            Part::Month2 | Part::Month => number(text, part == Part::Month2, 1..=12).map(|(value, rest)| {
                self.month = value as u32;
                rest
            }),
            Part::Day2 | Part::Day | Part::DayBlank => {
                let text = if part == Part::DayBlank { text.trim_start_matches(' ') } else { text };
                number(text, part == Part::Day2, 1..=31).map(|(value, rest)| {
                    self.day = value as u32;
                    rest
                })
            }
            Part::YearDay => digits(text, 3, 3).filter(|(value, _)| (1..=366).contains(value)).map(|(value, rest)| {
                self.year_day = Some(value);
                rest
            }),
            Part::Hour24 => store(&mut self.hour, digits(text, 1, 2).filter(|(value, _)| *value < 24)),
            Part::Hour2 | Part::Hour => store(&mut self.hour, number(text, part == Part::Hour2, 0..=12)),
            Part::Minute2 | Part::Minute => store(&mut self.minute, number(text, part == Part::Minute2, 0..=59)),
            Part::Second2 | Part::Second => {
                let rest = store(&mut self.second, number(text, part == Part::Second2, 0..=59))?;
                let expects_fraction = matches!(next_part(after), Some(("", Part::Fraction { .. }, _)));
                // Go takes a fraction behind the seconds even where the layout has none.
                if expects_fraction { Some(rest) } else { Some(self.fraction(rest, None).unwrap_or(rest)) }
            }
            Part::Pm | Part::PmSmall => {
                let half = text.get(..2)?;
                let (morning, evening) = if part == Part::Pm { ("AM", "PM") } else { ("am", "pm") };
                (half == morning || half == evening).then_some(())?;
                self.afternoon = Some(half == evening);
                Some(&text[2..])
            }
            Part::Zone => {
                let len = text.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(text.len());
                (3..=5).contains(&len).then(|| &text[len..])
            }
            Part::Offset { z, colon, hours_only } => self.offset(text, z, colon, hours_only),
            Part::Fraction { digits, trims: false, .. } => self.fraction(text, Some(digits)),
            Part::Fraction { .. } => Some(self.fraction(text, None).unwrap_or(text)),
        }
    }

    fn fraction<'t>(&mut self, text: &'t str, len: Option<usize>) -> Option<&'t str> {
        let rest = text.strip_prefix(['.', ','])?;
        let found = rest.bytes().take_while(u8::is_ascii_digit).count();
        let len = len.unwrap_or(found);
        if found == 0 || len > found {
            return None;
        }
        let padded = format!("{:0<9}", &rest[..len.min(9)]);
        self.nanoseconds = padded.parse().ok()?;
        Some(&rest[len..])
    }

    fn offset<'t>(&mut self, text: &'t str, z: bool, colon: bool, hours_only: bool) -> Option<&'t str> {
        if z && let Some(rest) = text.strip_prefix('Z') {
            self.offset_seconds = Some(0);
            return Some(rest);
        }
        let sign = match text.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hours, mut rest) = digits(&text[1..], 2, 2)?;
        let mut minutes = 0;
        if !hours_only {
            rest = if colon { rest.strip_prefix(':')? } else { rest };
            (minutes, rest) = digits(rest, 2, 2)?;
        }
        self.offset_seconds = Some(sign * (hours * 3600 + minutes * 60) as i32);
        Some(rest)
    }

    fn finish(self, zone: Option<Tz>) -> Option<Instant> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let days = match self.year_day {
            Some(year_day) => days_of(self.year, 1, 1) + year_day - 1,
            None => days_of(self.year, self.month, self.day),
        };
        // A day that the month does not have comes back as another.
        (self.year_day.is_some() || civil_of(days) == (self.year, self.month, self.day)).then_some(())?;
        let local = days * DAY_SECONDS + hour * 3600 + self.minute * 60 + self.second;
        let used = self.offset_seconds.unwrap_or_else(|| zone.map_or(0, |zone| offset_of_local(zone, local)));
        let seconds = local - i64::from(used);
        let shown = zone.and_then(|zone| in_effect(zone, seconds)).map_or(0, |(offset, _)| offset);
        // An offset in the text that is not the zone's is of no zone.
        let zone = zone.filter(|_| self.offset_seconds.is_none_or(|offset| offset == shown));
        let offset_seconds = if zone.is_some() { shown } else { used };
        Some(Instant { seconds, nanoseconds: self.nanoseconds, offset_seconds, zone })
    }
}

fn store<'t>(into: &mut i64, read: Option<(i64, &'t str)>) -> Option<&'t str> {
    let (value, rest) = read?;
    *into = value;
    Some(rest)
}

/// Reads between `least` and `most` digits.
fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let len = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    (len >= least).then(|| text[..len].parse().ok().map(|value| (value, &text[len..])))?
}

fn number(text: &str, two: bool, within: std::ops::RangeInclusive<i64>) -> Option<(i64, &str)> {
    digits(text, if two { 2 } else { 1 }, 2).filter(|(value, _)| within.contains(value))
}

fn name<'t>(text: &'t str, names: &[&str], short: bool) -> Option<(usize, &'t str)> {
    let spelled = |name: &str| if short { 3 } else { name.len() };
    let fits = |name: &&str| text.get(..spelled(name)).is_some_and(|head| head.eq_ignore_ascii_case(&name[..spelled(name)]));
    let index = names.iter().position(fits)?;
    Some((index, &text[spelled(names[index])..]))
}

fn instant(args: &[Value]) -> Instant {
    if let Some(Value::Time(instant)) = args.first() { *instant } else { Instant::ZERO }
}

/// Writes a time, or seconds since 1970; anything else is now.
fn date(all: &Surroundings<'_>, args: &[Value]) -> Result<Value, String> {
    let at = match &args[1] {
        Value::Time(instant) => Instant { offset_seconds: 0, zone: None, ..*instant },
        Value::Int(seconds) | Value::Int64(seconds) => {
            Instant { seconds: *seconds, nanoseconds: 0, offset_seconds: 0, zone: None }
        }
        _ => Instant::from_ns(all.now_ns),
    };
    Ok(Value::text(at.format(&text(args, 0))))
}

/// Reads a time in a zone of the IANA database; in UTC where it has none of that name.
fn to_date_in_zone(_: &Surroundings<'_>, args: &[Value]) -> Result<Value, String> {
    let zone = text(args, 1).parse().ok();
    Ok(Value::Time(parse(&text(args, 0), &text(args, 2), zone).unwrap_or(Instant::ZERO)))
}

/// Takes days, seconds, milli-, micro- or nanoseconds since 1970, told apart by the number of digits.
fn unix_to_time(_: &Surroundings<'_>, args: &[Value]) -> Result<Value, String> {
    let epoch = text(args, 0);
    let fault = |why: &str| format!("unable to parse time '{epoch}': {why}");
    let quoted = model::quote::go_quote(&epoch);
    let value: i64 = epoch.parse().map_err(|_| fault(&format!("strconv.ParseInt: parsing {quoted}: invalid syntax")))?;
    let unit_ns = match epoch.len() {
        5 => DAY_SECONDS * 1_000_000_000,
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return Err(fault("%!w(<nil>)")),
    };
    Ok(Value::Time(Instant::from_ns(value.saturating_mul(unit_ns))))
}
