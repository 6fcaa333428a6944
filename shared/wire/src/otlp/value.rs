//! Attribute values, and how they read as label values (upstream `pcommon.Value.AsString`).

use crate::json_text::{comma, integer, plain_float, prometheus_float, string, write_to};

/// How deep lists and maps may nest.
pub(super) const DEPTH_MAX: usize = 16;

/// A value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum AnyValue {
    #[default]
    Empty,
    Text(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    List(Vec<AnyValue>),
    Map(Vec<(String, AnyValue)>),
}

impl AnyValue {
    /// Returns the value as text: a string is itself, lists and maps are JSON, without the escapes for HTML.
    pub(super) fn into_text(self) -> String {
        match self {
            AnyValue::Empty => String::new(),
            AnyValue::Text(text) => text,
            AnyValue::Bool(value) => value.to_string(),
            AnyValue::Int(value) => value.to_string(),
            AnyValue::Bytes(bytes) => base64(&bytes),
            AnyValue::Double(_) | AnyValue::List(_) | AnyValue::Map(_) => {
                let mut out = Vec::new();
                self.write_json(&mut out);
                String::from_utf8(out).expect("what was written is text")
            }
        }
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            AnyValue::Empty => out.extend_from_slice(b"null"),
            AnyValue::Text(text) => string(out, text),
            AnyValue::Bool(value) => write_to(out, format_args!("{value}")),
            AnyValue::Int(value) => integer(out, *value),
            AnyValue::Double(value) => write_double(out, *value),
            AnyValue::Bytes(bytes) => write_to(out, format_args!("\"{}\"", base64(bytes))),
            AnyValue::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    comma(out, index);
                    item.write_json(out);
                }
                out.push(b']');
            }
            AnyValue::Map(pairs) => {
                // Go's maps have each key once and print them sorted.
                let pairs: std::collections::BTreeMap<&String, &AnyValue> =
                    pairs.iter().map(|(key, value)| (key, value)).collect();
                out.push(b'{');
                for (index, (key, value)) in pairs.into_iter().enumerate() {
                    comma(out, index);
                    string(out, key);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Go's JSON numbers: exponents have no leading zero.
fn write_double(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        out.extend_from_slice(b"json: unsupported value: ");
        return plain_float(out, value);
    }
    let start = out.len();
    prometheus_float(out, value);
    let text = &out[start..];
    if let [.., b'e', b'-', b'0', _] = text {
        let zero = out.len() - 2;
        out.remove(zero);
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns standard base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let shown = digit <= chunk.len();
            text.push(if shown { ALPHABET[(word >> (18 - 6 * digit) & 63) as usize] as char } else { '=' });
        }
    }
    text
}

/// Reads standard base64, padded or not; `None` where it is none.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.as_bytes().chunks(4) {
        let mut word = 0u32;
        for byte in chunk {
            word = word << 6 | ALPHABET.iter().position(|digit| digit == byte)? as u32;
        }
        word <<= 6 * (4 - chunk.len());
        let bytes = word.to_be_bytes();
        out.extend_from_slice(bytes.get(1..chunk.len())?);
    }
    Some(out)
}

/// Returns bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_text() {
        let map = AnyValue::Map(vec![
            ("b".into(), AnyValue::List(vec![AnyValue::Int(-1), AnyValue::Double(0.5), AnyValue::Empty, AnyValue::Bool(true)])),
            ("a".into(), AnyValue::Text("<x>\"".into())),
        ]);
        let table = [
            (AnyValue::Text("<plain>".into()), "<plain>"),
            (AnyValue::Double(1e21), "1e+21"),
            (AnyValue::Double(1.5e-7), "1.5e-7"),
            (AnyValue::Double(3.0), "3"),
            (AnyValue::Double(f64::NAN), "json: unsupported value: NaN"),
            (AnyValue::Bytes(b"light w".to_vec()), "bGlnaHQgdw=="),
            (map, r#"{"a":"<x>\"","b":[-1,0.5,null,true]}"#),
        ];
        for (value, text) in table {
            assert_eq!(value.into_text(), text);
        }
        for bytes in [&b""[..], b"a", b"ab", b"abc", b"abcd\xff"] {
            assert_eq!(from_base64(&base64(bytes)).as_deref(), Some(bytes));
        }
        assert_eq!(from_base64("a"), Some(Vec::new()));
        assert_eq!(from_base64("!!"), None);
    }
}
