use super::*;
use crate::tsdb::chunk::{self, tests::line};
use crate::tsdb::{Meta, Tombstones};

const INDEX: &[u8] = include_bytes!("../../../tests/golden/tsdb/block/index");
const CHUNKS: &[u8] = include_bytes!("../../../tests/golden/tsdb/block/chunks/000001");
const TOMBSTONES: &[u8] = include_bytes!("../../../tests/golden/tsdb/block/tombstones");
const META: &[u8] = include_bytes!("../../../tests/golden/tsdb/block/meta.json");
const SAMPLES: &str = include_str!("../../../tests/golden/tsdb/samples.txt");

const TRUNCATED: BlockError = BlockError::Truncated { what: "test" };

/// What lies at an offset, at most `len` bytes of it.
fn at(file: &[u8], offset: u64, len: usize) -> Result<&[u8], BlockError> {
    let rest = file.get(usize::try_from(offset).unwrap_or(usize::MAX)..).ok_or(TRUNCATED)?;
    Ok(&rest[..rest.len().min(len)])
}

fn section(index: &[u8], offset: u64) -> Result<&[u8], BlockError> {
    let len = section_bytes(at(index, offset, SECTION_HEAD_BYTES)?)?;
    at(index, offset.saturating_add(SECTION_HEAD_BYTES as u64), len)
}

/// Reads a whole block that is held in memory, as lines of the golden file.
fn read(index: &[u8], chunks: &[u8], tombstones: &Tombstones) -> Result<Vec<String>, BlockError> {
    check_head(index)?;
    chunk::check_head(chunks)?;
    let toc = Toc::decode(&index[index.len().saturating_sub(TOC_BYTES)..])?;
    let symbols = Symbols::decode(section(index, toc.symbols)?)?;
    let numbers = postings(section(index, all_postings(at(index, toc.postings_table, FIRST_POSTINGS_BYTES)?)?)?)?;
    let mut lines = Vec::new();
    for number in numbers {
        let (start, len) = series_bytes(at(index, series_offset(number), SERIES_HEAD_BYTES)?)?;
        let entry = SeriesEntry::decode(at(index, series_offset(number) + start as u64, len)?, &symbols)?;
        lines.push(format!("series {}", model::LabelSet::from_pairs(entry.labels.iter().copied())));
        for place in &entry.chunks {
            let len = chunk::framed_bytes(at(chunks, u64::from(place.offset), chunk::LENGTH_BYTES)?)?;
            let mut times = Vec::new();
            chunk::decode(at(chunks, u64::from(place.offset), len)?, &mut |sample| {
                let at = sample.timestamp.0;
                times.push(at);
                if !tombstones.of(number).iter().any(|(first, last)| (*first..=*last).contains(&at)) {
                    lines.push(line(&sample));
                }
            })?;
            assert_eq!((times.first(), times.last()), (Some(&place.first), Some(&place.last)));
        }
    }
    Ok(lines)
}

#[test]
fn a_block_is_read_as_upstream_reads_it() {
    let meta = Meta::decode(META).unwrap();
    assert_eq!((meta.samples(), meta.thanos), (5 * 300 + 2 * 60, None));
    let tombstones = Tombstones::decode(TOMBSTONES).unwrap();
    let lines = read(INDEX, CHUNKS, &tombstones).unwrap();
    let expected: Vec<&str> = SAMPLES.lines().collect();
    assert_eq!(lines, expected);
    // And the deletion leaves something out.
    assert!(read(INDEX, CHUNKS, &Tombstones::default()).unwrap().len() > lines.len());
}

#[test]
fn whatever_is_read_is_guarded() {
    let expected = read(INDEX, CHUNKS, &Tombstones::default()).unwrap();
    let halves = |damaged: &[u8], is_index: bool| {
        let (index, chunks) = if is_index { (damaged, CHUNKS) } else { (INDEX, damaged) };
        read(index, chunks, &Tombstones::default())
    };
    for (file, is_index) in [(INDEX, true), (CHUNKS, false)] {
        // Every thirteenth bit meets each kind of byte, at each of its eight places.
        for bit in (0..file.len() * 8).step_by(13) {
            let mut damaged = file.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // Postings and tables that nobody reads, padding: unseen. Anything else is named.
            if let Ok(lines) = halves(&damaged, is_index) {
                assert!(lines == expected, "bit {bit} changed what is read (index: {is_index})");
            }
        }
        for len in (0..file.len()).step_by(17) {
            assert!(halves(&file[..len], is_index).is_err(), "{len} bytes (index: {is_index})");
        }
    }
}
