//! Each kind of damage is named as what it is, and nothing else is.

use ::manifest::{DeadObject, Location};
use model::{Hour, Resolution, Signal, TimestampMs};
use store::RecordKey;
use store::keys::{self, ObjectKey, Window};

use super::world::{MERGED, NOW, OPEN, World, anonymous};
use crate::tools::filter::{self, Filter};
use crate::tools::findings::{Finding, Kind};
use crate::tools::manifest::audit::{Audit, audit};
use crate::tools::manifest::records::Records;
use crate::tools::manifest::{objects, records, verify};
use crate::tools::{inventory, segments};

async fn verified(world: &World) -> verify::Verified {
    verify::verify(&world.host, &Default::default(), true).await.expect("memory does not fail")
}

fn id_of(key: &str) -> String {
    ObjectKey::parse(key).expect("the fixture's keys are ours").id.to_string()
}

fn only(findings: &[Finding], kinds: &[Kind], segment: &str) {
    let found: Vec<Kind> = findings.iter().map(|finding| finding.kind).collect();
    assert!(!findings.is_empty() && found.iter().all(|kind| kinds.contains(kind)), "{findings:?}");
    assert!(findings.iter().all(|finding| finding.segment.as_deref() == Some(segment)), "{findings:?}");
}

#[tokio::test]
async fn what_is_whole_is_sound() {
    let world = World::small().await;
    let verified = verified(&world).await;
    assert_eq!(verified.findings, []);
    let metrics = &verified.tenants[verified.tenants.iter().position(|of| of.signal == "metrics").expect("there are metrics")];
    assert_eq!((metrics.counts.live, metrics.counts.inline, metrics.read), (3, 1, 3));
    assert_eq!((metrics.counts.dead, metrics.counts.replaced, metrics.counts.unnamed), (3, 3, 0));
}

#[tokio::test]
async fn a_flipped_byte_is_corrupt_wherever_it_is() {
    let world = World::small().await;
    for level in [0, world.merged_level().await] {
        let key = world.object(level).await;
        let whole = world.bytes(&key).await;
        let listed = inventory::live(&world.host, &Default::default()).await.expect("memory does not fail");
        let part = inventory::one(&listed, &id_of(&key)).expect("it is live").part.clone();
        let mut unseen = Vec::new();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            let findings = segments::check::check(&anonymous(), Signal::Metrics, &part, Some(&damaged.into()));
            match findings.is_empty() {
                true => unseen.push(at),
                false => only(&findings, &[Kind::Corrupt, Kind::TailOffset], &id_of(&key)),
            }
        }
        // Of a merged segment only foreign readers decode the headers of pages; everything we read ourselves is checked.
        let headers = if level == 0 { 0 } else { whole.len() / 10 };
        let in_tail = unseen.iter().any(|at| *at as u64 >= part.tail_offset);
        assert!(unseen.len() <= headers && !in_tail, "of {} bytes nothing checks {unseen:?}", whole.len());
        let mut damaged = whole.clone();
        damaged[part.tail_offset as usize] ^= 0x10;
        world.put(&key, damaged).await;
        only(&verified(&world).await.findings, &[Kind::Corrupt, Kind::TailOffset], &id_of(&key));
        world.put(&key, whole).await;
    }
    assert_eq!(verified(&world).await.findings, []);
}

#[tokio::test]
async fn a_truncated_object_has_another_length() {
    let world = World::small().await;
    let key = world.object(world.merged_level().await).await;
    let mut bytes = world.bytes(&key).await;
    bytes.pop();
    world.put(&key, bytes).await;
    only(&verified(&world).await.findings, &[Kind::Length], &id_of(&key));
}

#[tokio::test]
async fn a_deleted_object_is_missing() {
    let world = World::small().await;
    let key = world.object(0).await;
    world.delete(&key).await;
    let findings = verified(&world).await.findings;
    only(&findings, &[Kind::MissingObject], &id_of(&key));
    assert_eq!(findings.len(), 1, "it is named once: {findings:?}");
}

