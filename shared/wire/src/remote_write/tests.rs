use std::time::Duration;

use super::*;

const NOW: TimestampMs = TimestampMs(1_800_000_000_000);

/// Writes protobuf: a second, independent hand.
#[derive(Default, Clone)]
struct Message(Vec<u8>);

impl Message {
    fn bytes(mut self, field: u64, bytes: &[u8]) -> Message {
        model::labels::put_varint(&mut self.0, field << 3 | 2);
        model::labels::put_varint(&mut self.0, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }
    fn nested(self, field: u64, inner: Message) -> Message {
        self.bytes(field, &inner.0)
    }
    fn varint(mut self, field: u64, value: u64) -> Message {
        model::labels::put_varint(&mut self.0, field << 3);
        model::labels::put_varint(&mut self.0, value);
        self
    }
    fn double(mut self, field: u64, value: f64) -> Message {
        model::labels::put_varint(&mut self.0, field << 3 | 1);
        self.0.extend_from_slice(&value.to_bits().to_le_bytes());
        self
    }
    fn packed(self, field: u64, values: &[u64]) -> Message {
        let mut packed = Vec::new();
        values.iter().for_each(|value| model::labels::put_varint(&mut packed, *value));
        self.bytes(field, &packed)
    }
}

fn sample(value: f64, at: i64) -> Message {
    Message::default().double(1, value).varint(2, at as u64)
}

fn v1_series(labels: &[(&str, &str)], samples: &[Message]) -> Message {
    let label = |(name, value): &(&str, &str)| Message::default().bytes(1, name.as_bytes()).bytes(2, value.as_bytes());
    let series = labels.iter().fold(Message::default(), |series, pair| series.nested(1, label(pair)));
    samples.iter().fold(series, |series, one| series.nested(2, one.clone()))
}

fn v1(message: Message) -> Result<Decoded, Error> {
    decode_message(&message.0, Version::V1, &Limits::default(), NOW)
}

fn v2(symbols: &[&str], series: &[Message]) -> Result<Decoded, Error> {
    let message = symbols.iter().fold(Message::default(), |message, symbol| message.bytes(4, symbol.as_bytes()));
    let message = series.iter().fold(message, |message, one| message.nested(5, one.clone()));
    decode_message(&message.0, Version::V2, &Limits::default(), NOW)
}

#[test]
fn negotiation_comes_first() {
    let status = |kind, encoding| negotiate(kind, encoding).map_err(|error| crate::status::of_request(&error));
    assert_eq!(status(None, None), Ok(Version::V1));
    assert_eq!(status(Some("application/x-protobuf"), Some("snappy")), Ok(Version::V1));
    assert_eq!(status(Some("application/x-protobuf;proto=io.prometheus.write.v2.Request"), Some("snappy")), Ok(Version::V2));
    for (kind, encoding) in [
        (Some("application/json"), None),
        (Some("image/png"), None),
        (Some("application/x-protobuf;proto=x"), None),
        (Some("application/x-protobuf"), Some("gzip")),
        (Some("application/x-protobuf"), Some("deflate")),
    ] {
        assert_eq!(status(kind, encoding), Err(415));
    }
}

#[test]
fn v1_sorts_labels_and_skips_invalid_series_silently() {
    let stale = f64::from_bits(model::STALE_NAN_BITS);
    let message = Message::default()
        .nested(1, v1_series(&[("b", "2"), ("__name__", "m"), ("a", "")], &[sample(1.5, NOW.0), sample(stale, NOW.0 + 1)]))
        .nested(1, v1_series(&[("a", "1")], &[sample(9.0, NOW.0)]))
        .nested(1, v1_series(&[("__name__", "m"), ("__name__", "n")], &[sample(9.0, NOW.0)]))
        .varint(99, 1);
    let decoded = v1(message).unwrap();
    assert_eq!(decoded.batch.series_len(), 1);
    assert_eq!(decoded.batch.label_set(0).unwrap().to_string(), r#"{__name__="m", b="2"}"#);
    assert_eq!(decoded.batch.values[1].to_bits(), model::STALE_NAN_BITS);
    assert_eq!((decoded.batch.timestamps.len(), decoded.refused), (2, 2));
    assert_eq!(decoded.answer(), Answer { status: 204, written: None, text: String::new() });
}

#[test]
fn v1_out_of_bounds_rolls_everything_back() {
    let late = NOW.plus(Duration::from_secs(601)).0;
    let message = Message::default().nested(1, v1_series(&[("__name__", "m")], &[sample(1.0, NOW.0), sample(1.0, late)]));
    assert!(v1(message).unwrap_err().to_string().starts_with("out of bounds"));
}

/// A day whose replicas are merged gets no late data: what is too old for that is refused as what is too old to be kept.
#[test]
fn what_is_too_old_is_refused_by_the_narrower_bound() {
    let series = |age_s: i64| v1_series(&[("__name__", "m")], &[sample(1.0, NOW.0 - age_s * 1000)]);
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let refused = |limits: &Limits, age_s: i64| {
        let decoded = decode_message(&Message::default().nested(1, series(age_s)).0, Version::V1, limits, NOW);
        decoded.err().map(|error| (crate::status::of_request(&error), error.to_string()))
    };
    let kept = Limits { metrics_age_max: hours(72), ..Limits::default() };
    let merged = Limits { replicas_merged_after: Some(hours(48)), ..kept.clone() };
    let longer = Limits { replicas_merged_after: Some(hours(96)), ..kept.clone() };
    for (limits, hours) in [(&kept, 72), (&merged, 48), (&longer, 72)] {
        assert_eq!(refused(limits, hours * 3600), None);
        let (status, text) = refused(limits, hours * 3600 + 1).unwrap();
        assert!(status == 400 && text.starts_with("too old sample"), "{status} {text}");
    }
    let one = Message::default().packed(1, &[1, 2]).nested(2, sample(1.0, NOW.0 - 49 * 3_600_000));
    let message = ["", "__name__", "m"].iter().fold(Message::default(), |of, symbol| of.bytes(4, symbol.as_bytes()));
    let decoded = decode_message(&message.nested(5, one).0, Version::V2, &merged, NOW).unwrap();
    let answer = decoded.answer();
    assert!(
        (answer.status, decoded.batch.timestamps.len()) == (400, 0) && answer.text.starts_with("too old sample"),
        "{answer:?}"
    );
}

#[test]
fn v2_writes_the_rest_and_says_how_much() {
    let symbols = ["", "__name__", "m", "a", "help", "trace_id", "t"];
    let good = Message::default()
        .packed(1, &[1, 2])
        .nested(2, sample(1.0, NOW.0).varint(3, 7))
        .nested(4, Message::default().packed(1, &[5, 6]).double(2, 1.0).varint(3, NOW.0 as u64))
        .nested(5, Message::default().varint(1, 1).varint(3, 4))
        .varint(6, 1);
    let nameless = Message::default().packed(1, &[3, 2]).nested(2, sample(1.0, NOW.0));
    let plain = Message::default().packed(1, &[1, 2, 3, 2]).nested(2, sample(2.0, NOW.0));
    let decoded = v2(&symbols, &[good, nameless, plain]).unwrap();
    let answer = decoded.answer();
    assert_eq!((answer.status, answer.written), (400, Some(Written { samples: 2, histograms: 0, exemplars: 1 })));
    assert_eq!(decoded.batch.start_timestamps, [7, 0]);
    assert_eq!(decoded.batch.metadata.len(), 1);
    assert_eq!(decoded.batch.sample_ends, [1, 2]);
    for bad in [vec![1, 99], vec![1]] {
        assert!(v2(&symbols, &[Message::default().packed(1, &bad)]).is_err());
    }
    assert!(v2(&["x"], &[]).is_err());
}

#[test]
fn histograms_are_validated_and_reduced() {
    let span = |offset: i64, length| Message::default().varint(1, ((offset << 1) ^ (offset >> 63)) as u64).varint(2, length);
    let histogram = |count, schema: u64| {
        let message = Message::default().varint(1, count).double(3, 5.0).varint(4, schema << 1);
        message.nested(11, span(1, 2)).packed(12, &[2, 2]).varint(15, NOW.0 as u64)
    };
    let series = |histogram| Message::default().packed(1, &[1, 2]).nested(3, histogram);
    let symbols = ["", "__name__", "m"];
    let decoded = v2(&symbols, &[series(histogram(3, 0)), series(histogram(4, 0)), series(histogram(3, 9))]).unwrap();
    assert_eq!(decoded.answer().written, Some(Written { samples: 0, histograms: 2, exemplars: 0 }));
    assert_eq!(decoded.refused, 1);
    assert_eq!(decoded.batch.histograms[0].histogram.positive_buckets, [1.0, 2.0]);
    assert_eq!(decoded.batch.histograms[1].histogram.positive_buckets, [3.0]);
    assert_eq!(decoded.batch.histograms[1].histogram.schema, 8);
    let custom = |bounds: &[f64]| {
        let bounds: Vec<u8> = bounds.iter().flat_map(|bound| bound.to_le_bytes()).collect();
        let message = Message::default().varint(1, 3).double(3, 5.0).varint(4, 105).nested(11, span(0, 2)).packed(12, &[2, 2]);
        message.bytes(16, &bounds).varint(15, NOW.0 as u64)
    };
    let decoded = v2(&symbols, &[series(custom(&[1.0])), series(custom(&[2.0, 1.0])), series(custom(&[]))]).unwrap();
    assert_eq!((decoded.batch.histograms.len(), decoded.refused), (1, 2));
}

#[test]
fn broken_bytes_are_an_error_at_every_length() {
    let series = v1_series(&[("__name__", "m"), ("a", "b")], &[sample(1.0, NOW.0)]);
    let whole = Message::default().nested(1, series).0;
    for len in 1..whole.len() {
        assert!(decode_message(&whole[..len], Version::V1, &Limits::default(), NOW).is_err(), "{len}");
        let _ = decode_message(&whole[..len], Version::V2, &Limits::default(), NOW);
    }
}
