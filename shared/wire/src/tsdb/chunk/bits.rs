//! Bits out of bytes, highest first, and the number formats of chunks. `None`: the bytes end, or no writer makes such bits.

use crate::tsdb::cursor::zigzag;

/// What is left to read.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// The lowest `held` bits are next.
    buffer: u64,
    held: u32,
}

/// Bits of a number by the count of ones in front of it.
const SIZES: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

impl<'a> Bits<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Bits<'a> {
        Bits { rest, buffer: 0, held: 0 }
    }

    /// Counts the bits left: a bound on how many numbers may follow.
    pub(super) fn len(&self) -> usize {
        self.rest.len() * 8 + self.held as usize
    }

    /// Takes `count` bits, at most 64.
    pub(super) fn take(&mut self, count: u32) -> Option<u64> {
        if count <= self.held {
            self.held -= count;
            return Some(self.buffer >> self.held & mask(count));
        }
        let (high, missing) = (self.buffer & mask(self.held), count - self.held);
        let (bytes, rest) = self.rest.split_at(self.rest.len().min(8));
        self.buffer = bytes.iter().fold(0, |buffer, byte| buffer << 8 | u64::from(*byte));
        (self.rest, self.held) = (rest, bytes.len() as u32 * 8);
        // Never all 64 at once here and then none: at least one is missing.
        self.held = self.held.checked_sub(missing)?;
        let low = self.buffer >> self.held & mask(missing);
        Some(if missing == 64 { low } else { high << missing | low })
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        self.take(64).map(f64::from_bits)
    }

    /// Takes a signed number of `size` bits; the ranges lean to the positive side.
    pub(super) fn signed(&mut self, size: u32) -> Option<i64> {
        let raw = self.take(size)?;
        let negative = (1..64).contains(&size) && raw > 1 << (size - 1);
        Some(if negative { raw.wrapping_sub(1 << size) as i64 } else { raw as i64 })
    }

    /// Counts ones up to a zero, or to `max`.
    pub(super) fn ones(&mut self, max: usize) -> Option<usize> {
        for count in 0..max {
            if !self.bit()? {
                return Some(count);
            }
        }
        Some(max)
    }

    /// Takes a signed number of as many bits as it needed.
    pub(super) fn varbit(&mut self) -> Option<i64> {
        let size = SIZES[self.ones(8)?];
        self.signed(size)
    }

    /// Takes an unsigned one.
    pub(super) fn varbit_unsigned(&mut self) -> Option<u64> {
        let size = SIZES[self.ones(8)?];
        self.take(size)
    }

    /// Takes a varint of whole bytes.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for index in 0..10 {
            let byte = self.take(8)?;
            value |= (byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return (index < 9 || byte <= 1).then_some(value);
            }
        }
        None
    }

    /// Takes a signed varint of whole bytes.
    pub(super) fn varint_signed(&mut self) -> Option<i64> {
        self.varint().map(zigzag)
    }
}

fn mask(count: u32) -> u64 {
    if count == 64 { u64::MAX } else { (1 << count) - 1 }
}

/// A float that is written as what changed since the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Xor {
    value: u64,
    leading: u32,
    trailing: u32,
}

impl Xor {
    /// Starts with a value that was written in full.
    pub(super) fn new(value: f64) -> Xor {
        Xor { value: value.to_bits(), leading: 0, trailing: 0 }
    }

    pub(super) fn value(self) -> f64 {
        f64::from_bits(self.value)
    }

    /// Takes the next value.
    pub(super) fn next(&mut self, bits: &mut Bits<'_>) -> Option<f64> {
        if bits.bit()? {
            let same_window = !bits.bit()?;
            return self.changed(bits, same_window);
        }
        Some(self.value())
    }

    /// Takes a value that is known to differ.
    pub(super) fn changed(&mut self, bits: &mut Bits<'_>, same_window: bool) -> Option<f64> {
        if !same_window {
            self.leading = bits.take(5)? as u32;
            // 64 does not fit into six bits; 0 stands for it.
            let significant = match bits.take(6)? as u32 {
                0 => 64,
                significant => significant,
            };
            self.trailing = 64u32.checked_sub(self.leading + significant)?;
        }
        self.value ^= bits.take(64 - self.leading - self.trailing)? << self.trailing;
        Some(self.value())
    }
}
