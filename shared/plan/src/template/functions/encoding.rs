//! Escapes, base64, byte sizes and durations, JSON.

use super::Type::{Any, Text};
use super::{Family, bytes, json, text};
use crate::pipeline::units::{SECOND_NS, parse_bytes, parse_go_duration};
use crate::template::eval::Surroundings;
use crate::template::value::Value;

pub(super) const FAMILY: Family = &[
    ("urlencode", &[Text], None, |_, args| Ok(Value::Text(url_escaped(bytes(args, 0))))),
    ("urldecode", &[Text], None, |_, args| url_unescaped(bytes(args, 0)).map(Value::Text)),
    ("urlquery", &[], Some(Any), |_, args| Ok(Value::Text(url_escaped(&super::printf::joined(args))))),
    ("html", &[], Some(Any), |_, args| Ok(Value::Text(html(&super::printf::joined(args))))),
    ("js", &[], Some(Any), |_, args| Ok(Value::text(js(&String::from_utf8_lossy(&super::printf::joined(args)))))),
    ("b64enc", &[Text], None, |_, args| Ok(Value::Text(base64(bytes(args, 0))))),
    ("b64dec", &[Text], None, |_, args| Ok(Value::Text(base64_decoded(bytes(args, 0)).unwrap_or_else(String::into_bytes)))),
    ("bytes", &[Text], None, |_, args| parse_bytes(&text(args, 0)).map(|bytes| Value::Float(bytes as f64))),
    ("duration", &[Text], None, seconds),
    ("duration_seconds", &[Text], None, seconds),
    ("fromJson", &[Text], None, |_, args| Ok(json::parse(bytes(args, 0)).unwrap_or(Value::Nil))),
];

fn seconds(_: &Surroundings<'_>, args: &[Value]) -> Result<Value, String> {
    let ns = parse_go_duration(&text(args, 0))?;
    Ok(Value::Float((ns / SECOND_NS) as f64 + (ns % SECOND_NS) as f64 / 1e9))
}

fn url_escaped(of: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(of.len());
    for byte in of {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}

fn url_unescaped(of: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(of.len());
    let mut rest = of;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |at: usize| tail.get(at).and_then(|byte| (*byte as char).to_digit(16));
                let Some((high, low)) = digit(0).zip(digit(1)) else {
                    let shown = String::from_utf8_lossy(&tail[..tail.len().min(2)]).into_owned();
                    return Err(format!("invalid URL escape {}", model::quote::go_quote(&format!("%{shown}"))));
                };
                out.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            byte => out.push(*byte),
        }
    }
    Ok(out)
}

fn html(of: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(of.len());
    for byte in of {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            byte => out.push(*byte),
        }
    }
    out
}

fn js(of: &str) -> String {
    let mut out = String::with_capacity(of.len());
    for c in of.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' => out.push_str("\\u003C"),
            '>' => out.push_str("\\u003E"),
            '&' => out.push_str("\\u0026"),
            '=' => out.push_str("\\u003D"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(of: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(of.len().div_ceil(3) * 4);
    for chunk in of.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= chunk.len() { digit } else { b'=' });
        }
    }
    out
}

/// Decodes base64 with or without its padding; the error is Go's text.
fn base64_decoded(of: &[u8]) -> Result<Vec<u8>, String> {
    let illegal = |at: usize| format!("illegal base64 data at input byte {at}");
    let ended = of.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let mut out = Vec::with_capacity(ended / 4 * 3);
    let (mut bits, mut count, mut digits) = (0u32, 0, 0);
    for (at, byte) in of[..ended].iter().enumerate().filter(|(_, byte)| !matches!(byte, b'\r' | b'\n')) {
        let digit = DIGITS.iter().position(|digit| digit == byte).ok_or_else(|| illegal(at))?;
        bits = bits << 6 | digit as u32;
        (count, digits) = (count + 6, digits + 1);
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    match digits % 4 {
        1 => Err(illegal(ended - 1)),
        _ if of.len() - ended > 2 => Err(illegal(ended)),
        _ => Ok(out),
    }
}
