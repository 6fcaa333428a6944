//! Tree to plan: offsets, `@`, durations and step-invariant parts are resolved here.

use std::sync::Arc;

use model::TimestampMs;
use plan::functions::float::{go_max, go_min};
use plan::logical::{Aggregate, Binary, Call, EvalOptions, Grid, LogicalPlan, Node, RangeInput, Select, Span};

use crate::ast::*;
use crate::check::type_of;
use crate::error::LowerError;
use crate::functions::Type;
use crate::limits::SECONDS_MAX;

/// When and under which settings a query is evaluated.
#[derive(Clone, Debug)]
pub struct EvalParams {
    /// First evaluation time.
    pub start: TimestampMs,
    /// Last evaluation time, inclusive; equal to `start` for an instant query.
    pub end: TimestampMs,
    /// Step, milliseconds; 0 for an instant query.
    pub step_ms: i64,
    /// How far instant selectors look back, milliseconds (Prometheus: 5 min).
    pub lookback_ms: i64,
    /// Settings handed through to the evaluation.
    pub options: EvalOptions,
}

/// Lowers a parsed query.
///
/// # Errors
/// A range query of a range vector or a string; a duration that is not positive where it has to be, or no number of milliseconds
/// (upstream `promql/engine.go`, `promql/durations.go`).
pub fn lower(text: &str, expr: &Expr, params: &EvalParams) -> Result<LogicalPlan, LowerError> {
    let instant = params.step_ms <= 0;
    match type_of(expr) {
        found @ (Type::Matrix | Type::Text) if !instant => return Err(LowerError::Type(found)),
        _ => {}
    }
    let grid = if instant { Grid::instant_ms(params.start) } else { Grid::range_ms(params.start, params.end, params.step_ms) };
    let lowering = Lowering { params };
    let root = lowering.wrap(expr, lowering.node(expr)?);
    Ok(LogicalPlan { grid, root, options: EvalOptions { instant, ..params.options.clone() }, text: Arc::from(text) })
}

struct Lowering<'a> {
    params: &'a EvalParams,
}

impl Lowering<'_> {
    /// Marks a step-invariant expression (upstream `PreprocessExpr`); literals cost nothing to repeat.
    fn wrap(&self, expr: &Expr, node: Node) -> Node {
        let trivial = matches!(node, Node::Literal(_) | Node::Text(_) | Node::Range(_));
        if !trivial && invariant(expr) { Node::StepInvariant(Box::new(node)) } else { node }
    }

    /// Lowers a child, marking it where it is invariant and its parent is not.
    fn child(&self, expr: &Expr, parent_invariant: bool) -> Result<Node, LowerError> {
        let node = self.node(expr)?;
        Ok(if parent_invariant { node } else { self.wrap(expr, node) })
    }

    fn node(&self, expr: &Expr) -> Result<Node, LowerError> {
        let fixed = invariant(expr);
        Ok(match &expr.kind {
            ExprKind::Number { value, .. } => Node::Literal(*value),
            ExprKind::Text(text) => Node::Text(text.clone()),
            ExprKind::Paren(inner) => self.node(inner)?,
            ExprKind::Selector(selector) => Node::Instant(self.select(selector, expr.span)?),
            ExprKind::Matrix { .. } | ExprKind::Subquery { .. } => Node::Range(self.range(expr)?),
            ExprKind::Call { function, args } => Node::Call(Call {
                function: *function,
                args: args.iter().map(|arg| self.child(arg, fixed)).collect::<Result<_, _>>()?,
                arg_spans: args.iter().map(arg_span).collect(),
                span: expr.span,
            }),
            ExprKind::Aggregate { op, grouping, param, input } => Node::Aggregate(Box::new(Aggregate {
                op: *op,
                grouping: grouping.clone(),
                input: self.child(input, fixed)?,
                param: param.as_ref().map(|param| self.child(param, fixed)).transpose()?,
                span: expr.span,
                param_span: param.as_ref().map_or(expr.span, |param| unwrapped(param).span),
                input_span: unwrapped(input).span,
            })),
            ExprKind::Binary { op, return_bool, matching, left, right } => Node::Binary(Box::new(Binary {
                op: *op,
                return_bool: *return_bool,
                matching: matching.clone().unwrap_or_else(|| default_matching(*op)),
                left: self.child(left, fixed)?,
                right: self.child(right, fixed)?,
                span: expr.span,
                left_span: left.span,
                right_span: right.span,
            })),
            ExprKind::Unary { minus, inner } => {
                let node = self.child(inner, fixed)?;
                match node {
                    node if *minus => Node::Negate(Box::new(node), expr.span),
                    node @ Node::Instant(_) => Node::Plus(Box::new(node)),
                    node => node,
                }
            }
        })
    }

    /// Durations are evaluated from the outside in, in upstream's order (`durationVisitor`): the first wrong one is told.
    fn range(&self, expr: &Expr) -> Result<RangeInput, LowerError> {
        match &expr.kind {
            ExprKind::Matrix { selector, range } => {
                let ExprKind::Selector(inner) = &selector.kind else {
                    return Err(LowerError::Duration { message: "ranges only allowed for vector selectors", span: expr.span });
                };
                let range_ms = self.positive(range)?;
                Ok(RangeInput::Select { select: self.select(inner, selector.span)?, range_ms, span: expr.span })
            }
            ExprKind::Subquery { inner, range, step, modifiers } => Ok(RangeInput::Subquery {
                offset_ms: self.offset(modifiers)?,
                step_ms: match step.as_ref().map(|step| self.positive(step)).transpose()? {
                    // Less than a millisecond is cut off to no step at all, as upstream does it to an expression.
                    None | Some(0) => self.params.options.subquery_step_ms,
                    Some(step_ms) => step_ms,
                },
                range_ms: self.positive(range)?,
                node: Box::new(self.child(inner, false)?),
                at: self.at(modifiers),
                span: expr.span,
            }),
            ExprKind::Paren(inner) => self.range(inner),
            _ => Err(LowerError::Duration { message: "expected a range vector", span: expr.span }),
        }
    }

    fn select(&self, selector: &Selector, span: Span) -> Result<Select, LowerError> {
        Ok(Select {
            matchers: selector.matchers.clone(),
            offset_ms: self.offset(&selector.modifiers)?,
            at: self.at(&selector.modifiers),
            lookback_ms: self.params.lookback_ms,
            extension: selector.modifiers.extension,
            span,
        })
    }

    fn at(&self, modifiers: &Modifiers) -> Option<TimestampMs> {
        modifiers.at.map(|at| match at {
            At::Time(ms) => TimestampMs(ms),
            At::Start => self.params.start,
            At::End => self.params.end,
        })
    }

    fn offset(&self, modifiers: &Modifiers) -> Result<i64, LowerError> {
        modifiers.offset.as_ref().map_or(Ok(0), |offset| self.milliseconds(offset))
    }

    fn positive(&self, duration: &Duration) -> Result<i64, LowerError> {
        // Not for a negative infinity, which is refused as such.
        if (f64::MIN..=0.0).contains(&self.seconds(duration)?) {
            return Err(LowerError::Duration { message: "duration must be greater than 0", span: duration.span() });
        }
        self.milliseconds(duration)
    }

    fn milliseconds(&self, duration: &Duration) -> Result<i64, LowerError> {
        let refused = |message| Err(LowerError::Duration { message, span: duration.span() });
        let seconds = self.seconds(duration)?;
        if !seconds.is_finite() {
            return refused("duration is NaN or infinite");
        }
        if seconds.abs() > SECONDS_MAX {
            return refused("duration is out of range");
        }
        // Upstream rounds a literal to nanoseconds and cuts both off to milliseconds.
        Ok(match duration {
            Duration::Literal { .. } => (seconds * 1e9).round() / 1e6,
            _ => seconds * 1000.0,
        } as i64)
    }

    fn seconds(&self, duration: &Duration) -> Result<f64, LowerError> {
        Ok(match duration {
            Duration::Literal { seconds, .. } => *seconds,
            Duration::Paren(inner, _) | Duration::Plus(inner, _) => self.seconds(inner)?,
            Duration::Step(_) => self.params.step_ms as f64 / 1000.0,
            Duration::Range(_) => (self.params.end.0 - self.params.start.0) as f64 / 1000.0,
            Duration::Negate(inner, _) => -self.seconds(inner)?,
            Duration::Binary(op, left, right) => {
                let refused = |message| Err(LowerError::Duration { message, span: duration.span() });
                let (left, right) = (self.seconds(left)?, self.seconds(right)?);
                match op {
                    DurationOp::Add => left + right,
                    DurationOp::Sub => left - right,
                    DurationOp::Mul => left * right,
                    DurationOp::Div if right == 0.0 => return refused("division by zero"),
                    DurationOp::Mod if right == 0.0 => return refused("modulo by zero"),
                    DurationOp::Div => left / right,
                    DurationOp::Mod => left % right,
                    DurationOp::Pow => plan::functions::power::pow(left, right),
                    DurationOp::Min => go_min(left, right),
                    DurationOp::Max => go_max(left, right),
                }
            }
        })
    }
}

