//! Stream labels as text, `{app="a", env="b"}`: Prometheus's metric grammar with its error texts.

use std::iter::Peekable;
use std::str::CharIndices;

use model::labels::METRIC_NAME;
use model::quote::{go_code_point, go_quote};

/// Parses labels; names may repeat, values may be empty, and so may the whole text. Errors read `1:5: parse error: ...`.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut parser = Parser { text, chars: text.char_indices().peekable() };
    parser.labels().map_err(|(at, error)| {
        let before = &text.as_bytes()[..at.min(text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!("{line}:{column}: parse error: {error}")
    })
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
        let mut labels = Vec::new();
        self.skip_space();
        if let Some(name) = self.identifier(|c| c.is_ascii_alphabetic() || matches!(c, '_' | ':')) {
            labels.push((METRIC_NAME.to_owned(), name));
            self.skip_space();
        }
        match self.chars.next() {
            Some((_, '{')) => self.inside_braces(&mut labels)?,
            Some((at, c)) => return Err((at, format!("unexpected character: {}", go_char(c)))),
            None => return Ok(labels),
        }
        self.skip_space();
        match self.chars.next() {
            None => Ok(labels),
            Some((at, c)) => Err((at, format!("unexpected character: {}", go_char(c)))),
        }
    }

    fn inside_braces(&mut self, labels: &mut Vec<(String, String)>) -> Result<(), Fault> {
        let mut token = self.token()?;
        loop {
            let (name, quoted) = match token {
                (_, Token::Name(name)) => (name, false),
                (_, Token::Value(name)) => (name, true),
                (_, Token::End) => return Ok(()),
                other => return Err(unexpected(other, "identifier or \"}\"")),
            };
            token = self.token()?;
            match token {
                (_, Token::Equals) => {
                    match self.token()? {
                        (_, Token::Value(value)) => labels.push((name, value)),
                        other => return Err(unexpected(other, "string")),
                    }
                    token = self.token()?;
                }
                // A string alone is the metric's name.
                _ if quoted => labels.push((METRIC_NAME.to_owned(), name)),
                other => return Err(unexpected(other, "\"=\"")),
            }
            match token {
                (_, Token::Comma) => token = self.token()?,
                (_, Token::End) => return Ok(()),
                other => return Err(unexpected(other, "\",\" or \"}\"")),
            }
        }
    }

    /// Takes a name, if one begins here.
    fn identifier(&mut self, may_begin: impl Fn(char) -> bool) -> Option<String> {
        let (_, first) = self.chars.next_if(|(_, c)| may_begin(*c))?;
        let mut name = String::from(first);
        while let Some((_, c)) = self.chars.next_if(|(_, c)| may_begin(*c) || c.is_ascii_digit()) {
            name.push(c);
        }
        Some(name)
    }

    fn skip_space(&mut self) {
        while self.chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\n' | '\r')).is_some() {}
    }

    fn token(&mut self) -> Result<(usize, Token), Fault> {
        self.skip_space();
        let at = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        if let Some(name) = self.identifier(|c| c.is_ascii_alphabetic() || c == '_') {
            return Ok((at, Token::Name(name)));
        }
        let Some((at, c)) = self.chars.next() else {
            return Err((at, "unexpected end of input inside braces".to_owned()));
        };
        let token = match c {
            '=' => Token::Equals,
            ',' => Token::Comma,
            '}' => Token::End,
            '"' | '\'' | '`' => Token::Value(self.string(at, c)?),
            '{' => return Err((at, "unexpected left brace '{'".to_owned())),
            c => return Err((at, format!("unexpected character inside braces: {}", go_char(c)))),
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
            c => return Err((at, format!("unknown escape sequence {}", go_code_point(c)))),
        };
        let mut code = known.unwrap_or(0);
        for _ in 0..digits {
            let (_, c) = self.chars.next().ok_or((at, "escape sequence not terminated".to_owned()))?;
            let illegal = || (at, format!("illegal character {} in escape sequence", go_code_point(c)));
            // Eight hexadecimal digits fit.
            code = code.wrapping_mul(radix).wrapping_add(c.to_digit(radix).ok_or_else(illegal)?);
        }
        char::from_u32(code).ok_or_else(|| (at, "escape sequence is an invalid Unicode code point".to_owned()))
    }
}

fn unexpected((at, token): (usize, Token), expected: &str) -> Fault {
    let found = match token {
        Token::Name(name) => format!("identifier {}", go_quote(&name)),
        Token::Value(value) => format!("string {}", go_quote(&format!("\"{value}\""))),
        Token::Equals => "\"=\"".to_owned(),
        Token::Comma => "\",\"".to_owned(),
        Token::End => "\"}\"".to_owned(),
    };
    (at, format!("unexpected {found} in label set, expected {expected}"))
}

/// Quotes a character as Go's `%q` does.
fn go_char(c: char) -> String {
    match c {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let quoted = go_quote(c.encode_utf8(&mut [0; 4]));
            format!("'{}'", quoted.trim_matches('"'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_errors_are_those_of_prometheus() {
        let shown = |text: &str| match parse(text) {
            Ok(labels) => labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(";"),
            Err(error) => error,
        };
        for (text, expected) in [
            ("", ""),
            ("{}", ""),
            (" {a=\"b\", } ", "a=b"),
            ("m{a='b',b=`c`}", "__name__=m;a=b;b=c"),
            ("{\"m\", \"a.b\"=\"c\"}", "__name__=m;a.b=c"),
            ("{a=\"x\\ty\\u00e9\"}", "a=x\ty\u{e9}"),
            ("{a", "1:3: parse error: unexpected end of input inside braces"),
            ("{a-b=\"c\"}", "1:3: parse error: unexpected character inside braces: '-'"),
            ("{a b}", "1:4: parse error: unexpected identifier \"b\" in label set, expected \"=\""),
            ("{a=b}", "1:4: parse error: unexpected identifier \"b\" in label set, expected string"),
            ("{a=\"b\" c}", "1:8: parse error: unexpected identifier \"c\" in label set, expected \",\" or \"}\""),
            ("{,}", "1:2: parse error: unexpected \",\" in label set, expected identifier or \"}\""),
            ("{a=\"b}", "1:4: parse error: unterminated quoted string"),
            ("{\n{", "2:1: parse error: unexpected left brace '{'"),
            ("{a=\"\\x1\0\"}", "1:4: parse error: illegal character U+0000 in escape sequence"),
            ("{a=\"\\u00g", "1:4: parse error: illegal character U+0067 'g' in escape sequence"),
            ("{a=\"\\q\"}", "1:4: parse error: unknown escape sequence U+0071 'q'"),
            ("{a=\"b\"}$", "1:8: parse error: unexpected character: '$'"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
