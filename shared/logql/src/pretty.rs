//! A tree over several lines, as Loki's `format_query` answers: what does not fit into 100 bytes is split.

use std::fmt::Write;

use model::quote::go_quote;
use plan::logical::AggregateOp;
use plan::pipeline::{LineFilter, LineTerm, Stage, units};

use crate::ast::{
    BinaryExpr, Expr, GroupingExpr, LabelReplace, LogExpr, LogRange, MetricExpr, RangeAggregation, VectorAggregation,
};
use crate::print;

/// Bytes a part may take on one line.
const LINE_BYTES_MAX: usize = 100;

/// Prints a query the way `format_query` does.
pub fn pretty(expr: &Expr) -> String {
    match expr {
        Expr::Log(expr) => log(expr, 0),
        Expr::Metric(expr) => metric(expr, 0),
    }
}

fn indent(level: usize) -> String {
    "  ".repeat(level)
}

fn log(expr: &LogExpr, level: usize) -> String {
    let mut line = String::new();
    print::log(&mut line, expr);
    if expr.stages.is_empty() || line.len() <= LINE_BYTES_MAX {
        return indent(level) + &line;
    }
    let mut out = indent(level);
    print::selector(&mut out, expr);
    for stage in &expr.stages {
        out.push('\n');
        out.push_str(&pretty_stage(stage, level + 1));
    }
    out
}

fn pretty_stage(stage: &Stage, level: usize) -> String {
    let line = stage.to_string();
    match stage {
        Stage::LineFilters(filters) if line.len() > LINE_BYTES_MAX => {
            let lines: Vec<String> = filters.iter().flat_map(first_terms).map(|line| indent(level) + &line).collect();
            lines.join("\n")
        }
        // Loki forgets to indent this one.
        Stage::Decolorize => line,
        _ => indent(level) + &line,
    }
}

/// Loki splits `!= "a" or "b"` into two lines and loses the alternatives of a positive `or`; the alternatives are kept here.
fn first_terms(filter: &LineFilter) -> Vec<String> {
    if !filter.op.is_negative() {
        return vec![filter.to_string()];
    }
    let single = |term: &LineTerm| LineFilter { op: filter.op, terms: vec![term.clone()] }.to_string();
    filter.terms.iter().map(single).collect()
}

fn metric(expr: &MetricExpr, level: usize) -> String {
    let mut line = String::new();
    print::metric(&mut line, expr);
    let fits = line.len() <= LINE_BYTES_MAX;
    match expr {
        _ if fits => indent(level) + &line,
        MetricExpr::Range(range) => range_aggregation(range, level),
        MetricExpr::Vector(vector) => vector_aggregation(vector, level),
        MetricExpr::Binary(binary) => binary_operation(binary, level),
        MetricExpr::LabelReplace(replace) => label_replace(replace, level),
        MetricExpr::Literal(..) | MetricExpr::VectorLiteral(..) | MetricExpr::Invalid(_) => indent(level) + &line,
    }
}

fn range_aggregation(range: &RangeAggregation, level: usize) -> String {
    let mut out = format!("{}{}(\n", indent(level), range.function.as_str());
    if let Some(param) = range.param {
        let _ = writeln!(out, "{}{},", indent(level + 1), units::format_float(param));
    }
    out.push_str(&log_range(&range.range, level + 1));
    let _ = write!(out, "\n{})", indent(level));
    if let Some(by) = &range.grouping {
        out.push_str(&grouping(by));
    }
    out
}

fn log_range(range: &LogRange, level: usize) -> String {
    let mut out = log(&range.log, level);
    if let Some(unwrap) = &range.unwrap {
        let _ = write!(out, "\n{}{}", indent(level + 1), unwrap.head());
        for filter in &unwrap.filters {
            let _ = write!(out, "\n{}| {filter}", indent(level + 1));
        }
    }
    let _ = write!(out, " [{}]", units::format_prometheus_duration(range.range_ns));
    if range.offset_ns != 0 {
        let _ = write!(out, " offset {}", units::format_prometheus_duration(range.offset_ns));
    }
    out
}

fn grouping(grouping: &GroupingExpr) -> String {
    let mut out = String::new();
    if grouping.without {
        out.push_str(" without");
    } else if !grouping.labels.is_empty() {
        out.push_str(" by");
    }
    if !grouping.labels.is_empty() {
        let _ = write!(out, " ({})", grouping.labels.join(", "));
    }
    out
}

fn vector_aggregation(vector: &VectorAggregation, level: usize) -> String {
    let mut out = indent(level) + vector.op.as_str();
    if let Some(by) = &vector.grouping {
        out.push_str(&grouping(by));
    }
    out.push_str("(\n");
    if let (Some(k), AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::ApproxTopK) = (vector.param, vector.op) {
        let _ = writeln!(out, "{}{k},", indent(level + 1));
    }
    let _ = write!(out, "{}\n{})", metric(&vector.input, level + 1), indent(level));
    out
}

fn binary_operation(binary: &BinaryExpr, level: usize) -> String {
    let mut op = binary.op.as_str().to_owned();
    let matching = &binary.matching;
    if matching.return_bool {
        op.push_str(" bool");
    }
    if let Some(labels) = &matching.labels {
        let mut group = print::group_name(matching.cardinality).to_owned();
        if let Some(include) = &matching.include {
            let _ = write!(group, " ({})", include.join(", "));
        }
        let _ = write!(op, " {} ({}) {group}", if matching.on { "on" } else { "ignoring" }, labels.join(", "));
    }
    format!("{}\n{}{op}\n{}", metric(&binary.left, level + 1), indent(level), metric(&binary.right, level + 1))
}

fn label_replace(replace: &LabelReplace, level: usize) -> String {
    let mut out = format!("{}label_replace(\n{}", indent(level), metric(&replace.input, level + 1));
    for text in [&replace.destination, &replace.replacement, &replace.source, &replace.regex] {
        let _ = write!(out, ",\n{}{}", indent(level + 1), go_quote(text));
    }
    let _ = write!(out, "\n{})", indent(level));
    out
}
