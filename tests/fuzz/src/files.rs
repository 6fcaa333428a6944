//! Segment files. Every part of a file has a checksum, so mutations of its bytes would be refused at the door (`segment`'s own tests
//! show that). Here the parts of a golden file are edited unpacked, and packed and sealed anew: what a reader would meet if our
//! own writer were wrong, or somebody else wrote the file.

use std::sync::LazyLock;

use bytes::Bytes;
use model::{Matcher, TimeRangeMs, TimeRangeNs, TimestampMs, TimestampNs};
use segment::{Fetched, SegmentError, inspect, logs, metrics, verify};

use crate::{change, edit};

const ALL: TimeRangeMs = TimeRangeMs { start: TimestampMs(i64::MIN), end: TimestampMs(i64::MAX) };
const ALL_NS: TimeRangeNs = TimeRangeNs { start: TimestampNs(i64::MIN), end: TimestampNs(i64::MAX) };
/// The seal, and where its checksum and magic begin (`FORMAT.md`).
const SEAL_BYTES: usize = 40;
const CRC_AT: usize = SEAL_BYTES - 12;

macro_rules! golden {
    ($($name:literal),+) => { [$(File::open(include_bytes!(concat!("../../../shared/segment/tests/golden/", $name)))),+] };
}

static BLOCKS: LazyLock<[File; 2]> = LazyLock::new(|| golden!["v1-metrics.l0", "v1-logs.l0"]);
static PARQUETS: LazyLock<[File; 4]> =
    LazyLock::new(|| golden!["v1-metrics.parquet", "v1-logs.parquet", "v2-metrics.parquet", "v2-logs.parquet"]);

/// A file in its parts, those in frames unpacked.
#[derive(Clone)]
struct File {
    /// Data frame of a block; column chunks and page indexes of a Parquet file.
    head: Vec<u8>,
    /// Label table.
    index: Vec<u8>,
    /// Exemplars and metadata, or token filters; empty where there are none.
    extras: Vec<u8>,
    sums: Vec<u8>,
    seal: [u8; SEAL_BYTES],
    footer: Vec<u8>,
    /// Where the pages lie that `sums` are of.
    pages: Vec<std::ops::Range<usize>>,
}

impl File {
    fn open(bytes: &[u8]) -> File {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
        let is_parquet = bytes.ends_with(b"PAR1");
        let end = if is_parquet { bytes.len() - 8 - number(bytes.len() - 8) } else { bytes.len() };
        let seal_at = end - SEAL_BYTES;
        let sums_at = seal_at - number(seal_at + 8);
        let extras_at = sums_at - number(seal_at + 4);
        let index_at = extras_at - number(seal_at);
        let (head, sums) = (&bytes[..index_at], &bytes[sums_at..seal_at]);
        let mut index = unpack(&bytes[index_at..extras_at]);
        let head = if is_parquet {
            head.to_vec()
        } else {
            // Length and checksum of the data frame stand in front of the label table.
            index.drain(..8);
            unpack(head)
        };
        let extras = &bytes[extras_at..sums_at];
        File {
            pages: pages(&head, sums),
            head,
            index,
            extras: if extras.is_empty() { Vec::new() } else { unpack(extras) },
            sums: sums.to_vec(),
            seal: bytes[seal_at..end].try_into().expect("a seal has 40 bytes"),
            footer: bytes[end..].to_vec(),
        }
    }

    /// Puts the file together: frames packed, lengths and checksums those of the edited parts.
    fn close(mut self) -> Bytes {
        let is_block = self.footer.is_empty();
        let mut bytes = if is_block {
            let data = pack(&self.head);
            let place = [(data.len() as u32).to_le_bytes(), crc32fast::hash(&data).to_le_bytes()].concat();
            self.index.splice(..0, place);
            data
        } else {
            for (page, sum) in self.pages.iter().zip(self.sums.as_chunks_mut().0) {
                *sum = crc32fast::hash(&self.head[page.clone()]).to_le_bytes();
            }
            self.head
        };
        let tail_offset = u64::from_le_bytes(self.seal[12..20].try_into().expect("eight bytes"));
        let tail_offset = if is_block { bytes.len() as u64 } else { tail_offset };
        let index = pack(&self.index);
        let extras = if self.extras.is_empty() { Vec::new() } else { pack(&self.extras) };
        let lengths = [index.len(), extras.len(), self.sums.len()].map(|len| (len as u32).to_le_bytes());
        self.seal[..12].copy_from_slice(lengths.as_flattened());
        self.seal[12..20].copy_from_slice(&tail_offset.to_le_bytes());
        [index, extras, self.sums].iter().for_each(|part| bytes.extend_from_slice(part));
        let mut hasher = crc32fast::Hasher::new();
        [&bytes[tail_offset as usize..], &self.seal[..CRC_AT], &self.seal[CRC_AT + 4..], &self.footer]
            .iter()
            .for_each(|part| hasher.update(part));
        self.seal[CRC_AT..CRC_AT + 4].copy_from_slice(&hasher.finalize().to_le_bytes());
        bytes.extend_from_slice(&self.seal);
        bytes.extend_from_slice(&self.footer);
        bytes.into()
    }

