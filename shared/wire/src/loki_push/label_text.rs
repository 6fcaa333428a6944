//! Stream labels as text, `{app="a", env="b"}`: Prometheus's metric grammar with its error texts.

use std::iter::Peekable;
use std::str::CharIndices;

/// Parses labels; names may repeat, values may be empty. Errors read `1:5: parse error: ...`.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut parser = Parser { text, chars: text.char_indices().peekable() };
    parser.labels().map_err(|(at, error)| format!("1:{}: parse error: {error}", at + 1))
}

type Fault = (usize, String);

#[derive(Debug, PartialEq)]
enum Token {
    Name(String),
    Value(String),
    Equals,
    Comma,
    End,
}

struct Parser<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl Parser<'_> {
    fn labels(&mut self) -> Result<Vec<(String, String)>, Fault> {
        self.skip_space();
        match self.chars.next() {
            Some((_, '{')) => {}
            Some((at, c)) => return Err((at, format!("unexpected character: {c:?}"))),
            None => return Err((0, "unexpected end of input".to_owned())),
        }
        let mut labels = Vec::new();
        loop {
            let name = match self.token()? {
                (_, Token::Name(name)) => name,
                (_, Token::End) => break,
                other => return Err(unexpected(other, "identifier or \"}\"")),
            };
            match self.token()? {
                (_, Token::Equals) => {}
                other => return Err(unexpected(other, "\"=\"")),
            }
            match self.token()? {
                (_, Token::Value(value)) => labels.push((name, value)),
                other => return Err(unexpected(other, "string")),
            }
            match self.token()? {
                (_, Token::Comma) => {}
                (_, Token::End) => break,
                other => return Err(unexpected(other, "\",\" or \"}\"")),
            }
        }
        self.skip_space();
        match self.chars.next() {
            None => Ok(labels),
            Some((at, c)) => Err((at, format!("unexpected character: {c:?}"))),
        }
    }

    fn skip_space(&mut self) {
        while self.chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\n' | '\r')).is_some() {}
    }

    fn token(&mut self) -> Result<(usize, Token), Fault> {
        self.skip_space();
        let Some((at, c)) = self.chars.next() else {
            return Err((self.text.len(), "unexpected end of input inside braces".to_owned()));
        };
        let token = match c {
            '=' => Token::Equals,
            ',' => Token::Comma,
            '}' => Token::End,
            '"' | '\'' | '`' => Token::Value(self.string(at, c)?),
            c if c.is_ascii_alphabetic() || c == '_' => {
                let mut name = String::from(c);
                while let Some((_, c)) = self.chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                Token::Name(name)
            }
            c => return Err((at, format!("unexpected character inside braces: '{c}'"))),
        };
        Ok((at, token))
    }

    fn string(&mut self, at: usize, quote: char) -> Result<String, Fault> {
        let mut value = String::new();
        let open = if quote == '`' { "unterminated raw string" } else { "unterminated quoted string" };
        loop {
            match self.chars.next() {
                Some((_, c)) if c == quote => return Ok(value),
                None => return Err((at, open.to_owned())),
                Some((_, '\n')) if quote != '`' => return Err((at, open.to_owned())),
                Some((_, '\\')) if quote != '`' => value.push(self.escape(at, quote)?),
                Some((_, c)) => value.push(c),
            }
        }
    }

    fn escape(&mut self, at: usize, quote: char) -> Result<char, Fault> {
        let Some((_, c)) = self.chars.next() else { return Err((at, "escape sequence not terminated".to_owned())) };
        let (digits, radix, known) = match c {
            'a' => return Ok('\x07'),
            'b' => return Ok('\x08'),
            'f' => return Ok('\x0c'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\x0b'),
            '\\' => return Ok('\\'),
            c if c == quote => return Ok(c),
            'x' => (2, 16, None),
            'u' => (4, 16, None),
            'U' => (8, 16, None),
            '0'..='7' => (2, 8, c.to_digit(8)),
            c => return Err((at, format!("unknown escape sequence U+{:04X} '{c}'", c as u32))),
        };
        let mut code = known.unwrap_or(0);
        for _ in 0..digits {
            let digit = self.chars.next().and_then(|(_, c)| c.to_digit(radix));
            code = digit
                .and_then(|digit| code.checked_mul(radix)?.checked_add(digit))
                .ok_or((at, "illegal character in escape sequence".to_owned()))?;
        }
        char::from_u32(code).ok_or_else(|| (at, "escape sequence is an invalid Unicode code point".to_owned()))
    }
}

fn unexpected((at, token): (usize, Token), expected: &str) -> Fault {
    let found = match token {
        Token::Name(name) => format!("identifier {name:?}"),
        Token::Value(value) => format!("string {value:?}"),
        Token::Equals => "\"=\"".to_owned(),
        Token::Comma => "\",\"".to_owned(),
        Token::End => "\"}\"".to_owned(),
    };
    (at, format!("unexpected {found} in label set, expected {expected}"))
}
