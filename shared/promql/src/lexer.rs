//! Query text to tokens.
//!
//! Owns: what a word, a number, a duration, a string and an operator look like (upstream `promql/parser/lex.go`).
//! Does not own: which token may follow which (the parser).

mod text;

use model::Text;

use crate::ast::Span;

/// A token's kind, with its value where it has one.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A word outside strings.
    Word(Class),
    /// A string literal, unquoted.
    Text(Text),
    /// A number, not yet parsed.
    Number,
    /// A duration literal, not yet parsed.
    Duration,
    /// Punctuation and operators, as written.
    Sign(&'static str),
    /// The end of the text.
    End,
    /// The text cannot be cut here; the last token.
    Error(String),
}

/// What a word is; errors name it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Any name.
    Identifier,
    /// A name with a colon.
    Metric,
    /// `by`, `offset`, …
    Keyword,
    /// `and`, `or`, `unless`, `atan2`
    Operator,
    /// `sum`, …
    Aggregate,
    /// `start`, `end`, `step`, `range`, `max_of`, `min_of`
    Preprocessor,
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// Signs outside braces, longest first.
const SIGNS: &[&str] =
    &["==", "!=", "<=", ">=", "</", ">/", "+", "-", "*", "/", "%", "^", "=", "<", ">", "(", ")", "{", "[", "]", ",", ":", "@"];
/// Signs inside braces, longest first.
const SIGNS_BRACES: &[&str] = &["=~", "!~", "!=", "=", "}", ","];
/// Signs a duration expression starts with.
const SIGNS_DURATION: &[&str] = &["]", ":", "(", ")", "+", "-", "*", "/", "%", "^", ","];
/// Words of duration expressions.
const DURATION_WORDS: &[&str] = &["step", "range", "max_of", "min_of"];

