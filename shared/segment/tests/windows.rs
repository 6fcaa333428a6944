//! Coarse copies: what is read back are the windows of the samples, however they lie in segments; few samples and histograms stay
//! samples; a deleted range takes its windows along.
#![allow(clippy::unwrap_used)]

mod generator;

use std::collections::BTreeMap;

use bytes::Bytes;
use generator::{Random, SetS};
use model::batch::HistogramRow;
use model::windowed::{self, Window};
use model::{Histogram, LabelSet, MetricBatch, STALE_NAN, SlotRange, Span, TenantId, TimeRangeMs, TimestampMs};
use segment::merge::{self, CoarseOptions, CoarseSource, MergeReport};
use segment::windows::{Index, Projection};
use segment::{Encoded, Fetched, l0, metrics, verify};

const WIDTHS_MS: [i64; 2] = [300_000, 3_600_000];
type Samples = BTreeMap<String, (Vec<i64>, Vec<f64>)>;

fn tenant() -> TenantId {
    TenantId::anonymous()
}

/// Series of every temper; one of them sparse.
fn samples(random: &mut Random) -> Samples {
    let mut all = Samples::new();
    for series in 0..12u64 {
        let (mut timestamps, mut values, mut at, mut value) = (Vec::new(), Vec::new(), random.below(100_000) as i64, 0.0);
        while at < 3 * 3_600_000 {
            at += if series == 3 {
                70_000
            } else if random.below(60) == 0 {
                1_000_000
            } else {
                5_000 + random.below(20_000) as i64
            };
            value = match (series % 4, random.below(40)) {
                (_, 0) => 0.0,
                (0, _) => value + random.below(50) as f64,
                (1, _) => random.below(10_000) as f64 / 100.0,
                (2, _) => random.normal() / 3.0,
                _ => 42.0,
            };
            timestamps.push(at);
            values.push(if random.below(50) == 0 { STALE_NAN } else { value });
        }
        if series == 5 {
            values[7] = f64::NAN;
            values[9] = f64::INFINITY;
            values[11] = -0.0;
        }
        let labels = LabelSet::from_pairs([("__name__", "m"), ("series", &*series.to_string()), ("win", "odd")]);
        all.insert(labels.to_string(), (timestamps, values));
    }
    all
}

fn labels_of(text: &str) -> LabelSet {
    let series = text.split('"').nth(3).unwrap();
    LabelSet::from_pairs([("__name__", "m"), ("series", series), ("win", "odd")])
}

/// Spreads samples over blocks, some of them twice.
fn blocks(random: &mut Random, samples: &Samples, count: u64) -> Vec<Bytes> {
    let blocks = (0..count).map(|block| {
        let mut batch = MetricBatch::default();
        for (text, (timestamps, values)) in samples {
            batch.start_series_of(&labels_of(text));
            for (at, value) in timestamps.iter().zip(values) {
                if *at as u64 / 60_000 % count == block || random.below(20) == 0 {
                    batch.push_sample(TimestampMs(*at), *value, TimestampMs(0));
                }
            }
        }
        l0::encode_metrics(&tenant(), &batch).unwrap().bytes
    });
    blocks.collect()
}

fn copies(inputs: &[Bytes], slots: &[SlotRange]) -> (Vec<(usize, Encoded)>, Vec<MergeReport>) {
    let (mut outputs, mut reports) = (Vec::new(), Vec::new());
    for slots in slots {
        let sources = inputs.iter().map(|bytes| {
            let index = metrics::Index::open(bytes).unwrap();
            let wanted = (0..index.series_len() as u32).filter(|ordinal| slots.contains(index.extent(*ordinal).slot));
            let wanted: Vec<u32> = wanted.collect();
            let ranges = index.plan_ordinals(&wanted, metrics::Projection::ALL).ranges;
            let parts = ranges.into_iter().map(|range| (range.start, bytes.slice(range.start as usize..range.end as usize)));
            CoarseSource { index, fetched: Fetched::parts(parts.collect()) }
        });
        let options = CoarseOptions { slots: *slots, widths_ms: WIDTHS_MS.to_vec(), output_bytes_max: usize::MAX };
        let report = merge::downsample(sources.collect(), &options, &mut |width, output| outputs.push((width, output))).unwrap();
        reports.push(report);
    }
    (outputs, reports)
}

