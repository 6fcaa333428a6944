//! The JSON push body, read as a stream of tokens: no value tree, no object per entry.

mod fault;

use std::collections::BTreeMap;
use std::fmt;

use model::TimestampNs;
use model::batch::Arena;
use model::labels::encode_label;
use model::quote::go_quote;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Shape;
use super::builder::{Builder, pairs_of};
use crate::error::Error;
use crate::prom_api::params::rfc3339_ns;

/// Decodes a body.
///
/// What comes after the outermost object counts for nothing (Loki).
pub(super) fn decode(body: &[u8], shape: Shape, builder: &mut Builder<'_>) -> Result<(), Error> {
    let mut failed = None;
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Body { builder, shape, failed: &mut failed }.deserialize(&mut deserializer);
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(Error::Body(fault::describe(body, shape).unwrap_or_else(|| error.to_string()))),
        (None, Ok(())) => Ok(()),
    }
}

/// One stream as read; its labels may come after its entries.
#[derive(Default)]
struct Stream {
    labels: String,
    timestamps: Vec<i64>,
    lines: Arena,
    /// Per entry, pairs in the order of the body.
    metadata: Arena,
}

impl Stream {
    fn clear(&mut self) {
        self.labels.clear();
        self.timestamps.clear();
        self.lines.truncate(0);
        self.metadata.truncate(0);
    }

    fn hand_over(&self, builder: &mut Builder<'_>) -> Result<(), Error> {
        if self.timestamps.is_empty() {
            builder.empty_stream();
            return Ok(());
        }
        builder.stream(if self.labels.is_empty() { "{}" } else { &self.labels })?;
        let mut pairs = Vec::new();
        for (index, timestamp) in self.timestamps.iter().enumerate() {
            pairs.clear();
            pairs_of(self.metadata.get(index), &mut pairs);
            builder.entry(TimestampNs(*timestamp), self.lines.get(index), &pairs);
        }
        Ok(())
    }
}

/// Declares a value read by its own visitor.
macro_rules! read_as {
    ($type:ty, $read:ident, $what:literal, $method:item) => {
        impl<'de> DeserializeSeed<'de> for $type {
            type Value = ();
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.$read(self)
            }
        }
        impl<'de> Visitor<'de> for $type {
            type Value = ();
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($what)
            }
            $method
        }
    };
}

struct Body<'s, 'l> {
    builder: &'s mut Builder<'l>,
    shape: Shape,
    failed: &'s mut Option<Error>,
}

