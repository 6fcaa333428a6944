//! Figures of the steady state under simulated time, one after the other, since CPU is the process's:
//! `cargo test --release -p compactor --test protocol -- --ignored --nocapture --test-threads 1 measure`.

use std::sync::Arc;
use std::time::Duration;

use compactor::{Compactor, Stores};
use manifest::Window;
use manifest::limits::{HEAD_INLINE_BYTES_MAX, HEAD_PAGES_MAX, HEAD_PAGES_STEP, PAGE_BYTES_MAX};
use model::{Clock, Hour, LabelSet, LogBatch, MetricBatch, Nonces, Resolution, Signal, TimeRangeMs, TimestampMs, TimestampNs};
use segment::l0;
use store::keys;

use crate::world::{FOREVER, HOUR, World, default_policy};

/// Requests of so many series (a sample each) or lines a second, as many senders in turns: every series each 15 s.
#[derive(Clone, Copy)]
struct Load {
    signal: Signal,
    per_second: u64,
    rows: u64,
    minutes: u64,
}

/// Who starts the runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Host {
    /// A process that lives: each minute, and when the last run said.
    Process,
    /// A function: a schedule each minute, and it stays where an hour fills fast.
    Function,
}

impl Host {
    fn is_due(self, second: u64, report: &compactor::Report, now: TimestampMs) -> bool {
        let told = if self == Host::Process { report.next } else { report.busy };
        second.is_multiple_of(60) || told.is_some_and(|at| at <= now)
    }
}

