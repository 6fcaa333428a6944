//! Text to tokens. Numbers, strings and positions follow Go's `text/scanner`, the rest Loki's rules: words and functions in any
//! case, a function name is a name unless `(` or a grouping follows, any stray character is an identifier.

use plan::logical::Span;
use plan::pipeline::units;

use crate::number;
use crate::token::{Kind, RESERVED, SYMBOLS, Token, function};

/// Reads all tokens; the last is [`Kind::End`] or one at fault.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, line: 1, column: 1 };
    let mut out = Vec::new();
    loop {
        let token = lexer.token();
        let last = matches!(token.kind, Kind::End | Kind::Fault(_) | Kind::Malformed { .. });
        out.push(token);
        if last {
            return out;
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    column: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn skip(&mut self, bytes: usize) {
        let end = self.at + bytes;
        while self.at < end && self.bump().is_some() {}
    }

    fn skip_blank(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | '\r' => {
                    self.bump();
                }
                '#' => self.skip_line(),
                '/' if self.rest().starts_with("//") => self.skip_line(),
                '/' if self.rest().starts_with("/*") => {
                    let rest = self.rest();
                    self.skip(rest.find("*/").map_or(rest.len(), |end| end + 2));
                }
                _ => return,
            }
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.bump();
        }
    }

    fn token(&mut self) -> Token {
        self.skip_blank();
        let (start, line, column) = (self.at, self.line, self.column);
        let (mut kind, by_hand) = self.kind();
        if self.peek() == Some('\0') && !matches!(kind, Kind::Fault(_)) {
            kind = Kind::Fault("invalid character NUL".to_owned());
        }
        let span = Span { start: start as u32, end: self.at as u32 };
        Token { kind, span, line: if by_hand { 0 } else { line }, column }
    }

    /// Reads one token; the flag says that Loki reads it by hand and so loses the line.
    fn kind(&mut self) -> (Kind, bool) {
        let Some(c) = self.peek() else { return (Kind::End, false) };
        let digit_after_dot = c == '.' && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit());
        match c {
            '0'..='9' => self.number(),
            '.' if digit_after_dot => self.number(),
            '"' => (self.quoted(), false),
            '`' => (self.raw(), false),
            '\'' => (self.character(), false),
            '[' => (self.range(), true),
            '-' => self.minus(),
            c if c == '_' || c.is_alphabetic() => (self.word(), false),
            c => self.symbol(c),
        }
    }

    fn symbol(&mut self, c: char) -> (Kind, bool) {
        let rest = self.rest();
        let fixed = SYMBOLS.iter().chain(["<"].iter()).find(|symbol| rest.starts_with(**symbol));
        match fixed {
            Some(symbol) => {
                self.skip(symbol.len());
                (Kind::Fixed(symbol), symbol.len() > 1)
            }
            None => {
                self.bump();
                (Kind::Identifier(c.to_string()), false)
            }
        }
    }

    fn word(&mut self) -> Kind {
        let rest = self.rest();
        let len = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
        let word = &rest[..len];
        self.skip(len);
        let lower = word.to_lowercase();
        if let Some(kind) = function(&lower) {
            return if opens_call(self.rest()) { kind } else { Kind::Identifier(word.to_owned()) };
        }
        match RESERVED.iter().find(|reserved| **reserved == lower) {
            Some(reserved) => Kind::Fixed(reserved),
            None => Kind::Identifier(word.to_owned()),
        }
    }

    fn minus(&mut self) -> (Kind, bool) {
        let rest = self.rest();
        let ends = |tail: &str| !tail.starts_with(|c: char| c == '-' || c.is_alphabetic());
        if let Some(flag) = ["--strict", "--keep-empty"].iter().find(|flag| rest.strip_prefix(**flag).is_some_and(ends)) {
            self.skip(flag.len());
            return (Kind::Flag(flag), true);
        }
        match self.duration(1) {
            Some(kind) => (kind, true),
            None => self.symbol('-'),
        }
    }

    fn number(&mut self) -> (Kind, bool) {
        let (len, fault) = number::scan(self.rest());
        if let Some(fault) = fault {
            // With a unit behind it the digits are no number to Loki, only their fault is told.
            let unit = self.duration(len).or_else(|| self.bytes(len)).is_some();
            if unit {
                return (Kind::Fault(fault), false);
            }
            let text = self.rest()[..len].to_owned();
            self.skip(len);
            return (Kind::Malformed { text, fault }, false);
        }
        if let Some(kind) = self.duration(len).or_else(|| self.bytes(len)) {
            return (kind, true);
        }
        let text = &self.rest()[..len];
        self.skip(len);
        (Kind::Number(text.to_owned()), false)
    }

    /// Extends `len` bytes by characters a duration may have, and takes it where that is one.
    fn duration(&mut self, len: usize) -> Option<Kind> {
        let text = self.extend(len, |c| "numshdwy\u{b5}".contains(c))?;
        let ns = units::parse_prometheus_duration(text).or_else(|_| units::parse_go_duration(text)).ok()?;
        self.skip(text.len());
        Some(Kind::Duration(ns))
    }

    fn bytes(&mut self, len: usize) -> Option<Kind> {
        let text = self.extend(len, |c| "BikKMGTP".contains(c))?;
        let bytes = units::parse_bytes(text).ok()?;
        self.skip(text.len());
        Some(Kind::Bytes(bytes))
    }

    fn extend(&self, len: usize, unit: impl Fn(char) -> bool) -> Option<&'a str> {
        let rest = self.rest();
        let more = rest[len..].find(|c: char| !(c.is_numeric() || c == '.' || unit(c))).unwrap_or(rest.len() - len);
        (more > 0).then(|| &rest[..len + more])
    }

    fn range(&mut self) -> Kind {
        let rest = self.rest();
        let Some(end) = rest.find(']') else {
            self.skip(rest.len());
            return Kind::Fault("missing closing ']' in duration".to_owned());
        };
        self.skip(end + 1);
        match units::parse_prometheus_duration(&rest[1..end]) {
            Ok(ns) => Kind::Range(ns),
            Err(message) => Kind::Fault(message),
        }
    }

    fn raw(&mut self) -> Kind {
        let rest = self.rest();
        match rest[1..].find('`') {
            Some(len) => {
                self.skip(len + 2);
                Kind::Text(rest[1..=len].to_owned())
            }
            None => Kind::Fault("literal not terminated".to_owned()),
        }
    }

    /// A character in single quotes means nothing to Loki: what is in them is a name, quotes and all.
    fn character(&mut self) -> Kind {
        let start = self.at;
        self.bump();
        let mut chars = 0;
        loop {
            match self.bump() {
                None | Some('\n') => return Kind::Fault("literal not terminated".to_owned()),
                Some('\'') if chars == 1 => return Kind::Identifier(self.text[start..self.at].to_owned()),
                Some('\'') => return Kind::Fault("invalid char literal".to_owned()),
                Some('\\') => _ = self.bump(),
                Some(_) => {}
            }
            chars += 1;
        }
    }

    fn quoted(&mut self) -> Kind {
        self.bump();
        let mut bytes = Vec::new();
        loop {
            match self.bump() {
                None | Some('\n') => return Kind::Fault("literal not terminated".to_owned()),
                Some('"') => return Kind::Text(String::from_utf8_lossy(&bytes).into_owned()),
                Some('\\') => match self.escape(&mut bytes) {
                    Ok(()) => {}
                    Err(message) => return Kind::Fault(message.to_owned()),
                },
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), &'static str> {
        const INVALID: &str = "invalid char escape";
        let c = self.bump().ok_or(INVALID)?;
        let simple = match c {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' | '"' => Some(c as u8),
            _ => None,
        };
        if let Some(byte) = simple {
            bytes.push(byte);
            return Ok(());
        }
        let (digits, radix) = match c {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (2, 8),
            _ => return Err(INVALID),
        };
        let mut value = c.to_digit(8).filter(|_| radix == 8).unwrap_or(0);
        for _ in 0..digits {
            let digit = self.peek().and_then(|c| c.to_digit(radix)).ok_or(INVALID)?;
            self.bump();
            value = value.wrapping_mul(radix) + digit;
        }
        if matches!(c, 'u' | 'U') {
            let c = char::from_u32(value).ok_or("invalid syntax")?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            bytes.push(u8::try_from(value).map_err(|_| "invalid syntax")?);
        }
        Ok(())
    }
}

/// Reports whether a call's parenthesis, or a grouping with one, follows.
fn opens_call(rest: &str) -> bool {
    let rest = rest.trim_start();
    if rest.starts_with('(') {
        return true;
    }
    ["by", "without"].iter().any(|word| {
        rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
            && rest[word.len()..].trim_start().starts_with('(')
    })
}
