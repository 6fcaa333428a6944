//! `prometheus.WriteRequest`.

use model::{Limits, MetricKind, MetricMetadata};

use super::series::{self, RawExemplar, Scratch};
use super::{Bounds, Decoded, Version};
use crate::canonical::Pair;
use crate::error::Error;
use crate::protobuf::{Fields, Malformed};

pub(super) fn decode(message: &[u8], limits: &Limits, bounds: Bounds) -> Result<Decoded, Error> {
    let mut decoded = Decoded::new(Version::V1);
    let mut scratch = Scratch::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => decode_series(&mut decoded, &mut scratch, value.bytes()?, limits, bounds)?,
            3 => decoded.batch.metadata.extend(decode_metadata(value.bytes()?)?),
            _ => {}
        }
    }
    Ok(decoded)
}

fn decode_series<'a>(
    decoded: &mut Decoded,
    scratch: &mut Scratch<'a>,
    message: &'a [u8],
    limits: &Limits,
    bounds: Bounds,
) -> Result<(), Error> {
    scratch.clear();
    let first = decoded.batch.timestamps.len();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => scratch.labels.push(decode_label(value.bytes()?)?),
            2 => series::push_sample(decoded, scratch, value.bytes()?, bounds)?,
            3 => scratch.exemplars.push(decode_exemplar(value.bytes()?)?),
            4 => scratch.histograms.push(value.bytes()?),
            _ => {}
        }
    }
    series::finish(decoded, scratch, first, limits, bounds).map(|_| ())
}

/// Reads the shape that every sender writes: name, then value, each shorter than 128 bytes.
#[inline]
fn plain_label(message: &[u8]) -> Option<Pair<'_>> {
    let (&[0x0a, name_len @ ..0x80], rest) = message.split_first_chunk::<2>()? else { return None };
    let (name, rest) = rest.split_at_checked(usize::from(name_len))?;
    let (&[0x12, value_len @ ..0x80], value) = rest.split_first_chunk::<2>()? else { return None };
    (value.len() == usize::from(value_len)).then_some((name, value))
}

#[inline]
fn decode_label(message: &[u8]) -> Result<Pair<'_>, Malformed> {
    if let Some(pair) = plain_label(message) {
        return Ok(pair);
    }
    let (mut name, mut value): Pair<'_> = (&[], &[]);
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn decode_exemplar(message: &[u8]) -> Result<RawExemplar<'_>, Malformed> {
    let mut exemplar = RawExemplar::default();
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => exemplar.labels.push(decode_label(field.bytes()?)?),
            2 => exemplar.value = field.double()?,
            3 => exemplar.timestamp = field.varint()? as i64,
            _ => {}
        }
    }
    Ok(exemplar)
}

/// Metadata without a name or with bad UTF-8 is left out: it costs no sample.
fn decode_metadata(message: &[u8]) -> Result<Option<MetricMetadata>, Malformed> {
    let (mut kind, mut metric, mut help, mut unit): (u64, &[u8], &[u8], &[u8]) = (0, &[], &[], &[]);
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => kind = field.varint()?,
            2 => metric = field.bytes()?,
            4 => help = field.bytes()?,
            5 => unit = field.bytes()?,
            _ => {}
        }
    }
    Ok(metadata(kind, metric, help, unit))
}

/// Builds metadata out of what both versions carry.
pub(super) fn metadata(kind: u64, metric: &[u8], help: &[u8], unit: &[u8]) -> Option<MetricMetadata> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let kind = match kind {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 => MetricKind::Histogram,
        4 => MetricKind::GaugeHistogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    };
    let metric = text(metric).filter(|metric| !metric.is_empty())?;
    Some(MetricMetadata { metric, kind, help: text(help)?, unit: text(unit)? })
}
