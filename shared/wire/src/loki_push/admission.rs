//! Rates, numbers of streams and order: the bounds that need to know what was sent before.
//!
//! What Loki's distributors and ingesters keep per tenant and per stream. One process knows only what it received itself, so a
//! bound holds per process; all of them are off unless a tenant's limits set them, and then nothing is kept here.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use model::labels::{DETECTED_LEVEL, Iter};
use model::{LogBatch, TenantId, TimestampMs, TimestampNs};

use super::builder::{rfc3339, show};
use super::{Answer, Decoded, Intake};
use crate::error::Error;

/// How long a stream counts after its last entry (Loki `chunk_idle_period`).
const STREAM_IDLE: Duration = Duration::from_secs(1800);
/// How often idle streams are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// Tenants that are remembered before idle ones are looked for.
const TENANTS_MANY: usize = 10_000;
/// Refused entries of a stream that are told one by one (Loki `max_returned_stream_errors`).
const TOLD_MAX: usize = 10;

/// What every tenant with such bounds has sent lately.
#[derive(Debug, Default)]
pub struct Admission {
    tenants: Mutex<HashMap<TenantId, Tenant>>,
}

#[derive(Debug, Default)]
struct Tenant {
    rate: Bucket,
    /// By canonical label set.
    streams: HashMap<Vec<u8>, Stream>,
    swept: TimestampMs,
    seen: TimestampMs,
}

#[derive(Debug, Default)]
struct Stream {
    rate: Bucket,
    newest: Option<TimestampNs>,
    seen: TimestampMs,
}

/// A token bucket of bytes: full at first, never above its burst.
#[derive(Debug, Default)]
struct Bucket {
    /// Tokens at a time; nothing was taken yet where there is none.
    level: Option<(f64, TimestampMs)>,
}

impl Bucket {
    /// Takes `bytes` if that many are there.
    fn take(&mut self, bytes: u64, rate_bytes: u64, burst_bytes: u64, now: TimestampMs) -> bool {
        let burst = burst_bytes as f64;
        let tokens = self.level.map_or(burst, |(tokens, at)| {
            let seconds = (now.0.saturating_sub(at.0)).max(0) as f64 / 1000.0;
            (tokens + seconds * rate_bytes as f64).min(burst)
        });
        let enough = bytes as f64 <= tokens;
        self.level = Some((if enough { tokens - bytes as f64 } else { tokens }, now));
        enough
    }
}

impl Admission {
    /// Takes out of a request what its tenant's bounds do not admit.
    ///
    /// # Errors
    /// `RateLimited` where the request as a whole comes too fast: nothing of it may be stored.
    ///
    /// # Panics
    /// Never: a thread that held the lock does not panic.
    pub fn admit(&self, intake: &Intake<'_>, decoded: &mut Decoded) -> Result<(), Error> {
        let limits = &intake.limits.logs;
        let by_stream =
            limits.streams_max.is_some() || limits.stream_rate_bytes_max.is_some() || limits.out_of_order_window.is_some();
        if decoded.batch.is_empty() || (limits.rate_bytes_max.is_none() && !by_stream) {
            return Ok(());
        }
        let mut tenants = self.tenants.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = intake.now.to_ms();
        if tenants.len() >= TENANTS_MANY {
            tenants.retain(|_, tenant| tenant.seen.plus(STREAM_IDLE) > now);
        }
        let tenant = tenants.entry(intake.tenant.clone()).or_default();
        tenant.seen = now;
        tenant.check_rate(intake, &decoded.batch)?;
        if by_stream {
            tenant.sweep(now);
            tenant.admit_streams(intake, decoded);
        }
        Ok(())
    }
}

impl Tenant {
    fn check_rate(&mut self, intake: &Intake<'_>, batch: &LogBatch) -> Result<(), Error> {
        let limits = &intake.limits.logs;
        let Some(rate) = limits.rate_bytes_max else { return Ok(()) };
        let (lines, bytes) = (batch.entries_len(), bytes_of(batch, 0..batch.entries_len()));
        if self.rate.take(bytes, rate, limits.burst_bytes_max, intake.now.to_ms()) {
            return Ok(());
        }
        Err(Error::RateLimited(format!(
            "ingestion rate limit exceeded for user {} (limit: {rate} bytes/sec) while attempting to ingest '{lines}' lines \
             totaling '{bytes}' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased",
            intake.tenant
        )))
    }

    fn sweep(&mut self, now: TimestampMs) {
        if now >= self.swept.plus(SWEEP) {
            self.streams.retain(|_, stream| stream.seen.plus(STREAM_IDLE) > now);
            self.swept = now;
        }
    }

    /// Keeps of each stream what is admitted; the last refusal is told.
    fn admit_streams(&mut self, intake: &Intake<'_>, decoded: &mut Decoded) {
        let mut kept = LogBatch::default();
        let batch = std::mem::take(&mut decoded.batch);
        for index in 0..batch.streams_len() {
            let (labels, range) = (batch.labels.get(index), batch.entry_range(index));
            if range.is_empty() {
                continue;
            }
            match self.stream(labels, intake) {
                Err(answer) => {
                    decoded.not_admitted_entries += range.len();
                    decoded.not_admitted = Some(answer);
                }
                Ok(stream) => {
                    let verdict = stream.admit(&batch, range.clone(), intake);
                    if !verdict.refused.is_empty() {
                        decoded.not_admitted_entries += verdict.refused.len();
                        decoded.not_admitted = Some(verdict.answer(&batch, labels, range.len(), intake));
                    }
                    copy(&batch, labels, &verdict.admitted, &mut kept);
                }
            }
        }
        decoded.batch = kept;
    }

