//! The syntax tree of LogQL. Stages are the plan's own data, so that lowering copies them.

use model::Matcher;
use plan::logical::{AggregateOp, BinaryOp, Cardinality, LogRangeFunction, Span};
use plan::pipeline::{Stage, Unwrap};

use crate::error::ParseError;

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Answers log lines.
    Log(LogExpr),
    /// Answers numbers.
    Metric(MetricExpr),
}

/// A stream selector with its pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct LogExpr {
    /// Matchers in the order written.
    pub matchers: Vec<Matcher>,
    /// Stages; line filters that follow each other are one stage.
    pub stages: Vec<Stage>,
    /// Where it stands.
    pub span: Span,
}

/// An expression that answers numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricExpr {
    /// `rate({…}[5m])` and the like.
    Range(Box<RangeAggregation>),
    /// `sum by (a) (…)` and the like.
    Vector(Box<VectorAggregation>),
    /// `left op right`
    Binary(Box<BinaryExpr>),
    /// A number.
    Literal(f64, Span),
    /// `vector(1)`
    VectorLiteral(f64, Span),
    /// `label_replace(…)`
    LabelReplace(Box<LabelReplace>),
    /// A part that parses and means nothing; never in a tree that [`crate::parse`] returned.
    Invalid(ParseError),
}

/// `by (…)` or `without (…)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupingExpr {
    /// `without`
    pub without: bool,
    /// Labels in the order written.
    pub labels: Vec<String>,
}

/// What a range aggregation reads.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRange {
    /// Selector and pipeline.
    pub log: LogExpr,
    /// `unwrap` and the filters after it.
    pub unwrap: Option<Unwrap>,
    /// Window length, nanoseconds.
    pub range_ns: i64,
    /// `offset`, nanoseconds.
    pub offset_ns: i64,
}

/// A range aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeAggregation {
    /// Which.
    pub function: LogRangeFunction,
    /// Over what.
    pub range: LogRange,
    /// `φ` of `quantile_over_time`.
    pub param: Option<f64>,
    /// Its own grouping.
    pub grouping: Option<GroupingExpr>,
    /// Where it stands.
    pub span: Span,
}

/// A vector aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorAggregation {
    /// Which.
    pub op: AggregateOp,
    /// Over what.
    pub input: MetricExpr,
    /// Where it was written.
    pub grouping: Option<GroupingExpr>,
    /// `k`
    pub param: Option<u64>,
    /// Where it stands.
    pub span: Span,
}

/// A binary operation.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryExpr {
    /// Operator.
    pub op: BinaryOp,
    /// Left side.
    pub left: MetricExpr,
    /// Right side.
    pub right: MetricExpr,
    /// Modifiers.
    pub matching: MatchingExpr,
    /// Where it stands.
    pub span: Span,
}

/// Modifiers of a binary operation.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MatchingExpr {
    /// `bool`
    pub return_bool: bool,
    /// `on` rather than `ignoring`.
    pub on: bool,
    /// Labels of `on` / `ignoring`; `None` where nothing or empty parentheses were written.
    pub labels: Option<Vec<String>>,
    /// `group_left` / `group_right`
    pub cardinality: Cardinality,
    /// Labels of `group_left` / `group_right`; `None` where none were written.
    pub include: Option<Vec<String>>,
}

/// `label_replace(input, "dst", "replacement", "src", "regex")`
#[derive(Clone, Debug, PartialEq)]
pub struct LabelReplace {
    /// Over what.
    pub input: MetricExpr,
    /// Label to set.
    pub destination: String,
    /// With `$1` and `${name}`.
    pub replacement: String,
    /// Label to read.
    pub source: String,
    /// Anchored.
    pub regex: String,
    /// Where it stands.
    pub span: Span,
}

impl MetricExpr {
    /// Returns where the expression stands.
    pub fn span(&self) -> Span {
        match self {
            MetricExpr::Range(range) => range.span,
            MetricExpr::Vector(vector) => vector.span,
            MetricExpr::Binary(binary) => binary.span,
            MetricExpr::Literal(_, span) | MetricExpr::VectorLiteral(_, span) => *span,
            MetricExpr::LabelReplace(replace) => replace.span,
            MetricExpr::Invalid(_) => Span::default(),
        }
    }
}

/// A selector with its pipeline inside a query, and the window it is read over where the query answers numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Selection<'e> {
    /// What is read.
    pub log: &'e LogExpr,
    /// Window length, nanoseconds.
    pub range_ns: Option<i64>,
}

impl Expr {
    /// Returns what the query reads, from left to right.
    pub fn selections(&self) -> Vec<Selection<'_>> {
        let mut found = Vec::new();
        match self {
            Expr::Log(log) => found.push(Selection { log, range_ns: None }),
            Expr::Metric(expr) => expr.select_into(&mut found),
        }
        found
    }
}

impl MetricExpr {
    fn select_into<'e>(&'e self, found: &mut Vec<Selection<'e>>) {
        match self {
            MetricExpr::Range(range) => {
                found.push(Selection { log: &range.range.log, range_ns: Some(range.range.range_ns) });
            }
            MetricExpr::Vector(vector) => vector.input.select_into(found),
            MetricExpr::Binary(binary) => {
                binary.left.select_into(found);
                binary.right.select_into(found);
            }
            MetricExpr::LabelReplace(replace) => replace.input.select_into(found),
            MetricExpr::Literal(..) | MetricExpr::VectorLiteral(..) | MetricExpr::Invalid(_) => {}
        }
    }
}
