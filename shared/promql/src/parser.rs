//! Tokens to tree: a Pratt parser (upstream `promql/parser/generated_parser.y`).
//!
//! Owns: the grammar and the texts of syntax errors. Does not own: types ([`crate::check`]).

mod window;

use model::{MatchOp, Matcher, Text};
use plan::logical::Cardinality;

use crate::ast::*;
use crate::error::ParseError;
use crate::lexer::{Class, Kind, Token, tokens};
use crate::limits::{CHAIN_MAX, DEPTH_MAX};
use crate::number::{parse_duration, parse_number};
use crate::options::Options;

/// Parses a whole query.
pub fn expression(text: &str, options: &Options) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text, options)?;
    if parser.peek().kind == Kind::End {
        return Err(parser.error(Span::default(), "no expression found in input"));
    }
    let expr = parser.binary(0)?;
    match parser.peek().kind {
        Kind::End => Ok(expr),
        _ => Err(parser.unexpected("")),
    }
}

/// Parses a bare selector: `match[]` parameters.
pub fn selector(text: &str, options: &Options) -> Result<Selector, ParseError> {
    let mut parser = Parser::new(text, options)?;
    let kind = match parser.peek().kind {
        Kind::Word(class) => parser.metric(class)?,
        Kind::Sign("{") => parser.braces(None)?,
        _ => return Err(parser.unexpected("")),
    };
    match (kind, &parser.peek().kind) {
        (ExprKind::Selector(selector), Kind::End) => Ok(selector),
        _ => Err(parser.unexpected("")),
    }
}

/// Parses a series as written: equality only, no types.
pub fn metric(text: &str) -> Result<Vec<(String, String)>, ParseError> {
    let options = Options::default();
    let mut parser = Parser::new(text, &options)?;
    let mut name = None;
    if let Kind::Word(class) = parser.peek().kind {
        if is_reserved(parser.written(parser.peek()), class) {
            return Err(parser.unexpected(""));
        }
        let token = parser.next();
        name = Some(parser.written(&token).to_owned());
    }
    let mut labels = if parser.take("{") { parser.label_set()? } else { Vec::new() };
    labels.extend(name.map(|name| ("__name__".to_owned(), name)));
    match parser.peek().kind {
        Kind::End => Ok(labels),
        _ => Err(parser.unexpected("")),
    }
}