    /// Returns the stream's state, a new one where another stream may begin.
    fn stream(&mut self, labels: &[u8], intake: &Intake<'_>) -> Result<&mut Stream, Answer> {
        let most = intake.limits.logs.streams_max.unwrap_or(usize::MAX);
        if !self.streams.contains_key(labels) && self.streams.len() >= most {
            let (shown, tenant) = (show(Iter::over(labels)), intake.tenant);
            let text = format!(
                "maximum active stream limit exceeded when trying to create stream {shown}, reduce the number of active streams \
                 (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, \
                 user: '{tenant}'"
            );
            return Err(Answer { status: 429, text });
        }
        let stream = self.streams.entry(labels.to_vec()).or_default();
        stream.seen = intake.now.to_ms();
        Ok(stream)
    }
}

/// Which entries of a stream are stored, and why others are not.
#[derive(Default)]
struct Verdict {
    admitted: Vec<usize>,
    refused: Vec<(usize, String)>,
    rate_limited: bool,
}

impl Stream {
    /// Judges entries in the order of the request: first their times, then all that passed against the stream's rate.
    fn admit(&mut self, batch: &LogBatch, range: Range<usize>, intake: &Intake<'_>) -> Verdict {
        let limits = &intake.limits.logs;
        let mut verdict = Verdict::default();
        let mut newest = self.newest;
        for row in range {
            let at = TimestampNs(batch.timestamps[row]);
            let oldest = limits.out_of_order_window.zip(newest).map(|(window, newest)| before(newest, window));
            match oldest.filter(|oldest| at < *oldest) {
                Some(oldest) => verdict.refused.push((row, too_far_behind(at, oldest))),
                None => {
                    newest = newest.max(Some(at));
                    verdict.admitted.push(row);
                }
            }
        }
        let bytes = verdict.admitted.iter().map(|row| bytes_of(batch, *row..row + 1)).sum();
        let now = intake.now.to_ms();
        match limits.stream_rate_bytes_max {
            Some(rate) if !self.rate.take(bytes, rate, limits.stream_burst_bytes_max, now) => {
                verdict.rate_limited = true;
                verdict.refused = std::mem::take(&mut verdict.admitted).into_iter().map(|row| (row, String::new())).collect();
            }
            _ => self.newest = newest,
        }
        verdict
    }
}

impl Verdict {
    fn answer(&self, batch: &LogBatch, labels: &[u8], entries: usize, intake: &Intake<'_>) -> Answer {
        let shown = show(Iter::over(labels));
        let rate = intake.limits.logs.stream_rate_bytes_max.unwrap_or(0);
        let mut text = String::new();
        for (row, reason) in self.refused.iter().take(TOLD_MAX) {
            let at = go_time(TimestampNs(batch.timestamps[*row]));
            let reason = match self.rate_limited {
                true => stream_rate(rate, &shown, bytes_of(batch, *row..row + 1)),
                false => reason.clone(),
            };
            text.push_str(&format!("entry with timestamp {at} ignored, reason: '{reason}',\n"));
        }
        let (tenant, refused) = (intake.tenant, self.refused.len());
        text.push_str(&format!("user '{tenant}', total ignored: {refused} out of {entries} for stream: {shown}"));
        Answer { status: if self.rate_limited { 429 } else { 400 }, text }
    }
}

fn before(at: TimestampNs, window: Duration) -> TimestampNs {
    TimestampNs(at.0.saturating_sub(i64::try_from(window.as_nanos()).unwrap_or(i64::MAX)))
}

fn too_far_behind(at: TimestampNs, oldest: TimestampNs) -> String {
    let (at, oldest) = (rfc3339(at), rfc3339(oldest));
    format!("entry too far behind, entry timestamp is: {at}, oldest acceptable timestamp is: {oldest}")
}

fn stream_rate(rate: u64, shown: &str, bytes: u64) -> String {
    let (rate, bytes) = (byte_size(rate), byte_size(bytes));
    format!(
        "Per stream rate limit exceeded (limit: {rate}/sec) while attempting to ingest for stream '{shown}' totaling {bytes}, \
         consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased"
    )
}

/// Prints bytes in the largest unit that divides them.
fn byte_size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    let unit = UNITS.iter().find(|(size, _)| bytes > 0 && bytes.is_multiple_of(*size));
    unit.map_or_else(|| format!("{bytes}B"), |(size, name)| format!("{}{name}", bytes / size))
}

/// Prints a time as Go's `Time.String` does in UTC.
fn go_time(at: TimestampNs) -> String {
    let (seconds, nanos) = (at.0.div_euclid(1_000_000_000), at.0.rem_euclid(1_000_000_000));
    let text = rfc3339(TimestampNs(seconds.saturating_mul(1_000_000_000)));
    let fraction = if nanos == 0 { String::new() } else { format!(".{}", format!("{nanos:09}").trim_end_matches('0')) };
    format!("{}{fraction} +0000 UTC", text.replace('T', " ").trim_end_matches('Z'))
}

/// Counts the bytes of lines and metadata; the level does not count, as it was not sent.
fn bytes_of(batch: &LogBatch, rows: Range<usize>) -> u64 {
    let metadata = |row| Iter::over(batch.metadata.get(row)).filter(|(name, _)| *name != DETECTED_LEVEL);
    rows.map(|row| {
        let bytes: usize = metadata(row).map(|(name, value)| name.len() + value.len()).sum();
        (batch.lines.get(row).len() + bytes) as u64
    })
    .sum()
}

fn copy(from: &LogBatch, labels: &[u8], rows: &[usize], to: &mut LogBatch) {
    if rows.is_empty() {
        return;
    }
    to.start_stream(|out| out.extend_from_slice(labels));
    rows.iter().for_each(|row| to.push_entry(TimestampNs(from.timestamps[*row]), from.lines.get(*row), from.metadata.get(*row)));
}
