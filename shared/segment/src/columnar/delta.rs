//! DELTA_BINARY_PACKED with blocks of 128 in four miniblocks: small ones follow a change of pace sooner than the library's.

use model::labels::put_varint;

use crate::cursor::put_zigzag;

const BLOCK: usize = 128;
const MINIBLOCK: usize = 32;

/// How wide a miniblock is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Width {
    /// As few bits as hold the values.
    Exact,
    /// 1, 2, 4 or 8 bits below nine: repeats stay aligned to bytes, where zstd finds them and Huffman codes count.
    Aligned,
}

impl Width {
    fn round(self, bits: u32) -> u32 {
        match self {
            Width::Aligned if bits <= 8 => bits.next_power_of_two() * u32::from(bits > 0),
            _ => bits,
        }
    }
}

/// Appends the encoding of `values`.
pub(super) fn encode(values: &[i64], width: Width, out: &mut Vec<u8>) {
    put_varint(out, BLOCK as u64);
    put_varint(out, (BLOCK / MINIBLOCK) as u64);
    put_varint(out, values.len() as u64);
    let mut previous = values.first().copied().unwrap_or(0);
    put_zigzag(out, previous);
    let mut deltas = [0i64; BLOCK];
    for block in values.get(1..).unwrap_or(&[]).chunks(BLOCK) {
        for (delta, value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(previous);
            previous = *value;
        }
        encode_block(&deltas[..block.len()], width, out);
    }
}

fn encode_block(deltas: &[i64], width: Width, out: &mut Vec<u8>) {
    let least = deltas.iter().copied().min().unwrap_or(0);
    put_zigzag(out, least);
    let widths_at = out.len();
    out.extend_from_slice(&[0; BLOCK / MINIBLOCK]);
    for (index, miniblock) in deltas.chunks(MINIBLOCK).enumerate() {
        let mut words = [0u64; MINIBLOCK];
        words.iter_mut().zip(miniblock).for_each(|(word, delta)| *word = delta.wrapping_sub(least) as u64);
        let all = words.iter().fold(0, |all, word| all | word);
        let bits = width.round(64 - all.leading_zeros());
        out[widths_at + index] = bits as u8;
        pack(&words, bits, out);
    }
}

/// Packs 32 words of `bits` bits, the first in the lowest bits.
fn pack(words: &[u64; MINIBLOCK], bits: u32, out: &mut Vec<u8>) {
    if bits == 0 {
        return;
    }
    let (mut buffer, mut filled) = (0u128, 0);
    for word in words {
        buffer |= u128::from(*word) << filled;
        filled += bits;
        if filled >= 64 {
            out.extend_from_slice(&(buffer as u64).to_le_bytes());
            buffer >>= 64;
            filled -= 64;
        }
    }
    // 32 words of any width end on a multiple of four bytes.
    out.extend_from_slice(&(buffer as u64).to_le_bytes()[..filled as usize / 8]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::basic::Encoding;

    /// Reads a page of ours with the library's reader.
    fn decoded(values: &[i64], width: Width) -> Vec<i64> {
        let mut raw = Vec::new();
        encode(values, width, &mut raw);
        super::super::values::tests::read_back(raw, values.len(), Encoding::DELTA_BINARY_PACKED)
    }

    #[test]
    fn the_library_reads_what_we_pack() {
        let mut random = 1u64;
        let mut next = |bits: u32| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> (64 - bits)) as i64
        };
        for len in [1, 2, 31, 32, 33, 128, 129, 130, 1000] {
            for bits in [1, 3, 5, 8, 9, 17, 33, 63, 64] {
                let values: Vec<i64> = (0..len).map(|_| next(bits)).collect();
                for width in [Width::Exact, Width::Aligned] {
                    assert_eq!(decoded(&values, width), values, "{len} values of {bits} bits, {width:?}");
                }
            }
        }
        let extremes = [i64::MIN, i64::MAX, 0, i64::MIN, -1, i64::MAX];
        assert_eq!(decoded(&extremes, Width::Exact), extremes);
    }
}