fn request(world: &World, number: u64, load: &Load, at: TimestampMs) -> segment::Encoded {
    let sender = number % (load.per_second * 15);
    let instance = format!("host-{sender}");
    if load.signal == Signal::Logs {
        let mut batch = LogBatch::default();
        let labels = LabelSet::from_pairs([("app", "shop"), ("instance", &*instance)]);
        batch.start_stream(|out| out.extend_from_slice(labels.encoded()));
        for line in 0..load.rows {
            let id = (number * load.rows + line).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let text = format!("level=info msg=\"request done\" path=/api/v1/items/{} status=200 trace={id:016x}", id % 997);
            batch.push_entry(TimestampNs(at.to_ns().0 + line as i64 * 1000), text.as_bytes(), &[]);
        }
        return l0::encode_logs(&world.tenant, &batch).unwrap();
    }
    let mut batch = MetricBatch::default();
    for series in 0..load.rows {
        let name = format!("requests_{}_total", series % 20);
        let labels = [("__name__", &*name), ("instance", &*instance), ("job", "node"), ("mode", &*series.to_string())];
        batch.start_series_of(&LabelSet::from_pairs(labels));
        let value = (number / (load.per_second * 15)) * (series % 7 + 1) + sender;
        batch.push_sample(at, value as f64, TimestampMs(0));
    }
    l0::encode_metrics(&world.tenant, &batch).unwrap()
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Objects of a query of the last so many seconds, at all times.
struct Objects {
    span: Duration,
    counts: Vec<usize>,
}

impl Objects {
    fn of(span: Duration) -> Objects {
        Objects { span, counts: Vec::new() }
    }

    async fn look(&mut self, world: &World, signal: Signal) {
        let now = world.clock.now();
        let range = TimeRangeMs::new(now.minus(self.span), now);
        self.counts.push(world.manifest().snapshot(&world.tenant, signal, range).await.unwrap().parts.len());
    }

    fn print(mut self, name: &str) {
        self.counts.sort_unstable();
        if let Some(most) = self.counts.last() {
            println!("  {name}: {} objects in the middle, {most} at most", self.counts[self.counts.len() / 2]);
        }
    }
}

/// The largest head of an hour, over which records it lay.
#[derive(Default)]
struct Heads {
    ids: usize,
    head_bytes: usize,
    page_bytes: usize,
    pages: usize,
}

impl Heads {
    async fn look(&mut self, world: &World, signal: Signal) {
        let window = Window::Hour(world.clock.now().minus(Duration::from_secs(1)).hour());
        let partition = keys::window_partition(&world.tenant, signal, window);
        let head = world.records().get(&keys::head(&world.tenant, signal, window, Resolution::Raw)).await.unwrap();
        let pages = world.records().query_prefix(&partition, keys::PAGE_PREFIX).await.unwrap();
        let listed = world.manifest().window_records(&world.tenant, signal, window).await.unwrap();
        let ids: usize = listed.heads.iter().map(|head| head.replaced.len()).sum();
        self.ids = self.ids.max(ids);
        self.head_bytes = self.head_bytes.max(head.map_or(0, |head| head.value.len()));
        self.page_bytes = pages.iter().map(|page| page.value.len()).fold(self.page_bytes, usize::max);
        self.pages = self.pages.max(pages.len());
        // What lies beside the lists in HEAD is a few numbers.
        let inline_bytes_max = HEAD_INLINE_BYTES_MAX * (1 + self.pages / HEAD_PAGES_STEP);
        assert!(self.head_bytes < inline_bytes_max + 4096 && self.page_bytes <= PAGE_BYTES_MAX + 64);
        assert!(self.pages < HEAD_PAGES_MAX);
    }

    fn print(&self) {
        let Heads { ids, head_bytes, page_bytes, pages } = self;
        println!("  an hour's head at most: {ids} replaced ids, HEAD {head_bytes} bytes, {pages} pages of {page_bytes} bytes");
    }
}

async fn measure(load: Load, host: Host) {
    let mut world = World::new();
    world.policy = default_policy();
    let (compactor, records) = world.compactor(None);
    let (mut l0_bytes, mut rows, mut cpu, mut sum) = (0, 0, 0.0, (0, 0, 0, 0));
    let (mut hour, mut day) = (Objects::of(Duration::from_secs(3600)), Objects::of(Duration::from_secs(24 * 3600)));
    let (mut report, mut heads) = (compactor::Report::default(), Heads::default());
    for second in 0..load.minutes * 60 {
        for request_of in 0..load.per_second {
            let at = world.clock.now().plus(Duration::from_millis(request_of * 1000 / load.per_second));
            let encoded = request(&world, second * load.per_second + request_of, &load, at);
            rows += load.rows;
            l0_bytes += encoded.bytes.len() as u64;
            world.append(load.signal, at.hour(), encoded, false).await;
        }
        world.clock.advance(Duration::from_secs(1));
        if second % 60 == 59 {
            heads.look(&world, load.signal).await;
        }
        // What a query finds is the most just before a run.
        if second >= 3600 && second % 7 == 0 {
            hour.look(&world, load.signal).await;
        }
        if second >= 24 * 3600 && second % 49 == 0 {
            day.look(&world, load.signal).await;
        }
        if host.is_due(second, &report, world.clock.now()) {
            let before = cpu_seconds();
            report = compactor.run(FOREVER, &[]).await.unwrap();
            cpu += cpu_seconds() - before;
            assert_eq!((report.failed, report.lost), (0, 0));
            sum = (sum.0 + 1, sum.1 + report.jobs, sum.2 + report.input_bytes, sum.3 + report.output_bytes);
        }
    }
    let of_hour = Window::Hour(Hour(HOUR.0)).range();
    let closed = world.manifest().snapshot(&world.tenant, load.signal, of_hour).await.unwrap().parts;
    let bytes: u64 = closed.iter().map(|part| part.location.len_bytes()).sum();
    let rows_closed: u64 = closed.iter().map(|part| part.stats.rows).sum();
    let Load { signal, per_second, minutes, .. } = load;
    println!("{signal} {host:?}: {per_second} requests/s of {} rows for {minutes} min: {rows} rows", load.rows);
    hour.print("last hour");
    day.print("last 24 h");
    heads.print();
    println!("  first hour: {} objects, {bytes} bytes, {rows_closed} rows", closed.len());
    println!("  L0 {:.2} B/row, first hour {:.2}", l0_bytes as f64 / rows as f64, bytes as f64 / rows_closed as f64);
    let (runs, jobs, read, written) = sum;
    println!(
        "  {runs} runs, {jobs} jobs read {read} and wrote {written} bytes: {:.2} times L0's",
        written as f64 / l0_bytes as f64
    );
    let units = records.write_units() as f64;
    println!(
        "  {:.2} CPU s and {:.0} write units of records per million rows",
        cpu / (rows as f64 / 1e6),
        units / (rows as f64 / 1e6)
    );
}

/// A thousand rows a second. The first hour fills and closes; the minutes after it are long enough for what closes it and for the
/// second hour's first L2.
async fn measure_hour(signal: Signal, per_second: u64, host: Host) {
    measure(Load { signal, per_second, rows: 1_000 / per_second, minutes: 80 }, host).await;
}

#[tokio::test]
#[ignore = "prints figures for BENCHMARKS.md"]
async fn measure_metrics_at_2() {
    measure_hour(Signal::Metrics, 2, Host::Process).await;
}

#[tokio::test]
#[ignore = "prints figures for BENCHMARKS.md"]
async fn measure_metrics_at_20() {
    measure_hour(Signal::Metrics, 20, Host::Process).await;
}

#[tokio::test]
#[ignore = "prints figures for BENCHMARKS.md"]
async fn measure_logs_at_2() {
    measure_hour(Signal::Logs, 2, Host::Process).await;
}

#[tokio::test]
#[ignore = "prints figures for BENCHMARKS.md"]
async fn measure_logs_at_20() {
    measure_hour(Signal::Logs, 20, Host::Process).await;
}

#[tokio::test]
#[ignore = "prints figures for BENCHMARKS.md"]
async fn measure_functions() {
    measure_hour(Signal::Metrics, 2, Host::Function).await;
    measure_hour(Signal::Metrics, 20, Host::Function).await;
}

#[tokio::test]
#[ignore = "prints figures for BENCHMARKS.md"]
async fn measure_days() {
    measure(Load { signal: Signal::Metrics, per_second: 2, rows: 20, minutes: 50 * 60 }, Host::Process).await;
    measure(Load { signal: Signal::Metrics, per_second: 20, rows: 5, minutes: 30 * 60 }, Host::Process).await;
}

/// Most memory that was resident since the last reset, MB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1e3
}

