//! `parse_query`: a query's syntax tree as JSON, with the keys and their order of upstream's `translateAST`.

use plan::logical::{Cardinality, NodeKind};
use promql::Expr;
use promql::ast::{At, Duration, DurationOp, ExprKind, Extension, Function, Matching, Modifiers, Selector};
use promql::check::type_of;
use promql::functions::{Signature, Type, signature};
use wire::json_text::{comma, html_string, html_strings, integer, plain_float, write_to};

/// Writes an expression. Objects have their keys in alphabetical order, as Go's maps do.
pub fn write(out: &mut Vec<u8>, expr: &Expr) {
    match &expr.kind {
        ExprKind::Number { value, .. } => object(out, "numberLiteral", |o| o.number_text("val", *value)),
        ExprKind::Text(text) => object(out, "stringLiteral", |o| o.text("val", &text.to_lossy())),
        ExprKind::Paren(inner) => Object::open(out).expr("expr", inner).kind("parenExpr").close(),
        ExprKind::Unary { minus, inner } => {
            let op = if *minus { "-" } else { "+" };
            Object::open(out).expr("expr", inner).text("op", op).kind("unaryExpr").close();
        }
        ExprKind::Selector(selector) => vector_selector(out, selector),
        ExprKind::Matrix { selector, range } => matrix_selector(out, selector, range),
        ExprKind::Subquery { inner, range, step, modifiers } => subquery(out, inner, range, step.as_ref(), modifiers),
        ExprKind::Call { function, args } => call(out, *function, args),
        ExprKind::Aggregate { op, grouping, param, input } => {
            let object = Object::open(out).expr("expr", input).texts("grouping", &grouping.labels).text("op", op.as_str());
            let object = object.value("param", |out| match param {
                Some(param) => write(out, param),
                None => out.extend_from_slice(b"null"),
            });
            object.kind("aggregation").flag("without", grouping.without).close();
        }
        ExprKind::Binary { op, return_bool, matching, left, right } => {
            let vectors = type_of(left) == Type::Vector && type_of(right) == Type::Vector;
            let object = Object::open(out).flag("bool", *return_bool).expr("lhs", left);
            let object = object.value("matching", |out| match vectors {
                true => write_matching(out, matching.as_ref(), op.is_set()),
                false => out.extend_from_slice(b"null"),
            });
            object.text("op", op.as_str()).expr("rhs", right).kind("binaryExpr").close();
        }
    }
}

