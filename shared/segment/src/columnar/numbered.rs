//! Texts of a column as numbers of distinct texts: dictionary pages are read without making a text of every row.

use hashbrown::HashMap;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::data_type::{ByteArray, ByteArrayType};

use super::logs_reader::{Source, expect};
use super::pages::read_error;
use crate::SegmentError;
use crate::cursor::Cursor;

/// The number of a row that has no text.
pub(super) const NONE: u32 = u32::MAX;

/// Texts of rows.
#[derive(Default)]
pub(super) struct Numbered {
    /// By number; a text may be there twice.
    pub(super) values: Vec<ByteArray>,
    /// By row.
    pub(super) rows: Vec<u32>,
}

impl Source<'_> {
    /// Reads a column of texts that is not repeated.
    pub(super) fn read_numbered(&self, column: usize) -> Result<Numbered, SegmentError> {
        let numbered = match self.read_dictionary(column)? {
            Some(numbered) => numbered,
            None => self.read_and_number(column)?,
        };
        expect(numbered.rows.len() == self.len())?;
        Ok(numbered)
    }

    /// As [`Source::read_numbered`]; `None` where some page has its texts itself, as the library writes them when they are many.
    fn read_dictionary(&self, column: usize) -> Result<Option<Numbered>, SegmentError> {
        let mut pages = self.layout.page_reader(self.group, column, self.fetched)?;
        let mut out = Numbered::default();
        let mut of_page = Vec::new();
        let mut ranges = self.rows.iter().cloned().peekable();
        let mut at = 0;
        let of_group = self.layout.group_rows(self.group);
        let rows_max = of_group.end - of_group.start;
        while let (Some(page), Some(range)) = (pages.peek_next_page().map_err(read_error)?, ranges.peek()) {
            if !page.is_dict {
                let Some(rows) = page.num_rows else { return Ok(None) };
                let end = at + rows as u64;
                if end <= range.start {
                    pages.skip_next_page().map_err(read_error)?;
                    at = end;
                    continue;
                }
            }
            match pages.get_next_page().map_err(read_error)? {
                Some(Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, .. }) => {
                    out.values = plain_texts(&buf, num_values)?;
                }
                Some(Page::DataPageV2 {
                    buf,
                    num_values,
                    num_nulls,
                    encoding: Encoding::RLE_DICTIONARY,
                    def_levels_byte_len,
                    rep_levels_byte_len: 0,
                    ..
                }) => {
                    // A run of a few bytes says any number of rows.
                    expect(u64::from(num_values) <= rows_max)?;
                    of_page.clear();
                    let levels = def_levels_byte_len as usize;
                    expect(levels < buf.len() || num_values == num_nulls)?;
                    numbers(&buf, levels, (num_values, num_nulls), &mut of_page)?;
                    let end = at + of_page.len() as u64;
                    while let Some(range) = ranges.peek_mut().filter(|range| range.start < end) {
                        let taken = range.start.max(at)..range.end.min(end);
                        out.rows.extend_from_slice(&of_page[(taken.start - at) as usize..(taken.end - at) as usize]);
                        if range.end > end {
                            range.start = end;
                            break;
                        }
                        ranges.next();
                    }
                    at = end;
                }
                _ => return Ok(None),
            }
        }
        let known = out.values.len() as u32;
        expect(out.rows.iter().all(|number| *number < known || *number == NONE))?;
        Ok(Some(out))
    }

    fn read_and_number(&self, column: usize) -> Result<Numbered, SegmentError> {
        let read = self.read_levels::<ByteArrayType>(column)?;
        let mut out = Numbered::default();
        // Rows that have a text from a dictionary share its bytes: where they lie is as good as what they are, and cheaper.
        let mut places: HashMap<(usize, usize), u32> = HashMap::new();
        let mut number = |value: ByteArray| {
            let place = (value.data().as_ptr() as usize, value.len());
            *places.entry(place).or_insert_with(|| {
                out.values.push(value);
                out.values.len() as u32 - 1
            })
        };
        let mut values = read.values.into_iter();
        let mut rows = Vec::with_capacity(self.len());
        match self.layout.is_nullable(column) {
            true => {
                for level in read.levels {
                    rows.push(if level > 0 { values.next().map_or(NONE, &mut number) } else { NONE });
                }
            }
            false => rows.extend(values.by_ref().map(&mut number)),
        }
        expect(values.next().is_none())?;
        out.rows = rows;
        Ok(out)
    }
}

/// Takes texts in PLAIN encoding apart.
fn plain_texts(bytes: &bytes::Bytes, count: u32) -> Result<Vec<ByteArray>, SegmentError> {
    let mut cursor = Cursor::new(bytes, "dictionary");
    cursor.expect_bytes(count as usize)?;
    let mut texts = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let len = cursor.u32()? as usize;
        let text = cursor.take(len)?;
        texts.push(ByteArray::from(bytes.slice_ref(text)));
    }
    cursor.finish()?;
    Ok(texts)
}

/// Appends the numbers of the rows of a page.
fn numbers(page: &[u8], levels: usize, (rows, nulls): (u32, u32), out: &mut Vec<u32>) -> Result<(), SegmentError> {
    let present = rows.checked_sub(nulls).ok_or_else(|| SegmentError::corrupt("page has more nulls than rows"))?;
    let (levels, values) = page.split_at_checked(levels).ok_or_else(|| SegmentError::corrupt("page is truncated"))?;
    if nulls == 0 {
        return match values.split_first().filter(|_| present > 0) {
            Some((width, packed)) => unpack(packed, u32::from(*width), present as usize, out),
            None => expect(present == 0),
        };
    }
    let mut found = Vec::with_capacity(present as usize);
    if let Some((width, packed)) = values.split_first().filter(|_| present > 0) {
        unpack(packed, u32::from(*width), present as usize, &mut found)?;
    }
    expect(found.len() == present as usize)?;
    let mut flags = Vec::with_capacity(rows as usize);
    unpack(levels, 1, rows as usize, &mut flags)?;
    let mut found = found.into_iter();
    out.extend(flags.into_iter().map(|flag| if flag > 0 { found.next().unwrap_or(NONE) } else { NONE }));
    expect(found.next().is_none())
}