read_as!(
    Body<'_, '_>,
    deserialize_map,
    "an object with streams",
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut key = Key::Other;
        while map.next_key_seed(Text(|text: &str| key = Key::of(text, Shape::V1)))?.is_some() {
            match key {
                Key::Streams => {
                    let Body { builder, shape, failed } = &mut self;
                    map.next_value_seed(Streams { builder, shape: *shape, failed })?
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
);

#[derive(Clone, Copy)]
enum Key {
    Streams,
    Stream,
    Values,
    Labels,
    Entries,
    Timestamp,
    Line,
    Other,
}

impl Key {
    /// Finds a key; those of the other shape are unknown.
    fn of(text: &str, shape: Shape) -> Key {
        match text {
            text if text.eq_ignore_ascii_case("streams") => Key::Streams,
            "stream" if shape == Shape::V1 => Key::Stream,
            "values" if shape == Shape::V1 => Key::Values,
            "labels" if shape == Shape::Legacy => Key::Labels,
            "entries" if shape == Shape::Legacy => Key::Entries,
            "ts" => Key::Timestamp,
            "line" => Key::Line,
            _ => Key::Other,
        }
    }
}

struct Streams<'s, 'l> {
    builder: &'s mut Builder<'l>,
    shape: Shape,
    failed: &'s mut Option<Error>,
}

read_as!(
    Streams<'_, '_>,
    deserialize_seq,
    "a list of streams",
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut stream = Stream::default();
        while items.next_element_seed(OneStream(&mut stream, self.shape))?.is_some() {
            if let Err(error) = stream.hand_over(self.builder) {
                *self.failed = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
);

struct OneStream<'s>(&'s mut Stream, Shape);

read_as!(
    OneStream<'_>,
    deserialize_map,
    "a stream",
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.clear();
        let mut key = Key::Other;
        while map.next_key_seed(Text(|text: &str| key = Key::of(text, self.1)))?.is_some() {
            match key {
                Key::Stream => self.0.labels = label_text(map.next_value()?),
                Key::Values => map.next_value_seed(Entries { stream: self.0, legacy: false })?,
                // The shape of /api/prom/push.
                Key::Labels => map.next_value_seed(Text(|text: &str| text.clone_into(&mut self.0.labels)))?,
                Key::Entries => map.next_value_seed(Entries { stream: self.0, legacy: true })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
);

/// Spells labels as text, so that both kinds of body are parsed, and refused, by one grammar.
fn label_text(labels: Option<BTreeMap<String, serde_json::Value>>) -> String {
    // A value that is no string is taken as it is written (Loki).
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let one = |(name, value): &(String, serde_json::Value)| format!("{name}={}", go_quote(&text(value)));
    let all: Vec<String> = labels.unwrap_or_default().into_iter().map(|pair| one(&pair)).collect();
    format!("{{{}}}", all.join(", "))
}

struct Entries<'s> {
    stream: &'s mut Stream,
    legacy: bool,
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        match self.legacy {
            true => while items.next_element_seed(LegacyEntry(self.stream))?.is_some() {},
            false => while items.next_element_seed(Entry(self.stream))?.is_some() {},
        }
        Ok(())
    }
}

struct Entry<'s>(&'s mut Stream);

read_as!(
    Entry<'_>,
    deserialize_seq,
    "a list of timestamp, line and structured metadata",
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Stream { timestamps, lines, metadata, .. } = self.0;
        let mut timestamp = None;
        if items.next_element_seed(Text(|text: &str| timestamp = nanoseconds(text)))?.is_none() {
            return Ok(());
        }
        timestamps.push(timestamp.ok_or_else(|| A::Error::custom("timestamp is not a number of nanoseconds as a string"))?);
        if items.next_element_seed(Bytes(|bytes: &[u8]| lines.push(bytes)))?.is_none() {
            lines.push(b"");
        }
        let mut pairs = Vec::new();
        items.next_element_seed(Metadata(&mut pairs))?;
        metadata.push(&pairs);
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
);

fn nanoseconds(text: &str) -> Option<i64> {
    text.bytes()
        .enumerate()
        .all(|(at, byte)| byte.is_ascii_digit() || at == 0 && byte == b'-')
        .then(|| text.parse().ok())
        .flatten()
}

struct LegacyEntry<'s>(&'s mut Stream);

read_as!(
    LegacyEntry<'_>,
    deserialize_map,
    "an entry",
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut key, mut timestamp, mut line) = (Key::Other, None, String::new());
        while map.next_key_seed(Text(|text: &str| key = Key::of(text, Shape::Legacy)))?.is_some() {
            match key {
                Key::Timestamp => map.next_value_seed(Text(|text: &str| timestamp = rfc3339_ns(text)))?,
                Key::Line => map.next_value_seed(Text(|text: &str| text.clone_into(&mut line)))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        self.0.timestamps.push(timestamp.ok_or_else(|| A::Error::custom("timestamp is not RFC 3339"))?);
        self.0.lines.push(line.as_bytes());
        self.0.metadata.push(b"");
        Ok(())
    }
);

struct Metadata<'s>(&'s mut Vec<u8>);

read_as!(
    Metadata<'_>,
    deserialize_map,
    "structured metadata, an object of strings",
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut name = Vec::new();
        while map.next_key_seed(Text(|text: &str| text.as_bytes().clone_into(&mut name)))?.is_some() {
            map.next_value_seed(Text(|value: &str| encode_label(self.0, &name, value.as_bytes())))?;
        }
        Ok(())
    }
);

/// A string, handed over without being kept.
struct Text<F>(F);

impl<'de, F: FnOnce(&str)> DeserializeSeed<'de> for Text<F> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<F: FnOnce(&str)> Visitor<'_> for Text<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        (self.0)(text);
        Ok(())
    }
}

/// A string that need not be UTF-8, handed over without being kept.
struct Bytes<F>(F);

impl<'de, F: FnOnce(&[u8])> DeserializeSeed<'de> for Bytes<F> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<F: FnOnce(&[u8])> Visitor<'_> for Bytes<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<(), E> {
        (self.0)(bytes);
        Ok(())
    }
}
