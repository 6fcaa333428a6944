//! Values as Loki's configuration writes them: durations, sizes, times, lists.

use std::time::Duration;

use serde::Deserialize;

/// A time span such as `30d1h` or `90s`: units `y w d h m s ms`, each at most once in this order is customary, not required.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Scalar")]
pub(super) struct Span(Duration);

impl Span {
    pub(super) fn duration(self) -> Duration {
        self.0
    }

    /// Returns the span; zero means there is no bound.
    pub(super) fn positive(self) -> Option<Duration> {
        Some(self.0).filter(|span| !span.is_zero())
    }

    fn parse(text: &str) -> Option<Span> {
        if text == "0" {
            return Some(Span(Duration::ZERO));
        }
        let (mut total, mut rest) = (Duration::ZERO, text);
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (count, tail) = rest.split_at(digits);
            let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let (unit, tail) = tail.split_at(letters);
            total = total.checked_add(unit_of(unit)?.checked_mul(count.parse().ok()?)?)?;
            rest = tail;
        }
        (!text.is_empty()).then_some(Span(total))
    }
}

fn unit_of(unit: &str) -> Option<Duration> {
    const DAY_SECONDS: u64 = 24 * 3600;
    Some(match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => Duration::from_secs(DAY_SECONDS),
        "w" => Duration::from_secs(7 * DAY_SECONDS),
        "y" => Duration::from_secs(365 * DAY_SECONDS),
        _ => return None,
    })
}

/// A number of bytes, bare or with a unit: `256KB` is 262,144.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Scalar")]
pub(super) struct ByteSize(usize);

impl ByteSize {
    pub(super) fn bytes(self) -> usize {
        self.0
    }

    fn parse(text: &str) -> Option<ByteSize> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = text.split_at(digits);
        let shift = match unit.trim().to_ascii_uppercase().as_str() {
            "" | "B" => 0,
            "K" | "KB" => 10,
            "M" | "MB" => 20,
            "G" | "GB" => 30,
            "T" | "TB" => 40,
            _ => return None,
        };
        count.parse::<usize>().ok()?.checked_mul(1 << shift).map(ByteSize)
    }
}

/// A text or a whole number: YAML reads `0` and `262144` as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(u64),
    Text(String),
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Scalar::Number(number) => number.to_string(),
            Scalar::Text(text) => text,
        }
    }
}

impl TryFrom<Scalar> for Span {
    type Error = String;

    fn try_from(scalar: Scalar) -> Result<Span, String> {
        let text = scalar.text();
        Span::parse(&text).ok_or_else(|| format!("not a duration such as 90s or 30d1h: {text:?}"))
    }
}

impl TryFrom<Scalar> for ByteSize {
    type Error = String;

    fn try_from(scalar: Scalar) -> Result<ByteSize, String> {
        let text = scalar.text();
        ByteSize::parse(&text).ok_or_else(|| format!("not a number of bytes such as 256KB: {text:?}"))
    }
}

/// A time as RFC 3339, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Instant(pub(super) i64);

impl TryFrom<String> for Instant {
    type Error = String;

    fn try_from(text: String) -> Result<Instant, String> {
        let at: Option<jiff::Timestamp> = text.parse().ok();
        let nanoseconds = at.and_then(|at| i64::try_from(at.as_nanosecond()).ok());
        nanoseconds.map(Instant).ok_or_else(|| format!("not a time such as 2030-01-01T00:00:00Z: {text:?}"))
    }
}

/// A list, or one text with commas.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    List(Vec<String>),
    Text(String),
}

impl Names {
    pub(super) fn to_vec(&self) -> Vec<String> {
        match self {
            Names::List(names) => names.clone(),
            Names::Text(text) => text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes() {
        for (text, seconds) in
            [("0", Some(0)), ("90s", Some(90)), ("30d1h", Some(2_595_600)), ("1x", None), ("", None), ("h", None)]
        {
            assert_eq!(Span::parse(text).map(|span| span.0.as_secs()), seconds, "{text}");
        }
        for (text, bytes) in
            [("7", Some(7)), ("256KB", Some(262_144)), ("3 mb", Some(3 << 20)), ("x", None), ("9999999999999T", None)]
        {
            assert_eq!(ByteSize::parse(text).map(ByteSize::bytes), bytes, "{text}");
        }
    }
}
