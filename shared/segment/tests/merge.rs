//! Rewrites: what goes into k segments comes out of one, once; pages are read one by one; no bytes make the reader panic.
#![allow(clippy::unwrap_used)]

mod generator;

use std::collections::BTreeMap;

use bytes::Bytes;
use generator::{Random, SetS};
use model::batch::{ExemplarRow, HistogramRow};
use model::{
    Exemplar, Histogram, LabelSet, LogBatch, Matcher, MetricBatch, Span, TenantId, TimeRangeMs, TimeRangeNs, TimestampMs,
    TimestampNs,
};
use segment::merge::{self, MergeOptions, MergeReport};
use segment::{Encoded, Fetched, SegmentError, l0, logs, metrics};

const ALL: TimeRangeMs = TimeRangeMs { start: TimestampMs(i64::MIN), end: TimestampMs(i64::MAX) };
const ALL_NS: TimeRangeNs = TimeRangeNs { start: TimestampNs(i64::MIN), end: TimestampNs(i64::MAX) };

fn tenant() -> TenantId {
    TenantId::anonymous()
}

fn merge_metrics(inputs: &[Bytes], options: &MergeOptions) -> (Vec<Encoded>, MergeReport) {
    let mut outputs = Vec::new();
    let report = merge::metrics(inputs, options, &mut |output| outputs.push(output)).unwrap();
    (outputs, report)
}

fn merge_logs(inputs: &[Bytes], options: &MergeOptions) -> (Vec<Encoded>, MergeReport) {
    let mut outputs = Vec::new();
    let report = merge::logs(inputs, options, &mut |output| outputs.push(output)).unwrap();
    (outputs, report)
}

/// Everything a metrics segment holds: (labels, time) → what.
type Samples = BTreeMap<(String, i64), String>;

fn read_metrics(bytes: &Bytes, into: &mut Samples) {
    let index = metrics::Index::open(bytes).unwrap();
    let all = index.all();
    let columns = index.decode(&all, metrics::Projection::ALL, &Fetched::whole(bytes.clone())).unwrap();
    for (place, entry) in all.iter().enumerate() {
        let samples = columns.series(place);
        for (row, timestamp) in samples.timestamps.iter().enumerate() {
            let start = samples.start_timestamps.get(row).copied().unwrap_or(0);
            let value = format!("{:016x} {start}", samples.values[row].to_bits());
            assert!(into.insert((entry.labels.to_string(), *timestamp), value).is_none());
        }
        for sample in samples.histograms {
            let value = format!("{:?} {}", sample.histogram, sample.start_timestamp.0);
            assert!(into.insert((entry.labels.to_string(), sample.timestamp.0), value).is_none());
        }
    }
}

fn small_set(seed: u64) -> (Vec<Bytes>, MetricBatch) {
    let mut set = SetS::new(seed, 3, 40);
    let mut inputs = Vec::new();
    for _ in 0..20 {
        for batch in set.scrape(50) {
            inputs.push(l0::encode_metrics(&tenant(), &batch).unwrap().bytes);
        }
    }
    let mut odd = MetricBatch::default();
    odd.start_series_of(&LabelSet::from_pairs([("__name__", "odd"), ("ts", "reserved"), ("ünï", "cödé")]));
    for (step, value) in [f64::NAN, model::STALE_NAN, -0.0, f64::INFINITY, 0.1, 5.0].into_iter().enumerate() {
        odd.push_sample(TimestampMs(generator::START_MS + 1000 * step as i64), value, TimestampMs(42 * (step as i64 % 2)));
    }
    odd.start_series_of(&LabelSet::from_pairs([("__name__", "hist")]));
    odd.push_sample(TimestampMs(5), 1.0, TimestampMs(0));
    for step in 0..10i64 {
        let histogram = Histogram {
            schema: 2,
            count: step as f64,
            sum: if step == 9 { model::STALE_NAN } else { 0.5 },
            positive_spans: vec![Span { offset: step as i32, length: 2 }, Span { offset: 1, length: 1 }],
            positive_buckets: vec![1.0, 2.0, 3.0],
            negative_spans: if step % 2 == 0 { vec![Span { offset: -4, length: 1 }] } else { vec![] },
            negative_buckets: if step % 2 == 0 { vec![9.0] } else { vec![] },
            ..Histogram::default()
        };
        let (timestamp, start_timestamp) = (TimestampMs(10 * step), TimestampMs(step));
        odd.histograms.push(HistogramRow { series: 1, timestamp, start_timestamp, histogram });
    }
    let exemplar = Exemplar { labels: LabelSet::from_pairs([("trace_id", "t")]), value: 1.0, timestamp: TimestampMs(77) };
    odd.exemplars.push(ExemplarRow { series: 0, exemplar });
    inputs.push(l0::encode_metrics(&tenant(), &odd).unwrap().bytes);
    (inputs, odd)
}

