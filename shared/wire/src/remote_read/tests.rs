use super::*;
use model::{CounterResetHint, STALE_NAN, Span};

fn compressed(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

fn request(types: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, 1, |out| {
        int(out, 1, 1_000);
        int(out, 2, 2_000);
        message(out, 3, |out| {
            int(out, 1, 2);
            bytes(out, 2, b"__name__");
            bytes(out, 3, b"u.*");
        });
    });
    types.iter().for_each(|kind| {
        varint(&mut out, 2 << 3);
        varint(&mut out, *kind);
    });
    out
}

#[test]
fn requests() {
    let decoded = decode(&compressed(&request(&[7, 1, 0])), 1 << 20).unwrap();
    assert_eq!(decoded.response, ResponseType::StreamedXorChunks);
    let query = ReadQuery {
        range: TimeRangeMs::new(TimestampMs(1_000), TimestampMs(2_001)),
        matchers: vec![Matcher::new("__name__", MatchOp::Regex, "u.*").unwrap()],
    };
    assert_eq!(decoded.queries, [query]);
    assert_eq!(decode(&compressed(&request(&[])), 1 << 20).unwrap().response, ResponseType::Samples);
    let error = decode(&compressed(&request(&[7])), 1 << 20).unwrap_err().to_string();
    assert!(error.starts_with("server does not support any of the requested response types: [7]; supported: map["), "{error}");
    assert_eq!(decode(b"", 9).unwrap_err().to_string(), "snappy: corrupt input");
    assert!(decode(&compressed(&[0; 100]), 99).is_err());
    for len in 0..request(&[1]).len() {
        // Cut anywhere: no panic.
        let _ = decode(&compressed(&request(&[1])[..len]), 1 << 20);
    }
}

fn histogram(count: f64) -> Histogram {
    Histogram {
        count,
        sum: 1.5,
        zero_threshold: 0.001,
        zero_count: 1.0,
        schema: 1,
        positive_spans: vec![Span { offset: -2, length: 2 }],
        positive_buckets: vec![count, 2.0],
        ..Histogram::default()
    }
}

#[test]
fn histograms_begin_a_chunk_where_the_layout_or_the_counter_breaks() {
    let labels = LabelSet::from_pairs([("__name__", "h")]);
    let stale = Histogram { sum: STALE_NAN, ..Histogram::default() };
    let gauge = Histogram { counter_reset_hint: CounterResetHint::Gauge, ..histogram(3.0) };
    let values = [histogram(1.0), histogram(2.0), histogram(1.0), stale, histogram(1.0), gauge.clone(), gauge];
    let histograms = values.iter().enumerate().map(|(at, value)| (at as i64 * 10, value)).collect();
    let series = SeriesSamples { labels: &labels, timestamps: &[15], values: &[1.0], histograms };
    let chunks: Vec<(i64, i64, u8)> = chunk::of(&series).map(|chunk| (chunk.first, chunk.last, chunk.encoding as u8)).collect();
    assert_eq!(chunks, [(0, 10, 3), (15, 15, 1), (20, 20, 3), (30, 30, 3), (40, 40, 3), (50, 60, 3)]);
}

#[test]
fn frames_are_bounded_and_checked() {
    let labels = LabelSet::from_pairs([("__name__", "m")]);
    let timestamps: Vec<i64> = (0..10_000).map(|at| at * 15_000).collect();
    let values: Vec<f64> = (0..10_000).map(|at| (at as f64).sin()).collect();
    let series = SeriesSamples { labels: &labels, timestamps: &timestamps, values: &values, histograms: Vec::new() };
    let mut out = Vec::new();
    push_frames(&mut out, &series, 3, 4096);
    let (mut rest, mut frames) = (&out[..], 0);
    while !rest.is_empty() {
        let len = model::labels::take_varint(&mut rest).unwrap() as usize;
        let (sum, body) = rest.split_at(4);
        assert_eq!(sum, crate::crc32c::of(&body[..len]).to_be_bytes());
        assert!(len < 4096 + 1200, "a frame is one chunk over at most: {len}");
        rest = &body[len..];
        frames += 1;
    }
    assert!(frames > 10, "{frames}");
}
