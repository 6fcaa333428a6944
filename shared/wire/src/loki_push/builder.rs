//! One stream after the other into the batch: labels, checks, `service_name`, `detected_level` (upstream
//! `pkg/distributor/validator.go`, `distributor.go`).

use std::borrow::Cow;

use jiff::Timestamp;
use model::TimestampNs;
use model::labels::{DETECTED_LEVEL, encode_label};
use model::limits::LogLimits;
use model::quote::go_quote;

use super::level::{self, Levels};
use super::{Decoded, Intake, label_text};
use crate::canonical::Pair;
use crate::error::Error;
use crate::otlp::names::normalised_label;

const SERVICE_NAME: &str = "service_name";
const UNKNOWN_SERVICE: &str = "unknown_service";
/// Distinct texts of refusal kept of one request.
const TEXTS_MAX: usize = 100;
/// Bytes of one stream's labels as text (Loki).
const LABELS_BYTES_MAX: usize = 1 << 24;

/// Labels of a stream, in any order until it is opened.
pub(crate) type Labels = Vec<(String, String)>;

/// Builds the batch of one request.
pub(crate) struct Builder<'l> {
    decoded: Decoded,
    intake: &'l Intake<'l>,
    limits: &'l LogLimits,
    levels: Option<Levels<'l>>,
    oldest: TimestampNs,
    newest: TimestampNs,
    stream: Stream,
    metadata: Vec<u8>,
}

/// The stream that is open.
#[derive(Default)]
struct Stream {
    /// Labels as canonical encoding, and as they are shown.
    encoded: Vec<u8>,
    shown: String,
    /// The level its labels name.
    level: Option<Cow<'static, str>>,
    /// It is refused as a whole.
    refused: bool,
    /// Its labels are in the batch.
    started: bool,
    /// Where duplicate times are moved: time as sent of the last entry that was not moved; time and line of the last entry.
    sent: Option<i64>,
    last: Option<(i64, Vec<u8>)>,
}