/// Cuts `text` into tokens; the last one is [`Kind::End`] or [`Kind::Error`].
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer =
        Lexer { text, at: 0, start: 0, mode: Mode::Outside, parens: 0, bracket: false, colon: false, duration: false };
    let mut out = Vec::new();
    loop {
        lexer.skip_blanks();
        lexer.start = lexer.at;
        let kind = lexer.next().unwrap_or_else(Kind::Error);
        let last = matches!(kind, Kind::End | Kind::Error(_));
        let end = if matches!(kind, Kind::Error(_)) { text.len() } else { lexer.at };
        out.push(Token { kind, span: span(lexer.start, end) });
        if last {
            return out;
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Outside,
    Braces,
    /// After `[`, until the first number.
    Duration,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Where the token begins; errors point there.
    start: usize,
    mode: Mode,
    parens: usize,
    bracket: bool,
    colon: bool,
    /// Whether a number was seen in some `[`: upstream does not forget it at the next one.
    duration: bool,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blank;
            if self.mode != Mode::Duration && self.rest().starts_with('#') {
                self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
            } else if blank == 0 {
                return;
            }
        }
    }

    fn next(&mut self) -> Result<Kind, String> {
        let Some(first) = self.peek() else { return self.end() };
        let digit = first.is_ascii_digit() || (first == '.' && self.rest()[1..].starts_with(|d: char| d.is_ascii_digit()));
        match first {
            '"' | '\'' | '`' if self.mode != Mode::Duration => text::literal(self, first),
            c if is_alpha(c) => self.word(),
            _ if digit && self.mode != Mode::Braces => self.number(),
            ':' if self.mode == Mode::Outside && !self.bracket => self.word(),
            c => self.sign(c),
        }
    }

    fn end(&self) -> Result<Kind, String> {
        Err(match self.mode {
            Mode::Braces => "unexpected end of input inside braces",
            Mode::Duration => "unexpected end of input in duration expression",
            Mode::Outside if self.parens > 0 => "unclosed left parenthesis",
            Mode::Outside if self.bracket => "unclosed left bracket",
            Mode::Outside => return Ok(Kind::End),
        }
        .to_owned())
    }

    fn word(&mut self) -> Result<Kind, String> {
        let first = self.peek().unwrap_or_default();
        if self.mode == Mode::Braces {
            self.at += self.rest().find(|c| !is_alphanumeric(c)).unwrap_or(self.rest().len());
            return Ok(Kind::Word(Class::Identifier));
        }
        if self.mode == Mode::Duration || self.bracket {
            return self.duration_word(first);
        }
        let len = self.rest().find(|c| !is_alphanumeric(c) && c != ':').unwrap_or(self.rest().len());
        self.at += len;
        let word = self.text[self.start..self.at].to_ascii_lowercase();
        if matches!(word.as_str(), "inf" | "nan") {
            return Ok(Kind::Number);
        }
        let call = self.rest().trim_start_matches([' ', '\t', '\n', '\r']).starts_with('(');
        Ok(Kind::Word(if word.starts_with("fill") && !call { plain(&word) } else { class(&word) }))
    }

    fn duration_word(&mut self, first: char) -> Result<Kind, String> {
        let starts = DURATION_WORDS.iter().any(|word| word.starts_with(first.to_ascii_lowercase()));
        let len = self.rest().find(|c| !is_alpha(c)).unwrap_or(self.rest().len());
        if starts && DURATION_WORDS.contains(&self.rest()[..len].to_ascii_lowercase().as_str()) {
            self.at += len;
            return Ok(Kind::Word(Class::Preprocessor));
        }
        Err(match self.mode {
            Mode::Duration => format!("unexpected character in duration expression: {}", rune(Some(first))),
            _ => format!("unexpected character: {}, expected ':'", rune(Some(first))),
        })
    }

    fn sign(&mut self, c: char) -> Result<Kind, String> {
        let signs = match self.mode {
            Mode::Outside => SIGNS,
            Mode::Braces => SIGNS_BRACES,
            Mode::Duration => SIGNS_DURATION,
        };
        let Some(sign) = signs.iter().copied().find(|sign| self.rest().starts_with(*sign)) else { return Err(self.no_sign(c)) };
        if self.mode == Mode::Outside && sign == "=" && self.rest().starts_with("=~") {
            return Err("unexpected character after '=': '~'".to_owned());
        }
        if sign == "[" && self.bracket {
            return Err("unexpected left bracket '['".to_owned());
        }
        if sign == "]" && !self.bracket {
            return Err("unexpected right bracket ']'".to_owned());
        }
        if sign == ":" && self.mode == Mode::Outside && self.colon {
            return Err("unexpected colon ':'".to_owned());
        }
        self.at += sign.len();
        self.follow(sign)?;
        Ok(Kind::Sign(sign))
    }

    /// Changes the state after a sign. Upstream reports these errors behind the sign.
    fn follow(&mut self, sign: &str) -> Result<(), String> {
        match sign {
            "{" => self.mode = Mode::Braces,
            "}" => self.mode = Mode::Outside,
            "[" => (self.mode, self.bracket, self.colon) = (Mode::Duration, true, false),
            "]" => (self.mode, self.bracket, self.colon) = (Mode::Outside, false, false),
            "(" => self.parens += 1,
            ")" if self.parens == 0 => {
                self.start = self.at;
                return Err("unexpected right parenthesis ')'".to_owned());
            }
            ")" => self.parens -= 1,
            ":" if self.mode == Mode::Duration && (!self.duration || self.colon) => {
                self.start = self.at;
                let what = if self.duration { "repeated colon" } else { "colon before duration" };
                return Err(format!("unexpected {what} in duration expression"));
            }
            ":" => self.colon = true,
            _ => {}
        }
        Ok(())
    }

    fn no_sign(&self, c: char) -> String {
        let second = self.rest().chars().nth(1);
        match (self.mode, c) {
            (Mode::Outside, '!') => format!("unexpected character after '!': {}", rune(second)),
            (Mode::Braces, '!') => format!("unexpected character after '!' inside braces: {}", rune(second)),
            (Mode::Braces, '{') => "unexpected left brace '{'".to_owned(),
            (Mode::Outside, c) => format!("unexpected character: {}", rune(Some(c))),
            (Mode::Braces, c) => format!("unexpected character inside braces: {}", rune(Some(c))),
            (Mode::Duration, c) => format!("unexpected character in duration expression: {}", rune(Some(c))),
        }
    }

    fn number(&mut self) -> Result<Kind, String> {
        if self.mode == Mode::Duration {
            (self.mode, self.duration) = (Mode::Outside, true);
        }
        if self.scan_number() {
            return Ok(Kind::Number);
        }
        if self.scan_duration() {
            return Ok(Kind::Duration);
        }
        Err(format!("bad number or duration syntax: {}", model::quote::go_quote(&self.text[self.start..self.at])))
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        self.at += usize::from(found);
        found
    }

    fn is(&self, set: &str) -> bool {
        self.peek().is_some_and(|c| set.contains(c))
    }

    /// Takes what may be a number; on failure the place it stopped at shows in the error (upstream `scanNumber`).
    fn scan_number(&mut self) -> bool {
        let mut digits = "0123456789";
        if self.accept("0") && self.accept("xX") {
            self.accept("_");
            digits = "0123456789abcdefABCDEF";
        }
        self.accept(".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        loop {
            if self.is(".") {
                self.at += 1;
                if dot || self.accept("_.") || digits.len() > 10 {
                    return false;
                }
                dot = true;
            } else if self.is(digits) {
                self.at += 1;
            } else if self.is("eE") {
                self.at += 1;
                if exponent {
                    return false;
                }
                exponent = true;
                self.accept("+-");
                if self.accept("._eE") || self.peek().is_none() {
                    return false;
                }
            } else if self.is("_") {
                self.at += 1;
                if self.accept("._eE") || self.peek().is_none() {
                    return false;
                }
            } else {
                return !self.peek().is_some_and(is_alphanumeric);
            }
        }
    }

    fn scan_duration(&mut self) -> bool {
        if !self.accept("smhdwy") {
            return false;
        }
        self.accept("s");
        while self.accept("0123456789") {
            while self.accept("0123456789") {}
            if !self.accept("smhdw") {
                return false;
            }
            self.accept("s");
        }
        let next = self.peek();
        if next.is_some_and(is_alphanumeric) {
            self.at += 1;
            return false;
        }
        true
    }
}

fn is_alpha(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn plain(word: &str) -> Class {
    if word.contains(':') { Class::Metric } else { Class::Identifier }
}

fn class(word: &str) -> Class {
    match word {
        "and" | "or" | "unless" | "atan2" => Class::Operator,
        "sum" | "avg" | "count" | "min" | "max" | "group" | "stddev" | "stdvar" | "topk" | "bottomk" | "count_values"
        | "quantile" | "limitk" | "limit_ratio" => Class::Aggregate,
        "offset" | "smoothed" | "anchored" | "by" | "without" | "on" | "ignoring" | "group_left" | "group_right" | "fill"
        | "fill_left" | "fill_right" | "bool" => Class::Keyword,
        "start" | "end" | "step" | "range" | "max_of" | "min_of" => Class::Preprocessor,
        word => plain(word),
    }
}

/// Prints a character as Go's `%q` does; the end of the text is U+FFFD.
fn rune(c: Option<char>) -> String {
    match c.unwrap_or('\u{fffd}') {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let quoted = model::quote::go_quote(c.encode_utf8(&mut [0; 4]));
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}
