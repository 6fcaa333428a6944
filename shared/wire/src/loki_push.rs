//! Loki push, protobuf and JSON: streams of entries into columns, the checks of Loki's distributor and their texts.
//!
//! Owns: content types and encodings, labels, `service_name`, `detected_level`, which entries are refused, the answer.
//! Does not own: rates and numbers of streams (they need state), the order of entries: any order is accepted.

mod builder;
mod json;
mod label_text;
pub mod level;
mod protobuf;

use std::borrow::Cow;

use model::{Limits, LogBatch, TimestampNs};

use crate::decompress;
use crate::error::Error;

/// A decoded push request.
#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    /// What is to be stored.
    pub batch: LogBatch,
    /// Why entries or streams were refused: text and how often, in order of appearance.
    pub refused: Vec<(String, usize)>,
    /// Streams in the request, empty ones included.
    streams: usize,
}

/// What to answer once the batch is durable.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body text, empty on success.
    pub text: String,
}

impl Decoded {
    /// Returns the answer that is due once the batch is durable: a refused entry makes it a 400 though the rest is stored.
    pub fn answer(&self) -> Answer {
        let like = |(text, count): &(String, usize)| format!("{count} errors like: {text}");
        match &self.refused[..] {
            [] => Answer { status: 204, text: String::new() },
            [(text, 1)] => Answer { status: 400, text: text.clone() },
            several => Answer { status: 400, text: several.iter().map(like).collect::<Vec<_>>().join("; ") },
        }
    }
}

/// Decodes a body as its headers say.
pub fn decode(
    body: &[u8],
    content_type: Option<&str>,
    content_encoding: Option<&str>,
    limits: &Limits,
    now: TimestampNs,
) -> Result<Decoded, Error> {
    let json = is_json(content_type)?;
    let body = unwrap(body, content_encoding.unwrap_or("").trim(), limits)?;
    let mut builder = builder::Builder::new(limits, now);
    if json {
        if body.is_empty() {
            return Err(Error::body("EOF"));
        }
        json::decode(&body, &mut builder)?;
    } else {
        let message = decompress::snappy_block(&body, limits.decoded_bytes_max)?;
        protobuf::decode(&message, &mut builder)?;
    }
    let decoded = builder.finish();
    if decoded.streams == 0 { Err(Error::NoStreams) } else { Ok(decoded) }
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
    let Some(text) = content_type else { return Ok(false) };
    let mut parts = text.split(';');
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
