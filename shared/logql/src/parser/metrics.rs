//! Operators, aggregations, functions.

use model::{go_float, re2};
use plan::functions::power;
use plan::logical::{AggregateOp, BinaryOp, Cardinality, LogRangeFunction};

use super::Parser;
use crate::ast::{
    BinaryExpr, Expr, GroupingExpr, LabelReplace, LogExpr, LogRange, MatchingExpr, MetricExpr, RangeAggregation,
    VectorAggregation,
};
use crate::error::ParseError;
use crate::token::Kind;

impl Parser {
    /// Reads an expression whose operators all bind at least as tight as `min`.
    pub(super) fn expression(&mut self, min: u8) -> Result<Expr, ParseError> {
        let start = self.start();
        let mut left = self.operand()?;
        while let Some((op, precedence)) = self.binary_op().filter(|(_, precedence)| *precedence >= min) {
            self.bump();
            self.chain()?;
            let matching = self.matching()?;
            let right_min = if op == BinaryOp::Pow { precedence } else { precedence + 1 };
            let right = self.nested(|parser| parser.expression(right_min))?;
            let span = self.span_from(start);
            left = Expr::Metric(binary(op, matching, left, right, span));
        }
        Ok(left)
    }

    fn binary_op(&self) -> Option<(BinaryOp, u8)> {
        let Kind::Fixed(text) = self.peek() else { return None };
        Some(match *text {
            "or" => (BinaryOp::Or, 1),
            "and" => (BinaryOp::And, 2),
            "unless" => (BinaryOp::Unless, 2),
            "==" => (BinaryOp::Eq, 3),
            "!=" => (BinaryOp::Ne, 3),
            "<" => (BinaryOp::Lt, 3),
            "<=" => (BinaryOp::Le, 3),
            ">" => (BinaryOp::Gt, 3),
            ">=" => (BinaryOp::Ge, 3),
            "+" => (BinaryOp::Add, 4),
            "-" => (BinaryOp::Sub, 4),
            "*" => (BinaryOp::Mul, 5),
            "/" => (BinaryOp::Div, 5),
            "%" => (BinaryOp::Mod, 5),
            "^" => (BinaryOp::Pow, 6),
            _ => return None,
        })
    }

    fn operand(&mut self) -> Result<Expr, ParseError> {
        let start = self.start();
        match self.peek().clone() {
            Kind::Fixed("{") => {
                let matchers = self.selector()?;
                let stages = self.stages()?;
                if self.peek().is("|") {
                    self.bump();
                    return Err(self.unexpected(&[]));
                }
                Ok(Expr::Log(LogExpr { matchers, stages, span: self.span_from(start) }))
            }
            Kind::Fixed("(") => {
                self.bump();
                let inner = self.nested(|parser| parser.expression(0))?;
                self.expect(")", &[])?;
                Ok(inner)
            }
            Kind::Number(_) | Kind::Fixed("+" | "-") => Ok(Expr::Metric(self.literal()?)),
            Kind::RangeFunction(function) => Ok(Expr::Metric(self.range_aggregation(function)?)),
            Kind::VectorFunction(op) => Ok(Expr::Metric(self.vector_aggregation(op)?)),
            Kind::Vector => Ok(Expr::Metric(self.vector()?)),
            Kind::Fixed("label_replace") => Ok(Expr::Metric(self.label_replace()?)),
            _ => Err(self.unexpected(&[])),
        }
    }

    /// Reads an expression that must answer numbers; a log query there is found at the token after it, as in Loki.
    fn metric(&mut self) -> Result<MetricExpr, ParseError> {
        match self.nested(|parser| parser.expression(0))? {
            Expr::Metric(metric) => Ok(metric),
            Expr::Log(_) => Err(self.unexpected(&[])),
        }
    }

    /// Reads a sign; tells whether it is `-`.
    fn sign(&mut self) -> bool {
        let negative = self.peek().is("-");
        if negative || self.peek().is("+") {
            self.bump();
        }
        negative
    }

    fn number(&mut self) -> Result<String, ParseError> {
        let Kind::Number(text) = self.peek().clone() else { return Err(self.unexpected(&["NUMBER"])) };
        self.bump();
        Ok(text)
    }

    /// Reads the number of a label filter. Loki reads its value before it tells the scanner's faults.
    pub(super) fn signed_number(&mut self) -> Result<f64, ParseError> {
        let negative = self.sign();
        if let Kind::Malformed { text, .. } = self.peek() {
            float(text, "literal")?;
        }
        let value = float(&self.number()?, "literal")?;
        Ok(if negative { -value } else { value })
    }

