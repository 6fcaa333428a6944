//! The record of an L0 id: live, or burnt so that it can never become live.

use crate::codec::{Kind, Reader, Reason, Writer};
use crate::part::{read_part, write_part};
use crate::{L0Item, Part};
use bytes::Bytes;
use model::Hour;

/// What stands under an L0 id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ItemRecord {
    /// A live item.
    Live(Box<Part>),
    /// Burnt by the collector: no attempt may commit under this id.
    Burnt,
}

impl ItemRecord {
    /// Returns the part, if live.
    pub fn into_live(self) -> Option<Part> {
        match self {
            ItemRecord::Live(part) => Some(*part),
            ItemRecord::Burnt => None,
        }
    }
}

/// Encodes a live item.
pub fn encode_live(hour: Hour, item: L0Item) -> Bytes {
    let mut out = Writer::new(Kind::Item);
    write_part(&mut out, &item.into_part(hour));
    out.finish()
}

/// Encodes a burnt id.
pub fn encode_burnt() -> Bytes {
    Writer::new(Kind::Burnt).finish()
}

/// Decodes either.
pub fn decode(record: &Bytes) -> Result<ItemRecord, Reason> {
    let mut from = Reader::open(record)?;
    match from.kind {
        Kind::Burnt => from.finish().map(|()| ItemRecord::Burnt),
        Kind::Item => {
            let part = read_part(&mut from)?;
            from.finish()?;
            Ok(ItemRecord::Live(Box::new(part)))
        }
        _ => Err("a record of another kind"),
    }
}
