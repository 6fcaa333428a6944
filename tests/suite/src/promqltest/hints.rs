//! Counter-reset hints as a server's storage gives them back.
//!
//! Upstream's runner loads into a real head block, which keeps histograms in chunks and forgets their hints: the first of a chunk
//! comes back as "unknown", each later one as "not reset", and gauges as gauges (upstream `tsdb/chunkenc/float_histogram.go`).
//! Expected hints and annotations rest on that.

use std::sync::Arc;

use model::{CounterResetHint, Histogram};
use plan::functions::histogram;

/// The chunk being filled.
struct Chunk {
    gauge: bool,
    last: Arc<Histogram>,
}

/// Gives histograms their hints, in the order in which they are stored.
#[derive(Default)]
pub struct Hints(Option<Chunk>);

impl Hints {
    /// Notes a float, which ends a chunk of histograms.
    pub fn float(&mut self) {
        self.0 = None;
    }

    /// Returns a histogram as it comes back.
    pub fn histogram(&mut self, of: &Arc<Histogram>) -> Arc<Histogram> {
        let appended = self.0.as_ref().is_some_and(|chunk| appendable(chunk, of));
        let gauge = match &self.0 {
            Some(chunk) if appended => chunk.gauge,
            _ => of.counter_reset_hint == CounterResetHint::Gauge,
        };
        self.0 = Some(Chunk { gauge, last: Arc::clone(of) });
        let counter_reset_hint = match (gauge, appended) {
            (true, _) => CounterResetHint::Gauge,
            (false, true) => CounterResetHint::NotReset,
            (false, false) => CounterResetHint::Unknown,
        };
        Arc::new(Histogram { counter_reset_hint, ..of.as_ref().clone() })
    }
}

fn appendable(chunk: &Chunk, next: &Histogram) -> bool {
    let last = chunk.last.as_ref();
    let layout =
        next.schema == last.schema && next.zero_threshold == last.zero_threshold && next.custom_values == last.custom_values;
    match (next.counter_reset_hint, chunk.gauge) {
        (CounterResetHint::Gauge, true) => next.is_stale() || (!last.is_stale() && layout),
        (CounterResetHint::Gauge, false) | (_, true) | (CounterResetHint::Reset, _) => false,
        _ if next.is_stale() => true,
        _ => !last.is_stale() && layout && !falls(next, last),
    }
}

/// Reports whether the count, the zero bucket or any bucket became smaller.
fn falls(next: &Histogram, last: &Histogram) -> bool {
    let side = |a: (&[model::Span], &[f64]), b: (&[model::Span], &[f64])| {
        let next: std::collections::BTreeMap<i64, f64> = histogram::entries(a.0, a.1).collect();
        histogram::entries(b.0, b.1).any(|(index, count)| next.get(&index).copied().unwrap_or(0.0) < count)
    };
    next.count < last.count
        || next.zero_count < last.zero_count
        || side((&next.positive_spans, &next.positive_buckets), (&last.positive_spans, &last.positive_buckets))
        || side((&next.negative_spans, &next.negative_buckets), (&last.negative_spans, &last.negative_buckets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};

    #[test]
    fn chunks_decide_the_hints() {
        let mut hints = Hints::default();
        for (count, hint, back) in [
            (1.0, Unknown, Unknown),
            (2.0, Unknown, NotReset),
            (1.0, Unknown, Unknown),
            (2.0, Reset, Unknown),
            (3.0, NotReset, NotReset),
            (4.0, Gauge, Gauge),
            (3.0, Gauge, Gauge),
            (5.0, Unknown, Unknown),
        ] {
            let histogram = Arc::new(Histogram { count, counter_reset_hint: hint, ..Histogram::default() });
            assert_eq!(hints.histogram(&histogram).counter_reset_hint, back, "{count} {hint:?}");
        }
        hints.float();
        assert_eq!(hints.histogram(&Arc::new(Histogram { count: 9.0, ..Histogram::default() })).counter_reset_hint, Unknown);
    }
}
