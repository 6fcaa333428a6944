//! Pages as the library reads them, decompressed with one zstd context per thread.
//!
//! The library makes a context to compress and one to decompress for each column that is opened, which takes longer than a small page.

use std::cell::RefCell;

use bytes::Bytes;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

use crate::SegmentError;
use crate::frame::raw_len_max;

/// Decompresses the pages of another reader, which leaves them as they are stored.
pub(super) struct Unpacked<R>(pub(super) R);

impl<R: PageReader> PageReader for Unpacked<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.0.get_next_page()?.map(unpacked).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.0.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.0.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.0.at_record_boundary()
    }
}

impl<R: PageReader> Iterator for Unpacked<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.get_next_page().transpose()
    }
}

fn unpacked(mut page: Page) -> Result<Page> {
    match &mut page {
        Page::DictionaryPage { buf, .. } | Page::DataPage { buf, .. } => *buf = decompressed(buf, 0)?,
        Page::DataPageV2 { buf, is_compressed, def_levels_byte_len, rep_levels_byte_len, .. } if *is_compressed => {
            *buf = decompressed(buf, *def_levels_byte_len as usize + *rep_levels_byte_len as usize)?;
            *is_compressed = false;
        }
        Page::DataPageV2 { .. } => {}
    }
    Ok(page)
}

/// Decompresses what stands behind `levels` bytes, which stay as they are. The frame says how long it gets, and may not lie far: the
/// bytes were checked against their sum, which an attacker can write as well.
fn decompressed(stored: &Bytes, levels: usize) -> Result<Bytes> {
    thread_local!(static CONTEXT: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) });
    let corrupt = |why: &str| ParquetError::External(Box::new(SegmentError::corrupt(format!("page {why}"))));
    let (levels, packed) = stored.split_at_checked(levels).ok_or_else(|| corrupt("is truncated"))?;
    if packed.is_empty() {
        return Ok(stored.clone());
    }
    let claimed = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    let len =
        claimed.filter(|len| *len <= raw_len_max(packed.len()) as u64).ok_or_else(|| corrupt("does not say how long it is"))?;
    let mut out = Vec::with_capacity(levels.len() + len as usize);
    out.extend_from_slice(levels);
    CONTEXT.with_borrow_mut(|slot| {
        let context = match slot {
            Some(context) => context,
            None => slot.insert(zstd::bulk::Decompressor::new()?),
        };
        let mut cursor = std::io::Cursor::new(&mut out);
        cursor.set_position(levels.len() as u64);
        context.decompress_to_buffer(packed, &mut cursor)
    })?;
    match out.len() == levels.len() + len as usize {
        true => Ok(out.into()),
        false => Err(corrupt("is shorter than it says")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_say_how_long_they_get() {
        let packed = Bytes::from([b"ab".to_vec(), zstd::bulk::compress(b"what was packed", 1).unwrap()].concat());
        assert_eq!(decompressed(&packed, 2).unwrap(), "abwhat was packed");
        assert_eq!(decompressed(&packed.slice(..2), 2).unwrap(), "ab", "a page of levels alone");
        assert!(decompressed(&packed, 100).is_err(), "levels that are not there");
        assert!(decompressed(&packed.slice(..packed.len() - 1), 2).is_err());
        // Magic, a descriptor with eight bytes of length, two GiB: as long as 64 KiB could get, were each block of three bytes.
        let mut lies = [&[0x28, 0xB5, 0x2F, 0xFD, 0xE0][..], &(2u64 << 30).to_le_bytes()].concat();
        lies.resize(1 << 16, 0);
        let error = decompressed(&lies.into(), 0).unwrap_err().to_string();
        assert!(error.contains("does not say how long it is"), "{error}");
    }
}
