//! `ExportMetricsServiceRequest` in protobuf, walked once: only one metric is held decoded at a time.

use super::payload::*;
use super::value::{AnyValue, DEPTH_MAX, hex};
use crate::error::Error;
use crate::protobuf::{Fields, Malformed, Value, zigzag};

/// Bytes that a metric's points and a resource's attributes may take decoded; an empty point is two bytes in the body and a
/// hundred times that in memory.
const DECODED_BYTES_MAX: usize = 256 << 20;

/// Hands a request to a visitor.
pub(super) fn walk(body: &[u8], visitor: &mut impl Visitor) -> Result<(), Error> {
    let mut fields = Fields::of(body);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            resource_metrics(value.bytes()?, visitor)?;
        }
    }
    Ok(())
}

fn resource_metrics(message: &[u8], visitor: &mut impl Visitor) -> Result<(), Error> {
    let mut attributes = Attributes::new();
    each(message, 1, |resource| each(resource, 1, |pair| Budget::default().attribute(pair, &mut attributes)))?;
    visitor.resource(attributes);
    each(message, 2, |scope_metrics| {
        let mut scope = Scope::default();
        let mut fields = Fields::of(scope_metrics);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => read_scope(value.bytes()?, &mut scope)?,
                3 => scope.schema_url = text(value)?,
                _ => {}
            }
        }
        visitor.scope(&scope);
        each(scope_metrics, 2, |metric| {
            visitor.metric(read_metric(metric)?);
            Ok(())
        })
    })?;
    visitor.end_resource();
    Ok(())
}

/// Calls `take` with every message of one field.
pub(super) fn each<'a>(message: &'a [u8], field: u64, mut take: impl FnMut(&'a [u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        if number == field {
            take(value.bytes()?)?;
        }
    }
    Ok(())
}

pub(super) fn text(value: Value<'_>) -> Result<String, Error> {
    let bytes = value.bytes()?;
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Error::body("string field contains invalid UTF-8"))
}

fn read_scope(message: &[u8], scope: &mut Scope) -> Result<(), Error> {
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => scope.name = text(value)?,
            2 => scope.version = text(value)?,
            3 => Budget::default().attribute(value.bytes()?, &mut scope.attributes)?,
            _ => {}
        }
    }
    Ok(())
}

fn read_metric(message: &[u8]) -> Result<Metric, Error> {
    let (mut metric, mut budget) = (Metric::default(), Budget::default());
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => metric.name = text(value)?,
            2 => metric.description = text(value)?,
            3 => metric.unit = text(value)?,
            5 => metric.data = Data::Gauge(data(value.bytes()?, &mut budget, number_point)?.0),
            7 => {
                let (points, temporality, monotonic) = data(value.bytes()?, &mut budget, number_point)?;
                metric.data = Data::Sum { points, temporality, monotonic };
            }
            9 => {
                let (points, temporality, _) = data(value.bytes()?, &mut budget, histogram_point)?;
                metric.data = Data::Histogram { points, temporality };
            }
            10 => {
                let (points, temporality, _) = data(value.bytes()?, &mut budget, exponential_point)?;
                metric.data = Data::Exponential { points, temporality };
            }
            11 => metric.data = Data::Summary(data(value.bytes()?, &mut budget, summary_point)?.0),
            _ => {}
        }
    }
    Ok(metric)
}

/// Reads points, temporality and monotonicity; the five types number them alike.
fn data<P>(
    message: &[u8],
    budget: &mut Budget,
    point: impl Fn(&[u8], &mut Budget) -> Result<P, Error>,
) -> Result<(Vec<P>, Temporality, bool), Error> {
    let (mut points, mut temporality, mut monotonic) = (Vec::new(), Temporality::Unspecified, false);
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => {
                budget.charge(size_of::<P>())?;
                points.push(point(value.bytes()?, budget)?);
            }
            2 => temporality = Temporality::of(value.varint()? as i64),
            3 => monotonic = value.varint()? != 0,
            _ => {}
        }
    }
    Ok((points, temporality, monotonic))
}

pub(super) fn fixed(value: Value<'_>) -> Result<u64, Malformed> {
    if let Value::Fixed64(bits) = value { Ok(bits) } else { Err(Malformed) }
}

fn number_point(message: &[u8], budget: &mut Budget) -> Result<NumberPoint, Error> {
    let mut point = NumberPoint::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            2 => point.head.start_ns = fixed(value)?,
            3 => point.head.time_ns = fixed(value)?,
            4 => point.value = value.double()?,
            5 => budget.exemplar(value.bytes()?, &mut point.exemplars)?,
            6 => point.value = fixed(value)? as i64 as f64,
            7 => budget.attribute(value.bytes()?, &mut point.head.attributes)?,
            8 => point.head.flags = value.varint()? as u32,
            _ => {}
        }
    }
    Ok(point)
}

fn histogram_point(message: &[u8], budget: &mut Budget) -> Result<HistogramPoint, Error> {
    let mut point = HistogramPoint::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            2 => point.head.start_ns = fixed(value)?,
            3 => point.head.time_ns = fixed(value)?,
            4 => point.count = fixed(value)?,
            5 => point.sum = Some(value.double()?),
            6 => value.each_double(|count| point.counts.push(count.to_bits()))?,
            7 => value.each_double(|bound| point.bounds.push(bound))?,
            8 => budget.exemplar(value.bytes()?, &mut point.exemplars)?,
            9 => budget.attribute(value.bytes()?, &mut point.head.attributes)?,
            10 => point.head.flags = value.varint()? as u32,
            _ => {}
        }
    }
    Ok(point)
}

