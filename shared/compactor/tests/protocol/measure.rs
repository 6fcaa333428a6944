//! Figures of the steady state under simulated time: `cargo test --release -p compactor --test protocol -- --ignored --nocapture measure`.

use std::time::Duration;

use compactor::{Hint, Policy};
use manifest::Window;
use model::{Clock, Hour, LabelSet, MetricBatch, Signal, TimeRangeMs, TimestampMs};
use segment::l0;

use crate::world::{FOREVER, HOUR, World};

/// Requests of so many series a second, a sample each, as many senders in turns: every series each 15 s.
struct Load {
    per_second: u64,
    series: u64,
    minutes: u64,
}

fn request(world: &World, number: u64, load: &Load, at: TimestampMs) -> segment::Encoded {
    let mut batch = MetricBatch::default();
    let sender = number % (load.per_second * 15);
    for series in 0..load.series {
        let instance = format!("host-{sender}");
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

async fn measure(load: Load) {
    let mut world = World::new();
    world.policy = Policy::default();
    let (compactor, _) = world.compactor(None);
    let (mut l0_bytes, mut samples, mut cpu, mut report) = (0, 0, 0.0, (0, 0, 0));
    let mut objects: Vec<usize> = Vec::new();
    for second in 0..load.minutes * 60 {
        for request_of in 0..load.per_second {
            let at = world.clock.now().plus(Duration::from_millis(request_of * 1000 / load.per_second));
            let encoded = request(&world, second * load.per_second + request_of, &load, at);
            samples += load.series;
            l0_bytes += encoded.bytes.len() as u64;
            world.append(Signal::Metrics, at.hour(), encoded, false).await;
        }
        world.clock.advance(Duration::from_secs(1));
        // The schedule, and a hint whenever 64 segments were written.
        let written = (second + 1) * load.per_second;
        let hint = (written % 64 < load.per_second).then(|| Hint {
            tenant: world.tenant.clone(),
            signal: Signal::Metrics,
            window: Window::Hour(Hour(HOUR.0 + second as i64 / 3600)),
        });
        let before = cpu_seconds();
        let mut done = Vec::new();
        done.extend(if hint.is_some() { Some(compactor.run_only(FOREVER, hint.as_slice()).await) } else { None });
        done.extend(if second % 60 == 59 { Some(compactor.run(FOREVER, &[]).await.unwrap()) } else { None });
        cpu += cpu_seconds() - before;
        for done in done {
            report = (report.0 + done.jobs, report.1 + done.input_bytes, report.2 + done.output_bytes);
        }
        if second >= 3600 && second % 10 == 0 {
            let range = TimeRangeMs::new(world.clock.now().minus(Duration::from_secs(3600)), world.clock.now());
            let snapshot = world.manifest().snapshot(&world.tenant, Signal::Metrics, range).await.unwrap();
            objects.push(snapshot.parts.len());
        }
    }
    objects.sort_unstable();
    let (median, most) = (objects[objects.len() / 2], objects[objects.len() - 1]);
    let of_hour = |hour: i64| Window::Hour(Hour(HOUR.0 + hour)).range();
    let closed = world.manifest().snapshot(&world.tenant, Signal::Metrics, of_hour(0)).await.unwrap().parts;
    let bytes: u64 = closed.iter().map(|part| part.location.len_bytes()).sum();
    let rows: u64 = closed.iter().map(|part| part.stats.rows).sum();
    println!("{} requests/s of {} samples for {} min: {samples} samples", load.per_second, load.series, load.minutes);
    println!("  last hour: {median} objects in the middle, {most} at most; closed hour: {} objects, {bytes} bytes", closed.len());
    println!("  24 h: at most {} objects (23 closed hours and the last)", 23 * closed.len() + most);
    println!("  L0 {:.2} B/sample, closed {:.2}", l0_bytes as f64 / samples as f64, bytes as f64 / rows as f64);
    let (jobs, read, written) = report;
    println!("  {jobs} jobs read {read} and wrote {written} bytes: {:.2} times L0's", written as f64 / l0_bytes as f64);
    println!("  {:.2} CPU s per million samples", cpu / (samples as f64 / 1e6));
}

#[tokio::test]
#[ignore = "prints figures for BENCHMARKS.md"]
async fn measure_the_steady_state() {
    measure(Load { per_second: 2, series: 500, minutes: 130 }).await;
    measure(Load { per_second: 20, series: 50, minutes: 130 }).await;
}
