//! Label filters, compiled. A missing label drops the line for numbers, durations, sizes and addresses; a value that cannot be
//! read keeps it and leaves `LabelFilterErr`.

use model::{MatchOp, Matcher, go_float};

use super::ip::IpRange;
use super::labels::Labels;
use super::line_filter::LineTest;
use super::stage::{CompareOp, LabelFilter};
use super::units;

const LABEL_FILTER_ERROR: &str = "LabelFilterErr";

/// A label filter ready to run.
#[derive(Clone, Debug)]
pub(super) enum CompiledFilter {
    Text(Matcher),
    /// A regular expression that Loki replaces by a search ([`super::reduce`]).
    Searched {
        name: String,
        negative: bool,
        test: LineTest,
    },
    Number {
        name: String,
        op: CompareOp,
        value: f64,
    },
    Duration {
        name: String,
        op: CompareOp,
        value_ns: i64,
    },
    Bytes {
        name: String,
        op: CompareOp,
        value_bytes: u64,
    },
    /// Without a range, no address is in it.
    Ip {
        name: String,
        negative: bool,
        range: Option<IpRange>,
    },
    And(Box<CompiledFilter>, Box<CompiledFilter>),
    Or(Box<CompiledFilter>, Box<CompiledFilter>),
}

impl CompiledFilter {
    /// Compiles a filter; the error is Loki's text. Of addresses only those that stand alone are checked, as in Loki.
    pub(super) fn new(filter: &LabelFilter) -> Result<CompiledFilter, String> {
        if let LabelFilter::Ip { pattern, .. } = filter {
            IpRange::parse(pattern)?;
        }
        CompiledFilter::part(filter)
    }

    /// Compiles a filter that follows `unwrap`, where nothing is checked.
    pub(super) fn part(filter: &LabelFilter) -> Result<CompiledFilter, String> {
        Ok(match filter.clone() {
            LabelFilter::Text(matcher) => text(matcher)?,
            LabelFilter::Number { name, op, value } => CompiledFilter::Number { name, op, value },
            LabelFilter::Duration { name, op, value_ns } => CompiledFilter::Duration { name, op, value_ns },
            LabelFilter::Bytes { name, op, value_bytes } => CompiledFilter::Bytes { name, op, value_bytes },
            LabelFilter::Ip { name, negative, pattern } => {
                CompiledFilter::Ip { name, negative, range: IpRange::parse(&pattern).ok() }
            }
            LabelFilter::And(left, right) => CompiledFilter::And(Box::new(Self::part(&left)?), Box::new(Self::part(&right)?)),
            LabelFilter::Or(left, right) => CompiledFilter::Or(Box::new(Self::part(&left)?), Box::new(Self::part(&right)?)),
        })
    }

    /// Returns the one label this filter reads, unless it is a combination.
    pub(super) fn single_name(&self) -> Option<&str> {
        match self {
            CompiledFilter::Text(matcher) => Some(matcher.name()),
            CompiledFilter::Searched { name, .. }
            | CompiledFilter::Number { name, .. }
            | CompiledFilter::Duration { name, .. }
            | CompiledFilter::Bytes { name, .. }
            | CompiledFilter::Ip { name, .. } => Some(name),
            CompiledFilter::And(..) | CompiledFilter::Or(..) => None,
        }
    }

    /// Appends the labels this filter reads.
    pub(super) fn push_names(&self, out: &mut Vec<String>) {
        match self {
            CompiledFilter::And(left, right) | CompiledFilter::Or(left, right) => {
                left.push_names(out);
                right.push_names(out);
            }
            single => out.extend(single.single_name().map(str::to_owned)),
        }
    }

