//! What people see. Ids and sizes are those of the file format, not of the tools: they are masked.

use expect_test::{Expect, expect};

use super::world::World;
use crate::tools::output::Answer;
use crate::tools::{deletions, inventory, manifest, quarantine, ring, segments};

/// Replaces ids and sizes, and lets columns run together.
fn masked(text: &str) -> String {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_unit = |word: &&&str| ["B", "KiB", "MiB"].contains(&word.trim_end_matches(|c: char| !c.is_alphanumeric()));
        let mask = |(index, word): (usize, &&str)| {
            let bare = word.trim_matches('(');
            let id = bare.len() >= 12 && bare.chars().all(|c| c.is_ascii_hexdigit());
            let size = words.get(index + 1).filter(is_unit).is_some() || bare.contains('.') && bare.parse::<f64>().is_ok();
            match (id, size) {
                (true, _) => "ID".to_owned(),
                (_, true) => word.replace(bare, "#"),
                _ => (*word).to_owned(),
            }
        };
        words.iter().enumerate().map(mask).collect::<Vec<String>>().join(" ")
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

fn check(answer: &impl Answer, expected: &Expect) {
    expected.assert_eq(&masked(&answer.text()));
}

#[tokio::test]
async fn segments_are_listed() {
    let world = World::small().await;
    let listing = segments::ls::list(&world.host, &Default::default()).await.expect("memory does not fail");
    check(
        &listing,
        &expect![[r#"
        tenant signal window res level segment rows series bytes B/row first last slots
        anonymous metrics 2026-11-21T11 raw 2 ID 120 40 # KiB # 11:00:00.001 11:02:00.001 2-1024
        anonymous metrics 2026-11-21T12 raw 0 ID 40 40 # B # 12:00:00.001 12:00:00.001 2-1024
        anonymous metrics 2026-11-21T12 raw 0 ID 2 2 # B # 12:01:00.001 12:01:00.001 1003-1008 in the record
        anonymous logs 2026-11-21T12 raw 0 ID 2 1 # B # 12:00:00.000 12:00:00.000 272-273 in the record
        4 segments, 164 rows, # KiB
    "#]],
    );
    let summary = segments::ls::summary(&world.host, &Default::default()).await.expect("memory does not fail");
    check(
        &summary,
        &expect![[r#"
        tenant signal res level segments rows bytes B/row first last
        anonymous logs raw 0 1 2 # B # 2026-11-21 12:00:00.000 2026-11-21 12:00:00.000
        anonymous metrics raw 0 2 42 # B # 2026-11-21 12:00:00.001 2026-11-21 12:01:00.001
        anonymous metrics raw 2 1 120 # KiB # 2026-11-21 11:00:00.001 2026-11-21 11:02:00.001
        all 4 164 # KiB # 2026-11-21 11:00:00.001 2026-11-21 12:01:00.001
    "#]],
    );
}

#[tokio::test]
async fn a_segment_is_described() {
    let world = World::small().await;
    let listed = inventory::live(&world.host, &Default::default()).await.expect("memory does not fail");
    let merged = listed.iter().max_by_key(|listed| listed.part.level).expect("the fixture has segments");
    let inspected = segments::inspect::inspect(&world.host, merged, 12).await.expect("memory does not fail");
    let text = inspected.text();
    for part in ["holds       120 rows of 40 series\n", "times       11:00:00.001 to 11:02:00.001\n", "column", "label index"] {
        assert!(text.contains(part), "{part:?} in:\n{text}");
    }
    let labels = text.rsplit("\n\n").next().expect("the labels come last");
    expect![[r#"
        label series values most frequent series
        __name__ 40 10 metric_0 4
        host 40 4 host-0 10
    "#]]
    .assert_eq(&masked(labels));
}

#[tokio::test]
async fn the_manifest_is_shown_and_verified() {
    let world = World::small().await;
    let shown = manifest::show::show(&world.host, &Default::default()).await.expect("memory does not fail");
    check(
        &shown,
        &expect![[r#"
            tenant signal window items head parts rows bytes replaced dead gen published
            anonymous metrics 2026-11-21T11 raw 1 120 # KiB 3 3 0 2026-11-21 12:20:00.000
            anonymous metrics 2026-11-21T12 2
            anonymous logs 2026-11-21T12 1
        "#]],
    );
    let verified = manifest::verify::verify(&world.host, &Default::default(), true).await.expect("memory does not fail");
    check(
        &verified,
        &expect![[r#"
        anonymous metrics: 2 windows, 3 live segments (# KiB, 1 of them in records); 3 read; 3 replaced ids, 3 dead objects; nothing unnamed
        anonymous logs: 1 windows, 1 live segments (# B, 1 of them in records); 1 read; 0 replaced ids, 0 dead objects; nothing unnamed
        nothing is wrong
    "#]],
    );
    let key = world.object(0).await;
    world.delete(&key).await;
    let verified = manifest::verify::verify(&world.host, &Default::default(), true).await.expect("memory does not fail");
    assert!(!verified.is_clean());
    check(
        &verified,
        &expect![[r#"
        anonymous metrics: 2 windows, 3 live segments (# KiB, 1 of them in records); 2 read; 3 replaced ids, 3 dead objects; nothing unnamed
        anonymous logs: 1 windows, 1 live segments (# B, 1 of them in records); 1 read; 0 replaced ids, 0 dead objects; nothing unnamed
        wrong tenant signal window segment what
        missing-object anonymous metrics 2026-11-21T12 ID the object of this live segment is not there
        1 thing is wrong
    "#]],
    );
}

#[tokio::test]
async fn the_ring_is_shown_planned_and_changed() {
    let world = World::small().await;
    let tenant = super::world::anonymous();
    check(
        &ring::plan(&world.host, None).await.expect("memory does not fail"),
        &expect![[r#"
        anonymous: 1 groups, fullest hour 0 %: leave it
    "#]],
    );
    let grow = ::manifest::ring::RingChange::Grow(3);
    check(
        &ring::changed(&world.host, &tenant, grow).await.expect("memory does not fail"),
        &expect![[r#"
        anonymous epoch 1: 4 groups from 2026-11-21 14:00:00.000 on; 768 of 1,024 slots change their group, no stored byte moves
    "#]],
    );
    check(
        &ring::show(&world.host, None).await.expect("memory does not fail"),
        &expect![[r#"
        tenant epoch groups from slots a group
        anonymous 0 1 the beginning 1024 active
        anonymous 1 4 2026-11-21T14 256
    "#]],
    );
    let shrink = ::manifest::ring::RingChange::Shrink(4);
    let refused = ring::changed(&world.host, &tenant, shrink).await.expect_err("no group would be left");
    expect!["change the ring: ring epoch 1: cannot have that many groups"].assert_eq(&format!("{refused:#}"));
}

#[tokio::test]
async fn deletions_and_quarantine_are_listed_and_ended() {
    let world = World::small().await;
    let (host, tenant) = (&world.host, super::world::anonymous());
    check(
        &deletions::list(host, &Default::default()).await.expect("memory does not fail"),
        &expect![[r#"
        no deletions
    "#]],
    );
    check(
        &quarantine::list(host, &Default::default()).await.expect("memory does not fail"),
        &expect![[r#"
        nothing is in quarantine
    "#]],
    );
    let request = ::manifest::DeletionRequest {
        range: store::keys::Window::Day(20_778).range(),
        matchers: vec![model::Matcher::equal("app", "shop")],
        filter: Some("|= \"card\"".to_owned()),
    };
    let deletion = host.manifest.request_deletion(&tenant, model::Signal::Logs, request).await.expect("memory does not fail");
    check(
        &deletions::list(host, &Default::default()).await.expect("memory does not fail"),
        &expect![[r#"
        tenant signal deletion state requested from to rows of
        anonymous logs ID requested 2026-11-21 12:20:00.000 2026-11-21 00:00:00.000 2026-11-22 00:00:00.000 {app="shop"} |= "card"
    "#]],
    );
    let prefix = &format!("{:032x}", deletion.id)[..12];
    assert!(deletions::cancel(host, prefix).await.expect("memory does not fail").cancelled);
    assert!(deletions::cancel(host, "x").await.is_err());

    let listed = inventory::live(host, &Default::default()).await.expect("memory does not fail");
    let part = &listed.iter().find(|listed| listed.signal == model::Signal::Logs).expect("the fixture has logs").part;
    let found = host.manifest.quarantine(&tenant, model::Signal::Logs, part, "tail: seal has no magic").await;
    assert!(found.expect("memory does not fail"));
    check(
        &quarantine::list(host, &Default::default()).await.expect("memory does not fail"),
        &expect![[r#"
        tenant signal window segment since found
        anonymous logs 2026-11-21T12 ID 2026-11-21 12:20:00.000 tail: seal has no magic
    "#]],
    );
    assert!(quarantine::lift(host, &part.id.to_string()[..12]).await.expect("memory does not fail").lifted);
    assert!(quarantine::lift(host, &part.id.to_string()[..12]).await.is_err());
}

#[tokio::test]
async fn an_id_must_name_one() {
    let world = World::small().await;
    let listed = inventory::live(&world.host, &Default::default()).await.expect("memory does not fail");
    assert!(inventory::one(&listed, "").is_err() && inventory::one(&listed, "zz").is_err());
    let id = listed[0].part.id;
    assert_eq!(inventory::one(&listed, &id.to_string()[..12]).expect("one").part.id, id);
}
