//! What stands in `[…]` and after `offset`: duration expressions.

use super::{Kind, ParseError, Parser};
use crate::ast::*;
use crate::lexer::Class;
use crate::limits::SECONDS_MAX;

const WANTED: &str = "number, duration, step(), or range()";

impl Parser<'_> {
    pub(super) fn brackets(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        let open = self.next().span;
        let range = self.positive("subquery or range selector", WANTED)?;
        let subquery = self.take(":");
        if !subquery && !self.is("]") {
            return Err(self.unexpected_wanting("subquery or range", "\":\" or \"]\""));
        }
        let step = match subquery && !self.is("]") {
            true => Some(self.positive("subquery selector", "number, duration, step(), range(), or \"]\"")?),
            false => None,
        };
        let close = self.expect("]", "subquery selector")?.span;
        let span = Span { start: expr.span.start, end: close.end };
        if subquery {
            let kind = ExprKind::Subquery { inner: Box::new(expr), range, step, modifiers: Modifiers::default() };
            return Ok(Expr { kind, span });
        }
        let message = match &expr.kind {
            ExprKind::Selector(selector) if selector.modifiers.offset.is_some() => "no offset modifiers allowed before range",
            ExprKind::Selector(selector) if selector.modifiers.at.is_some() => "no @ modifiers allowed before range",
            ExprKind::Selector(_) => return Ok(Expr { kind: ExprKind::Matrix { selector: Box::new(expr), range }, span }),
            _ => "ranges only allowed for vector selectors",
        };
        Err(self.error(Span { start: open.start, end: close.end }, message))
    }

    fn positive(&mut self, context: &str, wanted: &str) -> Result<Duration, ParseError> {
        let start = self.peek().span.start;
        let duration = self.duration(0, (context, wanted))?;
        let span = Span { start, end: self.tokens[self.at - 1].span.end };
        self.readable()?;
        match duration {
            Duration::Literal { seconds, .. } if seconds <= 0.0 => Err(self.error(span, "duration must be greater than 0")),
            duration => Ok(duration),
        }
    }

    /// What `offset` takes: one operand, or an expression that begins with a parenthesis or two signs.
    pub(super) fn offset_duration(&mut self) -> Result<Duration, ParseError> {
        let context = ("offset", WANTED);
        let sign = |kind: &Kind| matches!(kind, Kind::Sign("+" | "-"));
        let whole = self.is("(") || sign(&self.peek().kind) && sign(&self.peek_second().kind);
        if whole { self.duration(0, context) } else { self.offset_operand(context) }
    }

    fn offset_operand(&mut self, context: (&str, &str)) -> Result<Duration, ParseError> {
        let minus = self.is("-");
        if !minus && !self.is("+") {
            return self.operand(context);
        }
        let sign = self.next().span;
        let start = sign.start;
        // A number out of range is told at its sign here.
        let inner = self.operand_at(Some(sign), context)?;
        Ok(match inner {
            inner if minus => negate(inner, start),
            // Upstream's grammar has a rule of its own for these and keeps the sign; elsewhere a plus leaves no trace.
            inner @ (Duration::Step(_) | Duration::Range(_) | Duration::Binary(..)) => Duration::Plus(Box::new(inner), start),
            inner => inner,
        })
    }

    fn duration(&mut self, least: u8, context: (&str, &str)) -> Result<Duration, ParseError> {
        self.deeper(|parser| {
            let start = parser.peek().span;
            let mut left = if parser.is("-") || parser.is("+") {
                let minus = parser.is("-");
                parser.next();
                // A sign binds looser than `^` and tighter than `*`.
                let inner = parser.duration(3, context)?;
                if minus { negate(inner, start.start) } else { inner }
            } else {
                parser.operand(context)?
            };
            while let Some((op, precedence)) = parser.duration_op().filter(|(_, precedence)| *precedence >= least) {
                parser.chain()?;
                let sign = parser.next().span;
                let right = parser.duration(if op == DurationOp::Pow { precedence } else { precedence + 1 }, context)?;
                parser.enabled(start)?;
                let zero = matches!(right, Duration::Literal { seconds, .. } if seconds == 0.0);
                if zero {
                    parser.readable()?;
                }
                match op {
                    DurationOp::Div if zero => return Err(parser.error(sign, "division by zero")),
                    DurationOp::Mod if zero => return Err(parser.error(sign, "modulo by zero")),
                    _ => left = Duration::Binary(op, Box::new(left), Box::new(right)),
                }
            }
            Ok(left)
        })
    }

    fn duration_op(&self) -> Option<(DurationOp, u8)> {
        match self.peek().kind {
            Kind::Sign("+") => Some((DurationOp::Add, 1)),
            Kind::Sign("-") => Some((DurationOp::Sub, 1)),
            Kind::Sign("*") => Some((DurationOp::Mul, 2)),
            Kind::Sign("/") => Some((DurationOp::Div, 2)),
            Kind::Sign("%") => Some((DurationOp::Mod, 2)),
            Kind::Sign("^") => Some((DurationOp::Pow, 4)),
            _ => None,
        }
    }

    fn enabled(&self, span: Span) -> Result<(), ParseError> {
        if self.options.duration_expressions {
            return Ok(());
        }
        Err(self.error(span, "experimental duration expression is not enabled"))
    }

    fn operand(&mut self, context: (&str, &str)) -> Result<Duration, ParseError> {
        self.operand_at(None, context)
    }

    fn operand_at(&mut self, sign: Option<Span>, context: (&str, &str)) -> Result<Duration, ParseError> {
        let token = self.peek().clone();
        if let Some((seconds, duration)) = self.literal()? {
            // NaN passes here, and is refused when a value is wanted, as upstream.
            if seconds.abs() > SECONDS_MAX {
                return Err(self.error(sign.unwrap_or(token.span), "duration out of range"));
            }
            return Ok(Duration::Literal { seconds, duration, span: token.span });
        }
        match token.kind {
            Kind::Sign("(") => {
                self.next();
                let inner = self.duration(0, context)?;
                self.close(")", context)?;
                self.enabled(token.span)?;
                Ok(if matches!(inner, Duration::Paren(..)) { inner } else { Duration::Paren(Box::new(inner), token.span.start) })
            }
            Kind::Word(Class::Preprocessor) => self.duration_call(context),
            _ => Err(self.unexpected_wanting(context.0, context.1)),
        }
    }

    fn close(&mut self, sign: &str, context: (&str, &str)) -> Result<(), ParseError> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected_wanting(context.0, context.1)) }
    }

    /// `step()`, `range()`, `min_of(a, b)`, `max_of(a, b)`
    fn duration_call(&mut self, context: (&str, &str)) -> Result<Duration, ParseError> {
        let token = self.peek().clone();
        let word = self.written(&token).to_ascii_lowercase();
        let op = match word.as_str() {
            "min_of" => Some(DurationOp::Min),
            "max_of" => Some(DurationOp::Max),
            "step" | "range" => None,
            _ => return Err(self.unexpected_wanting(context.0, context.1)),
        };
        self.next();
        self.close("(", context)?;
        let span = Span { end: self.peek().span.end, ..token.span };
        let duration = match op {
            None if word == "step" => Duration::Step(span),
            None => Duration::Range(span),
            Some(op) => {
                let left = self.duration(0, context)?;
                self.close(",", context)?;
                Duration::Binary(op, Box::new(left), Box::new(self.duration(0, context)?))
            }
        };
        self.close(")", context)?;
        self.enabled(token.span)?;
        Ok(duration)
    }
}

fn negate(inner: Duration, start: u32) -> Duration {
    match inner {
        Duration::Literal { seconds, duration, span } => {
            Duration::Literal { seconds: -seconds, duration, span: Span { start, ..span } }
        }
        inner => Duration::Negate(Box::new(inner), start),
    }
}