    /// Reports whether the entry stays; may leave an error on it.
    pub(super) fn accepts(&self, labels: &mut Labels) -> bool {
        match self {
            CompiledFilter::Text(matcher) => matcher.matches(labels.filter_value(matcher.name())),
            CompiledFilter::Searched { name, negative, test } => test.holds(labels.filter_value(name).as_bytes()) != *negative,
            CompiledFilter::Number { name, op, value } => compare(labels, name, *op, *value, |text| {
                go_float::parse(text)
                    .map_err(|reason| format!("strconv.ParseFloat: parsing {}: {reason}", model::quote::go_quote(text)))
            }),
            CompiledFilter::Duration { name, op, value_ns } => compare(labels, name, *op, *value_ns, units::parse_go_duration),
            CompiledFilter::Bytes { name, op, value_bytes } => compare(labels, name, *op, *value_bytes, units::parse_bytes),
            CompiledFilter::Ip { name, negative, range } => {
                // With an error only string filters drop.
                let is_in = |value: &str| range.is_some_and(|range| range.found_in(value.as_bytes()));
                labels.has_error() || labels.get(name).is_some_and(|(value, _)| is_in(value) != *negative)
            }
            // Loki asks both sides of an `and`, so the right one may set an error although the left one drops.
            CompiledFilter::And(left, right) => left.accepts(labels) & right.accepts(labels),
            CompiledFilter::Or(left, right) => left.accepts(labels) || right.accepts(labels),
        }
    }
}

fn text(matcher: Matcher) -> Result<CompiledFilter, String> {
    let negative = match matcher.op() {
        MatchOp::Regex => false,
        MatchOp::NotRegex => true,
        MatchOp::Equal | MatchOp::NotEqual => return Ok(CompiledFilter::Text(matcher)),
    };
    match LineTest::of_value(matcher.value()) {
        Some(test) => Ok(CompiledFilter::Searched { name: matcher.name().to_owned(), negative, test: test? }),
        None => Ok(CompiledFilter::Text(matcher)),
    }
}

fn compare<T: PartialOrd>(
    labels: &mut Labels,
    name: &str,
    op: CompareOp,
    value: T,
    parse: impl Fn(&str) -> Result<T, String>,
) -> bool {
    let Some((text, _)) = labels.get(name) else { return false };
    match parse(text) {
        Ok(found) => op.holds(found, value),
        Err(details) => {
            if !labels.has_error() {
                labels.set_error(LABEL_FILTER_ERROR, &details);
            }
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use model::LabelSet;

    use super::*;

    fn accepts(filter: LabelFilter, value: &str) -> bool {
        let mut labels = Labels::default();
        labels.start(&LabelSet::from_pairs([("level", value)]), &LabelSet::empty());
        CompiledFilter::new(&filter).unwrap().accepts(&mut labels)
    }

    #[test]
    fn values_are_searched_as_in_loki() {
        for (pattern, value, want) in [
            ("error", "error", true),
            ("error", "xerror", false),
            ("err.*", "xerror", true),
            ("e.*r", "xerror", false),
            ("err|inf", "error", false),
            ("er|err", "error", true),
            ("error|", "", false),
            ("", "error", true),
            (".+", "", false),
            ("(?i)ERROR", "Error", true),
            ("(?i)k", "\u{212a}", false),
            ("[0-9]+", "404", true),
            ("[0-9]+", "x404", false),
        ] {
            let filter = |op| LabelFilter::Text(Matcher::new("level", op, pattern).unwrap());
            assert_eq!(accepts(filter(MatchOp::Regex), value), want, "{pattern} {value}");
            assert_eq!(accepts(filter(MatchOp::NotRegex), value), !want, "not {pattern} {value}");
        }
    }

    #[test]
    fn only_an_address_alone_is_checked() {
        let bad = LabelFilter::Ip { name: "level".to_owned(), negative: false, pattern: "1.2.3".to_owned() };
        assert_eq!(CompiledFilter::new(&bad).unwrap_err(), "ip: invalid pattern: \"1.2.3\"");
        let text = LabelFilter::Text(Matcher::new("level", MatchOp::Equal, "a").unwrap());
        assert!(accepts(LabelFilter::Or(Box::new(bad.clone()), Box::new(text.clone())), "a"));
        assert!(!accepts(LabelFilter::And(Box::new(bad), Box::new(text)), "a"));
    }
}
