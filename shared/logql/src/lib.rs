//! LogQL: text to tree to plan.
//!
//! Owns: the grammar with Loki's error texts, the canonical and the pretty form, the lowering to [`plan::LogicalPlan`].
//! Does not own: what stages and functions compute (`plan`), HTTP, reading entries. `logql` does no IO.
//!
//! The pipeline's and the language's rules are those of Loki at `main` of August 2026; where its data and its text differ, the
//! data decides.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod ast;
mod entry_filter;
pub mod error;
mod lexer;
pub mod limits;
mod lower;
mod number;
mod optimize;
mod parser;
mod pretty;
mod print;
mod token;
mod validate;

pub use ast::Expr;
pub use entry_filter::entry_filter;
pub use error::{Error, ParseError};
pub use lower::{Params, lower};
pub use optimize::optimize;
pub use pretty::pretty;
pub use print::print;

use model::Matcher;

/// Parses a query and checks its meaning as Loki's `ParseExpr` does.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let expr = parser::expression(text)?;
    validate::expression(&expr)?;
    Ok(expr)
}

/// Parses a bare stream selector: the `query` of labels, series, volume. `{}` is allowed; [`check_selector`] refuses it.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, Error> {
    match parser::expression(text)? {
        Expr::Log(log) if log.stages.is_empty() => Ok(log.matchers),
        _ => Err(Error::OnlyMatchers),
    }
}

/// Refuses a selector that would read every stream: some matcher must reject the empty value.
pub fn check_selector(matchers: &[Matcher]) -> Result<(), ParseError> {
    validate::matchers(matchers)
}

#[cfg(test)]
mod tests;
