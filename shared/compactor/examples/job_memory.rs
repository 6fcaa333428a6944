//! Peak memory and CPU of a whole job of the compactor over files on disk, which `segment`'s example `merge_memory build` made:
//!
//!   job_memory metrics|logs DIR      files that lie in DIR become one closed hour in a new store, which is merged once
//!
//! Run it under `/usr/bin/time -v`: what this process holds beside the job is some MiB.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use compactor::{Compactor, Hint, Policy, Stores};
use manifest::{L0Item, Location, Manifest, ObjectKey, PartStats, Window};
use model::{Clock, Hour, Nonces, Resolution, Signal, SlotRange, TenantId, TimestampMs};
use segment::{logs, metrics};
use store::objects::ObjectStoreExt;
use testkit::SimulatedClock;

const HOUR: Hour = Hour(500_000);

fn status_mib(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

/// Statistics of a whole segment, as far as a merge asks for them.
fn stats_of(signal: Signal, bytes: &Bytes) -> PartStats {
    let rows = match signal {
        Signal::Metrics => metrics::Index::open(bytes).unwrap().rows(),
        Signal::Logs => logs::Index::open(bytes).unwrap().rows(),
    };
    let time_range = Window::Hour(HOUR).range();
    PartStats { rows, series: 1, time_range, slots: SlotRange::ALL, epoch: 0, names: Bytes::new() }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [signal, dir] = &args[..] else { panic!("usage: job_memory metrics|logs DIR") };
    let (signal, tenant) = (Signal::parse(signal).unwrap(), TenantId::anonymous());
    let stored = std::env::temp_dir().join(format!("job-memory-{}", std::process::id()));
    let objects = store::objects::local(&stored).unwrap();
    let records = store::records::memory();
    let clock = SimulatedClock::at(HOUR.start());
    let nonces = Arc::new(Nonces::seeded(1));
    let manifest = Manifest::new(records.clone(), Arc::new(clock.clone()), nonces.clone());
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut inputs = 0;
    for path in &paths {
        let bytes = Bytes::from(std::fs::read(path).unwrap());
        inputs += bytes.len();
        let id = nonces.segment_id();
        let (window, level, nonce) = (Window::Hour(HOUR), 0, nonces.next());
        let key = ObjectKey { tenant: tenant.clone(), signal, window, resolution: Resolution::Raw, level, id, nonce };
        let len = bytes.len() as u64;
        let (tail_offset, stats) = (0, stats_of(signal, &bytes));
        objects.put(&key.path(), bytes.into()).await.unwrap();
        let location = Location::Object { key: key.to_string(), len };
        let item = L0Item { id, location, tail_offset, stats, minted_at: clock.now() };
        manifest.commit(&tenant, signal, HOUR, item).await.unwrap();
    }
    println!("{} inputs, {} MiB; peak so far {} MiB", paths.len(), inputs >> 20, status_mib("VmHWM"));
    clock.advance(std::time::Duration::from_secs(2 * 3600));
    // Rewritten parts are read in pieces; here they stand where blocks do, which are unpacked whole.
    let policy = Policy { unpacked_bytes_max: u64::MAX, input_bytes_max: u64::MAX, ..Policy::default() };
    let stores = Stores { manifest, records, objects, clock: Arc::new(clock), nonces };
    let compactor = Compactor::new(stores, policy);
    let hint = Hint { tenant, signal, window: Window::Hour(HOUR) };
    let report = compactor.run_only(TimestampMs(i64::MAX), &[hint]).await;
    std::fs::remove_dir_all(&stored).unwrap();
    let (outputs, mib) = (report.outputs, report.output_bytes >> 20);
    println!("{} jobs, {} failed: {outputs} outputs, {mib} MiB; peak {} MiB", report.jobs, report.failed, status_mib("VmHWM"));
}
