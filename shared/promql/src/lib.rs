//! PromQL: text to tree to plan.
//!
//! Owns: the grammar with Prometheus's error texts and byte positions, the type checker, the lowering to [`plan::LogicalPlan`].
//! Does not own: what functions and operators compute (`plan`), HTTP, reading samples. `promql` does no IO.

pub mod ast;
pub mod check;
pub mod error;
pub mod functions;
mod lexer;
pub mod limits;
pub mod lower;
pub mod options;
mod parser;

pub use ast::Expr;
pub use error::ParseError;
pub use lower::{EvalParams, lower};
pub use options::Options;

/// Parses and checks a query.
pub fn parse(text: &str, options: &Options) -> Result<Expr, ParseError> {
    let expr = parser::expression(text, options)?;
    check::expression(text, &expr)?;
    Ok(expr)
}

/// Parses a bare selector: `match[]`.
pub fn parse_selector(text: &str, options: &Options) -> Result<Vec<model::Matcher>, ParseError> {
    Ok(parser::selector(text, options)?.matchers)
}
