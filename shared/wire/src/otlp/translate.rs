//! Metrics to columns: each point becomes one or more samples (upstream `otlptranslator/prometheusremotewrite`).

use std::collections::HashSet;

use model::batch::{ExemplarRow, HistogramRow};
use model::labels::encode_label;
use model::otlp::{DeltaPolicy, OtlpOptions};
use model::{Exemplar, Histogram, LabelSet, Limits, MetricBatch, MetricKind, MetricMetadata, STALE_NAN, TimestampMs};

use super::labels::{self, Labels, ResourceLabels, set};
use super::names::{self, Shape};
use super::payload::*;
use super::{Decoded, histogram};
use crate::json_text::plain_float;
use crate::remote_write::Bounds;

/// Characters an exemplar's labels may have in all (OpenMetrics).
const EXEMPLAR_CHARS_MAX: usize = 128;
/// Samples of `target_info` per resource and request; a batch that spans more than 40 hours has them at its end only.
const TARGET_INFO_MAX: i64 = 1_000;

/// Translates one request.
pub(super) struct Translator<'a> {
    options: &'a OtlpOptions,
    limits: &'a Limits,
    bounds: Bounds,
    resource: ResourceLabels,
    scope: Result<Labels, String>,
    /// First and last time of the resource's points, nanoseconds.
    span_ns: Option<(u64, u64)>,
    /// `target_info` samples written, so that two resources of the same labels write one.
    infos: HashSet<(Vec<u8>, i64)>,
    decoded: Decoded,
}

/// A metric's identity while its points are written.
struct Family<'m> {
    metric: &'m Metric,
    name: String,
    kind: MetricKind,
    unit: String,
}

impl Visitor for Translator<'_> {
    fn resource(&mut self, attributes: Attributes) {
        self.resource = ResourceLabels::new(attributes, self.options);
        self.span_ns = None;
    }

    fn scope(&mut self, scope: &Scope) {
        self.scope = labels::of_scope(scope, self.options);
    }

    fn metric(&mut self, metric: Metric) {
        let points = metric.data.len();
        self.decoded.points += points;
        if let Err(reason) = self.family(&metric) {
            self.decoded.refuse(points, reason);
        }
    }

    fn end_resource(&mut self) {
        if let Some((first, last)) = self.span_ns
            && let Err(reason) = self.target_info(first, last)
        {
            self.decoded.refuse(0, format_args!("target_info: {reason}"));
        }
    }
}

