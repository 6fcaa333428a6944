//! Numbers, durations and byte sizes as Go and Loki read and print them.
//!
//! Owns: Go's `time.ParseDuration`, `Duration.String`, Prometheus's durations, and the byte sizes of
//! `humanize`. Does not own: which of them a stage uses.

use model::go_float;

use crate::functions::exponent::ln;
use crate::functions::power::pow;

/// Nanoseconds in a second.
pub const SECOND_NS: i64 = 1_000_000_000;

/// Formats a float as Go's `%v` does: exponent below 1e-4 and from 1e6 on.
pub fn format_float(value: f64) -> String {
    go_float::general(value, 6)
}

/// Formats a float as Go's `FormatFloat(value, 'f', -1, 64)` does: never an exponent.
pub fn format_float_plain(value: f64) -> String {
    go_float::plain(value)
}

/// Parses a duration as Go's `time.ParseDuration` does, nanoseconds; the error is Go's text.
pub fn parse_go_duration(text: &str) -> Result<i64, String> {
    let quoted = || quoted_duration(text);
    let invalid = || format!("time: invalid duration {}", quoted());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let part = DurationPart::take(&mut rest).ok_or_else(invalid)?;
        if part.unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quoted()));
        }
        let unit_ns = go_unit_ns(part.unit)
            .ok_or_else(|| format!("time: unknown unit {} in duration {}", quoted_duration(part.unit), quoted()))?;
        total = part.ns(unit_ns).and_then(|ns| total.checked_add(ns)).filter(|ns| *ns <= DURATION_MAX).ok_or_else(invalid)?;
    }
    match (negative, i64::try_from(total)) {
        (false, Ok(ns)) => Ok(ns),
        (false, Err(_)) => Err(invalid()),
        (true, Ok(ns)) => Ok(-ns),
        (true, Err(_)) => Ok(i64::MIN),
    }
}

/// Quotes as Go's `time` package does in its errors: bytes that are no printable ASCII as `\xhh`.
fn quoted_duration(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..0x80 => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    format!("\"{}\"", text.bytes().map(escape).collect::<String>())
}

/// Go's durations have 63 bits and a sign.
const DURATION_MAX: u64 = 1 << 63;

/// `whole` and `fraction / scale` of a unit.
struct DurationPart<'a> {
    whole: u64,
    fraction: u64,
    scale: f64,
    unit: &'a str,
}

impl<'a> DurationPart<'a> {
    /// Takes digits with an optional fraction, and all up to the next digit or point as the unit.
    fn take(rest: &mut &'a str) -> Option<DurationPart<'a>> {
        let text = *rest;
        let digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
        let before = &text[..digits(0)];
        let mut at = before.len();
        let mut after = "";
        if text[at..].starts_with('.') {
            after = &text[at + 1..at + 1 + digits(at + 1)];
            at += 1 + after.len();
        }
        if before.is_empty() && after.is_empty() {
            return None;
        }
        let whole = if before.is_empty() { Some(0) } else { before.parse().ok() };
        let (mut fraction, mut scale) = (0u64, 1.0);
        for digit in after.bytes() {
            // Digits that do not fit are left out.
            let next = fraction.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit - b'0')));
            let Some(next) = next.filter(|next| *next <= DURATION_MAX) else { break };
            (fraction, scale) = (next, scale * 10.0);
        }
        let unit_len = text[at..].find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(text.len() - at);
        *rest = &text[at + unit_len..];
        let unit = &text[at..at + unit_len];
        Some(DurationPart { whole: whole.filter(|whole| *whole <= DURATION_MAX)?, fraction, scale, unit })
    }

    fn ns(&self, unit_ns: u64) -> Option<u64> {
        // In this order of operations 1.5015m is 90.09 s to the nanosecond.
        let scaled = self.fraction as f64 * (unit_ns as f64 / self.scale);
        self.whole.checked_mul(unit_ns)?.checked_add(scaled as u64)
    }
}

