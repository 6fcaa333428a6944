//! `ExportMetricsServiceRequest` in JSON: camel case, 64-bit numbers as strings, ids in hexadecimal.

use serde::de::{Deserialize, Deserializer, Visitor as DeVisitor};

use super::payload::{self as to, Attributes, Data, Head, Temporality, Visitor};
use super::value::{AnyValue, from_base64};
use crate::error::Error;

/// Bytes of a JSON body. Decoded it takes up to fifty times as much, and unlike protobuf it is held as a whole.
const BODY_BYTES_MAX: usize = 8 << 20;

/// Hands a request to a visitor.
pub(super) fn walk(body: &[u8], visitor: &mut impl Visitor) -> Result<(), Error> {
    let request: Request = body_of(body)?;
    for resource in request.resource_metrics {
        visitor.resource(attributes(resource.resource.attributes));
        for scope in resource.scope_metrics {
            visitor.scope(&to::Scope {
                name: scope.scope.name,
                version: scope.scope.version,
                schema_url: scope.schema_url,
                attributes: attributes(scope.scope.attributes),
            });
            scope.metrics.into_iter().for_each(|metric| visitor.metric(metric.settle()));
        }
        visitor.end_resource();
    }
    Ok(())
}

/// Reads a body as a whole.
pub(super) fn body_of<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Error::DecodedTooLarge { limit_bytes: BODY_BYTES_MAX });
    }
    serde_json::from_slice(&quoted_floats(body)).map_err(|error| Error::body(format!("invalid JSON: {error}")))
}

/// Puts numbers with a fraction or an exponent into quotes: as text they are read to the nearest float, while `serde_json` without
/// its `float_roundtrip` may miss by one bit. What is no JSON stays none.
fn quoted_floats(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 8);
    let mut rest = body;
    while let Some((first, tail)) = rest.split_first() {
        let len = match first {
            b'"' => 1 + string_len(tail),
            b'-' | b'0'..=b'9' => {
                rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count()
            }
            _ => 1,
        };
        let (token, after) = rest.split_at(len);
        let number = *first == b'-' || first.is_ascii_digit();
        let float = number && token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        let quote: &[u8] = if float { b"\"" } else { b"" };
        [quote, token, quote].iter().for_each(|piece| out.extend_from_slice(piece));
        rest = after;
    }
    out
}

