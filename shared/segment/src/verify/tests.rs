use super::*;
use crate::merge::{self, MergeOptions};
use crate::{Encoded, l0};
use model::{LogBatch, MetricBatch, TimestampMs, TimestampNs};

fn metrics() -> Vec<Encoded> {
    let mut batch = MetricBatch::default();
    for host in ["a", "b", "c"] {
        batch.start_series_of(&LabelSet::from_pairs([("__name__", "up"), ("host", host), ("ts", "odd")]));
        (0..50i64).for_each(|step| batch.push_sample(TimestampMs(step * 1000), step as f64 / 7.0, TimestampMs(step % 2)));
    }
    let block = l0::encode_metrics(&TenantId::anonymous(), &batch).unwrap();
    let mut all = Vec::new();
    merge::metrics(std::slice::from_ref(&block.bytes), &MergeOptions::default(), &mut |output| all.push(output)).unwrap();
    all.push(block);
    all
}

fn logs() -> Vec<Encoded> {
    let mut batch = LogBatch::default();
    for app in ["web", "db"] {
        batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", app), ("body", "odd")]).encoded()));
        (0..50i64).for_each(|row| {
            let metadata = LabelSet::from_pairs([("trace", "x")]);
            batch.push_entry(TimestampNs(row * 1_000_000), format!("some line {row}").as_bytes(), metadata.encoded());
        });
    }
    let block = l0::encode_logs(&TenantId::anonymous(), &batch).unwrap();
    let mut all = Vec::new();
    merge::logs(std::slice::from_ref(&block.bytes), &MergeOptions::default(), &mut |output| all.push(output)).unwrap();
    all.push(block);
    all
}

#[test]
fn what_we_write_is_sound() {
    for encoded in metrics().into_iter().chain(logs()) {
        let report = verify(&encoded.bytes, Some(&encoded.stats), Some(&TenantId::anonymous()));
        assert_eq!(report.problems, []);
        assert_eq!((report.rows, report.series), (encoded.stats.rows, encoded.stats.series));
    }
}

#[test]
fn lies_of_the_manifest_are_named() {
    for encoded in [metrics().remove(0), logs().remove(0)] {
        let mut stats = encoded.stats.clone();
        stats.rows += 1;
        stats.range.end = TimestampMs(stats.range.end.0 - 1);
        stats.filter = crate::stats::LabelFilter::build(&[]);
        stats.slots.hi = stats.slots.lo;
        let report = verify(&encoded.bytes, Some(&stats), None);
        let named = |word: &str| report.problems.iter().any(|problem| problem.place == "stats" && problem.what.contains(word));
        assert!(named("rows are") && named("leaves out") && named("denies") && named("slots"), "{:?}", report.problems);
    }
}

#[test]
fn another_tenants_slots_are_named() {
    let report = verify(&metrics()[0].bytes, None, Some(&TenantId::parse("other").unwrap()));
    assert!(report.problems[0].what.contains("hash says"), "{:?}", report.problems);
}

#[test]
fn a_broken_page_is_named_with_its_column() {
    let encoded = metrics().remove(0);
    let mut bytes = encoded.bytes.to_vec();
    let index = crate::metrics::Index::open(&encoded.bytes).unwrap();
    let (place, range, _) = index.layout().unwrap().checked_pages().next().unwrap();
    bytes[range.start as usize + 3] ^= 1;
    let report = verify(&bytes.into(), None, None);
    assert_eq!(report.problems[0].place, place);
    assert!(place.contains("row group 0, column series_id"), "{place}");
}

#[test]
fn foreign_columns_are_compared() {
    let encoded = logs().remove(0);
    let at = encoded.bytes.windows(3).position(|window| window == b"web").unwrap();
    let mut bytes = encoded.bytes.to_vec();
    bytes[at] ^= 1;
    let report = verify(&bytes.into(), None, None);
    assert!(report.problems.iter().any(|problem| problem.place.contains("column app")), "{:?}", report.problems);
}

#[test]
fn inspection_adds_up() {
    for encoded in metrics().into_iter().chain(logs()) {
        let inspection = crate::inspect::inspect(&encoded.bytes, 0).unwrap();
        assert_eq!(inspection.rows, encoded.stats.rows);
        assert_eq!(inspection.tail.iter().map(|(_, bytes)| bytes).sum::<u64>(), inspection.bytes - inspection.tail_offset);
        let columns: u64 = inspection.columns.iter().map(|column| column.bytes).sum();
        assert_eq!(columns, inspection.row_groups.iter().map(|group| group.bytes).sum::<u64>());
    }
}
