//! What both versions do with one series: labels to canonical bytes, samples to columns.

use model::batch::{ExemplarRow, HistogramRow};
use model::labels::is_legacy_name;
use model::quote::go_quote_bytes;
use model::{Exemplar, LabelSet, Limits, TimestampMs};

use super::{Bounds, Decoded, Version, histogram};
use crate::canonical::{self, Fault, Pair};
use crate::error::Error;
use crate::protobuf::{Fields, Malformed};

/// An exemplar before its labels are known to be valid.
#[derive(Default)]
pub(super) struct RawExemplar<'a> {
    pub(super) labels: Vec<Pair<'a>>,
    pub(super) value: f64,
    pub(super) timestamp: i64,
    /// Why its labels could not be read.
    pub(super) fault: Option<String>,
}

/// Scratch space of one series, used for all of them.
#[derive(Default)]
pub(super) struct Scratch<'a> {
    pub(super) labels: Vec<Pair<'a>>,
    pub(super) histograms: Vec<&'a [u8]>,
    pub(super) exemplars: Vec<RawExemplar<'a>>,
    /// Samples refused by time, for these reasons; few.
    pub(super) untimely: Vec<&'static str>,
    /// Float samples seen, stored or not.
    samples: usize,
    encoded: Vec<u8>,
}

impl Scratch<'_> {
    pub(super) fn clear(&mut self) {
        self.labels.clear();
        self.histograms.clear();
        self.exemplars.clear();
        self.untimely.clear();
        self.samples = 0;
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
    scratch.samples += 1;
    if let Err(reason) = bounds.check(timestamp) {
        scratch.untimely.push(reason);
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
    let usable = encode_labels(scratch, limits).and_then(|()| match decoded.version {
        Version::V2 if scratch.samples == 0 && scratch.histograms.is_empty() => {
            let text = format!("TimeSeries must contain at least one sample or histogram for series {}", shown(&scratch.encoded));
            Err(Refusal { text, limit: false })
        }
        _ => Ok(()),
    });
    if let Err(refusal) = usable {
        take_back(decoded, first);
        decoded.bad_request |= decoded.version == Version::V2 || refusal.limit;
        decoded.refuse(refusal.text);
        return Ok(false);
    }
    for reason in &scratch.untimely {
        refuse_sample(decoded, scratch, reason)?;
    }
    let index = decoded.batch.series_len() as u32;
    let (histograms, exemplars) = (decoded.batch.histograms.len(), decoded.batch.exemplars.len());
    for message in &scratch.histograms {
        let histogram = histogram::decode(message)?;
        match histogram.and_then(|read| bounds.check(read.0.0).map(|()| read).map_err(str::to_owned)) {
            Ok((timestamp, start_timestamp, value)) => {
                decoded.batch.histograms.push(HistogramRow { series: index, timestamp, start_timestamp, histogram: value });
            }
            Err(reason) => refuse_sample(decoded, scratch, &reason)?,
        }
    }
    for mut raw in std::mem::take(&mut scratch.exemplars) {
        match raw.fault.take() {
            Some(fault) => decoded.refuse_badly(format_args!("parsing exemplar for series {}: {fault}", shown(&scratch.encoded))),
            None => decoded.batch.exemplars.extend(exemplar(raw, bounds).map(|exemplar| ExemplarRow { series: index, exemplar })),
        }
    }
    let batch = &mut decoded.batch;
    if batch.timestamps.len() > first || batch.histograms.len() > histograms || batch.exemplars.len() > exemplars {
        batch.labels.push(&scratch.encoded);
        batch.sample_ends.push(batch.timestamps.len() as u32);
    }
    Ok(true)
}

/// Takes back the samples of a series that begins at row `first`.
pub(super) fn take_back(decoded: &mut Decoded, first: usize) {
    decoded.batch.timestamps.truncate(first);
    decoded.batch.values.truncate(first);
    decoded.batch.start_timestamps.truncate(first);
}

/// Characters of an exemplar's labels, names and values together (OpenMetrics).
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Returns an exemplar that can be stored. Senders are not told of others, as upstream does not tell them: they cost no sample.
fn exemplar(mut raw: RawExemplar<'_>, bounds: Bounds) -> Option<Exemplar> {
    let mut encoded = Vec::new();
    canonical::encode(&mut raw.labels, &mut encoded).ok()?;
    bounds.check(raw.timestamp).ok()?;
    let labels = LabelSet::from_encoded(&encoded).ok()?;
    let chars: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    (chars <= EXEMPLAR_CHARS_MAX).then_some(Exemplar { labels, value: raw.value, timestamp: TimestampMs(raw.timestamp) })
}

/// A sample that cannot be stored: 1.0 rolls everything back and says why, 2.0 stores the rest and says of which series, too.
fn refuse_sample(decoded: &mut Decoded, scratch: &Scratch<'_>, reason: &str) -> Result<(), Error> {
    if decoded.version == Version::V1 {
        return Err(Error::body(reason));
    }
    decoded.refuse_badly(format_args!("{reason} for series {}", shown(&scratch.encoded)));
    Ok(())
}

struct Refusal {
    text: String,
    limit: bool,
}

fn encode_labels(scratch: &mut Scratch<'_>, limits: &Limits) -> Result<(), Refusal> {
    scratch.encoded.clear();
    let encoded = canonical::encode(&mut scratch.labels, &mut scratch.encoded);
    let is_text = |bytes: &[u8]| !bytes.is_empty() && std::str::from_utf8(bytes).is_ok();
    let named = scratch.labels.iter().any(|(name, value)| *name == b"__name__" && !value.is_empty());
    let text = match encoded {
        Ok(()) if named => None,
        Err(Fault::Duplicate(name)) if named && scratch.labels.iter().all(|(name, _)| is_text(name)) => {
            Some(format!("invalid labels for series, labels {}, duplicated label {name}", pairs(&scratch.labels)))
        }
        _ => Some(format!("invalid metric name or labels, got {}", pairs(&scratch.labels))),
    };
    if let Some(text) = text {
        return Err(Refusal { text, limit: false });
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

/// Shows labels that are no label set as upstream shows them, bytes that are no text escaped.
fn pairs(labels: &[Pair<'_>]) -> String {
    let name = |name: &[u8]| match std::str::from_utf8(name) {
        Ok(name) if is_legacy_name(name) => name.to_owned(),
        _ => go_quote_bytes(name),
    };
    let one = |pair: &Pair<'_>| format!("{}={}", name(pair.0), go_quote_bytes(pair.1));
    let all: Vec<String> = labels.iter().take(20).map(one).collect();
    format!("{{{}}}", all.join(", ")).chars().take(SHOWN_BYTES_MAX).collect()
}
