//! Selectors and pipeline stages.

use model::{MatchOp, Matcher};
use plan::pipeline::pattern::Pattern;
use plan::pipeline::regexp::Regexp;
use plan::pipeline::{
    CompareOp, Conversion, Extraction, LabelFilter, LabelFormat, LabelPick, LineFilter, LineOp, LineTerm, Logfmt, Stage, Unwrap,
};

use super::Parser;
use crate::error::ParseError;
use crate::token::Kind;

/// What stands left of a label filter that is being read: decides who gets the operator after it.
#[derive(Clone, Copy, PartialEq)]
enum Left {
    /// Nothing, or an operator that Loki's grammar gives no precedence (`,` and juxtaposition): the rest goes right.
    Open,
    And,
    Or,
}

impl Parser {
    pub(super) fn selector(&mut self) -> Result<Vec<Matcher>, ParseError> {
        self.expect("{", &["{"])?;
        let mut matchers = Vec::new();
        if self.accept("}") {
            return Ok(matchers);
        }
        let mut expected: &[&str] = &["IDENTIFIER", "}"];
        loop {
            let name = self.identifier(expected)?;
            let op = self.match_op().ok_or_else(|| self.unexpected(&["=", "=~", "!~", "!="]))?;
            self.bump();
            let value = self.string(&["STRING"])?;
            matchers.push(matcher(&name, op, &value)?);
            if self.accept("}") {
                return Ok(matchers);
            }
            self.expect(",", &["}", ","])?;
            expected = &["IDENTIFIER"];
        }
    }

    fn match_op(&self) -> Option<MatchOp> {
        match self.peek() {
            Kind::Fixed("=") => Some(MatchOp::Equal),
            Kind::Fixed("!=") => Some(MatchOp::NotEqual),
            Kind::Fixed("=~") => Some(MatchOp::Regex),
            Kind::Fixed("!~") => Some(MatchOp::NotRegex),
            _ => None,
        }
    }

    /// Reads stages up to `unwrap` or whatever is no stage.
    pub(super) fn stages(&mut self) -> Result<Vec<Stage>, ParseError> {
        let mut stages = Vec::new();
        loop {
            if self.line_op().is_some() {
                stages.push(self.line_filters()?);
            } else if self.peek().is("|") && !self.peek_after().is("unwrap") {
                self.bump();
                stages.push(self.stage()?);
            } else {
                return Ok(stages);
            }
        }
    }

    fn line_op(&self) -> Option<LineOp> {
        match self.peek() {
            Kind::Fixed("|=") => Some(LineOp::Contains),
            Kind::Fixed("!=") => Some(LineOp::NotContains),
            Kind::Fixed("|~") => Some(LineOp::Matches),
            Kind::Fixed("!~") => Some(LineOp::NotMatches),
            Kind::Fixed("|>") => Some(LineOp::Pattern),
            Kind::Fixed("!>") => Some(LineOp::NotPattern),
            _ => None,
        }
    }

    fn line_filters(&mut self) -> Result<Stage, ParseError> {
        let mut filters = Vec::new();
        while let Some(op) = self.line_op() {
            self.bump();
            let mut terms = vec![self.line_term()?];
            while self.accept("or") {
                terms.push(self.line_term()?);
            }
            filters.push(LineFilter { op, terms });
        }
        Ok(Stage::LineFilters(filters))
    }

    fn line_term(&mut self) -> Result<LineTerm, ParseError> {
        if self.peek().is("ip") {
            return Ok(LineTerm::Ip(self.ip()?));
        }
        Ok(LineTerm::Text(self.string(&["STRING", "ip"])?))
    }

    fn ip(&mut self) -> Result<String, ParseError> {
        self.expect("ip", &["ip"])?;
        self.expect("(", &["("])?;
        let pattern = self.string(&["STRING"])?;
        self.expect(")", &[")"])?;
        Ok(pattern)
    }