fn go_unit_ns(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Formats nanoseconds as Go's `Duration.String` does: `1h0m0s`, `1.5s`, `250ms`, `0s`.
pub fn format_go_duration(ns: i64) -> String {
    if ns == 0 {
        return "0s".to_owned();
    }
    let sign = if ns < 0 { "-" } else { "" };
    let size = ns.unsigned_abs();
    if size < 1_000_000_000 {
        let (unit, name, width) = match size {
            0..1_000 => (1, "ns", 0),
            1_000..1_000_000 => (1_000, "\u{b5}s", 3),
            _ => (1_000_000, "ms", 6),
        };
        return format!("{sign}{}{name}", with_fraction(size / unit, size % unit, width));
    }
    let seconds_all = size / 1_000_000_000;
    let seconds = with_fraction(seconds_all % 60, size % 1_000_000_000, 9);
    let minutes = seconds_all / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, m) => format!("{sign}{m}m{seconds}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
    }
}

fn with_fraction(whole: u64, fraction: u64, width: usize) -> String {
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = format!("{fraction:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

const PROMETHEUS_UNITS: [(&str, u32, u64); 7] = [
    ("y", 1, 365 * 86_400_000_000_000),
    ("w", 2, 7 * 86_400_000_000_000),
    ("d", 3, 86_400_000_000_000),
    ("h", 4, 3_600_000_000_000),
    ("m", 5, 60_000_000_000),
    ("s", 6, 1_000_000_000),
    ("ms", 7, 1_000_000),
];

/// Parses a duration as Prometheus's `model.ParseDuration` does, nanoseconds; the error is its text.
pub fn parse_prometheus_duration(text: &str) -> Result<i64, String> {
    match text {
        "0" => return Ok(0),
        "" => return Err("empty duration string".to_owned()),
        _ => {}
    }
    let invalid = || format!("not a valid duration string: {}", model::quote::go_quote(text));
    let range = || "duration out of range".to_owned();
    let (mut rest, mut total, mut last) = (text, 0u64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        if unit_len == 0 {
            return Err(invalid());
        }
        let name = &rest[..unit_len];
        rest = &rest[unit_len..];
        let Some((_, position, unit)) = PROMETHEUS_UNITS.iter().find(|(n, _, _)| *n == name) else {
            return Err(format!("unknown unit {} in duration {}", model::quote::go_quote(name), model::quote::go_quote(text)));
        };
        if *position <= last {
            return Err(invalid());
        }
        last = *position;
        total = number
            .checked_mul(*unit)
            .and_then(|v| v.checked_add(total))
            .filter(|v| i64::try_from(*v).is_ok())
            .ok_or_else(range)?;
    }
    i64::try_from(total).map_err(|_| range())
}

/// Formats nanoseconds as Prometheus's `Duration.String` does: `1h30m`, `1w`, `1500ms` as `1s500ms`, `0s`.
pub fn format_prometheus_duration(ns: i64) -> String {
    let ms = ns / 1_000_000;
    if ms == 0 {
        return "0s".to_owned();
    }
    let (sign, mut rest) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    let mut out = sign.to_owned();
    for (name, _, unit) in PROMETHEUS_UNITS {
        let unit_ms = unit / 1_000_000;
        // Years and weeks are only printed when they divide the rest exactly.
        let exact_only = matches!(name, "y" | "w");
        if exact_only && !rest.is_multiple_of(unit_ms) {
            continue;
        }
        let count = rest / unit_ms;
        if count > 0 {
            out.push_str(&format!("{count}{name}"));
            rest -= count * unit_ms;
        }
    }
    out
}

/// Parses a byte size as `humanize.ParseBytes` does: digits with `.` and `,`, then an SI or IEC unit in any case. The error is its text.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !(c.is_numeric() || c == '.' || c == ',')).unwrap_or(text.len());
    let digits = text[..split].replace(',', "");
    let number = go_float::parse(&digits)
        .map_err(|reason| format!("strconv.ParseFloat: parsing {}: {reason}", model::quote::go_quote(&digits)))?;
    let unit = text[split..].trim().to_lowercase();
    let factor = bytes_unit(&unit).ok_or_else(|| format!("unhandled size name: {unit}"))?;
    let bytes = number * factor as f64;
    if bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(format!("too large: {text}")) }
}

