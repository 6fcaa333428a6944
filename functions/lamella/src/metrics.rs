//! The process's own metrics in Prometheus's text format.
//!
//! Owns: counts of requests and compactions, and how they are printed. Object requests are counted by `store`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use fn_compact::Report;
use store::objects::Counters;

use crate::process;

/// Everything counted, shared by routes and timers.
#[derive(Debug)]
pub struct Metrics {
    requests: Mutex<BTreeMap<Route, Requests>>,
    compactions: Mutex<Compactions>,
    objects: Arc<Counters>,
}

/// What requests are told apart by; the route is the pattern, so clients cannot make series.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Route {
    path: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Copy, Default, Debug)]
struct Requests {
    count: u64,
    time: Duration,
}

#[derive(Clone, Copy, Default, Debug)]
struct Compactions {
    runs: u64,
    failed_runs: u64,
    jobs: u64,
    failed_jobs: u64,
    inputs: u64,
    rows: u64,
    deleted: u64,
    coarse_jobs: u64,
    coarse_samples: u64,
    coarse_bytes: u64,
    replica_jobs: u64,
    replica_samples: u64,
    /// As of the last run.
    coarse_lag_ms: u64,
}

impl Metrics {
    /// Makes metrics that print the given object counters too.
    pub fn new(objects: Arc<Counters>) -> Metrics {
        Metrics { requests: Mutex::default(), compactions: Mutex::default(), objects }
    }

    /// Counts a compaction run; `None` is one that failed.
    pub fn compacted(&self, report: Option<&Report>) {
        let mut counts = self.compactions.lock().expect("no call panics while it holds the lock");
        counts.runs += 1;
        match report {
            None => counts.failed_runs += 1,
            Some(report) => {
                counts.jobs += report.jobs;
                counts.failed_jobs += report.failed;
                counts.inputs += report.inputs;
                counts.rows += report.rows;
                counts.deleted += report.deleted;
                counts.coarse_jobs += report.coarse_jobs;
                counts.coarse_samples += report.coarse_samples;
                counts.coarse_bytes += report.coarse_bytes;
                counts.replica_jobs += report.replica_jobs;
                counts.replica_samples += report.replica_samples;
                counts.coarse_lag_ms = report.coarse_lag_ms;
            }
        }
    }

    fn requested(&self, route: Route, time: Duration) {
        let mut requests = self.requests.lock().expect("no call panics while it holds the lock");
        let counts = requests.entry(route).or_default();
        counts.count += 1;
        counts.time += time;
    }

    /// Prints everything.
    pub fn text(&self) -> String {
        let mut page = Page::default();
        self.print_requests(&mut page);
        self.print_objects(&mut page);
        self.print_compactions(&mut page);
        print_process(&mut page);
        page.text
    }

    fn print_requests(&self, page: &mut Page) {
        let requests = self.requests.lock().expect("no call panics while it holds the lock").clone();
        let labels =
            |route: &Route| format!("{{route=\"{}\",method=\"{}\",status=\"{}\"}}", route.path, route.method, route.status);
        let counts = requests.iter().map(|(route, counts)| (labels(route), counts.count as f64));
        page.family("lamella_http_requests_total", "counter", "Requests answered.", counts);
        let times = requests.iter().map(|(route, counts)| (labels(route), counts.time.as_secs_f64()));
        page.family("lamella_http_request_seconds_total", "counter", "Time until the head of the answer.", times);
    }

    fn print_objects(&self, page: &mut Page) {
        let counts = self.objects.counts();
        let operations = [("put", counts.puts), ("get", counts.gets), ("list", counts.lists), ("delete", counts.deletes)];
        let operations = operations.map(|(operation, count)| (format!("{{operation=\"{operation}\"}}"), count as f64));
        page.family("lamella_object_requests_total", "counter", "Requests to the object store.", operations);
        let bytes = [("put", counts.put_bytes), ("get", counts.get_bytes)];
        let bytes = bytes.map(|(operation, count)| (format!("{{operation=\"{operation}\"}}"), count as f64));
        page.family("lamella_object_bytes_total", "counter", "Bytes sent to and fetched from the object store.", bytes);
    }

    fn print_compactions(&self, page: &mut Page) {
        let counts = *self.compactions.lock().expect("no call panics while it holds the lock");
        for (name, help, count) in [
            ("runs", "Compaction runs.", counts.runs),
            ("failed_runs", "Compaction runs that failed as a whole.", counts.failed_runs),
            ("jobs", "Compaction jobs that published their outputs.", counts.jobs),
            ("failed_jobs", "Compaction jobs that failed.", counts.failed_jobs),
            ("inputs", "Segments merged away.", counts.inputs),
            ("rows", "Rows rewritten.", counts.rows),
            ("objects_deleted", "Dead objects deleted.", counts.deleted),
            ("coarse_jobs", "Days of which coarse copies were built.", counts.coarse_jobs),
            ("coarse_samples", "Raw samples read for coarse copies.", counts.coarse_samples),
            ("coarse_bytes", "Bytes of coarse copies written.", counts.coarse_bytes),
            ("replica_jobs", "Days whose replicas were merged.", counts.replica_jobs),
            ("replica_samples", "Samples left out of days whose replicas were merged.", counts.replica_samples),
        ] {
            page.single(&format!("lamella_compaction_{name}_total"), "counter", help, count as f64);
        }
        let help = "Time since the end of the oldest day that the last run found without its coarse copies; 0 for none.";
        page.single("lamella_compaction_coarse_lag_seconds", "gauge", help, counts.coarse_lag_ms as f64 / 1000.0);
    }
}

fn print_process(page: &mut Page) {
    if let Some(usage) = process::usage() {
        page.single("process_cpu_seconds_total", "counter", "User and system CPU time.", usage.cpu_seconds);
        page.single("process_resident_memory_bytes", "gauge", "Resident memory.", usage.resident_bytes as f64);
        page.single("process_threads", "gauge", "Threads.", usage.threads as f64);
        page.single("process_open_fds", "gauge", "Open file descriptors.", usage.descriptors as f64);
    }
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    page.family("lamella_build_info", "gauge", "What runs here.", [(version, 1.0)]);
}

/// Text of the format, version 0.0.4.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str, samples: impl IntoIterator<Item = (String, f64)>) {
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{name}{labels} {value}");
        }
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help, [(String::new(), value)]);
    }
}

/// Counts every request by route, method and status.
pub async fn count(State(metrics): State<Arc<Metrics>>, matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = match request.method().as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    };
    let path = matched.map_or_else(|| "other".to_owned(), |matched| matched.as_str().to_owned());
    let response = next.run(request).await;
    metrics.requested(Route { path, method, status: response.status().as_u16() }, began.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_prometheus_text() {
        let metrics = Metrics::new(Arc::default());
        let route = Route { path: "/api/v1/query".into(), method: "GET", status: 200 };
        metrics.requested(route.clone(), Duration::from_millis(500));
        metrics.requested(route, Duration::from_millis(250));
        metrics.compacted(None);
        let text = metrics.text();
        for line in [
            "# TYPE lamella_http_requests_total counter",
            "lamella_http_requests_total{route=\"/api/v1/query\",method=\"GET\",status=\"200\"} 2",
            "lamella_http_request_seconds_total{route=\"/api/v1/query\",method=\"GET\",status=\"200\"} 0.75",
            "lamella_object_requests_total{operation=\"put\"} 0",
            "lamella_compaction_failed_runs_total 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
