//! One stream after the other into the batch: labels, checks, `service_name`, `detected_level`.

use jiff::Timestamp;
use model::labels::encode_label;
use model::quote::go_quote;
use model::{Limits, LogBatch, TimestampNs};

use super::{Decoded, label_text, level};
use crate::canonical::Pair;
use crate::error::Error;

/// Labels that name the service, in this order (Loki's default `discover_service_name`).
const SERVICE_LABELS: [&str; 13] = [
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
];
const SERVICE_NAME: &str = "service_name";
const DETECTED_LEVEL: &str = "detected_level";
/// Distinct texts of refusal kept of one request.
const TEXTS_MAX: usize = 100;

/// Builds the batch of one request.
pub(super) struct Builder<'l> {
    decoded: Decoded,
    limits: &'l Limits,
    oldest: TimestampNs,
    newest: TimestampNs,
    /// Labels of the stream that is open, sorted; display text; level its labels name.
    shown: String,
    level: Option<String>,
    /// The open stream is refused as a whole.
    refused: bool,
    started: bool,
    encoded: Vec<u8>,
    metadata: Vec<u8>,
}

impl<'l> Builder<'l> {
    pub(super) fn new(limits: &'l Limits, now: TimestampNs) -> Builder<'l> {
        Builder {
            decoded: Decoded::default(),
            limits,
            oldest: now.to_ms().minus(limits.logs_age_max).to_ns(),
            newest: now.to_ms().plus(limits.future_grace).to_ns(),
            shown: String::new(),
            level: None,
            refused: false,
            started: false,
            encoded: Vec::new(),
            metadata: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Decoded {
        self.decoded
    }

    /// Counts a stream that has no entry.
    pub(super) fn empty_stream(&mut self) {
        self.decoded.streams += 1;
    }

    /// Opens a stream with labels as text.
    pub(super) fn stream(&mut self, text: &str) -> Result<(), Error> {
        self.decoded.streams += 1;
        let mut labels = label_text::parse(text).map_err(|error| Error::Body(format!("couldn't parse labels: {error}")))?;
        labels.retain(|(_, value)| !value.is_empty());
        let sent = labels.len();
        if !labels.iter().any(|(name, _)| name == SERVICE_NAME) {
            let found = SERVICE_LABELS.iter().find_map(|wanted| labels.iter().find(|(name, _)| name == wanted));
            let service = found.map_or_else(|| "unknown_service".to_owned(), |(_, value)| value.clone());
            labels.push((SERVICE_NAME.to_owned(), service));
        }
        labels.sort();
        self.shown = show(&labels);
        self.level = level::of_fields(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        self.started = false;
        self.refused = false;
        self.encoded.clear();
        labels.iter().for_each(|(name, value)| encode_label(&mut self.encoded, name.as_bytes(), value.as_bytes()));
        if let Some(text) = self.label_fault(&labels, sent) {
            self.refused = true;
            self.refuse(text);
        }
        Ok(())
    }

    fn label_fault(&self, labels: &[(String, String)], sent: usize) -> Option<String> {
        let (shown, limits) = (&self.shown, self.limits);
        if sent > limits.labels_per_stream_max {
            return Some(format!("entry for stream '{shown}' has {sent} label names; limit {}", limits.labels_per_stream_max));
        }
        let too_long = |what, text: &str| Some(format!("stream '{shown}' has label {what} too long: '{text}'"));
        for (index, (name, value)) in labels.iter().enumerate() {
            if name.len() > limits.label_name_bytes_max {
                return too_long("name", name);
            }
            if value.len() > limits.label_value_bytes_max {
                return too_long("value", value);
            }
            if index > 0 && labels[index - 1].0 == *name {
                return Some(format!("stream '{shown}' has duplicate label name: '{name}'"));
            }
        }
        None
    }

    /// Adds an entry to the open stream, or refuses it.
    pub(super) fn entry(&mut self, timestamp: TimestampNs, line: &[u8], metadata: &mut Vec<Pair<'_>>) {
        if self.refused {
            return;
        }
        if let Some(text) = self.entry_fault(timestamp, line, metadata) {
            return self.refuse(text);
        }
        let detected = match &self.level {
            Some(level) => std::borrow::Cow::Borrowed(level.as_str()),
            None => level::of_entry(metadata, line),
        };
        metadata.retain(|(name, _)| !name.is_empty() && *name != DETECTED_LEVEL.as_bytes());
        let detected = detected.into_owned();
        let mut all = std::mem::take(metadata);
        all.push((DETECTED_LEVEL.as_bytes(), b"unknown"));
        // Of one name sent twice the last value counts; sorting is stable.
        all.sort_by(|a, b| a.0.cmp(b.0));
        self.metadata.clear();
        for (index, (name, value)) in all.iter().enumerate() {
            let value = if *name == DETECTED_LEVEL.as_bytes() { detected.as_bytes() } else { value };
            if all.get(index + 1).is_none_or(|next| next.0 != *name) && !value.is_empty() {
                encode_label(&mut self.metadata, name, value);
            }
        }
        if !self.metadata.is_ascii() && model::labels::verify(&self.metadata).is_err() {
            return self.refuse(format!("stream '{}' has structured metadata that is not valid UTF-8", self.shown));
        }
        self.push(timestamp, line);
    }

    fn push(&mut self, timestamp: TimestampNs, line: &[u8]) {
        let batch: &mut LogBatch = &mut self.decoded.batch;
        if !self.started {
            batch.start_stream(|out| out.extend_from_slice(&self.encoded));
            self.started = true;
        }
        batch.push_entry(timestamp, line, &self.metadata);
    }

    fn entry_fault(&self, timestamp: TimestampNs, line: &[u8], metadata: &[Pair<'_>]) -> Option<String> {
        let (shown, limits) = (&self.shown, self.limits);
        if timestamp < self.oldest {
            let (at, oldest) = (rfc3339(timestamp), rfc3339(self.oldest));
            return Some(format!(
                "entry for stream '{shown}' has timestamp too old: {at}, oldest acceptable timestamp is: {oldest}"
            ));
        }
        if timestamp > self.newest {
            return Some(format!("entry for stream '{shown}' has timestamp too new: {}", rfc3339(timestamp)));
        }
        let (len, max) = (line.len(), limits.line_bytes_max);
        if len > max {
            return Some(format!(
                "max entry size '{max}' bytes exceeded for stream '{shown}' while adding an entry with length '{len}' bytes"
            ));
        }
        let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        let ask = |setting| format!("Please see `limits_config.{setting}` or contact your Loki administrator to increase it");
        if bytes > limits.metadata_bytes_max {
            let (max, ask) = (limits.metadata_bytes_max, ask("max_structured_metadata_size"));
            return Some(format!(
                "stream '{shown}' has structured metadata too large: '{bytes}' bytes, limit: '{max}' bytes. {ask}"
            ));
        }
        if metadata.len() > limits.metadata_per_entry_max {
            let (have, max, ask) = (metadata.len(), limits.metadata_per_entry_max, ask("max_structured_metadata_entries_count"));
            return Some(format!("stream '{shown}' has too many structured metadata labels: '{have}', limit: '{max}'. {ask}"));
        }
        None
    }

    fn refuse(&mut self, text: String) {
        let refused = &mut self.decoded.refused;
        match refused.iter().position(|(known, _)| *known == text) {
            Some(index) => refused[index].1 += 1,
            None if refused.len() < TEXTS_MAX => refused.push((text, 1)),
            // Every further reason is counted with the last one kept.
            None => refused[TEXTS_MAX - 1].1 += 1,
        }
    }
}

/// Shows labels as Prometheus does; a name may stand twice.
fn show(labels: &[(String, String)]) -> String {
    let all: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", go_quote(value))).collect();
    format!("{{{}}}", all.join(", "))
}

fn rfc3339(at: TimestampNs) -> String {
    Timestamp::from_second(at.0.div_euclid(1_000_000_000)).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// Takes the pairs of a canonical or unsorted label encoding.
pub(super) fn pairs_of<'a>(set: &'a [u8], out: &mut Vec<Pair<'a>>) {
    let mut rest = set;
    let mut take = || {
        let len = model::labels::take_varint(&mut rest)? as usize;
        let (head, tail) = rest.split_at_checked(len)?;
        rest = tail;
        Some(head)
    };
    while let (Some(name), Some(value)) = (take(), take()) {
        out.push((name, value));
    }
}