fn bytes_unit(name: &str) -> Option<u64> {
    Some(match name {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "p" | "pb" => 1_000_000_000_000_000,
        "e" | "eb" => 1_000_000_000_000_000_000,
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        "ti" | "tib" => 1 << 40,
        "pi" | "pib" => 1 << 50,
        "ei" | "eib" => 1 << 60,
        _ => return None,
    })
}

/// Formats a byte size as `humanize.Bytes` does, without the space: `1.0GB`, `20kB`, `9B`.
pub fn format_bytes(bytes: u64) -> String {
    if bytes < 10 {
        return format!("{bytes}B");
    }
    let names = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let exponent = (ln(bytes as f64) / ln(1000.0)).floor();
    let value = (bytes as f64 / pow(1000.0, exponent) * 10.0 + 0.5).floor() / 10.0;
    let name = names[(exponent as usize).min(names.len() - 1)];
    if value < 10.0 { format!("{value:.1}{name}") } else { format!("{value:.0}{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        for (value, want) in
            [(1.0, "1"), (1e21, "1e+21"), (1.5e6, "1.5e+06"), (123456.0, "123456"), (0.00001, "1e-05"), (-2.5, "-2.5")]
        {
            assert_eq!(format_float(value), want);
        }
    }

    #[test]
    fn durations_are_gos_and_prometheus() {
        for (text, want) in [
            ("1.5h", Some(5400 * SECOND_NS)),
            ("-5m", Some(-300 * SECOND_NS)),
            ("-0", Some(0)),
            ("1d", None),
            ("5", None),
            ("1h0.0m0s", Some(3600 * SECOND_NS)),
            // Not a nanosecond less, as 0.5015 minutes would be.
            ("1.5015m", Some(90_090_000_000)),
            ("1.5901h", Some(5_724_360_000_000)),
            (".99999999999999999990999999992us", Some(1_000)),
            (".18446744073709551619s", Some(184_467_440)),
            ("9223372036854775808ns", None),
            ("-9223372036854775808ns", Some(i64::MIN)),
        ] {
            assert_eq!(parse_go_duration(text).ok(), want, "{text}");
        }
        for (ns, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (250_000_000, "250ms"),
            (3600 * SECOND_NS, "1h0m0s"),
            (-2 * SECOND_NS, "-2s"),
        ] {
            assert_eq!(format_go_duration(ns), want);
        }
        assert_eq!(parse_prometheus_duration("1h30m"), Ok(5400 * SECOND_NS));
        assert_eq!(parse_prometheus_duration("1us"), Err("unknown unit \"us\" in duration \"1us\"".to_owned()));
        assert_eq!(parse_prometheus_duration("-1m"), Err("not a valid duration string: \"-1m\"".to_owned()));
        for (ns, want) in [(7 * 86400 * SECOND_NS, "1w"), (5400 * SECOND_NS, "1h30m"), (0, "0s"), (1_500_000_000, "1s500ms")] {
            assert_eq!(format_prometheus_duration(ns), want);
        }
    }

    #[test]
    fn bytes_are_humanizes() {
        for (text, want) in [
            ("2 kb", Some(2000)),
            ("1,000", Some(1000)),
            ("5 ", Some(5)),
            ("2.5KiB", Some(2560)),
            (".5", Some(0)),
            ("-1", None),
            ("1e3", None),
            ("x", None),
        ] {
            assert_eq!(parse_bytes(text).ok(), want, "{text}");
        }
        for (bytes, want) in [(2560, "2.6kB"), (1_000_000_000, "1.0GB"), (20_000, "20kB"), (9, "9B"), (209_715_200, "210MB")] {
            assert_eq!(format_bytes(bytes), want);
        }
    }
}