/// Windows of the series that are windows, by width and labels.
fn read(outputs: &[(usize, Encoded)]) -> BTreeMap<(usize, String), Vec<Window>> {
    let mut found = BTreeMap::new();
    for (width, output) in outputs.iter().filter(|(_, output)| segment::windows::is_windows(&output.bytes, 0)) {
        let index = Index::open_tail(&output.bytes.slice(output.tail_offset as usize..), output.tail_offset).unwrap();
        assert_eq!(index.width_ms(), WIDTHS_MS[*width]);
        let ordinals: Vec<u32> = (0..index.series_len() as u32).collect();
        let fetched = index.plan_ordinals(&ordinals, Projection::ALL).ranges.into_iter();
        let fetched = fetched.map(|range| (range.start, output.bytes.slice(range.start as usize..range.end as usize)));
        let columns = index.decode_ordinals(&ordinals, Projection::ALL, &Fetched::parts(fetched.collect())).unwrap();
        for ordinal in ordinals {
            let key = (*width, index.labels(ordinal).to_string());
            assert!(found.insert(key, columns.series(ordinal as usize).to_vec()).is_none());
        }
    }
    found
}

/// What storing keeps to the bit.
fn stored(window: &Window) -> String {
    let bits = |value: f64| if value.is_nan() { "NaN".into() } else { format!("{:x}", value.to_bits()) };
    let values = [window.first, window.last, window.min, window.max].map(bits);
    let Window { start, end, count, first_at, last_at, resets, changes, stale_at, .. } = *window;
    let times = if count > 0 { (first_at, last_at) } else { (0, 0) };
    format!("{start} {end} {count} {times:?} {values:?} {resets} {changes} {stale_at}")
}

/// What storing keeps to the bit where it is exact, and nearly where it is not.
fn sums_are_alike(read: &Window, written: &Window) -> bool {
    let near =
        |a: f64, b: f64, off: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan() || (a - b).abs() <= off * b.abs();
    let is_known = Window { quantum: read.quantum, ..*written };
    let spread = read.max.abs().max(read.min.abs()) * read.count as f64;
    let sum = near(read.sum, written.total(), 0.0)
        || !is_known.sum_is_exact() && !read.sum_is_exact() && (read.sum - written.total()).abs() <= 1e-6 * spread;
    let lost = near(read.lost, written.lost, 0.0) || !is_known.increase_is_exact() && near(read.lost, written.lost, 1e-6);
    sum && lost && near(read.m2, written.m2, 1.0 / 512.0)
}

#[test]
fn windows_come_back_however_the_samples_lie() {
    for seed in 0..8 {
        let mut random = Random(seed);
        let samples = samples(&mut random);
        let inputs = blocks(&mut random, &samples, 1 + seed % 3);
        let cut = 1 + random.below(1022) as u16;
        let halves = [SlotRange { lo: 0, hi: cut }, SlotRange { lo: cut, hi: 1024 }];
        let (outputs, _) = copies(&inputs, if seed % 2 == 0 { &[SlotRange::ALL] } else { &halves });
        let found = read(&outputs);
        for (width, width_ms) in WIDTHS_MS.iter().enumerate() {
            for (text, (timestamps, values)) in &samples {
                let expected = windowed::windows(*width_ms, timestamps, values);
                let dense = timestamps.len() >= merge::SAMPLES_PER_WINDOW_MIN * expected.len();
                let read = found.get(&(width, text.clone()));
                assert_eq!(read.is_some(), dense, "{text}");
                let Some(read) = read else { continue };
                assert_eq!(
                    read.iter().map(stored).collect::<Vec<_>>(),
                    expected.iter().map(stored).collect::<Vec<_>>(),
                    "{text}"
                );
                for (read, written) in read.iter().zip(&expected) {
                    assert!(written.count == 0 || sums_are_alike(read, written), "{text} {read:?} {written:?}");
                }
                assert!(read.iter().all(|window| expected.iter().all(|of| window.quantum <= of.quantum || window.count == 0)));
            }
        }
        for (_, output) in &outputs {
            let report = verify::verify(&output.bytes, Some(&output.stats), Some(&tenant()));
            assert!(report.is_sound(), "{:?}", report.problems);
        }
    }
}

