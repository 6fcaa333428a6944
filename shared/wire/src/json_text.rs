//! JSON written straight into a buffer: strings, label sets and numbers as Go's servers print them.
//!
//! Owns: text. Does not own: any envelope ([`crate::prom_api`], [`crate::loki_api`]).

use std::io::Write;

use model::{LabelSet, go_float};

/// Writes a JSON string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    escaped(out, text, |byte| byte < 0x20 || byte == b'"' || byte == b'\\');
}

/// Writes a JSON string as Go's `encoding/json` does: `<`, `>`, `&` and the two line separators of Unicode are escaped as well.
/// Prometheus writes every string so, but for labels.
pub fn html_string(out: &mut Vec<u8>, text: &str) {
    escaped(out, text, |byte| byte < 0x20 || matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2));
}

fn escaped(out: &mut Vec<u8>, text: &str, special: impl Fn(u8) -> bool) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for index in bytes.iter().enumerate().filter(|(_, byte)| special(**byte)).map(|(index, _)| index) {
        let (escape, taken): (&[u8], usize) = match bytes[index] {
            b'"' => (b"\\\"", 1),
            b'\\' => (b"\\\\", 1),
            b'\n' => (b"\\n", 1),
            b'\r' => (b"\\r", 1),
            b'\t' => (b"\\t", 1),
            0xe2 => match bytes.get(index..index + 3) {
                Some([_, 0x80, 0xa8]) => (b"\\u2028", 3),
                Some([_, 0x80, 0xa9]) => (b"\\u2029", 3),
                _ => continue,
            },
            byte => {
                out.extend_from_slice(&bytes[plain..index]);
                write_to(out, format_args!("\\u{byte:04x}"));
                plain = index + 1;
                continue;
            }
        };
        out.extend_from_slice(&bytes[plain..index]);
        out.extend_from_slice(escape);
        plain = index + taken;
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

/// Writes `["a","b"]` with [`html_string`]s.
pub fn html_strings<'a>(out: &mut Vec<u8>, items: impl IntoIterator<Item = &'a str>) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        comma(out, index);
        html_string(out, item);
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
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes formatted text as it is.
pub fn write_to(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes every byte");
}

/// Whole numbers up to here print alike as integers and as floats.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes a float as Go's `FormatFloat(value, 'f', -1, 64)`: what Loki's values look like.
pub fn plain_float(out: &mut Vec<u8>, value: f64) {
    // The comparison by value keeps the sign of zero; a whole number this small converts exactly.
    let whole = value as i64;
    if whole as f64 == value && value.abs() < EXACT_MAX && (whole != 0 || value.is_sign_positive()) {
        integer(out, whole);
    } else {
        go_float::push_plain(out, value);
    }
}

/// Writes a float as Prometheus's API does: like [`plain_float`], with an exponent below 1e-6 and from 1e21 on.
pub fn prometheus_float(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if !value.is_finite() || size == 0.0 || (1e-6..1e21).contains(&size) {
        plain_float(out, value);
    } else {
        go_float::push_scientific(out, value);
    }
}

/// Writes a float as Go's `FormatFloat(value, 'g', -1, 64)`, which the exposition format uses: with an exponent below 1e-4 and
/// from 1e6 on.
pub fn general_float(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if !value.is_finite() || size == 0.0 || (1e-4..1e6).contains(&size) {
        plain_float(out, value);
    } else {
        go_float::push_scientific(out, value);
    }
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
    fn floats_read_back_and_are_as_short_as_can_be() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        for round in 0..100_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Half of them of everyday size, the others any bit pattern.
            let value = if round % 2 == 0 { f64::from_bits(state) } else { (state as i32) as f64 / f64::from(1 << (round % 31)) };
            if value.is_finite() {
                for text in [written(|out| plain_float(out, value)), written(|out| prometheus_float(out, value))] {
                    assert_eq!(text.parse::<f64>().expect("a number").to_bits(), value.to_bits(), "{text}");
                }
                assert_eq!(written(|out| plain_float(out, value)).len(), format!("{value}").len(), "{value}");
            }
        }
        // Two shortest texts are equally near: Go takes the even one, Rust's own formatter the other.
        assert_eq!(written(|out| plain_float(out, -350_371_761.0 / 4_096.0)), "-85539.98071289062");
        assert_eq!(written(|out| plain_float(out, 4_503_599_627_370_497.5)), "4503599627370498");
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(written(|out| string(out, "a\"b\\c\nd\u{1}é")), r#""a\"b\\c\nd\u0001é""#);
        assert_eq!(written(|out| lossy_string(out, b"a\xffb")), "\"a\u{fffd}b\"");
        assert_eq!(written(|out| strings(out, ["a", "b"])), r#"["a","b"]"#);
        assert_eq!(written(|out| string(out, "<\u{7f}&\u{2028}")), "\"<\u{7f}&\u{2028}\"");
        assert_eq!(written(|out| html_string(out, "a<b>&\u{2028}é\u{20ac}")), "\"a\\u003cb\\u003e\\u0026\\u2028é\u{20ac}\"");
    }
}
