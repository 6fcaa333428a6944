//! Series lines: labels, then the values one after the other.
//!
//! Owns: the item grammar (`1`, `a+bxN`, `_xN`, `stale`, histograms and their arithmetic). Does not own: what a value's place
//! in the line means; a load counts steps from zero, a range result from its start.

use std::sync::Arc;

use model::{Histogram, LabelSet, STALE_NAN};
use plan::functions::histogram;

use super::{histogram_text, number};

/// Values one series line may stand for: `0x1000000000` must not take the machine with it.
const ITEMS_MAX: usize = 100_000;

/// One value of a series line.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Nothing at this step.
    Gap,
    /// A float; the staleness marker is one.
    Float(f64),
    /// A histogram, and whether its text named a counter-reset hint.
    Histogram(Arc<Histogram>, bool),
}

/// One series line.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesLine {
    /// The series.
    pub labels: LabelSet,
    /// Whether the items are start timestamps (`series@st`).
    pub start_timestamps: bool,
    /// Its values in order.
    pub items: Vec<Item>,
}

/// Parses a series line.
///
/// # Errors
/// With what is wrong, without the line number.
pub fn parse(line: &str) -> Result<SeriesLine, String> {
    let (written, rest) = line.split_at(labels_length(line)?);
    let pairs = promql::parse_metric(written.trim()).map_err(|error| format!("series {written}: {error}"))?;
    let labels = LabelSet::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let values = rest.strip_prefix("@st").filter(|values| values.is_empty() || values.starts_with(char::is_whitespace));
    let mut items = Vec::new();
    for item in split(values.unwrap_or(rest))? {
        append(item, &mut items).map_err(|why| format!("item {item}: {why}"))?;
    }
    Ok(SeriesLine { labels, start_timestamps: values.is_some(), items })
}

/// Finds where the labels end. A second brace right behind the first begins a histogram.
fn labels_length(line: &str) -> Result<usize, String> {
    let name = line.find(|c: char| c == '{' || c == '@' || c.is_whitespace()).unwrap_or(line.len());
    let rest = &line[name..];
    let blanks = rest.len() - rest.trim_start().len();
    if !rest[blanks..].starts_with('{') || rest[blanks..].starts_with("{{") {
        return Ok(name);
    }
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in line.char_indices().skip_while(|(at, _)| *at < name + blanks) {
        match quote {
            _ if escaped => escaped = false,
            Some(open) if open != '`' && c == '\\' => escaped = true,
            Some(open) if open == c => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '}' => return Ok(at + 1),
            None => {}
        }
    }
    Err("the labels have no end".to_owned())
}

/// Splits at blanks outside `{{…}}`.
fn split(mut text: &str) -> Result<Vec<&str>, String> {
    let mut items = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Ok(items);
        }
        let mut end = 0;
        while let Some(rest) = text.get(end..).filter(|rest| !rest.is_empty() && !rest.starts_with(char::is_whitespace)) {
            end += match rest.strip_prefix("{{") {
                Some(inside) => 4 + inside.find("}}").ok_or("a histogram has no end")?,
                None => rest.chars().next().map_or(1, char::len_utf8),
            };
        }
        items.push(&text[..end]);
        text = &text[end..];
    }
}

fn append(item: &str, items: &mut Vec<Item>) -> Result<(), String> {
    if let Some(count) = item.strip_prefix('_') {
        let count = if count.is_empty() { 1 } else { times(count)? };
        return push(items, count, || Ok(Item::Gap));
    }
    if item == "stale" {
        return push(items, 1, || Ok(Item::Float(STALE_NAN)));
    }
    if item.starts_with("{{") {
        return append_histograms(item, items);
    }
    let (mut value, rest) = number::prefix(item).ok_or("not a number")?;
    let (step, rest) = match rest.starts_with(['+', '-']) {
        true => number::prefix(rest).ok_or("what is added is not a number")?,
        false => (0.0, rest),
    };
    push(items, count(rest)?, || {
        let current = value;
        value += step;
        Ok(Item::Float(current))
    })
}

