//! `/federate`: the newest sample of each series in an exposition format.
//!
//! Owns: negotiation, the text and the delimited protobuf of it, what of histograms each can say (upstream `web/federate.go`).
//! Does not own: which sample is the newest.

use model::histogram::entries;
use model::{CounterResetHint, Histogram, LabelSet, Span, labels};

use crate::json_text::{general_float, integer, write_to};
use crate::protobuf::write::{bytes, double, int, message, varint};

/// What the answer looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    protobuf: bool,
    escaping: Escaping,
}

/// What becomes of names that Prometheus 2 would not have taken; others stay (`EscapeMetricFamily` of `prometheus/common`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Escaping {
    Underscores,
    Dots,
    Values,
    AllowUtf8,
}

impl Escaping {
    fn of(scheme: &str) -> Escaping {
        match scheme {
            "dots" => Escaping::Dots,
            "values" => Escaping::Values,
            "allow-utf-8" => Escaping::AllowUtf8,
            _ => Escaping::Underscores,
        }
    }

    fn name(self, name: &str) -> String {
        if self == Escaping::AllowUtf8 || labels::is_legacy_metric_name(name) {
            return name.to_owned();
        }
        let mut out = String::from(if self == Escaping::Values { "U__" } else { "" });
        for (index, c) in name.char_indices() {
            let legal = c.is_ascii_alphabetic() || c == ':' || (c.is_ascii_digit() && index > 0);
            match (self, c) {
                (Escaping::Underscores, '_') => out.push('_'),
                (_, '_') => out.push_str("__"),
                (_, c) if legal => out.push(c),
                (Escaping::Values, c) => out.push_str(&format!("_{:x}_", u32::from(c))),
                (Escaping::Dots, '.') => out.push_str("_dot_"),
                (Escaping::Dots, _) => out.push_str("__"),
                _ => out.push('_'),
            }
        }
        out
    }
}

impl Format {
    /// Chooses by the `Accept` header: the first part that is known; text where none is.
    pub fn negotiate(accept: &str) -> Format {
        let mut escaping = Escaping::Underscores;
        for part in accept.split(',') {
            let mut items = part.split(';').map(str::trim);
            let media_type = items.next().unwrap_or_default();
            let parameters: Vec<(&str, &str)> = items.filter_map(|item| item.split_once('=')).collect();
            let parameter =
                |name| parameters.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.trim_matches('"'));
            escaping = match parameter("escaping") {
                "" => escaping,
                name => Escaping::of(name),
            };
            let delimited = parameter("encoding") == "delimited" && parameter("proto") == "io.prometheus.client.MetricFamily";
            if media_type == "application/vnd.google.protobuf" && delimited {
                return Format { protobuf: true, escaping };
            }
            if media_type == "text/plain" && matches!(parameter("version"), "" | "0.0.4") {
                break;
            }
        }
        Format { protobuf: false, escaping }
    }

    /// Returns the content type, the way names are escaped included.
    pub fn content_type(self) -> &'static str {
        macro_rules! schemes {
            ($media_type:literal) => {
                match self.escaping {
                    Escaping::Underscores => concat!($media_type, "; escaping=underscores"),
                    Escaping::Dots => concat!($media_type, "; escaping=dots"),
                    Escaping::Values => concat!($media_type, "; escaping=values"),
                    Escaping::AllowUtf8 => concat!($media_type, "; escaping=allow-utf-8"),
                }
            };
        }
        if self.protobuf {
            schemes!("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
        } else {
            schemes!("text/plain; version=0.0.4; charset=utf-8")
        }
    }

    fn name(self, name: &str) -> String {
        self.escaping.name(name)
    }
}

/// A sample's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A float.
    Float(f64),
    /// A histogram.
    Histogram(Box<Histogram>),
}

/// The newest sample of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series.
    pub labels: LabelSet,
    /// When, milliseconds.
    pub timestamp: i64,
    /// What.
    pub value: Value,
}

/// What a family is called and of which type; histograms of gauges and of counters are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Untyped,
    Histogram,
    GaugeHistogram,
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Float(_) => Kind::Untyped,
        Value::Histogram(histogram) if histogram.counter_reset_hint == CounterResetHint::Gauge => Kind::GaugeHistogram,
        Value::Histogram(_) => Kind::Histogram,
    }
}

/// Writes the samples, which are ordered by metric name. A family ends where name or type change; nameless series are left out,
/// and in text so are histograms with exponential buckets, which it cannot say.
pub fn write(out: &mut Vec<u8>, format: Format, samples: &[Sample]) {
    let named = samples.iter().filter(|sample| sample.labels.get("__name__").is_some_and(|name| !name.is_empty()));
    let said = named.filter(|sample| match &sample.value {
        Value::Float(_) => true,
        Value::Histogram(histogram) => format.protobuf || histogram.uses_custom_buckets(),
    });
    let samples: Vec<&Sample> = said.collect();
    let same = |a: &&Sample, b: &&Sample| name_of(a) == name_of(b) && kind(&a.value) == kind(&b.value);
    for family in samples.chunk_by(same) {
        match format.protobuf {
            true => protobuf_family(out, format, family),
            false => text_family(out, format, family),
        }
    }
}

