//! Prometheus remote read: the request, and answers of both kinds.
//!
//! Owns: decoding and negotiation, the snappy answer of samples, the streamed frames of chunks.
//! Does not own: reading the samples. Histograms are always written with float counts: whether a sender had whole ones is not stored.

mod bits;
pub(crate) mod chunk;

use model::{Histogram, LabelSet, MatchOp, Matcher, TimeRangeMs, TimestampMs};

use crate::decompress;
use crate::error::Error;
use crate::protobuf::write::{bytes, double, doubles, int, message, signed, varint};
use crate::protobuf::{Fields, Malformed};

/// Queries one request may carry; Prometheus sends one.
const QUERIES_MAX: usize = 1_000;

/// How the answer is to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResponseType {
    /// One snappy block with raw samples.
    Samples,
    /// Frames with chunks of one series each.
    StreamedXorChunks,
}

impl ResponseType {
    /// Returns the answer's content type.
    pub fn content_type(self) -> &'static str {
        match self {
            ResponseType::Samples => "application/x-protobuf",
            ResponseType::StreamedXorChunks => "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse",
        }
    }
}

/// One selector over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadQuery {
    /// From when until when.
    pub range: TimeRangeMs,
    /// All must accept.
    pub matchers: Vec<Matcher>,
}

/// A decoded request.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadRequest {
    /// Answered in this order.
    pub queries: Vec<ReadQuery>,
    /// The first type the client lists that is ours.
    pub response: ResponseType,
}

/// Decodes a compressed request, bounded before and after decompression.
pub fn decode(body: &[u8], bytes_max: usize) -> Result<ReadRequest, Error> {
    decode_message(&decompress::snappy_block(body, bytes_max)?)
}

/// Decodes a request that was decompressed before.
pub fn decode_message(message: &[u8]) -> Result<ReadRequest, Error> {
    let (mut queries, mut accepted) = (Vec::new(), Vec::new());
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 if queries.len() == QUERIES_MAX => return Err(Error::body(format!("request has more than {QUERIES_MAX} queries"))),
            1 => queries.push(query(value.bytes()?)?),
            2 => value.each_varint(|kind| accepted.push(kind))?,
            _ => {}
        }
    }
    Ok(ReadRequest { queries, response: negotiate(&accepted)? })
}

fn negotiate(accepted: &[u64]) -> Result<ResponseType, Error> {
    let known = |kind: &u64| match kind {
        0 => Some(ResponseType::Samples),
        1 => Some(ResponseType::StreamedXorChunks),
        _ => None,
    };
    if accepted.is_empty() {
        return Ok(ResponseType::Samples);
    }
    accepted.iter().find_map(known).ok_or_else(|| {
        let asked: Vec<String> = accepted.iter().map(u64::to_string).collect();
        Error::body(format!(
            "server does not support any of the requested response types: [{}]; supported: map[SAMPLES:{{}} STREAMED_XOR_CHUNKS:{{}}]",
            asked.join(" ")
        ))
    })
}

fn query(message: &[u8]) -> Result<ReadQuery, Error> {
    let (mut start, mut end, mut matchers) = (0, 0, Vec::new());
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => start = value.varint()? as i64,
            2 => end = value.varint()? as i64,
            3 => matchers.push(matcher(value.bytes()?)?),
            _ => {}
        }
    }
    // The protocol's end is inclusive.
    let range = TimeRangeMs::new(TimestampMs(start), TimestampMs(end.saturating_add(1)));
    Ok(ReadQuery { range, matchers })
}

fn matcher(message: &[u8]) -> Result<Matcher, Error> {
    let (mut op, mut name, mut value) = (MatchOp::Equal, "", "");
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => {
                op = match field.varint()? {
                    0 => MatchOp::Equal,
                    1 => MatchOp::NotEqual,
                    2 => MatchOp::Regex,
                    3 => MatchOp::NotRegex,
                    _ => return Err(Error::body("invalid matcher type")),
                }
            }
            2 => name = text(field.bytes()?)?,
            3 => value = text(field.bytes()?)?,
            _ => {}
        }
    }
    Matcher::new(name, op, value).map_err(|error| Error::body(error.to_string()))
}