#[tokio::test]
async fn a_lost_head_leaves_merged_objects_behind() {
    let world = World::small().await;
    let head = keys::head(&anonymous(), Signal::Metrics, Window::Hour(Hour(MERGED)), Resolution::Raw);
    world.set_record(&head, None).await;
    let findings = verified(&world).await.findings;
    let named: Vec<(Kind, Option<&str>)> = findings.iter().map(|finding| (finding.kind, finding.window.as_deref())).collect();
    assert_eq!(named, [(Kind::LostRecords, Some("2026-11-21T11"))]);
}

/// An item that is gone cannot be told from a write that was never acknowledged: its object is counted, and no fault.
#[tokio::test]
async fn a_lost_item_leaves_an_unnamed_object() {
    let world = World::small().await;
    let key = world.object(0).await;
    let id = ObjectKey::parse(&key).expect("the fixture's keys are ours").id;
    world.set_record(&keys::l0_item(&anonymous(), Signal::Metrics, Hour(OPEN), id), None).await;
    let verified = verified(&world).await;
    assert_eq!(verified.findings, []);
    assert_eq!(verified.tenants.iter().map(|of| of.counts.unnamed).sum::<u64>(), 1);
}

#[tokio::test]
async fn a_part_under_a_second_hour_is_named_twice() {
    let world = World::small().await;
    let id = ObjectKey::parse(&world.object(0).await).expect("the fixture's keys are ours").id;
    let from = keys::l0_item(&anonymous(), Signal::Metrics, Hour(OPEN), id);
    let to = RecordKey {
        partition: keys::window_partition(&anonymous(), Signal::Metrics, Window::Hour(Hour(MERGED))),
        ..from.clone()
    };
    let record = world.host.records.get(&from).await.expect("memory does not fail").expect("the item is there");
    world.host.records.put_if_absent(&to, record.value).await.expect("memory does not fail");
    let findings = verified(&world).await.findings;
    only(&findings, &[Kind::NamedTwice, Kind::Place], &id.to_string());
    assert!(findings.iter().any(|finding| finding.kind == Kind::NamedTwice), "{findings:?}");
}

#[tokio::test]
async fn a_record_that_does_not_decode_is_named_and_the_rest_is_checked() {
    let world = World::small().await;
    let missing = world.object(0).await;
    world.delete(&missing).await;
    let head = keys::head(&anonymous(), Signal::Metrics, Window::Hour(Hour(MERGED)), Resolution::Raw);
    world.set_record(&head, Some(bytes::Bytes::from_static(b"\x02\x03not a head"))).await;
    let findings = verified(&world).await.findings;
    let named: Vec<(Kind, Option<&str>)> = findings.iter().map(|finding| (finding.kind, finding.window.as_deref())).collect();
    assert_eq!(named, [(Kind::Record, Some("2026-11-21T11")), (Kind::MissingObject, Some("2026-11-21T12"))]);
}

#[tokio::test]
async fn numbers_that_are_not_those_of_the_content_are_named() {
    let world = World::small().await;
    let listed = inventory::live(&world.host, &Default::default()).await.expect("memory does not fail");
    let sound = listed.iter().find(|listed| matches!(listed.part.location, Location::Inline(_))).expect("the fixture has one");
    let object = match &sound.part.location {
        Location::Inline(bytes) => bytes.clone(),
        Location::Object { .. } => unreachable!("found as inline"),
    };
    let check = |change: &dyn Fn(&mut ::manifest::Part)| {
        let mut part = sound.part.clone();
        change(&mut part);
        let findings = segments::check::check(&anonymous(), sound.signal, &part, Some(&object));
        findings.into_iter().map(|finding| finding.kind).collect::<Vec<Kind>>()
    };
    assert_eq!(check(&|_| {}), []);
    assert_eq!(check(&|part| part.stats.rows += 1), [Kind::Statistics]);
    assert_eq!(check(&|part| part.stats.series += 1), [Kind::Statistics]);
    assert_eq!(check(&|part| part.stats.time_range.end = part.stats.time_range.start), [Kind::Statistics]);
    assert_eq!(check(&|part| part.tail_offset += 1), [Kind::TailOffset]);
    assert!(check(&|part| part.stats.slots.hi = part.stats.slots.lo).iter().all(|kind| *kind == Kind::Statistics));
    assert!(!check(&|part| part.stats.slots.hi = part.stats.slots.lo).is_empty());
    assert!(!check(&|part| part.stats.names = vec![0; 8].into()).is_empty(), "a filter that denies everything");
}

