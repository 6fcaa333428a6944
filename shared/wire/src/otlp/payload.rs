//! What a request says, as plain data: one metric at a time, attributes already as text.

/// Attributes in the order of the request.
pub(super) type Attributes = Vec<(String, String)>;

/// `FLAG_NO_RECORDED_VALUE`: the series ended.
const NO_RECORDED_VALUE: u32 = 1;

/// Who instrumented.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) schema_url: String,
    pub(super) attributes: Attributes,
}

/// One metric with its points.
#[derive(Debug, Default)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) unit: String,
    pub(super) data: Data,
}

/// How points relate to those before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Temporality {
    #[default]
    Unspecified,
    Delta,
    Cumulative,
}

impl Temporality {
    pub(super) fn of(number: i64) -> Temporality {
        match number {
            1 => Temporality::Delta,
            2 => Temporality::Cumulative,
            _ => Temporality::Unspecified,
        }
    }
}

/// The points of a metric by its type.
#[derive(Debug, Default)]
pub(super) enum Data {
    #[default]
    None,
    Gauge(Vec<NumberPoint>),
    Sum {
        points: Vec<NumberPoint>,
        temporality: Temporality,
        monotonic: bool,
    },
    Histogram {
        points: Vec<HistogramPoint>,
        temporality: Temporality,
    },
    Exponential {
        points: Vec<ExponentialPoint>,
        temporality: Temporality,
    },
    Summary(Vec<SummaryPoint>),
}

impl Data {
    /// Counts the points.
    pub(super) fn len(&self) -> usize {
        match self {
            Data::None => 0,
            Data::Gauge(points) | Data::Sum { points, .. } => points.len(),
            Data::Histogram { points, .. } => points.len(),
            Data::Exponential { points, .. } => points.len(),
            Data::Summary(points) => points.len(),
        }
    }
}

/// What every point has.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) attributes: Attributes,
    pub(super) start_ns: u64,
    pub(super) time_ns: u64,
    pub(super) flags: u32,
}

impl Head {
    pub(super) fn has_ended(&self) -> bool {
        self.flags & NO_RECORDED_VALUE != 0
    }

    pub(super) fn time_ms(&self) -> i64 {
        in_ms(self.time_ns)
    }

    pub(super) fn start_ms(&self) -> i64 {
        in_ms(self.start_ns)
    }
}

pub(super) fn in_ms(ns: u64) -> i64 {
    (ns / 1_000_000) as i64
}

#[derive(Debug, Default)]
pub(super) struct NumberPoint {
    pub(super) head: Head,
    pub(super) value: f64,
    pub(super) exemplars: Vec<RawExemplar>,
}

#[derive(Debug, Default)]
pub(super) struct HistogramPoint {
    pub(super) head: Head,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) counts: Vec<u64>,
    pub(super) bounds: Vec<f64>,
    pub(super) exemplars: Vec<RawExemplar>,
}

#[derive(Debug, Default)]
pub(super) struct ExponentialPoint {
    pub(super) head: Head,
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) scale: i32,
    pub(super) zero_count: u64,
    pub(super) positive: Buckets,
    pub(super) negative: Buckets,
    pub(super) exemplars: Vec<RawExemplar>,
}

/// Dense buckets from an index on.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    pub(super) offset: i32,
    pub(super) counts: Vec<u64>,
}

#[derive(Debug, Default)]
pub(super) struct SummaryPoint {
    pub(super) head: Head,
    pub(super) count: u64,
    pub(super) sum: f64,
    /// Quantile and value.
    pub(super) quantiles: Vec<(f64, f64)>,
}

#[derive(Debug, Default)]
pub(super) struct RawExemplar {
    pub(super) attributes: Attributes,
    pub(super) time_ns: u64,
    pub(super) value: f64,
    /// Hexadecimal, empty where there is none.
    pub(super) trace_id: String,
    pub(super) span_id: String,
}

/// Takes a request resource by resource.
pub(super) trait Visitor {
    /// Begins a resource.
    fn resource(&mut self, attributes: Attributes);
    /// Begins a scope of it.
    fn scope(&mut self, scope: &Scope);
    /// Takes a metric of the scope.
    fn metric(&mut self, metric: Metric);
    /// Ends the resource.
    fn end_resource(&mut self);
}
