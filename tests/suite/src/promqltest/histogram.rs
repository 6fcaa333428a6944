//! Histograms as scripts write them: `{{schema:0 sum:1 buckets:[1 2]}}`.

use anyhow::{Context, Result, bail};
use model::{CounterResetHint, Histogram, Span};

use super::items::number;

/// Parses the inside of `{{…}}`; also says whether a reset hint was named.
pub fn parse(text: &str) -> Result<(Histogram, bool)> {
    let mut h = Histogram::default();
    let (mut hinted, mut offset, mut n_offset) = (false, 0, 0);
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').with_context(|| format!("histogram key without value: {rest}"))?;
        let (value, tail) = if let Some(list) = after.strip_prefix('[') {
            list.split_once(']').context("unclosed list in histogram")?
        } else {
            after.split_once(char::is_whitespace).unwrap_or((after, ""))
        };
        let list = || value.split_whitespace().map(number).collect::<Result<Vec<f64>>>();
        match key.trim() {
            "schema" => h.schema = value.parse()?,
            "sum" => h.sum = number(value)?,
            "count" => h.count = number(value)?,
            "z_bucket" => h.zero_count = number(value)?,
            "z_bucket_w" => h.zero_threshold = number(value)?,
            "offset" => offset = value.parse()?,
            "n_offset" => n_offset = value.parse()?,
            "buckets" => h.positive_buckets = list()?,
            "n_buckets" => h.negative_buckets = list()?,
            "custom_values" => h.custom_values = list()?,
            "counter_reset_hint" => {
                hinted = true;
                h.counter_reset_hint = match value {
                    "unknown" => CounterResetHint::Unknown,
                    "reset" => CounterResetHint::Reset,
                    "not_reset" => CounterResetHint::NotReset,
                    "gauge" => CounterResetHint::Gauge,
                    other => bail!("counter_reset_hint {other}"),
                };
            }
            other => bail!("histogram key {other}"),
        }
        rest = tail.trim_start();
    }
    let span = |offset, buckets: &[f64]| if buckets.is_empty() { vec![] } else { vec![Span { offset, length: buckets.len() as u32 }] };
    h.positive_spans = span(offset, &h.positive_buckets);
    h.negative_spans = span(n_offset, &h.negative_buckets);
    Ok((h, hinted))
}
