//! Loki push, protobuf and JSON: streams of entries into columns, the checks of Loki's distributor and their texts.
//!
//! Owns: content types and encodings, labels, `service_name`, `detected_level`, which entries are refused, rates and numbers of
//! streams as far as one process sees them ([`Admission`]), the answer.
//! Does not own: the order of entries: any order is accepted unless the tenant's limits want it otherwise.

mod admission;
pub(crate) mod builder;
mod json;
mod label_text;
pub mod level;
mod protobuf;

use std::borrow::Cow;

use model::limits::BlockedIngestion;
use model::{Limits, LogBatch, TenantId, TimestampNs};

use crate::decompress;
use crate::error::Error;

pub use admission::Admission;

/// Whose entries are taken in, within which bounds, and when.
#[derive(Clone, Copy, Debug)]
pub struct Intake<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// The tenant's bounds.
    pub limits: &'a Limits,
    /// The time of the request.
    pub now: TimestampNs,
}

/// How a body in JSON spells streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// `/loki/api/v1/push`: `stream` and `values`.
    V1,
    /// `/api/prom/push`: `labels` and `entries`.
    Legacy,
}

/// A decoded push request.
#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    /// What is to be stored.
    pub batch: LogBatch,
    /// Why entries or streams were refused: text and how often, in order of appearance.
    pub refused: Vec<(String, usize)>,
    /// Why entries were not admitted, if some were not: Loki tells this rather than the above.
    not_admitted: Option<Answer>,
    /// Entries that were not admitted.
    not_admitted_entries: usize,
    /// Nothing is accepted for now.
    blocked: Option<(BlockedIngestion, TenantId)>,
    /// Streams in the request, empty ones included.
    streams: usize,
}

/// What to answer once the batch is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body text, empty on success.
    pub text: String,
}

impl Decoded {
    /// Counts what was refused.
    pub fn refused_entries(&self) -> usize {
        self.refused.iter().map(|(_, count)| count).sum::<usize>() + self.not_admitted_entries
    }

    /// Returns the answer that is due once the batch is durable: a refused entry makes it a 400 though the rest is stored.
    pub fn answer(&self) -> Answer {
        let like = |(text, count): &(String, usize)| format!("{count} errors like: {text}");
        match (&self.not_admitted, &self.refused[..], &self.blocked) {
            (Some(answer), ..) => answer.clone(),
            (None, [(text, 1)], _) => Answer { status: 400, text: text.clone() },
            (None, [_, ..], _) => {
                let all: Vec<String> = self.refused.iter().map(like).collect();
                Answer { status: 400, text: all.join("; ") }
            }
            (None, [], Some((blocked, tenant))) if blocked.status != 200 => blocked_answer(blocked, tenant),
            (None, [], _) => Answer { status: 204, text: String::new() },
        }
    }
}

fn blocked_answer(blocked: &BlockedIngestion, tenant: &TenantId) -> Answer {
    let (until, status) = (builder::rfc3339(blocked.until), blocked.status);
    Answer { status, text: format!("ingestion blocked for user '{tenant}' until '{until}' with status code '{status}'") }
}

/// Decodes a body as its headers say.
pub fn decode(
    body: &[u8],
    content_type: Option<&str>,
    content_encoding: Option<&str>,
    shape: Shape,
    intake: &Intake<'_>,
) -> Result<Decoded, Error> {
    let limits = intake.limits;
    let body = unwrap(body, content_encoding.unwrap_or("").trim(), limits).map_err(too_large)?;
    let mut builder = builder::Builder::new(intake);
    if is_json(content_type)? {
        if body.is_empty() {
            return Err(Error::body("EOF"));
        }
        json::decode(&body, shape, &mut builder)?;
    } else {
        let message = decompress::snappy_block(&body, limits.decoded_bytes_max).map_err(too_large)?;
        protobuf::decode(&message, &mut builder)?;
    }
    let decoded = builder.finish();
    if decoded.streams == 0 { Err(Error::NoStreams) } else { Ok(decoded) }
}

/// Loki answers both bounds on size alike.
pub(crate) fn too_large(error: Error) -> Error {
    match error {
        Error::DecodedTooLarge { limit_bytes } => Error::BodyTooLarge { limit_bytes },
        other => other,
    }
}

/// Takes off the outer encoding; protobuf has its own snappy inside in any case.
fn unwrap<'a>(body: &'a [u8], encoding: &str, limits: &Limits) -> Result<Cow<'a, [u8]>, Error> {
    match encoding {
        "" | "snappy" => Ok(Cow::Borrowed(body)),
        "gzip" => decompress::gzip(body, limits.decoded_bytes_max).map(Cow::Owned),
        "deflate" => decompress::deflate(body, limits.decoded_bytes_max).map(Cow::Owned),
        other => Err(Error::Body(format!("Content-Encoding {} not supported", model::quote::go_quote(other)))),
    }
}

/// Reads the media type as Go's `mime` does; anything but JSON is protobuf.
fn is_json(content_type: Option<&str>) -> Result<bool, Error> {
    let mut parts = content_type.unwrap_or("").split(';');
    let media_type = parts.next().unwrap_or("").trim();
    if media_type.is_empty() {
        return Err(Error::body("mime: no media type"));
    }
    let parameters: Vec<&str> = parts.map(str::trim).collect();
    let (last, others) = parameters.split_last().map_or(("", &[][..]), |(last, others)| (*last, others));
    let valid = |part: &str| part.split_once('=').is_some_and(|(name, _)| !name.trim().is_empty());
    if !others.iter().all(|part| valid(part)) || !(last.is_empty() || valid(last)) {
        return Err(Error::body("mime: invalid media parameter"));
    }
    Ok(media_type.eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests;