fn text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Malformed.into())
}

/// The samples of one series, ordered by time; floats and histograms share no timestamp.
#[derive(Clone, Debug)]
pub struct SeriesSamples<'a> {
    /// The series.
    pub labels: &'a LabelSet,
    /// Times of the floats.
    pub timestamps: &'a [i64],
    /// Floats, staleness markers among them.
    pub values: &'a [f64],
    /// Histograms with their times.
    pub histograms: Vec<(i64, &'a Histogram)>,
}

/// Appends one query's result of the answer of samples; [`samples_answer`] makes the body of all of them.
pub fn push_result<'a>(out: &mut Vec<u8>, series: impl Iterator<Item = SeriesSamples<'a>>) {
    message(out, 1, |out| series.for_each(|one| message(out, 1, |out| time_series(out, &one))));
}

/// Returns the compressed body of an answer of samples.
pub fn samples_answer(message: &[u8]) -> Result<Vec<u8>, Error> {
    snap::raw::Encoder::new().compress_vec(message).map_err(|_| Error::body("answer is too large for one snappy block"))
}

fn labels(out: &mut Vec<u8>, labels: &LabelSet) {
    for (name, value) in labels.iter() {
        message(out, 1, |out| {
            bytes(out, 1, name.as_bytes());
            bytes(out, 2, value.as_bytes());
        });
    }
}

fn time_series(out: &mut Vec<u8>, series: &SeriesSamples<'_>) {
    labels(out, series.labels);
    for (timestamp, value) in series.timestamps.iter().zip(series.values) {
        message(out, 2, |out| {
            double(out, 1, *value, false);
            int(out, 2, *timestamp);
        });
    }
    for (timestamp, value) in &series.histograms {
        message(out, 4, |out| histogram(out, *timestamp, value));
    }
}

fn histogram(out: &mut Vec<u8>, timestamp: i64, value: &Histogram) {
    double(out, 2, value.count, true);
    double(out, 3, value.sum, false);
    signed(out, 4, i64::from(value.schema));
    double(out, 5, value.zero_threshold, false);
    double(out, 7, value.zero_count, true);
    let spans = [(8, &value.negative_spans), (11, &value.positive_spans)];
    for (field, span) in spans.iter().flat_map(|(field, spans)| spans.iter().map(|span| (*field, *span))) {
        message(out, field, |out| {
            signed(out, 1, i64::from(span.offset));
            int(out, 2, i64::from(span.length));
        });
    }
    doubles(out, 10, &value.negative_buckets);
    doubles(out, 13, &value.positive_buckets);
    int(out, 14, chunk::hint(value) as i64);
    int(out, 15, timestamp);
    doubles(out, 16, &value.custom_values);
}

/// Appends the frames of one series: as many chunks in each as `frame_bytes_max` holds, at least one.
pub fn push_frames(out: &mut Vec<u8>, series: &SeriesSamples<'_>, query_index: usize, frame_bytes_max: usize) {
    let mut head = Vec::new();
    labels(&mut head, series.labels);
    let room = frame_bytes_max.saturating_sub(head.len());
    let mut chunks = chunk::of(series).peekable();
    while chunks.peek().is_some() {
        let mut body = head.clone();
        while body.len() - head.len() < room
            && let Some(chunk) = chunks.next()
        {
            message(&mut body, 2, |out| {
                int(out, 1, chunk.first);
                int(out, 2, chunk.last);
                int(out, 3, chunk.encoding as i64);
                bytes(out, 4, &chunk.data);
            });
        }
        let mut frame = Vec::with_capacity(body.len() + 16);
        bytes(&mut frame, 1, &body);
        int(&mut frame, 2, query_index as i64);
        varint(out, frame.len() as u64);
        out.extend_from_slice(&crate::crc32c::of(&frame).to_be_bytes());
        out.extend_from_slice(&frame);
    }
}

#[cfg(test)]
mod tests;
