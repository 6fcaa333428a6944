//! The records of a head: HEAD itself, and the immutable pages its lists spill into.

use super::{Head, ReplacedId};
use crate::codec::{Kind, Reader, Reason, Writer};
use crate::part::{read_part, write_part};
use crate::{DeadObject, Part};
use bytes::Bytes;
use model::TimestampMs;

/// The three lists of a head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    /// Live parts.
    Parts,
    /// Replaced ids.
    Replaced,
    /// Dead objects.
    Dead,
}

/// A page that HEAD references.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRef {
    /// Its id: fresh bits, never reused.
    pub id: u128,
    /// What it holds: a reader of snapshots leaves the dead out.
    pub list: List,
}

/// A page that HEAD does not reference any more, or never did: deleted after a grace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DroppedPage {
    /// Its id.
    pub id: u128,
    /// Since when.
    pub at: TimestampMs,
}

/// The record under `HEAD`: the head with what of its lists did not spill, and where the rest is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HeadRecord {
    /// The head with the entries inside the record.
    pub head: Head,
    /// Pages with the other entries.
    pub pages: Vec<PageRef>,
    /// Pages to be deleted.
    pub dropped: Vec<DroppedPage>,
}

/// What a page holds: entries of one list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entries {
    /// Live parts.
    Parts(Vec<Part>),
    /// Replaced ids.
    Replaced(Vec<ReplacedId>),
    /// Dead objects.
    Dead(Vec<DeadObject>),
}

impl HeadRecord {
    /// Decodes HEAD.
    pub fn decode(record: &Bytes) -> Result<HeadRecord, Reason> {
        let mut from = Reader::open_as(record, Kind::Head)?;
        let head = Head {
            last_op: from.bits()?,
            generation: from.number()?,
            published_at: from.time()?,
            sealed: from.flag()?,
            lease: if from.flag()? { Some((from.number()?, from.time()?)) } else { None },
            parts: from.list(read_part)?,
            replaced: from.list(read_replaced)?,
            dead: from.list(read_dead)?,
        };
        let paged = from.version >= 2;
        let page = |from: &mut Reader| Ok(PageRef { id: from.bits()?, list: read_list(from)? });
        let pages = if paged { from.list(page)? } else { Vec::new() };
        let dropped = |from: &mut Reader| Ok(DroppedPage { id: from.bits()?, at: from.time()? });
        let dropped = if paged { from.list(dropped)? } else { Vec::new() };
        from.finish()?;
        Ok(HeadRecord { head, pages, dropped })
    }

    /// Encodes HEAD.
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new(Kind::Head);
        out.bits(self.head.last_op);
        out.number(self.head.generation);
        out.time(self.head.published_at);
        out.number(u64::from(self.head.sealed));
        out.number(u64::from(self.head.lease.is_some()));
        if let Some((owner, until)) = self.head.lease {
            out.number(owner);
            out.time(until);
        }
        out.list(&self.head.parts, write_part);
        out.list(&self.head.replaced, write_replaced);
        out.list(&self.head.dead, write_dead);
        out.list(&self.pages, |out, page| {
            out.bits(page.id);
            out.number(list_code(page.list));
        });
        out.list(&self.dropped, |out, page| {
            out.bits(page.id);
            out.time(page.at);
        });
        out.finish()
    }
}

impl Entries {
    /// Decodes a page.
    pub fn decode(record: &Bytes) -> Result<Entries, Reason> {
        let mut from = Reader::open_as(record, Kind::Page)?;
        let entries = match read_list(&mut from)? {
            List::Parts => Entries::Parts(from.list(read_part)?),
            List::Replaced => Entries::Replaced(from.list(read_replaced)?),
            List::Dead => Entries::Dead(from.list(read_dead)?),
        };
        from.finish()?;
        Ok(entries)
    }

    /// Encodes the page.
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new(Kind::Page);
        out.number(list_code(self.list()));
        match self {
            Entries::Parts(parts) => out.list(parts, write_part),
            Entries::Replaced(replaced) => out.list(replaced, write_replaced),
            Entries::Dead(dead) => out.list(dead, write_dead),
        }
        out.finish()
    }

    /// Returns which list the entries are of.
    pub fn list(&self) -> List {
        match self {
            Entries::Parts(_) => List::Parts,
            Entries::Replaced(_) => List::Replaced,
            Entries::Dead(_) => List::Dead,
        }
    }
}

pub(super) fn write_replaced(out: &mut Writer, replaced: &ReplacedId) {
    out.id(replaced.id);
    out.time(replaced.at);
    out.time_if(replaced.gone_since);
}

fn read_replaced(from: &mut Reader) -> Result<ReplacedId, Reason> {
    Ok(ReplacedId { id: from.id()?, at: from.time()?, gone_since: from.time_if()? })
}

pub(super) fn write_dead(out: &mut Writer, dead: &DeadObject) {
    out.bytes(dead.key.as_bytes());
    out.time(dead.at);
}

fn read_dead(from: &mut Reader) -> Result<DeadObject, Reason> {
    Ok(DeadObject { key: from.text()?, at: from.time()? })
}

fn list_code(list: List) -> u64 {
    match list {
        List::Parts => 0,
        List::Replaced => 1,
        List::Dead => 2,
    }
}

fn read_list(from: &mut Reader) -> Result<List, Reason> {
    let code = from.number()?;
    [List::Parts, List::Replaced, List::Dead].into_iter().find(|list| list_code(*list) == code).ok_or("unknown list")
}
