//! What each call costs in requests to the record store: exact, and the same every time.

use crate::world::{HOUR, SIGNAL, World};
use manifest::{DeletionRequest, Finish, Manifest, Packed, Part, Replaced, Replacement, Snapshot, Window};
use model::{Clock, Hour, Matcher, Resolution, TimeRangeMs};
use std::time::Duration;
use store::{RecordStore, keys};

/// The table. Read requests of a snapshot are all of the same kind: one record, or one query of one partition.
const COSTS: &[(&str, u64)] = &[
    ("write: first of a tenant and signal (register 2, catalog 2, item 1)", 5),
    ("write: warm", 1),
    ("write: first of another hour by a warm process (catalog 2, item 1)", 3),
    ("write: another process, everything known (register 1, catalog 1, item 1)", 3),
    ("write: retry (item 1, what stands there 1)", 2),
    ("write: an hour older than a day (stamp 2, item 1)", 3),
    ("write: the same within ten minutes", 1),
    ("ring: epoch of an hour, first", 1),
    ("ring: epoch of an hour, warm", 0),
    ("snapshot: one hour (catalog, items, hour's head, day's head)", 4),
    ("snapshot: one hour, to merge (deletions once more)", 5),
    ("merge: lease", 2),
    ("merge: publish", 2),
    ("merge: delete two inputs (head 1, items 2)", 3),
    ("collect: an hour with replaced ids (heads, items, head 2)", 4),
    ("collect: an hour where nothing changed", 3),
    ("roll: seal", 2),
    ("roll: publish in the day (hour's head 1, stamp 2, day's head 2)", 5),
    ("roll: let the hour go (day's head 1, hour's head 2)", 3),
    ("collect: the day (heads, catalog, hour's head, day's head 2)", 5),
    ("forget one dead object", 3),
    ("clear the last hour of a day (catalog 2, items, hour's head, day's heads)", 5),
    ("snapshot: the day when its hours are cleared (catalog, day's head)", 2),
    ("pack: mark (catalog 1 + 1 + 2, heads)", 5),
    ("pack: hand over (catalog 2, heads, seal 2, month 1, day 1, month 2, day 2; close 3)", 14),
    ("collect: the month (heads, catalog, two open days' heads, month's head 2)", 6),
    ("collect: the month once its ids may be forgotten", 6),
    ("snapshot: the day when it is packed (catalog, month's head)", 2),
    ("deletion: request (list, record 3)", 4),
    ("deletion: is it finished (record, catalog, snapshot of the month 2)", 4),
    ("deletion: cancel another", 2),
    ("quarantine (list, record 2)", 3),
    ("lift a quarantine", 2),
];

struct Ledger {
    world: World,
    before: u64,
    costs: Vec<(&'static str, u64)>,
}

impl Ledger {
    /// Books what was spent since the last time under the next line of the table.
    fn book(&mut self) {
        let spent = self.world.records.calls() - self.before;
        let name = COSTS.get(self.costs.len()).map_or("not in the table", |(name, _)| name);
        self.costs.push((name, spent));
        self.skip();
    }

