//! Token filters: which words may be in the lines of a row group. They prune needle searches.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use model::labels::put_varint;
use xxhash_rust::xxh3::xxh3_64;

use crate::SegmentError;
use crate::cursor::Cursor;

/// Words shorter than this are everywhere and prune nothing.
const WORD_BYTES_MIN: usize = 3;
/// Bits per distinct word: about 2 % false positives with 6 probes. Twelve would be 0.5 % and cost half as many bytes again.
const BITS_PER_WORD: usize = 8;
const PROBES: u64 = 6;

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

/// Collects the distinct words of one row group.
#[derive(Default)]
pub(crate) struct TokenSet {
    hashes: HashSet<u64, BuildHasherDefault<Identity>>,
}

impl TokenSet {
    pub(crate) fn add_line(&mut self, line: &[u8]) {
        words(line).for_each(|(word, _, _)| {
            self.hashes.insert(xxh3_64(word));
        });
    }

    /// Ends the row group: returns its filter and starts anew.
    pub(crate) fn take_filter(&mut self) -> TokenFilter {
        let mut bits = vec![0u8; (self.hashes.len() * BITS_PER_WORD).div_ceil(8).max(8)];
        for hash in self.hashes.drain() {
            for bit in probes(hash, bits.len()) {
                bits[bit / 8] |= 1 << (bit % 8);
            }
        }
        TokenFilter { bits }
    }
}

/// Cuts a line into words of letters, digits, `_` and bytes past ASCII; says whether a word touches the start or the end.
fn words(line: &[u8]) -> impl Iterator<Item = (&[u8], bool, bool)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < line.len() {
            let start = at + line[at..].iter().position(|byte| is_word(*byte))?;
            let end = line[start..].iter().position(|byte| !is_word(*byte)).map_or(line.len(), |len| start + len);
            at = end + 1;
            if end - start >= WORD_BYTES_MIN {
                return Some((&line[start..end], start == 0, end == line.len()));
            }
        }
        None
    })
}

#[inline]
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn probes(hash: u64, size_bytes: usize) -> impl Iterator<Item = usize> {
    let step = (hash >> 32) | 1;
    (0..PROBES).map(move |i| (hash.wrapping_add(i.wrapping_mul(step)) % (size_bytes as u64 * 8)) as usize)
}

/// A Bloom filter over the words of one row group.
#[derive(Debug, PartialEq)]
pub(crate) struct TokenFilter {
    bits: Vec<u8>,
}

impl TokenFilter {
    fn may_contain(&self, word: &[u8]) -> bool {
        probes(xxh3_64(word), self.bits.len()).all(|bit| self.bits[bit / 8] & (1 << (bit % 8)) != 0)
    }

    /// Reports whether the filter knows every word of a line that is there.
    pub(crate) fn knows_line(&self, line: &[u8]) -> bool {
        words(line).all(|(word, _, _)| self.may_contain(word))
    }

    /// Reports whether some line may contain the needle. Only words that stand free inside the needle are asked:
    /// one at its edge may be a part of a longer word.
    pub(crate) fn may_contain_needle(&self, needle: &[u8]) -> bool {
        words(needle).filter(|(_, first, last)| !first && !last).all(|(word, _, _)| self.may_contain(word))
    }
}

/// The filters of a log segment, by row group.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct TokenFilters(pub(crate) Vec<TokenFilter>);

impl TokenFilters {
    /// Appends the filters.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        for filter in &self.0 {
            crate::cursor::put_bytes(out, &filter.bits);
        }
    }

    pub(crate) fn take(cursor: &mut Cursor<'_>) -> Result<TokenFilters, SegmentError> {
        let count = cursor.count()?;
        let mut filters = Vec::with_capacity(count);
        for _ in 0..count {
            let bits = cursor.bytes()?.to_vec();
            if bits.is_empty() {
                return Err(cursor.fail("has an empty token filter"));
            }
            filters.push(TokenFilter { bits });
        }
        Ok(TokenFilters(filters))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.iter().map(|filter| filter.bits.len() + 24).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_are_judged_by_their_free_words() {
        let mut set = TokenSet::default();
        set.add_line(b"level=error msg=\"connection refused\" trace=0af7651916cd43dd");
        let filter = set.take_filter();
        for present in
            [&b"error"[..], b" refused\"", b"=error ", b"onnection ref", b"trace=0af7651916cd43dd", b"", b"=0af7651916cd43dd"]
        {
            assert!(filter.may_contain_needle(present), "{}", String::from_utf8_lossy(present));
        }
        assert!(!filter.may_contain_needle(b"=warning "));
        assert!(!filter.may_contain_needle(b" 1bf7651916cd43dd "));
    }
}
