//! The files of one block, read in pieces.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use model::Hour;
use model::TimestampMs;
use wire::tsdb::chunk::{self, Sample};
use wire::tsdb::index::{self, ChunkPlace, SeriesEntry, Symbols, Toc};
use wire::tsdb::{Meta, Tombstones};

/// Bytes read at a time where most of a file is wanted.
const AHEAD_DENSE: usize = 256 << 10;
/// Bytes read behind the first chunk that is wanted where few of them are: a chunk of floats is about 1 KiB.
const AHEAD_SPARSE: usize = 2 << 10;
/// Hours of a window: a day, the grain of what is kept.
const WINDOW_HOURS_MAX: i64 = 24;
/// Ten years. Prometheus compacts blocks to a month at most; one that claims more would be walked hour by hour.
const BLOCK_MS_MAX: i64 = 10 * 366 * 24 * 3_600_000;

/// In what pieces a block is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Samples of a window, about.
    pub window_samples: u64,
    /// Bytes from which on a batch is written.
    pub batch_bytes: usize,
}

impl Default for Cut {
    /// Two to three million samples a batch, and some batches a window: segments of a few megabytes, some hundred megabytes of memory.
    fn default() -> Cut {
        Cut { window_samples: 4 << 20, batch_bytes: 64 << 20 }
    }
}

/// Takes the labels of a series and one of its samples.
pub type Visit<'v> = dyn FnMut(&[(&str, &str)], Sample) -> Result<()> + 'v;

/// One block, open. Memory: its symbols, four bytes a series, and the pieces of files that are looked at.
#[derive(Debug)]
pub struct Block {
    meta: Meta,
    cut: Cut,
    external: BTreeMap<String, String>,
    index: Pieces,
    symbols: Symbols,
    numbers: Vec<u32>,
    chunks: Vec<Pieces>,
    tombstones: Tombstones,
    digest: blake3::Hasher,
}

/// How a block is cut by time. Whole hours, so that no two pieces share a segment's hour and series.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    first: Hour,
    /// Hours of a window.
    pub window_hours: i64,
    /// Windows.
    pub windows: usize,
}

impl Plan {
    /// Makes windows that are as long as so many samples take, from an hour up to a day.
    fn of(meta: &Meta, window_samples: u64) -> Plan {
        let (first, last) = (TimestampMs(meta.min_time).hour(), TimestampMs(meta.max_time.saturating_sub(1)).hour());
        let hours = last.0.saturating_sub(first.0).max(0) + 1;
        let fitting =
            (u128::from(window_samples) * hours as u128 / u128::from(meta.samples().max(1))).min(WINDOW_HOURS_MAX as u128);
        let window_hours = (fitting as i64).max(1);
        Plan { first, window_hours, windows: (hours as u64).div_ceil(window_hours as u64) as usize }
    }

    /// Returns the first and the last millisecond of a window. The outermost are open: what a block holds beyond what it says,
    /// Prometheus shows too.
    pub fn window(&self, window: usize) -> (i64, i64) {
        let start = |window: usize| Hour(self.first.0 + window as i64 * self.window_hours).start().0;
        let first = if window == 0 { i64::MIN } else { start(window) };
        let last = if window + 1 == self.windows { i64::MAX } else { start(window + 1) - 1 };
        (first, last)
    }
}

impl Block {
    /// Opens a block.
    pub fn open(directory: &Path, meta: Meta, external: BTreeMap<String, String>, cut: Cut) -> Result<Block> {
        let reach_ms = meta.max_time.saturating_sub(meta.min_time);
        ensure!(reach_ms <= BLOCK_MS_MAX, "the block claims {reach_ms} ms, limit is {BLOCK_MS_MAX}");
        let mut index = Pieces::open(&directory.join("index"))?;
        let failed = || "read the index".to_owned();
        index::check_head(index.at(0, index::HEAD_BYTES, 0)?).with_context(failed)?;
        let toc_at = index.len.saturating_sub(index::TOC_BYTES as u64);
        let toc_bytes = index.at(toc_at, index::TOC_BYTES, 0)?.to_vec();
        let toc = Toc::decode(&toc_bytes).with_context(failed)?;
        let symbols = Symbols::decode(index.section(toc.symbols)?).with_context(failed)?;
        let all = index::all_postings(index.at(toc.postings_table, index::FIRST_POSTINGS_BYTES, 0)?).with_context(failed)?;
        let numbers = index::postings(index.section(all)?).with_context(failed)?;
        let mut digest = blake3::Hasher::new();
        digest.update(&toc_bytes).update(&index.len.to_le_bytes());
        let tombstones = tombstones(directory, &mut digest)?;
        let chunks = chunk_files(directory)?;
        Ok(Block { meta, cut, external, index, symbols, numbers, chunks, tombstones, digest })
    }

