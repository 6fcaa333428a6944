//! The JSON of `/api/prom/query`, Loki's first API: streams with their labels as text and times as RFC 3339.

use model::{LabelSet, TimestampNs};

use super::Stats;
use crate::json_text::{comma, lossy_string, string, write_to};
use crate::prom_api::params::rfc3339_nanos;

/// Opens the answer; streams follow, separated by [`comma`].
pub fn head(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"streams\":[");
}

/// Writes a stream; entries are `(nanoseconds, line)`.
pub fn stream<'a>(out: &mut Vec<u8>, labels: &LabelSet, entries: impl IntoIterator<Item = (i64, &'a [u8])>) {
    out.extend_from_slice(b"{\"labels\":");
    string(out, &labels.to_string());
    out.extend_from_slice(b",\"entries\":[");
    for (index, (timestamp_ns, line)) in entries.into_iter().enumerate() {
        comma(out, index);
        write_to(out, format_args!("{{\"ts\":\"{}\",\"line\":", rfc3339_nanos(TimestampNs(timestamp_ns))));
        lossy_string(out, line);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

/// Closes the answer.
pub fn tail(out: &mut Vec<u8>, stats: &Stats) {
    out.extend_from_slice(b"],\"stats\":");
    stats.write(out);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer() {
        let mut out = Vec::new();
        head(&mut out);
        stream(&mut out, &LabelSet::from_pairs([("app", "a")]), [(1_767_225_650_000_000_001, b"x".as_slice())]);
        tail(&mut out, &Stats::default());
        let text = String::from_utf8_lossy(&out);
        let want =
            r#"{"streams":[{"labels":"{app=\"a\"}","entries":[{"ts":"2026-01-01T00:00:50.000000001Z","line":"x"}]}],"stats":{"#;
        assert!(text.starts_with(want), "{text}");
    }
}