    fn stage(&mut self) -> Result<Stage, ParseError> {
        match self.peek() {
            Kind::Identifier(_) | Kind::Fixed("(") => Ok(Stage::LabelFilter(self.label_filter()?)),
            Kind::Fixed(word) => {
                let word = *word;
                self.stage_named(word)
            }
            _ => Err(self.unexpected(&[])),
        }
    }

    fn stage_named(&mut self, word: &str) -> Result<Stage, ParseError> {
        let known =
            ["json", "logfmt", "regexp", "pattern", "unpack", "line_format", "label_format", "decolorize", "drop", "keep"];
        if !known.contains(&word) {
            return Err(self.unexpected(&[]));
        }
        self.bump();
        Ok(match word {
            "json" => Stage::Json(self.extractions()?),
            "logfmt" => Stage::Logfmt(self.logfmt()?),
            "regexp" => {
                let pattern = self.string(&["STRING"])?;
                Regexp::new(&pattern).map_err(|reason| ParseError::meaning(format!("invalid regexp parser: {reason}")))?;
                Stage::Regexp(pattern)
            }
            "pattern" => {
                let pattern = self.string(&["STRING"])?;
                Pattern::parser(&pattern).map_err(|reason| ParseError::meaning(format!("invalid pattern parser: {reason}")))?;
                Stage::Pattern(pattern)
            }
            "unpack" => Stage::Unpack,
            "line_format" => Stage::LineFormat(self.string(&["STRING"])?),
            "label_format" => Stage::LabelFormat(self.label_formats()?),
            "decolorize" => Stage::Decolorize,
            "drop" => Stage::Drop(self.label_picks()?),
            _ => Stage::Keep(self.label_picks()?),
        })
    }

    /// Reads `a="x", b`; none where no name follows.
    fn extractions(&mut self) -> Result<Vec<Extraction>, ParseError> {
        let mut extractions = Vec::new();
        if !matches!(self.peek(), Kind::Identifier(_)) {
            return Ok(extractions);
        }
        loop {
            let name = self.identifier(&["IDENTIFIER"])?;
            let expression = if self.accept("=") { self.string(&["STRING"])? } else { name.clone() };
            extractions.push(Extraction { name, expression });
            if !self.accept(",") {
                return Ok(extractions);
            }
        }
    }

    fn logfmt(&mut self) -> Result<Logfmt, ParseError> {
        let mut logfmt = Logfmt::default();
        while let Kind::Flag(flag) = self.peek() {
            match *flag {
                "--strict" => logfmt.strict = true,
                _ => logfmt.keep_empty = true,
            }
            self.bump();
        }
        logfmt.extractions = self.extractions()?;
        Ok(logfmt)
    }

    fn label_formats(&mut self) -> Result<Vec<LabelFormat>, ParseError> {
        let mut formats = Vec::new();
        loop {
            let to = self.identifier(&["IDENTIFIER"])?;
            self.expect("=", &["="])?;
            formats.push(match self.peek() {
                Kind::Identifier(from) => {
                    let from = from.clone();
                    self.bump();
                    LabelFormat::Rename { to, from }
                }
                _ => LabelFormat::Template { to, template: self.string(&["IDENTIFIER", "STRING"])? },
            });
            if !self.accept(",") {
                return Ok(formats);
            }
        }
    }

    fn label_picks(&mut self) -> Result<Vec<LabelPick>, ParseError> {
        let mut picks = Vec::new();
        loop {
            let name = self.identifier(&["IDENTIFIER"])?;
            // `!=` and `!~` after a name are the name's, never a line filter.
            picks.push(match self.match_op() {
                Some(op) => {
                    self.bump();
                    LabelPick::Matching(matcher(&name, op, &self.string(&["STRING"])?)?)
                }
                None => LabelPick::Name(name),
            });
            if !self.accept(",") {
                return Ok(picks);
            }
        }
    }

    fn label_filter(&mut self) -> Result<LabelFilter, ParseError> {
        self.label_filter_after(Left::Open)
    }