/// Reports whether a word is never a metric name.
fn is_reserved(word: &str, class: Class) -> bool {
    let lower = word.to_ascii_lowercase();
    class != Class::Identifier && matches!(lower.as_str(), "bool" | "group_left" | "group_right" | "ignoring" | "on" | "atan2")
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// How many aggregations are open: a syntax error inside one says so.
    aggregations: usize,
    chained: usize,
    options: &'a Options,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, options: &'a Options) -> Result<Parser<'a>, ParseError> {
        Ok(Parser { text, tokens: tokens(text), at: 0, depth: 0, aggregations: 0, chained: 0, options })
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn peek_second(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek().kind, Kind::Sign(s) if s == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        self.token_is_word(self.peek(), word)
    }

    fn token_is_word(&self, token: &Token, word: &str) -> bool {
        matches!(token.kind, Kind::Word(class) if class != Class::Identifier) && self.written(token).eq_ignore_ascii_case(word)
    }

    fn written(&self, token: &Token) -> &'a str {
        &self.text[token.span.start as usize..token.span.end as usize]
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, sign: &str, context: &str) -> Result<Token, ParseError> {
        match context {
            _ if self.is(sign) => Ok(self.next()),
            "" => Err(self.unexpected("")),
            context => Err(self.unexpected_wanting(context, &format!("\"{sign}\""))),
        }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::at(self.text, span, message)
    }

    /// The error of a token that no rule takes; a place where the text could not be cut reports that instead.
    fn unexpected(&self, context: &str) -> ParseError {
        let token = self.peek();
        if let Kind::Error(message) = &token.kind {
            return self.error(token.span, message);
        }
        let context = if context.is_empty() && self.aggregations > 0 { "aggregation" } else { context };
        let context = if context.is_empty() { String::new() } else { format!(" in {context}") };
        self.error(token.span, format!("unexpected {}{context}", describe(token, self.text)))
    }

    fn unexpected_wanting(&self, context: &str, wanted: &str) -> ParseError {
        let mut error = self.unexpected(context);
        if !matches!(self.peek().kind, Kind::Error(_)) {
            error.message += &format!(", expected {wanted}");
        }
        error
    }

    /// Refuses a token that could not be read: upstream has read it before it judges what stands in front of it.
    fn readable(&self) -> Result<(), ParseError> {
        if matches!(self.peek().kind, Kind::Error(_)) { Err(self.unexpected("")) } else { Ok(()) }
    }

    /// Counts what makes the tree higher without nesting in the text.
    fn chain(&mut self) -> Result<(), ParseError> {
        self.chained += 1;
        if self.chained > CHAIN_MAX {
            return Err(self.error(self.peek().span, format!("query has more than {CHAIN_MAX} operators")));
        }
        Ok(())
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth >= DEPTH_MAX {
            return Err(self.error(self.peek().span, format!("expression is nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn binary_op(&self) -> Option<(BinaryOp, u8, bool)> {
        let op = match &self.peek().kind {
            Kind::Sign(sign) => match *sign {
                "+" => BinaryOp::Add,
                "-" => BinaryOp::Sub,
                "*" => BinaryOp::Mul,
                "/" => BinaryOp::Div,
                "%" => BinaryOp::Mod,
                "^" => BinaryOp::Pow,
                "==" => BinaryOp::Eq,
                "!=" => BinaryOp::Ne,
                ">" => BinaryOp::Gt,
                "<" => BinaryOp::Lt,
                ">=" => BinaryOp::Ge,
                "<=" => BinaryOp::Le,
                "</" => BinaryOp::TrimUpper,
                ">/" => BinaryOp::TrimLower,
                _ => return None,
            },
            Kind::Word(Class::Operator) => match self.written(self.peek()).to_ascii_lowercase().as_str() {
                "and" => BinaryOp::And,
                "or" => BinaryOp::Or,
                "unless" => BinaryOp::Unless,
                "atan2" => BinaryOp::Atan2,
                _ => return None,
            },
            _ => return None,
        };
        let precedence = match op {
            BinaryOp::Or => 1,
            BinaryOp::And | BinaryOp::Unless => 2,
            BinaryOp::Add | BinaryOp::Sub => 4,
            BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
            BinaryOp::Pow => 7,
            _ => 3,
        };
        Some((op, precedence, op == BinaryOp::Pow))
    }

    fn binary(&mut self, least: u8) -> Result<Expr, ParseError> {
        self.deeper(|parser| {
            let mut left = parser.unary()?;
            while let Some((op, precedence, right_associative)) =
                parser.binary_op().filter(|(_, precedence, _)| *precedence >= least)
            {
                parser.chain()?;
                parser.next();
                let (return_bool, matching) = parser.matching(op)?;
                let right = parser.binary(if right_associative { precedence } else { precedence + 1 })?;
                let span = Span { start: left.span.start, end: right.span.end };
                let fill = matching.as_ref().is_some_and(|m| m.fill_left.is_some() || m.fill_right.is_some());
                if fill && !parser.options.binop_fill {
                    parser.readable()?;
                    return Err(parser.error(span, "binop fill modifiers are experimental and not enabled"));
                }
                left = Expr {
                    kind: ExprKind::Binary { op, return_bool, matching, left: Box::new(left), right: Box::new(right) },
                    span,
                };
            }
            Ok(left)
        })
    }

    fn unary(&mut self) -> Result<Expr, ParseError> {
        let minus = self.is("-");
        if !minus && !self.is("+") {
            let primary = self.primary()?;
            return self.postfix(primary);
        }
        let start = self.next().span.start;
        // Unary minus binds looser than `^` and tighter than `*`.
        let inner = self.binary(6)?;
        let span = Span { start, end: inner.span.end };
        let kind = match inner.kind {
            ExprKind::Number { value, duration } => ExprKind::Number { value: if minus { -value } else { value }, duration },
            kind => ExprKind::Unary { minus, inner: Box::new(Expr { kind, span: inner.span }) },
        };
        Ok(Expr { kind, span })
    }
}

/// How an error names a token.
fn describe(token: &Token, text: &str) -> String {
    let written = &text[token.span.start as usize..token.span.end as usize];
    let short = || match written.char_indices().nth(10) {
        Some((end, _)) => format!("{}...", go(&written[..end])),
        None if written.len() > 10 => format!("{}...", go(written)),
        None => go(written),
    };
    match &token.kind {
        Kind::End => "end of input".to_owned(),
        Kind::Text(_) => format!("string {}", short()),
        Kind::Number => format!("number {}", short()),
        Kind::Duration => format!("duration {}", short()),
        Kind::Word(Class::Identifier) => format!("identifier {}", go(written)),
        Kind::Word(Class::Metric) => format!("metric identifier {}", go(written)),
        Kind::Word(Class::Keyword) => format!("<{written}>"),
        Kind::Word(Class::Operator) => format!("<op:{written}>"),
        Kind::Word(Class::Aggregate) => format!("<aggr:{written}>"),
        Kind::Word(Class::Preprocessor) => go(written),
        Kind::Sign(sign) if matches!(*sign, "(" | ")" | "{" | "}" | "[" | "]" | "," | ":" | "=") => go(sign),
        Kind::Sign(sign) => format!("<op:{sign}>"),
        Kind::Error(message) => message.clone(),
    }
}

impl<'a> Parser<'a> {
    fn matching(&mut self, op: BinaryOp) -> Result<(bool, Option<Matching>), ParseError> {
        let return_bool = self.take_word("bool").is_some();
        let cardinality = if op.is_set() { Cardinality::ManyToMany } else { Cardinality::OneToOne };
        let mut matching = Matching { cardinality, ..Matching::default() };
        let mut written = false;
        if let Some(word) = self.take_word("on").or_else(|| self.take_word("ignoring")) {
            matching.on = word == "on";
            matching.labels = self.label_list()?;
            written = true;
            if let Some(word) = self.take_word("group_left").or_else(|| self.take_word("group_right")) {
                matching.cardinality = if word == "group_left" { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.is("(") {
                    matching.include = self.label_list()?;
                } else if self.ends_operand() {
                    return Err(self.unexpected_wanting("grouping opts", "\"(\""));
                }
            }
        }
        if self.take_word("fill").is_some() {
            let value = Some(self.fill_value()?);
            (matching.fill_left, matching.fill_right, written) = (value, value, true);
        } else {
            for _ in 0..2 {
                if matching.fill_left.is_none() && self.take_word("fill_left").is_some() {
                    (matching.fill_left, written) = (Some(self.fill_value()?), true);
                } else if matching.fill_right.is_none() && self.take_word("fill_right").is_some() {
                    (matching.fill_right, written) = (Some(self.fill_value()?), true);
                }
            }
        }
        Ok((return_bool, written.then_some(matching)))
    }

    fn take_word(&mut self, word: &'static str) -> Option<&'static str> {
        self.is_word(word).then(|| {
            self.next();
            word
        })
    }

    /// Reports whether no operand can begin here, nor a modifier that may stand before one.
    fn ends_operand(&self) -> bool {
        match self.peek().kind {
            Kind::Sign(sign) => !matches!(sign, "(" | "{" | "+" | "-"),
            Kind::Word(class) => is_reserved(self.written(self.peek()), class),
            Kind::Number | Kind::Duration | Kind::Text(_) | Kind::Error(_) => false,
            Kind::End => true,
        }
    }

    fn fill_value(&mut self) -> Result<f64, ParseError> {
        self.expect("(", "")?;
        let value = self.signed_number()?.ok_or_else(|| self.unexpected(""))?;
        self.expect(")", "")?;
        Ok(value)
    }

    /// Takes a number or duration with an optional sign; `None` where there is none.
    fn signed_number(&mut self) -> Result<Option<f64>, ParseError> {
        let minus = self.is("-");
        let _ = minus && self.take("-") || self.take("+");
        let value = self.literal()?.map(|(value, _)| value);
        Ok(value.map(|value| if minus { -value } else { value }))
    }

    /// Takes a number, or a duration as seconds; the flag tells which.
    fn literal(&mut self) -> Result<Option<(f64, bool)>, ParseError> {
        let token = self.peek().clone();
        let value = match token.kind {
            Kind::Number => parse_number(self.written(&token)).map(|value| (value, false)),
            Kind::Duration => parse_duration(self.written(&token)).map(|value| (value, true)),
            _ => return Ok(None),
        };
        self.next();
        value.map(Some).map_err(|message| self.error(token.span, message))
    }

    fn label_list(&mut self) -> Result<Vec<String>, ParseError> {
        let context = "grouping opts";
        self.expect("(", context)?;
        let mut labels = Vec::new();
        while !self.is(")") {
            let token = self.peek().clone();
            let label = match token.kind {
                Kind::Word(_) if !self.token_is_word(&token, "without") => Text::from(self.written(&token)),
                Kind::Text(text) => text,
                _ => return Err(self.unexpected_wanting(context, "label")),
            };
            let Some(name) = label.as_str().filter(|name| !name.is_empty()) else {
                return Err(self.error(token.span, format!("invalid label name for grouping: {label:?}")));
            };
            self.next();
            labels.push(name.to_owned());
            if !self.take(",") && !self.is(")") {
                return Err(self.unexpected_wanting(context, "\",\" or \")\""));
            }
        }
        self.next();
        Ok(labels)
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        let token = self.peek().clone();
        let start = token.span.start;
        let kind = match token.kind {
            Kind::Number | Kind::Duration => {
                let (value, duration) = self.literal()?.expect("the token is a literal");
                ExprKind::Number { value, duration }
            }
            Kind::Text(text) => {
                self.next();
                ExprKind::Text(text)
            }
            Kind::Sign("(") => {
                self.next();
                let inner = self.binary(0)?;
                self.expect(")", "")?;
                ExprKind::Paren(Box::new(inner))
            }
            Kind::Sign("{") => self.braces(None)?,
            Kind::Word(class) => self.word(class)?,
            _ => return Err(self.unexpected("")),
        };
        let end = self.tokens[self.at.saturating_sub(1)].span.end;
        Ok(Expr { kind, span: Span { start, end } })
    }

    fn word(&mut self, class: Class) -> Result<ExprKind, ParseError> {
        let second = self.peek_second().clone();
        let call = matches!(second.kind, Kind::Sign("("));
        let grouped = self.token_is_word(&second, "by") || self.token_is_word(&second, "without");
        let word = self.written(self.peek());
        match class {
            Class::Aggregate if call || grouped => {
                let op = AggregateOp::from_name(&word.to_ascii_lowercase()).expect("the lexer knows the same names");
                self.aggregate(op)
            }
            Class::Identifier | Class::Preprocessor if call => self.call(word),
            class => self.metric(class),
        }
    }

    /// A metric name, with or without braces; many keywords are names where nothing else fits.
    fn metric(&mut self, class: Class) -> Result<ExprKind, ParseError> {
        let word = self.written(self.peek());
        if is_reserved(word, class) {
            return Err(self.unexpected(""));
        }
        self.next();
        if self.is("{") { self.braces(Some(word.to_owned())) } else { self.named(word) }
    }

    fn named(&self, name: &str) -> Result<ExprKind, ParseError> {
        let matchers = vec![Matcher::equal("__name__", name)];
        Ok(ExprKind::Selector(Selector { name: Some(name.to_owned()), matchers, modifiers: Modifiers::default() }))
    }

    fn braces(&mut self, name: Option<String>) -> Result<ExprKind, ParseError> {
        self.next();
        let mut matchers = Vec::new();
        while !self.is("}") {
            let token = self.peek().clone();
            match token.kind {
                Kind::Word(_) => {
                    self.next();
                    matchers.push(self.matcher(self.written(&token), token.span.start)?);
                }
                Kind::Text(text) => {
                    self.next();
                    match self.peek().kind {
                        Kind::Sign("=" | "!=" | "=~" | "!~") => matchers.push(self.matcher(&text.to_lossy(), token.span.start)?),
                        _ => matchers.push(Matcher::equal("__name__", &text.to_lossy())),
                    }
                }
                _ => return Err(self.unexpected_wanting("label matching", "identifier or \"}\"")),
            }
            if !self.take(",") && !self.is("}") {
                return Err(self.unexpected_wanting("label matching", "\",\" or \"}\""));
            }
        }
        self.next();
        if let Some(name) = &name {
            matchers.push(Matcher::equal("__name__", name));
        }
        Ok(ExprKind::Selector(Selector { name, matchers, modifiers: Modifiers::default() }))
    }

    /// Takes `a="b", …}`.
    fn label_set(&mut self) -> Result<Vec<(String, String)>, ParseError> {
        let context = "label set";
        let mut labels = Vec::new();
        while !self.is("}") {
            let token = self.peek().clone();
            let (label, quoted) = match token.kind {
                Kind::Word(_) => (self.written(&token).to_owned(), false),
                Kind::Text(text) => (text.to_lossy().into_owned(), true),
                _ => return Err(self.unexpected_wanting(context, "identifier or \"}\"")),
            };
            self.next();
            if self.take("=") {
                let Kind::Text(value) = self.peek().kind.clone() else { return Err(self.unexpected_wanting(context, "string")) };
                self.next();
                labels.push((label, value.to_lossy().into_owned()));
            } else if quoted {
                labels.push(("__name__".to_owned(), label));
            } else {
                return Err(self.unexpected_wanting(context, "\"=\""));
            }
            if !self.take(",") && !self.is("}") {
                return Err(self.unexpected_wanting(context, "\",\" or \"}\""));
            }
        }
        self.next();
        Ok(labels)
    }

    fn matcher(&mut self, label: &str, start: u32) -> Result<Matcher, ParseError> {
        let op = match self.peek().kind {
            Kind::Sign("=") => MatchOp::Equal,
            Kind::Sign("!=") => MatchOp::NotEqual,
            Kind::Sign("=~") => MatchOp::Regex,
            Kind::Sign("!~") => MatchOp::NotRegex,
            _ => return Err(self.unexpected_wanting("label matching", "label matching operator")),
        };
        self.next();
        let token = self.peek().clone();
        let Kind::Text(value) = token.kind else { return Err(self.unexpected_wanting("label matching", "string")) };
        self.next();
        let span = Span { start, end: token.span.end };
        if let (MatchOp::Regex | MatchOp::NotRegex, None) = (op, value.as_str()) {
            let rest = value.as_bytes().utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
            let rest = Text::from_bytes(value.as_bytes()[rest..].to_vec());
            return Err(self.error(span, format!("error parsing regexp: invalid UTF-8: `{}`", rest.to_lossy())));
        }
        Matcher::new(label, op, &value.to_lossy()).map_err(|error| self.error(span, error.to_string()))
    }

    fn aggregate(&mut self, op: AggregateOp) -> Result<ExprKind, ParseError> {
        let start = self.next().span.start;
        self.aggregations += 1;
        let mut grouping = self.grouping()?;
        self.expect("(", "")?;
        let mut args = self.arguments()?;
        self.aggregations -= 1;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let span = Span { start, end: self.tokens[self.at - 1].span.end };
        // Only where a grouping could follow has upstream read on.
        if grouping.is_none() {
            self.readable()?;
        }
        let wanted = if takes_param(op) { 2 } else { 1 };
        let name = op.as_str();
        if args.is_empty() {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        }
        if matches!(op, AggregateOp::LimitK | AggregateOp::LimitRatio) && !self.options.experimental_functions {
            let flag = "--enable-feature=promql-experimental-functions";
            return Err(self.error(span, format!("{name}() is experimental and must be enabled with {flag}")));
        }
        if args.len() != wanted {
            let what = "wrong number of arguments for aggregate expression provided";
            return Err(self.error(span, format!("{what}, expected {wanted}, got {}", args.len())));
        }
        let input = Box::new(args.pop().expect("the count was checked"));
        Ok(ExprKind::Aggregate { op, grouping: grouping.unwrap_or_default(), param: args.pop().map(Box::new), input })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        if !self.is_word("by") && !self.is_word("without") {
            return Ok(None);
        }
        let without = self.is_word("without");
        self.next();
        Ok(Some(Grouping { without, labels: self.label_list()? }))
    }

    fn call(&mut self, name: &str) -> Result<ExprKind, ParseError> {
        let token = self.next();
        self.expect("(", "")?;
        let args = self.arguments()?;
        let Some(function) = Function::from_name(name) else {
            return Err(self.error(token.span, format!("unknown function with name {}", go(name))));
        };
        if crate::functions::is_experimental(function) && !self.options.experimental_functions {
            return Err(self.error(token.span, format!("function {} is not enabled", go(name))));
        }
        Ok(ExprKind::Call { function, args })
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, ParseError> {
        let mut args = Vec::new();
        if self.take(")") {
            return Ok(args);
        }
        loop {
            args.push(self.binary(0)?);
            let comma = self.peek().span;
            if !self.take(",") {
                break;
            }
            if self.ends_operand() {
                return Err(self.error(comma, "trailing commas not allowed in function call args"));
            }
        }
        self.expect(")", "")?;
        Ok(args)
    }

    fn postfix(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        loop {
            if self.is("[") {
                self.chain()?;
                expr = self.brackets(expr)?;
            } else if self.take_word("offset").is_some() {
                let offset = self.offset_duration()?;
                let span = expr.span;
                let modifiers = self.modifiers(&mut expr, "offset modifier")?;
                if modifiers.offset.is_some() {
                    return Err(self.error(span, "offset may not be set multiple times"));
                }
                modifiers.offset = Some(offset).filter(|d| !matches!(d, Duration::Literal { seconds, .. } if *seconds == 0.0));
                expr.span.end = self.tokens[self.at - 1].span.end;
            } else if self.take("@") {
                let at = self.at_operand(expr.span)?;
                let span = expr.span;
                let modifiers = self.modifiers(&mut expr, "@ modifier")?;
                if modifiers.at.is_some() {
                    return Err(self.error(span, "@ <timestamp> may not be set multiple times"));
                }
                modifiers.at = Some(at);
                expr.span.end = self.tokens[self.at - 1].span.end;
            } else if self.take_word("anchored").is_some() {
                self.extend(&mut expr, Extension::Anchored, "anchored")?;
            } else if self.take_word("smoothed").is_some() {
                self.extend(&mut expr, Extension::Smoothed, "smoothed")?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn extend(&self, expr: &mut Expr, extension: Extension, word: &str) -> Result<(), ParseError> {
        let span = expr.span;
        if !self.options.extended_range_selectors {
            return Err(self.error(span, format!("{word} modifier is experimental and not enabled")));
        }
        match &expr.kind {
            ExprKind::Selector(_) | ExprKind::Matrix { .. } => {}
            ExprKind::Subquery { .. } => {
                return Err(self.error(span, format!("{word} modifier is not supported for subqueries")));
            }
            _ => return Err(self.error(span, format!("{word} modifier not implemented"))),
        }
        let modifiers = self.modifiers(expr, "modifier")?;
        if modifiers.extension != Extension::None && modifiers.extension != extension {
            return Err(self.error(span, "anchored and smoothed modifiers cannot be used together"));
        }
        modifiers.extension = extension;
        Ok(())
    }

    fn modifiers<'e>(&self, expr: &'e mut Expr, what: &str) -> Result<&'e mut Modifiers, ParseError> {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Selector(selector) => Ok(&mut selector.modifiers),
            ExprKind::Matrix { selector, .. } => match &mut selector.kind {
                ExprKind::Selector(selector) => Ok(&mut selector.modifiers),
                _ => Err(self.error(span, "a range is over a selector")),
            },
            ExprKind::Subquery { modifiers, .. } => Ok(modifiers),
            _ => Err(self.error(
                span,
                format!("{what} must be preceded by an instant vector selector or range vector selector or a subquery"),
            )),
        }
    }

    fn at_operand(&mut self, target: Span) -> Result<At, ParseError> {
        let wanted = |parser: &Self| parser.unexpected_wanting("@", "timestamp");
        if let Some(word) = self.take_word("start").or_else(|| self.take_word("end")) {
            for sign in ["(", ")"] {
                if !self.take(sign) {
                    return Err(wanted(self));
                }
            }
            return Ok(if word == "start" { At::Start } else { At::End });
        }
        let value = self.signed_number()?.ok_or_else(|| wanted(self))?;
        if !value.is_finite() || value.abs() >= i64::MAX as f64 {
            let shown = if value.is_finite() { format!("{value:.6}") } else { crate::number::print_number(value) };
            return Err(self.error(target, format!("timestamp out of bounds for @ modifier: {shown}")));
        }
        Ok(At::Time((value * 1000.0).round() as i64))
    }
}

fn go(text: &str) -> String {
    model::quote::go_quote(text)
}

fn takes_param(op: AggregateOp) -> bool {
    matches!(
        op,
        AggregateOp::TopK
            | AggregateOp::BottomK
            | AggregateOp::CountValues
            | AggregateOp::Quantile
            | AggregateOp::LimitK
            | AggregateOp::LimitRatio
    )
}