#[test]
fn a_projection_reads_less_and_the_same() {
    let mut random = Random(77);
    let samples = samples(&mut random);
    let (outputs, _) = copies(&blocks(&mut random, &samples, 1), &[SlotRange::ALL]);
    let (_, output) = outputs.iter().find(|(_, output)| segment::windows::is_windows(&output.bytes, 0)).unwrap();
    let index = Index::open_tail(&output.bytes, 0).unwrap();
    let all: Vec<u32> = (0..index.series_len() as u32).collect();
    let whole = Fetched::whole(output.bytes.clone());
    let everything = index.decode_ordinals(&all, Projection::ALL, &whole).unwrap();
    let bytes =
        |projection| index.plan_ordinals(&all, projection).ranges.iter().map(|range| range.end - range.start).sum::<u64>();
    let some = Projection { lost: true, ..Projection::default() };
    assert!(bytes(some) < bytes(Projection::ALL));
    let few = index.decode_ordinals(&all, some, &whole).unwrap();
    for (a, b) in few.windows.iter().zip(&everything.windows) {
        assert_eq!(
            (a.count, a.first_at, a.last_at, a.lost.to_bits(), a.resets),
            (b.count, b.first_at, b.last_at, b.lost.to_bits(), b.resets)
        );
        assert_eq!((a.first.to_bits(), a.last.to_bits()), (b.first.to_bits(), b.last.to_bits()));
    }
}

