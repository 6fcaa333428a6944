//! `io.prometheus.write.v2.Request`: every string once, in a table of symbols.

use model::Limits;

use super::series::{self, RawExemplar, Scratch};
use super::v1::metadata;
use super::{Bounds, Decoded, Version};
use crate::canonical::Pair;
use crate::error::Error;
use crate::protobuf::{Fields, Value};

pub(super) fn decode(message: &[u8], limits: &Limits, bounds: Bounds) -> Result<Decoded, Error> {
    let mut decoded = Decoded::new(Version::V2);
    let symbols = Symbols::of(message)?;
    let mut scratch = Scratch::default();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        if number == 5 {
            decode_series(&mut decoded, &mut scratch, &symbols, value.bytes()?, limits, bounds)?;
        }
    }
    Ok(decoded)
}

/// The table of symbols. It may stand anywhere in the message, so it is gathered first.
struct Symbols<'a>(Vec<&'a [u8]>);

impl<'a> Symbols<'a> {
    fn of(message: &'a [u8]) -> Result<Symbols<'a>, Error> {
        let mut symbols = Vec::new();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            if number == 4 {
                symbols.push(value.bytes()?);
            }
        }
        match symbols.first() {
            Some(first) if !first.is_empty() => Err(Error::body("symbols must start with an empty string")),
            _ => Ok(Symbols(symbols)),
        }
    }

    fn get(&self, index: u64) -> Result<&'a [u8], Error> {
        let symbol = usize::try_from(index).ok().and_then(|index| self.0.get(index)).copied();
        symbol.ok_or_else(|| Error::Body(format!("symbol reference {index} is out of range, there are {} symbols", self.0.len())))
    }

    /// Resolves pairs of references.
    fn labels(&self, references: Value<'_>, out: &mut Vec<Pair<'a>>) -> Result<(), Error> {
        let mut name: Option<&'a [u8]> = None;
        let mut failed = None;
        references.each_varint(|index| match self.get(index) {
            Ok(symbol) => match name.take() {
                Some(name) => out.push((name, symbol)),
                None => name = Some(symbol),
            },
            Err(error) => failed = failed.take().or(Some(error)),
        })?;
        match (failed, name) {
            (Some(error), _) => Err(error),
            (None, Some(_)) => Err(Error::body("invalid number of label references, it must be even")),
            (None, None) => Ok(()),
        }
    }
}

fn decode_series<'a>(
    decoded: &mut Decoded,
    scratch: &mut Scratch<'a>,
    symbols: &Symbols<'a>,
    message: &'a [u8],
    limits: &Limits,
    bounds: Bounds,
) -> Result<(), Error> {
    scratch.clear();
    let first = decoded.batch.timestamps.len();
    let mut meta: &[u8] = &[];
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => symbols.labels(value, &mut scratch.labels)?,
            2 => series::push_sample(decoded, scratch, value.bytes()?, bounds)?,
            3 => scratch.histograms.push(value.bytes()?),
            4 => scratch.exemplars.push(decode_exemplar(symbols, value.bytes()?)?),
            5 => meta = value.bytes()?,
            _ => {}
        }
    }
    if series::finish(decoded, scratch, first, limits, bounds)? && !meta.is_empty() {
        push_metadata(decoded, scratch, symbols, meta)?;
    }
    Ok(())
}

fn decode_exemplar<'a>(symbols: &Symbols<'a>, message: &'a [u8]) -> Result<RawExemplar<'a>, Error> {
    let mut exemplar = RawExemplar { labels: Vec::new(), value: 0.0, timestamp: 0 };
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => symbols.labels(field, &mut exemplar.labels)?,
            2 => exemplar.value = field.double()?,
            3 => exemplar.timestamp = field.varint()? as i64,
            _ => {}
        }
    }
    Ok(exemplar)
}

fn push_metadata(decoded: &mut Decoded, scratch: &Scratch<'_>, symbols: &Symbols<'_>, message: &[u8]) -> Result<(), Error> {
    let (mut kind, mut help, mut unit) = (0, 0, 0);
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => kind = field.varint()?,
            3 => help = field.varint()?,
            4 => unit = field.varint()?,
            _ => {}
        }
    }
    if (kind, help, unit) == (0, 0, 0) {
        return Ok(());
    }
    let name = scratch.labels.iter().find(|(name, _)| *name == b"__name__").map_or(&[][..], |(_, value)| value);
    let item = metadata(kind, name, symbols.get(help)?, symbols.get(unit)?);
    // Series of one family follow one another: its metadata is kept once.
    if let Some(item) = item.filter(|item| decoded.batch.metadata.last() != Some(item)) {
        decoded.batch.metadata.push(item);
    }
    Ok(())
}
