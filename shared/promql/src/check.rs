//! The type checker (upstream `promql/parser/parse.go`, `checkAST`).

use plan::logical::Cardinality;

use crate::ast::*;
use crate::error::ParseError;
use crate::functions::{Type, signature};

/// Returns the type of a checked expression.
pub fn type_of(expr: &Expr) -> Type {
    match &expr.kind {
        ExprKind::Number { .. } => Type::Scalar,
        ExprKind::Text(_) => Type::Text,
        ExprKind::Selector(_) | ExprKind::Aggregate { .. } => Type::Vector,
        ExprKind::Matrix { .. } | ExprKind::Subquery { .. } => Type::Matrix,
        ExprKind::Call { function, .. } => match function.kind() {
            plan::logical::NodeKind::Scalar => Type::Scalar,
            _ => Type::Vector,
        },
        ExprKind::Binary { left, right, .. } => match (type_of(left), type_of(right)) {
            (Type::Scalar, Type::Scalar) => Type::Scalar,
            _ => Type::Vector,
        },
        ExprKind::Unary { inner, .. } | ExprKind::Paren(inner) => type_of(inner),
    }
}

/// Checks types and what the grammar cannot say.
pub fn expression(text: &str, expr: &Expr) -> Result<(), ParseError> {
    let check = Check { text };
    check.expr(expr)
}

struct Check<'a> {
    text: &'a str,
}

