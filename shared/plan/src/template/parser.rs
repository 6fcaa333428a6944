//! Tokens to tree, with the complaints of Go's parser.

use std::collections::BTreeMap;

use super::functions;
use super::lexer::{Token, TokenKind, tokens};
use super::limits::NESTING_MAX;
use super::node::{Branch, Command, Kind, Node, Number, Pipe, Word};

/// A parsed template: its body and the templates it defines.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) body: Vec<Node>,
    pub(super) definitions: BTreeMap<String, Vec<Node>>,
}

/// Parses a template; the error is Go's text behind `template: `.
pub(super) fn parse(name: &str, text: &str) -> Result<Parsed, String> {
    let located = |(at, why): (usize, String)| format!("{name}:{}: {why}", line_of(text, at));
    let tokens = tokens(text).map_err(located)?;
    let mut parser =
        Parser { tokens, next: 0, variables: vec!["$".to_owned()], definitions: BTreeMap::new(), ranges: 0, depth: 0 };
    let (body, end) = parser.list().map_err(located)?;
    match end {
        Ended::End => Ok(Parsed { body, definitions: parser.definitions }),
        other => Err(located((parser.position(), format!("unexpected {{{{{}}}}}", other.as_str())))),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

type Fault = (usize, String);

/// What ended a list of nodes.
#[derive(Clone, Debug, PartialEq)]
enum Ended {
    End,
    Closed,
    Else,
    ElseIf,
    ElseWith,
}

impl Ended {
    fn as_str(&self) -> &'static str {
        match self {
            Ended::End => "EOF",
            Ended::Closed => "end",
            Ended::Else | Ended::ElseIf | Ended::ElseWith => "else",
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    variables: Vec<String>,
    definitions: BTreeMap<String, Vec<Node>>,
    ranges: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn position(&self) -> usize {
        self.tokens[self.next.saturating_sub(1).min(self.tokens.len() - 1)].at
    }

    fn fault<T>(&self, why: impl Into<String>) -> Result<T, Fault> {
        Err((self.position(), why.into()))
    }

    fn deeper<T>(&mut self, run: impl FnOnce(&mut Parser) -> Result<T, Fault>) -> Result<T, Fault> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return self.fault(format!("template is nested deeper than {NESTING_MAX}"));
        }
        let result = run(self);
        self.depth -= 1;
        result
    }

    fn list(&mut self) -> Result<(Vec<Node>, Ended), Fault> {
        let mut nodes = Vec::new();
        loop {
            let token = self.take();
            match token.kind {
                TokenKind::End => return Ok((nodes, Ended::End)),
                TokenKind::Text(text) => nodes.push(Node::Text(text)),
                TokenKind::Open => match self.action()? {
                    Ok(node) => nodes.extend(node),
                    Err(ended) => return Ok((nodes, ended)),
                },
                _ => return self.unexpected(&token, "input"),
            }
        }
    }

    /// Parses one action; what ends a list comes back as such.
    fn action(&mut self) -> Result<Result<Option<Node>, Ended>, Fault> {
        let keyword = match &self.peek().kind {
            TokenKind::Word(word) => word.clone(),
            _ => String::new(),
        };
        let known = ["if", "with", "range", "else", "end", "define", "block", "template", "break", "continue"];
        if known.contains(&keyword.as_str()) {
            self.next += 1;
        }
        Ok(Ok(Some(match keyword.as_str() {
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "else" => return self.otherwise().map(Err),
            "end" => return self.close("end").map(|()| Err(Ended::Closed)),
            "define" => return self.define().map(|()| Ok(None)),
            "block" => self.block()?,
            "template" => self.call()?,
            "break" | "continue" => self.jump(&keyword)?,
            _ => {
                let pipe = self.pipe("command", &TokenKind::Close)?;
                Node::Action(pipe)
            }
        })))
    }

    fn close(&mut self, context: &str) -> Result<(), Fault> {
        let token = self.take();
        if token.kind == TokenKind::Close { Ok(()) } else { self.unexpected(&token, context) }
    }

    fn otherwise(&mut self) -> Result<Ended, Fault> {
        let ended = match &self.peek().kind {
            TokenKind::Word(word) if word == "if" => Ended::ElseIf,
            TokenKind::Word(word) if word == "with" => Ended::ElseWith,
            _ => return self.close("else").map(|()| Ended::Else),
        };
        self.next += 1;
        Ok(ended)
    }

    fn jump(&mut self, keyword: &str) -> Result<Node, Fault> {
        let token = self.take();
        if token.kind != TokenKind::Close {
            return self.unexpected(&token, &format!("{{{{{keyword}}}}}"));
        }
        if self.ranges == 0 {
            return self.fault(format!("{{{{{keyword}}}}} outside {{{{range}}}}"));
        }
        Ok(if keyword == "break" { Node::Break } else { Node::Continue })
    }

    fn branch(&mut self, keyword: &'static str) -> Result<Branch, Fault> {
        self.deeper(|parser| {
            let mark = parser.variables.len();
            let pipe = parser.pipe(keyword, &TokenKind::Close)?;
            let is_range = usize::from(keyword == "range");
            parser.ranges += is_range;
            let (body, ended) = parser.list()?;
            parser.ranges -= is_range;
            let otherwise = parser.rest_of_branch(keyword, ended)?;
            parser.variables.truncate(mark);
            Ok(Branch { pipe, body, otherwise })
        })
    }

    fn rest_of_branch(&mut self, keyword: &str, ended: Ended) -> Result<Vec<Node>, Fault> {
        match ended {
            Ended::Closed => Ok(Vec::new()),
            Ended::End => self.fault("unexpected EOF"),
            Ended::ElseIf if keyword == "if" => Ok(vec![Node::If(self.branch("if")?)]),
            Ended::ElseWith if keyword == "with" => Ok(vec![Node::With(self.branch("with")?)]),
            Ended::ElseIf | Ended::ElseWith => self.fault("unexpected <if> in else"),
            Ended::Else => match self.list()? {
                (nodes, Ended::Closed) => Ok(nodes),
                (_, Ended::End) => self.fault("unexpected EOF"),
                _ => self.fault("expected end; found {{else}}"),
            },
        }
    }

    fn template_name(&mut self, context: &str) -> Result<String, Fault> {
        let token = self.take();
        let name = match &token.kind {
            TokenKind::Quoted(quoted) => unquote(quoted),
            TokenKind::Raw(raw) => Some(raw.as_bytes()[1..raw.len() - 1].to_vec()),
            _ => return self.unexpected(&token, context),
        };
        match name.and_then(|name| String::from_utf8(name).ok()) {
            Some(name) => Ok(name),
            None => self.fault("invalid syntax"),
        }
    }

    fn define(&mut self) -> Result<(), Fault> {
        let name = self.template_name("define clause")?;
        self.close("define clause")?;
        self.definition(name)
    }

    /// Parses a template's body up to its end, in a scope of its own.
    fn definition(&mut self, name: String) -> Result<(), Fault> {
        self.deeper(|parser| {
            let outer = std::mem::replace(&mut parser.variables, vec!["$".to_owned()]);
            let ranges = std::mem::take(&mut parser.ranges);
            let (body, ended) = parser.list()?;
            if ended != Ended::Closed {
                return parser.fault(format!("unexpected {{{{{}}}}} in define clause", ended.as_str()));
            }
            parser.variables = outer;
            parser.ranges = ranges;
            parser.definitions.insert(name, body);
            Ok(())
        })
    }

    fn block(&mut self) -> Result<Node, Fault> {
        let at = self.peek().at;
        let name = self.template_name("block clause")?;
        let pipe = self.pipe("block clause", &TokenKind::Close)?;
        self.definition(name.clone())?;
        Ok(Node::Template { name, pipe: Some(pipe), at })
    }

    fn call(&mut self) -> Result<Node, Fault> {
        let at = self.peek().at;
        let name = self.template_name("template clause")?;
        if self.peek().kind == TokenKind::Close {
            self.next += 1;
            return Ok(Node::Template { name, pipe: None, at });
        }
        Ok(Node::Template { name, pipe: Some(self.pipe("template clause", &TokenKind::Close)?), at })
    }

    fn pipe(&mut self, context: &str, end: &TokenKind) -> Result<Pipe, Fault> {
        self.deeper(|parser| {
            let at = parser.peek().at;
            let (variables, assigns) = parser.declarations(context)?;
            let mut commands = Vec::new();
            loop {
                let token = parser.peek().clone();
                if token.kind == *end {
                    parser.next += 1;
                    break;
                }
                match token.kind {
                    TokenKind::Close
                    | TokenKind::RightParen
                    | TokenKind::Pipe
                    | TokenKind::Comma
                    | TokenKind::Declare
                    | TokenKind::Assign
                    | TokenKind::Text(_)
                    | TokenKind::Open
                    | TokenKind::End => {
                        parser.next += 1;
                        return parser.unexpected(&token, context);
                    }
                    _ => commands.push(parser.command()?),
                }
            }
            parser.check_pipe(&commands, context)?;
            if !assigns {
                parser.variables.extend(variables.iter().cloned());
            }
            Ok(Pipe { at, variables, assigns, commands })
        })
    }

    fn check_pipe(&mut self, commands: &[Command], context: &str) -> Result<(), Fault> {
        if commands.is_empty() {
            return self.fault(format!("missing value for {context}"));
        }
        for (index, command) in commands.iter().enumerate().skip(1) {
            if matches!(command.words[0].kind, Kind::Dot | Kind::Nil | Kind::Bool(_) | Kind::Number(_) | Kind::Text(..)) {
                return self.fault(format!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(())
    }

    /// Parses `$a :=`, `$a =` and, for `range`, `$a, $b :=`.
    fn declarations(&mut self, context: &str) -> Result<(Vec<String>, bool), Fault> {
        let kind = |offset: usize| self.tokens.get(self.next + offset).map(|token| &token.kind);
        let TokenKind::Variable(first) = &self.peek().kind else { return Ok((Vec::new(), false)) };
        let (names, len) = match (kind(1), kind(2)) {
            (Some(TokenKind::Comma), Some(TokenKind::Variable(second))) if context == "range" => {
                (vec![first.clone(), second.clone()], 3)
            }
            (Some(TokenKind::Comma), _) => return self.fault(format!("too many declarations in {context}")),
            _ => (vec![first.clone()], 1),
        };
        let assigns = match kind(len) {
            Some(TokenKind::Declare) => false,
            Some(TokenKind::Assign) => true,
            _ => return Ok((Vec::new(), false)),
        };
        if let Some(unknown) = names.iter().find(|name| assigns && !self.variables.contains(name)) {
            return self.fault(format!("undefined variable {unknown:?}"));
        }
        self.next += len + 1;
        Ok((names, assigns))
    }

    fn command(&mut self) -> Result<Command, Fault> {
        let mut command = Command { at: self.peek().at, words: Vec::new() };
        loop {
            command.words.push(self.operand()?);
            let token = self.peek().clone();
            match token.kind {
                TokenKind::Pipe => {
                    self.next += 1;
                    if matches!(self.peek().kind, TokenKind::Close | TokenKind::RightParen) {
                        return self.fault("missing value for command");
                    }
                    return Ok(command);
                }
                TokenKind::Close | TokenKind::RightParen => return Ok(command),
                _ if token.spaced => {}
                _ => {
                    self.next += 1;
                    return self.unexpected(&token, "operand");
                }
            }
        }
    }

    fn operand(&mut self) -> Result<Word, Fault> {
        let word = self.term()?;
        let at = self.peek().at;
        let mut fields = Vec::new();
        while let Token { spaced: false, kind: TokenKind::Field(name), .. } = self.peek() {
            fields.push(name.clone());
            self.next += 1;
        }
        if fields.is_empty() {
            return Ok(word);
        }
        let kind = match word.kind {
            Kind::Field(mut names) => {
                names.extend(fields);
                Kind::Field(names)
            }
            Kind::Variable(name, mut names) => {
                names.extend(fields);
                Kind::Variable(name, names)
            }
            Kind::Bool(_) | Kind::Text(..) | Kind::Number(_) | Kind::Nil | Kind::Dot => {
                return self.fault(format!("unexpected . after term {:?}", word.to_string()));
            }
            _ => Kind::Chain(Box::new(word), fields),
        };
        Ok(Word { at, kind })
    }

    fn term(&mut self) -> Result<Word, Fault> {
        let token = self.take();
        let kind = match &token.kind {
            TokenKind::Word(word) => match word.as_str() {
                "true" | "false" => Kind::Bool(word == "true"),
                "nil" => Kind::Nil,
                _ if functions::find(word).is_some() => Kind::Function(word.clone()),
                _ if is_keyword(word) => return self.unexpected_word(word),
                _ => return self.fault(format!("function {word:?} not defined")),
            },
            TokenKind::Dot => Kind::Dot,
            TokenKind::Field(name) => Kind::Field(vec![name.clone()]),
            TokenKind::Variable(name) if self.variables.contains(name) => Kind::Variable(name.clone(), Vec::new()),
            TokenKind::Variable(name) => return self.fault(format!("undefined variable {name:?}")),
            TokenKind::Number(text) => match number(text) {
                Some(number) => Kind::Number(number),
                None => return self.fault(format!("bad number syntax: {text:?}")),
            },
            TokenKind::Char(text) => match unquote(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
                Some(char) if char.chars().count() == 1 => {
                    let value = char.chars().next().map_or(0, |c| i64::from(c as u32));
                    Kind::Number(Number { text: text.clone(), integer: Some(value), float: Some(value as f64) })
                }
                _ => return self.fault(format!("malformed character constant: {text}")),
            },
            TokenKind::Quoted(text) => match unquote(text) {
                Some(bytes) => Kind::Text(bytes, text.clone()),
                None => return self.fault("invalid syntax"),
            },
            TokenKind::Raw(text) => Kind::Text(text[1..text.len() - 1].replace('\r', "").into_bytes(), text.clone()),
            TokenKind::LeftParen => Kind::Pipe(Box::new(self.pipe("parenthesized pipeline", &TokenKind::RightParen)?)),
            _ => return self.unexpected(&token, "operand"),
        };
        Ok(Word { at: token.at, kind })
    }

    fn unexpected_word<T>(&self, word: &str) -> Result<T, Fault> {
        self.fault(format!("unexpected <{word}> in operand"))
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Result<T, Fault> {
        let text = match &token.kind {
            TokenKind::Text(text) | TokenKind::Word(text) | TokenKind::Quoted(text) | TokenKind::Raw(text) => format!("{text:?}"),
            TokenKind::Number(text) | TokenKind::Variable(text) | TokenKind::Char(text) => format!("{text:?}"),
            TokenKind::Field(name) => format!("\".{name}\""),
            TokenKind::Open => "\"{{\"".to_owned(),
            TokenKind::Close => "\"}}\"".to_owned(),
            TokenKind::LeftParen => "\"(\"".to_owned(),
            TokenKind::RightParen => "\")\"".to_owned(),
            TokenKind::Pipe => "\"|\"".to_owned(),
            TokenKind::Comma => "\",\"".to_owned(),
            TokenKind::Declare => "\":=\"".to_owned(),
            TokenKind::Assign => "\"=\"".to_owned(),
            TokenKind::Dot => "<.>".to_owned(),
            TokenKind::End => "EOF".to_owned(),
        };
        Err((token.at, format!("unexpected {text} in {context}")))
    }
}

fn is_keyword(word: &str) -> bool {
    ["if", "with", "range", "else", "end", "define", "block", "template", "break", "continue"].contains(&word)
}

/// Reads a constant: an integer in any of Go's bases, or a float, which is an integer too where it has no fraction.
fn number(text: &str) -> Option<Number> {
    let integer = parse_integer(text);
    let hexadecimal = text.trim_start_matches(['+', '-']).to_ascii_lowercase().starts_with("0x");
    let float = if hexadecimal { integer.map(|value| value as f64) } else { model::go_float::parse(text).ok() };
    let float = float.filter(|_| text.contains(|c: char| c.is_ascii_digit()));
    let whole =
        float.filter(|float| integer.is_none() && float.trunc() == *float && float.abs() < 9e18).map(|float| float as i64);
    (integer.is_some() || float.is_some()).then(|| Number { text: text.to_owned(), integer: integer.or(whole), float })
}

/// Reads an integer as Go's `ParseInt` with base 0.
pub(super) fn parse_integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, body) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some(_) if lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let body: String = body.chars().filter(|c| *c != '_').collect();
    if body.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(&body, base).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// Undoes Go's quoting, the quotes included.
fn unquote(quoted: &str) -> Option<Vec<u8>> {
    let mut chars = quoted[1..quoted.len() - 1].chars();
    let mut out = Vec::new();
    let mut buffer = [0; 4];
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        match chars.next()? {
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            'r' => out.push(b'\r'),
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'v' => out.push(11),
            c @ ('\\' | '"' | '\'') => out.push(c as u8),
            'x' => out.push(u8::try_from(hex(&mut chars, 2)?).ok()?),
            'u' => out.extend_from_slice(char::from_u32(hex(&mut chars, 4)?)?.encode_utf8(&mut buffer).as_bytes()),
            'U' => out.extend_from_slice(char::from_u32(hex(&mut chars, 8)?)?.encode_utf8(&mut buffer).as_bytes()),
            c @ '0'..='7' => out.push(u8::try_from(octal(c, &mut chars)?).ok()?),
            _ => return None,
        }
    }
    Some(out)
}

fn hex(chars: &mut std::str::Chars<'_>, len: usize) -> Option<u32> {
    u32::from_str_radix(&chars.by_ref().take(len).collect::<String>(), 16).ok()
}

fn octal(first: char, chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let digits: String = std::iter::once(first).chain(chars.by_ref().take(2)).collect();
    u32::from_str_radix(&digits, 8).ok()
}