/// Counts the bytes of a string behind its opening quote, the closing one included.
fn string_len(text: &[u8]) -> usize {
    let mut escaped = false;
    for (index, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// Declares messages whose fields may be absent, null or unknown.
macro_rules! messages {
    ($($name:ident { $($field:ident : $type:ty,)* })*) => {
        $(#[derive(serde::Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        pub(in crate::otlp) struct $name { $(#[serde(deserialize_with = "or_default")] $field: $type,)* })*
    };
}
pub(super) use messages;

messages! {
    Request { resource_metrics: Vec<ResourceMetrics>, }
    ResourceMetrics { resource: Resource, scope_metrics: Vec<ScopeMetrics>, }
    Resource { attributes: Vec<KeyValue>, }
    ScopeMetrics { scope: Scope, metrics: Vec<Metric>, schema_url: String, }
    Scope { name: String, version: String, attributes: Vec<KeyValue>, }
    Metric {
        name: String, description: String, unit: String, gauge: Option<Gauge>, sum: Option<Sum>, histogram: Option<Histogram>,
        exponential_histogram: Option<Exponential>, summary: Option<Summary>,
    }
    Gauge { data_points: Vec<NumberPoint>, }
    Sum { data_points: Vec<NumberPoint>, aggregation_temporality: Enumeration, is_monotonic: bool, }
    Histogram { data_points: Vec<HistogramPoint>, aggregation_temporality: Enumeration, }
    Exponential { data_points: Vec<ExponentialPoint>, aggregation_temporality: Enumeration, }
    Summary { data_points: Vec<SummaryPoint>, }
    NumberPoint {
        attributes: Vec<KeyValue>, start_time_unix_nano: Integer, time_unix_nano: Integer, as_double: Option<Float>,
        as_int: Option<Integer>, exemplars: Vec<Exemplar>, flags: u32,
    }
    HistogramPoint {
        attributes: Vec<KeyValue>, start_time_unix_nano: Integer, time_unix_nano: Integer, count: Integer, sum: Option<Float>,
        bucket_counts: Vec<Integer>, explicit_bounds: Vec<Float>, exemplars: Vec<Exemplar>, flags: u32,
    }
    ExponentialPoint {
        attributes: Vec<KeyValue>, start_time_unix_nano: Integer, time_unix_nano: Integer, count: Integer, sum: Option<Float>,
        scale: i32, zero_count: Integer, positive: Buckets, negative: Buckets, exemplars: Vec<Exemplar>, flags: u32,
    }
    Buckets { offset: i32, bucket_counts: Vec<Integer>, }
    SummaryPoint {
        attributes: Vec<KeyValue>, start_time_unix_nano: Integer, time_unix_nano: Integer, count: Integer, sum: Float,
        quantile_values: Vec<Quantile>, flags: u32,
    }
    Quantile { quantile: Float, value: Float, }
    Exemplar {
        filtered_attributes: Vec<KeyValue>, time_unix_nano: Integer, as_double: Option<Float>, as_int: Option<Integer>,
        span_id: String, trace_id: String,
    }
    KeyValue { key: String, value: Any, }
    Any {
        string_value: Option<String>, bool_value: Option<bool>, int_value: Option<Integer>, double_value: Option<Float>,
        array_value: Option<List>, kvlist_value: Option<Map>, bytes_value: Option<String>,
    }
    List { values: Vec<Any>, }
    Map { values: Vec<KeyValue>, }
}

pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A 64-bit number, as a number or a string.
#[derive(Clone, Copy, Default)]
pub(super) struct Integer(i128);

impl Integer {
    pub(super) fn unsigned(self) -> u64 {
        u64::try_from(self.0).unwrap_or(self.0 as i64 as u64)
    }

    fn signed(self) -> i64 {
        self.0 as i64
    }
}

/// A double, as a number or a string such as `"NaN"`.
#[derive(Clone, Copy, Default)]
struct Float(f64);

/// An enumeration by number or by name.
#[derive(Clone, Copy, Default)]
struct Enumeration(i64);

/// Takes what JSON has for a number.
pub(super) struct Scalar<T>(pub(super) fn(Number<'_>) -> Option<T>);

pub(super) enum Number<'a> {
    Whole(i128),
    Float(f64),
    Text(&'a str),
}

impl<T> DeVisitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a number")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<T, E> {
        (self.0)(Number::Whole(value.into())).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<T, E> {
        (self.0)(Number::Whole(value.into())).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<T, E> {
        (self.0)(Number::Float(value)).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<T, E> {
        (self.0)(Number::Text(value)).ok_or_else(|| E::custom("not a number"))
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Integer, D::Error> {
        deserializer.deserialize_any(Scalar(|number| match number {
            Number::Whole(value) => Some(Integer(value)),
            Number::Float(value) => (value.fract() == 0.0 && value.abs() < 1.8e19).then_some(Integer(value as i128)),
            Number::Text(text) => text.parse().ok().filter(|value: &i128| value.unsigned_abs() <= u64::MAX.into()).map(Integer),
        }))
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Float, D::Error> {
        deserializer.deserialize_any(Scalar(|number| match number {
            Number::Whole(value) => Some(Float(value as f64)),
            Number::Float(value) => Some(Float(value)),
            Number::Text(text) => text.parse().ok().map(Float),
        }))
    }
}

impl<'de> Deserialize<'de> for Enumeration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Enumeration, D::Error> {
        deserializer.deserialize_any(Scalar(|number| match number {
            Number::Whole(value) => i64::try_from(value).ok().map(Enumeration),
            Number::Float(_) => None,
            Number::Text("AGGREGATION_TEMPORALITY_DELTA") => Some(Enumeration(1)),
            Number::Text("AGGREGATION_TEMPORALITY_CUMULATIVE") => Some(Enumeration(2)),
            Number::Text("AGGREGATION_TEMPORALITY_UNSPECIFIED") => Some(Enumeration(0)),
            Number::Text(_) => None,
        }))
    }
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    pairs.into_iter().map(|pair| (pair.key, pair.value.settle().into_text())).collect()
}

impl KeyValue {
    pub(super) fn settle(self) -> (String, AnyValue) {
        (self.key, self.value.settle())
    }
}

impl Any {
    pub(super) fn settle(self) -> AnyValue {
        if let Some(text) = self.string_value {
            return AnyValue::Text(text);
        }
        if let Some(value) = self.bool_value {
            return AnyValue::Bool(value);
        }
        if let Some(value) = self.int_value {
            return AnyValue::Int(value.signed());
        }
        if let Some(value) = self.double_value {
            return AnyValue::Double(value.0);
        }
        if let Some(list) = self.array_value {
            return AnyValue::List(list.values.into_iter().map(Any::settle).collect());
        }
        if let Some(map) = self.kvlist_value {
            return AnyValue::Map(map.values.into_iter().map(KeyValue::settle).collect());
        }
        self.bytes_value.and_then(|text| from_base64(&text)).map_or(AnyValue::Empty, AnyValue::Bytes)
    }
}

fn head(attributes: Vec<KeyValue>, start: Integer, time: Integer, flags: u32) -> Head {
    Head { attributes: self::attributes(attributes), start_ns: start.unsigned(), time_ns: time.unsigned(), flags }
}

fn number(double: Option<Float>, integer: Option<Integer>) -> f64 {
    double.map_or_else(|| integer.map_or(0.0, |value| value.signed() as f64), |value| value.0)
}

fn exemplars(exemplars: Vec<Exemplar>) -> Vec<to::RawExemplar> {
    let settle = |exemplar: Exemplar| to::RawExemplar {
        attributes: attributes(exemplar.filtered_attributes),
        time_ns: exemplar.time_unix_nano.unsigned(),
        value: number(exemplar.as_double, exemplar.as_int),
        trace_id: exemplar.trace_id.to_lowercase(),
        span_id: exemplar.span_id.to_lowercase(),
    };
    exemplars.into_iter().map(settle).collect()
}

fn counts(counts: Vec<Integer>) -> Vec<u64> {
    counts.into_iter().map(Integer::unsigned).collect()
}

impl Metric {
    fn settle(self) -> to::Metric {
        let temporality = |of: Enumeration| Temporality::of(of.0);
        let data = if let Some(gauge) = self.gauge {
            Data::Gauge(gauge.data_points.into_iter().map(NumberPoint::settle).collect())
        } else if let Some(Sum { data_points, aggregation_temporality, is_monotonic: monotonic }) = self.sum {
            let points = data_points.into_iter().map(NumberPoint::settle).collect();
            Data::Sum { points, temporality: temporality(aggregation_temporality), monotonic }
        } else if let Some(Histogram { data_points, aggregation_temporality }) = self.histogram {
            let points = data_points.into_iter().map(HistogramPoint::settle).collect();
            Data::Histogram { points, temporality: temporality(aggregation_temporality) }
        } else if let Some(Exponential { data_points, aggregation_temporality }) = self.exponential_histogram {
            let points = data_points.into_iter().map(ExponentialPoint::settle).collect();
            Data::Exponential { points, temporality: temporality(aggregation_temporality) }
        } else if let Some(summary) = self.summary {
            Data::Summary(summary.data_points.into_iter().map(SummaryPoint::settle).collect())
        } else {
            Data::None
        };
        to::Metric { name: self.name, description: self.description, unit: self.unit, data }
    }
}

impl NumberPoint {
    fn settle(self) -> to::NumberPoint {
        to::NumberPoint {
            head: head(self.attributes, self.start_time_unix_nano, self.time_unix_nano, self.flags),
            value: number(self.as_double, self.as_int),
            exemplars: exemplars(self.exemplars),
        }
    }
}

impl HistogramPoint {
    fn settle(self) -> to::HistogramPoint {
        to::HistogramPoint {
            head: head(self.attributes, self.start_time_unix_nano, self.time_unix_nano, self.flags),
            count: self.count.unsigned(),
            sum: self.sum.map(|sum| sum.0),
            counts: counts(self.bucket_counts),
            bounds: self.explicit_bounds.into_iter().map(|bound| bound.0).collect(),
            exemplars: exemplars(self.exemplars),
        }
    }
}

impl ExponentialPoint {
    fn settle(self) -> to::ExponentialPoint {
        let buckets = |of: Buckets| to::Buckets { offset: of.offset, counts: counts(of.bucket_counts) };
        to::ExponentialPoint {
            head: head(self.attributes, self.start_time_unix_nano, self.time_unix_nano, self.flags),
            count: self.count.unsigned(),
            sum: self.sum.map(|sum| sum.0),
            scale: self.scale,
            zero_count: self.zero_count.unsigned(),
            positive: buckets(self.positive),
            negative: buckets(self.negative),
            exemplars: exemplars(self.exemplars),
        }
    }
}

impl SummaryPoint {
    fn settle(self) -> to::SummaryPoint {
        to::SummaryPoint {
            head: head(self.attributes, self.start_time_unix_nano, self.time_unix_nano, self.flags),
            count: self.count.unsigned(),
            sum: self.sum.0,
            quantiles: self.quantile_values.into_iter().map(|one| (one.quantile.0, one.value.0)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_to_the_nearest() {
        let quoted = quoted_floats(br#"{"a\"1.5":[1.5,-2e-3,7,"x\\",false],"b":3.6852996090578123}"#);
        assert_eq!(quoted, br#"{"a\"1.5":["1.5","-2e-3",7,"x\\",false],"b":"3.6852996090578123"}"#);
        let floats: Vec<Float> = serde_json::from_slice(&quoted_floats(b"[3.6852996090578123,-2]")).unwrap();
        assert_eq!(floats.iter().map(|float| float.0.to_string()).collect::<Vec<_>>(), ["3.6852996090578123", "-2"]);
        assert_eq!(quoted_floats(b"\"open \\"), b"\"open \\");
    }
}
