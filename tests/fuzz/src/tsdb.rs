//! Blocks of Prometheus's TSDB. Checksums guard every part of a file, so chunks are decoded without their frame, and what stands in
//! frames is sealed anew.

use wire::tsdb::{Meta, Tombstones, chunk, index};

/// The encoding's number, then a chunk's data.
pub(crate) fn tsdb_chunk(data: &[u8]) {
    let Some((encoding, data)) = data.split_first() else { return };
    let (mut samples, mut buckets) = (0usize, 0usize);
    let _ = chunk::decode_data(*encoding, data, &mut |sample| {
        samples += 1;
        if let chunk::Value::Histogram(histogram) = sample.value {
            buckets = buckets.max(histogram.positive_buckets.len() + histogram.negative_buckets.len());
        }
    });
    assert!(samples <= usize::from(u16::MAX) && buckets <= data.len() * 8, "{samples} samples of {buckets} buckets");
}

/// The kind of a part, then its bytes.
pub(crate) fn tsdb_block(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let sealed = [data, &crc32c(data).to_be_bytes()].concat();
    match kind % 8 {
        0 => drop(Meta::decode(data)),
        1 => drop(Tombstones::decode(&[b"\x01\x30\xba\x30\x01", &sealed[..]].concat())),
        2 => drop(index::Toc::decode(&sealed)),
        3 => drop(index::Symbols::decode(&sealed)),
        4 => drop(index::postings(&sealed)),
        5 => drop((index::all_postings(data), index::section_bytes(data), index::series_bytes(data), index::check_head(data))),
        6 => {
            let text = b"\x00\x00\x00\x04\x01a\x01b\x01c\x01d";
            let symbols = index::Symbols::decode(&[&text[..], &crc32c(text).to_be_bytes()].concat()).expect("four symbols");
            drop(index::SeriesEntry::decode(&sealed, &symbols));
        }
        _ => {
            drop((chunk::framed_bytes(data), chunk::check_head(data)));
            drop(chunk::decode(data, &mut |_| ()));
        }
    }
}

/// CRC-32 with Castagnoli's polynomial, a bit at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| bit(sum)))
}