#[test]
fn metrics_survive_two_rewrites() {
    let (inputs, _) = small_set(1);
    let mut expected = Samples::new();
    inputs.iter().for_each(|input| read_metrics(input, &mut expected));
    let half = inputs.len() / 2;
    let (first, _) = merge_metrics(&inputs[..half], &MergeOptions::default());
    let (second, _) = merge_metrics(&inputs[half..], &MergeOptions { output_rows_max: 300, ..MergeOptions::default() });
    assert!(second.len() > 2);
    let level1: Vec<Bytes> = first.iter().chain(&second).map(|output| output.bytes.clone()).collect();
    let mut got = Samples::new();
    level1.iter().for_each(|output| read_metrics(output, &mut got));
    assert_eq!(got, expected);
    // All inputs once more: every row is a repeat and is counted as such.
    let both: Vec<Bytes> = level1.iter().chain(&inputs).cloned().collect();
    let (level2, report) = merge_metrics(&both, &MergeOptions::default());
    assert_eq!((report.duplicates, report.conflicts), (expected.len() as u64, 0));
    let mut got = Samples::new();
    read_metrics(&level2[0].bytes, &mut got);
    assert_eq!(got, expected);
    assert_eq!(level2[0].stats.rows as usize, expected.len());
    let index = metrics::Index::open(&level2[0].bytes).unwrap();
    assert_eq!(index.exemplars(&[], ALL).unwrap().len(), 1);
}

#[test]
fn larger_bits_win_and_histograms_beat_floats() {
    let input = |value: f64| {
        let mut batch = MetricBatch::default();
        batch.start_series_of(&LabelSet::from_pairs([("__name__", "m")]));
        batch.push_sample(TimestampMs(1), value, TimestampMs(0));
        batch.push_sample(TimestampMs(2), 7.0, TimestampMs(0));
        l0::encode_metrics(&tenant(), &batch).unwrap().bytes
    };
    for order in [[1.0, -1.0, 2.0], [2.0, 1.0, -1.0]] {
        let (outputs, report) = merge_metrics(&order.map(input), &MergeOptions::default());
        let mut got = Samples::new();
        read_metrics(&outputs[0].bytes, &mut got);
        assert_eq!(got[&("{__name__=\"m\"}".into(), 1)], format!("{:016x} 0", (-1.0f64).to_bits()));
        assert_eq!((report.duplicates, report.conflicts), (2, 2));
    }
}

