//! JSON written straight into a buffer: strings, label sets and numbers as Go's servers print them.
//!
//! Owns: text. Does not own: any envelope ([`crate::prom_api`], [`crate::loki_api`]).

use std::io::Write;

use model::LabelSet;

/// Writes a JSON string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 | 0x7f => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..index]);
        plain = index + 1;
        match short {
            0 => write_to(out, format_args!("\\u{byte:04x}")),
            short => out.extend_from_slice(&[b'\\', short]),
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

/// Writes bytes as a JSON string; what is not UTF-8 becomes U+FFFD.
pub fn lossy_string(out: &mut Vec<u8>, bytes: &[u8]) {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => string(out, text),
        Err(_) => string(out, &String::from_utf8_lossy(bytes)),
    }
}

/// Writes `["a","b"]`.
pub fn strings<'a>(out: &mut Vec<u8>, items: impl IntoIterator<Item = &'a str>) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        comma(out, index);
        string(out, item);
    }
    out.push(b']');
}

/// Writes a label set as an object.
pub fn labels(out: &mut Vec<u8>, labels: &LabelSet) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        comma(out, index);
        string(out, name);
        out.push(b':');
        string(out, value);
    }
    out.push(b'}');
}

/// Writes a comma before every item but the first.
pub fn comma(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

/// Writes a whole number.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    write_to(out, format_args!("{value}"));
}

/// Writes formatted text as it is.
pub fn write_to(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes every byte");
}

/// Whole numbers up to here print alike as integers and as floats.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes a float as Go's `FormatFloat(value, 'f', -1, 64)`: what Loki's values look like.
pub fn plain_float(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value.fract() == 0.0 && value.abs() < EXACT_MAX && (value != 0.0 || value.is_sign_positive()) {
        integer(out, value as i64);
    } else {
        write_to(out, format_args!("{value}"));
    }
}

/// Writes a float as Prometheus's API does: like [`plain_float`], with an exponent below 1e-6 and from 1e21 on.
pub fn prometheus_float(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if !value.is_finite() || size == 0.0 || (1e-6..1e21).contains(&size) {
        return plain_float(out, value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').expect("the e format has an exponent");
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    write_to(out, format_args!("{mantissa}e{sign}{digits:0>2}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn floats_are_gos() {
        let table = [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1"),
            (-17.25, "-17.25", "-17.25"),
            (0.1, "0.1", "0.1"),
            (1e-6, "0.000001", "0.000001"),
            (1e-7, "0.0000001", "1e-07"),
            (1.5e-7, "0.00000015", "1.5e-07"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (1e21, "1000000000000000000000", "1e+21"),
            (-1.7976931348623157e308, "", "-1.7976931348623157e+308"),
            (5e-324, "", "5e-324"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ];
        for (value, plain, prometheus) in table {
            assert_eq!(written(|out| prometheus_float(out, value)), prometheus);
            if !plain.is_empty() {
                assert_eq!(written(|out| plain_float(out, value)), plain);
            }
        }
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(written(|out| string(out, "a\"b\\c\nd\u{1}é")), r#""a\"b\\c\nd\u0001é""#);
        assert_eq!(written(|out| lossy_string(out, b"a\xffb")), "\"a\u{fffd}b\"");
        assert_eq!(written(|out| strings(out, ["a", "b"])), r#"["a","b"]"#);
    }
}
