//! Label matchers. A missing label counts as the empty string; regular expressions are fully anchored.

use std::fmt;

use crate::quote::go_quote;
use crate::re2::{self, Re2Error};
use crate::{LabelSet, labels};

/// How a matcher compares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// Returns the operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

/// One `name op "value"`.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<regex::Regex>,
    matches_empty: bool,
}

impl Matcher {
    /// Makes a matcher; the regular expression is RE2 syntax, anchored at both ends, `.` matching newlines (Prometheus 3.0).
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Matcher, Re2Error> {
        let regex = match op {
            MatchOp::Regex | MatchOp::NotRegex => Some(re2::compile_anchored(value)?),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        let mut matcher = Matcher { name: name.to_owned(), op, value: value.to_owned(), regex, matches_empty: false };
        matcher.matches_empty = matcher.matches("");
        Ok(matcher)
    }

    /// Makes an equality matcher.
    pub fn equal(name: &str, value: &str) -> Matcher {
        Matcher {
            name: name.to_owned(),
            op: MatchOp::Equal,
            value: value.to_owned(),
            regex: None,
            matches_empty: value.is_empty(),
        }
    }

    /// Returns the same of another label.
    #[must_use]
    pub fn renamed(&self, name: &str) -> Matcher {
        Matcher { name: name.to_owned(), ..self.clone() }
    }

    /// Returns the label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the operator.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// Returns the value or pattern as written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Reports whether a label value (empty where the label is missing) is accepted.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => value == self.value,
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => false,
        }
    }

    /// Reports whether the empty string, and so a missing label, is accepted.
    pub fn matches_empty(&self) -> bool {
        self.matches_empty
    }

    /// Reports whether the label set is accepted.
    pub fn matches_labels(&self, labels: &LabelSet) -> bool {
        self.matches(labels.get(&self.name).unwrap_or(""))
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if labels::is_legacy_name(&self.name) {
            write!(f, "{}{}{}", self.name, self.op.as_str(), go_quote(&self.value))
        } else {
            write!(f, "{}{}{}", go_quote(&self.name), self.op.as_str(), go_quote(&self.value))
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
