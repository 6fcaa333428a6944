//! Stages as data: what a LogQL pipeline says, and how Loki prints it.
//!
//! Owns: the stage types and their canonical text. Does not own: parsing text (`logql`) or running stages ([`super::Pipeline`]).

use std::fmt::{self, Display, Formatter};

use model::quote::go_quote;
use model::{MatchOp, Matcher};

use super::reduce::reduce;
use super::units;

/// One stage of a log pipeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Line filters that follow each other; all must accept.
    LineFilters(Vec<LineFilter>),
    /// `json`, with the listed paths only where there are any.
    Json(Vec<Extraction>),
    /// `logfmt`
    Logfmt(Logfmt),
    /// `regexp "(?P<name>…)"`
    Regexp(String),
    /// `pattern "<name> …"`
    Pattern(String),
    /// `unpack`
    Unpack,
    /// `| label = "value"` and the like.
    LabelFilter(LabelFilter),
    /// `line_format "template"`
    LineFormat(String),
    /// `label_format a=b, c="template"`
    LabelFormat(Vec<LabelFormat>),
    /// Removes ANSI colour codes from the line.
    Decolorize,
    /// `drop a, b="x"`
    Drop(Vec<LabelPick>),
    /// `keep a, b="x"`
    Keep(Vec<LabelPick>),
    /// `unwrap label` with what follows it; last stage of a range aggregation.
    Unwrap(Unwrap),
}

/// One line filter: an operator and the alternatives of its `or` chain.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFilter {
    /// Operator.
    pub op: LineOp,
    /// Alternatives, at least one. A negative operator rejects lines that any of them accepts.
    pub terms: Vec<LineTerm>,
}

/// Operators of line filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    NotContains,
    /// `|~`
    Matches,
    /// `!~`
    NotMatches,
    /// `|>`
    Pattern,
    /// `!>`
    NotPattern,
}

/// One alternative of a line filter.
#[derive(Clone, Debug, PartialEq)]
pub enum LineTerm {
    /// Text, regular expression or pattern, as the operator says.
    Text(String),
    /// `ip("…")`
    Ip(String),
}

impl LineOp {
    /// Returns the operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            LineOp::Contains => "|=",
            LineOp::NotContains => "!=",
            LineOp::Matches => "|~",
            LineOp::NotMatches => "!~",
            LineOp::Pattern => "|>",
            LineOp::NotPattern => "!>",
        }
    }

    /// Reports whether matching lines are rejected.
    pub fn is_negative(self) -> bool {
        matches!(self, LineOp::NotContains | LineOp::NotMatches | LineOp::NotPattern)
    }
}

/// `name="expression"` of `json` and `logfmt`.
#[derive(Clone, Debug, PartialEq)]
pub struct Extraction {
    /// Label to set.
    pub name: String,
    /// Path (json) or key (logfmt).
    pub expression: String,
}

/// The `logfmt` stage.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Logfmt {
    /// `--strict`: the first syntax error ends parsing.
    pub strict: bool,
    /// `--keep-empty`: keys without a value become empty labels.
    pub keep_empty: bool,
    /// Keys to extract; all where empty.
    pub extractions: Vec<Extraction>,
}

/// How a number, duration or size compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `==` (or `=`)
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl CompareOp {
    /// Returns the operator as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            CompareOp::Equal => "==",
            CompareOp::NotEqual => "!=",
            CompareOp::Greater => ">",
            CompareOp::GreaterOrEqual => ">=",
            CompareOp::Less => "<",
            CompareOp::LessOrEqual => "<=",
        }
    }

    /// Compares two values.
    pub fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            CompareOp::Equal => left == right,
            CompareOp::NotEqual => left != right,
            CompareOp::Greater => left > right,
            CompareOp::GreaterOrEqual => left >= right,
            CompareOp::Less => left < right,
            CompareOp::LessOrEqual => left <= right,
        }
    }
}

/// A label filter.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelFilter {
    /// `label = "value"`, `!=`, `=~`, `!~`
    Text(Matcher),
    /// `label > 1.5`
    Number {
        /// Label.
        name: String,
        /// Comparison.
        op: CompareOp,
        /// Right side.
        value: f64,
    },
    /// `label > 250ms`
    Duration {
        /// Label.
        name: String,
        /// Comparison.
        op: CompareOp,
        /// Right side, nanoseconds.
        value_ns: i64,
    },
    /// `label > 20KB`
    Bytes {
        /// Label.
        name: String,
        /// Comparison.
        op: CompareOp,
        /// Right side, bytes.
        value_bytes: u64,
    },
    /// `label = ip("…")`, `label != ip("…")`
    Ip {
        /// Label.
        name: String,
        /// `!=`
        negative: bool,
        /// Address, range or CIDR.
        pattern: String,
    },
    /// Both must accept; both sides are asked, as in Loki: the right one may leave an error although the left one rejects.
    And(Box<LabelFilter>, Box<LabelFilter>),
    /// Either must accept; the right side is not asked where the left accepts.
    Or(Box<LabelFilter>, Box<LabelFilter>),
}

/// One part of `label_format`.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelFormat {
    /// `to=from`: moves a label.
    Rename {
        /// New name.
        to: String,
        /// Old name.
        from: String,
    },
    /// `to="template"`
    Template {
        /// Label to set.
        to: String,
        /// Go template.
        template: String,
    },
}

/// One part of `drop` and `keep`.
#[derive(Clone, Debug, PartialEq)]
pub enum LabelPick {
    /// The label whatever its value.
    Name(String),
    /// The label where its value matches.
    Matching(Matcher),
}

