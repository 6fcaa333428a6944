//! S2: every truncation and every flipped bit of a segment is an error, or changes nothing that a reader returns; `verify`
//! finds each of them; nothing panics, nothing allocates by a false claim.
#![allow(clippy::unwrap_used)]

mod generator;

use bytes::Bytes;
use generator::{Random, SetS};
use model::{Matcher, TenantId, TimeRangeMs, TimeRangeNs, TimestampMs, TimestampNs};
use segment::merge::{self, MergeOptions};
use segment::{Encoded, Fetched, SegmentError, inspect, l0, logs, metrics, verify, windows};

const ALL: TimeRangeMs = TimeRangeMs { start: TimestampMs(i64::MIN), end: TimestampMs(i64::MAX) };
const ALL_NS: TimeRangeNs = TimeRangeNs { start: TimestampNs(i64::MIN), end: TimestampNs(i64::MAX) };
/// Virtual memory that reading broken small files may add, in KiB: far below what a false claim could ask for.
const GROWTH_KIB_MAX: u64 = 512 << 10;

/// Reads everything a query can reach, as one comparable text.
fn content(bytes: &Bytes, is_logs: bool) -> Result<String, SegmentError> {
    let fetched = Fetched::whole(bytes.clone());
    if is_logs {
        let index = logs::Index::open(bytes)?;
        let all = index.all();
        let mut out = format!("{all:?}");
        all.iter().for_each(|entry| out += &format!("{:?}", index.minutes(entry)));
        for chunk in index.chunks(&all, ALL_NS, &[b" needle "]).iter().chain(&index.chunks(&all, ALL_NS, &[])) {
            let columns = index.decode(chunk, logs::Projection { line_lens: true, ..logs::Projection::ALL }, &fetched)?;
            out += &format!("{columns:?}");
        }
        return Ok(out);
    }
    if let Ok(index) = windows::Index::open_tail(bytes, 0) {
        let all: Vec<u32> = (0..index.series_len() as u32).collect();
        let columns = index.decode_ordinals(&all, windows::Projection::ALL, &fetched)?;
        let labels: Vec<String> = all.iter().map(|ordinal| index.labels(*ordinal).to_string()).collect();
        return Ok(format!("{labels:?} {} {columns:?}", index.width_ms()));
    }
    let index = metrics::Index::open(bytes)?;
    let all = index.all();
    let columns = index.decode(&all, metrics::Projection::ALL, &fetched)?;
    let mut out = format!("{all:?} {:?} {:?}", columns.timestamps, columns.start_timestamps);
    columns.values.iter().for_each(|value| out += &format!("{:x} ", value.to_bits()));
    out += &format!("{:?} {:?} {:?}", columns.histograms, index.exemplars(&[], ALL)?, index.metadata()?);
    out += &format!("{:?}", index.select(&[Matcher::equal("__name__", "up")], ALL));
    Ok(out)
}

/// Broken bytes are an error or read the same; asked to look (`covered`), `verify` finds them where that is true.
fn check(original: &str, broken: Bytes, is_logs: bool, covered: Option<bool>, what: &dyn Fn() -> String) {
    if let Ok(found) = content(&broken, is_logs) {
        assert!(found == original, "{}: reads something else", what());
    }
    let Some(covered) = covered else { return };
    let report = verify::verify(&broken, None, None);
    assert!(!covered || !report.is_sound(), "{}: verify finds nothing", what());
    let _ = inspect::inspect(&broken, 0);
}

fn status_kib(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn golden() -> Vec<(String, Bytes)> {
    let dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), std::fs::read(path).unwrap().into())).collect()
}

/// Version 1 has no checksums over pages that only foreign readers read.
fn every_byte_is_covered(name: &str) -> bool {
    name.ends_with(".l0") || !name.starts_with("v1")
}

#[test]
fn every_truncation_and_every_flip_of_small_files() {
    let files = golden();
    assert!(files.len() >= 4);
    for (name, bytes) in &files {
        content(bytes, name.contains("logs")).unwrap();
    }
    let before = status_kib("VmPeak");
    for (name, bytes) in &files {
        let is_logs = name.contains("logs");
        let original = content(bytes, is_logs).unwrap();
        for len in 0..bytes.len() {
            let broken = bytes.slice(..len);
            assert!(content(&broken, is_logs).is_err(), "{name} cut to {len} bytes is read");
            assert!(!verify::verify(&broken, None, None).is_sound(), "{name} cut to {len} bytes is sound");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut broken = bytes.to_vec();
                broken[at] ^= 1 << bit;
                let what = || format!("{name}, bit {bit} of byte {at}");
                // `verify` looks at whole bytes: one bit of each will do.
                let covered = (bit == at % 8).then_some(every_byte_is_covered(name));
                check(&original, broken.into(), is_logs, covered, &what);
            }
        }
    }
    let grown = status_kib("VmPeak").saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "reading broken files took {grown} KiB more");
}

#[test]
fn sampled_flips_of_larger_files() {
    let tenant = TenantId::anonymous();
    let mut random = Random(11);
    let input = l0::encode_metrics(&tenant, &SetS::new(4, 5, 100).history(60)).unwrap();
    let lines = l0::encode_logs(&tenant, &generator::logs(&mut random, 0, 10, 200, 0)).unwrap();
    let mut files: Vec<(Encoded, bool)> = Vec::new();
    let mut outputs = Vec::new();
    let mut emit = |output: Encoded| outputs.push(output);
    merge::metrics(std::slice::from_ref(&input.bytes), &MergeOptions::default(), &mut emit).unwrap();
    files.extend(outputs.into_iter().chain([input]).map(|file| (file, false)));
    let mut outputs = Vec::new();
    let mut emit = |output: Encoded| outputs.push(output);
    merge::logs(std::slice::from_ref(&lines.bytes), &MergeOptions::default(), &mut emit).unwrap();
    files.extend(outputs.into_iter().chain([lines]).map(|file| (file, true)));
    for (file, is_logs) in &files {
        let original = content(&file.bytes, *is_logs).unwrap();
        for _ in 0..150 {
            let (at, bit) = (random.below(file.bytes.len() as u64) as usize, random.below(8));
            let mut broken = file.bytes.to_vec();
            broken[at] ^= 1 << bit;
            check(&original, broken.into(), *is_logs, Some(true), &|| format!("bit {bit} of byte {at}, logs: {is_logs}"));
            let cut = random.below(file.bytes.len() as u64) as usize;
            assert!(content(&file.bytes.slice(..cut), *is_logs).is_err(), "cut to {cut} bytes is read");
        }
    }
}