fn object(out: &mut Vec<u8>, kind: &str, rest: impl FnOnce(Object<'_>) -> Object<'_>) {
    rest(Object::open(out).kind(kind)).close();
}

fn write_matching(out: &mut Vec<u8>, matching: Option<&Matching>, is_set: bool) {
    let none = Matching::default();
    let matching = matching.unwrap_or(&none);
    let cardinality = match matching.cardinality {
        Cardinality::OneToOne if is_set => "many-to-many",
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    let object = Object::open(out).text("card", cardinality);
    let object = object.value("fillValues", |out| {
        Object::open(out).fill("lhs", matching.fill_left).fill("rhs", matching.fill_right).close();
    });
    object.texts("include", &matching.include).texts("labels", &matching.labels).flag("on", matching.on).close();
}

fn call(out: &mut Vec<u8>, function: Function, args: &[Expr]) {
    let object = Object::open(out).value("args", |out| {
        out.push(b'[');
        for (index, arg) in args.iter().enumerate() {
            comma(out, index);
            write(out, arg);
        }
        out.push(b']');
    });
    let Signature { args, least, most } = signature(function);
    let variadic = match most {
        None => -1,
        Some(most) if most == least => 0,
        Some(most) => most as i64 + 1 - args.len() as i64,
    };
    let types: Vec<String> = args.iter().map(|of| type_name(*of).to_owned()).collect();
    let object = object.value("func", |out| {
        let returned = if matches!(function.kind(), NodeKind::Scalar) { Type::Scalar } else { Type::Vector };
        let object = Object::open(out).texts("argTypes", &types).text("name", function.as_str());
        object.text("returnType", type_name(returned)).number("variadic", variadic).close();
    });
    object.kind("call").close();
}

fn type_name(of: Type) -> &'static str {
    match of {
        Type::Scalar => "scalar",
        Type::Vector => "vector",
        Type::Matrix => "matrix",
        Type::Text => "string",
    }
}

fn vector_selector(out: &mut Vec<u8>, selector: &Selector) {
    let object = Object::open(out).flag("anchored", selector.modifiers.extension == Extension::Anchored);
    let object = object.matchers(selector).text("name", selector.name.as_deref().unwrap_or_default());
    let object = object.offset(&selector.modifiers).flag("smoothed", selector.modifiers.extension == Extension::Smoothed);
    object.at(&selector.modifiers).kind("vectorSelector").close();
}

fn matrix_selector(out: &mut Vec<u8>, selector: &Expr, range: &Duration) {
    let ExprKind::Selector(selector) = &selector.kind else { return out.extend_from_slice(b"null") };
    let object = Object::open(out).flag("anchored", selector.modifiers.extension == Extension::Anchored);
    let object = object.matchers(selector).text("name", selector.name.as_deref().unwrap_or_default());
    let object = object.offset(&selector.modifiers).duration("range", "rangeExpr", Some(range));
    let object = object.flag("smoothed", selector.modifiers.extension == Extension::Smoothed);
    object.at(&selector.modifiers).kind("matrixSelector").close();
}

fn subquery(out: &mut Vec<u8>, inner: &Expr, range: &Duration, step: Option<&Duration>, modifiers: &Modifiers) {
    let object = Object::open(out).expr("expr", inner).offset(modifiers).duration("range", "rangeExpr", Some(range));
    // `startOrEnd` and `step` follow each other in the alphabet, `timestamp` comes after both.
    let object = object.start_or_end(modifiers).duration("step", "stepExpr", step);
    object.timestamp(modifiers).kind("subquery").close();
}

/// Writes a duration expression, as a number where it is one.
fn write_duration(out: &mut Vec<u8>, duration: &Duration, wrapped: bool) {
    match duration {
        Duration::Literal { seconds, duration, .. } => {
            Object::open(out).flag("duration", *duration).kind("numberLiteral").number_text("val", *seconds).close();
        }
        // A number cannot say that it is wrapped, so it stands behind a plus.
        Duration::Paren(inner, _) if matches!(**inner, Duration::Literal { .. }) => operation(out, None, "+", Some(inner), true),
        Duration::Paren(inner, _) => write_duration(out, inner, true),
        Duration::Plus(inner, _) => operation(out, None, "+", Some(inner), wrapped),
        Duration::Step(_) => operation(out, None, "step", None, wrapped),
        Duration::Range(_) => operation(out, None, "range", None, wrapped),
        Duration::Negate(inner, _) => operation(out, None, "-", Some(inner), wrapped),
        Duration::Binary(op, left, right) => operation(out, Some(left), operator(*op), Some(right), wrapped),
    }
}

fn operation(out: &mut Vec<u8>, left: Option<&Duration>, op: &str, right: Option<&Duration>, wrapped: bool) {
    let side = |side: Option<&Duration>, out: &mut Vec<u8>| match side {
        Some(duration) => write_duration(out, duration, false),
        None => out.extend_from_slice(b"null"),
    };
    let object = Object::open(out).value("lhs", |out| side(left, out)).text("op", op);
    object.value("rhs", |out| side(right, out)).kind("durationExpr").flag("wrapped", wrapped).close();
}

fn operator(op: DurationOp) -> &'static str {
    match op {
        DurationOp::Add => "+",
        DurationOp::Sub => "-",
        DurationOp::Mul => "*",
        DurationOp::Div => "/",
        DurationOp::Mod => "%",
        DurationOp::Pow => "^",
        DurationOp::Min => "min_of",
        DurationOp::Max => "max_of",
    }
}