/// How `unwrap` reads a label's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// A float.
    Number,
    /// `bytes(label)`
    Bytes,
    /// `duration(label)`, seconds.
    Duration,
    /// `duration_seconds(label)`, the same.
    DurationSeconds,
}

/// `unwrap`, and the label filters after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Unwrap {
    /// Label whose value is the sample.
    pub label: String,
    /// How the value is read.
    pub conversion: Conversion,
    /// Filters applied after the conversion.
    pub filters: Vec<LabelFilter>,
}

fn join<T>(f: &mut Formatter<'_>, items: &[T], write: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        write(f, item)?;
    }
    Ok(())
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Stage::LineFilters(filters) => {
                for (index, filter) in filters.iter().enumerate() {
                    if index > 0 {
                        f.write_str(" ")?;
                    }
                    Display::fmt(filter, f)?;
                }
                Ok(())
            }
            Stage::Json(extractions) if extractions.is_empty() => f.write_str("| json"),
            Stage::Json(extractions) => {
                f.write_str("| json ")?;
                join(f, extractions, |f, e| Display::fmt(e, f))
            }
            Stage::Logfmt(logfmt) => Display::fmt(logfmt, f),
            Stage::Regexp(pattern) => write!(f, "| regexp {}", go_quote(pattern)),
            Stage::Pattern(pattern) => write!(f, "| pattern {}", go_quote(pattern)),
            Stage::Unpack => f.write_str("| unpack"),
            Stage::LabelFilter(filter) => write!(f, "| {filter}"),
            Stage::LineFormat(template) => write!(f, "| line_format {}", go_quote(template)),
            Stage::LabelFormat(formats) => {
                f.write_str("| label_format ")?;
                join(f, formats, |f, format| match format {
                    LabelFormat::Rename { to, from } => write!(f, "{to}={from}"),
                    LabelFormat::Template { to, template } => write!(f, "{to}={}", go_quote(template)),
                })
            }
            Stage::Decolorize => f.write_str("| decolorize"),
            Stage::Drop(picks) => {
                f.write_str("| drop ")?;
                join(f, picks, |f, pick| Display::fmt(pick, f))
            }
            Stage::Keep(picks) => {
                f.write_str("| keep ")?;
                join(f, picks, |f, pick| Display::fmt(pick, f))
            }
            Stage::Unwrap(unwrap) => Display::fmt(unwrap, f),
        }
    }
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            match (index, self.op.is_negative()) {
                (0, _) => write!(f, "{} ", self.op.as_str())?,
                // Loki prints NOT (a OR b) as two filters.
                (_, true) => write!(f, " {} ", self.op.as_str())?,
                (_, false) => f.write_str(" or ")?,
            }
            match term {
                LineTerm::Text(text) => f.write_str(&go_quote(text))?,
                LineTerm::Ip(pattern) => write!(f, "ip({})", go_quote(pattern))?,
            }
        }
        Ok(())
    }
}

impl Display for Extraction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, go_quote(&self.expression))
    }
}

impl Display for Logfmt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("| logfmt")?;
        if self.strict {
            f.write_str(" --strict")?;
        }
        if self.keep_empty {
            f.write_str(" --keep-empty")?;
        }
        if !self.extractions.is_empty() {
            f.write_str(" ")?;
        }
        join(f, &self.extractions, |f, e| Display::fmt(e, f))
    }
}

impl Display for LabelFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            LabelFilter::Text(matcher) if prints_raw(matcher) => {
                write!(f, "{}{}`{}`", matcher.name(), matcher.op().as_str(), matcher.value())
            }
            LabelFilter::Text(matcher) => Display::fmt(matcher, f),
            LabelFilter::Number { name, op, value } => write!(f, "{name}{}{}", op.as_str(), units::format_float_plain(*value)),
            LabelFilter::Duration { name, op, value_ns } => {
                write!(f, "{name}{}{}", op.as_str(), units::format_go_duration(*value_ns))
            }
            LabelFilter::Bytes { name, op, value_bytes } => {
                write!(f, "{name}{}{}", op.as_str(), units::format_bytes(*value_bytes))
            }
            LabelFilter::Ip { name, negative, pattern } => {
                write!(f, "{name}{}ip({})", if *negative { "!=" } else { "=" }, go_quote(pattern))
            }
            LabelFilter::And(left, right) => write!(f, "( {left} , {right} )"),
            LabelFilter::Or(left, right) => write!(f, "( {left} or {right} )"),
        }
    }
}

/// Loki prints a label filter's regular expression in backticks where it could not replace it, and is not negated.
fn prints_raw(matcher: &Matcher) -> bool {
    matcher.op() == MatchOp::Regex && !matcher.value().contains('`') && reduce(matcher.value(), true).is_none()
}

impl Display for LabelPick {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            LabelPick::Name(name) => f.write_str(name),
            LabelPick::Matching(matcher) => Display::fmt(matcher, f),
        }
    }
}

impl Conversion {
    /// Returns the function's name, or `None` for a plain number.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Conversion::Number => None,
            Conversion::Bytes => Some("bytes"),
            Conversion::Duration => Some("duration"),
            Conversion::DurationSeconds => Some("duration_seconds"),
        }
    }
}

impl Unwrap {
    /// Writes the stage without its filters.
    pub fn head(&self) -> String {
        match self.conversion.name() {
            Some(name) => format!("| unwrap {name}({})", self.label),
            None => format!("| unwrap {}", self.label),
        }
    }
}

impl Display for Unwrap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head())?;
        for filter in &self.filters {
            write!(f, " | {filter}")?;
        }
        Ok(())
    }
}