    /// What was spent since the last time is booked nowhere.
    fn skip(&mut self) {
        self.before = self.world.records.calls();
    }
}

async fn write(world: &World, manifest: &Manifest, hour: Hour, content: u32) {
    let item = world.upload_in(hour, content, false, world.clock.now());
    manifest.commit(&world.tenant, SIGNAL, hour, item).await.unwrap();
}

async fn snapshot(world: &World, manifest: &Manifest, range: TimeRangeMs) -> Snapshot {
    let before = world.records.calls();
    let snapshot = manifest.snapshot(&world.tenant, SIGNAL, range).await.unwrap();
    assert_eq!(world.records.calls() - before, snapshot.requests, "a snapshot knows what it cost");
    snapshot
}

async fn publish(world: &World, manifest: &Manifest, window: Window, inputs: &[Part], generation: u64) {
    let outputs = vec![world.merge(window, 1, inputs)];
    let replacement = Replacement { window, resolution: Resolution::Raw, generation, inputs: inputs.to_vec(), outputs };
    assert_eq!(manifest.replace(&world.tenant, SIGNAL, replacement).await.unwrap(), Replaced::Replaced);
}

async fn collect(world: &World, manifest: &Manifest, window: Window) -> Vec<String> {
    let dead = manifest.collect_window(&world.tenant, SIGNAL, window).await.unwrap();
    dead.into_iter().map(|object| object.key).collect()
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

#[tokio::test]
async fn requests_per_call() {
    let world = World::new(0);
    let (manifest, tenant) = (world.manifest(0), world.tenant.clone());
    let (hour, day) = (Window::Hour(HOUR), Window::Day(HOUR.day()));
    let mut ledger = Ledger { world: world.clone(), before: 0, costs: Vec::new() };

    write(&world, &manifest, HOUR, 1).await;
    ledger.book();
    write(&world, &manifest, HOUR, 2).await;
    ledger.book();
    write(&world, &manifest, Hour(HOUR.0 + 24), 3).await;
    ledger.book();
    write(&world, &world.manifest(0), Hour(HOUR.0 + 24), 4).await;
    ledger.book();
    write(&world, &manifest, HOUR, 1).await;
    ledger.book();
    for content in [5, 6] {
        write(&world, &manifest, Hour(HOUR.0 - 48), content).await;
        ledger.book();
    }
    for _ in 0..2 {
        manifest.epoch(&tenant, HOUR).await.unwrap();
        ledger.book();
    }

    let seen = snapshot(&world, &manifest, hour.range()).await;
    ledger.book();
    let merging = manifest.snapshot_to_merge(&tenant, SIGNAL, hour.range()).await.unwrap();
    assert_eq!((&merging.parts, merging.requests), (&seen.parts, 5));
    ledger.book();
    assert!(manifest.lease(&tenant, SIGNAL, hour, 1, minutes(1)).await.unwrap());
    ledger.book();
    publish(&world, &manifest, hour, &seen.parts, merging.generation(hour, Resolution::Raw)).await;
    ledger.book();
    manifest.delete_inputs(&tenant, SIGNAL, hour, &seen.parts).await.unwrap();
    ledger.book();
    collect(&world, &manifest, hour).await;
    ledger.skip();
    world.clock.advance(minutes(61));
    let dead = collect(&world, &manifest, hour).await;
    ledger.skip();
    manifest.forget_dead(&tenant, SIGNAL, hour, &dead).await.unwrap();
    ledger.skip();

    // The table goes on with a fresh hour's worth of the same, so that what is booked is what one call costs.
    write(&world, &manifest, HOUR, 7).await;
    let seen = snapshot(&world, &manifest, hour.range()).await;
    publish(&world, &manifest, hour, &seen.parts, seen.generation(hour, Resolution::Raw)).await;
    manifest.delete_inputs(&tenant, SIGNAL, hour, &seen.parts).await.unwrap();
    ledger.skip();
    collect(&world, &manifest, hour).await;
    ledger.book();
    collect(&world, &manifest, hour).await;
    ledger.book();

    world.clock.advance(minutes(26 * 60));
    manifest.seal(&tenant, SIGNAL, HOUR).await.unwrap();
    ledger.book();
    let seen = snapshot(&world, &manifest, hour.range()).await;
    ledger.skip();
    publish(&world, &manifest, day, &seen.parts, seen.generation(day, Resolution::Raw)).await;
    ledger.book();
    manifest.delete_inputs(&tenant, SIGNAL, day, &seen.parts).await.unwrap();
    ledger.book();
    collect(&world, &manifest, day).await;
    ledger.book();
    let dead = collect(&world, &manifest, hour).await;
    ledger.skip();
    manifest.forget_dead(&tenant, SIGNAL, hour, &dead[..1]).await.unwrap();
    ledger.book();
    manifest.forget_dead(&tenant, SIGNAL, hour, &dead).await.unwrap();
    ledger.skip();
    assert!(!manifest.clear_hour(&tenant, SIGNAL, HOUR).await.unwrap(), "what the roll killed is not deleted yet");
    world.clock.advance(minutes(61));
    let dead = collect(&world, &manifest, day).await;
    manifest.forget_dead(&tenant, SIGNAL, day, &dead).await.unwrap();
    ledger.skip();
    assert!(manifest.clear_hour(&tenant, SIGNAL, HOUR).await.unwrap());
    ledger.book();
    assert_eq!(snapshot(&world, &manifest, day.range()).await.parts.len(), 1);
    ledger.book();

    world.clock.advance(minutes(8 * 24 * 60));
    let dead = collect(&world, &manifest, day).await;
    manifest.forget_dead(&tenant, SIGNAL, day, &dead).await.unwrap();
    ledger.skip();
    let pack = async || manifest.pack_day(&tenant, SIGNAL, HOUR.day()).await.unwrap();
    assert_eq!(pack().await, Packed::Waiting);
    ledger.book();
    world.clock.advance(minutes(31));
    assert_eq!(pack().await, Packed::Done);
    ledger.book();
    collect(&world, &manifest, day.month()).await;
    ledger.book();
    world.clock.advance(minutes(41));
    collect(&world, &manifest, day.month()).await;
    ledger.book();
    assert_eq!(snapshot(&world, &manifest, day.range()).await.parts.len(), 1);
    ledger.book();

    let request = DeletionRequest { range: hour.range(), matchers: vec![Matcher::equal("job", "a")], filter: None };
    let tomorrow = DeletionRequest { range: Window::Hour(Hour(HOUR.0 + 48)).range(), ..request.clone() };
    let deletion = manifest.request_deletion(&tenant, SIGNAL, request.clone()).await.unwrap();
    ledger.book();
    let Finish::Pending(parts) = manifest.finish_deletion(&tenant, SIGNAL, deletion.id).await.unwrap() else { panic!() };
    ledger.book();
    let other = manifest.request_deletion(&tenant, SIGNAL, tomorrow).await.unwrap();
    ledger.skip();
    assert!(manifest.cancel_deletion(&tenant, SIGNAL, other.id).await.unwrap());
    ledger.book();
    manifest.quarantine(&tenant, SIGNAL, &parts[0], "checksum differs").await.unwrap();
    ledger.book();
    manifest.lift_quarantine(&tenant, SIGNAL, parts[0].id).await.unwrap();
    ledger.book();
    assert_eq!(ledger.costs, COSTS);
}

/// A day of 24 open hours: items and a head each, however many writes there were.
#[tokio::test]
async fn a_snapshot_of_24_hours() {
    let world = World::new(0);
    let manifest = world.manifest(0);
    let first = HOUR.day() * 24;
    for content in 0..240 {
        write(&world, &manifest, Hour(first + i64::from(content % 24)), content).await;
    }
    let seen = snapshot(&world, &manifest, Window::Day(HOUR.day()).range()).await;
    assert_eq!((seen.parts.len(), seen.requests), (240, 1 + 2 * 24 + 1));
}

/// Thirteen months of data, of which the last eight days are not packed: a request per month, and a few for the open days.
#[tokio::test]
async fn a_snapshot_of_13_months() {
    let world = World::new(0);
    let (manifest, tenant) = (world.manifest(0), world.tenant.clone());
    let (first, days) = (HOUR.day(), 395);
    for day in first..first + days {
        let (hour, window) = (Hour(day * 24), Window::Day(day));
        write(&world, &manifest, hour, day as u32).await;
        for window in [Window::Hour(hour), window] {
            let seen = snapshot(&world, &manifest, window.range()).await;
            publish(&world, &manifest, window, &seen.parts, seen.generation(window, Resolution::Raw)).await;
            manifest.delete_inputs(&tenant, SIGNAL, window, &seen.parts).await.unwrap();
            world.clock.advance(minutes(31));
            manifest.seal(&tenant, SIGNAL, hour).await.unwrap();
        }
        let left = day * 24 * 3_600_000 + 86_400_000 - world.clock.now().0;
        world.clock.advance(Duration::from_millis(left.max(0) as u64));
        for passed in first.max(day - 10)..=day {
            maintain(&world, &manifest, passed).await;
        }
    }
    let range = TimeRangeMs::new(Window::Day(first).range().start, Window::Day(first + days).range().start);
    let seen = snapshot(&world, &manifest, range).await;
    assert_eq!(seen.parts.len(), days as usize);
    let states = manifest.days(&tenant, SIGNAL).await.unwrap();
    let (open, hours) = (states.iter().filter(|day| day.open).count(), states.iter().map(|day| day.hours.len()).sum::<usize>());
    assert!(open <= 11 && hours <= 2, "{open} days and {hours} hours are open");
    let months = 14;
    assert_eq!(seen.requests as usize, 1 + 2 * hours + open + months);
    let catalog = world.records.query_prefix(&keys::catalog_partition(&tenant, SIGNAL), "").await.unwrap();
    assert!(catalog.iter().map(|record| record.value.len()).sum::<usize>() < 16 * 1024, "the catalog is one short page");
}

/// What compaction does with a day that has passed: collect, clear, pack.
async fn maintain(world: &World, manifest: &Manifest, day: i64) {
    let (tenant, hour, day) = (&world.tenant, Hour(day * 24), Window::Day(day));
    for window in [Window::Hour(hour), day, day.month()] {
        let dead = collect(world, manifest, window).await;
        manifest.forget_dead(tenant, SIGNAL, window, &dead).await.unwrap();
    }
    manifest.clear_hour(tenant, SIGNAL, hour).await.unwrap();
    manifest.pack_day(tenant, SIGNAL, day.day()).await.unwrap();
}
