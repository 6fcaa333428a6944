use model::batch::{ExemplarRow, HistogramRow};
use model::time::HOUR_MS;
use model::{Exemplar, Histogram, LabelSet, MetricKind, MetricMetadata};
use testkit::LogBatchBuilder;

use super::*;

fn batch(samples: &[(&str, i64)]) -> Batch {
    let mut batch = MetricBatch::default();
    for (name, at) in samples {
        batch.start_series_of(&LabelSet::from_pairs([("__name__", *name)]));
        batch.push_sample(TimestampMs(*at), *at as f64, TimestampMs(0));
    }
    Batch::Metrics(batch)
}

fn shape(parts: &[(Hour, Batch)]) -> Vec<(i64, usize)> {
    parts.iter().map(|(hour, part)| (hour.0, part.rows())).collect()
}

#[test]
fn one_hour_is_not_copied() {
    let whole = batch(&[("a", 1), ("b", HOUR_MS - 1)]);
    assert_eq!(cut(whole.clone(), TimestampMs(0)), vec![(Hour(0), whole)]);
}

#[test]
fn hours_ascend_and_rows_are_kept() {
    let whole = batch(&[("a", HOUR_MS), ("a", -1), ("b", 0), ("b", HOUR_MS + 1)]);
    assert_eq!(hours(&whole, TimestampMs(0)), [Hour(-1), Hour(0), Hour(1)]);
    assert_eq!(shape(&cut(whole, TimestampMs(0))), [(-1, 1), (0, 1), (1, 2)]);
}

/// Series whose rows of all kinds alternate between hours: every row in its hour, under its series, in its order.
#[test]
fn rows_of_all_kinds_stay_with_their_series() {
    let mut whole = MetricBatch::default();
    let histogram = |series, hour: i64| HistogramRow {
        series,
        timestamp: Hour(hour).start(),
        start_timestamp: TimestampMs(0),
        histogram: Histogram::default(),
    };
    for series in 0..3u32 {
        whole.start_series_of(&LabelSet::from_pairs([("__name__", "m"), ("n", &series.to_string())]));
        for row in 0..4i64 {
            whole.push_sample(TimestampMs((row % 2) * HOUR_MS + row), f64::from(series), TimestampMs(i64::from(series)));
        }
        whole.histograms.extend([histogram(series, 1), histogram(series, 2)]);
        let exemplar = Exemplar { labels: LabelSet::empty(), value: 1.0, timestamp: Hour(2).start() };
        whole.exemplars.push(ExemplarRow { series, exemplar });
    }
    let parts = cut(Batch::Metrics(whole), TimestampMs(0));
    assert_eq!(shape(&parts), [(0, 6), (1, 9), (2, 3)]);
    for (hour, part) in &parts {
        let Batch::Metrics(part) = part else { panic!("metrics stay metrics") };
        assert_eq!(part.series_len(), 3, "{hour:?}");
        for series in 0..3 {
            let name = part.label_set(series).unwrap().to_string();
            assert!(name.contains(&format!("\"{series}\"")), "{name}");
            let rows = part.sample_range(series);
            assert!(part.timestamps[rows.clone()].is_sorted());
            assert!(part.values[rows.clone()].iter().all(|value| *value == series as f64));
            assert!(rows.into_iter().all(|row| part.start_timestamps.get(row).copied().unwrap_or(0) == series as i64));
        }
        let of = |rows: Vec<u32>| rows == [0, 1, 2] || rows.is_empty();
        assert!(of(part.histograms.iter().map(|row| row.series).collect()));
        assert!(of(part.exemplars.iter().map(|row| row.series).collect()));
    }
}

#[test]
fn entries_are_cut_too() {
    let at = |hour: i64, row: i64| (hour * HOUR_MS + row) * 1_000_000;
    let entries = [(at(0, 0), "a"), (at(2, 0), "b"), (at(0, 1), "c")];
    let whole = LogBatchBuilder::default().stream([("job", "a")], entries).stream([("job", "b")], [(at(2, 5), "d")]).build();
    let parts = cut(Batch::Logs(whole), TimestampMs(0));
    assert_eq!(shape(&parts), [(0, 2), (2, 2)]);
    let Batch::Logs(second) = &parts[1].1 else { panic!("logs stay logs") };
    assert_eq!((second.streams_len(), second.lines.get(0), second.lines.get(1)), (2, &b"b"[..], &b"d"[..]));
    assert!(cut(Batch::Logs(LogBatch::default()), TimestampMs(0)).is_empty());
}

#[test]
fn metadata_alone_goes_to_the_present_and_else_with_the_first_hour() {
    let metadata = MetricMetadata { metric: "m".into(), kind: MetricKind::Gauge, help: String::new(), unit: String::new() };
    let alone = Batch::Metrics(MetricBatch { metadata: vec![metadata.clone()], ..MetricBatch::default() });
    assert_eq!(hours(&alone, TimestampMs(5 * HOUR_MS)), [Hour(5)]);
    assert_eq!(cut(alone, TimestampMs(5 * HOUR_MS))[0].0, Hour(5));
    let Batch::Metrics(mut whole) = batch(&[("a", HOUR_MS), ("a", 0)]) else { panic!("metrics") };
    whole.metadata.push(metadata);
    let parts = cut(Batch::Metrics(whole), TimestampMs(0));
    let counts: Vec<usize> =
        parts.iter().map(|(_, part)| if let Batch::Metrics(part) = part { part.metadata.len() } else { 0 }).collect();
    assert_eq!(counts, [1, 0]);
}
