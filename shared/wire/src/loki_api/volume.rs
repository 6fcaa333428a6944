//! `/index/…`: how much streams hold, as series or label names, and in which shards to ask for it.

use model::{LabelSet, TimeRangeNs, TimestampNs};

use super::params::{ParameterError, RangeParams, bounds, direction};
use super::{Stats, envelope};
use crate::form::Form;
use crate::json_text::{comma, labels, plain_float, string, write_to};
use envelope::ResultType;

/// Sums an answer has where the request does not say.
const LIMIT_DEFAULT: usize = 100;
/// A point lies at the end of its interval, less this: so Loki keeps intervals apart.
const GAP_NS: i64 = 1_000_000;

/// The parameters of `/index/volume` and `/index/volume_range`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VolumeParams {
    /// What to sum over, ascending, and the time of each one's point.
    pub intervals: Vec<(TimeRangeNs, TimestampNs)>,
    /// Sums per interval.
    pub limit: usize,
    /// Labels to sum by; empty where the selector names them.
    pub target_labels: Vec<String>,
    /// Sum by label name, not by the labels' values.
    pub by_label_name: bool,
}

impl VolumeParams {
    /// Parses the parameters of `/index/volume`: one interval.
    pub fn instant(form: &Form, now: TimestampNs) -> Result<VolumeParams, ParameterError> {
        let limit = limit(form)?;
        super::params::time(form.get("time"), now).map_err(ParameterError)?;
        direction(form)?;
        let by_label_name = by_label_name(form)?;
        let (start, end) = bounds(form, now)?;
        if end < start {
            return Err(ParameterError("end timestamp must not be before or equal to start time".into()));
        }
        let intervals = vec![(TimeRangeNs::new(start, end), end)];
        Ok(VolumeParams { intervals, limit, target_labels: target_labels(form), by_label_name })
    }

    /// Parses the parameters of `/index/volume_range`: an interval per step, cut at multiples of the step.
    pub fn range(form: &Form, now: TimestampNs) -> Result<VolumeParams, ParameterError> {
        let limit = limit(form)?;
        let RangeParams { start, end, step_ns, .. } = RangeParams::parse(&without_limit(form), now)?;
        let by_label_name = by_label_name(form)?;
        let intervals = intervals(start, end, step_ns);
        Ok(VolumeParams { intervals, limit, target_labels: target_labels(form), by_label_name })
    }
}

/// Returns the form without its limit, which has rules of its own here: 0 is the default.
fn without_limit(form: &Form) -> Form {
    form.without("limit")
}

fn limit(form: &Form) -> Result<usize, ParameterError> {
    match form.get("limit") {
        "0" => Ok(LIMIT_DEFAULT),
        text => super::params::count("limit", text, LIMIT_DEFAULT),
    }
}

fn by_label_name(form: &Form) -> Result<bool, ParameterError> {
    match form.get("aggregateBy") {
        "" | "series" => Ok(false),
        "labels" => Ok(true),
        _ => Err(ParameterError("invalid aggregation option".into())),
    }
}

fn target_labels(form: &Form) -> Vec<String> {
    match form.get("targetLabels") {
        "" => Vec::new(),
        names => names.split(',').map(str::to_owned).collect(),
    }
}

fn intervals(start: TimestampNs, end: TimestampNs, step_ns: i64) -> Vec<(TimeRangeNs, TimestampNs)> {
    let mut intervals = Vec::new();
    let mut from = start;
    while from < end {
        let to = TimestampNs((from.0.div_euclid(step_ns) + 1).saturating_mul(step_ns));
        let is_last = to >= end;
        let (to, at) = if is_last { (end, end) } else { (to, TimestampNs(to.0 - GAP_NS)) };
        intervals.push((TimeRangeNs::new(from, to), at));
        from = to;
    }
    intervals
}

/// The metric of a sum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Metric {
    /// Labels with their values.
    Series(LabelSet),
    /// A label's name alone.
    Label(String),
}

