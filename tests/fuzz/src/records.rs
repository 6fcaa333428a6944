//! Records of the manifest: what a short life leaves behind, edited, with a right checksum again, and everything that reads it.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use manifest::ring::RingChange;
use manifest::{DeletionRequest, L0Item, Location, Manifest, Part, PartStats, Replacement, Window};
use model::{Clock, Hour, Matcher, Nonces, Resolution, SegmentId, Signal, SlotRange, TenantId, TimeRangeMs, TimestampMs};
use store::{Record, RecordKey, Records, keys, records};
use tokio::runtime::{Builder, Runtime};
use xxhash_rust::xxh3::xxh3_64;

use crate::edit;

const HOUR: Hour = Hour(496_728);
const SIGNAL: Signal = Signal::Metrics;

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> TimestampMs {
        HOUR.end()
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime without IO starts"));

static BASE: LazyLock<Vec<(RecordKey, Bytes)>> = LazyLock::new(|| RUNTIME.block_on(live()));

fn manifest(records: &Records) -> Manifest {
    Manifest::new(records.clone(), Arc::new(Fixed), Arc::new(Nonces::seeded(1)))
}

fn range() -> TimeRangeMs {
    TimeRangeMs::new(HOUR.start(), HOUR.end())
}

fn item(id: u128, location: Location) -> L0Item {
    let slots = SlotRange { lo: 0, hi: 1024 };
    let names = Bytes::from_static(b"\x07\x55");
    let stats = PartStats { rows: 100, series: 5, time_range: range(), slots, epoch: 0, names };
    L0Item { id: SegmentId(id), location, tail_offset: 10, stats, minted_at: HOUR.end() }
}

/// Two items, an hour's part, a day's part, a deletion, a quarantine, an epoch of the ring.
async fn live() -> Vec<(RecordKey, Bytes)> {
    let (records, tenant) = (records::memory(), TenantId::anonymous());
    let manifest = manifest(&records);
    let object = |id: u128| Location::Object { key: format!("a/metrics/{id}"), len: 1_000 };
    for id in [1, 2] {
        manifest.commit(&tenant, SIGNAL, HOUR, item(id, object(id))).await.expect("memory takes an item");
    }
    manifest.commit(&tenant, SIGNAL, HOUR, item(3, Location::Inline(Bytes::from_static(b"segment")))).await.expect("or inline");
    let merged = |id: u128, window: Window, level: u8| Part { level, window, ..item(id, object(id)).into_part(HOUR) };
    let (hour, day) = (Window::Hour(HOUR), Window::Day(HOUR.day()));
    for (window, inputs, output) in
        [(hour, vec![item(1, object(1)).into_part(HOUR)], merged(4, hour, 1)), (day, vec![], merged(5, day, 2))]
    {
        let replacement = Replacement { window, resolution: Resolution::Raw, generation: 0, inputs, outputs: vec![output] };
        manifest.replace(&tenant, SIGNAL, replacement).await.expect("a replacement is published");
    }
    let matchers = vec![Matcher::equal("__name__", "up")];
    let request = DeletionRequest { range: range(), matchers, filter: Some("x".to_owned()) };
    manifest.request_deletion(&tenant, SIGNAL, request).await.expect("a deletion is recorded");
    manifest.quarantine(&tenant, SIGNAL, &merged(4, hour, 1), "corrupt").await.expect("a quarantine is recorded");
    manifest.change_ring(&tenant, RingChange::Grow(1)).await.expect("the ring grows");
    let mut found = Vec::new();
    for partition in [
        keys::catalog_partition(&tenant, SIGNAL),
        keys::window_partition(&tenant, SIGNAL, hour),
        keys::window_partition(&tenant, SIGNAL, day),
        keys::ring_partition(&tenant),
        keys::TENANTS_PARTITION.to_owned(),
    ] {
        let rows = records.query_prefix(&partition, "").await.expect("memory answers");
        found
            .extend(rows.into_iter().map(|Record { sort, value, .. }| (RecordKey { partition: partition.clone(), sort }, value)));
    }
    found
}

/// Edits of five bytes each: which record, where (two bytes), how, with what.
pub(crate) fn manifest_records(data: &[u8]) {
    let mut contents: Vec<Vec<u8>> = BASE.iter().map(|(_, value)| value[..value.len().saturating_sub(4)].to_vec()).collect();
    for [which, place @ .., how, with] in data.as_chunks::<5>().0.iter().copied() {
        let which = usize::from(which) % contents.len();
        edit(&mut contents[which], place, how, with);
    }
    let (records, tenant) = (records::memory(), TenantId::anonymous());
    RUNTIME.block_on(async {
        for ((key, _), content) in BASE.iter().zip(contents) {
            let sealed = [&content[..], &(xxh3_64(&content) as u32).to_le_bytes()].concat();
            records.put_if_absent(key, Bytes::from(sealed)).await.expect("memory takes a small record");
        }
        let read = read(&manifest(&records), &tenant).await;
        assert!(!data.is_empty() || read.is_ok(), "unedited records are read: {read:?}");
    });
}

/// Reads everything; the first error is returned, none stops the rest.
async fn read(manifest: &Manifest, tenant: &TenantId) -> manifest::Result<()> {
    let outcomes = [
        manifest.snapshot(tenant, SIGNAL, range()).await.map(drop),
        manifest.snapshot_with_coarse(tenant, SIGNAL, range()).await.map(drop),
        manifest.hours_with_data(tenant, SIGNAL, range()).await.map(drop),
        manifest.window_records(tenant, SIGNAL, Window::Hour(HOUR)).await.map(drop),
        manifest.window_records(tenant, SIGNAL, Window::Day(HOUR.day())).await.map(drop),
        manifest.deletions(tenant, SIGNAL).await.map(drop),
        manifest.quarantined(tenant, SIGNAL).await.map(drop),
        manifest.days(tenant, SIGNAL).await.map(drop),
        manifest.ring(tenant).await.map(drop),
        manifest.tenants().await.map(drop),
    ];
    outcomes.into_iter().collect()
}
