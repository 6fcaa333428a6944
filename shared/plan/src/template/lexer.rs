//! Text to tokens: plain text outside actions, and what actions are made of.

use model::quote::go_code_point;

/// A token, where it starts in bytes, and whether white space precedes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) spaced: bool,
    pub(super) kind: TokenKind,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    Text(String),
    Open,
    Close,
    LeftParen,
    RightParen,
    Pipe,
    Comma,
    Declare,
    Assign,
    Dot,
    Field(String),
    Variable(String),
    Word(String),
    Quoted(String),
    Raw(String),
    Char(String),
    Number(String),
    End,
}

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// Returns the tokens of a template, or the position and reason of the first fault.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, (usize, String)> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Token>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn push(&mut self, at: usize, spaced: bool, kind: TokenKind) {
        self.tokens.push(Token { at, spaced, kind });
    }

    fn run(&mut self) -> Result<(), (usize, String)> {
        let mut trim = false;
        loop {
            let (start, rest) = (self.at, self.rest());
            let open = rest.find("{{");
            let mut literal = &rest[..open.unwrap_or(rest.len())];
            if trim {
                literal = literal.trim_start_matches(BLANK);
            }
            let trims_before = open.is_some_and(|open| opens_with_trim(&rest[open + 2..]));
            if trims_before {
                literal = literal.trim_end_matches(BLANK);
            }
            if !literal.is_empty() {
                self.push(start, false, TokenKind::Text(literal.to_owned()));
            }
            let Some(open) = open else {
                self.push(self.text.len(), false, TokenKind::End);
                return Ok(());
            };
            let opened = self.at + open;
            self.at = opened + 2 + if trims_before { 2 } else { 0 };
            trim = match self.rest().starts_with("/*") {
                true => self.comment()?,
                false => self.action(opened)?,
            };
        }
    }

    /// Skips a comment; reports whether the text behind it is trimmed.
    fn comment(&mut self) -> Result<bool, (usize, String)> {
        let end = self.rest().find("*/").ok_or((self.at, "unclosed comment".to_owned()))?;
        self.at += end + 2;
        match (self.rest().starts_with("}}"), self.rest().strip_prefix(BLANK).is_some_and(|rest| rest.starts_with("-}}"))) {
            (true, _) => self.at += 2,
            (_, true) => {
                self.at += 4;
                return Ok(true);
            }
            _ => return Err((self.at, "comment ends before closing delimiter".to_owned())),
        }
        Ok(false)
    }

    /// Reads an action up to its end; reports whether the text behind it is trimmed.
    fn action(&mut self, opened: usize) -> Result<bool, (usize, String)> {
        self.push(opened, false, TokenKind::Open);
        let mut depth = 0usize;
        loop {
            let before = self.at;
            let skipped = self.rest().len() - self.rest().trim_start_matches(BLANK).len();
            self.at += skipped;
            let spaced = skipped > 0;
            if spaced && self.rest().starts_with("-}}") {
                self.closed(depth)?;
                self.push(before, false, TokenKind::Close);
                self.at += 3;
                return Ok(true);
            }
            if self.rest().starts_with("}}") {
                self.closed(depth)?;
                self.push(self.at, spaced, TokenKind::Close);
                self.at += 2;
                return Ok(false);
            }
            let at = self.at;
            let kind = self.token()?;
            match kind {
                TokenKind::LeftParen => depth += 1,
                TokenKind::RightParen => {
                    depth = depth.checked_sub(1).ok_or((at, "unexpected right paren".to_owned()))?;
                }
                _ => {}
            }
            self.push(at, spaced, kind);
        }
    }

    fn closed(&self, depth: usize) -> Result<(), (usize, String)> {
        if depth == 0 { Ok(()) } else { Err((self.at, "unclosed left paren".to_owned())) }
    }

    fn token(&mut self) -> Result<TokenKind, (usize, String)> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Err((self.at, "unclosed action".to_owned())) };
        let second = rest[first.len_utf8()..].chars().next();
        let simple = match first {
            '(' => Some((1, TokenKind::LeftParen)),
            ')' => Some((1, TokenKind::RightParen)),
            '|' => Some((1, TokenKind::Pipe)),
            ',' => Some((1, TokenKind::Comma)),
            '=' => Some((1, TokenKind::Assign)),
            ':' if second == Some('=') => Some((2, TokenKind::Declare)),
            ':' => return Err((self.at, "expected :=".to_owned())),
            _ => None,
        };
        if let Some((len, kind)) = simple {
            self.at += len;
            return Ok(kind);
        }
        match first {
            '"' => self.quoted('"', "unterminated quoted string").map(TokenKind::Quoted),
            '\'' => self.quoted('\'', "unterminated character constant").map(TokenKind::Char),
            '`' => self.raw(),
            '$' => Ok(TokenKind::Variable(format!("${}", self.name(1)?))),
            '.' if !second.is_some_and(|c| c.is_ascii_digit()) => {
                let name = self.name(1)?;
                Ok(if name.is_empty() { TokenKind::Dot } else { TokenKind::Field(name) })
            }
            '.' | '+' | '-' | '0'..='9' => self.number(),
            c if is_word(c) => Ok(TokenKind::Word(self.name(0)?)),
            c => Err((self.at, format!("unexpected {} in command", go_code_point(c)))),
        }
    }

    /// Takes `skip` bytes and a name, which something that ends a word must follow.
    fn name(&mut self, skip: usize) -> Result<String, (usize, String)> {
        let rest = &self.rest()[skip..];
        let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        match rest[len..].chars().next() {
            Some(c) if !ends_word(c, &rest[len..]) => Err((self.at, format!("bad character {}", go_code_point(c)))),
            _ => {
                self.at += skip + len;
                Ok(rest[..len].to_owned())
            }
        }
    }

    fn number(&mut self) -> Result<TokenKind, (usize, String)> {
        let rest = self.rest();
        let mut previous = ' ';
        let len = rest
            .char_indices()
            .find(|(index, c)| {
                let sign = matches!(c, '+' | '-') && (*index == 0 || matches!(previous, 'e' | 'E' | 'p' | 'P'));
                previous = *c;
                !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || sign)
            })
            .map_or(rest.len(), |(index, _)| index);
        self.at += len;
        Ok(TokenKind::Number(rest[..len].to_owned()))
    }

    fn quoted(&mut self, quote: char, fault: &str) -> Result<String, (usize, String)> {
        let rest = self.rest();
        let mut escaped = false;
        for (index, c) in rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.at += index + 1;
                    return Ok(rest[..=index].to_owned());
                }
                _ => {}
            }
        }
        Err((self.at, fault.to_owned()))
    }

    fn raw(&mut self) -> Result<TokenKind, (usize, String)> {
        let rest = self.rest();
        let end = rest[1..].find('`').ok_or((self.at, "unterminated raw quoted string".to_owned()))?;
        self.at += end + 2;
        Ok(TokenKind::Raw(rest[..end + 2].to_owned()))
    }
}

fn opens_with_trim(after: &str) -> bool {
    after.strip_prefix('-').is_some_and(|rest| rest.starts_with(BLANK))
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn ends_word(c: char, rest: &str) -> bool {
    BLANK.contains(&c) || matches!(c, '.' | ',' | '|' | ':' | ')' | '(') || rest.starts_with("}}")
}