#[tokio::test]
async fn a_foreign_object_is_named() {
    let world = World::small().await;
    world.put("anonymous/metrics/2026-11-21/readme.txt", b"hello".to_vec()).await;
    let findings = verified(&world).await.findings;
    let named: Vec<(Kind, Option<&str>)> = findings.iter().map(|finding| (finding.kind, finding.key.as_deref())).collect();
    assert_eq!(named, [(Kind::ForeignObject, Some("anonymous/metrics/2026-11-21/readme.txt"))]);
}

/// What no call of the manifest can bring about is made by hand on the records that were read.
#[tokio::test]
async fn breaches_between_records_are_named() {
    let world = World::small().await;
    let sound =
        records::read(&world.host, &anonymous(), Signal::Metrics, &Default::default()).await.expect("memory does not fail");
    let objects =
        objects::list(&world.host, &anonymous(), Signal::Metrics, &Default::default()).await.expect("memory does not fail");
    let check = |change: &dyn Fn(&mut Records)| {
        let mut records = sound.clone();
        change(&mut records);
        let Audit { findings, .. } = audit(&records, &objects, &Default::default(), NOW);
        findings.into_iter().map(|finding| finding.kind).collect::<Vec<Kind>>()
    };
    fn head(records: &mut Records) -> &mut ::manifest::HeadRecords {
        let mut readable = records.windows.iter_mut().filter_map(|(_, outcome)| outcome.as_mut().ok());
        readable.find_map(|window| window.heads.first_mut()).expect("the fixture has a head")
    }
    assert_eq!(check(&|_| {}), []);
    assert_eq!(
        check(&|records| {
            let head = head(records);
            let part = head.parts[0].clone();
            head.parts.push(part);
        }),
        [Kind::NamedTwice, Kind::NamedTwice]
    );
    assert_eq!(
        check(&|records| {
            let head = head(records);
            head.replaced.push((head.parts[0].id, TimestampMs(0)));
        }),
        [Kind::LiveAndReplaced]
    );
    assert_eq!(
        check(&|records| {
            let head = head(records);
            if let Location::Object { key, .. } = &head.parts[0].location {
                head.dead.push(DeadObject { key: key.clone(), at: TimestampMs(0) });
            }
        }),
        [Kind::LiveAndDead]
    );
    assert_eq!(check(&|records| head(records).parts[0].sources.push(model::SegmentId(1))), [Kind::Lineage]);
    assert_eq!(check(&|records| head(records).parts[0].stats.epoch = 9), [Kind::Ring]);
    assert_eq!(check(&|records| head(records).parts[0].id.0 += 1), [Kind::Key]);
    assert_eq!(check(&|records| head(records).parts[0].stats.time_range.end.0 += 3_600_000), [Kind::Place]);
    assert_eq!(check(&|records| head(records).parts[0].stats.slots.hi = 2000), [Kind::Place, Kind::Ring]);
}

#[tokio::test]
async fn one_hour_by_itself_is_sound_too() {
    let world = World::small().await;
    for window in ["2026-11-21T11", "2026-11-21T12", "2026-11-21"] {
        let filter = Filter { window: filter::window(window).ok(), ..Filter::default() };
        let verified = verify::verify(&world.host, &filter, true).await.expect("memory does not fail");
        assert_eq!(verified.findings, [], "{window}");
        assert_eq!(verified.tenants.iter().map(|of| of.counts.unnamed).sum::<u64>(), 0, "{window}");
    }
}
