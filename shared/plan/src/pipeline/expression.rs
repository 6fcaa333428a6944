//! The small language in which `json` and `logfmt` stages name what they extract: its tokens, and faults in the words of Loki's parsers
//! (`pkg/logql/log/jsonexpr`, `logfmt`).

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    /// In double quotes.
    Text(String),
    Index(usize),
    Dot,
    Open,
    Close,
    /// The end, or what is no token.
    End,
}

/// Reads tokens.
pub(super) struct Tokens<'a> {
    rest: &'a str,
    /// Paths have indices and brackets, and call a name a field.
    path: bool,
    fault: Option<String>,
}

impl<'a> Tokens<'a> {
    /// Reads the path of a `json` stage.
    pub(super) fn of_path(text: &'a str) -> Tokens<'a> {
        Tokens { rest: text, path: true, fault: None }
    }

    /// Says what stopped reading where the end was welcome; where it was not, that is the fault.
    pub(super) fn ended(self) -> Result<(), String> {
        self.fault.map_or(Ok(()), Err)
    }

    pub(super) fn next(&mut self) -> Token {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n']);
        let Some(first) = self.rest.chars().next().filter(|c| *c != '\0' && self.fault.is_none()) else { return Token::End };
        let after = &self.rest[first.len_utf8()..];
        match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                let len = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
                let (name, rest) = self.rest.split_at(len);
                self.rest = rest;
                return Token::Name(name.to_owned());
            }
            '"' => {
                // A bracket ends a text as well.
                let len = after.find(['"', ']', '\0']).unwrap_or(after.len());
                self.rest = after.get(len + 1..).unwrap_or("");
                return Token::Text(after[..len].to_owned());
            }
            '0'..='9' if self.path => return self.index(),
            '[' | ']' | '.' if self.path => {
                self.rest = after;
                return match first {
                    '[' => Token::Open,
                    ']' => Token::Close,
                    _ => Token::Dot,
                };
            }
            _ => self.fault = Some(format!("unexpected char {first}")),
        }
        Token::End
    }

    fn index(&mut self) -> Token {
        let len = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(len);
        self.fault = match rest.chars().next() {
            Some(' ' | '\t' | '\n' | ']') => match digits.parse::<i64>().ok().and_then(|index| usize::try_from(index).ok()) {
                Some(index) => {
                    self.rest = rest;
                    return Token::Index(index);
                }
                None => Some(format!("strconv.Atoi: parsing \"{digits}\": value out of range")),
            },
            Some('.') => Some("cannot use float as array index".to_owned()),
            other => Some(format!("non-integer value: {}", other.unwrap_or('\0'))),
        };
        Token::End
    }
}

/// Names a token that may not stand where it does; `expected` are those that may, where they are few.
pub(super) fn unexpected(token: &Token, expected: &str) -> String {
    let name = match token {
        Token::Name(_) => "FIELD",
        Token::Text(_) => "STRING",
        Token::Index(_) => "INDEX",
        Token::Dot => "DOT",
        Token::Open => "LSB",
        Token::Close => "RSB",
        Token::End => "$end",
    };
    match expected {
        "" => format!("syntax error: unexpected {name}"),
        expected => format!("syntax error: unexpected {name}, expecting {expected}"),
    }
}

/// Returns the key that an expression of `logfmt` names; the error is Loki's text.
pub(super) fn logfmt_key(text: &str) -> Result<String, String> {
    let mut tokens = Tokens { rest: text, path: false, fault: None };
    let key = match tokens.next() {
        Token::Name(key) | Token::Text(key) => key,
        other => return Err(unexpected(&other, "STRING or KEY")),
    };
    let mut keys = 1;
    loop {
        match tokens.next() {
            Token::End => break,
            Token::Text(_) => keys += 1,
            _ => return Err("syntax error: unexpected KEY".to_owned()),
        }
    }
    tokens.ended()?;
    // Loki prints several keys as one that no line has.
    Ok(if keys == 1 { key } else { String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logfmt_keys_are_named() {
        for (text, want) in [
            ("level", Ok("level")),
            (" level\t", Ok("level")),
            ("\"level\"", Ok("level")),
            ("", Err("syntax error: unexpected $end, expecting STRING or KEY")),
            ("1x", Err("syntax error: unexpected $end, expecting STRING or KEY")),
            ("é", Err("syntax error: unexpected $end, expecting STRING or KEY")),
            ("a b", Err("syntax error: unexpected KEY")),
            ("a.b", Err("unexpected char .")),
            ("a1é", Err("unexpected char é")),
        ] {
            assert_eq!(logfmt_key(text), want.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
