//! Deletions that a block carries until it is rewritten (upstream `tsdb/docs/format/tombstones.md`).

use std::collections::BTreeMap;

use super::BlockError;
use super::cursor::Cursor;
use super::limits::TOMBSTONES_BYTES_MAX;

const WHAT: &str = "tombstones";
const MAGIC: u32 = 0x0130_ba30;
const VERSION: u8 = 1;
/// Magic and version, which the checksum does not cover.
const HEAD_BYTES: usize = 5;

/// Deleted times by series; both ends are deleted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tombstones(BTreeMap<u64, Vec<(i64, i64)>>);

impl Tombstones {
    /// Decodes the file.
    pub fn decode(bytes: &[u8]) -> Result<Tombstones, BlockError> {
        if bytes.len() > TOMBSTONES_BYTES_MAX {
            return Err(BlockError::TooLarge { what: WHAT, bytes: bytes.len() as u64, limit: TOMBSTONES_BYTES_MAX });
        }
        let mut head = Cursor::new(WHAT, bytes);
        if head.be32()? != MAGIC {
            return Err(head.corrupt("it does not begin as one"));
        }
        match head.byte()? {
            VERSION => {}
            version => return Err(BlockError::Version { what: WHAT, version }),
        }
        let mut stones = Cursor::checked(WHAT, &bytes[HEAD_BYTES..])?;
        let mut by_series = BTreeMap::<u64, Vec<(i64, i64)>>::new();
        while !stones.is_empty() {
            let (series, first, last) = (stones.varint()?, stones.signed()?, stones.signed()?);
            by_series.entry(series).or_default().push((first, last));
        }
        Ok(Tombstones(by_series))
    }

    /// Returns what is deleted of a series, by its number in the index.
    pub fn of(&self, series: u32) -> &[(i64, i64)] {
        self.0.get(&u64::from(series)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crc32c;

    fn file(stones: &[u8]) -> Vec<u8> {
        [&MAGIC.to_be_bytes(), &[VERSION][..], stones, &crc32c::of(stones).to_be_bytes()].concat()
    }

    #[test]
    fn stones_are_found_by_series() {
        let read = Tombstones::decode(&file(&[7, 2, 20, 7, 40, 40])).unwrap();
        assert_eq!(read.of(7), [(1, 10), (20, 20)]);
        assert_eq!(read.of(8), []);
        assert_eq!(Tombstones::decode(&file(&[])).unwrap(), Tombstones::default());
    }

    #[test]
    fn every_bit_is_guarded() {
        let good = file(&[7, 2, 20]);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Tombstones::decode(&bad).is_err(), "bit {bit}");
        }
        assert!((0..good.len()).all(|len| Tombstones::decode(&good[..len]).is_err()));
    }
}
