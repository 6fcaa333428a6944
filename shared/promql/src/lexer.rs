//! Query text to tokens.
//!
//! Owns: what a word, a number, a duration, a string and an operator look like (upstream `promql/parser/lex.go`).
//! Does not own: which token may follow which (the parser).

use crate::ast::Span;
use crate::error::ParseError;

/// A token's kind, with its value where it has one.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A word: metric, label, function or keyword; the parser decides which.
    Word(String),
    /// A string literal, unquoted.
    Text(String),
    /// A number.
    Number(f64),
    /// A duration literal, seconds.
    Duration(f64),
    /// Punctuation and operators, as written.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// Signs, longest first.
const SIGNS: &[&str] = &[
    "==", "=~", "!=", "!~", "<=", ">=", "</", ">/", "+", "-", "*", "/", "%", "^", "=", "<", ">", "(", ")", "{", "}", "[", "]",
    ",", ":", "@",
];

/// Cuts `text` into tokens; the last one is [`Kind::End`].
pub fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer { text, at: 0, braces: false, brackets: 0 };
    let mut out = Vec::new();
    loop {
        let token = lexer.next()?;
        let end = token.kind == Kind::End;
        out.push(token);
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Inside `{…}` a colon and a digit mean something else than outside.
    braces: bool,
    /// Depth of `[`, where `:` separates a subquery's step.
    brackets: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error(&self, start: usize, message: impl Into<String>) -> ParseError {
        ParseError::at(self.text, span(start, self.text.len().min(start + 1)), message)
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blank;
            if self.rest().starts_with('#') {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if blank == 0 {
                return;
            }
        }
    }

    fn next(&mut self) -> Result<Token, ParseError> {
        self.skip_blanks();
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return match (self.braces, self.brackets) {
                (true, _) => Err(self.error(start, "unexpected end of input inside braces")),
                (_, 1..) => Err(self.error(start, "unclosed left bracket")),
                _ => Ok(Token { kind: Kind::End, span: span(start, start) }),
            };
        };
        let kind = match first {
            '"' | '\'' | '`' => self.string(first)?,
            c if c.is_ascii_digit() || (c == '.' && self.rest()[1..].starts_with(|d: char| d.is_ascii_digit())) => {
                self.number()?
            }
            c if c.is_alphabetic() || c == '_' || (c == ':' && self.brackets == 0 && !self.braces) => self.word(),
            c => self.sign(c)?,
        };
        Ok(Token { kind, span: span(start, self.at) })
    }

    fn word(&mut self) -> Kind {
        let colon = !self.braces && self.brackets == 0;
        let len = self
            .rest()
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':')))
            .unwrap_or(self.rest().len());
        // A letter outside ASCII is a word of its own: the parser refuses it by name.
        let len = if len == 0 { self.rest().chars().next().map_or(0, char::len_utf8) } else { len };
        let word = self.rest()[..len].to_owned();
        self.at += len;
        Kind::Word(word)
    }

    fn sign(&mut self, c: char) -> Result<Kind, ParseError> {
        let Some(sign) = SIGNS.iter().find(|sign| self.rest().starts_with(**sign)) else {
            let place = if self.braces { " inside braces" } else { "" };
            return Err(self.error(self.at, format!("unexpected character{place}: '{c}'")));
        };
        self.at += sign.len();
        match *sign {
            "{" if self.braces => return Err(self.error(self.at - 1, "unexpected left brace '{'")),
            "{" => self.braces = true,
            "}" if !self.braces => return Err(self.error(self.at - 1, "unexpected right brace '}'")),
            "}" => self.braces = false,
            "[" => self.brackets += 1,
            "]" if self.brackets == 0 => return Err(self.error(self.at - 1, "unexpected right bracket ']'")),
            "]" => self.brackets -= 1,
            _ => {}
        }
        Ok(Kind::Sign(sign))
    }

    fn string(&mut self, quote: char) -> Result<Kind, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                let what = if quote == '`' { "unterminated raw string" } else { "unterminated quoted string" };
                return Err(self.error(start, what));
            };
            self.at += c.len_utf8();
            match c {
                c if c == quote => break,
                '\n' if quote != '`' => return Err(self.error(start, "unterminated quoted string")),
                '\\' if quote != '`' => self.escape(quote, &mut bytes)?,
                c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(Kind::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn escape(&mut self, quote: char, bytes: &mut Vec<u8>) -> Result<(), ParseError> {
        let start = self.at;
        let c = self.rest().chars().next().ok_or_else(|| self.error(start, "escape sequence not terminated"))?;
        self.at += c.len_utf8();
        let (digits, radix, unicode) = match c {
            'x' => (2, 16, false),
            'u' => (4, 16, true),
            'U' => (8, 16, true),
            '0'..='7' => {
                self.at -= 1;
                (3, 8, false)
            }
            _ => {
                let byte = match c {
                    'a' => 7,
                    'b' => 8,
                    'f' => 12,
                    'n' => b'\n',
                    'r' => b'\r',
                    't' => b'\t',
                    'v' => 11,
                    '\\' => b'\\',
                    c if c == quote => c as u8,
                    c => return Err(self.error(start, format!("unknown escape sequence U+{:04X} '{c}'", c as u32))),
                };
                bytes.push(byte);
                return Ok(());
            }
        };
        let code = self.rest().get(..digits).and_then(|text| u32::from_str_radix(text, radix).ok());
        let code = code.ok_or_else(|| self.error(self.at, "illegal character in escape sequence"))?;
        self.at += digits;
        if unicode {
            let c = char::from_u32(code).ok_or_else(|| self.error(start, "escape sequence is an invalid Unicode code point"))?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            bytes.push(u8::try_from(code).map_err(|_| self.error(start, "escape sequence is an invalid Unicode code point"))?);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Kind, ParseError> {
        let start = self.at;
        let len = number_len(self.rest());
        let text = &self.rest()[..len];
        let next_is_word = self.rest()[len..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if !next_is_word && let Some(value) = parse_number(text) {
            self.at += len;
            return Ok(Kind::Number(value));
        }
        let len = self.rest().find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')).unwrap_or(self.rest().len());
        let text = self.rest()[..len].to_owned();
        self.at += len;
        match parse_duration(&text) {
            Some(seconds) => Ok(Kind::Duration(seconds)),
            None => Err(ParseError::at(
                self.text,
                span(start, self.at),
                format!("bad number or duration syntax: {}", model::quote::go_quote(&text)),
            )),
        }
    }
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = |from: usize, ok: fn(u8) -> bool| from + bytes[from..].iter().take_while(|b| ok(**b) || **b == b'_').count();
    if bytes.len() > 2 && bytes[0] == b'0' && matches!(bytes[1], b'x' | b'X') {
        return run(2, |b| b.is_ascii_hexdigit());
    }
    let mut end = run(0, |b| b.is_ascii_digit());
    if bytes.get(end) == Some(&b'.') {
        end = run(end + 1, |b| b.is_ascii_digit());
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = run(end + 1 + sign, |b| b.is_ascii_digit());
        }
    }
    end
}

/// Parses a number as Go does: decimal, hexadecimal, octal with a leading zero, underscores between digits.
pub fn parse_number(text: &str) -> Option<f64> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if let Some(hex) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok().map(|value| value as f64);
    }
    if plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return u64::from_str_radix(&plain, 8).ok().map(|value| value as f64);
    }
    plain.parse().ok()
}

/// Parses a Prometheus duration such as `1h30m`: units in descending order, each once; seconds.
pub fn parse_duration(text: &str) -> Option<f64> {
    const UNITS: &[(&str, i64)] =
        &[("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let (mut rest, mut next, mut total) = (text, 0, 0i64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit_len = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[digits..digits + unit_len];
        let index = UNITS.iter().position(|(name, _)| *name == unit).filter(|index| *index >= next)?;
        let count: i64 = rest[..digits].parse().ok()?;
        total = total.checked_add(count.checked_mul(UNITS[index].1)?)?;
        next = index + 1;
        rest = &rest[digits + unit_len..];
    }
    (next > 0).then_some(total as f64 / 1000.0)
}
