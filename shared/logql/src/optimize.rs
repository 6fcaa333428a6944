//! What Loki's engine leaves out of a query before it evaluates it (`pkg/logql/optimize.go`), as far as answers show it.

use plan::logical::LogRangeFunction;
use plan::pipeline::Stage;

use crate::ast::{Expr, MetricExpr, RangeAggregation};

/// Drops each `line_format` of a metric query whose line no parser and no line filter reads, and with it the errors it would make.
pub fn optimize(expr: &mut Expr) {
    if let Expr::Metric(expr) = expr {
        metric(expr);
    }
}

fn metric(expr: &mut MetricExpr) {
    match expr {
        MetricExpr::Range(range) => drop_unread_formats(range),
        MetricExpr::Vector(vector) => metric(&mut vector.input),
        MetricExpr::LabelReplace(replace) => metric(&mut replace.input),
        MetricExpr::Binary(binary) => {
            metric(&mut binary.left);
            metric(&mut binary.right);
        }
        MetricExpr::Literal(..) | MetricExpr::VectorLiteral(..) | MetricExpr::Invalid(_) => {}
    }
}

fn drop_unread_formats(range: &mut RangeAggregation) {
    if matches!(range.function, LogRangeFunction::BytesOverTime | LogRangeFunction::BytesRate) {
        return;
    }
    let reads = |stage: &Stage| {
        use Stage as S;
        matches!(stage, S::LineFilters(_) | S::Json(_) | S::Logfmt(_) | S::Regexp(_) | S::Pattern(_) | S::Unpack)
    };
    let stages = &mut range.range.log.stages;
    let mut behind_last_reader = stages.iter().rposition(reads).map_or(0, |at| at + 1);
    stages.retain(|stage| {
        let read = behind_last_reader > 0;
        behind_last_reader = behind_last_reader.saturating_sub(1);
        read || !matches!(stage, Stage::LineFormat(_))
    });
}
