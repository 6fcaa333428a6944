//! Items of a series line and what they expand to.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use model::{Histogram, LabelSet};

/// One value of a series.
#[derive(Clone, Debug)]
pub enum Item {
    /// Nothing at this slot.
    Gap,
    /// A float.
    Float(f64),
    /// A histogram, and whether its reset hint was written.
    Histogram(Arc<Histogram>, bool),
}

/// Parses a number as Prometheus does, durations included (seconds).
pub fn number(text: &str) -> Result<f64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match rest.to_ascii_lowercase().as_str() {
        "inf" => return Ok(sign * f64::INFINITY),
        "nan" => return Ok(f64::NAN),
        "stale" => return Ok(model::STALE_NAN),
        _ => {}
    }
    if let Some(hex) = rest.strip_prefix("0x").or(rest.strip_prefix("0X")) {
        return Ok(sign * i64::from_str_radix(hex, 16)? as f64);
    }
    if let Ok(value) = rest.replace('_', "").parse::<f64>() {
        return Ok(sign * value);
    }
    Ok(sign * duration(rest)? as f64 / 1000.0)
}

/// Parses a duration into milliseconds; a bare number is seconds.
pub fn duration(text: &str) -> Result<i64> {
    if let Some(rest) = text.strip_prefix('-') {
        return Ok(-duration(rest)?);
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1000.0).round() as i64);
    }
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').with_context(|| format!("duration {text}"))?;
        let value: f64 = rest[..digits].parse().with_context(|| format!("duration {text}"))?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3600e3,
            "d" => 86400e3,
            "w" => 7.0 * 86400e3,
            "y" => 365.0 * 86400e3,
            other => bail!("unit {other} in duration {text}"),
        };
        total += value * unit;
        rest = &rest[end..];
    }
    Ok(total as i64)
}

/// Splits a series line into its labels and the rest; `suffix` (`@st`) may follow the braces.
pub fn series(line: &str) -> Result<(LabelSet, &str)> {
    let (mut quoted, mut depth, mut end) = (None, 0, line.len());
    let mut escaped = false;
    for (i, c) in line.char_indices() {
        match (quoted, c) {
            (Some(_), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(q), c) if c == q && !escaped => quoted = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quoted = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            (None, c) if c.is_whitespace() && depth == 0 => {
                let rest = line[i..].trim_start();
                // `name {labels}`: a blank before the braces.
                if rest.starts_with('{') && !rest.starts_with("{{") && !line[..i].contains('{') {
                    continue;
                }
                end = i;
                break;
            }
            _ => {}
        }
        escaped = false;
    }
    let (head, rest) = line.split_at(end);
    let head = head.trim().strip_suffix("@st").unwrap_or(head.trim());
    if head == "{}" {
        return Ok((LabelSet::empty(), rest.trim()));
    }
    let matchers = promql::parse_selector(head, &promql::Options::all());
    let matchers = match matchers {
        Ok(matchers) => matchers,
        Err(error) => bail!("series {head}: {error}"),
    };
    Ok((LabelSet::from_pairs(matchers.iter().map(|m| (m.name(), m.value()))), rest.trim()))
}

/// Expands the items of a series line.
pub fn expand(text: &str) -> Result<Vec<Item>> {
    let mut out = Vec::new();
    for word in words(text) {
        if word.starts_with("{{") {
            histograms(&word, &mut out)?;
        } else if let Some(count) = word.strip_prefix("_x") {
            out.extend((0..count.parse::<usize>()?).map(|_| Item::Gap));
        } else if word == "_" {
            out.push(Item::Gap);
        } else if let Some((head, count)) = word.split_once('x').filter(|(head, _)| *head != "0" && !head.ends_with("0x") && !head.is_empty()) {
            let (start, step) = start_and_step(head)?;
            let count: usize = count.parse().with_context(|| format!("count in {word}"))?;
            let mut value = start;
            for _ in 0..=count {
                out.push(Item::Float(value));
                value += step;
            }
        } else {
            out.push(Item::Float(number(&word)?));
        }
    }
    Ok(out)
}

/// `a+b`, `a-b` or `a`; the sign of an exponent is none.
pub fn start_and_step(text: &str) -> Result<(f64, f64)> {
    let bytes = text.as_bytes();
    let at = (1..bytes.len()).find(|i| matches!(bytes[*i], b'+' | b'-') && !matches!(bytes[*i - 1], b'e' | b'E'));
    Ok(match at {
        Some(at) => (number(&text[..at])?, number(&text[at..])?),
        None => (number(text)?, 0.0),
    })
}

fn words(text: &str) -> Vec<String> {
    let (mut out, mut depth, mut word) = (Vec::new(), 0i32, String::new());
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if c.is_whitespace() && depth == 0 => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

fn histograms(word: &str, out: &mut Vec<Item>) -> Result<()> {
    let (first, rest) = word[2..].split_once("}}").context("unclosed histogram")?;
    let (mut current, hinted) = super::histogram::parse(first)?;
    let (step, rest) = match rest.get(..1) {
        Some(sign @ ("+" | "-")) => {
            let (body, rest) = rest[1..].strip_prefix("{{").and_then(|r| r.split_once("}}")).context("histogram step")?;
            (Some((sign == "+", super::histogram::parse(body)?.0)), rest)
        }
        _ => (None, rest),
    };
    let count: usize = match rest.strip_prefix('x') {
        Some(count) => count.parse()?,
        None => 0,
    };
    for i in 0..=count {
        out.push(Item::Histogram(Arc::new(current.clone()), hinted));
        if let Some((plus, step)) = step.as_ref().filter(|_| i < count) {
            let hint = current.counter_reset_hint;
            let combined =
                if *plus { plan::functions::histogram::add(&current, step) } else { plan::functions::histogram::sub(&current, step) };
            current = combined.map_err(|_| anyhow::anyhow!("histogram step of another schema"))?.0;
            current.counter_reset_hint = hint;
        }
    }
    Ok(())
}
