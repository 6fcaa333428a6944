//! Bytes of the manifest's records: a version, fields in order, a checksum.
//!
//! ```text
//! record  version u8 | kind u8 | fields ... | xxh3-64 of everything before, low 4 bytes, little-endian
//! number  LEB128; signed ones zigzag      id  16 bytes, little-endian      bytes  length, then bytes
//! ```
//! Owns: the primitives and the envelope. Does not own: what the fields mean (`head`, `item`, `catalog`).

use bytes::Bytes;
use model::{SegmentId, TimestampMs};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// Version written; older ones stay readable. 2: parts list the deletions applied to them, heads their pages.
const VERSION: u8 = 2;

/// Why a record does not decode.
pub type Reason = &'static str;

/// What a record is, so that one can never be read as another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A live L0 item.
    Item = 1,
    /// A burnt L0 id.
    Burnt = 2,
    /// The head of a window.
    Head = 3,
    /// A day of a catalog.
    Day = 4,
    /// An epoch of the ring.
    Epoch = 5,
    /// A deletion.
    Deletion = 6,
    /// A part in quarantine.
    Quarantined = 7,
    /// A page of a head.
    Page = 8,
    /// An election among replicas.
    Election = 9,
}

/// Writes one record.
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn new(kind: Kind) -> Writer {
        Writer(vec![VERSION, kind as u8])
    }

    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)) as u64);
    }

    pub fn time(&mut self, time: TimestampMs) {
        self.signed(time.0);
    }

    /// Writes an optional time as a flag and the time.
    pub fn time_if(&mut self, time: Option<TimestampMs>) {
        self.number(u64::from(time.is_some()));
        if let Some(time) = time {
            self.time(time);
        }
    }

    pub fn id(&mut self, id: SegmentId) {
        self.bits(id.0);
    }

    pub fn bits(&mut self, bits: u128) {
        self.0.extend_from_slice(&bits.to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Writes how many and then each.
    pub fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Writer, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    /// Counts the bytes of the fields so far.
    pub fn len(&self) -> usize {
        self.0.len() - 2
    }

    pub fn finish(mut self) -> Bytes {
        let sum = xxh3_64(&self.0) as u32;
        self.0.extend_from_slice(&sum.to_le_bytes());
        Bytes::from(self.0)
    }
}

/// Reads one record; every length is checked before it is believed.
pub struct Reader {
    fields: Bytes,
    /// Where the next field begins. A number is read in place: to split it off would count references for each of its bytes.
    at: usize,
    /// The version it was written in.
    pub version: u8,
    /// What the record is.
    pub kind: Kind,
}

impl Reader {
    /// Checks envelope and checksum.
    pub fn open(record: &Bytes) -> Result<Reader, Reason> {
        let body_len = record.len().checked_sub(4).ok_or("truncated")?;
        let sum = u32::from_le_bytes(record[body_len..].try_into().map_err(|_| "truncated")?);
        if xxh3_64(&record[..body_len]) as u32 != sum {
            return Err("checksum differs");
        }
        match record[..body_len] {
            [version @ 1..=VERSION, kind, ..] => {
                Ok(Reader { fields: record.slice(2..body_len), at: 0, version, kind: parse_kind(kind)? })
            }
            [_, _, ..] => Err("unknown version"),
            _ => Err("truncated"),
        }
    }

    /// Checks envelope, checksum and kind.
    pub fn open_as(record: &Bytes, kind: Kind) -> Result<Reader, Reason> {
        let reader = Reader::open(record)?;
        if reader.kind == kind { Ok(reader) } else { Err("a record of another kind") }
    }

    /// Moves past a field of so many bytes and returns where it lies.
    fn take(&mut self, len: usize) -> Result<Range<usize>, Reason> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.fields.len()).ok_or("truncated")?;
        Ok(std::mem::replace(&mut self.at, end)..end)
    }

    pub fn number(&mut self) -> Result<u64, Reason> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.fields.get(self.at).ok_or("truncated")?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("number is too long")
    }

    /// Reads a number that must fit a smaller type.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Reason> {
        T::try_from(self.number()?).map_err(|_| "number is out of range")
    }

    pub fn signed(&mut self) -> Result<i64, Reason> {
        let value = self.number()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub fn time(&mut self) -> Result<TimestampMs, Reason> {
        self.signed().map(TimestampMs)
    }

    pub fn time_if(&mut self) -> Result<Option<TimestampMs>, Reason> {
        if self.flag()? { self.time().map(Some) } else { Ok(None) }
    }

    pub fn flag(&mut self) -> Result<bool, Reason> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("flag is out of range"),
        }
    }

    pub fn id(&mut self) -> Result<SegmentId, Reason> {
        self.bits().map(SegmentId)
    }

    pub fn bits(&mut self) -> Result<u128, Reason> {
        let field = self.take(16)?;
        let bytes: [u8; 16] = self.fields[field].try_into().map_err(|_| "truncated")?;
        Ok(u128::from_le_bytes(bytes))
    }

    pub fn bytes(&mut self) -> Result<Bytes, Reason> {
        let len = self.small()?;
        let field = self.take(len)?;
        Ok(self.fields.slice(field))
    }

    pub fn text(&mut self) -> Result<String, Reason> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| "text is not UTF-8")
    }

    pub fn list<T>(&mut self, read: impl Fn(&mut Reader) -> Result<T, Reason>) -> Result<Vec<T>, Reason> {
        let count: usize = self.small()?;
        // Nothing encodes in less than a byte, so a hostile count cannot make us loop past the record.
        if count > self.fields.len() - self.at {
            return Err("truncated");
        }
        (0..count).map(|_| read(self)).collect()
    }

    /// Reports whether there are no more fields.
    pub fn is_finished(&self) -> bool {
        self.at == self.fields.len()
    }

    pub fn finish(self) -> Result<(), Reason> {
        if self.is_finished() { Ok(()) } else { Err("bytes after the end") }
    }
}

fn parse_kind(byte: u8) -> Result<Kind, Reason> {
    const ALL: [Kind; 9] = [
        Kind::Item,
        Kind::Burnt,
        Kind::Head,
        Kind::Day,
        Kind::Epoch,
        Kind::Deletion,
        Kind::Quarantined,
        Kind::Page,
        Kind::Election,
    ];
    ALL.into_iter().find(|kind| *kind as u8 == byte).ok_or("unknown kind")
}

#[cfg(test)]
mod tests;