    fn literal(&mut self) -> Result<MetricExpr, ParseError> {
        let start = self.start();
        let negative = self.sign();
        let text = self.number()?;
        let span = self.span_from(start);
        Ok(match float(&text, "literal") {
            Ok(value) => MetricExpr::Literal(if negative { -value } else { value }, span),
            Err(error) => MetricExpr::Invalid(error),
        })
    }

    fn vector(&mut self) -> Result<MetricExpr, ParseError> {
        let start = self.start();
        self.bump();
        self.expect("(", &["("])?;
        let text = self.number()?;
        self.expect(")", &[")"])?;
        let span = self.span_from(start);
        Ok(match float(&text, "vectorExpr") {
            Ok(value) => MetricExpr::VectorLiteral(value, span),
            Err(error) => MetricExpr::Invalid(error),
        })
    }

    fn grouping(&mut self) -> Result<Option<GroupingExpr>, ParseError> {
        let without = self.peek().is("without");
        if !without && !self.peek().is("by") {
            return Ok(None);
        }
        self.bump();
        let labels = self.labels()?;
        Ok(Some(GroupingExpr { without, labels }))
    }

    /// Reads `(a, b)` or `()`.
    fn labels(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect("(", &["("])?;
        let mut labels = Vec::new();
        if self.accept(")") {
            return Ok(labels);
        }
        labels.push(self.identifier(&["IDENTIFIER", ")"])?);
        while !self.accept(")") {
            self.expect(",", &[",", ")"])?;
            labels.push(self.identifier(&["IDENTIFIER"])?);
        }
        Ok(labels)
    }

    fn matching(&mut self) -> Result<MatchingExpr, ParseError> {
        let mut matching = MatchingExpr { return_bool: self.accept("bool"), ..MatchingExpr::default() };
        matching.on = self.peek().is("on");
        if !matching.on && !self.peek().is("ignoring") {
            return Ok(matching);
        }
        self.bump();
        matching.labels = Some(self.labels()?).filter(|labels| !labels.is_empty());
        matching.cardinality = match self.peek() {
            Kind::Fixed("group_left") => Cardinality::ManyToOne,
            Kind::Fixed("group_right") => Cardinality::OneToMany,
            _ => return Ok(matching),
        };
        self.bump();
        if self.peek().is("(") {
            matching.include = Some(self.labels()?).filter(|labels| !labels.is_empty());
        }
        Ok(matching)
    }

    fn range_aggregation(&mut self, function: LogRangeFunction) -> Result<MetricExpr, ParseError> {
        let start = self.start();
        self.bump();
        self.expect("(", &["("])?;
        let param = match self.peek().clone() {
            Kind::Number(text) => {
                self.bump();
                self.expect(",", &[","])?;
                Some(text)
            }
            Kind::Fixed("{" | "(") => None,
            _ => return Err(self.unexpected(&["NUMBER", "{", "("])),
        };
        let range = self.log_range()?;
        self.expect(")", &[")"])?;
        let grouping = self.grouping()?;
        let span = self.span_from(start);
        let param = match range_param(function, param) {
            Ok(param) => param,
            Err(error) => return Ok(MetricExpr::Invalid(error)),
        };
        if let Err(error) = range_function_fits(function, grouping.is_some(), range.unwrap.is_some()) {
            return Ok(MetricExpr::Invalid(error));
        }
        Ok(MetricExpr::Range(Box::new(RangeAggregation { function, range, param, grouping, span })))
    }

    /// Reads `{…} | … [5m] offset 1h` in any of the orders Loki takes.
    fn log_range(&mut self) -> Result<LogRange, ParseError> {
        if self.peek().is("(") {
            return self.log_range_in_parentheses();
        }
        let start = self.start();
        let matchers = self.selector_of_range()?;
        let mut stages = self.stages()?;
        let mut unwrap = self.unwrap()?;
        let bare = stages.is_empty() && unwrap.is_none();
        let expected: &[&str] = if unwrap.is_some() { &["RANGE", "|"] } else { &[] };
        let (range_ns, offset_ns) = self.range_and_offset(expected)?;
        if bare {
            stages = self.stages()?;
            unwrap = self.unwrap()?;
        }
        let span = self.span_from(start);
        Ok(LogRange { log: LogExpr { matchers, stages, span }, unwrap, range_ns, offset_ns })
    }