/// Returns the answer: a vector where no sum has more than one point, else a matrix; points are nanoseconds and bytes.
pub fn volumes(sums: &[(Metric, Vec<(TimestampNs, u64)>)]) -> Vec<u8> {
    let is_matrix = sums.iter().any(|(_, points)| points.len() > 1);
    let result_type = if is_matrix { ResultType::Matrix } else { ResultType::Vector };
    let mut out = Vec::new();
    envelope::head(&mut out, result_type, false);
    for (index, (metric, points)) in sums.iter().enumerate() {
        comma(&mut out, index);
        out.extend_from_slice(b"{\"metric\":");
        match metric {
            Metric::Series(set) => labels(&mut out, set),
            Metric::Label(name) => {
                out.push(b'{');
                string(&mut out, name);
                out.extend_from_slice(b":\"\"}");
            }
        }
        out.extend_from_slice(if is_matrix { b",\"values\":[".as_slice() } else { b",\"value\":" });
        for (index, (at, bytes)) in points.iter().enumerate() {
            comma(&mut out, index);
            out.push(b'[');
            plain_float(&mut out, at.to_ms().0 as f64 / 1000.0);
            write_to(&mut out, format_args!(",\"{bytes}\"]"));
        }
        out.extend_from_slice(if is_matrix { b"]}".as_slice() } else { b"}" });
    }
    envelope::tail(&mut out, result_type, &Stats::default(), &[]);
    out
}

/// What `/index/stats` says of some streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IndexStats {
    /// Streams.
    pub streams: u64,
    /// Runs of one stream in one segment.
    pub chunks: u64,
    /// Bytes of lines.
    pub bytes: u64,
    /// Lines.
    pub entries: u64,
}

impl IndexStats {
    /// Writes the bare object.
    pub fn write(&self, out: &mut Vec<u8>) {
        let IndexStats { streams, chunks, bytes, entries } = self;
        write_to(out, format_args!("{{\"streams\":{streams},\"chunks\":{chunks},\"bytes\":{bytes},\"entries\":{entries}}}"));
    }
}

/// Parses the size a shard should have: bytes, or a number with a unit of powers of 1,024.
pub fn shard_bytes(form: &Form) -> Result<u64, ParameterError> {
    let refused = || ParameterError("targetBytesPerShard must be a positive value".into());
    let text = form.get("targetBytesPerShard").trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" => 10,
        "M" | "MB" => 20,
        "G" | "GB" => 30,
        "T" | "TB" => 40,
        "P" | "PB" => 50,
        "E" | "EB" => 60,
        _ => return Err(refused()),
    };
    let number: u64 = text[..digits].parse().map_err(|_| refused())?;
    number.checked_mul(1 << unit).filter(|bytes| *bytes > 0).ok_or_else(refused)
}

