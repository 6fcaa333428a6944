//! Why a query was refused, in Prometheus's words.

use model::ErrorKind;

use crate::ast::Span;
use crate::functions::Type;

/// A query text that is not PromQL. Prints as the API does: `1:5: parse error: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// 1-based line of `span.start`; 0 where there is no text to stand in.
    pub line: usize,
    /// 1-based column of `span.start`, bytes.
    pub column: usize,
}

impl ParseError {
    /// Makes an error at a place of `text`.
    pub fn at(text: &str, span: Span, message: impl Into<String>) -> ParseError {
        let before = &text.as_bytes()[..(span.start as usize).min(text.len())];
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1);
        let line = if text.is_empty() { 0 } else { before.iter().filter(|b| **b == b'\n').count() + 1 };
        ParseError { message: message.into(), span, line, column: before.len() - line_start + 1 }
    }

    /// Returns what the caller should do.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "unknown position: parse error: {}", self.message),
            line => write!(f, "{line}:{}: parse error: {}", self.column, self.message),
        }
    }
}

impl std::error::Error for ParseError {}

/// A parsed query that cannot be evaluated. Prints as the API does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LowerError {
    /// The value of a duration is not what its place takes; printed with the bytes where it stands:
    /// `4:10: duration must be greater than 0`.
    Duration {
        /// What is wrong.
        message: &'static str,
        /// Where.
        span: Span,
    },
    /// A range query of what has no value per step.
    Type(Type),
}

impl std::fmt::Display for LowerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LowerError::Duration { message, span } => write!(f, "{}:{}: {message}", span.start, span.end),
            LowerError::Type(found) => {
                write!(f, "invalid expression type \"{}\" for range query, must be Scalar or instant Vector", found.as_str())
            }
        }
    }
}

impl std::error::Error for LowerError {}
