//! Label filters, compiled. A missing label drops the line for numbers, durations, sizes and addresses; a value that cannot be
//! read keeps it and leaves `LabelFilterErr`.

use model::Matcher;

use super::ip::IpRange;
use super::labels::Labels;
use super::stage::{CompareOp, LabelFilter};
use super::units;

const LABEL_FILTER_ERROR: &str = "LabelFilterErr";

/// A label filter ready to run.
#[derive(Clone, Debug)]
pub(super) enum CompiledFilter {
    Text(Matcher),
    Number { name: String, op: CompareOp, value: f64 },
    Duration { name: String, op: CompareOp, value_ns: i64 },
    Bytes { name: String, op: CompareOp, value_bytes: u64 },
    Ip { name: String, negative: bool, range: IpRange },
    And(Box<CompiledFilter>, Box<CompiledFilter>),
    Or(Box<CompiledFilter>, Box<CompiledFilter>),
}

impl CompiledFilter {
    /// Compiles a filter; the error is Loki's text.
    pub(super) fn new(filter: &LabelFilter) -> Result<CompiledFilter, String> {
        Ok(match filter.clone() {
            LabelFilter::Text(matcher) => CompiledFilter::Text(matcher),
            LabelFilter::Number { name, op, value } => CompiledFilter::Number { name, op, value },
            LabelFilter::Duration { name, op, value_ns } => CompiledFilter::Duration { name, op, value_ns },
            LabelFilter::Bytes { name, op, value_bytes } => CompiledFilter::Bytes { name, op, value_bytes },
            LabelFilter::Ip { name, negative, pattern } => {
                CompiledFilter::Ip { name, negative, range: IpRange::parse(&pattern)? }
            }
            LabelFilter::And(left, right) => CompiledFilter::And(Box::new(Self::new(&left)?), Box::new(Self::new(&right)?)),
            LabelFilter::Or(left, right) => CompiledFilter::Or(Box::new(Self::new(&left)?), Box::new(Self::new(&right)?)),
        })
    }

    /// Returns the one label this filter reads, unless it is a combination.
    pub(super) fn single_name(&self) -> Option<&str> {
        match self {
            CompiledFilter::Text(matcher) => Some(matcher.name()),
            CompiledFilter::Number { name, .. }
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
            CompiledFilter::Number { name, op, value } => compare(labels, name, *op, *value, |text| {
                units::parse_float(text)
                    .map_err(|reason| format!("strconv.ParseFloat: parsing {}: {reason}", model::quote::go_quote(text)))
            }),
            CompiledFilter::Duration { name, op, value_ns } => compare(labels, name, *op, *value_ns, units::parse_go_duration),
            CompiledFilter::Bytes { name, op, value_bytes } => compare(labels, name, *op, *value_bytes, units::parse_bytes),
            CompiledFilter::Ip { name, negative, range } => {
                // With an error only string filters drop.
                labels.has_error() || labels.get(name).is_some_and(|(value, _)| range.found_in(value.as_bytes()) != *negative)
            }
            // Loki asks both sides of an `and`, so the right one may set an error although the left one drops.
            CompiledFilter::And(left, right) => left.accepts(labels) & right.accepts(labels),
            CompiledFilter::Or(left, right) => left.accepts(labels) || right.accepts(labels),
        }
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