fn append_histograms(item: &str, items: &mut Vec<Item>) -> Result<(), String> {
    let (base, rest) = histogram_text::prefix(item)?;
    let sign = rest.chars().next().filter(|c| matches!(c, '+' | '-'));
    let (step, rest) = match sign {
        Some(_) => histogram_text::prefix(&rest[1..]).map(|(step, rest)| (Some(step.histogram), rest))?,
        None => (None, rest),
    };
    let (mut current, mut first) = (Arc::new(base.histogram), true);
    push(items, count(rest)?, || {
        if let (Some(step), false) = (&step, first) {
            current = Arc::new(combine(&current, step, sign == Some('-'))?);
        }
        first = false;
        Ok(Item::Histogram(Arc::clone(&current), base.names_hint))
    })
}

fn combine(left: &Histogram, right: &Histogram, subtract: bool) -> Result<Histogram, String> {
    if left.schema > right.schema && !right.uses_custom_buckets() {
        return Err(format!("cannot merge from schema {} to {}", right.schema, left.schema));
    }
    let combined = if subtract { histogram::sub(left, right) } else { histogram::add(left, right) };
    combined
        .map(|(combined, _)| combined)
        .map_err(|_| "histograms with exponential and custom buckets cannot be combined".to_owned())
}

/// Counts the values of an item whose end is `rest`: `xN` are N + 1 of them.
fn count(rest: &str) -> Result<usize, String> {
    if rest.is_empty() { Ok(1) } else { Ok(times(rest)?.saturating_add(1)) }
}

fn times(text: &str) -> Result<usize, String> {
    let digits = text.strip_prefix('x').ok_or_else(|| format!("{text:?} where xN should be"))?;
    digits.parse().map_err(|_| format!("{digits:?} is not a count"))
}

fn push(items: &mut Vec<Item>, count: usize, mut next: impl FnMut() -> Result<Item, String>) -> Result<(), String> {
    if count.saturating_add(items.len()) > ITEMS_MAX {
        return Err(format!("the series has more than {ITEMS_MAX} values"));
    }
    for _ in 0..count {
        items.push(next()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(line: &str) -> Vec<Option<f64>> {
        let line = parse(line).expect("the line is well formed");
        let float = |item: &Item| match item {
            Item::Float(value) => Some(*value),
            _ => None,
        };
        line.items.iter().map(float).collect()
    }

    #[test]
    fn items_repeat_as_written() {
        assert_eq!(floats("m 0+10x3"), [0.0, 10.0, 20.0, 30.0].map(Some));
        assert_eq!(floats("m 4x1 _ _x2 5"), [Some(4.0), Some(4.0), None, None, None, Some(5.0)]);
        assert_eq!(floats("m 1-1x2"), [1.0, 0.0, -1.0].map(Some));
        assert_eq!(floats("m 5m"), [Some(300.0)]);
        assert!(parse("m 0x99999999999").is_err());
    }

    #[test]
    fn labels_end_before_the_values() {
        let line = parse(r#"m{a="} 1", b='"'} {{count:3}} 2"#).expect("the line is well formed");
        assert_eq!(line.labels, LabelSet::from_pairs([("__name__", "m"), ("a", "} 1"), ("b", "\"")]));
        assert_eq!(line.items.len(), 2);
        assert!(parse("m{a=\"b\"}@st -1m").expect("the line is well formed").start_timestamps);
        assert_eq!(parse("{} {{}}").expect("the line is well formed").labels, LabelSet::empty());
    }

    #[test]
    fn histograms_add_up() {
        let line =
            parse("m {{schema:0 count:4 sum:4 buckets:[1 2 1]}}+{{count:1 sum:2 buckets:[1] offset:1}}x2").expect("well formed");
        let Some(Item::Histogram(last, false)) = line.items.last() else { panic!("{line:?}") };
        assert_eq!((last.count, last.sum, last.positive_buckets.as_slice()), (6.0, 8.0, [1.0, 4.0, 1.0].as_slice()));
    }
}
