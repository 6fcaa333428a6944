//! Warnings and infos of one evaluation, with Prometheus's texts (upstream `util/annotations`).

use model::quote::go_quote;

use crate::logical::Span;

/// Which of the two lists an annotation goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Warning,
    Info,
}

#[derive(Clone, PartialEq, Debug)]
struct Entry {
    level: Level,
    text: String,
    span: Span,
    forced: Option<Forced>,
    /// How often it was seen, where that is told. Upstream's counter doubles (see [`Annotations::step`]) and overflows, so this does.
    samples: i64,
}

/// Where `histogram_quantile` had to force monotonicity.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Forced {
    /// First evaluation time concerned, milliseconds.
    pub first_ms: i64,
    /// Last evaluation time concerned, milliseconds.
    pub last_ms: i64,
    /// Least upper bound of a corrected bucket.
    pub bucket_min: f64,
    /// Greatest upper bound of a corrected bucket.
    pub bucket_max: f64,
    /// Greatest correction.
    pub diff_max: f64,
}

/// Begins the warning of which occurrences are counted.
const OVERLAP: &str = "sample has start time that overlaps with previous sample timestamp";

/// Annotations in order of first occurrence; equal texts are one, at the position seen last, or first if they are counted (upstream's
/// merge).
#[derive(Clone, Default, Debug, PartialEq)]
pub struct Annotations {
    entries: Vec<Entry>,
}

impl Annotations {
    /// Adds a warning, `text` without prefix and position.
    pub fn warn(&mut self, text: impl Into<String>, span: Span) {
        self.add(Entry { level: Level::Warning, text: text.into(), span, forced: None, samples: 1 });
    }

    /// Adds an info, `text` without prefix and position.
    pub fn info(&mut self, text: impl Into<String>, span: Span) {
        self.add(Entry { level: Level::Info, text: text.into(), span, forced: None, samples: 1 });
    }

    /// Adds the info of a forced monotonicity; occurrences are summed up.
    pub fn forced_monotonicity(&mut self, metric: &str, span: Span, forced: Forced) {
        let text = named(
            "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
            metric,
        );
        self.add(Entry { level: Level::Info, text, span, forced: Some(forced), samples: 1 });
    }

    /// Adds the warning of overlapping start times; occurrences are counted.
    pub fn start_time_overlap(&mut self, metric: &str, span: Span) {
        let text = format!("{OVERLAP} for metric {}", go_quote(metric));
        self.add(Entry { level: Level::Warning, text, span, forced: None, samples: 1 });
    }

    fn add(&mut self, mut entry: Entry) {
        let Some(old) = self.entries.iter_mut().find(|e| e.level == entry.level && e.text == entry.text) else {
            self.entries.push(entry);
            return;
        };
        if let (Some(a), Some(b)) = (&mut entry.forced, old.forced) {
            a.first_ms = a.first_ms.min(b.first_ms);
            a.last_ms = a.last_ms.max(b.last_ms);
            a.bucket_min = a.bucket_min.min(b.bucket_min);
            a.bucket_max = a.bucket_max.max(b.bucket_max);
            a.diff_max = a.diff_max.max(b.diff_max);
        }
        entry.samples = entry.samples.wrapping_add(old.samples);
        if entry.is_counted() {
            entry.span = old.span;
        }
        *old = entry;
    }

    /// Takes in what a function has to say of one more step. Upstream adds a function's annotations to themselves there, so that counts
    /// of earlier steps double.
    pub fn step(&mut self, step: Annotations) {
        let before = self.entries.len();
        self.merge(step);
        self.entries[..before].iter_mut().for_each(|entry| entry.samples = entry.samples.wrapping_mul(2));
    }

    /// Takes in all of `other`.
    pub fn merge(&mut self, other: Annotations) {
        other.entries.into_iter().for_each(|entry| self.add(entry));
    }

    /// Reports whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns warnings and infos as the HTTP API prints them, positions relating to `query`.
    pub fn render(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let of = |level| self.entries.iter().filter(|e| e.level == level).map(|e| e.render(query)).collect();
        (of(Level::Warning), of(Level::Info))
    }
}

/// Cuts a list to `max` and says how many were left out; `kind` is `warning` or `info` (HTTP API, 10 each).
pub fn limited(texts: &[String], kind: &str, max: usize) -> Vec<String> {
    let mut kept = texts[..texts.len().min(max)].to_vec();
    if texts.len() > max {
        kept.push(format!("{} more {kind} annotations omitted", texts.len() - max));
    }
    kept
}

impl Entry {
    fn is_counted(&self) -> bool {
        self.forced.is_some() || self.text.starts_with(OVERLAP)
    }

    fn render(&self, query: &str) -> String {
        let kind = if self.level == Level::Warning { "warning" } else { "info" };
        let (line, col) = line_col(query, self.span);
        let detail = self.forced.map_or(String::new(), |f| {
            format!(
                ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                crate::functions::format::general(f.bucket_min),
                crate::functions::format::general(f.bucket_max),
                crate::functions::format::general_digits(f.diff_max, 2),
                self.samples,
                crate::functions::time::rfc3339(f.first_ms.div_euclid(1000)),
                crate::functions::time::rfc3339(f.last_ms.div_euclid(1000)),
            )
        });
        let overlap = self.samples > 1 && self.text.starts_with(OVERLAP);
        let detail = if overlap { format!(" ({} occurrences)", self.samples) } else { detail };
        format!("PromQL {kind}: {}{detail} ({line}:{col})", self.text)
    }
}

fn line_col(text: &str, span: Span) -> (usize, usize) {
    let before = &text.as_bytes()[..(span.start as usize).min(text.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1);
    (before.iter().filter(|b| **b == b'\n').count() + 1, before.len() - line_start + 1)
}

/// Appends `for metric name "…"` where there is a name.
pub fn named(text: &str, metric: &str) -> String {
    if metric.is_empty() { text.to_owned() } else { format!("{text} for metric name {}", go_quote(metric)) }
}

/// `encountered a mix of histograms and floats for metric name "…"`
pub fn mixed_floats_histograms(metric: &str) -> String {
    format!("encountered a mix of histograms and floats for metric name {}", go_quote(metric))
}

/// `vector contains a mix of histograms with exponential and custom buckets schemas for metric name "…"`
pub fn mixed_schemas(metric: &str) -> String {
    format!(
        "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
        go_quote(metric)
    )
}

/// `this native histogram metric is not a counter: "…"`
pub fn not_counter(metric: &str) -> String {
    format!("this native histogram metric is not a counter: {}", go_quote(metric))
}

/// `this native histogram metric is not a gauge: "…"`
pub fn not_gauge(metric: &str) -> String {
    format!("this native histogram metric is not a gauge: {}", go_quote(metric))
}

/// `ignored histograms in a range containing both floats and histograms for metric name "…"`
pub fn ignored_in_range(metric: &str) -> String {
    format!("ignored histograms in a range containing both floats and histograms for metric name {}", go_quote(metric))
}

/// `quantile value should be between 0 and 1, got …`
pub fn invalid_quantile(q: f64) -> String {
    format!("quantile value should be between 0 and 1, got {}", crate::functions::format::general(q))
}

/// `mismatched custom buckets were reconciled during …`
pub fn mismatched_buckets(operation: &str) -> String {
    format!("mismatched custom buckets were reconciled during {operation}")
}

/// `conflicting counter resets during histogram …`
pub fn reset_collision(operation: &str) -> String {
    format!("conflicting counter resets during histogram {operation}")
}
