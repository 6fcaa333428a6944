//! Native histograms, exponential and with custom bounds, as Prometheus's `FloatHistogram`.

mod bounds;

pub use bounds::bound;

/// Schema number of histograms with custom bucket bounds (NHCB).
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// Coarsest exponential schema.
pub const SCHEMA_MIN: i32 = -4;
/// Finest exponential schema.
pub const SCHEMA_MAX: i32 = 8;

/// What the sender knows about counter resets before this histogram.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum CounterResetHint {
    /// Nothing is known: compare with the one before.
    #[default]
    Unknown,
    /// A reset happened just before.
    Reset,
    /// No reset happened since the one before.
    NotReset,
    /// Not a counter.
    Gauge,
}

/// A run of consecutive buckets; `offset` is the gap to the end of the previous span (or the index of the first bucket).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Span {
    /// Buckets skipped since the previous span; for the first span the bucket index.
    pub offset: i32,
    /// Buckets in this span.
    pub length: u32,
}

/// Pairs of bucket index and count.
pub fn entries<'a>(spans: &'a [Span], buckets: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut next = 0i64;
    let indexes = spans.iter().flat_map(move |span| {
        let start = next + i64::from(span.offset);
        next = start + i64::from(span.length);
        start..next
    });
    indexes.zip(buckets.iter().copied())
}

/// One native histogram sample with absolute bucket counts.
///
/// # Invariants
/// The lengths of `positive_spans` add up to `positive_buckets.len()`, likewise the negative side;
/// `custom_values` is non-empty only where `schema == CUSTOM_BUCKETS_SCHEMA`. A stale histogram has the stale NaN as `sum`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// What is known of counter resets.
    pub counter_reset_hint: CounterResetHint,
    /// −4…8 exponential, −53 custom bounds.
    pub schema: i32,
    /// Half width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of observations.
    pub sum: f64,
    /// Runs of positive buckets.
    pub positive_spans: Vec<Span>,
    /// Absolute counts of the positive buckets.
    pub positive_buckets: Vec<f64>,
    /// Runs of negative buckets.
    pub negative_spans: Vec<Span>,
    /// Absolute counts of the negative buckets.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, ascending, without +Inf.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// Reports whether this is the histogram form of the staleness marker.
    pub fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }

    /// Reports whether bucket bounds are custom (NHCB).
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }
}
