//! A scanner that reads a JSON object from front to back and reports members as it meets them, so that what precedes a syntax
//! error is kept. What it accepts and which error it names are those of the scanner Loki uses: commas may trail, numbers are not
//! checked, bytes after the object are not read.

use super::labels::clean_text;

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JsonKind {
    Text,
    Number,
    Boolean,
    Null,
    Array,
    Object,
}

/// A raw value: strings without their quotes, still escaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonValue<'a> {
    pub kind: JsonKind,
    pub raw: &'a [u8],
}

const MALFORMED: &str = "Malformed JSON error";
const OBJECT_OPEN: &str = "Value looks like object, but can't find closing '}' symbol";
const ARRAY_OPEN: &str = "Value is array, but can't find closing ']' symbol";
const TEXT_OPEN: &str = "Value is string, but can't find closing '\"' symbol";
const UNKNOWN: &str = "Unknown value type";
const BAD_ESCAPE: &str = "Encountered an invalid escape sequence in a string";

/// Why reading an object ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// The text is not JSON; the scanner's text.
    Fault(&'static str),
    /// The callback has all it wants.
    Enough,
    /// The callback drops the line.
    Drop,
}

/// Calls `member` for each member of the object `text` starts with.
pub(crate) fn each_member<'a>(
    text: &'a [u8],
    mut member: impl FnMut(&[u8], JsonValue<'a>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut at = skip_blank(text, 0).filter(|at| text[*at] == b'{').ok_or(Stop::Fault(OBJECT_OPEN))? + 1;
    at = skip_blank(text, at).ok_or(Stop::Fault(MALFORMED))?;
    loop {
        match text[at] {
            b'"' => {}
            b'}' => return Ok(()),
            _ => return Err(Stop::Fault(OBJECT_OPEN)),
        }
        let key_end = text_end(text, at + 1).ok_or(Stop::Fault(MALFORMED))?;
        let raw = &text[at + 1..key_end - 1];
        at = skip_blank(text, key_end).filter(|at| text[*at] == b':').ok_or(Stop::Fault(MALFORMED))? + 1;
        let (value, value_end) = value_at(text, at)?;
        if raw.contains(&b'\\') {
            member(&unescape(raw).ok_or(Stop::Fault(BAD_ESCAPE))?, value)?;
        } else {
            member(raw, value)?;
        }
        at = skip_blank(text, value_end).ok_or(Stop::Fault(ARRAY_OPEN))?;
        match text[at] {
            b'}' => return Ok(()),
            b',' => at = skip_blank(text, at + 1).ok_or(Stop::Fault(ARRAY_OPEN))?,
            _ => return Err(Stop::Fault(OBJECT_OPEN)),
        }
    }
}

/// Reads the value at or after `at`; returns it and where it ends.
pub(crate) fn value_at(text: &[u8], at: usize) -> Result<(JsonValue<'_>, usize), Stop> {
    let at = skip_blank(text, at).ok_or(Stop::Fault(MALFORMED))?;
    let (kind, end) = match text[at] {
        b'"' => {
            let end = text_end(text, at + 1).ok_or(Stop::Fault(TEXT_OPEN))?;
            return Ok((JsonValue { kind: JsonKind::Text, raw: &text[at + 1..end - 1] }, end));
        }
        b'[' => (JsonKind::Array, block_end(text, at, b'[', b']').ok_or(Stop::Fault(ARRAY_OPEN))?),
        b'{' => (JsonKind::Object, block_end(text, at, b'{', b'}').ok_or(Stop::Fault(OBJECT_OPEN))?),
        first => {
            let len = text[at..].iter().position(|b| matches!(b, b' ' | b'\n' | b'\r' | b'\t' | b',' | b'}' | b']'));
            let end = len.map_or(text.len(), |len| at + len);
            let kind = match (first, &text[at..end]) {
                (_, b"true" | b"false") => JsonKind::Boolean,
                (_, b"null") => JsonKind::Null,
                (b'0'..=b'9' | b'-', _) => JsonKind::Number,
                _ => return Err(Stop::Fault(UNKNOWN)),
            };
            (kind, end)
        }
    };
    Ok((JsonValue { kind, raw: &text[at..end] }, end))
}

pub(crate) fn skip_blank(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    rest.iter().position(|b| !matches!(b, b' ' | b'\n' | b'\r' | b'\t')).map(|skip| at + skip)
}

/// Returns one past the closing quote of the string whose content starts at `at`.
fn text_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Returns one past the bracket that closes the one at `at`.
fn block_end(text: &[u8], mut at: usize, open: u8, close: u8) -> Option<usize> {
    let mut level = 0usize;
    loop {
        at += memchr::memchr3(b'"', open, close, text.get(at..)?)?;
        if text[at] == b'"' {
            at = text_end(text, at + 1)?;
            continue;
        }
        level = if text[at] == open { level + 1 } else { level.checked_sub(1)? };
        at += 1;
        if level == 0 {
            return Some(at);
        }
    }
}

/// Resolves a string's escapes; `None` where one is invalid.
pub(crate) fn unescape(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = *rest.get(at + 1)?;
        rest = &rest[at + 2..];
        let byte = match escape {
            b'"' | b'\\' | b'/' => escape,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (c, used) = unicode_escape(rest)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[used..];
                continue;
            }
            _ => return None,
        };
        out.push(byte);
    }
    out.extend_from_slice(rest);
    Some(out)
}

/// Reads the four digits after `\u`, and a second escape where the first is a high surrogate.
fn unicode_escape(rest: &[u8]) -> Option<(char, usize)> {
    let unit = |from: usize| -> Option<u32> {
        let digits = rest.get(from..from + 4)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let high = unit(0)?;
    if let Some(c) = char::from_u32(high) {
        return Some((c, 4));
    }
    if high >= 0xdc00 || rest.get(4..6)? != b"\\u" {
        return None;
    }
    let low = unit(6)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)?, 10))
}

impl JsonValue<'_> {
    /// Returns the value as a label has it: text unescaped ("" where that fails), the rest as written.
    pub(crate) fn label_text(&self) -> std::borrow::Cow<'_, str> {
        match self.kind {
            JsonKind::Text if self.raw.contains(&b'\\') => match unescape(self.raw) {
                Some(bytes) => clean_text(&bytes).into_owned().into(),
                None => "".into(),
            },
            JsonKind::Null => "".into(),
            _ => clean_text(self.raw),
        }
    }
}
