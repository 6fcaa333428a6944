//! Tree to text: the canonical one-line form, and the form of many lines that `format_query` answers.
//!
//! Owns: spelling and line breaks (upstream `promql/parser/{printer,prettier}.go`).

use plan::logical::Cardinality;

use crate::ast::*;
use crate::check::type_of;
use crate::functions::Type;
use crate::number::{print_duration, print_general, print_number};

/// Bytes a line may have before it is split (upstream `maxCharactersPerLine`).
const LINE_BYTES_MAX: usize = 100;

/// Prints the canonical form on one line.
pub fn print(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Number { value, duration: true } => print_duration(*value),
        ExprKind::Number { value, duration: false } => print_number(*value),
        ExprKind::Text(text) => model::quote::go_quote_bytes(text.as_bytes()),
        ExprKind::Selector(selector) => selector_text(selector, true),
        ExprKind::Matrix { selector, range } => matrix(selector, range),
        ExprKind::Subquery { inner, .. } => print(inner) + &subquery_suffix(&expr.kind),
        ExprKind::Call { function, args } => {
            format!("{}({})", function.as_str(), args.iter().map(print).collect::<Vec<_>>().join(", "))
        }
        ExprKind::Aggregate { op, grouping, param, input } => {
            let param = param.as_ref().map(|param| print(param) + ", ").unwrap_or_default();
            format!("{}({param}{})", aggregate_head(*op, grouping), print(input))
        }
        ExprKind::Binary { left, right, .. } => format!("{} {} {}", print(left), operator(&expr.kind), print(right)),
        ExprKind::Unary { minus, inner } => format!("{}{}", if *minus { "-" } else { "+" }, print(inner)),
        ExprKind::Paren(inner) => format!("({})", print(inner)),
    }
}

/// Prints with line breaks where a line would be longer than 100 bytes.
pub fn prettify(expr: &Expr) -> String {
    prettify_within(expr, LINE_BYTES_MAX)
}

/// Prints with line breaks where a line would be longer than `bytes_max`.
pub fn prettify_within(expr: &Expr, bytes_max: usize) -> String {
    pretty(expr, 0, bytes_max)
}

