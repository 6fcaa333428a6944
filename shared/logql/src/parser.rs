//! Tokens to tree: precedence climbing for operators, one function per construct.
//!
//! Error texts name what was found and, where few tokens could follow, what was expected; where many could, Loki names none.

mod logs;
mod metrics;

use plan::logical::Span;

use crate::ast::Expr;
use crate::error::ParseError;
use crate::lexer;
use crate::limits::{CHAIN_MAX, NESTING_MAX, TEXT_BYTES_MAX};
use crate::token::{Kind, Token};

/// Parses a query without looking at its meaning.
pub(crate) fn expression(text: &str) -> Result<Expr, ParseError> {
    if text.len() >= TEXT_BYTES_MAX {
        return Err(ParseError::meaning(format!("input size too long ({} > {TEXT_BYTES_MAX})", text.len())));
    }
    if text.is_empty() {
        return Err(ParseError::meaning("syntax error: unexpected $end"));
    }
    let mut parser = Parser { tokens: lexer::tokens(text), at: 0, depth: 0, chained: 0 };
    let expr = parser.expression(0)?;
    match parser.peek() {
        Kind::End => Ok(expr),
        _ => Err(parser.unexpected(&[])),
    }
}

pub(crate) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    chained: usize,
}

impl Parser {
    fn token(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn peek(&self) -> &Kind {
        &self.token().kind
    }

    fn peek_after(&self) -> &Kind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    fn bump(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        kind
    }

    fn start(&self) -> u32 {
        self.token().span.start
    }

    /// Returns the span from `start` to the end of the token read last.
    fn span_from(&self, start: u32) -> Span {
        let end = self.at.checked_sub(1).map_or(start, |last| self.tokens[last].span.end);
        Span { start, end: end.max(start) }
    }

    fn unexpected(&self, expected: &[&str]) -> ParseError {
        let token = self.token();
        let message = match &token.kind {
            Kind::Malformed { fault: message, .. } | Kind::Fault(message) => message.clone(),
            kind if expected.is_empty() => format!("syntax error: unexpected {}", kind.name()),
            kind => format!("syntax error: unexpected {}, expecting {}", kind.name(), expected.join(" or ")),
        };
        ParseError { message, position: Some((token.line, token.column)) }
    }

    fn accept(&mut self, fixed: &str) -> bool {
        let found = self.peek().is(fixed);
        if found {
            self.bump();
        }
        found
    }

    fn expect(&mut self, fixed: &str, expected: &[&str]) -> Result<(), ParseError> {
        if self.accept(fixed) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn identifier(&mut self, expected: &[&str]) -> Result<String, ParseError> {
        match self.peek() {
            Kind::Identifier(_) => match self.bump() {
                Kind::Identifier(name) => Ok(name),
                _ => Err(self.unexpected(expected)),
            },
            _ => Err(self.unexpected(expected)),
        }
    }

    fn string(&mut self, expected: &[&str]) -> Result<String, ParseError> {
        match self.peek() {
            Kind::Text(_) => match self.bump() {
                Kind::Text(text) => Ok(text),
                _ => Err(self.unexpected(expected)),
            },
            _ => Err(self.unexpected(expected)),
        }
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Parser) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth >= NESTING_MAX {
            return Err(ParseError::meaning(format!("query is nested deeper than {NESTING_MAX}")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Counts an operator whose tree grows with the chain.
    fn chain(&mut self) -> Result<(), ParseError> {
        self.chained += 1;
        if self.chained > CHAIN_MAX {
            return Err(ParseError::meaning(format!("query has more than {CHAIN_MAX} operators")));
        }
        Ok(())
    }
}
