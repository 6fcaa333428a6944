//! Token filters: which pieces of words may be in the lines of a row group. They prune needle searches.
//!
//! Lines and needles are cut by the same rule ([`crate::template`]): a word that stands free in a needle has the same pieces
//! in every line that contains it. A word at the edge of a needle may be a part of a longer one; the filter knows how long
//! words get, and so whether there is any.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use model::labels::put_varint;
use xxhash_rust::xxh3::xxh3_64;

use crate::SegmentError;
use crate::cursor::Cursor;
use crate::template::{self, Class, Cut, Piece, Word};

/// Shorter constants are everywhere and prune nothing.
const CONSTANT_BYTES_MIN: usize = 3;
/// Shorter numbers are in every row group: there are fewer of them than of rows.
const NUMBER_BYTES_MIN: usize = 7;
/// Bits per distinct piece: below 1 % false positives with 7 probes.
const BITS_PER_TOKEN: usize = 10;
const PROBES: u64 = 7;
/// Lengths of the runs between the hyphens of a UUID.
const UUID_RUNS: [usize; 3] = [4, 8, 12];

/// What every matching line has to contain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needle<'a> {
    /// These bytes, anywhere: a line filter.
    Substring(&'a [u8]),
    /// These bytes, with no letter, digit or byte past ASCII beside them: a field's value as it stands in JSON or logfmt.
    /// The caller knows that the line has it verbatim (nothing in it is escaped).
    Whole(&'a [u8]),
}

/// A hasher for keys that are hashes already.
#[derive(Default)]
pub(crate) struct Identity(u64);

impl std::hash::Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The longest words of a row group, by what they are made of; bytes, 255 for all that are longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Longest {
    letters: u8,
    hex: u8,
    mixed: u8,
    /// 36 where there is a UUID: its runs are words of their own to a needle.
    uuid: u8,
}

impl Longest {
    fn see(&mut self, class: Class, len: usize) {
        let longest = match class {
            Class::Letters => &mut self.letters,
            Class::Hex => &mut self.hex,
            Class::Mixed => &mut self.mixed,
            Class::Uuid => &mut self.uuid,
        };
        *longest = (*longest).max(u8::try_from(len).unwrap_or(u8::MAX));
    }

    /// Reports whether a longer word may contain this one.
    fn may_hide(&self, word: &[u8]) -> bool {
        let is_longer = |longest: u8| usize::from(longest) > word.len() || longest == u8::MAX;
        let is_hex = word.iter().all(u8::is_ascii_hexdigit);
        let has_digit = word.iter().any(u8::is_ascii_digit);
        is_longer(self.mixed)
            || (!has_digit && is_longer(self.letters))
            || (is_hex && is_longer(self.hex))
            || self.is_part_of_uuid(word)
    }

    /// Reports whether the word may be a run of a UUID, or a part of one.
    fn is_part_of_uuid(&self, word: &[u8]) -> bool {
        self.uuid > 0 && word.iter().all(u8::is_ascii_hexdigit) && UUID_RUNS.iter().any(|run| word.len() <= *run)
    }
}

/// Collects the distinct pieces of one row group.
#[derive(Default)]
pub(crate) struct TokenSet {
    hashes: HashSet<u64, BuildHasherDefault<Identity>>,
    longest: Longest,
    /// Text columns that have a word with other than hexadecimal digits and hyphens, as bits.
    other_texts: u8,
}

impl TokenSet {
    /// Adds a whole line.
    pub(crate) fn add_line(&mut self, line: &[u8]) {
        template::words(line, |word| {
            let mut at = word.start;
            let class = word.pieces(|piece, len| {
                self.add_piece(piece, &line[at..at + len]);
                at += len;
            });
            self.longest.see(class, word.bytes.len());
        });
    }

    /// Adds what may differ from other lines of the same template, which was added before.
    pub(crate) fn add_variables(&mut self, line: &[u8], cut: &Cut) {
        for (piece, start, end) in &cut.variables {
            self.add_piece(*piece, &line[*start as usize..*end as usize]);
        }
        for (class, len) in &cut.classes {
            self.longest.see(*class, *len as usize);
        }
    }

    /// Notes which texts of a line are written to columns of their own, `len` of them, and which of them are hexadecimal, as bits.
    pub(crate) fn add_texts(&mut self, len: usize, hex_texts: u8) {
        let all = u8::try_from((1u32 << len) - 1).unwrap_or(u8::MAX);
        self.other_texts |= all & !hex_texts;
    }

    fn add_piece(&mut self, piece: Piece, bytes: &[u8]) {
        if is_token(piece, bytes) {
            self.hashes.insert(xxh3_64(bytes));
        }
    }

    /// Ends the row group: returns its filter and starts anew.
    pub(crate) fn take_filter(&mut self) -> TokenFilter {
        let mut bits = vec![0u8; (self.hashes.len() * BITS_PER_TOKEN).div_ceil(8).max(8)];
        for hash in self.hashes.drain() {
            for bit in probes(hash, bits.len()) {
                bits[bit / 8] |= 1 << (bit % 8);
            }
        }
        let hex_texts = !std::mem::take(&mut self.other_texts);
        TokenFilter { bits, longest: std::mem::take(&mut self.longest), hex_texts }
    }
}

fn is_token(piece: Piece, bytes: &[u8]) -> bool {
    match piece {
        Piece::Constant => bytes.len() >= CONSTANT_BYTES_MIN,
        Piece::Number => bytes.len() >= NUMBER_BYTES_MIN,
        Piece::Text => true,
    }
}

fn probes(hash: u64, size_bytes: usize) -> impl Iterator<Item = usize> {
    let step = (hash >> 32) | 1;
    (0..PROBES).map(move |i| (hash.wrapping_add(i.wrapping_mul(step)) % (size_bytes as u64 * 8)) as usize)
}

/// A Bloom filter over the pieces of one row group, and how long its words are.
#[derive(Debug, PartialEq)]
pub(crate) struct TokenFilter {
    bits: Vec<u8>,
    longest: Longest,
    /// Text columns of cut lines whose words are hexadecimal digits and hyphens alone, as bits; none of an older file.
    pub(crate) hex_texts: u8,
}

impl TokenFilter {
    fn may_contain(&self, token: &[u8]) -> bool {
        probes(xxh3_64(token), self.bits.len()).all(|bit| self.bits[bit / 8] & (1 << (bit % 8)) != 0)
    }

    fn may_contain_word(&self, word: Word<'_>) -> bool {
        let (mut at, mut may) = (0, true);
        word.pieces(|piece, len| {
            let bytes = &word.bytes[at..at + len];
            may = may && (!is_token(piece, bytes) || self.may_contain(bytes));
            at += len;
        });
        may
    }

    /// Reports whether the filter knows every word of a line that is there.
    pub(crate) fn knows_line(&self, line: &[u8]) -> bool {
        let mut longest = self.longest;
        let mut knows = true;
        template::words(line, |word| {
            knows = knows && self.may_contain_word(word);
            longest.see(word.pieces(|_, _| {}), word.bytes.len());
        });
        knows && longest == self.longest
    }

    /// Reports whether some line may contain the needle. False is certain.
    pub(crate) fn may_contain_needle(&self, needle: Needle<'_>) -> bool {
        let (bytes, has_edges) = match needle {
            Needle::Substring(bytes) => (bytes, true),
            Needle::Whole(bytes) => (bytes, false),
        };
        let mut may = true;
        template::words(bytes, |word| {
            let is_edge = has_edges && (word.start == 0 || word.end == bytes.len());
            let hidden = if is_edge { self.longest.may_hide(word.bytes) } else { self.longest.is_part_of_uuid(word.bytes) };
            may = may && (hidden || self.may_contain_word(word));
        });
        may
    }
}

/// The filters of a log segment, by row group.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct TokenFilters(pub(crate) Vec<TokenFilter>);

/// Version of the format since which it is known which texts are hexadecimal.
const HEX_TEXTS_SINCE: u16 = 8;
/// Version of the format since which filters hold pieces of words. Older ones are read over, and deny nothing.
const PIECES_SINCE: u16 = 5;

impl TokenFilters {
    /// Appends the filters.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        for filter in &self.0 {
            let Longest { letters, hex, mixed, uuid } = filter.longest;
            out.extend_from_slice(&[letters, hex, mixed, uuid, filter.hex_texts]);
            crate::cursor::put_bytes(out, &filter.bits);
        }
    }

    pub(crate) fn take(version: u16, cursor: &mut Cursor<'_>) -> Result<TokenFilters, SegmentError> {
        let has_pieces = version >= PIECES_SINCE;
        let count = cursor.count()?;
        let mut filters = Vec::with_capacity(count);
        for _ in 0..count {
            let mut longest = Longest::default();
            if has_pieces {
                longest = Longest { letters: cursor.u8()?, hex: cursor.u8()?, mixed: cursor.u8()?, uuid: cursor.u8()? };
            }
            let hex_texts = if version >= HEX_TEXTS_SINCE { cursor.u8()? } else { 0 };
            let bits = cursor.bytes()?.to_vec();
            if bits.is_empty() {
                return Err(cursor.fail("has an empty token filter"));
            }
            filters.push(TokenFilter { bits, longest, hex_texts });
        }
        if !has_pieces {
            filters.clear();
        }
        Ok(TokenFilters(filters))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.iter().map(|filter| filter.bits.len() + size_of::<TokenFilter>()).sum()
    }
}

#[cfg(test)]
mod tests;
