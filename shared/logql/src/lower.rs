//! Tree to plan. Durations are nanoseconds already; what is left is to say which labels an enclosing `sum` needs.

use std::sync::Arc;

use plan::logical::{
    Aggregate, AggregateOp, Binary, Call, Cardinality, Dialect, EvalOptions, Function, Grid, Grouping, LogQuery,
    LogRangeFunction, LogSelect, LogWindow, LogicalPlan, Matching, Node, Span, TimeUnit,
};
use plan::pipeline::{Extractor, Pipeline, Stage};

use crate::ast::{BinaryExpr, Expr, GroupingExpr, LogExpr, MetricExpr, RangeAggregation, VectorAggregation};
use crate::error::Error;

/// What the request says beside the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// The query as written; spans point into it.
    pub text: Arc<str>,
    /// First evaluation time, or first instant of entries, nanoseconds.
    pub start_ns: i64,
    /// Last evaluation time (inclusive), or first instant after the entries, nanoseconds.
    pub end_ns: i64,
    /// Distance of evaluation times, nanoseconds.
    pub step_ns: i64,
    /// Whether the query is asked for one instant.
    pub instant: bool,
    /// Newest lines first.
    pub newest_first: bool,
    /// Lines to return.
    pub limit: usize,
    /// Least distance of returned lines, nanoseconds; 0 returns all.
    pub interval_ns: i64,
    /// Whether `approx_topk` may be used; Loki's default is no.
    pub approx_topk: bool,
}

/// Lowers a query. Stages are compiled once to find what Loki finds when it builds the pipeline.
pub fn lower(expr: &Expr, params: &Params) -> Result<LogicalPlan, Error> {
    let root = match expr {
        Expr::Log(_) if params.instant => return Err(Error::LogsAtInstant),
        Expr::Log(log) => {
            Pipeline::compile(&log.stages)?;
            let select = select(log, None);
            let Params { newest_first, limit, interval_ns, .. } = *params;
            Node::Logs(Box::new(LogQuery { select, newest_first, limit, interval_ns }))
        }
        Expr::Metric(expr) => {
            refuse_approx_topk(expr, params)?;
            metric(expr, None)?
        }
    };
    let grid = Grid { start: params.start_ns, end: params.end_ns, step: params.step_ns.max(1), unit: TimeUnit::Nanoseconds };
    let options = EvalOptions { dialect: Dialect::LogQl, instant: params.instant, ..EvalOptions::default() };
    Ok(LogicalPlan { grid, root, options, text: Arc::clone(&params.text) })
}

fn select(log: &LogExpr, unwrap: Option<Stage>) -> LogSelect {
    let stages = log.stages.iter().cloned().chain(unwrap).collect();
    LogSelect { matchers: log.matchers.clone(), stages, span: log.span }
}

/// Lowers an expression; `required` are the labels that an enclosing `sum by` keeps.
fn metric(expr: &MetricExpr, required: Option<Vec<String>>) -> Result<Node, Error> {
    match expr {
        MetricExpr::Range(range) => window(range, required),
        MetricExpr::Vector(vector) => aggregate(vector),
        MetricExpr::Binary(operation) => binary(operation),
        MetricExpr::Literal(value, _) => Ok(Node::Literal(*value)),
        MetricExpr::VectorLiteral(value, span) => Ok(call(Function::Vector, vec![Node::Literal(*value)], *span)),
        MetricExpr::LabelReplace(replace) => {
            let texts = [&replace.destination, &replace.replacement, &replace.source, &replace.regex];
            let mut args = vec![metric(series(&replace.input)?, None)?];
            args.extend(texts.map(|text| Node::Text(text.as_str().into())));
            Ok(call(Function::LabelReplace, args, replace.span))
        }
        MetricExpr::Invalid(error) => Err(error.clone().into()),
    }
}