    /// Counts the series.
    pub fn series(&self) -> usize {
        self.numbers.len()
    }

    /// Says how the block is cut by time.
    pub fn plan(&self) -> Plan {
        Plan::of(&self.meta, self.cut.window_samples)
    }

    /// Returns from how many bytes on a batch is written.
    pub fn batch_bytes(&self) -> usize {
        self.cut.batch_bytes
    }

    /// Names what an import of this block writes: a block with other samples, deletions or labels has another name.
    pub fn content(&self) -> Result<String> {
        let mut digest = self.digest.clone();
        digest.update(self.meta.ulid.as_bytes());
        for file in &self.chunks {
            digest.update(&file.len.to_le_bytes());
        }
        digest.update(&serde_json::to_vec(&self.external)?);
        Ok(digest.finalize().to_hex().to_string())
    }

    /// Hands the samples of a series between two instants, both included, to `visit`, with the labels that it is to have.
    pub fn samples(&mut self, series: usize, (first, last): (i64, i64), visit: &mut Visit<'_>) -> Result<()> {
        let number = self.numbers[series];
        let failed = || format!("read series {number}");
        let offset = index::series_offset(number);
        let (start, len) =
            index::series_bytes(self.index.at(offset, index::SERIES_HEAD_BYTES, AHEAD_DENSE)?).with_context(failed)?;
        let bytes = self.index.at(offset + start as u64, len, AHEAD_DENSE)?;
        let entry = SeriesEntry::decode(bytes, &self.symbols).with_context(failed)?;
        let wanted: Vec<ChunkPlace> =
            entry.chunks.iter().filter(|chunk| chunk.first <= last && first <= chunk.last).copied().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        // Of many chunks few: what lies behind them is of another time.
        let ahead = if wanted.len() * 8 < entry.chunks.len() { AHEAD_SPARSE * wanted.len() } else { AHEAD_DENSE };
        let labels = labelled(&entry.labels, &self.external);
        let deleted = self.tombstones.of(number);
        for place in wanted {
            let file =
                self.chunks.get_mut(place.file as usize).with_context(|| format!("chunk file {} is missing", place.file + 1))?;
            let frame = file.chunk(place.offset, ahead)?;
            let mut refused = None;
            let read = chunk::decode(frame, &mut |sample| {
                let at = sample.timestamp.0;
                let is_deleted = deleted.iter().any(|(first, last)| (*first..=*last).contains(&at));
                if refused.is_none() && (first..=last).contains(&at) && !is_deleted {
                    refused = visit(&labels, sample).err();
                }
            });
            refused.map_or(Ok(()), Err)?;
            read.with_context(|| format!("read chunk at {} of file {} (series {number})", place.offset, place.file + 1))?;
        }
        Ok(())
    }
}