    /// Applies edits of five bytes each: which part, where (two bytes), how, with what.
    fn edit(&mut self, edits: &[u8]) {
        let last_page = self.pages.last().map_or(self.head.len(), |page| page.end);
        for [part, place @ .., how, with] in edits.as_chunks::<5>().0.iter().copied() {
            let at = usize::from(u16::from_be_bytes(place));
            match part % 6 {
                0 if self.footer.is_empty() => edit(&mut self.head, place, how, with),
                0 => change(&mut self.head[..last_page], at, how, with),
                1 => change(&mut self.head[last_page..], at, how, with),
                2 => edit(&mut self.index, place, how, with),
                3 => edit(&mut self.extras, place, how, with),
                4 => change(&mut self.sums, at, how, with),
                _ => change(&mut self.footer, at, how, with),
            }
        }
    }
}

/// Finds the pages that checksums are of: they follow each other from the first byte after `PAR1`; in version 1 only some columns
/// have any, and nothing is found.
fn pages(head: &[u8], sums: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut start = 4;
    let mut pages = Vec::new();
    for sum in sums.as_chunks().0.iter().map(|sum| u32::from_le_bytes(*sum)) {
        let mut hasher = crc32fast::Hasher::new();
        let ends = (start..head.len()).find(|at| {
            hasher.update(&head[*at..=*at]);
            hasher.clone().finalize() == sum
        });
        let Some(last) = ends else { break };
        pages.push(start..last + 1);
        start = last + 1;
    }
    pages
}

fn unpack(frame: &[u8]) -> Vec<u8> {
    let raw_len = u32::from_le_bytes(frame[..4].try_into().expect("four bytes")) as usize;
    zstd::bulk::decompress(&frame[4..], raw_len).expect("a golden file is sound")
}

fn pack(raw: &[u8]) -> Vec<u8> {
    let mut frame = (raw.len() as u32).to_le_bytes().to_vec();
    frame.extend(zstd::bulk::compress(raw, 1).expect("memory is compressed"));
    frame
}

/// L0 blocks: the first byte says which file, the rest how it is edited.
pub(crate) fn block(data: &[u8]) {
    read_edited(&*BLOCKS, data);
}

/// Parquet files, as [`block`].
pub(crate) fn parquet(data: &[u8]) {
    read_edited(&*PARQUETS, data);
}

fn read_edited(files: &[File], data: &[u8]) {
    let Some((which, edits)) = data.split_first() else { return };
    let which = usize::from(*which) % files.len();
    let mut file = files[which].clone();
    file.edit(edits);
    let bytes = file.close();
    let outcome = if which.is_multiple_of(2) { read_metrics(&bytes) } else { read_logs(&bytes) };
    assert!(!edits.is_empty() || outcome.is_ok(), "an unedited file is read: {outcome:?}");
    let _ = inspect::inspect(&bytes, 0);
    verify::verify(&bytes, None, None);
}

/// Reads whatever a query can reach.
fn read_metrics(bytes: &Bytes) -> Result<(), SegmentError> {
    let index = metrics::Index::open(bytes)?;
    let fetched = Fetched::whole(bytes.clone());
    index.select(&[Matcher::equal("__name__", "up")], ALL);
    index.label_names(&[], ALL);
    index.pairs_of("job", &index.ordinals(&[], ALL));
    index.exemplars(&[], ALL)?;
    index.metadata()?;
    let all = index.all();
    index.plan_ranges(&all, metrics::Projection::ALL);
    index.decode(&all, metrics::Projection::ALL, &fetched)?;
    Ok(())
}

fn read_logs(bytes: &Bytes) -> Result<(), SegmentError> {
    let index = logs::Index::open(bytes)?;
    let fetched = Fetched::whole(bytes.clone());
    index.select(&[Matcher::equal("app", "web")], ALL_NS);
    index.label_names(&[], ALL_NS);
    index.label_values("app", &[], ALL_NS);
    let all = index.all();
    for needles in [&[][..], &[b" needle ".as_slice()]] {
        for chunk in index.chunks(&all, ALL_NS, needles) {
            index.plan_ranges(&chunk, logs::Projection::ALL);
            index.decode(&chunk, logs::Projection::ALL, &fetched)?;
        }
    }
    Ok(())
}