#[test]
fn one_series_reads_only_its_pages() {
    let batch = SetS::new(2, 10, 100).history(720);
    let input = l0::encode_metrics(&tenant(), &batch).unwrap();
    let (outputs, _) = merge_metrics(&[input.bytes], &MergeOptions::default());
    let output = &outputs[0];
    let tail = output.bytes.slice(output.tail_offset as usize..);
    let index = metrics::Index::open_tail(&tail, output.tail_offset).unwrap();
    for name in ["app_metric_00_value", "app_metric_07_total", "app_metric_19_ratio", "app_metric_99_ratio"] {
        let entries = index.select(&[Matcher::equal("__name__", name), Matcher::equal("instance", "10.0.0.7:9100")], ALL);
        assert_eq!(entries.len(), 1, "{name}");
        let ranges = index.plan_ranges(&entries, metrics::Projection::SAMPLES);
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        assert!(ranges.len() <= 4 && bytes < output.bytes.len() as u64 / 5, "{name}: {ranges:?} of {}", output.bytes.len());
        let parts = ranges.iter().map(|range| (range.start, output.bytes.slice(range.start as usize..range.end as usize)));
        let fetched = Fetched::parts(parts.collect());
        let columns = index.decode(&entries, metrics::Projection::SAMPLES, &fetched).unwrap();
        let place = (0..batch.series_len()).find(|series| batch.label_set(*series).unwrap() == entries[0].labels).unwrap();
        let rows = batch.sample_range(place);
        assert_eq!(columns.series(0).timestamps, &batch.timestamps[rows.clone()]);
        assert_eq!(columns.series(0).values, &batch.values[rows]);
        let missing = index.decode(&entries, metrics::Projection::SAMPLES, &Fetched::default());
        assert!(matches!(missing, Err(SegmentError::NotFetched { .. })));
    }
}

/// Everything a log segment holds, in order per stream: time, line, metadata.
type Entries = BTreeMap<String, Vec<(i64, Vec<u8>, Vec<u8>)>>;

fn read_logs(bytes: &Bytes, into: &mut Entries) {
    let index = logs::Index::open(bytes).unwrap();
    let all = index.all();
    let mut chunks = index.chunks(&all, ALL_NS, &[]);
    chunks.sort_by_key(|chunk| chunk.row_group);
    for chunk in chunks {
        let ranges = index.plan_ranges(&chunk, logs::Projection::ALL);
        let parts = ranges.iter().map(|range| (range.start, bytes.slice(range.start as usize..range.end as usize)));
        let columns = index.decode(&chunk, logs::Projection::ALL, &Fetched::parts(parts.collect())).unwrap();
        for (stream, rows) in &columns.runs {
            let entries = into.entry(all[*stream as usize].labels.to_string()).or_default();
            for row in rows.start as usize..rows.end as usize {
                entries.push((columns.timestamps[row], columns.lines.get(row).to_vec(), columns.metadata.get(row).to_vec()));
            }
        }
    }
}

fn log_inputs(requests: u64) -> Vec<Bytes> {
    let mut random = Random(3);
    let mut inputs = Vec::new();
    for request in 0..requests {
        let mut batch = generator::logs(&mut random, 20 * (request % 3), 20, 30, 1_000_000_000 * (request / 3) as i64);
        batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", "odd")]).encoded()));
        for row in 0..50i64 {
            let pairs = [
                ("trace_id", format!("t{row}")),
                ("level", ["info", "warn"][row as usize % 2].into()),
                (["a", "b"][row as usize % 2], "x".into()),
            ];
            let metadata = LabelSet::from_pairs(pairs.iter().map(|(key, value)| (*key, value.as_str())));
            let metadata = if row % 7 == 0 { &[][..] } else { metadata.encoded() };
            batch.push_entry(TimestampNs(row / 3), format!("line {row} {request}").as_bytes(), metadata);
        }
        inputs.push(l0::encode_logs(&tenant(), &batch).unwrap().bytes);
    }
    inputs
}

