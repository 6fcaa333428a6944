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

/// Texts as Prometheus 3.14 answers them; the encoding is judged first, and to the letter.
#[test]
fn what_is_not_negotiated_is_said_in_upstreams_words() {
    let encoding = "SNAPPY encoding (compression) is not accepted by this server; only snappy is acceptable";
    for (kind, encoding, text) in [
        ("application/json", "SNAPPY", encoding),
        (
            "APPLICATION/X-PROTOBUF",
            "",
            "expected application/x-protobuf as the first (media) part, got APPLICATION/X-PROTOBUF content-type",
        ),
        (
            "application/x-protobuf;proto=foo",
            "snappy",
            "got application/x-protobuf;proto=foo content type; unknown type for remote write protobuf message foo, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request",
        ),
        (
            "application/x-protobuf;",
            "snappy",
            "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got  in application/x-protobuf; content-type",
        ),
    ] {
        assert_eq!(negotiate(Some(kind), Some(encoding)), Err(Error::MediaType(text.to_owned())), "{kind}");
    }
    // A blank before a name makes it another name, which nobody reads.
    assert_eq!(negotiate(Some("application/x-protobuf; proto=io.prometheus.write.v2.Request"), None), Ok(Version::V1));
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
}

/// Each beside a series that is written, with the texts of upstream's `TestRemoteWriteHandler_V2Message` and of the running server.
#[test]
fn v2_says_what_is_wrong_with_each_series() {
    const SYMBOLS: [&str; 5] = ["", "__name__", "m", "a", "x"];
    let labelled = |references: &[u64]| Message::default().packed(1, references);
    let one = sample(1.0, NOW.0);
    let late = sample(1.0, NOW.plus(Duration::from_secs(601)).0);
    let about = |field, reference| Message::default().varint(field, reference);
    let exemplar = |references: &[u64]| Message::default().packed(1, references).double(2, 1.0).varint(3, NOW.0 as u64);
    let m = labelled(&[1, 2]);
    for (series, samples, text) in [
        (labelled(&[1, 2, 3]).nested(2, one.clone()), 1, "parsing labels for series [1 2 3]: invalid labelRefs length 3"),
        (
            labelled(&[1, 999]).nested(2, one.clone()),
            1,
            "parsing labels for series [1 999]: labelRefs 1 (name) = 999 (value) outside of symbols table (size 5)",
        ),
        (
            m.clone().nested(2, one.clone()).nested(5, about(3, 999)),
            1,
            "parsing metadata for series [1 2]: metadata help_ref 999 outside of symbols table (size 5)",
        ),
        (
            m.clone().nested(2, one.clone()).nested(5, about(4, 999)),
            1,
            "parsing metadata for series [1 2]: metadata unit_ref 999 outside of symbols table (size 5)",
        ),
        (labelled(&[3, 3]).nested(2, one.clone()), 1, r#"invalid metric name or labels, got {a="a"}"#),
        (labelled(&[1, 0]).nested(2, one.clone()), 1, r#"invalid metric name or labels, got {__name__=""}"#),
        (labelled(&[0, 4, 1, 2]).nested(2, one.clone()), 1, r#"invalid metric name or labels, got {""="x", __name__="m"}"#),
        (
            labelled(&[1, 2, 3, 3, 3, 4]).nested(2, one.clone()),
            1,
            r#"invalid labels for series, labels {__name__="m", a="a", a="x"}, duplicated label a"#,
        ),
        (
            m.clone().nested(4, exemplar(&[3, 4])),
            1,
            r#"TimeSeries must contain at least one sample or histogram for series {__name__="m"}"#,
        ),
        (
            m.clone().nested(2, one.clone()).nested(2, late),
            2,
            r#"out of bounds: timestamp is too far in the future for series {__name__="m"}"#,
        ),
        (
            m.clone().nested(2, one.clone()).nested(4, exemplar(&[3, 9])),
            2,
            r#"parsing exemplar for series {__name__="m"}: labelRefs 3 (name) = 9 (value) outside of symbols table (size 5)"#,
        ),
    ] {
        let decoded = v2(&SYMBOLS, &[m.clone().nested(2, one.clone()), series]).unwrap();
        let written = Some(Written { samples, ..Written::default() });
        assert_eq!(decoded.answer(), Answer { status: 400, written, text: text.to_owned() });
        assert_eq!(decoded.batch.sample_ends.last(), Some(&(samples as u32)), "{text}");
    }
    let bytes = Message::default().bytes(4, b"").bytes(4, b"__name__").bytes(4, b"a\xff").nested(5, m.nested(2, one));
    let decoded = decode_message(&bytes.0, Version::V2, &Limits::default(), NOW).unwrap();
    assert_eq!(decoded.answer().text, r#"invalid metric name or labels, got {__name__="a\xff"}"#);
}

/// Upstream tells senders of no exemplar that it does not store.
#[test]
fn exemplars_that_cannot_be_stored_cost_no_answer() {
    let long = "x".repeat(200);
    let symbols = ["", "__name__", "m", "trace_id", "t", &long];
    let exemplar = |references: &[u64], at: i64| Message::default().packed(1, references).double(2, 1.0).varint(3, at as u64);
    let late = NOW.plus(Duration::from_secs(3600)).0;
    let series = Message::default().packed(1, &[1, 2]).nested(2, sample(1.0, NOW.0));
    for (references, at, stored) in [(&[3, 4][..], NOW.0, 1), (&[], NOW.0, 1), (&[3, 5], NOW.0, 0), (&[3, 4], late, 0)] {
        let decoded = v2(&symbols, &[series.clone().nested(4, exemplar(references, at))]).unwrap();
        let answer = decoded.answer();
        assert_eq!((answer.status, answer.written.unwrap().exemplars), (204, stored), "{references:?}");
    }
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
    let v1_series = Message::default().nested(1, Message::default().bytes(1, b"__name__").bytes(2, b"m"));
    let refused = v1(Message::default().nested(1, v1_series.nested(4, histogram(9, 0)))).unwrap_err().to_string();
    assert!(
        refused.starts_with("3 observations found in buckets, but the Count field is 9: ") && refused.ends_with(')'),
        "{refused}"
    );
}

/// Texts of upstream's `Validate`, in its order.
#[test]
fn histograms_say_what_is_wrong_with_them() {
    use model::{Histogram, Span};
    let span = |offset, length| vec![Span { offset, length }];
    let good =
        Histogram { count: 3.0, sum: 5.0, positive_spans: span(0, 2), positive_buckets: vec![1.0, 2.0], ..Histogram::default() };
    let custom = Histogram { schema: -53, zero_threshold: 0.0, custom_values: vec![1.0, 2.0], ..good.clone() };
    let bounds = |bounds: &[f64]| Histogram { custom_values: bounds.to_vec(), ..custom.clone() };
    let table = [
        (good.clone(), None),
        (custom.clone(), None),
        (
            Histogram { schema: 53, ..good.clone() },
            Some(
                "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema 53",
            ),
        ),
        (
            bounds(&[2.0, 1.0]),
            Some(
                "custom buckets: previous bound is 2.000000 and current is 1.000000: histogram custom bounds must be in strictly increasing order",
            ),
        ),
        (bounds(&[f64::NAN]), Some("custom buckets: histogram custom bounds must not be NaN")),
        (
            bounds(&[1.0, f64::INFINITY]),
            Some("custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite"),
        ),
        (
            bounds(&[]),
            Some(
                "custom buckets: only 0 custom bounds defined which is insufficient to cover total span length of 2: histogram custom bounds are too few",
            ),
        ),
        (Histogram { zero_count: 1.0, ..custom.clone() }, Some("custom buckets: must have zero count of 0")),
        (Histogram { zero_threshold: 0.5, ..custom.clone() }, Some("custom buckets: must have zero threshold of 0")),
        (Histogram { negative_spans: span(0, 1), ..custom.clone() }, Some("custom buckets: must not have negative spans")),
        (Histogram { negative_buckets: vec![1.0], ..custom }, Some("custom buckets: must not have negative buckets")),
        (
            Histogram { custom_values: vec![1.0], ..good.clone() },
            Some("histogram with exponential schema must not have custom bounds"),
        ),
        (Histogram { count: -4.0, ..good.clone() }, Some("observation count is  -4: histogram's observation count is negative")),
        (
            Histogram { zero_count: -1.0, ..good.clone() },
            Some("zero bucket has observation count of -1: histogram has a bucket whose observation count is negative"),
        ),
        (
            Histogram { positive_buckets: vec![1.0, -2.5], ..good.clone() },
            Some(
                "positive side: bucket number 2 has observation count of -2.5: histogram has a bucket whose observation count is negative",
            ),
        ),
        (
            Histogram { sum: f64::NAN, count: 2.0, ..good },
            Some(
                "3 observations found in buckets, but the Count field is 2: histogram's observation count should be at least the number of observations found in the buckets",
            ),
        ),
    ];
    for (histogram, wanted) in table {
        assert_eq!(histogram::verify(&histogram, false).err().as_deref(), wanted, "{histogram:?}");
    }
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
