//! JSON as `fromJson` reads it: a value and nothing behind it; numbers are floats.

use std::collections::BTreeMap;

use crate::template::limits::JSON_DEPTH_MAX;
use crate::template::value::Value;

/// Parses a text; `None` where it is not JSON.
pub(super) fn parse(text: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(text);
    let mut reader = Reader { rest: &text, depth: 0 };
    let value = reader.value()?;
    reader.skip();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Takes a token, after blanks.
    fn take(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<Value> {
        for (token, value) in [("null", Value::Nil), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
            if self.take(token) {
                return Some(value);
            }
        }
        if self.take("\"") {
            return self.string().map(Value::text);
        }
        if self.rest.starts_with(['[', '{']) {
            self.depth += 1;
            if self.depth > JSON_DEPTH_MAX {
                return None;
            }
            let value = if self.take("[") { self.list() } else { self.object() };
            self.depth -= 1;
            return value;
        }
        self.number()
    }

    fn list(&mut self) -> Option<Value> {
        let mut items = Vec::new();
        if self.take("]") {
            return Some(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.take("]") {
                return Some(Value::List(items));
            }
            self.take(",").then_some(())?;
        }
    }

    fn object(&mut self) -> Option<Value> {
        let mut members = BTreeMap::new();
        self.take("{").then_some(())?;
        if self.take("}") {
            return Some(Value::Map(members));
        }
        loop {
            self.take("\"").then_some(())?;
            let name = self.string()?;
            self.take(":").then_some(())?;
            members.insert(name, self.value()?);
            if self.take("}") {
                return Some(Value::Map(members));
            }
            self.take(",").then_some(())?;
        }
    }

    fn number(&mut self) -> Option<Value> {
        let len = self.rest.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(len);
        let digits = text.strip_prefix('-').unwrap_or(text);
        let leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        if !digits.starts_with(|c: char| c.is_ascii_digit()) || leading_zero || text.ends_with('.') || text.contains(".e") {
            return None;
        }
        self.rest = rest;
        text.parse().ok().filter(|value: &f64| value.is_finite()).map(Value::Float)
    }

    /// Reads a string behind its opening quote.
    fn string(&mut self) -> Option<String> {
        let mut out = String::new();
        loop {
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '"' => return Some(out),
                '\\' => out.push(self.escape()?),
                c if (c as u32) < 0x20 => return None,
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode()?,
            _ => return None,
        })
    }

    fn unicode(&mut self) -> Option<char> {
        let high = self.unit()?;
        if !(0xd800..0xdc00).contains(&high) || !self.rest.starts_with("\\u") {
            return Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.rest;
        self.rest = &self.rest[2..];
        let low = self.unit()?;
        if (0xdc00..0xe000).contains(&low) {
            return char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
        }
        self.rest = before;
        Some(char::REPLACEMENT_CHARACTER)
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.rest = &self.rest[4..];
        u32::from_str_radix(digits, 16).ok()
    }
}