/// Returns the answer to `/index/shards`: bounds of stream fingerprints that hold about the bytes asked for, and what is in them.
pub fn shards(all: &IndexStats, bytes_per_shard: u64) -> Vec<u8> {
    // A power of two, as Loki's are, and no more shards than there are streams.
    let wanted = all.bytes.div_ceil(bytes_per_shard.max(1)).min(all.streams).clamp(1, 1 << 16);
    let count = wanted.next_power_of_two();
    let width = u128::from(u64::MAX).div_ceil(u128::from(count));
    let mut out = b"{\"shards\":[".to_vec();
    for index in 0..count {
        comma(&mut out, index as usize);
        let (min, max) = (u128::from(index) * width, (u128::from(index) + 1) * width - 1);
        write_to(&mut out, format_args!("{{\"bounds\":{{\"min\":{min},\"max\":{}}},\"stats\":", max.min(u128::from(u64::MAX))));
        let share = |sum: u64| sum / count + u64::from(index < sum % count);
        let stats = IndexStats {
            streams: share(all.streams),
            chunks: share(all.chunks),
            bytes: share(all.bytes),
            entries: share(all.entries),
        };
        stats.write(&mut out);
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"statistics\":");
    Stats::default().write(&mut out);
    out.extend_from_slice(b",\"chunkGroups\":null}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn form(query: &str) -> Form {
        Form::parse(query, b"").expect("valid form")
    }

    #[test]
    fn intervals_are_cut_at_steps() {
        let params = VolumeParams::range(&form("start=7&end=130&step=60&limit=0"), TimestampNs(0)).expect("valid");
        let told: Vec<_> = params.intervals.iter().map(|(range, at)| (range.start.0, range.end.0, at.0)).collect();
        let want = [(7, 60, 60 * SECOND - GAP_NS), (60, 120, 120 * SECOND - GAP_NS), (120, 130, 130 * SECOND)];
        assert_eq!(told, want.map(|(from, to, at)| (from * SECOND, to * SECOND, at)));
        assert_eq!((params.limit, params.by_label_name), (100, false));
    }

    #[test]
    fn parameters() {
        let parse = |query| VolumeParams::instant(&form(query), TimestampNs(9 * SECOND));
        let params = parse("start=1&end=5&targetLabels=a,b&aggregateBy=labels&limit=7").expect("valid");
        assert_eq!(params.intervals, [(TimeRangeNs::new(TimestampNs(SECOND), TimestampNs(5 * SECOND)), TimestampNs(5 * SECOND))]);
        assert_eq!((params.limit, params.target_labels.len(), params.by_label_name), (7, 2, true));
        for (query, text) in [
            ("aggregateBy=x", "invalid aggregation option"),
            ("limit=-1", "limit must be a positive value"),
            ("start=5&end=1", "end timestamp must not be before or equal to start time"),
        ] {
            assert_eq!(parse(query), Err(ParameterError(text.into())), "{query}");
        }
    }

    fn json(bytes: Vec<u8>) -> serde_json::Value {
        let mut json: serde_json::Value = serde_json::from_slice(&bytes).expect("valid JSON");
        json["data"].as_object_mut().map(|data| data.remove("stats"));
        json
    }

    #[test]
    fn one_point_is_a_vector_and_several_are_a_matrix() {
        let series = Metric::Series(LabelSet::from_pairs([("app", "a")]));
        let point = |seconds: i64| (TimestampNs(seconds * SECOND), 5);
        let vector = json(volumes(&[(Metric::Label("env".into()), vec![point(1)])]));
        let want = r#"{"data":{"result":[{"metric":{"env":""},"value":[1,"5"]}],"resultType":"vector"},"status":"success"}"#;
        assert_eq!(vector.to_string(), want);
        let matrix = json(volumes(&[(series, vec![point(1), point(2)])]));
        assert_eq!(matrix["data"]["result"][0].to_string(), r#"{"metric":{"app":"a"},"values":[[1,"5"],[2,"5"]]}"#);
        assert_eq!(json(volumes(&[]))["data"]["resultType"], "vector");
    }

    #[test]
    fn shards_cover_everything() {
        let all = IndexStats { streams: 5, chunks: 9, bytes: 1000, entries: 77 };
        let json = json(shards(&all, 300));
        let shards = json["shards"].as_array().expect("a list");
        assert_eq!(shards.len(), 4);
        let sum = |name: &str| shards.iter().map(|shard| shard["stats"][name].as_u64().expect("a number")).sum::<u64>();
        assert_eq!((sum("streams"), sum("bytes"), sum("entries")), (5, 1000, 77));
        assert_eq!((&shards[0]["bounds"]["min"], &shards[3]["bounds"]["max"]), (&0.into(), &u64::MAX.into()));
        for (text, bytes) in [("1", Some(1)), ("2KB", Some(2048)), ("1 mb", Some(1 << 20)), ("", None), ("0", None), ("x", None)]
        {
            assert_eq!(shard_bytes(&form(&format!("targetBytesPerShard={text}"))).ok(), bytes, "{text}");
        }
    }
}