fn pretty(expr: &Expr, level: usize, bytes_max: usize) -> String {
    let pretty = |expr: &Expr, level: usize| pretty(expr, level, bytes_max);
    let indent = "  ".repeat(level);
    let line = print(expr);
    match &expr.kind {
        ExprKind::Subquery { .. } if line.len() <= bytes_max => return line,
        ExprKind::Unary { minus, inner } => {
            return format!("{indent}{}{}", if *minus { "-" } else { "+" }, pretty(inner, level).trim());
        }
        _ if line.len() <= bytes_max => return indent + &line,
        _ => {}
    }
    match &expr.kind {
        ExprKind::Subquery { inner, .. } => pretty(inner, level) + &subquery_suffix(&expr.kind),
        ExprKind::Call { function, args } => {
            let args: Vec<String> = args.iter().map(|arg| pretty(arg, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", function.as_str(), args.join(",\n"))
        }
        ExprKind::Aggregate { op, grouping, param, input } => {
            let param = param.as_ref().map(|param| pretty(param, level + 1) + ",\n").unwrap_or_default();
            format!("{indent}{}(\n{param}{}\n{indent})", aggregate_head(*op, grouping), pretty(input, level + 1))
        }
        ExprKind::Binary { left, right, .. } => {
            format!("{}\n{indent}{}\n{}", pretty(left, level + 1), operator(&expr.kind), pretty(right, level + 1))
        }
        ExprKind::Paren(inner) => format!("{indent}(\n{}\n{indent})", pretty(inner, level + 1)),
        _ => indent + &line,
    }
}

/// The lexer takes U+FFFD for broken UTF-8, so it is only written as an escape.
fn visible(text: &str) -> String {
    text.replace('\u{fffd}', "\\ufffd")
}

fn names(labels: &[String]) -> String {
    let name = |label: &String| {
        if model::labels::is_legacy_name(label) { label.clone() } else { model::quote::go_quote(label) }
    };
    visible(&labels.iter().map(name).collect::<Vec<_>>().join(", "))
}

fn aggregate_head(op: AggregateOp, grouping: &Grouping) -> String {
    match (grouping.without, grouping.labels.is_empty()) {
        (true, _) => format!("{} without ({}) ", op.as_str(), names(&grouping.labels)),
        (false, false) => format!("{} by ({}) ", op.as_str(), names(&grouping.labels)),
        (false, true) => op.as_str().to_owned(),
    }
}

/// The operator with `bool` and matching; what is written at scalars means nothing and is left out.
fn operator(kind: &ExprKind) -> String {
    let ExprKind::Binary { op, return_bool, matching, left, right } = kind else { return String::new() };
    let mut out = op.as_str().to_owned();
    if *return_bool {
        out += " bool";
    }
    let vectors = type_of(left) == Type::Vector && type_of(right) == Type::Vector;
    let Some(matching) = matching.as_ref().filter(|_| vectors) else { return out };
    let group = match matching.cardinality {
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
        _ => None,
    };
    if matching.on || !matching.labels.is_empty() || group.is_some() {
        out += &format!(" {} ({})", if matching.on { "on" } else { "ignoring" }, names(&matching.labels));
    }
    if let Some(side) = group {
        out += &format!(" group_{side} ({})", names(&matching.include));
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right => out += &format!(" fill ({})", print_general(left)),
        (left, right) => {
            for (side, value) in [("left", left), ("right", right)] {
                if let Some(value) = value {
                    out += &format!(" fill_{side} ({})", print_general(value));
                }
            }
        }
    }
    out
}

fn selector_text(selector: &Selector, modifiers: bool) -> String {
    let name = selector.name.as_deref().unwrap_or_default();
    let named = |matcher: &&model::Matcher| {
        !(matcher.name() == "__name__"
            && matcher.op() == model::MatchOp::Equal
            && matcher.value() == name
            && !matcher.value().is_empty())
    };
    let mut matchers: Vec<String> = selector.matchers.iter().filter(named).map(ToString::to_string).collect();
    matchers.sort();
    let mut out = name.to_owned();
    if !matchers.is_empty() {
        out += &format!("{{{}}}", visible(&matchers.join(",")));
    }
    if modifiers {
        out += &at(&selector.modifiers);
        out += extension(&selector.modifiers);
        out += &offset(&selector.modifiers);
    }
    out
}

fn matrix(selector: &Expr, range: &Duration) -> String {
    let ExprKind::Selector(selector) = &selector.kind else { return format!("{}[{}]", print(selector), window(range)) };
    let modifiers = &selector.modifiers;
    let name = selector_text(selector, false);
    format!("{name}[{}]{}{}{}", window(range), extension(modifiers), at(modifiers), offset(modifiers))
}

fn subquery_suffix(kind: &ExprKind) -> String {
    let ExprKind::Subquery { range, step, modifiers, .. } = kind else { return String::new() };
    let step = step.as_ref().map(window).unwrap_or_default();
    format!("[{}:{step}]{}{}", window(range), at(modifiers), offset(modifiers))
}

fn at(modifiers: &Modifiers) -> String {
    match modifiers.at {
        Some(At::Time(ms)) => format!(" @ {:.3}", ms as f64 / 1000.0),
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
        None => String::new(),
    }
}

fn extension(modifiers: &Modifiers) -> &'static str {
    match modifiers.extension {
        Extension::None => "",
        Extension::Anchored => " anchored",
        Extension::Smoothed => " smoothed",
    }
}

fn offset(modifiers: &Modifiers) -> String {
    modifiers.offset.as_ref().map(|offset| format!(" offset {}", window(offset))).unwrap_or_default()
}

/// A literal by itself is printed as a duration, however it was written.
fn window(duration: &Duration) -> String {
    match duration {
        Duration::Literal { seconds, .. } => print_duration(*seconds),
        other => duration_text(other),
    }
}

fn duration_text(duration: &Duration) -> String {
    match duration {
        Duration::Literal { seconds, duration: true, .. } => print_duration(*seconds),
        Duration::Literal { seconds, duration: false, .. } => print_number(*seconds),
        Duration::Paren(inner, _) => format!("({})", duration_text(inner)),
        Duration::Step(_) => "step()".to_owned(),
        Duration::Range(_) => "range()".to_owned(),
        Duration::Plus(inner, _) => duration_text(inner),
        Duration::Negate(inner, _) => format!("-{}", duration_text(inner)),
        Duration::Binary(op, left, right) => {
            let (left, right) = (duration_text(left), duration_text(right));
            match op {
                DurationOp::Min => format!("min_of({left}, {right})"),
                DurationOp::Max => format!("max_of({left}, {right})"),
                DurationOp::Add => format!("{left} + {right}"),
                DurationOp::Sub => format!("{left} - {right}"),
                DurationOp::Mul => format!("{left} * {right}"),
                DurationOp::Div => format!("{left} / {right}"),
                DurationOp::Mod => format!("{left} % {right}"),
                DurationOp::Pow => format!("{left} ^ {right}"),
            }
        }
    }
}
