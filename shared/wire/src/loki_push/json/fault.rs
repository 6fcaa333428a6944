//! What Loki says about a JSON body it cannot read: the words of its two JSON readers, with the bytes around the place.
//!
//! Upstream reads the envelope with one library (`json-iterator/go`) and each stream with another (`buger/jsonparser`), whose
//! complaint the first one repeats at the end of the stream. Only a body that was refused comes here.

use serde_json::Value;

use super::super::Shape;

/// Bytes of a body that is described: a stream is held as a tree meanwhile, which takes many times its bytes.
const DESCRIBED_BYTES_MAX: usize = 1 << 20;

/// Where the envelope's reader stands in the body, and what it says.
struct Fault {
    at: usize,
    text: String,
}

impl Fault {
    fn new(at: usize, text: impl Into<String>) -> Fault {
        Fault { at, text: text.into() }
    }
}

/// Returns Loki's text for a body; `None` where Loki might read it, or where the body is too large to be read twice.
pub(super) fn describe(body: &[u8], shape: Shape) -> Option<String> {
    if body.len() > DESCRIBED_BYTES_MAX {
        return None;
    }
    let mut reader = Reader { body, at: 0 };
    let (prefix, fault) = match reader.envelope(shape) {
        Ok(()) => return None,
        Err(Failed::Outside(fault)) => ("", fault),
        Err(Failed::Request(fault)) => ("loghttp.PushRequest.", fault),
        Err(Failed::Streams(fault)) => ("loghttp.PushRequest.Streams: []loghttp.LogProtoStream: ", fault),
    };
    let (near, around) = (context(body, fault.at, 10), context(body, fault.at, 50));
    let behind = fault.at - chunk_start(fault.at).max(fault.at.saturating_sub(10));
    Some(format!("{prefix}{}, error found in #{behind} byte of ...|{near}|..., bigger context ...|{around}|...", fault.text))
}

/// Bytes the envelope's reader holds at a time.
const CHUNK: usize = 512;

fn chunk_start(at: usize) -> usize {
    at.saturating_sub(1) / CHUNK * CHUNK
}

fn context(body: &[u8], at: usize, reach: usize) -> String {
    let chunk = chunk_start(at);
    let (start, end) = (chunk.max(at.saturating_sub(reach)), (chunk + CHUNK).min(at + reach).min(body.len()));
    String::from_utf8_lossy(&body[start..end]).into_owned()
}

/// How deep in the envelope a fault is.
enum Failed {
    Outside(Fault),
    Request(Fault),
    Streams(Fault),
}

/// The envelope's reader. At the end it reads zeros.
struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn envelope(&mut self, shape: Shape) -> Result<(), Failed> {
        match self.token() {
            b'{' => {}
            b'n' => return Ok(()),
            found => {
                let text = format!("readObjectStart: expect {{ or n, but found {}", char::from(found));
                return Err(Failed::Outside(Fault::new(self.at, text)));
            }
        }
        match self.token() {
            b'}' => return Ok(()),
            b'"' => self.at -= 1,
            found => {
                let text = format!("readObjectStart: expect \" after {{, but found {}", char::from(found));
                return Err(Failed::Outside(Fault::new(self.at, text)));
            }
        }
        loop {
            let key = self.string().map_err(Failed::Request)?;
            if self.token() != b':' {
                return Err(Failed::Request(Fault::new(self.at, "readFieldHash: expect : after object field, but found ")));
            }
            match key.eq_ignore_ascii_case(b"streams") {
                true => self.streams(shape).map_err(Failed::Streams)?,
                false => self.skip().map_err(Failed::Request)?,
            }
            match self.token() {
                b',' => self.space(),
                b'}' => return Ok(()),
                found => {
                    let text = format!("isObjectEnd: object ended prematurely, unexpected char {}", char::from(found));
                    return Err(Failed::Request(Fault::new(self.at, text)));
                }
            }
        }
    }

    fn streams(&mut self, shape: Shape) -> Result<(), Fault> {
        match self.token() {
            b'[' => {}
            b'n' => return self.skip_word(3),
            found => return Err(Fault::new(self.at, format!("decode slice: expect [ or n, but found {}", char::from(found)))),
        }
        self.space();
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let start = self.at;
            self.skip()?;
            if shape == Shape::V1
                && let Err(text) = stream(&self.body[start..self.at])
            {
                return Err(Fault::new(self.at, format!("unmarshalerDecoder: {text}")));
            }
            match self.token() {
                b',' => {}
                b']' => return Ok(()),
                found => return Err(Fault::new(self.at, format!("decode slice: expect ], but found {}", char::from(found)))),
            }
        }
    }

    fn peek(&self) -> u8 {
        self.body.get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// Takes the next byte that is no space.
    fn token(&mut self) -> u8 {
        self.space();
        let found = self.peek();
        self.at = (self.at + 1).min(self.body.len());
        found
    }

    fn string(&mut self) -> Result<Vec<u8>, Fault> {
        self.space();
        if self.peek() != b'"' {
            return Err(Fault::new(self.at, "readFieldHash: expect \", but found "));
        }
        let start = self.at + 1;
        self.skip_string()?;
        Ok(self.body[start..self.at - 1].to_vec())
    }

    fn skip_string(&mut self) -> Result<(), Fault> {
        let mut escaped = false;
        for index in self.at + 1..self.body.len() {
            match self.body[index] {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = index + 1;
                    return Ok(());
                }
                _ => {}
            }
        }
        self.at = self.body.len();
        Err(Fault::new(self.at, "ReadString: unexpected end of input"))
    }

    fn skip_word(&mut self, len: usize) -> Result<(), Fault> {
        self.at = (self.at + len).min(self.body.len());
        Ok(())
    }

    /// Passes a value; brackets are counted, what lies between them is not checked.
    fn skip(&mut self) -> Result<(), Fault> {
        let mut open = 0usize;
        loop {
            self.space();
            match self.peek() {
                b'"' => self.skip_string()?,
                b'{' | b'[' => (self.at, open) = (self.at + 1, open + 1),
                b'}' | b']' if open > 0 => (self.at, open) = (self.at + 1, open - 1),
                b',' | b':' if open > 0 => self.at += 1,
                b'n' | b't' | b'f' | b'-' | b'0'..=b'9' => {
                    while matches!(self.peek(), b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.') {
                        self.at += 1;
                    }
                }
                found => return Err(Fault::new(self.at, format!("Skip: do not know how to skip: {found}"))),
            }
            if open == 0 {
                return Ok(());
            }
        }
    }
}