/// Takes numbers in Parquet's hybrid of runs and bit packing apart, `count` of them, and appends them.
fn unpack(packed: &[u8], width: u32, count: usize, out: &mut Vec<u32>) -> Result<(), SegmentError> {
    let mut cursor = Cursor::new(packed, "dictionary indices");
    if width > 32 {
        return Err(cursor.fail("are wider than 32 bits"));
    }
    let end = out.len() + count;
    while out.len() < end {
        let (header, left) = (cursor.varint()?, end - out.len());
        let len = usize::try_from(header >> 1).map_err(|_| cursor.fail("has a run that is too long"))?;
        if len == 0 {
            return Err(cursor.fail("has an empty run"));
        }
        if header & 1 == 0 {
            let mut value = [0u8; 4];
            let bytes = cursor.take(width.div_ceil(8) as usize)?;
            value[..bytes.len()].copy_from_slice(bytes);
            out.resize(out.len() + len.min(left), u32::from_le_bytes(value));
            continue;
        }
        let bytes = cursor.take(len.saturating_mul(width as usize))?;
        unpack_bits(bytes, width, left.min(len.saturating_mul(8)), out);
    }
    Ok(())
}

/// Takes `count` numbers of `width` bits each apart, the first in the lowest bits.
fn unpack_bits(bytes: &[u8], width: u32, count: usize, out: &mut Vec<u32>) {
    let end = out.len() + count;
    match width {
        // As they are mostly written: no number straddles a byte.
        1 => unpack_bytes::<8>(bytes, count, out),
        2 => unpack_bytes::<4>(bytes, count, out),
        4 => unpack_bytes::<2>(bytes, count, out),
        8 => out.extend(bytes[..count.min(bytes.len())].iter().map(|byte| u32::from(*byte))),
        16 => out.extend(bytes.chunks_exact(2).take(count).map(|two| u32::from(two[0]) | u32::from(two[1]) << 8)),
        _ => {
            let (mut bits, mut held, mut bytes) = (0u64, 0, bytes.iter());
            for _ in 0..count {
                while held < width {
                    bits |= u64::from(bytes.next().copied().unwrap_or(0)) << held;
                    held += 8;
                }
                out.push((bits & ((1u64 << width) - 1)) as u32);
                bits >>= width;
                held -= width;
            }
        }
    }
    debug_assert_eq!(out.len(), end, "groups of eight numbers have all their bytes");
}

/// Takes `count` numbers apart, of which `N` are in each byte.
fn unpack_bytes<const N: usize>(bytes: &[u8], count: usize, out: &mut Vec<u32>) {
    let (start, width) = (out.len(), 8 / N);
    let bytes = &bytes[..count.div_ceil(N).min(bytes.len())];
    out.resize(start + bytes.len() * N, 0);
    for (numbers, byte) in out[start..].chunks_exact_mut(N).zip(bytes) {
        for (at, number) in numbers.iter_mut().enumerate() {
            *number = u32::from(*byte) >> (at * width) & ((1 << width) - 1);
        }
    }
    out.truncate(start + count);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_packed_numbers_are_unpacked() {
        let unpacked = |packed: &[u8], width, count| {
            let mut out = vec![77];
            unpack(packed, width, count, &mut out).map(|()| out.split_off(1))
        };
        // The example of Parquet's specification: 0 to 7 in three bits each.
        assert_eq!(unpacked(&[3, 0b1000_1000, 0b1100_0110, 0b1111_1010], 3, 8).unwrap(), (0..8).collect::<Vec<_>>());
        assert_eq!(unpacked(&[8, 0x2c, 1, 3, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0], 9, 5).unwrap(), [300, 300, 300, 300, 511]);
        assert_eq!(unpacked(&[3, 0b1110_0100, 0b0001_1011], 2, 7).unwrap(), [0, 1, 2, 3, 3, 2, 1]);
        assert_eq!(unpacked(&[3, 0b1010_0001], 1, 8).unwrap(), [1, 0, 0, 0, 0, 1, 0, 1]);
        assert_eq!(unpacked(&[3, 0x21, 0x43, 0x65, 0x87], 4, 5).unwrap(), [1, 2, 3, 4, 5]);
        assert_eq!(unpacked(&[3, 1, 2, 3, 250, 5, 6, 7, 8], 8, 8).unwrap(), [1, 2, 3, 250, 5, 6, 7, 8]);
        let wide: Vec<u8> = std::iter::once(3).chain((0..16).map(|at| at * 3)).collect();
        assert_eq!(unpacked(&wide, 16, 3).unwrap(), [0x0300, 0x0906, 0x0f0c]);
        assert_eq!(unpacked(&[6, 5], 3, 2).unwrap(), [5, 5]);
        assert_eq!(unpacked(&[6], 0, 3).unwrap(), [0, 0, 0]);
        assert!(unpacked(&[0, 5], 3, 2).is_err() && unpacked(&[3, 0], 3, 8).is_err() && unpacked(&[6, 5], 33, 3).is_err());
    }
}
