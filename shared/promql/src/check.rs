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
            ExprKind::Binary { op, return_bool, matching, left, right } => {
                self.expr(left)?;
                self.expr(right)?;
                self.binary(*op, *return_bool, matching.as_ref(), left, right, expr.span)
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
        for (index, arg) in args.iter().enumerate() {
            self.expr(arg)?;
            let wanted = signature.args[index.min(signature.args.len() - 1)];
            self.expect(arg, wanted, &format!("call to function {name}"))?;
        }
        Ok(())
    }

    fn binary(
        &self,
        op: BinaryOp,
        return_bool: bool,
        matching: Option<&Matching>,
        left: &Expr,
        right: &Expr,
        span: Span,
    ) -> Result<(), ParseError> {
        let (left_type, right_type) = (type_of(left), type_of(right));
        for (side, side_type) in [(left, left_type), (right, right_type)] {
            if !matches!(side_type, Type::Scalar | Type::Vector) {
                return self.fail(side.span, "binary expression must contain only scalar and instant vector types");
            }
        }
        let scalars = left_type == Type::Scalar && right_type == Type::Scalar;
        if op.is_comparison() && !return_bool && scalars {
            return self.fail(span, "comparisons between scalars must use BOOL modifier");
        }
        if op.is_set() && (left_type == Type::Scalar || right_type == Type::Scalar) {
            return self.fail(
                span,
                format!("set operator {} not allowed in binary scalar expression", model::quote::go_quote(op.as_str())),
            );
        }
        let Some(matching) = matching else { return Ok(()) };
        if !matching.labels.is_empty() && (left_type == Type::Scalar || right_type == Type::Scalar) {
            return self.fail(span, "vector matching only allowed between instant vectors");
        }
        if matching.on
            && matches!(matching.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany)
            && let Some(label) = matching.labels.iter().find(|label| matching.include.contains(label))
        {
            return self
                .fail(span, format!("label {} must not occur in ON and GROUP clause at once", model::quote::go_quote(label)));
        }
        Ok(())
    }
}

fn quoted(t: Type) -> String {
    model::quote::go_quote(t.as_str())
}