impl Check<'_> {
    fn fail<T>(&self, span: Span, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::at(self.text, span, message))
    }

    fn expect(&self, expr: &Expr, wanted: Type, context: &str) -> Result<(), ParseError> {
        let found = type_of(expr);
        if found == wanted {
            return Ok(());
        }
        self.fail(expr.span, format!("expected type {} in {context}, got {}", wanted.as_str(), found.as_str()))
    }

    fn expr(&self, expr: &Expr) -> Result<(), ParseError> {
        match &expr.kind {
            ExprKind::Number { .. } | ExprKind::Text(_) => Ok(()),
            ExprKind::Selector(selector) => self.selector(selector, expr.span),
            ExprKind::Matrix { selector, .. } => self.expr(selector),
            ExprKind::Subquery { inner, .. } => {
                self.expr(inner)?;
                match type_of(inner) {
                    Type::Vector => Ok(()),
                    Type::Matrix => self.fail(expr.span, "subquery is only allowed on instant vector, got matrix instead"),
                    other => self
                        .fail(expr.span, format!("subquery is only allowed on instant vector, got {} instead", other.as_str())),
                }
            }
            ExprKind::Call { function, args } => self.call(*function, args, expr.span),
            ExprKind::Aggregate { op, param, input, .. } => {
                self.expr(input)?;
                self.expect(input, Type::Vector, "aggregation expression")?;
                let Some(param) = param else { return Ok(()) };
                self.expr(param)?;
                let wanted = if *op == AggregateOp::CountValues { Type::Text } else { Type::Scalar };
                self.expect(param, wanted, "aggregation parameter")
            }
            ExprKind::Binary { left, right, .. } => {
                self.expr(left)?;
                self.expr(right)?;
                self.binary(expr)
            }
            ExprKind::Unary { inner, .. } => {
                self.expr(inner)?;
                match type_of(inner) {
                    Type::Scalar | Type::Vector => Ok(()),
                    other => self.fail(
                        expr.span,
                        format!(
                            "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                            quoted(other)
                        ),
                    ),
                }
            }
            ExprKind::Paren(inner) => self.expr(inner),
        }
    }

    fn selector(&self, selector: &Selector, span: Span) -> Result<(), ParseError> {
        if let Some(name) = &selector.name {
            let others = &selector.matchers[..selector.matchers.len().saturating_sub(1)];
            let Some(other) = others.iter().find(|matcher| matcher.name() == "__name__") else { return Ok(()) };
            let (name, other) = (model::quote::go_quote(name), model::quote::go_quote(other.value()));
            return self.fail(span, format!("metric name must not be set twice: {name} or {other}"));
        }
        if selector.matchers.iter().all(model::Matcher::matches_empty) {
            return self.fail(span, "vector selector must contain at least one non-empty matcher");
        }
        Ok(())
    }

    fn call(&self, function: Function, args: &[Expr], span: Span) -> Result<(), ParseError> {
        let signature = signature(function);
        let name = model::quote::go_quote(function.as_str());
        if args.len() < signature.least {
            let wanted = if signature.most == Some(signature.least) { "expected" } else { "expected at least" };
            return self.fail(span, format!("{wanted} {} argument(s) in call to {name}, got {}", signature.least, args.len()));
        }
        if let Some(most) = signature.most
            && args.len() > most
        {
            let wanted = if most == signature.least { "expected" } else { "expected at most" };
            return self.fail(span, format!("{wanted} {most} argument(s) in call to {name}, got {}", args.len()));
        }
        if function == Function::Info
            && let Some(labels) = args.get(1)
        {
            self.info_labels(labels, span)?;
        }
        for (index, arg) in args.iter().enumerate() {
            // The labels of `info` may match the empty string.
            if function != Function::Info || index == 0 {
                self.expr(arg)?;
            }
            let wanted = signature.args[index.min(signature.args.len() - 1)];
            self.expect(arg, wanted, &format!("call to function {name}"))?;
        }
        Ok(())
    }

    fn info_labels(&self, labels: &Expr, span: Span) -> Result<(), ParseError> {
        let found = type_of(labels);
        if found != Type::Vector {
            let wanted = Type::Vector.as_str();
            return self.fail(span, format!("expected type {wanted} in call to function \"info\", got {}", found.as_str()));
        }
        match &labels.kind {
            ExprKind::Selector(Selector { name: None, .. }) => Ok(()),
            ExprKind::Selector(_) => self.fail(labels.span, "expected label selectors only, got vector selector instead"),
            _ => self.fail(labels.span, "expected label selectors only"),
        }
    }

    fn binary(&self, expr: &Expr) -> Result<(), ParseError> {
        let ExprKind::Binary { op, return_bool, matching, left, right } = &expr.kind else { return Ok(()) };
        let scalar = (type_of(left) == Type::Scalar, type_of(right) == Type::Scalar);
        let vectors = type_of(left) == Type::Vector && type_of(right) == Type::Vector;
        if *return_bool && !op.is_comparison() {
            return self.fail(self.between(left, right), "bool modifier can only be used on comparison operators");
        }
        if op.is_comparison() && !return_bool && scalar == (true, true) {
            return self.fail(self.between(left, right), "comparisons between scalars must use BOOL modifier");
        }
        let none = Matching::default();
        let matching = matching.as_ref().unwrap_or(&none);
        if let Some(label) = matching.labels.iter().find(|label| matching.on && matching.include.contains(label)) {
            let label = model::quote::go_quote(label);
            return self.fail(self.between(left, right), format!("label {label} must not occur in ON and GROUP clause at once"));
        }
        for side in [left, right] {
            if !matches!(type_of(side), Type::Scalar | Type::Vector) {
                return self.fail(side.span, "binary expression must contain only scalar and instant vector types");
            }
        }
        let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
        let grouped = matches!(matching.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany);
        let name = model::quote::go_quote(op.as_str());
        match vectors {
            false if !matching.labels.is_empty() => self.fail(expr.span, "vector matching only allowed between instant vectors"),
            false if filled => self.fail(expr.span, "filling in missing series only allowed between instant vectors"),
            false if op.is_set() => self.fail(expr.span, format!("set operator {name} not allowed in binary scalar expression")),
            true if op.is_set() && grouped => self.fail(expr.span, format!("no grouping allowed for {name} operation")),
            true if op.is_set() && filled => self.fail(expr.span, "filling in missing series not allowed for set operators"),
            _ => Ok(()),
        }
    }

    /// Where the operator and its modifiers stand.
    fn between(&self, left: &Expr, right: &Expr) -> Span {
        let (start, end) = (left.span.end, right.span.start);
        let text = self.text.get(start as usize..end as usize).unwrap_or_default();
        let blank = (text.len() - text.trim_start().len()) as u32;
        Span { start: start + blank, end }
    }
}

fn quoted(t: Type) -> String {
    model::quote::go_quote(t.as_str())
}
