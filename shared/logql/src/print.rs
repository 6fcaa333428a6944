//! A tree as one line, as Loki re-serialises it.

use std::fmt::Write;

use model::quote::go_quote;
use plan::logical::Cardinality;
use plan::pipeline::units;

use crate::ast::{BinaryExpr, Expr, GroupingExpr, LogExpr, LogRange, MetricExpr, RangeAggregation, VectorAggregation};

/// Prints a query on one line.
pub fn print(expr: &Expr) -> String {
    let mut out = String::new();
    match expr {
        Expr::Log(expr) => log(&mut out, expr),
        Expr::Metric(expr) => metric(&mut out, expr),
    }
    out
}

pub(crate) fn selector(out: &mut String, expr: &LogExpr) {
    out.push('{');
    for (index, matcher) in expr.matchers.iter().enumerate() {
        let _ = write!(out, "{}{matcher}", if index > 0 { ", " } else { "" });
    }
    out.push('}');
}

pub(crate) fn log(out: &mut String, expr: &LogExpr) {
    selector(out, expr);
    for stage in &expr.stages {
        let _ = write!(out, " {stage}");
    }
}

pub(crate) fn metric(out: &mut String, expr: &MetricExpr) {
    match expr {
        MetricExpr::Range(range) => range_aggregation(out, range),
        MetricExpr::Vector(vector) => vector_aggregation(out, vector),
        MetricExpr::Binary(binary) => {
            out.push('(');
            metric(out, &binary.left);
            let _ = write!(out, " {} ", operator(binary));
            metric(out, &binary.right);
            out.push(')');
        }
        MetricExpr::Literal(value, _) => out.push_str(&units::format_float(*value)),
        MetricExpr::VectorLiteral(value, _) => {
            let _ = write!(out, "vector({value:.6})");
        }
        MetricExpr::LabelReplace(replace) => {
            out.push_str("label_replace(");
            metric(out, &replace.input);
            for text in [&replace.destination, &replace.replacement, &replace.source, &replace.regex] {
                let _ = write!(out, ",{}", go_quote(text));
            }
            out.push(')');
        }
        MetricExpr::Invalid(_) => {}
    }
}

fn range_aggregation(out: &mut String, range: &RangeAggregation) {
    let _ = write!(out, "{}(", range.function.as_str());
    if let Some(param) = range.param {
        let _ = write!(out, "{},", units::format_float_plain(param));
    }
    log_range(out, &range.range);
    out.push(')');
    if let Some(by) = &range.grouping {
        grouping(out, by);
    }
}

fn log_range(out: &mut String, range: &LogRange) {
    log(out, &range.log);
    if let Some(unwrap) = &range.unwrap {
        let _ = write!(out, " {unwrap}");
    }
    let _ = write!(out, "[{}]", units::format_prometheus_duration(range.range_ns));
    if range.offset_ns != 0 {
        let _ = write!(out, " offset {}", units::format_go_duration(range.offset_ns));
    }
}

fn grouping(out: &mut String, grouping: &GroupingExpr) {
    let _ = write!(out, " {} ({})", if grouping.without { "without" } else { "by" }, grouping.labels.join(","));
}

fn vector_aggregation(out: &mut String, vector: &VectorAggregation) {
    out.push_str(vector.op.as_str());
    if let Some(by) = vector.grouping.as_ref().filter(|by| by.without || !by.labels.is_empty()) {
        grouping(out, by);
    }
    out.push('(');
    if let Some(k) = vector.param {
        let _ = write!(out, "{k},");
    }
    metric(out, &vector.input);
    out.push(')');
}

fn operator(binary: &BinaryExpr) -> String {
    let mut out = binary.op.as_str().to_owned();
    let matching = &binary.matching;
    if matching.return_bool {
        out.push_str(" bool");
    }
    if matching.on || matching.labels.is_some() {
        let labels = matching.labels.as_deref().unwrap_or_default().join(",");
        let mut group = group_name(matching.cardinality).to_owned();
        if let Some(include) = &matching.include {
            let _ = write!(group, " ({})", include.join(","));
        }
        let _ = write!(out, " {} ({labels}) {group}", if matching.on { "on" } else { "ignoring" });
    }
    out
}

pub(crate) fn group_name(cardinality: Cardinality) -> &'static str {
    match cardinality {
        Cardinality::ManyToOne => "group_left",
        Cardinality::OneToMany => "group_right",
        Cardinality::OneToOne | Cardinality::ManyToMany => "",
    }
}