/// A reader of samples gets those that windows still have.
#[test]
fn read_as_samples_windows_give_their_edges() {
    let mut random = Random(78);
    let samples = samples(&mut random);
    let (outputs, _) = copies(&blocks(&mut random, &samples, 1), &[SlotRange::ALL]);
    let (_, output) = outputs.iter().find(|(_, output)| segment::windows::is_windows(&output.bytes, 0)).unwrap();
    let index = metrics::Index::open(&output.bytes).unwrap();
    let all = index.all();
    let columns = index.decode(&all, metrics::Projection::SAMPLES, &Fetched::whole(output.bytes.clone())).unwrap();
    for (place, entry) in all.iter().enumerate() {
        let (read, (timestamps, values)) = (columns.series(place), &samples[&entry.labels.to_string()]);
        assert!(read.timestamps.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((read.timestamps.first(), read.timestamps.last()), (timestamps.first(), timestamps.last()));
        for (at, value) in read.timestamps.iter().zip(read.values) {
            let same = timestamps.iter().position(|of| of == at).map(|row| values[row].to_bits());
            assert_eq!(same, Some(value.to_bits()));
        }
    }
}

#[test]
fn few_samples_stay_as_they_are_and_histograms_leave_edges_and_a_count() {
    let mut batch = MetricBatch::default();
    batch.start_series_of(&LabelSet::from_pairs([("__name__", "latency")]));
    for step in 0..100i64 {
        let histogram = Histogram {
            schema: 1,
            count: step as f64,
            sum: 2.5,
            positive_spans: vec![Span { offset: -1, length: 2 }],
            positive_buckets: vec![1.0, 2.0],
            ..Histogram::default()
        };
        let (timestamp, start_timestamp) = (TimestampMs(step * 15_000), TimestampMs(0));
        batch.histograms.push(HistogramRow { series: 0, timestamp, start_timestamp, histogram });
    }
    batch.start_series_of(&LabelSet::from_pairs([("__name__", "slow")]));
    (0..100i64).for_each(|step| batch.push_sample(TimestampMs(step * 60_000), 1.0, TimestampMs(0)));
    let (outputs, reports) = copies(&[l0::encode_metrics(&tenant(), &batch).unwrap().bytes], &[SlotRange::ALL]);
    assert_eq!(reports[0].rows_out, 200);
    let histograms = |output: &Encoded| {
        let index = metrics::Index::open(&output.bytes).unwrap();
        let latency = index.all().into_iter().find(|entry| entry.labels.metric_name() == Some("latency"))?;
        let columns = index.decode(&[latency], metrics::Projection::ALL, &Fetched::whole(output.bytes.clone())).unwrap();
        let samples = columns.series(0);
        assert!(samples.timestamps.is_empty());
        let (first, last) = (samples.histograms.first()?.timestamp.0, samples.histograms.last()?.timestamp.0);
        Some((samples.histograms.len(), first, last))
    };
    let is_windows = |output: &Encoded| segment::windows::is_windows(&output.bytes, 0);
    let found: Vec<_> = outputs.iter().map(|(width, output)| (*width, is_windows(output), histograms(output))).collect();
    for (_, output) in &outputs {
        let report = verify::verify(&output.bytes, Some(&output.stats), Some(&tenant()));
        assert!(report.is_sound(), "{:?}", report.problems);
    }
    // 100 histograms in 6 windows of 5m, which of them alone have no samples, and one of 1h.
    let edges = |count| Some((count, 0, 99 * 15_000));
    assert_eq!(found, [(0, true, None), (0, false, edges(11)), (1, true, None), (1, false, edges(3))]);
    let index = Index::open_tail(&outputs[0].1.bytes, 0).unwrap();
    assert!(index.is_of_histograms(0));
    let columns = index.decode_ordinals(&[0], Projection::ALL, &Fetched::whole(outputs[0].1.bytes.clone())).unwrap();
    assert_eq!(columns.windows.iter().map(|window| window.count).sum::<u64>(), 100);
    let held = |width: usize, name: &str| {
        let of = outputs.iter().filter(|(at, output)| *at == width && !segment::windows::is_windows(&output.bytes, 0));
        let files = of.map(|(_, output)| metrics::Index::open(&output.bytes).unwrap());
        files.map(|index| index.all().iter().filter(|entry| entry.labels.metric_name() == Some(name)).count()).sum::<usize>()
    };
    assert_eq!([held(0, "latency"), held(1, "latency"), held(0, "slow"), held(1, "slow")], [1, 1, 1, 0]);
}

#[test]
fn what_a_deletion_touches_goes_whole() {
    let mut random = Random(5);
    let samples = samples(&mut random);
    let (outputs, _) = copies(&blocks(&mut random, &samples, 1), &[SlotRange::ALL]);
    let (_, output) = outputs.iter().find(|(_, output)| segment::windows::is_windows(&output.bytes, 0)).unwrap();
    let range = TimeRangeMs::new(TimestampMs(3_600_001), TimestampMs(3_600_002));
    let erased = merge::erase_windows(&output.bytes, &|_| vec![range]).unwrap().unwrap();
    let (before, after) = (read(&[(0, output.clone())]), read(&[(0, erased)]));
    for (key, windows) in before {
        let kept: Vec<String> = windows.iter().filter(|window| window.end != 3_900_000).map(stored).collect();
        assert_eq!(after[&key].iter().map(stored).collect::<Vec<_>>(), kept);
    }
    let all_time = TimeRangeMs::new(TimestampMs(i64::MIN), TimestampMs(i64::MAX));
    assert!(merge::erase_windows(&output.bytes, &|_| vec![all_time]).unwrap().is_none());
}

/// Set S for a while: what one sample and one window of each kind take.
#[test]
fn windows_are_smaller_than_their_samples() {
    let mut set = SetS::new(3, 2, 40);
    let mut inputs = Vec::new();
    for _ in 0..12 {
        inputs.push(l0::encode_metrics(&tenant(), &set.history(60)).unwrap().bytes);
    }
    let mut raw = Vec::new();
    let options = merge::MergeOptions { effort: merge::Effort::Small, ..merge::MergeOptions::default() };
    merge::metrics(&inputs, &options, &mut |output| raw.push(output.bytes)).unwrap();
    let (outputs, _) = copies(&raw, &[SlotRange::ALL]);
    let bytes = |width| outputs.iter().filter(|(at, _)| *at == width).map(|(_, output)| output.tail_offset).sum::<u64>();
    let raw: u64 = raw.iter().map(|bytes| bytes.len() as u64).sum();
    assert!(bytes(0) < raw && bytes(1) < bytes(0), "{raw} {} {}", bytes(0), bytes(1));
}
