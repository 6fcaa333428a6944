//! Texts: queries, selectors, templates, expressions of RE2.

use std::collections::BTreeMap;

use model::{LabelSet, TimestampMs, re2};
use plan::EvalOptions;
use plan::pipeline::{Pipeline, Scratch};
use plan::template::{Entry, Template};
use promql::Options;
use promql::ast::{BinaryOp, Duration, DurationOp, ExprKind};

use crate::{halves, text};

const NOW_NS: i64 = 1_788_220_800_000_000_000;

/// What prints must parse to what prints the same, on one line and on many; what parses must lower or say why not.
pub(crate) fn promql(data: &[u8]) {
    let (text, options) = (text(data), Options::all());
    let Ok(expr) = promql::parse(text, &options) else { return };
    lowers(text, &expr);
    if expr.nodes().any(prints_as_something_else) {
        return;
    }
    let printed = promql::print(&expr);
    let again = promql::parse(&printed, &options).unwrap_or_else(|error| panic!("{printed:?} does not parse: {error}"));
    assert_eq!(promql::print(&again), printed);
    let pretty = promql::prettify(&expr);
    let again = promql::parse(&pretty, &options).unwrap_or_else(|error| panic!("{pretty:?} does not parse: {error}"));
    assert_eq!(promql::print(&again), printed);
}

/// Reports what upstream's printer loses, and ours therefore does: `{}`, which only `info` takes, prints as nothing
/// (`VectorSelector.String`), an offset that is an expression because of its two signs prints with one or none (`DurationExpr`), and
/// the sign that infinity prints with binds looser than `^`.
fn prints_as_something_else(node: &promql::Expr) -> bool {
    let (is_nothing, modifiers) = match &node.kind {
        ExprKind::Selector(selector) => (selector.name.is_none() && selector.matchers.is_empty(), &selector.modifiers),
        ExprKind::Subquery { modifiers, .. } => (false, modifiers),
        ExprKind::Binary { op: BinaryOp::Pow, left, .. } => {
            return matches!(left.kind, ExprKind::Number { value: f64::INFINITY, duration: false });
        }
        _ => return false,
    };
    let is_call = |op: &DurationOp| matches!(op, DurationOp::Min | DurationOp::Max);
    is_nothing || matches!(&modifiers.offset, Some(Duration::Binary(op, ..)) if !is_call(op))
}

fn lowers(text: &str, expr: &promql::Expr) {
    for step_ms in [0, 15_000] {
        let (start, end) = (TimestampMs(NOW_NS / 1_000_000), TimestampMs(NOW_NS / 1_000_000 + 60_000));
        let options = EvalOptions::default();
        let params = promql::EvalParams { start, end, step_ms, lookback_ms: 300_000, options };
        if let Ok(plan) = promql::lower(text, expr, &params) {
            plan.explain();
        }
    }
}

/// Series and selectors.
pub(crate) fn promql_metric(data: &[u8]) {
    let text = text(data);
    let _ = promql::parse_metric(text);
    let _ = promql::parse_selector(text, &Options::all());
}

/// As [`promql`].
pub(crate) fn logql(data: &[u8]) {
    let text = text(data);
    let _ = logql::parse_matchers(text);
    let Ok(expr) = logql::parse(text) else { return };
    let printed = logql::print(&expr);
    let again = logql::parse(&printed).unwrap_or_else(|error| panic!("{printed:?} does not parse: {error}"));
    assert_eq!(logql::print(&again), printed);
    let pretty = logql::pretty(&expr);
    logql::parse(&pretty).unwrap_or_else(|error| panic!("{pretty:?} does not parse: {error}"));
    for instant in [false, true] {
        let params = logql::Params {
            text: text.into(),
            start_ns: NOW_NS,
            end_ns: NOW_NS + 60_000_000_000,
            step_ns: 15_000_000_000,
            instant,
            newest_first: true,
            limit: 100,
            interval_ns: 0,
            approx_topk: true,
        };
        if let Ok(plan) = logql::lower(&expr, &params) {
            plan.explain();
        }
    }
}

/// A pipeline, a zero byte, a line that passes it.
pub(crate) fn pipeline(data: &[u8]) {
    let (query, line) = halves(data);
    let Ok(logql::Expr::Log(log)) = logql::parse(text(query)) else { return };
    let Ok(pipeline) = Pipeline::compile(&log.stages) else { return };
    let stream = LabelSet::from_pairs([("app", "web"), ("level", "info")]);
    let metadata = LabelSet::from_pairs([("trace_id", "0af7651916cd43dd8448eb211c80319c")]);
    let mut scratch = Scratch::at(NOW_NS);
    for line in [line, b"level=info msg=\"a b\" took=3.5s", br#"{"level":"info","n":[1,{"a":null}]}"#] {
        let _ = pipeline.process(&mut scratch, NOW_NS, line, &stream, &metadata);
    }
}

/// A template, a zero byte, the line it is rendered over.
pub(crate) fn template(data: &[u8]) {
    let (source, line) = halves(data);
    let Ok(template) = Template::parse("line", text(source)) else { return };
    let labels = [("app", "web"), ("n", "12"), ("took", "3.5s"), ("json", r#"{"a":[1,2]}"#)];
    let labels: BTreeMap<String, String> = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let _ = template.render(Entry { line, timestamp_ns: NOW_NS, now_ns: NOW_NS }, labels);
}

/// An expression, a zero byte, a text; both forms of it agree on what they accept.
pub(crate) fn re2(data: &[u8]) {
    let (pattern, subject) = halves(data);
    let pattern = text(pattern);
    let (Ok(loose), Ok(anchored)) = (re2::compile(pattern), re2::compile_anchored(pattern)) else { return };
    let subject = text(subject);
    assert!(!anchored.is_match(subject) || loose.is_match(subject), "{pattern:?} matches all of {subject:?} but nothing in it");
    if let Ok(bytes) = re2::compile_bytes(pattern) {
        assert_eq!(bytes.is_match(subject.as_bytes()), loose.is_match(subject), "{pattern:?} on {subject:?}");
    }
}