    fn log_range_in_parentheses(&mut self) -> Result<LogRange, ParseError> {
        self.expect("(", &["("])?;
        if self.peek().is("(") {
            let range = self.nested(Parser::log_range)?;
            self.expect(")", &[")"])?;
            return Ok(range);
        }
        let start = self.start();
        let matchers = self.selector_of_range()?;
        let stages = self.stages()?;
        let mut unwrap = self.unwrap()?;
        let span = self.span_from(start);
        if matches!(self.peek(), Kind::Range(_)) {
            let bare = stages.is_empty() && unwrap.is_none();
            let (range_ns, offset_ns) = self.range_and_offset(&[])?;
            let (stages, unwrap) = if bare { (self.stages()?, self.unwrap()?) } else { (stages, unwrap) };
            self.expect(")", &[")"])?;
            return Ok(LogRange { log: LogExpr { matchers, stages, span }, unwrap, range_ns, offset_ns });
        }
        let expected: &[&str] = if unwrap.is_some() { &["RANGE", ")", "|"] } else { &[] };
        self.expect(")", expected)?;
        let (range_ns, offset_ns) = self.range_and_offset(&["RANGE"])?;
        if stages.is_empty() && unwrap.is_none() {
            unwrap = self.unwrap()?;
        }
        Ok(LogRange { log: LogExpr { matchers, stages, span }, unwrap, range_ns, offset_ns })
    }

    fn selector_of_range(&mut self) -> Result<Vec<model::Matcher>, ParseError> {
        if !self.peek().is("{") {
            return Err(self.unexpected(&["{", "("]));
        }
        self.selector()
    }

    fn range_and_offset(&mut self, expected: &[&str]) -> Result<(i64, i64), ParseError> {
        let Kind::Range(range_ns) = self.peek().clone() else {
            if self.peek().is("|") {
                self.bump();
            }
            return Err(self.unexpected(expected));
        };
        self.bump();
        if !self.accept("offset") {
            return Ok((range_ns, 0));
        }
        let Kind::Duration(offset_ns) = self.peek().clone() else { return Err(self.unexpected(&["DURATION"])) };
        self.bump();
        Ok((range_ns, offset_ns))
    }

    fn vector_aggregation(&mut self, op: AggregateOp) -> Result<MetricExpr, ParseError> {
        let start = self.start();
        self.bump();
        let prefix = self.grouping()?;
        let expected: &[&str] = if prefix.is_some() { &["("] } else { &["(", "by", "without"] };
        self.expect("(", expected)?;
        let param = match (self.peek().clone(), self.peek_after()) {
            (Kind::Number(text), Kind::Fixed(",")) => {
                self.bump();
                self.bump();
                Some(text)
            }
            _ => None,
        };
        let input = self.metric()?;
        self.expect(")", &[])?;
        let grouping = match prefix {
            Some(grouping) => Some(grouping),
            None => self.grouping()?,
        };
        let span = self.span_from(start);
        let param = match vector_param(op, param) {
            Ok(param) => param,
            Err(error) => return Ok(MetricExpr::Invalid(error)),
        };
        if op == AggregateOp::ApproxTopK && grouping.is_some() {
            return Ok(MetricExpr::Invalid(ParseError::meaning("grouping not allowed for approx_topk aggregation")));
        }
        Ok(MetricExpr::Vector(Box::new(VectorAggregation { op, input, grouping, param, span })))
    }

    fn label_replace(&mut self) -> Result<MetricExpr, ParseError> {
        let start = self.start();
        self.bump();
        self.expect("(", &["("])?;
        let input = self.metric()?;
        self.expect(",", &[])?;
        let mut texts = [const { String::new() }; 4];
        for (index, text) in texts.iter_mut().enumerate() {
            if index > 0 {
                self.expect(",", &[","])?;
            }
            *text = self.string(&["STRING"])?;
        }
        self.expect(")", &[")"])?;
        let [destination, replacement, source, regex] = texts;
        if let Err(error) = re2::compile(&format!("^(?:{regex})$")) {
            return Ok(MetricExpr::Invalid(ParseError::meaning(format!("invalid regex in label_replace: {error}"))));
        }
        let span = self.span_from(start);
        Ok(MetricExpr::LabelReplace(Box::new(LabelReplace { input, destination, replacement, source, regex, span })))
    }
}

fn float(text: &str, what: &str) -> Result<f64, ParseError> {
    go_float::parse(text).map_err(|reason| {
        let quoted = model::quote::go_quote(text);
        ParseError::meaning(format!("unable to parse {what} as a float: strconv.ParseFloat: parsing {quoted}: {reason}"))
    })
}