impl<'a> Translator<'a> {
    pub(super) fn new(options: &'a OtlpOptions, limits: &'a Limits, bounds: Bounds) -> Translator<'a> {
        let decoded = Decoded { batch: MetricBatch::default(), points: 0, refused: 0, reasons: Vec::new(), warnings: Vec::new() };
        Translator {
            options,
            limits,
            bounds,
            resource: ResourceLabels::new(Attributes::new(), options),
            scope: Ok(Labels::new()),
            span_ns: None,
            infos: HashSet::new(),
            decoded,
        }
    }

    pub(super) fn finish(self) -> Decoded {
        self.decoded
    }

    /// Writes a metric; an error refuses all its points.
    fn family(&mut self, metric: &Metric) -> Result<(), String> {
        let (shape, kind, temporality) = match &metric.data {
            Data::None => return Err("unsupported metric type".to_owned()),
            Data::Gauge(_) => (Shape::Gauge, MetricKind::Gauge, None),
            Data::Sum { temporality, monotonic: true, .. } => (Shape::Counter, MetricKind::Counter, Some(*temporality)),
            Data::Sum { temporality, .. } => (Shape::Other, MetricKind::Gauge, Some(*temporality)),
            Data::Histogram { temporality, .. } | Data::Exponential { temporality, .. } => {
                (Shape::Other, MetricKind::Histogram, Some(*temporality))
            }
            Data::Summary(_) => (Shape::Other, MetricKind::Summary, None),
        };
        let delta = temporality == Some(Temporality::Delta);
        let valid = match temporality {
            Some(Temporality::Unspecified) => false,
            Some(Temporality::Delta) => self.options.delta == DeltaPolicy::Native,
            Some(Temporality::Cumulative) | None => true,
        };
        if !valid {
            return Err(format!("invalid temporality and type combination for metric {:?}", metric.name));
        }
        if metric.data.len() == 0 {
            return Err(format!("empty data points. {} is dropped", metric.name));
        }
        self.scope.as_ref().map_err(Clone::clone)?;
        let name = names::metric(&metric.name, &metric.unit, shape, self.options)?;
        // There is no type of a delta yet (upstream).
        let kind = if delta { MetricKind::Unknown } else { kind };
        let family = Family { metric, name, kind, unit: names::unit(&metric.unit) };
        let before = self.decoded.batch.series_len();
        self.points(&family);
        if self.decoded.batch.series_len() > before {
            let Family { name: metric_name, kind, unit, .. } = family;
            let help = metric.description.clone();
            self.metadata(MetricMetadata { metric: metric_name, kind, help, unit });
        }
        Ok(())
    }

    fn metadata(&mut self, metadata: MetricMetadata) {
        if !self.decoded.batch.metadata.contains(&metadata) {
            self.decoded.batch.metadata.push(metadata);
        }
    }

    fn points(&mut self, family: &Family<'_>) {
        match &family.metric.data {
            Data::None => {}
            Data::Gauge(points) | Data::Sum { points, .. } => {
                let exemplars = matches!(family.metric.data, Data::Sum { .. });
                points.iter().for_each(|point| self.point(family, &point.head, |to| to.number(point, exemplars)));
            }
            Data::Histogram { points, temporality } if self.options.convert_histograms_to_nhcb => {
                let native = |point| histogram::custom(point, *temporality);
                points.iter().for_each(|point| self.point(family, &point.head, |to| to.native(native(point)?, &point.exemplars)));
            }
            Data::Histogram { points, .. } => {
                points.iter().for_each(|point| self.point(family, &point.head, |to| to.classic(point)));
            }
            Data::Exponential { points, temporality } => {
                let native = |point| histogram::exponential(point, *temporality);
                points.iter().for_each(|point| self.point(family, &point.head, |to| to.native(native(point)?, &point.exemplars)));
            }
            Data::Summary(points) => {
                points.iter().for_each(|point| self.point(family, &point.head, |to| to.summary(point)));
            }
        }
    }

    /// Writes a point, all of it or nothing.
    fn point(&mut self, family: &Family<'_>, head: &Head, write: impl FnOnce(&mut Target<'_>) -> Result<(), String>) {
        let begun = Mark::of(&self.decoded.batch);
        let written = self.labels(family, head).and_then(|labels| {
            let (limits, batch) = (self.limits, &mut self.decoded.batch);
            let name = &family.name;
            write(&mut Target { name, labels, head, limits, batch, exemplar_bounds: self.bounds })
        });
        match written {
            Ok(()) => {
                let (first, last) = self.span_ns.unwrap_or((head.time_ns, head.time_ns));
                self.span_ns = Some((first.min(head.time_ns), last.max(head.time_ns)));
            }
            Err(reason) => {
                begun.restore(&mut self.decoded.batch);
                self.decoded.refuse(1, format_args!("{reason}: metric {:?}", family.metric.name));
            }
        }
    }

    fn labels(&mut self, family: &Family<'_>, head: &Head) -> Result<Labels, String> {
        self.bounds.check(head.time_ms())?;
        let none = Labels::new();
        let scope = self.scope.as_ref().unwrap_or(&none);
        let mut labels = labels::of_point(&head.attributes, &self.resource, scope, self.options, &mut self.decoded.warnings)?;
        if self.options.type_and_unit_labels {
            if family.kind != MetricKind::Unknown {
                set(&mut labels, "__type__", family.kind.as_str());
            }
            if !family.unit.is_empty() {
                set(&mut labels, "__unit__", &family.unit);
            }
        }
        Ok(labels)
    }

    /// Writes `target_info` at every half lookback of the resource's time, and at its end.
    fn target_info(&mut self, first_ns: u64, last_ns: u64) -> Result<(), String> {
        let Some(labels) = self.resource.target_info(self.options, &mut self.decoded.warnings)? else { return Ok(()) };
        check(&labels, self.limits)?;
        let step_ns = (self.options.lookback.as_nanos() as u64 / 2).max(1_000_000);
        let first_ns = first_ns.max(last_ns.saturating_sub(step_ns.saturating_mul(TARGET_INFO_MAX as u64)));
        let encoded = encoded(&labels);
        let steps = (last_ns - first_ns).div_ceil(step_ns);
        let times = (0..steps).map(|step| in_ms(first_ns + step * step_ns)).chain([in_ms(last_ns)]);
        let times: Vec<i64> = times.filter(|at| self.infos.insert((encoded.clone(), *at))).collect();
        if times.is_empty() {
            return Ok(());
        }
        self.decoded.batch.start_series(|out| out.extend_from_slice(&encoded));
        times.iter().for_each(|at| self.decoded.batch.push_sample(TimestampMs(*at), 1.0, TimestampMs(0)));
        self.metadata(MetricMetadata {
            metric: "target_info".to_owned(),
            kind: MetricKind::Gauge,
            help: "Target metadata".to_owned(),
            unit: String::new(),
        });
        Ok(())
    }
}

