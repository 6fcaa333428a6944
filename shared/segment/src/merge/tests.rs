//! Runs: what two steps come to is what one comes to, and what of a run has been read is let go of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use model::batch::ExemplarRow;
use model::{Exemplar, LabelSet, LogBatch, MetricBatch, MetricKind, MetricMetadata, TenantId, TimestampMs, TimestampNs};

use super::reduce::{Input, MergeGroup, reduce};
use super::{MergeOptions, MergeReport, OPEN_BYTES_MAX};
use crate::{Encoded, SegmentError, l0};

const INPUTS: u64 = 4;
const SERIES: u64 = 40;
const ROWS: u64 = 25;

/// The same series in every input but one, which only the last has, with a label of its own; exemplars and metadata.
fn metrics(input: u64) -> Bytes {
    let mut batch = MetricBatch::default();
    for series in 0..SERIES + input / (INPUTS - 1) {
        let name = format!("m{}", series % 3);
        let label = if series < SERIES { "i" } else { "only_here" };
        batch.start_series_of(&LabelSet::from_pairs([("__name__", &*name), (label, &*series.to_string())]));
        for row in 0..ROWS {
            let at = TimestampMs((input * ROWS + row) as i64 * 1_000);
            batch.push_sample(at, (series * row) as f64 / 3.0, TimestampMs(0));
        }
        let labels = LabelSet::from_pairs([("trace_id", &*format!("{input}-{series}"))]);
        let exemplar = Exemplar { labels, value: 1.0, timestamp: TimestampMs((input * ROWS) as i64 * 1_000) };
        batch.exemplars.push(ExemplarRow { series: series as u32, exemplar });
    }
    let (metric, kind) = (format!("m{}", input % 3), MetricKind::Gauge);
    batch.metadata.push(MetricMetadata { metric, kind, help: String::new(), unit: String::new() });
    l0::encode_metrics(&TenantId::anonymous(), &batch).expect("a small batch encodes").bytes
}

/// Streams that every input has, longer than a segment of a run.
fn logs(input: u64) -> Bytes {
    let mut batch = LogBatch::default();
    for stream in 0..5 {
        let labels = LabelSet::from_pairs([("app", &*format!("app-{stream}")), ("host", &*(input % 2).to_string())]);
        batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
        for row in 0..200 {
            let line = format!("request {} took {} ms", input * 200 + row, stream * row);
            batch.push_entry(TimestampNs((input * 200 + row) as i64), line.as_bytes(), &[]);
        }
    }
    l0::encode_logs(&TenantId::anonymous(), &batch).expect("a small batch encodes").bytes
}

/// Bytes that count themselves for as long as they are held.
struct Counted {
    bytes: Bytes,
    held: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

fn counted(bytes: Bytes, held: &Arc<AtomicUsize>) -> Bytes {
    held.fetch_add(bytes.len(), Ordering::Relaxed);
    Bytes::from_owner(Counted { bytes, held: held.clone() })
}

fn collected(inputs: Vec<Input>, options: &MergeOptions, step: &mut MergeGroup<'_>) -> (Vec<Bytes>, MergeReport) {
    let mut outputs = Vec::new();
    let report = step(inputs, options, &mut |output| outputs.push(output.bytes)).expect("our own segments are read");
    (outputs, report)
}

/// Two steps over `inputs`, the first of which makes runs of many segments, of pairs of Parquet inputs that fill the bound.
fn check(inputs: &[Bytes], step: &mut MergeGroup<'_>) {
    let whole = |bytes: &Bytes| Input { segments: [bytes.clone()].into(), position: None };
    let options = MergeOptions::default();
    let (expected, _) = collected(inputs.iter().map(whole).collect(), &options, step);
    // As Parquet each, since the size of an open block is its own.
    let parquet = inputs.iter().map(|input| collected(vec![whole(input)], &options, step).0.remove(0)).collect();
    let rows_in_segment = MergeOptions { output_rows_max: 200, ..MergeOptions::default() };
    let mut small = |group: Vec<Input>, options: &MergeOptions, emit: &mut dyn FnMut(Encoded)| {
        step(group, &MergeOptions { output_rows_max: 200, ..options.clone() }, emit)
    };
    let mut losses = MergeReport::default();
    let runs = reduce(parquet, OPEN_BYTES_MAX * 2 / 5, &mut losses, &mut small).expect("our own segments are read");
    assert_eq!(runs.len(), 2);
    let held = Arc::new(AtomicUsize::new(0));
    let mut segments = 0;
    let mut count = |mut run: Input| {
        assert!(run.segments.len() >= 5, "{} segments", run.segments.len());
        segments += run.segments.len();
        run.segments = run.segments.into_iter().map(|segment| counted(segment, &held)).collect();
        run
    };
    let runs: Vec<Input> = runs.into_iter().map(&mut count).collect();
    let total = held.load(Ordering::Relaxed);
    let mut left = Vec::new();
    let mut rewritten = Vec::new();
    let step_over = step(runs, &rows_in_segment, &mut |output| {
        left.push(held.load(Ordering::Relaxed));
        rewritten.push(output.bytes);
    });
    step_over.expect("our own segments are read");
    // Beside what was not read yet there is a segment of each run, and the one that the writer was ahead.
    let slack = 2 * total.div_ceil(segments) * 2;
    for (written, left) in left.iter().enumerate() {
        let unread = total * (rewritten.len() - written) / rewritten.len();
        assert!(*left <= unread + slack, "{left} of {total} bytes are held after {written} of {} outputs", rewritten.len());
    }
    assert_eq!(held.load(Ordering::Relaxed), 0);
    // Whatever it was cut into on the way, it comes to the same file.
    let again = rewritten.iter().map(whole).collect::<Vec<Input>>();
    let run = Input { segments: again.into_iter().flat_map(|input| input.segments).collect(), position: None };
    assert_eq!(collected(vec![run], &options, step).0, expected);
}

#[test]
fn runs_of_metrics_are_let_go_of_as_they_are_read() {
    let inputs: Vec<Bytes> = (0..INPUTS).map(metrics).collect();
    check(&inputs, &mut |inputs, options, emit| super::metrics::merge_step(inputs, options, &|_, _| Vec::new(), emit));
}

#[test]
fn runs_of_logs_are_let_go_of_as_they_are_read() {
    let inputs: Vec<Bytes> = (0..INPUTS).map(logs).collect();
    check(&inputs, &mut |inputs, options, emit| super::logs::merge_step(inputs, options, &|_, _| None, emit));
}

/// A run whose later segment is broken is an error, not a shorter run.
#[test]
fn every_segment_of_a_run_is_looked_at() {
    let segments = [metrics(0), Bytes::from_static(b"no segment")].into();
    let inputs = vec![Input { segments, position: None }];
    let merged = super::metrics::merge_step(inputs, &MergeOptions::default(), &|_, _| Vec::new(), &mut |_| {});
    assert!(matches!(merged, Err(SegmentError::Corrupt { .. })), "{merged:?}");
}
