//! `logproto.PushRequest`.

use model::TimestampNs;

use super::builder::Builder;
use crate::canonical::Pair;
use crate::error::Error;
use crate::protobuf::{Fields, Malformed};

pub(super) fn decode(message: &[u8], builder: &mut Builder<'_>) -> Result<(), Error> {
    let (mut entries, mut metadata) = (Vec::new(), Vec::new());
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            decode_stream(value.bytes()?, &mut entries, &mut metadata, builder)?;
        }
    }
    Ok(())
}

fn decode_stream<'a>(
    message: &'a [u8],
    entries: &mut Vec<&'a [u8]>,
    metadata: &mut Vec<Pair<'a>>,
    builder: &mut Builder<'_>,
) -> Result<(), Error> {
    entries.clear();
    let mut labels: &[u8] = &[];
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => labels = value.bytes()?,
            2 => entries.push(value.bytes()?),
            _ => {}
        }
    }
    if entries.is_empty() {
        builder.empty_stream();
        return Ok(());
    }
    builder.stream(std::str::from_utf8(labels).map_err(|_| Error::body("couldn't parse labels: invalid UTF-8"))?)?;
    for entry in entries.iter() {
        decode_entry(entry, metadata, builder)?;
    }
    Ok(())
}

fn decode_entry<'a>(message: &'a [u8], metadata: &mut Vec<Pair<'a>>, builder: &mut Builder<'_>) -> Result<(), Malformed> {
    metadata.clear();
    let (mut timestamp, mut line): (i64, &[u8]) = (0, &[]);
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => timestamp = decode_timestamp(value.bytes()?)?,
            2 => line = value.bytes()?,
            3 => metadata.push(decode_pair(value.bytes()?)?),
            _ => {}
        }
    }
    builder.entry(TimestampNs(timestamp), line, metadata);
    Ok(())
}

fn decode_timestamp(message: &[u8]) -> Result<i64, Malformed> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => seconds = value.varint()? as i64,
            2 => nanos = value.varint()? as i64,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

fn decode_pair(message: &[u8]) -> Result<Pair<'_>, Malformed> {
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
