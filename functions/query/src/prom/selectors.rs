//! The selectors of a query: what `query_exemplars` looks for.

use model::Matcher;
use promql::Expr;
use promql::ast::ExprKind;

/// Returns the matchers of every selector.
pub fn of(expr: &Expr) -> Vec<Vec<Matcher>> {
    let mut sets = Vec::new();
    collect(expr, &mut sets);
    sets
}

fn collect(expr: &Expr, sets: &mut Vec<Vec<Matcher>>) {
    match &expr.kind {
        ExprKind::Selector(selector) => sets.push(selector.matchers.clone()),
        ExprKind::Matrix { selector: inner, .. }
        | ExprKind::Subquery { inner, .. }
        | ExprKind::Unary { inner, .. }
        | ExprKind::Paren(inner) => collect(inner, sets),
        ExprKind::Call { args, .. } => args.iter().for_each(|argument| collect(argument, sets)),
        ExprKind::Aggregate { param, input, .. } => {
            param.iter().for_each(|param| collect(param, sets));
            collect(input, sets);
        }
        ExprKind::Binary { left, right, .. } => {
            collect(left, sets);
            collect(right, sets);
        }
        ExprKind::Number { .. } | ExprKind::Text(_) => {}
    }
}