fn range_param(function: LogRangeFunction, param: Option<String>) -> Result<Option<f64>, ParseError> {
    let name = function.as_str();
    match (function, param) {
        (LogRangeFunction::QuantileOverTime, None) => {
            Err(ParseError::meaning(format!("parameter required for operation {name}")))
        }
        (LogRangeFunction::QuantileOverTime, Some(text)) => go_float::parse(&text).map(Some).map_err(|reason| {
            let quoted = model::quote::go_quote(&text);
            ParseError::meaning(format!("invalid parameter for operation {name}: strconv.ParseFloat: parsing {quoted}: {reason}"))
        }),
        (_, None) => Ok(None),
        (_, Some(text)) => Err(ParseError::meaning(format!("parameter {text} not supported for operation {name}"))),
    }
}

fn range_function_fits(function: LogRangeFunction, grouped: bool, unwrapped: bool) -> Result<(), ParseError> {
    use LogRangeFunction as F;
    let name = function.as_str();
    let groups = matches!(
        function,
        F::AvgOverTime
            | F::StddevOverTime
            | F::StdvarOverTime
            | F::QuantileOverTime
            | F::MaxOverTime
            | F::MinOverTime
            | F::FirstOverTime
            | F::LastOverTime
    );
    if grouped && !groups {
        return Err(ParseError::meaning(format!("grouping not allowed for {name} aggregation")));
    }
    let lines_only = matches!(function, F::BytesOverTime | F::BytesRate | F::CountOverTime);
    let either = matches!(function, F::Rate | F::AbsentOverTime);
    match unwrapped {
        true if lines_only => Err(ParseError::meaning(format!("invalid aggregation {name} with unwrap"))),
        false if !lines_only && !either => Err(ParseError::meaning(format!("invalid aggregation {name} without unwrap"))),
        _ => Ok(()),
    }
}

fn vector_param(op: AggregateOp, param: Option<String>) -> Result<Option<u64>, ParseError> {
    let name = op.as_str();
    match (matches!(op, AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::ApproxTopK), param) {
        (true, None) => Err(ParseError::meaning(format!("parameter required for operation {name}"))),
        (true, Some(text)) => match text.parse::<u64>() {
            Ok(0) => Err(ParseError::meaning(format!("invalid parameter (must be greater than 0) {name}({text}"))),
            Ok(k) => Ok(Some(k)),
            Err(_) => Err(ParseError::meaning(format!("invalid parameter {name}({text},"))),
        },
        (false, Some(text)) => Err(ParseError::meaning(format!("unsupported parameter for operation {name}({text},"))),
        (false, None) => Ok(None),
    }
}

/// Builds an operation; two numbers become one, as in Loki.
fn binary(op: BinaryOp, matching: MatchingExpr, left: Expr, right: Expr, span: plan::logical::Span) -> MetricExpr {
    let wrong = |leg: &str, log: &LogExpr| {
        let kind = if log.stages.is_empty() { "*syntax.MatchersExpr" } else { "*syntax.PipelineExpr" };
        MetricExpr::Invalid(ParseError::meaning(format!(
            "unexpected type for {leg} leg of binary operation ({}): {kind}",
            op.as_str()
        )))
    };
    let left = match left {
        Expr::Metric(metric) => metric,
        Expr::Log(log) => return wrong("left", &log),
    };
    let right = match right {
        Expr::Metric(metric) => metric,
        Expr::Log(log) => return wrong("right", &log),
    };
    for (leg, side) in [("left", &left), ("right", &right)] {
        if let (MetricExpr::Literal(value, _), true) = (side, op.is_set()) {
            let message =
                format!("unexpected literal for {leg} leg of logical/set binary operation ({}): {value:.6}", op.as_str());
            return MetricExpr::Invalid(ParseError::meaning(message));
        }
    }
    match (&left, &right) {
        (MetricExpr::Literal(a, _), MetricExpr::Literal(b, _)) => MetricExpr::Literal(fold(op, *a, *b), span),
        _ => MetricExpr::Binary(Box::new(BinaryExpr { op, left, right, matching, span })),
    }
}

/// Computes an operation of two numbers: comparisons answer 0 or 1, division by zero NaN.
fn fold(op: BinaryOp, left: f64, right: f64) -> f64 {
    let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div if right == 0.0 => f64::NAN,
        BinaryOp::Div => left / right,
        BinaryOp::Mod if right == 0.0 => f64::NAN,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => power::pow(left, right),
        BinaryOp::Eq => truth(left == right),
        BinaryOp::Ne => truth(left != right),
        BinaryOp::Gt => truth(left > right),
        BinaryOp::Lt => truth(left < right),
        BinaryOp::Ge => truth(left >= right),
        BinaryOp::Le => truth(left <= right),
        _ => f64::NAN,
    }
}
