//! Numbers as Go prints them.

/// Formats like Go's `%g`: shortest, exponent form below 1e-4 and from 1e21 on.
pub fn general(value: f64) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let exponent = exponent(value);
    if value != 0.0 && !(-4..21).contains(&exponent) { scientific(&format!("{value:e}")) } else { format!("{value}") }
}

/// Formats like Go's `%.Ng` with `digits` significant digits.
pub fn general_digits(value: f64, digits: usize) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let text = format!("{:.*e}", digits.saturating_sub(1), value);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && (exponent < -4 || exponent >= digits as i32) {
        let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
        return scientific(&format!("{mantissa}e{exponent}"));
    }
    let rounded: f64 = text.parse().unwrap_or(value);
    format!("{rounded}")
}

/// Formats like Go's `'f', -1`: shortest, never an exponent.
pub fn plain(value: f64) -> String {
    special(value).unwrap_or_else(|| format!("{value}"))
}

fn special(value: f64) -> Option<String> {
    match value {
        v if v.is_nan() => Some("NaN".to_owned()),
        f64::INFINITY => Some("+Inf".to_owned()),
        f64::NEG_INFINITY => Some("-Inf".to_owned()),
        _ => None,
    }
}

fn exponent(value: f64) -> i32 {
    format!("{value:e}").split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0)
}

fn scientific(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}
