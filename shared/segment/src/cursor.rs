//! Reading little-endian numbers and varints from bytes that may be anything, and writing them.

use model::labels::{put_varint, take_varint};

use crate::SegmentError;

/// Takes values off the front of a slice; `what` names the part in errors.
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Cursor<'a> {
        Cursor { rest: bytes, what }
    }

    pub(crate) fn fail(&self, how: &str) -> SegmentError {
        SegmentError::corrupt(format!("{} {how}", self.what))
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], SegmentError> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or_else(|| self.fail("is truncated"))?;
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, SegmentError> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, SegmentError> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes were taken")))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, SegmentError> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes were taken")))
    }

    pub(crate) fn f64(&mut self) -> Result<f64, SegmentError> {
        Ok(f64::from_bits(self.u64()?))
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, SegmentError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            [low, middle, high, rest @ ..] if *high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*middle & 0x7f) << 7 | u64::from(*high) << 14)
            }
            _ => take_varint(&mut self.rest).ok_or_else(|| self.fail("has a bad varint")),
        }
    }

    #[inline]
    pub(crate) fn zigzag(&mut self) -> Result<i64, SegmentError> {
        self.varint().map(unzigzag)
    }

    /// Takes a signed number for each item. What is left stays in a register in between, and most numbers have one byte.
    #[inline]
    pub(crate) fn zigzags<T>(
        &mut self,
        items: &mut [T],
        mut each: impl FnMut(&mut T, i64) -> Result<(), &'static str>,
    ) -> Result<(), SegmentError> {
        let mut rest = self.rest;
        for item in items {
            let number = match rest {
                [byte, tail @ ..] if *byte < 0x80 => {
                    rest = tail;
                    u64::from(*byte)
                }
                _ => {
                    self.rest = rest;
                    let number = self.varint()?;
                    rest = self.rest;
                    number
                }
            };
            each(item, unzigzag(number)).map_err(|how| self.fail(how))?;
        }
        self.rest = rest;
        Ok(())
    }

    #[inline]
    pub(crate) fn u32_varint(&mut self) -> Result<u32, SegmentError> {
        u32::try_from(self.varint()?).map_err(|_| self.fail("has a number past 32 bits"))
    }

    /// Takes so many numbers, each of which has a byte at least: what the file cannot hold is not allocated for.
    pub(crate) fn varints(&mut self, count: usize) -> Result<Vec<u64>, SegmentError> {
        self.expect_bytes(count)?;
        let mut numbers = Vec::with_capacity(count);
        for _ in 0..count {
            numbers.push(self.varint()?);
        }
        Ok(numbers)
    }

    /// As [`Cursor::varints`], of numbers of 32 bits.
    pub(crate) fn u32_varints(&mut self, count: usize) -> Result<Vec<u32>, SegmentError> {
        self.expect_bytes(count)?;
        let mut numbers = Vec::with_capacity(count);
        for _ in 0..count {
            numbers.push(self.u32_varint()?);
        }
        Ok(numbers)
    }

    /// Takes a count of items that take at least one byte each, so that no false count allocates more than the file has.
    pub(crate) fn count(&mut self) -> Result<usize, SegmentError> {
        let count = self.varint()?;
        if count > self.rest.len() as u64 {
            return Err(self.fail("counts more items than it has bytes"));
        }
        Ok(count as usize)
    }

    /// Fails unless at least `len` bytes are left: asked before allocating for items that take a byte each.
    pub(crate) fn expect_bytes(&self, len: usize) -> Result<(), SegmentError> {
        if len <= self.rest.len() { Ok(()) } else { Err(self.fail("is truncated")) }
    }

    /// Takes `count` bytes if all of them are 0: so many numbers that are 0.
    pub(crate) fn zeros(&mut self, count: usize) -> bool {
        let zeros = self.rest.get(..count).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        if zeros {
            self.rest = &self.rest[count..];
        }
        zeros
    }

    /// Takes a length and as many bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], SegmentError> {
        let len = self.count()?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, SegmentError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.fail("has text that is not UTF-8"))
    }

    pub(crate) fn finish(&self) -> Result<(), SegmentError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.fail("has bytes left over")) }
    }
}

#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[inline]
pub(crate) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Splits 64-bit words into eight planes of bytes: equal exponents and empty mantissas become runs.
pub(crate) fn put_planes(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = u64>) {
    let len = words.len();
    let start = out.len();
    out.resize(start + 8 * len, 0);
    let (p0, rest) = out[start..].split_at_mut(len);
    let (p1, rest) = rest.split_at_mut(len);
    let (p2, rest) = rest.split_at_mut(len);
    let (p3, rest) = rest.split_at_mut(len);
    let (p4, rest) = rest.split_at_mut(len);
    let (p5, rest) = rest.split_at_mut(len);
    let (p6, p7) = rest.split_at_mut(len);
    for (i, word) in words.enumerate() {
        let b = word.to_le_bytes();
        p0[i] = b[0];
        p1[i] = b[1];
        p2[i] = b[2];
        p3[i] = b[3];
        p4[i] = b[4];
        p5[i] = b[5];
        p6[i] = b[6];
        p7[i] = b[7];
    }
}

/// Joins eight planes of `len` bytes into doubles.
pub(crate) fn planes_to_f64(planes: &[u8], len: usize) -> Vec<f64> {
    debug_assert_eq!(planes.len(), 8 * len);
    let plane = |index: usize| &planes[index * len..(index + 1) * len];
    let (p0, p1, p2, p3) = (plane(0), plane(1), plane(2), plane(3));
    let (p4, p5, p6, p7) = (plane(4), plane(5), plane(6), plane(7));
    (0..len).map(|i| f64::from_le_bytes([p0[i], p1[i], p2[i], p3[i], p4[i], p5[i], p6[i], p7[i]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        let mut out = Vec::new();
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            put_zigzag(&mut out, value);
        }
        let mut cursor = Cursor::new(&out, "test");
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(cursor.zigzag().unwrap(), value);
        }
        cursor.finish().unwrap();
        assert!(cursor.u8().is_err());
        let mut out = Vec::new();
        let values = [0, 1, 127, 128, 255, 16_383, 16_384, 1 << 21, u64::MAX];
        values.iter().for_each(|value| put_varint(&mut out, *value));
        let mut cursor = Cursor::new(&out, "test");
        assert!(values.iter().all(|value| cursor.varint().unwrap() == *value));
        assert!(Cursor::new(&[0x80], "test").varint().is_err());
        let mut cursor = Cursor::new(&[0, 0, 1], "test");
        assert!(!cursor.zeros(3) && !cursor.zeros(4) && cursor.zeros(2));
        assert_eq!(cursor.u8().unwrap(), 1);
    }

    #[test]
    fn planes_round_trip() {
        let values = [1.5, f64::NAN, -0.0, f64::from_bits(0x7ff0_0000_0000_0002)];
        let mut out = Vec::new();
        put_planes(&mut out, values.iter().map(|value| value.to_bits()));
        let back = planes_to_f64(&out, values.len());
        assert!(back.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