fn encoded(labels: &Labels) -> Vec<u8> {
    let mut out = Vec::new();
    labels.iter().for_each(|(name, value)| encode_label(&mut out, name.as_bytes(), value.as_bytes()));
    out
}

fn check(labels: &Labels, limits: &Limits) -> Result<(), String> {
    if labels.len() > limits.labels_per_series_max {
        return Err(format!("{} labels, limit is {}", labels.len(), limits.labels_per_series_max));
    }
    for (name, value) in labels {
        if name.len() > limits.label_name_bytes_max {
            return Err(format!("label name is {} bytes, limit is {}", name.len(), limits.label_name_bytes_max));
        }
        if value.len() > limits.label_value_bytes_max {
            return Err(format!("label value is {} bytes, limit is {}", value.len(), limits.label_value_bytes_max));
        }
    }
    Ok(())
}

/// How long the batch's columns are, to take a point back.
struct Mark {
    series: usize,
    samples: usize,
    histograms: usize,
    exemplars: usize,
}

impl Mark {
    fn of(batch: &MetricBatch) -> Mark {
        let (series, samples) = (batch.series_len(), batch.timestamps.len());
        Mark { series, samples, histograms: batch.histograms.len(), exemplars: batch.exemplars.len() }
    }

    fn restore(self, batch: &mut MetricBatch) {
        batch.labels.truncate(self.series);
        batch.sample_ends.truncate(self.series);
        batch.timestamps.truncate(self.samples);
        batch.values.truncate(self.samples);
        batch.start_timestamps.truncate(self.samples);
        batch.histograms.truncate(self.histograms);
        batch.exemplars.truncate(self.exemplars);
    }
}

/// Where one point is written to.
struct Target<'t> {
    name: &'t str,
    labels: Labels,
    head: &'t Head,
    limits: &'t Limits,
    batch: &'t mut MetricBatch,
    exemplar_bounds: Bounds,
}

