//! A crash at every call of every kind of job, and what each costs.

use std::collections::BTreeMap;

use model::Signal;

use crate::kinds::Kind;
use crate::switch::{Calls, Crash};
use crate::world::{FOREVER, Visible, World, hours, minutes};

/// What the job does to the world in the end.
async fn outcome(world: &World) -> (Visible, [Vec<u8>; 2], usize, BTreeMap<String, Vec<String>>) {
    let levels = [world.levels(Signal::Metrics).await, world.levels(Signal::Logs).await];
    (world.visible().await, levels, world.objects_stored().await, world.copies().await)
}

/// Runs until what a crash left behind is collected too: outputs that nothing references are orphans for a day.
async fn settle(world: &World) {
    for wait in [minutes(3), hours(2), hours(4), hours(26), hours(2)] {
        world.clock.advance(wait);
        world.run().await;
    }
}

/// Reports whether every row of `seen` is one of `before`.
fn is_part_of(seen: &Visible, before: &Visible) -> bool {
    seen.iter().all(|(labels, rows)| before.get(labels).is_some_and(|of| rows.iter().all(|row| of.contains(row))))
}

async fn crash_everywhere(kind: Kind) {
    let due = kind.world().await;
    let before = due.visible().await;
    let world = due.fork();
    let (compactor, process) = world.compactor(None);
    compactor.run(FOREVER, &[]).await.unwrap();
    let after = world.visible().await;
    assert!(after == before || !kind.preserves(), "{kind:?}");
    settle(&world).await;
    let settled = outcome(&world).await;
    let crashes = process.writes().into_iter().enumerate().flat_map(|(at, writes)| {
        let crash = move |takes_effect| Crash { at: at as u64, takes_effect };
        [Some(crash(false)), writes.then(|| crash(true))].into_iter().flatten()
    });
    for crash in crashes {
        let world = due.fork();
        let _ = world.compactor(Some(crash)).0.run(FOREVER, &[]).await;
        let seen = world.visible().await;
        // D3: what is to stay stays, each row once; what is to go may be there or not.
        assert!(is_part_of(&seen, &before) && is_part_of(&after, &seen), "{kind:?} after {crash:?}");
        assert!(seen == before || !kind.preserves(), "{kind:?} after {crash:?}");
        settle(&world).await;
        assert_eq!(outcome(&world).await, settled, "{kind:?} recovered from {crash:?}");
    }
}

#[tokio::test]
async fn merging_l0_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::OpenL0).await;
}

#[tokio::test]
async fn merging_l1_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::OpenL1).await;
}

#[tokio::test]
async fn closing_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::Close).await;
}

#[tokio::test]
async fn merging_late_data_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::Late).await;
}

#[tokio::test]
async fn rolling_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::Roll).await;
}

#[tokio::test]
async fn rolling_late_data_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::LateRoll).await;
}

#[tokio::test]
async fn collecting_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::Collect).await;
}

#[tokio::test]
async fn dropping_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::Drop).await;
}

#[tokio::test]
async fn forgetting_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::Forget).await;
}

#[tokio::test]
async fn deleting_orphans_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::Orphans).await;
}

#[tokio::test]
async fn deleting_rows_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::Delete).await;
}

#[tokio::test]
async fn coarse_copies_survive_a_crash_at_every_call() {
    crash_everywhere(Kind::Coarse).await;
}

#[tokio::test]
async fn merging_replicas_survives_a_crash_at_every_call() {
    crash_everywhere(Kind::Replicas).await;
}

/// Requests of a whole run by a process that knows nothing yet, both signals together.
#[tokio::test]
async fn requests_of_each_kind() {
    let mut costs = Vec::new();
    for kind in Kind::ALL {
        let world = kind.world().await;
        let (compactor, process) = world.compactor(None);
        compactor.run(FOREVER, &[]).await.unwrap();
        let Calls { records, puts, gets, lists, deletes } = process.calls();
        costs.push(format!("{kind:?}: {records} records, {puts} puts, {gets} gets, {lists} lists, {deletes} deletes"));
    }
    expect_test::expect![[r#"
        OpenL0: 41 records, 2 puts, 4 gets, 4 lists, 0 deletes
        OpenL1: 31 records, 2 puts, 4 gets, 0 lists, 0 deletes
        Close: 63 records, 2 puts, 6 gets, 4 lists, 0 deletes
        Late: 69 records, 2 puts, 2 gets, 0 lists, 0 deletes
        Roll: 171 records, 2 puts, 4 gets, 4 lists, 6 deletes
        LateRoll: 85 records, 2 puts, 2 gets, 0 lists, 2 deletes
        Collect: 59 records, 0 puts, 0 gets, 0 lists, 6 deletes
        Drop: 47 records, 0 puts, 0 gets, 4 lists, 0 deletes
        Forget: 280 records, 0 puts, 0 gets, 0 lists, 2 deletes
        Orphans: 35 records, 0 puts, 0 gets, 4 lists, 3 deletes
        Delete: 107 records, 4 puts, 4 gets, 0 lists, 0 deletes
        Coarse: 28 records, 4 puts, 2 gets, 0 lists, 0 deletes
        Replicas: 34 records, 1 puts, 3 gets, 4 lists, 0 deletes"#]]
    .assert_eq(&costs.join("\n"));
}