#[test]
fn logs_survive_two_rewrites() {
    let inputs = log_inputs(9);
    let mut expected = Entries::new();
    inputs.iter().for_each(|input| read_logs(input, &mut expected));
    expected.values_mut().for_each(|entries| entries.sort_by_key(|entry| entry.0));
    let (level1, report) = merge_logs(&inputs, &MergeOptions::default());
    assert_eq!(report.duplicates, 0);
    let mut got = BTreeMap::new();
    level1.iter().for_each(|output| read_logs(&output.bytes, &mut got));
    assert_eq!(got, expected);
    let again: Vec<Bytes> = level1.iter().map(|output| output.bytes.clone()).chain(inputs).collect();
    let (level2, report) = merge_logs(&again, &MergeOptions { output_rows_max: 2000, ..MergeOptions::default() });
    assert_eq!(report.duplicates, report.rows_out);
    assert!(level2.len() > 1);
    let mut got = BTreeMap::new();
    level2.iter().for_each(|output| read_logs(&output.bytes, &mut got));
    assert_eq!(got, expected);
}

/// Anything a line may be, and what looks like logs: numbers with leading zeros, identifiers, marks, newlines.
fn any_line() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    let piece = prop_oneof![
        "[a-z]{1,6}[ =:]".prop_map(String::into_bytes),
        "0{0,3}[0-9]{1,20}[ ,]".prop_map(String::into_bytes),
        "[0-9a-f]{8,32} ".prop_map(String::into_bytes),
        "[a-zA-Z0-9]{1,16}[\n\"]".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    prop_oneof![
        4 => proptest::collection::vec(piece, 0..50).prop_map(|pieces| pieces.concat()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 200, ..Default::default() })]
    /// A merge holds the distinct entries of its inputs, byte for byte, whatever the lines are.
    #[test]
    fn any_lines_survive(inputs in proptest::collection::vec(proptest::collection::vec((any_line(), 0i64..9, 1usize..9), 1..12), 1..4)) {
        let mut expected = Entries::new();
        let mut blocks = Vec::new();
        for entries in &inputs {
            let mut batch = LogBatch::default();
            let labels = LabelSet::from_pairs([("app", "x")]);
            batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
            for (line, time, repeats) in entries {
                for repeat in 0..*repeats {
                    // Repeats differ in a number: rows of one template.
                    let line = [line, format!(" {}", repeat * 7).as_bytes()].concat();
                    batch.push_entry(TimestampNs(*time), &line, &[]);
                    expected.entry(labels.to_string()).or_default().push((*time, line, Vec::new()));
                }
            }
            blocks.push(l0::encode_logs(&tenant(), &batch).unwrap().bytes);
        }
        let mut got = Entries::new();
        let (outputs, report) = merge_logs(&blocks, &MergeOptions::default());
        for output in outputs {
            read_logs(&output.bytes, &mut got);
            proptest::prop_assert_eq!(segment::verify::verify(&output.bytes, None, None).problems, []);
        }
        for entries in expected.values_mut().chain(got.values_mut()) {
            entries.sort();
        }
        expected.values_mut().for_each(|entries| entries.dedup());
        proptest::prop_assert_eq!(report.rows_out as usize, expected.values().map(Vec::len).sum::<usize>());
        proptest::prop_assert_eq!(got, expected);
    }
}

#[test]
fn lines_that_are_not_text_get_a_file_of_their_own() {
    let mut batch = LogBatch::default();
    batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", "x")]).encoded()));
    for row in 0..70_000i64 {
        let line: &[u8] = if row == 69_000 { b"broken \xff" } else { b"good" };
        batch.push_entry(TimestampNs(row), line, &[]);
    }
    let input = l0::encode_logs(&tenant(), &batch).unwrap().bytes;
    let (outputs, report) = merge_logs(&[input], &MergeOptions::default());
    assert_eq!((outputs.len(), report.rows_out), (2, 70_000));
}

