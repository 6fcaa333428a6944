//! Taking numbers off the front of bytes, and the two frames that carry a checksum.

use model::labels::take_varint;

use super::BlockError;
use crate::crc32c;

/// Bytes of a checksum.
pub(super) const CRC_BYTES: usize = 4;

/// What is left of a part of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(what: &'static str, rest: &'a [u8]) -> Cursor<'a> {
        Cursor { what, rest }
    }

    /// Takes a frame's content off the front of `bytes`, which ends with the checksum of the content.
    pub(super) fn checked(what: &'static str, bytes: &'a [u8]) -> Result<Cursor<'a>, BlockError> {
        let (content, sum) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(BlockError::Truncated { what })?;
        let (found, expected) = (crc32c::of(content), u32::from_be_bytes(*sum));
        if found != expected {
            return Err(BlockError::Checksum { what, found, expected });
        }
        Ok(Cursor::new(what, content))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], BlockError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(self.truncated())?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BlockError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(self.truncated())?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, BlockError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn be32(&mut self) -> Result<u32, BlockError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn be64(&mut self) -> Result<u64, BlockError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn varint(&mut self) -> Result<u64, BlockError> {
        take_varint(&mut self.rest).ok_or(self.truncated())
    }

    /// Takes a varint that counts or measures something inside these bytes.
    pub(super) fn length(&mut self) -> Result<usize, BlockError> {
        let len = self.varint()?;
        usize::try_from(len).map_err(|_| self.truncated())
    }

    /// Takes a signed varint, zigzag encoded.
    pub(super) fn signed(&mut self) -> Result<i64, BlockError> {
        Ok(zigzag(self.varint()?))
    }

    pub(super) fn corrupt(&self, how: impl Into<String>) -> BlockError {
        BlockError::corrupt(self.what, how)
    }

    fn truncated(&self) -> BlockError {
        BlockError::Truncated { what: self.what }
    }
}

/// Returns the signed number that a zigzag encoding stands for.
pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
