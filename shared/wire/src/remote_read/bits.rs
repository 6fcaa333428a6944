//! Bits into bytes, highest first, and the number formats of Prometheus's chunks (`tsdb/docs/format/chunks.md`).

/// Bits written so far.
#[derive(Debug, Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// Bits still free in the last byte.
    free: u32,
}

impl Bits {
    /// Starts behind a header.
    pub(super) fn after(header: &[u8]) -> Bits {
        Bits { bytes: header.to_vec(), free: 0 }
    }

    /// Returns the bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends the lowest `count` bits, at most 64.
    pub(super) fn push(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            let piece = (value >> (left - taken)) & ((1 << taken) - 1);
            let last = self.bytes.last_mut().expect("there is a byte with free bits");
            *last |= (piece << (self.free - taken)) as u8;
            self.free -= taken;
            left -= taken;
        }
    }

    /// Appends all bits of a float.
    pub(super) fn push_float(&mut self, value: f64) {
        self.push(value.to_bits(), 64);
    }

    /// Appends a number in the bytes of a protobuf varint.
    pub(super) fn push_varint(&mut self, value: u64) {
        let mut bytes = Vec::with_capacity(10);
        crate::protobuf::write::varint(&mut bytes, value);
        bytes.iter().for_each(|byte| self.push(u64::from(*byte), 8));
    }

    /// Appends a signed number in as many bits as its size needs: a prefix of ones says how many.
    pub(super) fn push_varbit(&mut self, value: i64) {
        let size = [3, 6, 9, 12, 18, 25, 56].iter().position(|bits| fits(value, *bits));
        self.push_sized(value as u64, value == 0, size);
    }

    /// Appends an unsigned number likewise.
    pub(super) fn push_varbit_unsigned(&mut self, value: u64) {
        let size = [3, 6, 9, 12, 18, 25, 56].iter().position(|bits| value >> bits == 0);
        self.push_sized(value, value == 0, size);
    }

    fn push_sized(&mut self, value: u64, zero: bool, size: Option<usize>) {
        const BITS: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];
        match size {
            _ if zero => self.push(0, 1),
            Some(size) => {
                // `size + 1` ones and a zero.
                self.push((1 << (size + 2)) - 2, size as u32 + 2);
                self.push(value, BITS[size]);
            }
            None => {
                self.push(0xff, 8);
                self.push(value, 64);
            }
        }
    }
}

/// Reports whether a number fits into so many bits; the ranges lean to the positive side.
pub(super) fn fits(value: i64, bits: u32) -> bool {
    -((1 << (bits - 1)) - 1) <= value && value <= 1 << (bits - 1)
}

/// A float that is written as what changed since the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Xor {
    value: u64,
    leading: u32,
    trailing: u32,
}

impl Xor {
    /// Starts with a value that was written in full.
    pub(super) fn new(value: f64) -> Xor {
        // No window yet: more leading zeros than there are bits.
        Xor { value: value.to_bits(), leading: 0xff, trailing: 0 }
    }

    /// Appends the next value.
    pub(super) fn push(&mut self, bits: &mut Bits, value: f64) {
        let delta = self.value ^ value.to_bits();
        self.value = value.to_bits();
        if delta == 0 {
            return bits.push(0, 1);
        }
        bits.push(1, 1);
        // Five bits hold the count of leading zeros.
        let (leading, trailing) = (delta.leading_zeros().min(31), delta.trailing_zeros());
        if self.leading != 0xff && leading >= self.leading && trailing >= self.trailing {
            bits.push(0, 1);
            return bits.push(delta >> self.trailing, 64 - self.leading - self.trailing);
        }
        (self.leading, self.trailing) = (leading, trailing);
        bits.push(1, 1);
        bits.push(u64::from(leading), 5);
        let significant = 64 - leading - trailing;
        // 64 does not fit into six bits; 0 stands for it.
        bits.push(u64::from(significant % 64), 6);
        bits.push(delta >> trailing, significant);
    }
}
