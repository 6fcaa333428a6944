//! The index of a block: symbols, the list of its series, and each series' entry (upstream `tsdb/docs/format/index.md`).
//!
//! The way through it, each step one read: the last [`TOC_BYTES`] bytes → [`Toc`] → the section of symbols → the head of the table of
//! postings, whose first entry is that of all series → their postings → each entry. Label indices and other postings serve queries
//! and are not needed to read everything.

use super::BlockError;
use super::cursor::{CRC_BYTES, Cursor};
use super::limits::{SECTION_BYTES_MAX, SERIES_BYTES_MAX};

const WHAT: &str = "index";
const SYMBOLS: &str = "symbols of the index";
const POSTINGS: &str = "postings of the index";
const SERIES: &str = "series of the index";
const MAGIC: u32 = 0xbaaa_d700;
/// Forms since Prometheus 2.1: series are aligned, postings sorted.
const VERSIONS: [u8; 2] = [2, 3];
/// A series' number is its offset in units of this.
const SERIES_ALIGN: u64 = 16;

/// Bytes of magic and version.
pub const HEAD_BYTES: usize = 5;
/// Bytes of the table of contents at the end.
pub const TOC_BYTES: usize = 52;
/// Bytes in front of a section: its length.
pub const SECTION_HEAD_BYTES: usize = 4;
/// Bytes that hold the first entry of the table of postings.
pub const FIRST_POSTINGS_BYTES: usize = 4 + 4 + 1 + 1 + 1 + 10;
/// Bytes that hold the length of a series' entry.
pub const SERIES_HEAD_BYTES: usize = 10;

/// Checks the first [`HEAD_BYTES`] of the file.
pub fn check_head(bytes: &[u8]) -> Result<(), BlockError> {
    let mut head = Cursor::new(WHAT, bytes);
    if head.be32()? != MAGIC {
        return Err(head.corrupt("it does not begin as one"));
    }
    match head.byte()? {
        version if VERSIONS.contains(&version) => Ok(()),
        version => Err(BlockError::Version { what: WHAT, version }),
    }
}

/// Where the sections begin that are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Toc {
    /// Offset of the symbols.
    pub symbols: u64,
    /// Offset of the table of postings.
    pub postings_table: u64,
}

impl Toc {
    /// Decodes the last [`TOC_BYTES`] of the file.
    pub fn decode(bytes: &[u8]) -> Result<Toc, BlockError> {
        let mut toc = Cursor::checked("table of contents of the index", bytes)?;
        let symbols = toc.be64()?;
        // Series, label indices, their table, postings: reached from elsewhere, or not needed.
        toc.take(4 * 8)?;
        Ok(Toc { symbols, postings_table: toc.be64()? })
    }
}

/// Returns how many bytes follow a section's head: content and checksum.
pub fn section_bytes(head: &[u8]) -> Result<usize, BlockError> {
    let len = Cursor::new(WHAT, head).be32()? as usize;
    if len > SECTION_BYTES_MAX {
        return Err(BlockError::TooLarge { what: "section of the index", bytes: len as u64, limit: SECTION_BYTES_MAX });
    }
    Ok(len + CRC_BYTES)
}

/// The strings of names and values.
#[derive(Clone, Debug)]
pub struct Symbols {
    texts: String,
    ends: Vec<u32>,
}

impl Symbols {
    /// Decodes what follows the section's head.
    pub fn decode(bytes: &[u8]) -> Result<Symbols, BlockError> {
        let mut section = Cursor::checked(SYMBOLS, bytes)?;
        let count = section.be32()? as usize;
        // Each takes a byte at least.
        let mut ends = Vec::with_capacity(count.min(section.len()));
        let mut texts = String::with_capacity(section.len());
        for _ in 0..count {
            let len = section.length()?;
            let text = std::str::from_utf8(section.take(len)?).map_err(|_| section.corrupt("a string is not UTF-8"))?;
            texts.push_str(text);
            ends.push(texts.len() as u32);
        }
        Ok(Symbols { texts, ends })
    }

    fn get(&self, symbol: u64) -> Option<&str> {
        let index = usize::try_from(symbol).ok()?;
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        self.texts.get(start..end)
    }
}

