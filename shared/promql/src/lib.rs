//! PromQL: text to tree to plan.
//!
//! Owns: the grammar with Prometheus's error texts and byte positions, the type checker, the lowering to [`plan::LogicalPlan`].
//! Does not own: what functions and operators compute (`plan`), HTTP, reading samples. `promql` does no IO.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod ast;
pub mod check;
pub mod error;
pub mod functions;
mod lexer;
pub mod limits;
pub mod lower;
mod number;
pub mod options;
mod parser;
pub mod print;

pub use ast::Expr;
pub use error::{LowerError, ParseError};
pub use lower::{EvalParams, lower};
pub use options::Options;
pub use print::{prettify, print};

#[cfg(test)]
mod tests;

/// Parses and checks a query.
pub fn parse(text: &str, options: &Options) -> Result<Expr, ParseError> {
    let expr = parser::expression(text, options)?;
    check::expression(text, &expr)?;
    Ok(expr)
}

/// Parses a bare selector: `match[]`. Types are not checked: whether a matcher excludes the empty string is the caller's rule.
pub fn parse_selector(text: &str, options: &Options) -> Result<Vec<model::Matcher>, ParseError> {
    Ok(parser::selector(text, options)?.matchers)
}

/// Parses a series as written, `name{a="b"}`, into names and values in order of writing; a name comes last as `__name__`.
pub fn parse_metric(text: &str) -> Result<Vec<(String, String)>, ParseError> {
    parser::metric(text)
}
