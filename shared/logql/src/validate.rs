//! What Loki checks once a query is parsed: parts that mean nothing, and selectors that would read every stream.

use model::Matcher;
use plan::logical::AggregateOp;

use crate::ast::{Expr, MetricExpr};
use crate::error::ParseError;

/// Loki's text for a selector without a matcher that narrows.
pub(crate) const SELECTOR_TOO_WIDE: &str = "queries require at least one regexp or equality matcher that does not have an empty-compatible value. \
For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will";

pub(crate) fn expression(expr: &Expr) -> Result<(), ParseError> {
    match expr {
        Expr::Log(log) => matchers(&log.matchers),
        Expr::Metric(metric) => metric_expression(metric),
    }
}

/// Checks that some matcher refuses the empty string.
pub(crate) fn matchers(matchers: &[Matcher]) -> Result<(), ParseError> {
    if matchers.iter().any(|matcher| !matcher.matches_empty()) { Ok(()) } else { Err(ParseError::meaning(SELECTOR_TOO_WIDE)) }
}

fn metric_expression(expr: &MetricExpr) -> Result<(), ParseError> {
    match expr {
        MetricExpr::Invalid(error) => Err(error.clone()),
        MetricExpr::Literal(..) | MetricExpr::VectorLiteral(..) => Ok(()),
        MetricExpr::Binary(binary) => {
            metric_expression(&binary.left)?;
            metric_expression(&binary.right)
        }
        MetricExpr::Vector(vector) => {
            let sorts = matches!(vector.op, AggregateOp::Sort | AggregateOp::SortDesc);
            if sorts && vector.grouping.as_ref().is_some_and(|grouping| !grouping.labels.is_empty()) {
                return Err(ParseError::meaning("sort and sort_desc doesn't allow grouping by "));
            }
            metric_expression(&vector.input)
        }
        MetricExpr::LabelReplace(replace) => metric_expression(&replace.input),
        MetricExpr::Range(range) => matchers(&range.range.log.matchers),
    }
}
