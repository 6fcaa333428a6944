//! Histograms as test scripts write them: `{{schema:0 count:4 sum:5 buckets:[1 2 1]}}`.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, SCHEMA_MAX, SCHEMA_MIN};
use model::{CounterResetHint, Histogram, histogram::Span};

use super::number;

/// A histogram as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The histogram; a hint that was not named is unknown.
    pub histogram: Histogram,
    /// Whether the counter-reset hint was named.
    pub names_hint: bool,
}

/// Reads a histogram at the start of a text and returns what follows it.
///
/// # Errors
/// With what is wrong.
pub fn prefix(text: &str) -> Result<(Written, &str), String> {
    let inside = text.strip_prefix("{{").ok_or_else(|| format!("{text:?} is not a histogram"))?;
    let (keys, rest) = inside.split_once("}}").ok_or("a histogram has no end")?;
    Ok((parse(keys)?, rest))
}

fn parse(mut keys: &str) -> Result<Written, String> {
    let mut written = Written { histogram: Histogram::default(), names_hint: false };
    let (mut offset, mut negative_offset) = (0, 0);
    while let Some((key, after)) = keys.trim_start().split_once(':') {
        let (value, rest) = value(after)?;
        let histogram = &mut written.histogram;
        match key {
            "schema" => histogram.schema = schema(value)?,
            "sum" => histogram.sum = float(value)?,
            "count" => histogram.count = float(value)?,
            "z_bucket" => histogram.zero_count = float(value)?,
            "z_bucket_w" => histogram.zero_threshold = float(value)?,
            "buckets" => histogram.positive_buckets = floats(value)?,
            "n_buckets" => histogram.negative_buckets = floats(value)?,
            "custom_values" => histogram.custom_values = floats(value)?,
            "offset" => offset = integer(value)?,
            "n_offset" => negative_offset = integer(value)?,
            "counter_reset_hint" => {
                histogram.counter_reset_hint = hint(value)?;
                written.names_hint = true;
            }
            other => return Err(format!("histograms have no {other:?}")),
        }
        keys = rest;
    }
    if !keys.trim().is_empty() {
        return Err(format!("{keys:?} where a histogram key should be"));
    }
    let histogram = &mut written.histogram;
    histogram.positive_spans = spans(offset, &histogram.positive_buckets)?;
    histogram.negative_spans = spans(negative_offset, &histogram.negative_buckets)?;
    Ok(written)
}

/// Takes the value behind a colon: up to the bracket that closes it, or up to a blank.
fn value(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim_start();
    if text.starts_with('[') {
        let end = text.find(']').ok_or("a list of buckets has no end")?;
        return Ok((&text[..=end], &text[end + 1..]));
    }
    Ok(text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())))
}

fn spans(offset: i32, buckets: &[f64]) -> Result<Vec<Span>, String> {
    let length = u32::try_from(buckets.len()).map_err(|_| "too many buckets")?;
    Ok(if length == 0 { Vec::new() } else { vec![Span { offset, length }] })
}

fn schema(text: &str) -> Result<i32, String> {
    match integer(text)? {
        schema @ (CUSTOM_BUCKETS_SCHEMA | SCHEMA_MIN..=SCHEMA_MAX) => Ok(schema),
        other => Err(format!("there is no schema {other}")),
    }
}

fn hint(text: &str) -> Result<CounterResetHint, String> {
    Ok(match text {
        "unknown" => CounterResetHint::Unknown,
        "reset" => CounterResetHint::Reset,
        "not_reset" => CounterResetHint::NotReset,
        "gauge" => CounterResetHint::Gauge,
        other => return Err(format!("there is no counter reset hint {other:?}")),
    })
}

fn float(text: &str) -> Result<f64, String> {
    number::whole(text).ok_or_else(|| format!("{text:?} is not a number"))
}

fn floats(text: &str) -> Result<Vec<f64>, String> {
    let list = text.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
    list.ok_or_else(|| format!("{text:?} is not a list"))?.split_whitespace().map(float).collect()
}

fn integer(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("{text:?} is not an integer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_any_order() {
        let text = "{{n_buckets:[1 2]  count:3 schema:-53 n_offset:-2 custom_values:[ 5 10 ] counter_reset_hint:gauge}}x3";
        let (written, rest) = prefix(text).expect("the text is well formed");
        assert_eq!(rest, "x3");
        assert!(written.names_hint);
        assert_eq!(written.histogram.negative_spans, [Span { offset: -2, length: 2 }]);
        assert_eq!((written.histogram.schema, written.histogram.custom_values.as_slice()), (-53, [5.0, 10.0].as_slice()));
        for wrong in ["{{sum:1", "{{size:1}}", "{{schema:9}}", "{{sum:a}}", "{{buckets:1}}", "{{sum}}"] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
    }
}
