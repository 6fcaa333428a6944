//! Numbers and durations as text, both ways (Go's `strconv`, Prometheus's `model.Duration`).

use std::fmt::Write;

/// Units of durations, longest first, milliseconds; the flag says that a multiple is only printed where nothing remains.
const UNITS: &[(&str, i64, bool)] = &[
    ("y", 31_536_000_000, true),
    ("w", 604_800_000, true),
    ("d", 86_400_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1_000, false),
    ("ms", 1, false),
];

/// Parses a number as Go does: decimal, hexadecimal, octal with a leading zero, underscores between digits.
pub fn parse_number(text: &str) -> Result<f64, String> {
    match text.to_ascii_lowercase().as_str() {
        "inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(f64::NAN),
        _ => {}
    }
    let failed = |why: &str| format!("error parsing number: strconv.ParseFloat: parsing {}: {why}", model::quote::go_quote(text));
    if text.ends_with('_') {
        return Err(failed("invalid syntax"));
    }
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if let Some(hex) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).map(|value| value as f64).map_err(|_| failed("invalid syntax"));
    }
    if plain.len() > 1
        && plain.starts_with('0')
        && let Ok(value) = i64::from_str_radix(&plain, 8)
    {
        return Ok(value as f64);
    }
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(failed("value out of range")),
        Err(_) => Err(failed("invalid syntax")),
    }
}

/// Parses a duration such as `1h30m`: units in descending order, each once; returns seconds.
pub fn parse_duration(text: &str) -> Result<f64, String> {
    let invalid = || format!("not a valid duration string: {}", model::quote::go_quote(text));
    let (mut rest, mut next, mut total) = (text, 0, 0i64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..digits].parse().map_err(|_| invalid())?;
        let unit_len = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        let unit = &rest[digits..digits + unit_len];
        let quote = model::quote::go_quote;
        let index = UNITS.iter().position(|(name, ..)| *name == unit);
        let index = index.ok_or_else(|| format!("unknown unit {} in duration {}", quote(unit), quote(text)))?;
        if index < next {
            return Err(invalid());
        }
        let sum = count.checked_mul(UNITS[index].1).and_then(|ms| total.checked_add(ms));
        total = sum.filter(|ms| *ms <= i64::MAX / 1_000_000).ok_or_else(|| "duration out of range".to_owned())?;
        next = index + 1;
        rest = &rest[digits + unit_len..];
    }
    Ok(total as f64 / 1000.0)
}

/// Prints seconds as a duration; a negative one gets a sign.
pub fn print_duration(seconds: f64) -> String {
    // A whole number of milliseconds is seldom exact in seconds: 1001 ms would be cut to 1000.
    let mut ms = (seconds.abs() * 1e9).round() as i64 / 1_000_000;
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = if seconds < 0.0 { "-".to_owned() } else { String::new() };
    for (unit, length_ms, exact) in UNITS {
        if *exact && ms % length_ms != 0 {
            continue;
        }
        if ms / length_ms > 0 {
            let _ = write!(out, "{}{unit}", ms / length_ms);
            ms %= length_ms;
        }
    }
    out
}

/// Prints a number without an exponent (Go's `'f', -1`).
pub fn print_number(value: f64) -> String {
    model::go_float::plain(value)
}

/// Prints a number with an exponent where it is large or small, as Go's JSON-like `%v` of the printer does.
pub fn print_general(value: f64) -> String {
    model::go_float::general(value, 21)
}