fn name_of(sample: &Sample) -> &str {
    sample.labels.get("__name__").unwrap_or_default()
}

/// Returns the labels that are shown. There are no external labels, so `instance` is always there, empty if need be: the
/// server that scrapes this must not put its own in its place.
fn shown(sample: &Sample) -> Vec<(&str, &str)> {
    let mut shown: Vec<(&str, &str)> = sample.labels.iter().filter(|(name, _)| *name != "__name__").collect();
    if sample.labels.get("instance").is_none() {
        shown.push(("instance", ""));
    }
    shown
}

fn text_family(out: &mut Vec<u8>, format: Format, family: &[&Sample]) {
    let name = format.name(name_of(family[0]));
    out.extend_from_slice(b"# TYPE ");
    text_name(out, &name);
    out.extend_from_slice(if kind(&family[0].value) == Kind::Untyped { b" untyped\n" } else { b" histogram\n" });
    for sample in family {
        let mut line = |suffix: &str, le: Option<f64>, value| text_line(out, format, &name, suffix, sample, le, value);
        match &sample.value {
            Value::Float(value) => line("", None, *value),
            Value::Histogram(histogram) => {
                cumulative(histogram).into_iter().for_each(|(bound, count)| line("_bucket", Some(bound), count));
                line("_bucket", Some(f64::INFINITY), histogram.count);
                line("_sum", None, histogram.sum);
                line("_count", None, histogram.count);
            }
        }
    }
}

fn text_name(out: &mut Vec<u8>, name: &str) {
    match labels::is_legacy_metric_name(name) {
        true => out.extend_from_slice(name.as_bytes()),
        false => quoted(out, name),
    }
}

fn quoted(out: &mut Vec<u8>, text: &str) {
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
    write_to(out, format_args!("\"{escaped}\""));
}

fn text_line(out: &mut Vec<u8>, format: Format, name: &str, suffix: &str, sample: &Sample, le: Option<f64>, value: f64) {
    let name = format!("{name}{suffix}");
    let (plain, mut separator) = (name.is_empty() || labels::is_legacy_metric_name(&name), '{');
    if plain {
        out.extend_from_slice(name.as_bytes());
    } else {
        out.push(b'{');
        quoted(out, &name);
        separator = ',';
    }
    for (label, value) in shown(sample) {
        write_to(out, format_args!("{separator}"));
        text_name(out, &format.name(label));
        out.push(b'=');
        quoted(out, value);
        separator = ',';
    }
    if let Some(le) = le {
        write_to(out, format_args!("{separator}le=\""));
        general_float(out, le);
        out.push(b'"');
    }
    out.extend_from_slice(b"} ");
    general_float(out, value);
    out.push(b' ');
    integer(out, sample.timestamp);
    out.push(b'\n');
}

/// Returns the cumulative counts of a histogram with custom bounds, but for the last bucket.
fn cumulative(histogram: &Histogram) -> Vec<(f64, f64)> {
    let mut counts = vec![0.0; histogram.custom_values.len()];
    for (index, count) in entries(&histogram.positive_spans, &histogram.positive_buckets) {
        if let Some(slot) = usize::try_from(index).ok().and_then(|index| counts.get_mut(index)) {
            *slot = count;
        }
    }
    let running = counts.iter().scan(0.0, |sum, count| {
        *sum += count;
        Some(*sum)
    });
    histogram.custom_values.iter().copied().zip(running).collect()
}

/// Writes a family as `io.prometheus.client.MetricFamily`, its length in front.
fn protobuf_family(out: &mut Vec<u8>, format: Format, family: &[&Sample]) {
    let mut body = Vec::new();
    bytes(&mut body, 1, format.name(name_of(family[0])).as_bytes());
    int(
        &mut body,
        3,
        match kind(&family[0].value) {
            Kind::Untyped => 3,
            Kind::Histogram => 4,
            Kind::GaugeHistogram => 5,
        },
    );
    for sample in family {
        message(&mut body, 4, |out| {
            for (label, value) in shown(sample) {
                message(out, 1, |out| {
                    bytes(out, 1, format.name(label).as_bytes());
                    bytes(out, 2, value.as_bytes());
                });
            }
            if let Value::Float(value) = &sample.value {
                message(out, 5, |out| double(out, 1, *value, true));
            }
            varint(out, 6 << 3);
            varint(out, sample.timestamp as u64);
            if let Value::Histogram(histogram) = &sample.value {
                message(out, 7, |out| protobuf_histogram(out, histogram));
            }
        });
    }
    varint(out, body.len() as u64);
    out.extend_from_slice(&body);
}