#[test]
fn needles_prune_row_groups() {
    let mut batch = LogBatch::default();
    batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", "x")]).encoded()));
    for row in 0..200_000i64 {
        let line = if row == 150_000 { "the needle in the hay".to_owned() } else { format!("line {row}") };
        batch.push_entry(TimestampNs(row), line.as_bytes(), &[]);
    }
    let input = l0::encode_logs(&tenant(), &batch).unwrap().bytes;
    let (outputs, _) = merge_logs(&[input], &MergeOptions::default());
    let index = logs::Index::open(&outputs[0].bytes).unwrap();
    let all = index.all();
    assert_eq!(index.chunks(&all, ALL_NS, &[]).len(), 4);
    assert_eq!(index.chunks(&all, ALL_NS, &[b"the needle in"]).len(), 1);
    assert_eq!(index.chunks(&all, ALL_NS, &[b"needle"]).len(), 1);
    assert_eq!(index.chunks_with(&all, ALL_NS, &[logs::Needle::Whole(b"hay")]).len(), 1);
    assert_eq!(index.chunks(&all, ALL_NS, &[b"haystack"]).len(), 0);
    let newest = index.chunks(&all, TimeRangeNs::new(TimestampNs(199_000), TimestampNs(200_000)), &[]);
    assert_eq!(newest.iter().map(|chunk| chunk.row_group).collect::<Vec<_>>(), [3]);
}

fn read_any(bytes: &Bytes) -> Result<(), SegmentError> {
    let fetched = Fetched::whole(bytes.clone());
    if let Ok(index) = logs::Index::open(bytes) {
        for chunk in index.chunks(&index.all(), ALL_NS, &[]) {
            index.decode(&chunk, logs::Projection { line_lens: true, ..logs::Projection::ALL }, &fetched)?;
        }
        return Ok(());
    }
    let index = metrics::Index::open(bytes)?;
    index.decode(&index.all(), metrics::Projection::ALL, &fetched)?;
    index.metadata()?;
    Ok(())
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 2000, ..Default::default() })]
    #[test]
    fn mutated_files_never_panic(at in 0usize..1_000_000, flips in proptest::collection::vec(1u8.., 1..9), cut in 0usize..4096, logs in proptest::bool::ANY) {
        use std::sync::LazyLock;
        static METRICS: LazyLock<Bytes> = LazyLock::new(|| merge_metrics(&small_set(5).0, &MergeOptions::default()).0[0].bytes.clone());
        static LOGS: LazyLock<Bytes> = LazyLock::new(|| merge_logs(&log_inputs(3), &MergeOptions::default()).0[0].bytes.clone());
        let original: &Bytes = if logs { &LOGS } else { &METRICS };
        read_any(original).unwrap();
        let mut bytes = original.to_vec();
        let at = at % (bytes.len() - flips.len());
        flips.iter().enumerate().for_each(|(place, flip)| bytes[at + place] ^= flip);
        // Bytes that only foreign readers use may change unseen; nothing else, and never with a panic.
        let _ = read_any(&bytes.clone().into());
        let tail = metrics::Index::open(original).map(|_| ()).or_else(|_| logs::Index::open(original).map(|_| ()));
        proptest::prop_assert!(tail.is_ok());
        bytes.truncate(bytes.len() - 1 - cut.min(bytes.len() - 1));
        proptest::prop_assert!(read_any(&bytes.into()).is_err());
    }
}