    fn label_filter_after(&mut self, left: Left) -> Result<LabelFilter, ParseError> {
        let mut filter = self.label_filter_one()?;
        loop {
            let next = match self.peek() {
                Kind::Fixed("and") if left != Left::And => Left::And,
                Kind::Fixed("or") if left == Left::Open => Left::Or,
                Kind::Fixed(",") | Kind::Fixed("(") | Kind::Identifier(_) => Left::Open,
                _ => return Ok(filter),
            };
            if matches!(self.peek(), Kind::Fixed("and" | "or" | ",")) {
                self.bump();
            }
            self.chain()?;
            let right = self.nested(|parser| parser.label_filter_after(next))?;
            let (a, b) = (Box::new(filter), Box::new(right));
            filter = if next == Left::Or { LabelFilter::Or(a, b) } else { LabelFilter::And(a, b) };
        }
    }

    fn label_filter_one(&mut self) -> Result<LabelFilter, ParseError> {
        if self.accept("(") {
            let filter = self.nested(Parser::label_filter)?;
            self.expect(")", &[])?;
            return Ok(filter);
        }
        let name = self.identifier(&["IDENTIFIER", "("])?;
        if let Some(op @ (MatchOp::Regex | MatchOp::NotRegex)) = self.match_op() {
            self.bump();
            return Ok(LabelFilter::Text(matcher(&name, op, &self.string(&["STRING"])?)?));
        }
        let (op, written) = self.compare_op().ok_or_else(|| self.unexpected(&[]))?;
        self.bump();
        let negative = op == CompareOp::NotEqual;
        match self.peek().clone() {
            Kind::Text(value) if matches!(written, "=" | "!=") => {
                self.bump();
                let op = if negative { MatchOp::NotEqual } else { MatchOp::Equal };
                Ok(LabelFilter::Text(matcher(&name, op, &value)?))
            }
            Kind::Fixed("ip") if matches!(written, "=" | "!=") => Ok(LabelFilter::Ip { name, negative, pattern: self.ip()? }),
            Kind::Duration(value_ns) => {
                self.bump();
                Ok(LabelFilter::Duration { name, op, value_ns })
            }
            Kind::Bytes(value_bytes) => {
                self.bump();
                Ok(LabelFilter::Bytes { name, op, value_bytes })
            }
            Kind::Number(_) | Kind::Malformed { .. } | Kind::Fixed("+" | "-") => {
                Ok(LabelFilter::Number { name, op, value: self.signed_number()? })
            }
            _ => Err(self.unexpected(&[])),
        }
    }

    fn compare_op(&self) -> Option<(CompareOp, &'static str)> {
        let Kind::Fixed(written) = self.peek() else { return None };
        let op = match *written {
            "=" | "==" => CompareOp::Equal,
            "!=" => CompareOp::NotEqual,
            ">" => CompareOp::Greater,
            ">=" => CompareOp::GreaterOrEqual,
            "<" => CompareOp::Less,
            "<=" => CompareOp::LessOrEqual,
            _ => return None,
        };
        Some((op, written))
    }

    /// Reads `| unwrap …` and the filters after it, where it follows.
    pub(super) fn unwrap(&mut self) -> Result<Option<Unwrap>, ParseError> {
        if !(self.peek().is("|") && self.peek_after().is("unwrap")) {
            return Ok(None);
        }
        self.bump();
        self.bump();
        let (label, conversion) = match self.peek() {
            Kind::Conversion(conversion) => {
                let conversion = *conversion;
                self.bump();
                self.expect("(", &["("])?;
                let label = self.identifier(&["IDENTIFIER"])?;
                self.expect(")", &[")"])?;
                (label, conversion)
            }
            _ => (self.identifier(&["IDENTIFIER", "BYTES_CONV", "DURATION_CONV", "DURATION_SECONDS_CONV"])?, Conversion::Number),
        };
        let mut filters = Vec::new();
        while self.accept("|") {
            filters.push(self.label_filter()?);
        }
        Ok(Some(Unwrap { label, conversion, filters }))
    }
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Result<Matcher, ParseError> {
    Matcher::new(name, op, value).map_err(|error| ParseError::meaning(error.to_string()))
}