const NO_STRING: &str = "Value is string, but can't find closing '\"' symbol";
const NO_ARRAY: &str = "Value is array, but can't find closing ']' symbol";
const NO_OBJECT: &str = "Value looks like object, but can't find closing '}' symbol";
const NO_NUMBER: &str = "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol";
const OVERFLOW: &str = "Value is number, but overflowed while parsing";

/// Checks a stream as Loki's reader of streams does.
fn stream(text: &[u8]) -> Result<(), &'static str> {
    let Ok(Value::Object(stream)) = serde_json::from_slice(text) else { return Err(NO_OBJECT) };
    match stream.get("stream") {
        None | Some(Value::Object(_)) => {}
        Some(_) => return Err(NO_OBJECT),
    }
    match stream.get("values") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(entries)) => entries.iter().filter(|entry| !entry.is_null()).try_for_each(entry),
        Some(_) => Err(NO_ARRAY),
    }
}

/// Checks an entry. An element that is refused does not count: the next one is taken in its place, and the last fault is told.
fn entry(entry: &Value) -> Result<(), &'static str> {
    let Value::Array(elements) = entry else { return Err(NO_ARRAY) };
    let (mut place, mut fault) = (0, Ok(()));
    for element in elements {
        let verdict = match (place, element) {
            (0, Value::String(text)) => timestamp(text),
            (0 | 1, element) if !element.is_string() => Err(NO_STRING),
            (2, Value::Object(pairs)) if pairs.values().all(Value::is_string) => Ok(()),
            (2, Value::Object(_)) => Err(NO_STRING),
            (2, _) => Err(NO_OBJECT),
            _ => Ok(()),
        };
        match verdict {
            Ok(()) => place += 1,
            Err(_) => fault = verdict,
        }
    }
    fault
}

fn timestamp(text: &str) -> Result<(), &'static str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NO_NUMBER);
    }
    text.parse::<i64>().map(|_| ()).map_err(|_| OVERFLOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_lokis() {
        let check = |body: &str, expected: &str| {
            assert_eq!(describe(body.as_bytes(), Shape::V1).unwrap_or_default(), expected, "{body}");
        };
        let streams = "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: ";
        check("{\"streams\":[]}", "");
        check(
            "[]",
            "readObjectStart: expect { or n, but found [, error found in #1 byte of ...|[]|..., bigger context ...|[]|...",
        );
        check(
            "{\"streams\":[",
            &format!(
                "{streams}Skip: do not know how to skip: 0, error found in #10 byte of ...|streams\":[|..., bigger context ...|{{\"streams\":[|..."
            ),
        );
        let one = |values: &str, text: &str| {
            let described =
                describe(format!("{{\"streams\":[{{\"values\":[{values}]}}]}}").as_bytes(), Shape::V1).unwrap_or_default();
            let text = if text.is_empty() {
                String::new()
            } else {
                format!("{streams}unmarshalerDecoder: {text}, error found in #10 byte")
            };
            assert!(described.starts_with(&text) && described.is_empty() == text.is_empty(), "{values}: {described}");
        };
        one("[\"1\",\"x\",{\"a\":\"b\"},5]", "");
        one("[1,\"x\"]", NO_NUMBER);
        one("[\"1.5\",\"x\"]", NO_NUMBER);
        one("[\"99999999999999999999\"]", OVERFLOW);
        one("[\"1\",5]", NO_STRING);
        one("[\"1\",\"x\",{\"a\":5}]", NO_STRING);
        one("[\"1\",\"x\",null]", NO_OBJECT);
        one("5", NO_ARRAY);
        let long = format!("{{\"streams\":[{{\"x\":\"{}\",\"values\":5}}]}}", "x".repeat(600));
        let described = describe(long.as_bytes(), Shape::V1).unwrap_or_default();
        assert!(described.contains("byte of ...|values\":5}]}|..., bigger"), "{described}");
    }
}