/// Returns the offset of the postings of all series, from the first [`FIRST_POSTINGS_BYTES`] of the table of postings. The table's
/// checksum covers all of it and is not read: a wrong offset leads to no section with a right checksum.
pub fn all_postings(bytes: &[u8]) -> Result<u64, BlockError> {
    let mut table = Cursor::new(POSTINGS, bytes);
    let (_, count) = (table.be32()?, table.be32()?);
    let first = [table.byte()?, table.byte()?, table.byte()?];
    // Two strings, both empty: sorted, this comes first.
    if count == 0 || first != [2, 0, 0] {
        return Err(table.corrupt("the list of all series is not the first"));
    }
    table.varint()
}

/// Decodes what follows the head of a section of postings: the numbers of its series, ascending.
pub fn postings(bytes: &[u8]) -> Result<Vec<u32>, BlockError> {
    let mut section = Cursor::checked(POSTINGS, bytes)?;
    let count = section.be32()? as usize;
    let (numbers, rest) = section.rest().as_chunks::<4>();
    if numbers.len() != count || !rest.is_empty() {
        return Err(section.corrupt(format!("it holds {} series and says {count}", numbers.len())));
    }
    let numbers: Vec<u32> = numbers.iter().copied().map(u32::from_be_bytes).collect();
    if !numbers.is_sorted_by(|a, b| a < b) {
        return Err(section.corrupt("series are not in ascending order"));
    }
    Ok(numbers)
}

/// Returns where a series' entry begins.
pub fn series_offset(number: u32) -> u64 {
    u64::from(number) * SERIES_ALIGN
}

/// Returns where content begins and how many bytes it has with its checksum, from the first [`SERIES_HEAD_BYTES`] of an entry.
pub fn series_bytes(head: &[u8]) -> Result<(usize, usize), BlockError> {
    let mut cursor = Cursor::new(SERIES, head);
    let len = cursor.length()?;
    if len > SERIES_BYTES_MAX {
        return Err(BlockError::TooLarge { what: SERIES, bytes: len as u64, limit: SERIES_BYTES_MAX });
    }
    Ok((head.len() - cursor.len(), len + CRC_BYTES))
}

/// Where a chunk lies and when its samples are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkPlace {
    /// Time of its first sample, milliseconds.
    pub first: i64,
    /// Time of its last one.
    pub last: i64,
    /// Number of its file, from 0.
    pub file: u32,
    /// Offset in it.
    pub offset: u32,
}

/// One series: labels ordered by name, chunks in the order of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeriesEntry<'a> {
    /// Its labels.
    pub labels: Vec<(&'a str, &'a str)>,
    /// Its chunks.
    pub chunks: Vec<ChunkPlace>,
}

impl<'a> SeriesEntry<'a> {
    /// Decodes an entry's content and checksum.
    pub fn decode(bytes: &[u8], symbols: &'a Symbols) -> Result<SeriesEntry<'a>, BlockError> {
        let mut entry = Cursor::checked(SERIES, bytes)?;
        let count = entry.length()?;
        let mut labels: Vec<(&str, &str)> = Vec::with_capacity(count.min(entry.len() / 2));
        for _ in 0..count {
            let mut symbol = || Ok(symbols.get(entry.varint()?));
            let (Some(name), Some(value)) = (symbol()?, symbol()?) else {
                return Err(entry.corrupt("a label names a symbol that is not there"));
            };
            if name.is_empty() || labels.last().is_some_and(|(before, _)| *before >= name) {
                return Err(entry.corrupt("its labels are not in ascending order"));
            }
            labels.push((name, value));
        }
        Ok(SeriesEntry { labels, chunks: chunks(&mut entry)? })
    }
}

/// The first chunk in full, the others by what changed.
fn chunks(entry: &mut Cursor<'_>) -> Result<Vec<ChunkPlace>, BlockError> {
    let count = entry.length()?;
    // Each takes three bytes at least.
    let mut chunks = Vec::with_capacity(count.min(entry.len() / 3));
    let (mut last, mut place) = (0i64, 0i64);
    for index in 0..count {
        let since = if index == 0 { entry.signed()? } else { entry.varint()? as i64 };
        let first = last.checked_add(since);
        let until = first.and_then(|first| first.checked_add_unsigned(entry.varint().ok()?));
        place = place.wrapping_add(if index == 0 { entry.varint()? as i64 } else { entry.signed()? });
        let (Some(first), Some(until)) = (first, until) else { return Err(entry.corrupt("its chunks have no time")) };
        last = until;
        chunks.push(ChunkPlace { first, last, file: (place as u64 >> 32) as u32, offset: place as u32 });
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests;