#[test]
fn erased_rows_are_gone_and_counted() {
    let (inputs, _) = small_set(1);
    let mut before = Samples::new();
    inputs.iter().for_each(|input| read_metrics(input, &mut before));
    let range = TimeRangeMs::new(TimestampMs(generator::START_MS), TimestampMs(generator::START_MS + 60_000));
    let hit = |labels: &LabelSet| labels.metric_name() == Some("app_metric_06_total") || labels.metric_name() == Some("odd");
    let erase = |_: usize, labels: &LabelSet| if hit(labels) { vec![range] } else { Vec::new() };
    let mut outputs = Vec::new();
    let mut emit = |output: Encoded| outputs.push(output);
    let report = merge::metrics_without(inputs.clone(), &MergeOptions::default(), &erase, &mut emit).unwrap();
    let mut got = Samples::new();
    outputs.iter().for_each(|output| read_metrics(&output.bytes, &mut got));
    let kept = |(labels, time): &(String, i64)| {
        let name = labels.contains("app_metric_06_total") || labels.contains("\"odd\"");
        !(name && range.start.0 <= *time && *time < range.end.0)
    };
    before.retain(|key, _| kept(key));
    assert_eq!(got, before);
    assert!(report.erased > 0 && report.rows_out == got.len() as u64);
    // Only the third input: its rows alone are gone.
    let third = |position: usize, _: &LabelSet| if position == 2 { vec![ALL] } else { Vec::new() };
    let rows = metrics::Index::open(&inputs[2]).unwrap().rows();
    let report = merge::metrics_without(inputs.clone(), &MergeOptions::default(), &third, &mut |_| {}).unwrap();
    assert_eq!(report.erased, rows);

    let inputs = log_inputs(3);
    let mut before = Entries::new();
    inputs.iter().for_each(|input| read_logs(input, &mut before));
    let erase = |_: usize, labels: &LabelSet| {
        let test: merge::EraseEntry = Box::new(|time, line, _| time.0 < 10 && line.ends_with(b"0"));
        (labels.get("app") == Some("odd")).then_some(test)
    };
    let mut outputs = Vec::new();
    let mut emit = |output: Encoded| outputs.push(output);
    let report = merge::logs_without(inputs.clone(), &MergeOptions::default(), &erase, &mut emit).unwrap();
    let mut got = Entries::new();
    outputs.iter().for_each(|output| read_logs(&output.bytes, &mut got));
    for (labels, entries) in &mut before {
        entries.retain(|(time, line, _)| !(labels.contains("\"odd\"") && *time < 10 && line.ends_with(b"0")));
        entries.sort_by_key(|entry| entry.0);
    }
    assert_eq!(got, before);
    assert!(report.erased > 0);
}

#[test]
fn too_many_inputs_are_merged_in_two_steps() {
    // Blocks of noise: their open size passes the bound, so neighbours become intermediate segments first.
    let mut random = Random(5);
    let (mut inputs, mut samples) = (Vec::new(), Vec::new());
    for input in 0..4i64 {
        let mut batch = MetricBatch::default();
        for series in 0..400 {
            batch.start_series_of(&LabelSet::from_pairs([("__name__", "noise"), ("n", &format!("{series}"))]));
            for step in 0..2500i64 {
                let value = random.unit();
                samples.push((series, input * 2000 + step, value));
                batch.push_sample(TimestampMs(input * 2000 + step), value, TimestampMs(0));
            }
        }
        inputs.push(l0::encode_metrics(&tenant(), &batch).unwrap().bytes);
    }
    let (outputs, report) = merge_metrics(&inputs, &MergeOptions::default());
    assert_eq!((report.rows_in, report.rows_out), (4_000_000, 400 * 8_500));
    assert_eq!(report.conflicts, 600_000);
    let mut expected: std::collections::HashMap<(i32, i64), u64> = std::collections::HashMap::new();
    for (series, time, value) in samples {
        let bits = expected.entry((series, time)).or_default();
        *bits = (*bits).max(value.to_bits());
    }
    let index = metrics::Index::open(&outputs[0].bytes).unwrap();
    let all = index.all();
    let columns = index.decode(&all, metrics::Projection::ALL, &Fetched::whole(outputs[0].bytes.clone())).unwrap();
    for (place, entry) in all.iter().enumerate() {
        let series: i32 = entry.labels.get("n").unwrap().parse().unwrap();
        let samples = columns.series(place);
        assert_eq!(samples.timestamps.len(), 8_500);
        for (time, value) in samples.timestamps.iter().zip(samples.values) {
            assert_eq!(value.to_bits(), expected[&(series, *time)]);
        }
    }
}
