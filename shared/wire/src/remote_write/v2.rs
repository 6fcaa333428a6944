//! `io.prometheus.write.v2.Request`: every string once, in a table of symbols.

use model::Limits;

use super::series::{self, RawExemplar, Scratch};
use super::v1::metadata;
use super::{Bounds, Decoded, Version};
use crate::canonical::Pair;
use crate::error::Error;
use crate::protobuf::Fields;

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
        Ok(Symbols(symbols))
    }

    fn get(&self, index: u64) -> Option<&'a [u8]> {
        self.0.get(usize::try_from(index).ok()?).copied()
    }

    /// Resolves pairs of references; upstream's text where that cannot be (`desymbolizeLabels`).
    fn labels(&self, references: &[u64], out: &mut Vec<Pair<'a>>) -> Result<(), String> {
        let (pairs, rest) = references.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(format!("invalid labelRefs length {}", references.len()));
        }
        for [name, value] in pairs {
            let Some(pair) = self.get(*name).zip(self.get(*value)) else {
                let symbols = self.0.len();
                return Err(format!("labelRefs {name} (name) = {value} (value) outside of symbols table (size {symbols})"));
            };
            out.push(pair);
        }
        Ok(())
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
    let (mut references, mut metadata) = (Vec::new(), Metadata::default());
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => value.each_varint(|reference| references.push(reference))?,
            2 => series::push_sample(decoded, scratch, value.bytes()?, bounds)?,
            3 => scratch.histograms.push(value.bytes()?),
            4 => scratch.exemplars.push(decode_exemplar(symbols, value.bytes()?)?),
            5 => metadata = Metadata::decode(value.bytes()?)?,
            _ => {}
        }
    }
    let resolved = symbols.labels(&references, &mut scratch.labels).map_err(|reason| ("labels", reason));
    let resolved = resolved.and_then(|()| metadata.texts(symbols).map_err(|reason| ("metadata", reason)));
    let texts = match resolved {
        Ok(texts) => texts,
        Err((part, reason)) => {
            series::take_back(decoded, first);
            decoded.refuse_badly(format_args!("parsing {part} for series {}: {reason}", printed(&references)));
            return Ok(());
        }
    };
    if series::finish(decoded, scratch, first, limits, bounds)? {
        metadata.keep(decoded, scratch, texts);
    }
    Ok(())
}

/// Prints references as Go prints a slice.
fn printed(references: &[u64]) -> String {
    let numbers: Vec<String> = references.iter().take(REFERENCES_SHOWN_MAX).map(u64::to_string).collect();
    format!("[{}]", numbers.join(" "))
}

/// References shown in a reason.
const REFERENCES_SHOWN_MAX: usize = 100;

fn decode_exemplar<'a>(symbols: &Symbols<'a>, message: &'a [u8]) -> Result<RawExemplar<'a>, Error> {
    let (mut exemplar, mut references) = (RawExemplar::default(), Vec::new());
    let mut fields = Fields::of(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => field.each_varint(|reference| references.push(reference))?,
            2 => exemplar.value = field.double()?,
            3 => exemplar.timestamp = field.varint()? as i64,
            _ => {}
        }
    }
    exemplar.fault = symbols.labels(&references, &mut exemplar.labels).err();
    Ok(exemplar)
}

/// What a series says of its metric: the last two by reference.
#[derive(Default)]
struct Metadata {
    kind: u64,
    help: u64,
    unit: u64,
}

impl Metadata {
    fn decode(message: &[u8]) -> Result<Metadata, Error> {
        let mut read = Metadata::default();
        let mut fields = Fields::of(message);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => read.kind = field.varint()?,
                3 => read.help = field.varint()?,
                4 => read.unit = field.varint()?,
                _ => {}
            }
        }
        Ok(read)
    }

    /// Resolves help and unit; where there is no metadata, nothing needs to be there.
    fn texts<'a>(&self, symbols: &Symbols<'a>) -> Result<[&'a [u8]; 2], String> {
        let text = |part: &str, reference: u64| match (reference, symbols.get(reference)) {
            (_, Some(text)) => Ok(text),
            (0, None) => Ok(&[][..]),
            _ => Err(format!("metadata {part}_ref {reference} outside of symbols table (size {})", symbols.0.len())),
        };
        Ok([text("help", self.help)?, text("unit", self.unit)?])
    }

    fn keep(&self, decoded: &mut Decoded, scratch: &Scratch<'_>, [help, unit]: [&[u8]; 2]) {
        if (self.kind, self.help, self.unit) == (0, 0, 0) {
            return;
        }
        let name = scratch.labels.iter().find(|(name, _)| *name == b"__name__").map_or(&[][..], |(_, value)| value);
        // Series of one family follow one another: its metadata is kept once.
        let item = metadata(self.kind, name, help, unit).filter(|item| decoded.batch.metadata.last() != Some(item));
        decoded.batch.metadata.extend(item);
    }
}
