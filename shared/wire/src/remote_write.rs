//! Prometheus remote write 1.0 and 2.0: negotiation, decoding into columns, and what to answer.
//!
//! Owns: what a request may look like, which series and samples of it are refused, and the status with its headers.
//! Does not own: compression ([`crate::decompress`]), durability.

pub(crate) mod histogram;
mod series;
mod v1;
mod v2;

use std::fmt;

use model::{Limits, MetricBatch, TimestampMs};

use crate::decompress;
use crate::error::Error;
use crate::protobuf::Malformed;

/// Reasons kept of one request; more are counted, not kept.
const REASONS_MAX: usize = 100;

/// The message a request carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

/// Samples, histograms and exemplars of a request that were accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Written {
    /// Float samples.
    pub samples: usize,
    /// Native histogram samples.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
}

impl Written {
    /// Returns both together.
    #[must_use]
    pub fn with(self, other: Written) -> Written {
        let (samples, histograms) = (self.samples + other.samples, self.histograms + other.histograms);
        Written { samples, histograms, exemplars: self.exemplars + other.exemplars }
    }

    /// Counts them.
    pub fn rows(self) -> usize {
        self.samples + self.histograms + self.exemplars
    }
}

/// A decoded request.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    /// What is to be stored.
    pub batch: MetricBatch,
    /// Which protocol answers.
    pub version: Version,
    /// How many series, samples, histograms or exemplars were refused.
    pub refused: usize,
    /// Why, one text each, at most a hundred.
    pub reasons: Vec<String>,
    /// What another replica stores: told as written, since senders take less for a failure.
    pub covered: Written,
    /// Whether what was refused makes the answer a 400.
    bad_request: bool,
}

/// What to answer once the batch is durable.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The `X-Prometheus-Remote-Write-*-Written` headers; 1.0 has none, or senders would log partial errors.
    pub written: Option<Written>,
    /// Body text, empty on success.
    pub text: String,
}

impl Decoded {
    fn new(version: Version) -> Decoded {
        Decoded {
            batch: MetricBatch::default(),
            version,
            refused: 0,
            reasons: Vec::new(),
            covered: Written::default(),
            bad_request: false,
        }
    }

    /// Refuses what was decoded, and answers 400 (W4).
    pub fn deny(&mut self, rows: Written, reason: impl fmt::Display) {
        self.refused += rows.rows().max(1) - 1;
        self.refuse(reason);
        self.bad_request = true;
    }

    /// Counts what is to be stored.
    pub fn written(&self) -> Written {
        let batch = &self.batch;
        Written { samples: batch.timestamps.len(), histograms: batch.histograms.len(), exemplars: batch.exemplars.len() }
    }

    /// Returns the answer that is due once the batch is durable: 202 where another replica stores all of it, as Mimir answers.
    pub fn answer(&self) -> Answer {
        let written = (self.version == Version::V2).then(|| self.written().with(self.covered));
        match self.bad_request {
            true => Answer { status: 400, written, text: self.reasons.join("\n") },
            false if self.covered.rows() > 0 && self.written().rows() == 0 => {
                Answer { status: 202, written, text: String::new() }
            }
            false => Answer { status: 204, written, text: String::new() },
        }
    }

    /// Refuses a part of what was sent, with a 400.
    fn refuse_badly(&mut self, reason: impl fmt::Display) {
        self.bad_request = true;
        self.refuse(reason);
    }

    fn refuse(&mut self, reason: impl fmt::Display) {
        self.refused += 1;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(reason.to_string());
        }
    }
}

/// When a sample may have been taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    oldest: i64,
    newest: i64,
}

impl Bounds {
    pub(crate) fn of(limits: &Limits, now: TimestampMs) -> Bounds {
        Bounds { oldest: now.minus(limits.sample_age_max()).0, newest: now.plus(limits.future_grace).0 }
    }

    pub(crate) fn check(self, timestamp: i64) -> Result<(), &'static str> {
        match timestamp {
            at if at < self.oldest => Err("too old sample"),
            at if at > self.newest => Err("out of bounds: timestamp is too far in the future"),
            _ => Ok(()),
        }
    }
}

/// Decides from the headers alone how to read the body: before decoding, so that a foreign body is a 415, not a 400. The order, the
/// texts and the letter of the law are upstream's (`client_golang`, `exp/api/remote`).
pub fn negotiate(content_type: Option<&str>, content_encoding: Option<&str>) -> Result<Version, Error> {
    match content_encoding.unwrap_or("") {
        "" | "snappy" => version_of(content_type.unwrap_or("").trim()),
        encoding => Err(Error::MediaType(format!(
            "{encoding} encoding (compression) is not accepted by this server; only snappy is acceptable"
        ))),
    }
}

fn version_of(content_type: &str) -> Result<Version, Error> {
    const PROTOBUF: &str = "application/x-protobuf";
    let mut parts = content_type.split(';');
    let media_type = parts.next().unwrap_or("");
    if !content_type.is_empty() && media_type != PROTOBUF {
        return Err(Error::MediaType(format!("expected {PROTOBUF} as the first (media) part, got {content_type} content-type")));
    }
    for part in parts {
        let Some((name, message)) = part.split_once('=').filter(|(_, value)| !value.contains('=')) else {
            return Err(Error::MediaType(format!(
                "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got {part} in \
                 {content_type} content-type"
            )));
        };
        if name == "proto" {
            return message_type(message).ok_or_else(|| {
                Error::MediaType(format!(
                    "got {content_type} content type; unknown type for remote write protobuf message {message}, supported: \
                     prometheus.WriteRequest, io.prometheus.write.v2.Request"
                ))
            });
        }
    }
    Ok(Version::V1)
}

fn message_type(name: &str) -> Option<Version> {
    match name {
        "prometheus.WriteRequest" => Some(Version::V1),
        "io.prometheus.write.v2.Request" => Some(Version::V2),
        _ => None,
    }
}

/// Decodes a compressed body.
pub fn decode(body: &[u8], version: Version, limits: &Limits, now: TimestampMs) -> Result<Decoded, Error> {
    // Upstream reads writes with another library than reads.
    let message = decompress::snappy_block(body, limits.decoded_bytes_max).map_err(|error| match error {
        Error::Body(_) => Error::body("s2: corrupt input"),
        other => other,
    })?;
    decode_message(&message, version, limits, now)
}

/// Decodes a message that was decompressed before.
pub fn decode_message(message: &[u8], version: Version, limits: &Limits, now: TimestampMs) -> Result<Decoded, Error> {
    let bounds = Bounds::of(limits, now);
    match version {
        Version::V1 => v1::decode(message, limits, bounds),
        Version::V2 => v2::decode(message, limits, bounds),
    }
}

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Error {
        Error::body("malformed protobuf message")
    }
}

#[cfg(test)]
mod tests;
