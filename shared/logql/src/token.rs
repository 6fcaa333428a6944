//! Tokens, and the names Loki's error texts give them.

use plan::logical::{AggregateOp, LogRangeFunction, Span};
use plan::pipeline::Conversion;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A name, or any character that is nothing else.
    Identifier(String),
    Text(String),
    Number(String),
    Bytes(u64),
    /// Nanoseconds.
    Duration(i64),
    /// `[5m]`, nanoseconds.
    Range(i64),
    /// `--strict`, `--keep-empty`
    Flag(&'static str),
    /// A symbol or reserved word, by its text.
    Fixed(&'static str),
    RangeFunction(LogRangeFunction),
    VectorFunction(AggregateOp),
    Vector,
    Conversion(Conversion),
    End,
    /// A number with a fault; nothing follows.
    Malformed {
        text: String,
        fault: String,
    },
    /// The lexer's fault; nothing follows.
    Fault(String),
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub kind: Kind,
    pub span: Span,
    /// 1-based; 0 after tokens that Loki's lexer reads by hand.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
}

impl Kind {
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self, Kind::Fixed(fixed) if *fixed == text)
    }

    /// Returns the name in error texts.
    pub(crate) fn name(&self) -> String {
        match self {
            Kind::Identifier(_) => "IDENTIFIER".to_owned(),
            Kind::Text(_) => "STRING".to_owned(),
            Kind::Number(_) => "NUMBER".to_owned(),
            Kind::Bytes(_) => "BYTES".to_owned(),
            Kind::Duration(_) => "DURATION".to_owned(),
            Kind::Range(_) => "RANGE".to_owned(),
            Kind::Flag(_) => "FUNCTION_FLAG".to_owned(),
            Kind::Fixed(text) => (*text).to_owned(),
            Kind::RangeFunction(function) => function.as_str().to_uppercase(),
            Kind::VectorFunction(op) => op.as_str().to_uppercase(),
            Kind::Vector => "VECTOR".to_owned(),
            Kind::Conversion(conversion) => format!("{}_CONV", conversion.name().unwrap_or_default().to_uppercase()),
            Kind::End => "$end".to_owned(),
            Kind::Malformed { fault: message, .. } | Kind::Fault(message) => message.clone(),
        }
    }
}

/// Finds what a word means when an opening parenthesis or a grouping follows; `word` is lower case.
pub(crate) fn function(word: &str) -> Option<Kind> {
    Some(match word {
        "vector" => Kind::Vector,
        "label_replace" => Kind::Fixed("label_replace"),
        "bytes" => Kind::Conversion(Conversion::Bytes),
        "duration" => Kind::Conversion(Conversion::Duration),
        "duration_seconds" => Kind::Conversion(Conversion::DurationSeconds),
        "ip" => Kind::Fixed("ip"),
        "sum" | "avg" | "max" | "min" | "count" | "stddev" | "stdvar" | "bottomk" | "topk" | "sort" | "sort_desc"
        | "approx_topk" => Kind::VectorFunction(AggregateOp::from_name(word)?),
        other => Kind::RangeFunction(LogRangeFunction::from_name(other)?),
    })
}

/// Symbols of one and two characters; longer ones first.
pub(crate) const SYMBOLS: [&str; 26] = [
    "!=", "=~", "!~", "!>", "|=", "|~", "|>", "==", ">=", "<=", ",", ".", "{", "}", "=", "|", "(", ")", "]", "+", "-", "*", "/",
    "%", "^", ">",
];

/// Words that are never names.
pub(crate) const RESERVED: [&str; 23] = [
    "by",
    "without",
    "bool",
    "offset",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "or",
    "and",
    "unless",
    "json",
    "logfmt",
    "regexp",
    "pattern",
    "unpack",
    "unwrap",
    "line_format",
    "label_format",
    "decolorize",
    "drop",
    "keep",
    "<",
];
