//! What both versions do with one series: labels to canonical bytes, samples to columns.

use model::batch::{ExemplarRow, HistogramRow};
use model::{Exemplar, LabelSet, Limits, TimestampMs};

use super::{Bounds, Decoded, Version, histogram};
use crate::canonical::{self, Fault, Pair};
use crate::error::Error;
use crate::protobuf::{Fields, Malformed};

/// An exemplar before its labels are known to be valid.
pub(super) struct RawExemplar<'a> {
    pub(super) labels: Vec<Pair<'a>>,
    pub(super) value: f64,
    pub(super) timestamp: i64,
}

/// Scratch space of one series, used for all of them.
#[derive(Default)]
pub(super) struct Scratch<'a> {
    pub(super) labels: Vec<Pair<'a>>,
    pub(super) histograms: Vec<&'a [u8]>,
    pub(super) exemplars: Vec<RawExemplar<'a>>,
    /// Samples refused by time, with the reason; few.
    pub(super) untimely: Vec<(i64, &'static str)>,
    encoded: Vec<u8>,
}

impl Scratch<'_> {
    pub(super) fn clear(&mut self) {
        self.labels.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.untimely.clear();
    }
}

/// Appends a sample to the columns, ahead of its series.
#[inline]
pub(super) fn push_sample(
    decoded: &mut Decoded,
    scratch: &mut Scratch<'_>,
    message: &[u8],
    bounds: Bounds,
) -> Result<(), Malformed> {
    let (mut value, mut timestamp, mut start) = (0f64, 0i64, 0i64);
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => value = field.double()?,
            2 => timestamp = field.varint()? as i64,
            3 if decoded.version == Version::V2 => start = field.varint()? as i64,
            _ => {}
        }
    }
    if let Err(reason) = bounds.check(timestamp) {
        scratch.untimely.push((timestamp, reason));
        return Ok(());
    }
    let batch = &mut decoded.batch;
    if start != 0 && batch.start_timestamps.is_empty() {
        batch.start_timestamps.resize(batch.timestamps.len(), 0);
    }
    if start != 0 || !batch.start_timestamps.is_empty() {
        batch.start_timestamps.push(start);
    }
    batch.timestamps.push(timestamp);
    batch.values.push(value);
    Ok(())
}

/// Ends a series whose samples begin at row `first`: it becomes part of the batch, or its samples are taken back.
pub(super) fn finish(
    decoded: &mut Decoded,
    scratch: &mut Scratch<'_>,
    first: usize,
    limits: &Limits,
    bounds: Bounds,
) -> Result<bool, Error> {
    if let Err(refusal) = encode_labels(scratch, limits) {
        decoded.batch.timestamps.truncate(first);
        decoded.batch.values.truncate(first);
        decoded.batch.start_timestamps.truncate(first);
        decoded.bad_request |= decoded.version == Version::V2 || refusal.limit;
        decoded.refuse(refusal.text);
        return Ok(false);
    }
    let untimely = std::mem::take(&mut scratch.untimely);
    for (timestamp, reason) in &untimely {
        let text = format!("{reason}: timestamp {timestamp} of series {}", shown(&scratch.encoded));
        refuse_sample(decoded, text)?;
    }
    scratch.untimely = untimely;
    let index = decoded.batch.series_len() as u32;
    let (histograms, exemplars) = (decoded.batch.histograms.len(), decoded.batch.exemplars.len());
    for message in &scratch.histograms {
        match histogram::decode(message)? {
            Ok((timestamp, start_timestamp, value)) => match bounds.check(timestamp.0) {
                Ok(()) => {
                    decoded.batch.histograms.push(HistogramRow { series: index, timestamp, start_timestamp, histogram: value })
                }
                Err(reason) => refuse_sample(decoded, format!("{reason}: histogram of series {}", shown(&scratch.encoded)))?,
            },
            Err(fault) => refuse_sample(decoded, format!("{fault} for series {}", shown(&scratch.encoded)))?,
        }
    }
    for raw in &mut scratch.exemplars {
        let mut encoded = Vec::new();
        let valid = canonical::encode(&mut raw.labels, &mut encoded).is_ok() && bounds.check(raw.timestamp).is_ok();
        match LabelSet::from_encoded(&encoded) {
            Ok(labels) if valid => decoded.batch.exemplars.push(ExemplarRow {
                series: index,
                exemplar: Exemplar { labels, value: raw.value, timestamp: TimestampMs(raw.timestamp) },
            }),
            _ => {
                // Remote write 1.0 ignores a bad exemplar (Prometheus).
                decoded.bad_request |= decoded.version == Version::V2;
                decoded.refuse(format_args!("invalid exemplar of series {}", shown(&scratch.encoded)));
            }
        }
    }
    let batch = &mut decoded.batch;
    if batch.timestamps.len() > first || batch.histograms.len() > histograms || batch.exemplars.len() > exemplars {
        batch.labels.push(&scratch.encoded);
        batch.sample_ends.push(batch.timestamps.len() as u32);
    }
    Ok(true)
}

/// A sample that cannot be stored: 1.0 rolls everything back, 2.0 stores the rest.
fn refuse_sample(decoded: &mut Decoded, text: String) -> Result<(), Error> {
    if decoded.version == Version::V1 {
        return Err(Error::Body(text));
    }
    decoded.bad_request = true;
    decoded.refuse(text);
    Ok(())
}

struct Refusal {
    text: String,
    limit: bool,
}

fn encode_labels(scratch: &mut Scratch<'_>, limits: &Limits) -> Result<(), Refusal> {
    scratch.encoded.clear();
    let invalid = |text: String| Refusal { text, limit: false };
    match canonical::encode(&mut scratch.labels, &mut scratch.encoded) {
        Ok(()) => {}
        Err(Fault::Duplicate(name)) => {
            return Err(invalid(format!(
                "invalid labels for series, labels {}, duplicated label {name}",
                pairs(&scratch.labels)
            )));
        }
        Err(Fault::EmptyName) => return Err(invalid(format!("invalid label name for series {}", pairs(&scratch.labels)))),
        Err(Fault::NotUtf8) => return Err(invalid(format!("invalid UTF-8 in labels {}", pairs(&scratch.labels)))),
    }
    if !scratch.labels.iter().any(|(name, value)| *name == b"__name__" && !value.is_empty()) {
        return Err(invalid(format!("invalid metric name or labels, got {}", shown(&scratch.encoded))));
    }
    check_limits(&scratch.labels, limits)
        .map_err(|text| Refusal { text: format!("{text} in series {}", shown(&scratch.encoded)), limit: true })
}

fn check_limits(labels: &[Pair<'_>], limits: &Limits) -> Result<(), String> {
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

/// Bytes of a label set shown in a reason.
const SHOWN_BYTES_MAX: usize = 512;

fn shown(encoded: &[u8]) -> String {
    let text = LabelSet::from_encoded(encoded).map_or_else(|_| String::new(), |labels| labels.to_string());
    text.chars().take(SHOWN_BYTES_MAX).collect()
}

fn pairs(labels: &[Pair<'_>]) -> String {
    let one = |(name, value): &Pair<'_>| format!("{}={:?}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
    let all: Vec<String> = labels.iter().take(20).map(one).collect();
    format!("{{{}}}", all.join(", ")).chars().take(SHOWN_BYTES_MAX).collect()
}