/// Refuses `approx_topk` where it is not enabled, or asked for over a range.
fn refuse_approx_topk(expr: &MetricExpr, params: &Params) -> Result<(), Error> {
    match expr {
        MetricExpr::Vector(vector) if vector.op == AggregateOp::ApproxTopK && !params.approx_topk => {
            Err(Error::Refused("approx_topk is not enabled. See -limits.shard_aggregations".to_owned()))
        }
        MetricExpr::Vector(vector) if vector.op == AggregateOp::ApproxTopK && !params.instant => {
            Err(Error::Refused("count min sketches are only supported on instant queries".to_owned()))
        }
        MetricExpr::Vector(vector) => refuse_approx_topk(&vector.input, params),
        MetricExpr::LabelReplace(replace) => refuse_approx_topk(&replace.input, params),
        MetricExpr::Binary(binary) => {
            refuse_approx_topk(&binary.left, params)?;
            refuse_approx_topk(&binary.right, params)
        }
        MetricExpr::Range(_) | MetricExpr::Literal(..) | MetricExpr::VectorLiteral(..) | MetricExpr::Invalid(_) => Ok(()),
    }
}

fn call(function: Function, args: Vec<Node>, span: Span) -> Node {
    let arg_spans = vec![span; args.len()];
    Node::Call(Call { function, args, arg_spans, span })
}

fn grouping(expr: &GroupingExpr) -> Grouping {
    Grouping { without: expr.without, labels: expr.labels.clone() }
}

fn window(range: &RangeAggregation, required_labels: Option<Vec<String>>) -> Result<Node, Error> {
    let window = LogWindow {
        function: range.function,
        select: select(&range.range.log, range.range.unwrap.clone().map(Stage::Unwrap)),
        range_ns: range.range.range_ns,
        offset_ns: range.range.offset_ns,
        param: range.param,
        grouping: range.grouping.as_ref().map(grouping),
        required_labels,
        span: range.span,
    };
    Extractor::compile(&window)?;
    Ok(Node::LogWindow(Box::new(window)))
}

/// Returns the labels the range aggregation under a `sum` has to keep, where Loki pushes the grouping down.
fn pushed_down(vector: &VectorAggregation) -> Option<Vec<String>> {
    use LogRangeFunction as F;
    let MetricExpr::Range(range) = &vector.input else { return None };
    let sums = matches!(range.function, F::BytesOverTime | F::BytesRate | F::SumOverTime | F::Rate | F::CountOverTime);
    if vector.op != AggregateOp::Sum || !sums || range.grouping.is_some() {
        return None;
    }
    match &vector.grouping {
        Some(grouping) if grouping.without => None,
        Some(grouping) => Some(grouping.labels.clone()),
        None => Some(Vec::new()),
    }
}

fn aggregate(vector: &VectorAggregation) -> Result<Node, Error> {
    Ok(Node::Aggregate(Box::new(Aggregate {
        op: vector.op,
        grouping: vector.grouping.as_ref().map(grouping).unwrap_or_default(),
        param: vector.param.map(|k| Node::Literal(k as f64)),
        input: metric(series(&vector.input)?, pushed_down(vector))?,
        span: vector.span,
        param_span: vector.span,
        input_span: vector.input.span(),
    })))
}

/// Refuses a number where Loki's evaluator asks for series.
fn series(expr: &MetricExpr) -> Result<&MetricExpr, Error> {
    match expr {
        MetricExpr::Literal(..) => Err(Error::Refused(
            "unexpected expr type (*syntax.LiteralExpr) for Evaluator type (*logql.DefaultEvaluator) ".to_owned(),
        )),
        series => Ok(series),
    }
}

fn binary(expr: &BinaryExpr) -> Result<Node, Error> {
    let cardinality = if expr.op.is_set() { Cardinality::ManyToMany } else { expr.matching.cardinality };
    let matching = Matching {
        cardinality,
        on: expr.matching.on,
        labels: expr.matching.labels.clone().unwrap_or_default(),
        include: expr.matching.include.clone().unwrap_or_default(),
        fill_left: None,
        fill_right: None,
    };
    Ok(Node::Binary(Box::new(Binary {
        op: expr.op,
        return_bool: expr.matching.return_bool,
        matching,
        left: metric(&expr.left, None)?,
        right: metric(&expr.right, None)?,
        span: expr.span,
        left_span: expr.left.span(),
        right_span: expr.right.span(),
    })))
}
