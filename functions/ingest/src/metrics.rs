//! What ingest counts of itself, in Prometheus's text format.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use appender::{Reason, Receipt, Strategy};
use wire::remote_write::Written;

use crate::replicas::Chosen;

/// The protocol of a request.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    /// Prometheus remote write.
    RemoteWrite,
    /// Loki push.
    LokiPush,
    /// OTLP metrics.
    Otlp,
    /// OTLP logs.
    OtlpLogs,
}

/// Names of the protocols, in their order.
const PROTOCOLS: [&str; 4] = ["remote_write", "loki_push", "otlp", "otlp_logs"];

/// Counters since start.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: [Requests; PROTOCOLS.len()],
    body_bytes: AtomicU64,
    line_bytes: AtomicU64,
    samples: AtomicU64,
    histograms: AtomicU64,
    exemplars: AtomicU64,
    entries: AtomicU64,
    refused_metrics: AtomicU64,
    refused_logs: AtomicU64,
    replicas_taken: AtomicU64,
    replicas_covered: AtomicU64,
    replicas_denied: AtomicU64,
    elections: AtomicU64,
    /// By strategy and reason.
    appends: [[AtomicU64; Reason::ALL.len()]; Strategy::ALL.len()],
}

#[derive(Debug, Default)]
struct Requests {
    stored: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    micros: AtomicU64,
}

impl Metrics {
    /// Counts an answer.
    pub fn answered(&self, protocol: Protocol, status: u16, took: Duration) {
        let requests = &self.requests[protocol as usize];
        let counter = match status {
            ..400 => &requests.stored,
            400..500 => &requests.refused,
            _ => &requests.failed,
        };
        counter.fetch_add(1, Relaxed);
        requests.micros.fetch_add(took.as_micros() as u64, Relaxed);
    }

    /// Counts what a remote write request brought.
    pub fn received_samples(&self, body_bytes: usize, written: Written, refused: usize) {
        self.body_bytes.fetch_add(body_bytes as u64, Relaxed);
        self.samples.fetch_add(written.samples as u64, Relaxed);
        self.histograms.fetch_add(written.histograms as u64, Relaxed);
        self.exemplars.fetch_add(written.exemplars as u64, Relaxed);
        self.refused_metrics.fetch_add(refused as u64, Relaxed);
    }

    /// Counts what replicas sent, and who was elected.
    pub(crate) fn chose(&self, chosen: &Chosen) {
        self.replicas_taken.fetch_add(chosen.taken.rows() as u64, Relaxed);
        self.replicas_covered.fetch_add(chosen.covered.rows() as u64, Relaxed);
        self.replicas_denied.fetch_add(chosen.denied.rows() as u64, Relaxed);
        let claims = chosen.mandates.iter().filter(|mandate| mandate.claimed).count();
        self.elections.fetch_add(claims as u64, Relaxed);
    }

    /// Counts what a push request brought.
    pub fn received_entries(&self, body_bytes: usize, line_bytes: usize, entries: usize, refused: usize) {
        self.line_bytes.fetch_add(line_bytes as u64, Relaxed);
        self.body_bytes.fetch_add(body_bytes as u64, Relaxed);
        self.entries.fetch_add(entries as u64, Relaxed);
        self.refused_logs.fetch_add(refused as u64, Relaxed);
    }

    /// Counts a batch that was made durable, by how.
    pub fn appended(&self, receipt: &Receipt) {
        self.appends[receipt.choice.strategy as usize][receipt.choice.reason as usize].fetch_add(1, Relaxed);
    }

    /// Appends the counters as text.
    pub fn render(&self, out: &mut String) {
        out.push_str("# TYPE lamella_ingest_requests_total counter\n");
        for (protocol, requests) in PROTOCOLS.iter().zip(&self.requests) {
            for (outcome, counter) in [("stored", &requests.stored), ("refused", &requests.refused), ("failed", &requests.failed)]
            {
                let labels = format_args!("protocol=\"{protocol}\",outcome=\"{outcome}\"");
                line(out, "lamella_ingest_requests_total", labels, counter.load(Relaxed) as f64);
            }
        }
        out.push_str("# TYPE lamella_ingest_request_seconds_total counter\n");
        for (protocol, requests) in PROTOCOLS.iter().zip(&self.requests) {
            let seconds = requests.micros.load(Relaxed) as f64 / 1e6;
            line(out, "lamella_ingest_request_seconds_total", format_args!("protocol=\"{protocol}\""), seconds);
        }
        out.push_str("# TYPE lamella_ingest_rows_total counter\n");
        let rows =
            [("sample", &self.samples), ("histogram", &self.histograms), ("exemplar", &self.exemplars), ("entry", &self.entries)];
        for (kind, counter) in rows {
            line(out, "lamella_ingest_rows_total", format_args!("kind=\"{kind}\""), counter.load(Relaxed) as f64);
        }
        out.push_str("# TYPE lamella_ingest_appends_total counter\n");
        for (strategy, counters) in Strategy::ALL.iter().zip(&self.appends) {
            for (reason, counter) in Reason::ALL.iter().zip(counters) {
                let labels = format_args!("strategy=\"{}\",reason=\"{}\"", strategy.as_str(), reason.as_str());
                line(out, "lamella_ingest_appends_total", labels, counter.load(Relaxed) as f64);
            }
        }
        out.push_str("# TYPE lamella_ingest_refused_total counter\n");
        for (signal, counter) in [("metrics", &self.refused_metrics), ("logs", &self.refused_logs)] {
            line(out, "lamella_ingest_refused_total", format_args!("signal=\"{signal}\""), counter.load(Relaxed) as f64);
        }
        out.push_str("# TYPE lamella_ingest_replica_rows_total counter\n");
        let replicas = [("taken", &self.replicas_taken), ("covered", &self.replicas_covered), ("denied", &self.replicas_denied)];
        for (outcome, counter) in replicas {
            let labels = format_args!("outcome=\"{outcome}\"");
            line(out, "lamella_ingest_replica_rows_total", labels, counter.load(Relaxed) as f64);
        }
        out.push_str("# TYPE lamella_ingest_elections_total counter\n");
        let _ = writeln!(out, "lamella_ingest_elections_total {}", self.elections.load(Relaxed));
        out.push_str("# TYPE lamella_ingest_body_bytes_total counter\n");
        let _ = writeln!(out, "lamella_ingest_body_bytes_total {}", self.body_bytes.load(Relaxed));
        out.push_str("# TYPE lamella_ingest_line_bytes_total counter\n");
        let _ = writeln!(out, "lamella_ingest_line_bytes_total {}", self.line_bytes.load(Relaxed));
    }
}

fn line(out: &mut String, name: &str, labels: std::fmt::Arguments<'_>, value: f64) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{name}{{{labels}}} {value}");
}