fn protobuf_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    double(out, 2, histogram.sum, true);
    let custom = histogram.uses_custom_buckets();
    for (bound, count) in cumulative(histogram) {
        message(out, 3, |out| {
            double(out, 2, bound, true);
            double(out, 4, count, true);
        });
    }
    double(out, 4, histogram.count, true);
    if custom {
        return;
    }
    // Optional fields of proto2: the schema is what makes it a native histogram, even 0.
    varint(out, 5 << 3);
    varint(out, ((histogram.schema << 1) ^ (histogram.schema >> 31)) as u32 as u64);
    double(out, 6, histogram.zero_threshold, true);
    double(out, 8, histogram.zero_count, true);
    side(out, [9, 11], &histogram.negative_spans, &histogram.negative_buckets);
    side(out, [12, 14], &histogram.positive_spans, &histogram.positive_buckets);
}

/// Writes the buckets of one side; lists of proto2 are not packed.
fn side(out: &mut Vec<u8>, [span_field, count_field]: [u32; 2], spans: &[Span], counts: &[f64]) {
    for span in spans {
        message(out, span_field, |out| {
            // Optional fields: zeros are written too.
            varint(out, 1 << 3);
            varint(out, ((span.offset << 1) ^ (span.offset >> 31)) as u32 as u64);
            varint(out, 2 << 3);
            varint(out, u64::from(span.length));
        });
    }
    counts.iter().for_each(|count| double(out, count_field, *count, true));
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::histogram::CUSTOM_BUCKETS_SCHEMA;

    fn sample(labels: &[(&str, &str)], value: Value) -> Sample {
        Sample { labels: LabelSet::from_pairs(labels.iter().copied()), timestamp: 1_500, value }
    }

    fn text(accept: &str, samples: &[Sample]) -> String {
        let mut out = Vec::new();
        write(&mut out, Format::negotiate(accept), samples);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_says_what_it_can() {
        let custom = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 6.0,
            sum: 1_234_567.0,
            positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 1 }],
            positive_buckets: vec![1.0, 5.0],
            custom_values: vec![0.5, 10.0],
            ..Histogram::default()
        };
        let samples = [
            sample(&[("a", "nameless")], Value::Float(1.0)),
            sample(&[("__name__", "h"), ("instance", "i")], Value::Histogram(Box::new(custom))),
            sample(&[("__name__", "n")], Value::Histogram(Box::default())),
            sample(&[("__name__", "up"), ("job", "a\"b\\c\nd")], Value::Float(1e6)),
            sample(&[("__name__", "x.y"), ("k.l", "v")], Value::Float(f64::NAN)),
        ];
        let expected = concat!(
            "# TYPE h histogram\n",
            "h_bucket{instance=\"i\",le=\"0.5\"} 1 1500\n",
            "h_bucket{instance=\"i\",le=\"10\"} 1 1500\n",
            "h_bucket{instance=\"i\",le=\"+Inf\"} 6 1500\n",
            "h_sum{instance=\"i\"} 1.234567e+06 1500\n",
            "h_count{instance=\"i\"} 6 1500\n",
            "# TYPE up untyped\n",
            "up{job=\"a\\\"b\\\\c\\nd\",instance=\"\"} 1e+06 1500\n",
            "# TYPE x_y untyped\n",
            "x_y{k_l=\"v\",instance=\"\"} NaN 1500\n",
        );
        assert_eq!(text("", &samples), expected);
        let utf8 = text("text/plain;version=0.0.4;escaping=allow-utf-8", &samples);
        assert!(utf8.ends_with("# TYPE \"x.y\" untyped\n{\"x.y\",\"k.l\"=\"v\",instance=\"\"} NaN 1500\n"), "{utf8}");
    }

    #[test]
    fn names_are_escaped_as_asked() {
        for (scheme, name, legacy) in [
            ("underscores", "a_b__c_", "a_b"),
            ("dots", "a__b_dot___c__", "a_b"),
            ("values", "U__a__b_2e__2f_c_fc_", "a_b"),
            ("allow-utf-8", "a_b./cü", "a_b"),
            ("unheard-of", "a_b__c_", "a_b"),
        ] {
            let format = Format::negotiate(&format!("text/plain;version=1.0.0;escaping={scheme}"));
            assert_eq!((format.name("a_b./cü"), format.name("a_b")), (name.to_owned(), legacy.to_owned()), "{scheme}");
        }
        for scheme in ["underscores", "dots", "values", "allow-utf-8"] {
            assert_eq!(Escaping::of(scheme).name("job:http_x:rate5m"), "job:http_x:rate5m", "{scheme}");
        }
        let values = Format::negotiate("text/plain;version=0.0.4;escaping=values").content_type();
        assert_eq!(values, "text/plain; version=0.0.4; charset=utf-8; escaping=values");
        assert_eq!(Format::negotiate("text/plain;escaping=dots").name("1.a"), "___dot_a");
    }

    #[test]
    fn protobuf_where_it_is_asked_for() {
        let accept =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,text/plain;q=0.5";
        let format = Format::negotiate(accept);
        assert!(format.content_type().starts_with("application/vnd.google.protobuf;"));
        assert_eq!(Format::negotiate("text/html,*/*").content_type(), Format::negotiate("").content_type());
        let mut out = Vec::new();
        write(&mut out, format, &[sample(&[("__name__", "n")], Value::Histogram(Box::default()))]);
        assert_eq!(usize::from(out[0]), out.len() - 1, "one family, its length in front");
    }
}
