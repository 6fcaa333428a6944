//! The syntax tree of PromQL, every node with its place in the text.
//!
//! Owns: what was written. Does not own: what it means ([`crate::check`], [`crate::lower`]).

use model::{Matcher, Text};
pub use plan::logical::{AggregateOp, BinaryOp, Extension, Function, Grouping, Matching, Span};

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

impl Expr {
    /// Returns it and every expression inside, each before its own parts, in the order of evaluation.
    pub fn nodes(&self) -> impl Iterator<Item = &Expr> {
        let mut waiting = vec![self];
        std::iter::from_fn(move || {
            let next = waiting.pop()?;
            next.push_parts(&mut waiting);
            Some(next)
        })
    }

    /// Returns every selector inside.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.nodes().filter_map(|node| if let ExprKind::Selector(selector) = &node.kind { Some(selector) } else { None })
    }

    /// Appends what it is made of, the first last.
    fn push_parts<'a>(&'a self, out: &mut Vec<&'a Expr>) {
        match &self.kind {
            ExprKind::Matrix { selector: inner, .. }
            | ExprKind::Subquery { inner, .. }
            | ExprKind::Unary { inner, .. }
            | ExprKind::Paren(inner) => out.push(inner),
            ExprKind::Call { args, .. } => out.extend(args.iter().rev()),
            ExprKind::Aggregate { param, input, .. } => {
                out.push(input);
                out.extend(param.as_deref());
            }
            ExprKind::Binary { left, right, .. } => out.extend([&**right, &**left]),
            ExprKind::Number { .. } | ExprKind::Text(_) | ExprKind::Selector(_) => {}
        }
    }
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A number; `duration` tells that it was written as one (`5m`).
    Number {
        /// Its value.
        value: f64,
        /// Whether it was written as a duration.
        duration: bool,
    },
    /// A string.
    Text(Text),
    /// `metric{a="b"} offset 5m @ 10`
    Selector(Selector),
    /// `selector[5m]`
    Matrix {
        /// The selector inside.
        selector: Box<Expr>,
        /// Window length.
        range: Duration,
    },
    /// `expr[1h:1m]`
    Subquery {
        /// The expression inside.
        inner: Box<Expr>,
        /// Window length.
        range: Duration,
        /// Step, if given.
        step: Option<Duration>,
        /// `offset`, `@`.
        modifiers: Modifiers,
    },
    /// `f(a, b)`
    Call {
        /// Which function.
        function: Function,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// `sum by (a) (x)`
    Aggregate {
        /// Which aggregation.
        op: AggregateOp,
        /// `by` / `without`.
        grouping: Grouping,
        /// First argument of those that take two.
        param: Option<Box<Expr>>,
        /// What is aggregated.
        input: Box<Expr>,
    },
    /// `a + b`
    Binary {
        /// Operator.
        op: BinaryOp,
        /// `bool`
        return_bool: bool,
        /// `on`, `ignoring`, `group_left`, `fill`; `None` where nothing was written.
        matching: Option<Matching>,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// `-x`, `+x`
    Unary {
        /// Minus rather than plus.
        minus: bool,
        /// What it applies to.
        inner: Box<Expr>,
    },
    /// `(x)`
    Paren(Box<Expr>),
}

/// An instant vector selector.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// Name in front of the braces; a quoted one inside is a matcher only.
    pub name: Option<String>,
    /// All matchers, that of a name in front of the braces last.
    pub matchers: Vec<Matcher>,
    /// `offset`, `@`, `smoothed`.
    pub modifiers: Modifiers,
}

/// What may follow a selector or subquery.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Modifiers {
    /// `offset 5m`
    pub offset: Option<Duration>,
    /// `@ …`
    pub at: Option<At>,
    /// `anchored`, `smoothed`
    pub extension: Extension,
}

/// A fixed evaluation time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Milliseconds since the epoch.
    Time(i64),
    /// `start()`
    Start,
    /// `end()`
    End,
}

/// A duration expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    /// A literal.
    Literal {
        /// Its value.
        seconds: f64,
        /// Whether it was written as a duration rather than a number of seconds.
        duration: bool,
        /// Where it stands.
        span: Span,
    },
    /// `(d)`, and where it begins
    Paren(Box<Duration>, u32),
    /// `step()`
    Step(Span),
    /// `range()`
    Range(Span),
    /// `+d` behind `offset`, where `d` is a call, and where it begins
    Plus(Box<Duration>, u32),
    /// `-d`, and where it begins
    Negate(Box<Duration>, u32),
    /// `a + b`, also `min_of(a, b)`, `max_of(a, b)`
    Binary(DurationOp, Box<Duration>, Box<Duration>),
}

impl Duration {
    /// Returns where it stands, as upstream counts: without parentheses around what is no literal, without the name of `min_of`.
    pub fn span(&self) -> Span {
        match self {
            Duration::Literal { span, .. } | Duration::Step(span) | Duration::Range(span) => *span,
            Duration::Paren(inner, start) if matches!(**inner, Duration::Literal { .. }) => {
                Span { start: *start, end: inner.span().end }
            }
            Duration::Paren(inner, _) => inner.span(),
            Duration::Plus(inner, start) | Duration::Negate(inner, start) => Span { start: *start, end: inner.span().end },
            Duration::Binary(_, left, right) => Span { start: left.span().start, end: right.span().end },
        }
    }
}

/// Operators of duration expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `min_of`
    Min,
    /// `max_of`
    Max,
}