fn exponential_point(message: &[u8], budget: &mut Budget) -> Result<ExponentialPoint, Error> {
    let mut point = ExponentialPoint::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => budget.attribute(value.bytes()?, &mut point.head.attributes)?,
            2 => point.head.start_ns = fixed(value)?,
            3 => point.head.time_ns = fixed(value)?,
            4 => point.count = fixed(value)?,
            5 => point.sum = Some(value.double()?),
            6 => point.scale = zigzag(value.varint()?) as i32,
            7 => point.zero_count = fixed(value)?,
            8 => budget.buckets(value.bytes()?, &mut point.positive)?,
            9 => budget.buckets(value.bytes()?, &mut point.negative)?,
            10 => point.head.flags = value.varint()? as u32,
            11 => budget.exemplar(value.bytes()?, &mut point.exemplars)?,
            _ => {}
        }
    }
    Ok(point)
}

fn summary_point(message: &[u8], budget: &mut Budget) -> Result<SummaryPoint, Error> {
    let mut point = SummaryPoint::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            2 => point.head.start_ns = fixed(value)?,
            3 => point.head.time_ns = fixed(value)?,
            4 => point.count = fixed(value)?,
            5 => point.sum = value.double()?,
            6 => {
                budget.charge(size_of::<(f64, f64)>())?;
                point.quantiles.push(quantile(value.bytes()?)?);
            }
            7 => budget.attribute(value.bytes()?, &mut point.head.attributes)?,
            8 => point.head.flags = value.varint()? as u32,
            _ => {}
        }
    }
    Ok(point)
}

fn quantile(message: &[u8]) -> Result<(f64, f64), Error> {
    let (mut quantile, mut at) = (0.0, 0.0);
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => quantile = value.double()?,
            2 => at = value.double()?,
            _ => {}
        }
    }
    Ok((quantile, at))
}

/// What may still be decoded.
pub(super) struct Budget {
    left: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { left: DECODED_BYTES_MAX }
    }
}

impl Budget {
    fn charge(&mut self, bytes: usize) -> Result<(), Error> {
        self.left = self.left.checked_sub(bytes).ok_or(Error::DecodedTooLarge { limit_bytes: DECODED_BYTES_MAX })?;
        Ok(())
    }

    fn attribute(&mut self, message: &[u8], into: &mut Attributes) -> Result<(), Error> {
        self.charge(size_of::<(String, String)>())?;
        let (key, value) = self.pair(message, 0)?;
        into.push((key, value.into_text()));
        Ok(())
    }

    pub(super) fn pair(&mut self, message: &[u8], depth: usize) -> Result<(String, AnyValue), Error> {
        let mut pair = (String::new(), AnyValue::Empty);
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => pair.0 = text(value)?,
                2 => pair.1 = self.value(value.bytes()?, depth)?,
                _ => {}
            }
        }
        Ok(pair)
    }

    pub(super) fn value(&mut self, message: &[u8], depth: usize) -> Result<AnyValue, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::body(format!("attribute is nested deeper than {DEPTH_MAX} levels")));
        }
        let mut found = AnyValue::Empty;
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            self.charge(size_of::<AnyValue>())?;
            found = match number {
                1 => AnyValue::Text(text(value)?),
                2 => AnyValue::Bool(value.varint()? != 0),
                3 => AnyValue::Int(value.varint()? as i64),
                4 => AnyValue::Double(value.double()?),
                5 => {
                    let mut items = Vec::new();
                    each(value.bytes()?, 1, |item| {
                        items.push(self.value(item, depth + 1)?);
                        self.charge(size_of::<AnyValue>())
                    })?;
                    AnyValue::List(items)
                }
                6 => {
                    let mut pairs = Vec::new();
                    each(value.bytes()?, 1, |pair| {
                        pairs.push(self.pair(pair, depth + 1)?);
                        self.charge(size_of::<(String, AnyValue)>())
                    })?;
                    AnyValue::Map(pairs)
                }
                7 => AnyValue::Bytes(value.bytes()?.to_vec()),
                _ => found,
            };
        }
        Ok(found)
    }

    fn buckets(&mut self, message: &[u8], into: &mut Buckets) -> Result<(), Error> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => into.offset = zigzag(value.varint()?) as i32,
                2 => {
                    if let Value::Bytes(bytes) = value {
                        self.charge(bytes.len() * size_of::<u64>())?;
                    }
                    value.each_varint(|count| into.counts.push(count))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn exemplar(&mut self, message: &[u8], into: &mut Vec<RawExemplar>) -> Result<(), Error> {
        self.charge(size_of::<RawExemplar>())?;
        let mut exemplar = RawExemplar::default();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                2 => exemplar.time_ns = fixed(value)?,
                3 => exemplar.value = value.double()?,
                4 => exemplar.span_id = hex(value.bytes()?),
                5 => exemplar.trace_id = hex(value.bytes()?),
                6 => exemplar.value = fixed(value)? as i64 as f64,
                7 => self.attribute(value.bytes()?, &mut exemplar.attributes)?,
                _ => {}
            }
        }
        into.push(exemplar);
        Ok(())
    }
}
