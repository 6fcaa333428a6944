//! Tokens to tree: a Pratt parser (upstream `promql/parser/generated_parser.y`).
//!
//! Owns: the grammar and the texts of syntax errors. Does not own: types ([`crate::check`]).

use model::{MatchOp, Matcher};
use plan::logical::Cardinality;

use crate::ast::*;
use crate::error::ParseError;
use crate::lexer::{Kind, Token, tokens};
use crate::limits::DEPTH_MAX;
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
    let expr = parser.primary()?;
    match (expr.kind, &parser.peek().kind) {
        (ExprKind::Selector(selector), Kind::End) => Ok(selector),
        _ => Err(parser.unexpected("")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    options: &'a Options,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, options: &'a Options) -> Result<Parser<'a>, ParseError> {
        Ok(Parser { text, tokens: tokens(text)?, at: 0, depth: 0, options })
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
        matches!(&self.peek().kind, Kind::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, sign: &str, context: &str) -> Result<Token, ParseError> {
        if self.is(sign) { Ok(self.next()) } else { Err(self.unexpected_wanting(context, &format!("\"{sign}\""))) }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::at(self.text, span, message)
    }

    fn unexpected(&self, context: &str) -> ParseError {
        let token = self.peek();
        let context = if context.is_empty() { String::new() } else { format!(" in {context}") };
        self.error(token.span, format!("unexpected {}{context}", describe(token, self.text)))
    }

    fn unexpected_wanting(&self, context: &str, wanted: &str) -> ParseError {
        let token = self.peek();
        self.error(token.span, format!("unexpected {} in {context}, expected {wanted}", describe(token, self.text)))
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
            Kind::Word(word) => match word.to_ascii_lowercase().as_str() {
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
                parser.next();
                let (return_bool, matching) = parser.matching(op)?;
                let right = parser.binary(if right_associative { precedence } else { precedence + 1 })?;
                let span = Span { start: left.span.start, end: right.span.end };
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
    match &token.kind {
        Kind::End => "end of input".to_owned(),
        Kind::Text(_) => format!("string {}", model::quote::go_quote(written)),
        Kind::Number(_) => format!("number {}", model::quote::go_quote(written)),
        Kind::Duration(_) => format!("duration {}", model::quote::go_quote(written)),
        Kind::Word(_) => format!("identifier {}", model::quote::go_quote(written)),
        Kind::Sign("{") => "\"{\"".to_owned(),
        Kind::Sign(sign) if matches!(*sign, "(" | ")" | "}" | "[" | "]" | "," | ":") => format!("\"{sign}\""),
        Kind::Sign(_) => format!("<op:{written}>"),
    }
}

impl Parser<'_> {
    fn matching(&mut self, op: BinaryOp) -> Result<(bool, Option<Matching>), ParseError> {
        let return_bool = self.is_word("bool");
        if return_bool {
            let token = self.next();
            if !op.is_comparison() {
                return Err(self.error(token.span, "bool modifier can only be used on comparison operators"));
            }
        }
        let cardinality = if op.is_set() { Cardinality::ManyToMany } else { Cardinality::OneToOne };
        let mut matching = Matching { cardinality, ..Matching::default() };
        let mut written = false;
        if self.is_word("on") || self.is_word("ignoring") {
            matching.on = self.is_word("on");
            self.next();
            matching.labels = self.label_list("grouping opts")?;
            written = true;
            if self.is_word("group_left") || self.is_word("group_right") {
                let token = self.next();
                if op.is_set() {
                    return Err(self.error(token.span, format!("no grouping allowed for {:?} operation", op.as_str())));
                }
                let left = token_word(&token).eq_ignore_ascii_case("group_left");
                matching.cardinality = if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.is("(") {
                    matching.include = self.label_list("grouping opts")?;
                }
            }
        }
        while self.is_word("fill") || self.is_word("fill_left") || self.is_word("fill_right") {
            let token = self.next();
            if !self.options.binop_fill {
                return Err(self.error(token.span, "binop fill modifiers are experimental and not enabled"));
            }
            self.expect("(", "fill modifier")?;
            let minus = self.take("-");
            let _ = self.take("+");
            let value = match self.next().kind {
                Kind::Number(value) | Kind::Duration(value) => value,
                Kind::Word(word) => word_number(&word).ok_or_else(|| self.unexpected("fill modifier"))?,
                _ => return Err(self.unexpected("fill modifier")),
            };
            self.expect(")", "fill modifier")?;
            let value = if minus { -value } else { value };
            match token_word(&token).to_ascii_lowercase().as_str() {
                "fill_left" => matching.fill_left = Some(value),
                "fill_right" => matching.fill_right = Some(value),
                _ => (matching.fill_left, matching.fill_right) = (Some(value), Some(value)),
            }
            written = true;
        }
        Ok((return_bool, written.then_some(matching)))
    }

    fn label_list(&mut self, context: &str) -> Result<Vec<String>, ParseError> {
        self.expect("(", context)?;
        let mut labels = Vec::new();
        while !self.is(")") {
            match self.next().kind {
                Kind::Word(word) => labels.push(word),
                Kind::Text(text) => labels.push(text),
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected_wanting(context, "label"));
                }
            }
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
            Kind::Number(value) => {
                self.next();
                ExprKind::Number { value, duration: false }
            }
            Kind::Duration(value) => {
                self.next();
                ExprKind::Number { value, duration: true }
            }
            Kind::Text(text) => {
                self.next();
                ExprKind::Text(text)
            }
            Kind::Sign("(") => {
                self.next();
                let inner = self.binary(0)?;
                self.expect(")", "paren expression")?;
                ExprKind::Paren(Box::new(inner))
            }
            Kind::Sign("{") => self.braces(None)?,
            Kind::Word(word) => self.word(&word)?,
            _ => return Err(self.unexpected("")),
        };
        let end = self.tokens[self.at.saturating_sub(1)].span.end;
        Ok(Expr { kind, span: Span { start, end } })
    }

    fn word(&mut self, word: &str) -> Result<ExprKind, ParseError> {
        let call = matches!(self.peek_second().kind, Kind::Sign("("));
        let grouped = matches!(&self.peek_second().kind, Kind::Word(w) if w.eq_ignore_ascii_case("by") || w.eq_ignore_ascii_case("without"));
        let lower = word.to_ascii_lowercase();
        if let Some(op) = AggregateOp::from_name(&lower).filter(|op| is_promql_aggregate(*op)).filter(|_| call || grouped) {
            return self.aggregate(op);
        }
        if call {
            return self.call(word);
        }
        if let Some(value) = word_number(word).filter(|_| !matches!(self.peek_second().kind, Kind::Sign("{"))) {
            self.next();
            return Ok(ExprKind::Number { value, duration: false });
        }
        if !model::labels::is_legacy_metric_name(word) {
            return Err(self.error(self.peek().span, format!("unexpected character: '{word}'")));
        }
        self.next();
        if self.is("{") { self.braces(Some(word.to_owned())) } else { self.named(word) }
    }

    fn named(&self, name: &str) -> Result<ExprKind, ParseError> {
        let matchers = vec![Matcher::equal("__name__", name)];
        Ok(ExprKind::Selector(Selector { name: Some(name.to_owned()), matchers, modifiers: Modifiers::default() }))
    }

    fn braces(&mut self, name: Option<String>) -> Result<ExprKind, ParseError> {
        let open = self.next().span;
        let mut matchers = Vec::new();
        let mut quoted_name = None;
        while !self.is("}") {
            let token = self.next();
            let (label, quoted) = match token.kind {
                Kind::Word(word) => (word, false),
                Kind::Text(text) => (text, true),
                _ => {
                    self.at -= 1;
                    return Err(self.unexpected_wanting("label matching", "identifier or \"}\""));
                }
            };
            if quoted && (self.is(",") || self.is("}")) {
                if name.is_some() || quoted_name.is_some() {
                    let set = name.as_ref().or(quoted_name.as_ref()).cloned().unwrap_or_default();
                    return Err(
                        self.error(token.span, format!("metric name must not be set twice: {} or {}", go(&set), go(&label)))
                    );
                }
                quoted_name = Some(label);
            } else {
                matchers.push(self.matcher(&label)?);
            }
            if !self.take(",") && !self.is("}") {
                return Err(self.unexpected_wanting("label matching", "\",\" or \"}\""));
            }
        }
        let close = self.next().span;
        let span = Span { start: open.start, end: close.end };
        let name = name.or(quoted_name);
        if let Some(name) = &name {
            if let Some(other) = matchers.iter().find(|matcher| matcher.name() == "__name__") {
                return Err(self.error(span, format!("metric name must not be set twice: {} or {}", go(name), go(other.value()))));
            }
            matchers.push(Matcher::equal("__name__", name));
        }
        Ok(ExprKind::Selector(Selector { name, matchers, modifiers: Modifiers::default() }))
    }

    fn matcher(&mut self, label: &str) -> Result<Matcher, ParseError> {
        let token = self.next();
        let op = match token.kind {
            Kind::Sign("=") => MatchOp::Equal,
            Kind::Sign("!=") => MatchOp::NotEqual,
            Kind::Sign("=~") => MatchOp::Regex,
            Kind::Sign("!~") => MatchOp::NotRegex,
            _ => {
                self.at -= 1;
                return Err(self.unexpected_wanting("label matching", "label matching operator"));
            }
        };
        let token = self.next();
        let Kind::Text(value) = token.kind else {
            self.at -= 1;
            return Err(self.unexpected_wanting("label matching", "string"));
        };
        Matcher::new(label, op, &value).map_err(|error| self.error(token.span, error.to_string()))
    }

    fn aggregate(&mut self, op: AggregateOp) -> Result<ExprKind, ParseError> {
        self.next();
        let mut grouping = self.grouping()?;
        let open = self.expect("(", "aggregation")?;
        let mut args = self.arguments("aggregation")?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let wanted = if takes_param(op) { 2 } else { 1 };
        if args.len() != wanted {
            let message = if args.is_empty() {
                "no arguments for aggregate expression provided".to_owned()
            } else {
                format!("wrong number of arguments for aggregate expression provided, expected {wanted}, got {}", args.len())
            };
            return Err(self.error(open.span, message));
        }
        if matches!(op, AggregateOp::LimitK | AggregateOp::LimitRatio) && !self.options.experimental_functions {
            return Err(self.error(
                open.span,
                format!(
                    "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                    op.as_str()
                ),
            ));
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
        Ok(Some(Grouping { without, labels: self.label_list("grouping opts")? }))
    }

    fn call(&mut self, name: &str) -> Result<ExprKind, ParseError> {
        let token = self.next();
        let Some(function) = Function::from_name(name) else {
            return Err(self.error(token.span, format!("unknown function with name {}", go(name))));
        };
        if crate::functions::is_experimental(function) && !self.options.experimental_functions {
            return Err(self.error(token.span, format!("function {} is not enabled", go(name))));
        }
        self.expect("(", "function call")?;
        Ok(ExprKind::Call { function, args: self.arguments("function call")? })
    }

    fn arguments(&mut self, context: &str) -> Result<Vec<Expr>, ParseError> {
        let mut args = Vec::new();
        while !self.is(")") {
            args.push(self.binary(0)?);
            if self.take(",") {
                if self.is(")") {
                    return Err(self.error(self.peek().span, "trailing commas not allowed in function call args"));
                }
            } else if !self.is(")") {
                return Err(self.unexpected(context));
            }
        }
        self.next();
        Ok(args)
    }

    fn postfix(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        loop {
            let end = if self.is("[") {
                expr = self.brackets(expr)?;
                continue;
            } else if self.is_word("offset") {
                self.next();
                let offset = self.duration_operand()?;
                let modifiers = self.modifiers(&mut expr, "offset modifier")?;
                if modifiers.offset.is_some() {
                    return Err(self.error(expr.span, "offset may not be set multiple times"));
                }
                modifiers.offset = Some(offset);
                self.tokens[self.at - 1].span.end
            } else if self.is("@") {
                self.next();
                let at = self.at_operand()?;
                let modifiers = self.modifiers(&mut expr, "@ modifier")?;
                if modifiers.at.is_some() {
                    return Err(self.error(expr.span, "@ <timestamp> may not be set multiple times"));
                }
                modifiers.at = Some(at);
                self.tokens[self.at - 1].span.end
            } else if self.is_word("anchored") || self.is_word("smoothed") {
                let token = self.next();
                let anchored = token_word(&token).eq_ignore_ascii_case("anchored");
                if !self.options.extended_range_selectors {
                    let word = if anchored { "anchored" } else { "smoothed" };
                    return Err(self.error(token.span, format!("{word} modifier is experimental and not enabled")));
                }
                self.modifiers(&mut expr, "modifier")?.extension =
                    if anchored { Extension::Anchored } else { Extension::Smoothed };
                token.span.end
            } else {
                return Ok(expr);
            };
            expr.span.end = end;
        }
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

    fn at_operand(&mut self) -> Result<At, ParseError> {
        if (self.is_word("start") || self.is_word("end")) && matches!(self.peek_second().kind, Kind::Sign("(")) {
            let start = self.is_word("start");
            self.next();
            self.next();
            self.expect(")", "@ modifier")?;
            return Ok(if start { At::Start } else { At::End });
        }
        let minus = self.take("-");
        let _ = !minus && self.take("+");
        let token = self.next();
        let value = match &token.kind {
            Kind::Number(value) | Kind::Duration(value) => *value,
            Kind::Word(word) if word_number(word).is_some() => f64::NAN,
            _ => {
                self.at -= 1;
                return Err(self.unexpected_wanting("@", "timestamp"));
            }
        };
        let ms = (if minus { -value } else { value }) * 1000.0;
        if !ms.is_finite() || ms.abs() >= i64::MAX as f64 {
            return Err(self.error(token.span, format!("timestamp out of bounds for @ modifier: {value}")));
        }
        Ok(At::Time(ms.round() as i64))
    }

    fn brackets(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        let open = self.next().span;
        let range = self.duration(0)?;
        if let Duration::Seconds(seconds) = range
            && seconds <= 0.0
        {
            return Err(self.error(Span { start: open.end, end: open.end + 1 }, "duration must be greater than 0"));
        }
        let subquery = self.take(":");
        let step = if subquery && !self.is("]") { Some(self.duration(0)?) } else { None };
        let close = self.expect("]", if subquery { "subquery selector" } else { "matrix selector" })?.span;
        let span = Span { start: expr.span.start, end: close.end };
        if subquery {
            return Ok(Expr {
                kind: ExprKind::Subquery { inner: Box::new(expr), range, step, modifiers: Modifiers::default() },
                span,
            });
        }
        match &expr.kind {
            ExprKind::Selector(selector) if selector.modifiers.offset.is_some() => {
                Err(self.error(span, "no offset modifiers allowed before range"))
            }
            ExprKind::Selector(selector) if selector.modifiers.at.is_some() => {
                Err(self.error(span, "no @ modifiers allowed before range"))
            }
            ExprKind::Selector(_) => Ok(Expr { kind: ExprKind::Matrix { selector: Box::new(expr), range }, span }),
            _ => Err(self.error(span, "ranges only allowed for vector selectors")),
        }
    }

    /// A duration expression inside brackets.
    fn duration(&mut self, least: u8) -> Result<Duration, ParseError> {
        self.deeper(|parser| {
            let mut left = parser.duration_operand()?;
            loop {
                let (op, precedence) = match parser.peek().kind {
                    Kind::Sign("+") => (DurationOp::Add, 1),
                    Kind::Sign("-") => (DurationOp::Sub, 1),
                    Kind::Sign("*") => (DurationOp::Mul, 2),
                    Kind::Sign("/") => (DurationOp::Div, 2),
                    Kind::Sign("%") => (DurationOp::Mod, 2),
                    Kind::Sign("^") => (DurationOp::Pow, 4),
                    _ => return Ok(left),
                };
                if precedence < least {
                    return Ok(left);
                }
                parser.next();
                let right = parser.duration(if op == DurationOp::Pow { precedence } else { precedence + 1 })?;
                left = Duration::Binary(op, Box::new(left), Box::new(right));
            }
        })
    }

    /// What `offset` takes without parentheses.
    fn duration_operand(&mut self) -> Result<Duration, ParseError> {
        let token = self.next();
        match &token.kind {
            Kind::Number(seconds) | Kind::Duration(seconds) => Ok(Duration::Seconds(*seconds)),
            Kind::Sign("+") => self.deeper(Self::duration_operand),
            Kind::Sign("-") => Ok(Duration::Negate(Box::new(self.deeper(|parser| parser.duration(3))?))),
            Kind::Sign("(") => {
                let inner = self.duration(0)?;
                self.expect(")", "duration expression")?;
                Ok(inner)
            }
            Kind::Word(word) => {
                let word = word.to_ascii_lowercase();
                self.expect("(", "duration expression")?;
                let duration = match word.as_str() {
                    "step" => Duration::Step,
                    "range" => Duration::Range,
                    "min_of" | "max_of" => {
                        let left = self.duration(0)?;
                        self.expect(",", "duration expression")?;
                        let right = self.duration(0)?;
                        Duration::Binary(
                            if word == "min_of" { DurationOp::Min } else { DurationOp::Max },
                            Box::new(left),
                            Box::new(right),
                        )
                    }
                    _ => {
                        return Err(self.error(token.span, format!("unexpected identifier {} in duration expression", go(&word))));
                    }
                };
                self.expect(")", "duration expression")?;
                Ok(duration)
            }
            _ => {
                self.at -= 1;
                Err(self.unexpected_wanting("duration expression", "duration"))
            }
        }
    }
}

fn go(text: &str) -> String {
    model::quote::go_quote(text)
}

fn token_word(token: &Token) -> &str {
    match &token.kind {
        Kind::Word(word) => word,
        _ => "",
    }
}

fn word_number(word: &str) -> Option<f64> {
    match word.to_ascii_lowercase().as_str() {
        "inf" => Some(f64::INFINITY),
        "nan" => Some(f64::NAN),
        _ => None,
    }
}

fn is_promql_aggregate(op: AggregateOp) -> bool {
    !matches!(op, AggregateOp::Sort | AggregateOp::SortDesc | AggregateOp::ApproxTopK)
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