impl<'l> Builder<'l> {
    pub(crate) fn new(intake: &'l Intake<'l>) -> Builder<'l> {
        let (limits, now) = (&intake.limits.logs, intake.now.to_ms());
        Builder {
            decoded: Decoded::default(),
            intake,
            limits,
            levels: Levels::of(limits),
            oldest: limits.age_max.map_or(TimestampNs(i64::MIN), |age| now.minus(age).to_ns()),
            newest: now.plus(intake.limits.future_grace).to_ns(),
            stream: Stream::default(),
            metadata: Vec::new(),
        }
    }

    pub(crate) fn finish(self) -> Decoded {
        self.decoded
    }

    /// Counts a stream that has no entry.
    pub(crate) fn empty_stream(&mut self) {
        self.decoded.streams += 1;
    }

    /// Opens a stream with labels as text; a service's name is found among them.
    pub(crate) fn stream(&mut self, text: &str) -> Result<(), Error> {
        if text.len() > LABELS_BYTES_MAX {
            return Err(Error::BodyTooLarge { limit_bytes: LABELS_BYTES_MAX });
        }
        let mut labels = label_text::parse(text).map_err(|error| Error::Body(format!("couldn't parse labels: {error}")))?;
        labels.retain(|(_, value)| !value.is_empty());
        if !labels.iter().any(|(name, _)| name == SERVICE_NAME) {
            self.discover_service(&mut labels);
        }
        self.open(labels);
        Ok(())
    }

    /// Adds the service's name: the first of the tenant's labels that is there, or that there is none; nothing where the tenant
    /// names no labels.
    pub(crate) fn discover_service(&self, labels: &mut Labels) {
        let wanted = &self.limits.service_labels;
        if wanted.is_empty() {
            return;
        }
        let found = wanted.iter().find_map(|wanted| labels.iter().find(|(name, value)| name == wanted && !value.is_empty()));
        let service = found.map_or_else(|| UNKNOWN_SERVICE.to_owned(), |(_, value)| value.clone());
        labels.push((SERVICE_NAME.to_owned(), service));
    }

    /// Opens a stream with labels as they are.
    pub(crate) fn open(&mut self, mut labels: Labels) {
        self.decoded.streams += 1;
        labels.retain(|(_, value)| !value.is_empty());
        labels.sort();
        let stream = &mut self.stream;
        stream.shown = show(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        stream.level = self.levels.and_then(|levels| levels.of_labels(pairs));
        (stream.started, stream.refused, stream.sent, stream.last) = (false, false, None, None);
        stream.encoded.clear();
        labels.iter().for_each(|(name, value)| encode_label(&mut stream.encoded, name.as_bytes(), value.as_bytes()));
        if let Some(text) = self.label_fault(&labels) {
            self.stream.refused = true;
            self.refuse(text);
        } else if let Some(blocked) = self.limits.blocked.filter(|blocked| self.intake.now < blocked.until) {
            self.stream.refused = true;
            self.decoded.blocked = Some((blocked, self.intake.tenant.clone()));
        }
    }

    fn label_fault(&self, labels: &Labels) -> Option<String> {
        let (shown, limits, names) = (&self.stream.shown, self.intake.limits, || labels.iter().map(|(name, _)| name.as_str()));
        if labels.is_empty() {
            return Some("error at least one label pair is required per stream".to_owned());
        }
        let count = names().filter(|name| *name != SERVICE_NAME).count();
        if count > self.limits.labels_per_stream_max {
            let limit = self.limits.labels_per_stream_max;
            return Some(format!("entry for stream '{shown}' has {count} label names; limit {limit}"));
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
        let required = self.limits.labels_required.iter().map(String::as_str);
        let missing: Vec<&str> = required.filter(|wanted| !names().any(|name| name == *wanted)).collect();
        let tenant = self.intake.tenant;
        (!missing.is_empty()).then(|| {
            let missing = missing.join(",");
            format!("missing required labels '{missing}' for user '{tenant}' for stream '{shown}' (policy: '')")
        })
    }

    /// Adds an entry to the open stream, or refuses it.
    pub(crate) fn entry(&mut self, timestamp: TimestampNs, line: &[u8], metadata: &[Pair<'_>]) {
        let cut = self.cut(line);
        self.stream.sent.get_or_insert(timestamp.0);
        if self.stream.refused {
            return;
        }
        if let Some(text) = self.entry_fault(timestamp, &cut, metadata) {
            return self.refuse(text);
        }
        if let Err(text) = self.encode_metadata(&cut, metadata) {
            return self.refuse(text);
        }
        let timestamp = if self.limits.duplicates_moved { self.moved(timestamp, &cut) } else { timestamp };
        self.push(timestamp, &cut);
    }

    /// Cuts a line that is too long, where the tenant wants it cut.
    fn cut<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let (most, mark) = (self.limits.line_bytes_max, self.limits.line_truncation_mark.as_bytes());
        if !self.limits.line_truncated || line.len() <= most || mark.len() >= most {
            return Cow::Borrowed(line);
        }
        let kept = &line[..most - mark.len()];
        if mark.is_empty() { Cow::Borrowed(kept) } else { Cow::Owned([kept, mark].concat()) }
    }

    /// Encodes metadata with names as labels have them, values without what is no UTF-8, and the level.
    fn encode_metadata(&mut self, line: &[u8], metadata: &[Pair<'_>]) -> Result<(), String> {
        let mut normal = Vec::with_capacity(if metadata.is_empty() { 0 } else { metadata.len() + 1 });
        for (name, value) in metadata {
            normal.push((normal_name(name)?, clean(value)));
        }
        normal.retain(|(_, value)| !value.is_empty());
        let text_of = |wanted: &str| normal.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_ref());
        let level = match (text_of(DETECTED_LEVEL), &self.levels) {
            (Some(sent), _) => Some(level::normalised(sent)),
            (None, Some(levels)) => Some(self.stream.level.clone().unwrap_or_else(|| levels.of_entry(text_of, line))),
            (None, None) => None,
        };
        self.metadata.clear();
        normal.retain(|(name, _)| name != DETECTED_LEVEL);
        if let Some(level) = level {
            if normal.is_empty() {
                encode_label(&mut self.metadata, DETECTED_LEVEL.as_bytes(), level.as_bytes());
                return Ok(());
            }
            normal.push((Cow::Borrowed(DETECTED_LEVEL), level));
        }
        // Of one name sent twice the last value counts; sorting is stable.
        normal.sort_by(|a, b| a.0.cmp(&b.0));
        for (index, (name, value)) in normal.iter().enumerate() {
            if normal.get(index + 1).is_none_or(|next| next.0 != *name) {
                encode_label(&mut self.metadata, name.as_bytes(), value.as_bytes());
            }
        }
        Ok(())
    }

    /// Returns the time of an entry, moved where it is that of the entry before with another line.
    fn moved(&mut self, timestamp: TimestampNs, line: &[u8]) -> TimestampNs {
        let stream = &mut self.stream;
        let moved = match &stream.last {
            Some((at, last)) if last != line && (Some(timestamp.0) == stream.sent || timestamp.0 == *at) => at.saturating_add(1),
            Some(_) => {
                stream.sent = Some(timestamp.0);
                timestamp.0
            }
            None => timestamp.0,
        };
        stream.last = Some((moved, line.to_vec()));
        TimestampNs(moved)
    }

    fn push(&mut self, timestamp: TimestampNs, line: &[u8]) {
        let batch = &mut self.decoded.batch;
        if !self.stream.started {
            batch.start_stream(|out| out.extend_from_slice(&self.stream.encoded));
            self.stream.started = true;
        }
        batch.push_entry(timestamp, line, &self.metadata);
    }

    fn entry_fault(&self, timestamp: TimestampNs, line: &[u8], metadata: &[Pair<'_>]) -> Option<String> {
        let (shown, limits) = (&self.stream.shown, self.limits);
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
        if metadata.is_empty() { None } else { self.metadata_fault(metadata) }
    }

    fn metadata_fault(&self, metadata: &[Pair<'_>]) -> Option<String> {
        let (shown, limits) = (&self.stream.shown, self.limits);
        let ask = |setting, wish| format!("Please see `limits_config.{setting}` or contact your Loki administrator to {wish} it");
        if !limits.metadata_allowed {
            let ask = ask("allow_structured_metadata", "enable");
            return Some(format!("stream '{shown}' includes structured metadata, but this feature is disallowed. {ask}"));
        }
        let counted = metadata.iter().filter(|(name, _)| *name != DETECTED_LEVEL.as_bytes());
        let bytes: usize = counted.map(|(name, value)| name.len() + value.len()).sum();
        if bytes > limits.metadata_bytes_max {
            let (max, ask) = (limits.metadata_bytes_max, ask("max_structured_metadata_size", "increase"));
            return Some(format!(
                "stream '{shown}' has structured metadata too large: '{bytes}' bytes, limit: '{max}' bytes. {ask}"
            ));
        }
        if metadata.len() > limits.metadata_per_entry_max {
            let (have, max) = (metadata.len(), limits.metadata_per_entry_max);
            let ask = ask("max_structured_metadata_entries_count", "increase");
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

/// Returns a name of metadata as a label's name.
fn normal_name(name: &[u8]) -> Result<Cow<'_, str>, String> {
    match String::from_utf8_lossy(name) {
        Cow::Borrowed(name) => normalised_label(name),
        Cow::Owned(name) => Ok(Cow::Owned(normalised_label(&name)?.into_owned())),
    }
}

/// Returns a value without what is no UTF-8, and without the character that stands for it (Loki).
fn clean(value: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(value) {
        text if text.contains('\u{fffd}') => Cow::Owned(text.replace('\u{fffd}', "")),
        text => text,
    }
}

/// Shows labels as Prometheus does; a name may stand twice.
pub(super) fn show<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let all: Vec<String> = labels.map(|(name, value)| format!("{name}={}", go_quote(value))).collect();
    format!("{{{}}}", all.join(", "))
}

/// Shows a time to the second.
pub(super) fn rfc3339(at: TimestampNs) -> String {
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