/// A day of two replicas of so many series at 15 s: counters and gauges of some metrics, each replica at its own offset with jitter;
/// `outages`: one of both is down for half an hour in each hour but the first, in turns.
async fn measure_replicas(pairs: usize, metrics: usize, outages: bool) {
    let mut world = World::new();
    world.policy = default_policy();
    let first = Window::Day(HOUR.day()).range().start.hour();
    let mut random = 1u64;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut values = vec![0u64; pairs];
    for (hour, replica) in (0..24u64).flat_map(|hour| [(hour, "a"), (hour, "b")]) {
        let mut batch = MetricBatch::default();
        let is_down = |scrape: u64| outages && hour > 0 && (hour % 2 == 0) == (replica == "a") && scrape < 120;
        for (series, value) in values.iter_mut().enumerate() {
            let (name, instance) = (format!("metric_{}", series % metrics), format!("host-{}:9100", series / metrics));
            let labels = [("__name__", &*name), ("instance", &*instance), ("job", "node"), ("replica", replica)];
            batch.start_series_of(&LabelSet::from_pairs(labels));
            for scrape in (0..240).filter(|scrape| !is_down(*scrape)) {
                let late = scrape * 15_000 + if replica == "a" { 2_000 } else { 9_000 } + below(20);
                *value = if series % 3 == 0 { below(1_000) } else { *value + below(50) };
                let hour = Hour(first.0 + hour as i64);
                batch.push_sample(hour.start().plus(Duration::from_millis(late)), *value as f64, TimestampMs(0));
            }
        }
        let encoded = l0::encode_metrics(&world.tenant, &batch).unwrap();
        world.append(Signal::Metrics, Hour(first.0 + hour as i64), encoded, false).await;
    }
    world.clock.advance(Duration::from_secs(32 * 3_600));
    for _ in 0..3 {
        world.run().await;
        world.clock.advance(Duration::from_secs(2 * 3_600));
    }
    world.policy.limits = crate::replicas::merged();
    crate::replicas::close(&world);
    let rows = world.parts(Signal::Metrics).await.iter().map(|part| part.stats.rows).sum::<u64>();
    let (objects, counters) = store::objects::counted(world.objects());
    let (manifest, records, clock) = (world.manifest(), world.records(), Arc::new(world.clock.clone()));
    let stores = Stores { manifest, records, objects, clock, nonces: Arc::new(Nonces::seeded(3)) };
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (cpu, resident) = (cpu_seconds(), peak_mb());
    let report = Compactor::new(stores, world.policy.clone()).run(FOREVER, &[]).await.unwrap();
    let (cpu, peak, counts) = (cpu_seconds() - cpu, peak_mb() - resident, counters.counts());
    assert_eq!(report.replica_jobs, 1);
    let input = report.input_bytes;
    let left = 100.0 * (rows - report.replica_samples) as f64 / rows as f64;
    let bytes = 100.0 * report.output_bytes as f64 / input as f64;
    let per_million = 1e6 * cpu / rows as f64;
    println!(
        "{pairs} pairs of {metrics} metrics, outages {outages}: {rows} rows, {left:.0} % left in {bytes:.0} % of {input} bytes"
    );
    println!("  {cpu:.2} CPU s ({per_million:.2} a million rows), {peak:.0} MB more than before; {counts:?}");
}

#[tokio::test]
#[ignore = "prints figures for BENCHMARKS.md"]
async fn measure_merges_of_replicas() {
    measure_replicas(1_000, 50, false).await;
    measure_replicas(1_000, 50, true).await;
    measure_replicas(4_000, 1, false).await;
}