/// A series' labels with the external ones, which win; ordered by name.
fn labelled<'a>(labels: &[(&'a str, &'a str)], external: &'a BTreeMap<String, String>) -> Vec<(&'a str, &'a str)> {
    if external.is_empty() {
        return labels.to_vec();
    }
    let mut merged: BTreeMap<&str, &str> = labels.iter().copied().collect();
    merged.extend(external.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    merged.into_iter().collect()
}

fn tombstones(directory: &Path, digest: &mut blake3::Hasher) -> Result<Tombstones> {
    match std::fs::read(directory.join("tombstones")) {
        Ok(bytes) => {
            digest.update(&bytes);
            Tombstones::decode(&bytes).context("read tombstones")
        }
        // Thanos keeps none.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Tombstones::default()),
        Err(error) => Err(error).context("read tombstones"),
    }
}

/// Opens `chunks/000001` and what follows it without a gap.
fn chunk_files(directory: &Path) -> Result<Vec<Pieces>> {
    let mut files = Vec::new();
    loop {
        let path = directory.join("chunks").join(format!("{:06}", files.len() + 1));
        if !path.exists() {
            return Ok(files);
        }
        let mut file = Pieces::open(&path)?;
        chunk::check_head(file.at(0, chunk::HEAD_BYTES, 0)?).with_context(|| format!("read {}", path.display()))?;
        files.push(file);
    }
}

/// A file, of which the piece looked at last is kept.
#[derive(Debug)]
struct Pieces {
    name: String,
    file: File,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Pieces {
    fn open(path: &Path) -> Result<Pieces> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("open {name}"))?;
        let len = file.metadata().with_context(|| format!("open {name}"))?.len();
        Ok(Pieces { name, file, len, start: 0, bytes: Vec::new() })
    }

    /// Returns `len` bytes, fewer at the end of the file; reads `ahead` where it has to read.
    fn at(&mut self, offset: u64, len: usize, ahead: usize) -> Result<&[u8]> {
        let len = self.len.saturating_sub(offset).min(len as u64) as usize;
        if offset < self.start || offset + len as u64 > self.start + self.bytes.len() as u64 {
            let wanted = self.len.saturating_sub(offset).min(len.max(ahead) as u64) as usize;
            self.bytes.resize(wanted, 0);
            self.start = offset;
            let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut self.bytes));
            read.with_context(|| format!("read {} at {offset}", self.name))?;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..from + len])
    }

    /// Returns what follows the head of a section of the index.
    fn section(&mut self, offset: u64) -> Result<&[u8]> {
        let len = index::section_bytes(self.at(offset, index::SECTION_HEAD_BYTES, 0)?)?;
        ensure!(len as u64 <= self.len, "section of {} at {offset} is longer than the file", self.name);
        self.at(offset + index::SECTION_HEAD_BYTES as u64, len, 0)
    }

    /// Returns a chunk in its frame.
    fn chunk(&mut self, offset: u32, ahead: usize) -> Result<&[u8]> {
        let offset = u64::from(offset);
        let len = chunk::framed_bytes(self.at(offset, chunk::LENGTH_BYTES, ahead)?)
            .with_context(|| format!("read {} at {offset}", self.name))?;
        self.at(offset, len, ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(hours: i64, samples: u64) -> Plan {
        const HOUR: i64 = 3_600_000;
        let text = format!(
            r#"{{"ulid":"01GTMDG2R6DQ0E0VAFH4MGG8BE","minTime":{},"maxTime":{},"version":1,"stats":{{"numSamples":{samples}}}}}"#,
            5 * HOUR + 1,
            (5 + hours) * HOUR
        );
        Plan::of(&Meta::decode(text.as_bytes()).expect("valid"), Cut::default().window_samples)
    }

    #[test]
    fn windows_are_whole_hours_that_hold_some_millions() {
        for (hours, samples, window_hours, windows) in
            [(2, 1_000, 24, 1), (336, 80_000_000, 17, 20), (336, 8_000_000_000, 1, 336), (336, 0, 24, 14), (1, u64::MAX, 1, 1)]
        {
            let plan = plan(hours, samples);
            assert_eq!((plan.window_hours, plan.windows), (window_hours, windows), "{hours} h with {samples} samples");
            let ends: Vec<(i64, i64)> = (0..windows).map(|window| plan.window(window)).collect();
            assert_eq!((ends[0].0, ends[windows - 1].1), (i64::MIN, i64::MAX));
            assert!(ends.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0 && pair[1].0 % 3_600_000 == 0));
        }
    }

    #[test]
    fn external_labels_win() {
        let external = BTreeMap::from([("replica".to_owned(), "a".to_owned()), ("job".to_owned(), "x".to_owned())]);
        let labels = labelled(&[("__name__", "up"), ("job", "shop"), ("zone", "1")], &external);
        assert_eq!(labels, [("__name__", "up"), ("job", "x"), ("replica", "a"), ("zone", "1")]);
    }
}