impl Target<'_> {
    fn number(&mut self, point: &NumberPoint, exemplars: bool) -> Result<(), String> {
        self.sample("", None, point.value)?;
        if exemplars {
            self.exemplars(&point.exemplars);
        }
        Ok(())
    }

    fn summary(&mut self, point: &SummaryPoint) -> Result<(), String> {
        self.sample("_sum", None, point.sum)?;
        self.sample("_count", None, point.count as f64)?;
        for (quantile, value) in &point.quantiles {
            self.sample("", Some(("quantile", *quantile)), *value)?;
        }
        Ok(())
    }

    /// Writes a histogram as one series per bucket; exemplars go to the bucket they fall into.
    fn classic(&mut self, point: &HistogramPoint) -> Result<(), String> {
        if let Some(sum) = point.sum {
            self.sample("_sum", None, sum)?;
        }
        self.sample("_count", None, point.count as f64)?;
        let (mut cumulative, mut left) = (0u64, &point.exemplars[..]);
        for (bound, count) in point.bounds.iter().zip(&point.counts) {
            cumulative = cumulative.wrapping_add(*count);
            self.sample("_bucket", Some(("le", *bound)), cumulative as f64)?;
            let fit = left.iter().take_while(|exemplar| exemplar.value <= *bound).count();
            self.exemplars(&left[..fit]);
            left = &left[fit..];
        }
        self.sample("_bucket", Some(("le", f64::INFINITY)), point.count as f64)?;
        self.exemplars(left);
        Ok(())
    }

    fn native(&mut self, histogram: Histogram, exemplars: &[RawExemplar]) -> Result<(), String> {
        self.start("", None)?;
        let series = self.series();
        let (timestamp, start_timestamp) = (TimestampMs(self.head.time_ms()), TimestampMs(self.head.start_ms()));
        self.batch.histograms.push(HistogramRow { series, timestamp, start_timestamp, histogram });
        self.exemplars(exemplars);
        Ok(())
    }

    fn series(&self) -> u32 {
        self.batch.series_len() as u32 - 1
    }

    /// Starts the series of a suffix, with one more label.
    fn start(&mut self, suffix: &str, extra: Option<(&str, f64)>) -> Result<(), String> {
        let mut labels = self.labels.clone();
        if let Some((label, number)) = extra {
            let mut text = Vec::new();
            plain_float(&mut text, number);
            set(&mut labels, label, &String::from_utf8_lossy(&text));
        }
        set(&mut labels, "__name__", &format!("{}{suffix}", self.name));
        check(&labels, self.limits)?;
        self.batch.start_series(|out| out.extend_from_slice(&encoded(&labels)));
        Ok(())
    }

    fn sample(&mut self, suffix: &str, extra: Option<(&str, f64)>, value: f64) -> Result<(), String> {
        self.start(suffix, extra)?;
        let value = if self.head.has_ended() { STALE_NAN } else { value };
        self.batch.push_sample(TimestampMs(self.head.time_ms()), value, TimestampMs(self.head.start_ms()));
        Ok(())
    }

    /// Writes exemplars of the series started last; one out of bounds is left out, the point stands.
    fn exemplars(&mut self, exemplars: &[RawExemplar]) {
        let series = self.series();
        for raw in exemplars {
            let at = if raw.time_ns == 0 { self.head.time_ms() } else { in_ms(raw.time_ns) };
            if self.exemplar_bounds.check(at).is_ok() {
                let exemplar = Exemplar { labels: exemplar_labels(raw), value: raw.value, timestamp: TimestampMs(at) };
                self.batch.exemplars.push(ExemplarRow { series, exemplar });
            }
        }
    }
}

/// Trace, span, and the filtered attributes where all of it is short enough.
fn exemplar_labels(raw: &RawExemplar) -> LabelSet {
    let ids = [("trace_id", raw.trace_id.as_str()), ("span_id", raw.span_id.as_str())];
    let ids: Vec<(&str, &str)> = ids.into_iter().filter(|(_, id)| !id.bytes().all(|digit| digit == b'0')).collect();
    let attributes: Vec<(&str, &str)> = raw.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let chars: usize = ids.iter().chain(&attributes).map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    let mut labels = Labels::new();
    ids.iter().for_each(|(name, value)| set(&mut labels, name, value));
    if chars <= EXEMPLAR_CHARS_MAX {
        attributes.iter().filter(|(name, _)| !name.is_empty()).for_each(|(name, value)| set(&mut labels, name, value));
    }
    LabelSet::from_pairs(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}
