//! Numbers and durations at the start of a text, as test scripts write them.
//!
//! Owns: where a number ends (`0+10x3`, `-1m+10sx4`). Does not own: what its digits mean, which is the query language's parser.

use promql::ast::ExprKind;

/// Reads a number (a duration counts as its seconds) that makes up the whole text.
pub fn whole(text: &str) -> Option<f64> {
    prefix(text).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// Reads a duration that makes up the whole text, as milliseconds; plain numbers count as seconds.
pub fn milliseconds(text: &str) -> Result<i64, String> {
    let seconds = whole(text).filter(|seconds| seconds.is_finite()).ok_or_else(|| format!("{text:?} is not a duration"))?;
    Ok((seconds * 1000.0).round() as i64)
}

/// Reads a number at the start of a text and returns what follows it.
pub fn prefix(text: &str) -> Option<(f64, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (digits, rest) = unsigned.split_at(length(unsigned)?);
    let value = literal(digits)?;
    Some((if text.starts_with('-') { -value } else { value }, rest))
}

fn literal(digits: &str) -> Option<f64> {
    match promql::parse(digits, &promql::Options::default()).ok()?.kind {
        ExprKind::Number { value, .. } => Some(value),
        _ => None,
    }
}

/// Counts the bytes of an unsigned number. `0x12` is zero, repeated; only a letter among the digits makes it hexadecimal.
fn length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if let Some(word) = text.get(..3).filter(|word| word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan")) {
        return Some(word.len());
    }
    let hexadecimal = text.strip_prefix("0x").unwrap_or_default();
    if hexadecimal.bytes().all(|b| b.is_ascii_hexdigit()) && hexadecimal.bytes().any(|b| b.is_ascii_alphabetic()) {
        return Some(text.len());
    }
    let run = |from: usize, accept: fn(&u8) -> bool| bytes[from..].iter().take_while(|b| accept(b)).count();
    let mut at = run(0, |b| b.is_ascii_digit() || *b == b'.' || *b == b'_');
    if at == 0 || !bytes[..at].iter().any(u8::is_ascii_digit) {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        return Some(at + 1 + sign + run(at + 1 + sign, u8::is_ascii_digit));
    }
    while run(at, |b| b"smhdwy".contains(b)) > 0 {
        at += run(at, |b| b"smhdwy".contains(b));
        at += run(at, u8::is_ascii_digit);
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_ends_where_it_ends() {
        for (text, value, rest) in [
            ("0+10x3", 0.0, "+10x3"),
            ("0x10", 0.0, "x10"),
            ("0x1f", 31.0, ""),
            ("-1m+10sx4", -60.0, "+10sx4"),
            ("1e3x2", 1000.0, "x2"),
            ("1.5-2x1", 1.5, "-2x1"),
            ("-Infx3", f64::NEG_INFINITY, "x3"),
            ("1h30mx2", 5400.0, "x2"),
            (".5", 0.5, ""),
        ] {
            assert_eq!(prefix(text), Some((value, rest)), "{text}");
        }
        for text in ["", "-", "stale", "_", "x3", "."] {
            assert_eq!(prefix(text), None, "{text}");
        }
        assert_eq!(milliseconds("-59999ms"), Ok(-59_999));
    }
}