/// Returns where annotations about an argument point. Prometheus replaces a subquery by a selector without a position before
/// it evaluates the call (`evalSubquery` in promql/engine.go).
fn arg_span(arg: &Expr) -> Span {
    let arg = unwrapped(arg);
    if matches!(arg.kind, ExprKind::Subquery { .. }) { Span::default() } else { arg.span }
}

/// Returns what stands in parentheses: upstream takes them off arguments before it looks at positions (`PreprocessExpr`).
fn unwrapped(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Paren(inner) => unwrapped(inner),
        _ => expr,
    }
}

fn default_matching(op: BinaryOp) -> Matching {
    let cardinality = if op.is_set() { plan::logical::Cardinality::ManyToMany } else { plan::logical::Cardinality::OneToOne };
    Matching { cardinality, ..Matching::default() }
}

/// Reports whether an expression has the same value at every step: everything in it is fixed by `@`, and it asks for no time.
fn invariant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::Text(_) => true,
        ExprKind::Selector(selector) => selector.modifiers.at.is_some(),
        ExprKind::Matrix { selector, .. } => invariant(selector),
        ExprKind::Subquery { modifiers, .. } => modifiers.at.is_some(),
        // The time of a selected sample does not change with the step, other times do.
        ExprKind::Call { function: Function::Timestamp, args } => {
            args.iter().all(|arg| matches!(unwrapped(arg).kind, ExprKind::Selector(_)) && invariant(arg))
        }
        ExprKind::Call { function, args } => !depends_on_time(*function) && args.iter().all(invariant),
        // The parameter has no say: upstream does not look at it.
        ExprKind::Aggregate { input, .. } => invariant(input),
        ExprKind::Binary { left, right, .. } => invariant(left) && invariant(right),
        ExprKind::Unary { inner, .. } | ExprKind::Paren(inner) => invariant(inner),
    }
}

/// Functions whose answer depends on the evaluation time itself (upstream `AtModifierUnsafeFunctions`), `timestamp` apart.
/// What a query is asked with (`start`, `end`, `step`, `range`) is a number.
fn depends_on_time(function: Function) -> bool {
    use Function::*;
    matches!(function, DayOfMonth | DayOfWeek | DayOfYear | DaysInMonth | Hour | Minute | Month | Year | Time | PredictLinear)
}