/// A literal in milliseconds; one in parentheses is an expression.
fn literal_ms(duration: &Duration) -> Option<i64> {
    match duration {
        Duration::Literal { seconds, .. } => Some((seconds * 1e9).round() as i64 / 1_000_000),
        _ => None,
    }
}

/// An object being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    keys: usize,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object { out, keys: 0 }
    }

    fn close(self) {
        self.out.push(b'}');
    }

    fn value(mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) -> Object<'a> {
        comma(self.out, self.keys);
        self.keys += 1;
        write_to(self.out, format_args!("\"{key}\":"));
        write(self.out);
        self
    }

    fn expr(self, key: &str, expr: &Expr) -> Object<'a> {
        self.value(key, |out| write(out, expr))
    }

    fn text(self, key: &str, text: &str) -> Object<'a> {
        self.value(key, |out| html_string(out, text))
    }

    fn kind(self, kind: &str) -> Object<'a> {
        self.text("type", kind)
    }

    fn texts(self, key: &str, texts: &[String]) -> Object<'a> {
        self.value(key, |out| html_strings(out, texts.iter().map(String::as_str)))
    }

    fn flag(self, key: &str, value: bool) -> Object<'a> {
        self.value(key, |out| write_to(out, format_args!("{value}")))
    }

    fn number(self, key: &str, value: i64) -> Object<'a> {
        self.value(key, |out| integer(out, value))
    }

    fn number_text(self, key: &str, value: f64) -> Object<'a> {
        self.value(key, |out| {
            out.push(b'"');
            plain_float(out, value);
            out.push(b'"');
        })
    }

    fn fill(self, key: &str, value: Option<f64>) -> Object<'a> {
        match value {
            Some(value) if value.is_finite() => self.value(key, |out| plain_float(out, value)),
            // JSON has no such number; upstream answers 500 here.
            Some(value) => self.number_text(key, value),
            None => self.value(key, |out| out.extend_from_slice(b"null")),
        }
    }

    /// Writes a duration's two keys: milliseconds, and the expression where it is one.
    fn duration(self, key: &str, expr_key: &str, duration: Option<&Duration>) -> Object<'a> {
        let ms = duration.map_or(Some(0), literal_ms);
        self.number(key, ms.unwrap_or(0)).value(expr_key, |out| match duration {
            Some(duration) if ms.is_none() => write_duration(out, duration, false),
            _ => out.extend_from_slice(b"null"),
        })
    }

    fn offset(self, modifiers: &Modifiers) -> Object<'a> {
        self.duration("offset", "offsetExpr", modifiers.offset.as_ref())
    }

    fn at(self, modifiers: &Modifiers) -> Object<'a> {
        self.start_or_end(modifiers).timestamp(modifiers)
    }

    fn start_or_end(self, modifiers: &Modifiers) -> Object<'a> {
        self.value("startOrEnd", |out| {
            out.extend_from_slice(match modifiers.at {
                Some(At::Start) => b"\"start\"".as_slice(),
                Some(At::End) => b"\"end\"",
                _ => b"null",
            });
        })
    }

    fn timestamp(self, modifiers: &Modifiers) -> Object<'a> {
        self.value("timestamp", |out| match modifiers.at {
            Some(At::Time(ms)) => integer(out, ms),
            _ => out.extend_from_slice(b"null"),
        })
    }

    fn matchers(self, selector: &Selector) -> Object<'a> {
        self.value("matchers", |out| {
            out.push(b'[');
            for (index, matcher) in selector.matchers.iter().enumerate() {
                comma(out, index);
                let object = Object::open(out).text("name", matcher.name()).text("type", matcher.op().as_str());
                object.text("value", matcher.value()).close();
            }
            out.push(b']');
        })
    }
}
