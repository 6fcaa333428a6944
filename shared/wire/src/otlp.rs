//! OTLP metrics: protobuf and JSON into columns, by Prometheus's translation rules.
//!
//! Owns: what a request may look like, names, units and labels of series, which points are refused, and what to answer.
//! Does not own: settings ([`model::otlp`]), durability.
//!
//! Where upstream rolls a whole request back because of one metric, the rest is stored here and the answer says how many points
//! were refused (`partial_success`, as the protocol wants it).
//!
//! ```text
//! body ─ decode ─▶ payload, one metric at a time ─ translate ─▶ names, labels ─▶ MetricBatch
//! ```

mod answer;
mod histogram;
mod json;
mod labels;
pub mod logs;
pub(crate) mod names;
mod payload;
mod protobuf;
mod translate;
mod value;

use model::otlp::OtlpOptions;
use model::{Limits, MetricBatch, TimestampMs};

use crate::decompress;
use crate::error::Error;
use crate::remote_write::{Bounds, Written};

pub use answer::{Answer, failure};

/// Reasons kept of one request; more are counted, not kept.
const REASONS_MAX: usize = 20;

/// How request and answer are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

impl Encoding {
    /// Returns the content type of answers.
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }

    /// Decides by the content type, in upstream's words.
    pub fn negotiate(content_type: &str) -> Result<Encoding, Error> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/x-protobuf" => Ok(Encoding::Protobuf),
            "application/json" => Ok(Encoding::Json),
            _ => Err(Error::body(format!(
                "unsupported content type: {content_type}, supported: [application/json, application/x-protobuf]"
            ))),
        }
    }
}

/// A translated request.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    /// What is to be stored.
    pub batch: MetricBatch,
    /// Points that were received.
    pub points: usize,
    /// Points that were refused.
    pub refused: usize,
    /// Why, one text each.
    pub reasons: Vec<String>,
    /// What was translated with a loss: attributes whose names collide. Told in logs, not to the sender.
    pub warnings: Vec<String>,
}

impl Decoded {
    /// Refuses points that were translated and are no longer in the batch. A point may have become many rows: they count as no more
    /// points than came, and as all of them only where nothing is left to be stored.
    pub fn deny(&mut self, rows: Written, reason: impl std::fmt::Display) {
        let left = usize::from(self.written().rows() > 0);
        let most = self.points.saturating_sub(self.refused + left);
        self.refuse((rows.samples + rows.histograms).min(most), reason);
    }

    fn refuse(&mut self, points: usize, reason: impl std::fmt::Display) {
        self.refused += points;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(reason.to_string());
        }
    }

    /// Counts what is to be stored.
    pub fn written(&self) -> Written {
        let batch = &self.batch;
        Written { samples: batch.timestamps.len(), histograms: batch.histograms.len(), exemplars: batch.exemplars.len() }
    }
}

/// Decodes and translates a request body, `gzip` or plain; every size is bounded.
///
/// # Errors
/// Where the body cannot be read; what cannot be stored of it is refused point by point.
pub fn decode(
    body: &[u8],
    encoding: Encoding,
    compression: &str,
    options: &OtlpOptions,
    limits: &Limits,
    now: TimestampMs,
) -> Result<Decoded, Error> {
    let unpacked;
    let message = match compression {
        "" => body,
        "gzip" => {
            unpacked = decompress::gzip(body, limits.decoded_bytes_max)?;
            &unpacked
        }
        other => {
            let text = format!("unsupported compression: {other}. Only \"gzip\" or no compression supported");
            return Err(Error::body(text));
        }
    };
    let mut translator = translate::Translator::new(options, limits, Bounds::of(limits, now));
    match encoding {
        Encoding::Protobuf => protobuf::walk(message, &mut translator)?,
        Encoding::Json => json::walk(message, &mut translator)?,
    }
    Ok(translator.finish())
}

#[cfg(test)]
mod tests;
