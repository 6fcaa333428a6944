//! What a group promises: one write for many requests, each request its own fault, an answer for everybody.

use std::time::Duration;

use appender::{Batch, Error, Group, Receipt, Result, WriteBuffer};
use model::{ErrorKind, Resolution, Signal};
use testkit::{Fault, MetricBatchBuilder};
use tokio::task::JoinSet;

use crate::world::{HOUR, World, expected, group_over};

/// A request of `rows` samples that compress badly, like no other request.
fn request(number: i64, rows: i64) -> Batch {
    let name = format!("request_{number}");
    let rows = (0..rows).map(|row| (HOUR.start().0 + row, ((number * rows + row) as f64).sin()));
    Batch::Metrics(MetricBatchBuilder::default().series([("__name__", name.as_str())], rows).build())
}

fn held_bytes(batches: &[Batch]) -> usize {
    batches.iter().map(Batch::held_bytes).sum()
}

fn append_all(world: &World, group: &Group, batches: &[Batch]) -> JoinSet<Result<Receipt>> {
    let mut appends = JoinSet::new();
    for batch in batches.iter().cloned() {
        let (group, tenant) = (group.clone(), world.tenant.clone());
        appends.spawn(async move { group.append(&tenant, batch).await });
    }
    appends
}

#[tokio::test]
async fn twenty_requests_are_one_segment_and_one_commit() {
    for (rows, puts) in [(1, 0), (200, 1)] {
        let world = World::new();
        let batches: Vec<Batch> = (0..20).map(|number| request(number, rows)).collect();
        let (writer, first) = (world.writer(), request(99, 1));
        // The process knows the tenant and the hour, as it does from an hour's first write on.
        writer.write(&world.tenant, first.clone()).await.unwrap();
        let group = group_over(writer, held_bytes(&batches));
        let (calls, objects) = (world.records.calls(), world.puts());
        let receipts = append_all(&world, &group, &batches).join_all().await;
        assert_eq!((world.records.calls() - calls, world.puts() - objects), (1, puts));
        for receipt in receipts {
            let receipt = receipt.unwrap();
            assert_eq!((receipt.rows, receipt.segments, receipt.inline as u64), (20 * rows as usize, 1, 1 - puts));
        }
        let all: Vec<Batch> = batches.into_iter().chain([first]).collect();
        assert_eq!(world.rows(Signal::Metrics).await, expected(&world.tenant, &all));
    }
}

#[tokio::test]
async fn a_request_for_a_dropped_day_refuses_itself_only() {
    let world = World::new();
    let yesterday = HOUR.start().0 - 24 * 3_600_000;
    let late = Batch::Metrics(MetricBatchBuilder::default().series([("__name__", "late")], [(yesterday, 1.0)]).build());
    world.writer().write(&world.tenant, late.clone()).await.unwrap();
    world.manifest().drop_day(&world.tenant, Signal::Metrics, HOUR.day() - 1, Resolution::Raw).await.unwrap();

    let batches = [request(1, 3), late, request(2, 3)];
    let group = world.group(held_bytes(&batches));
    let [first, late, second] = batches.clone().map(|batch| group.append(&world.tenant, batch));
    let (first, late, second) = tokio::join!(first, late, second);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!([first, second].map(|receipt| receipt.unwrap().rows), [3, 3]);
    let [first, _, second] = batches;
    assert_eq!(world.rows(Signal::Metrics).await, expected(&world.tenant, &[first, second]));
}

#[tokio::test]
async fn a_fault_of_the_store_is_everybodys_and_is_not_multiplied() {
    let world = World::new();
    let batches: Vec<Batch> = (0..5).map(|number| request(number, 1)).collect();
    let group = world.group(held_bytes(&batches));
    world.records.script([testkit::Fault::Before]);
    for result in append_all(&world, &group, &batches).join_all().await {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(world.records.calls(), 1);
}

#[tokio::test]
async fn a_client_that_hung_up_is_written_all_the_same() {
    let world = World::new();
    let batches = [request(1, 1), request(2, 1)];
    let group = world.group(held_bytes(&batches));
    let mut gone = append_all(&world, &group, &batches[..1]);
    settle().await;
    gone.abort_all();
    group.append(&world.tenant, batches[1].clone()).await.unwrap();
    assert_eq!(world.rows(Signal::Metrics).await, expected(&world.tenant, &batches));
}

/// A request whose answer was lost while it was in a group with others comes again, alone or with another company: its rows are
/// in two segments for a while, and are one row to every reader and after the merge (W2 by W3).
#[tokio::test]
async fn a_retry_in_other_company_changes_nothing_anybody_sees() {
    let at = |ms: i64| (HOUR.start().0 + ms) * 1_000_000;
    let logs = |job: &str, rows: &[(i64, &str)]| {
        Batch::Logs(testkit::LogBatchBuilder::default().stream([("job", job)], rows.iter().copied()).build())
    };
    // One request of logs says the same twice; it stays as often as one attempt alone would leave it.
    let metrics = [request(1, 300), request(2, 3), request(3, 300)];
    let entries =
        [logs("a", &[(at(1), "x"), (at(1), "x"), (at(2), "y")]), logs("b", &[(at(1), "x")]), logs("c", &[(at(1), "z")])];
    for batches in [metrics, entries] {
        let signal = batches[0].signal();
        let expected = expected(&World::new().tenant, &batches);
        for company in [vec![0], vec![0, 2], vec![1, 0], vec![2, 1, 0]] {
            let world = World::new();
            let group = world.group(held_bytes(&batches[..2]));
            world.records.script([Fault::None, Fault::None, Fault::None, Fault::None, Fault::None, Fault::CrashAfter]);
            let lost = append_all(&world, &group, &batches[..2]).join_all().await;
            assert!(lost.iter().all(Result::is_err), "committed, and the answer lost");
            assert_eq!(world.parts(signal).await.len(), 1);

            // A process that knows nothing gets the retries.
            let again: Vec<Batch> = company.iter().map(|index| batches[*index].clone()).collect();
            for receipt in append_all(&world, &world.group(held_bytes(&again)), &again).join_all().await {
                receipt.unwrap();
            }
            let rest = world.group(held_bytes(&batches));
            for receipt in append_all(&world, &rest, &batches).join_all().await {
                receipt.unwrap();
            }
            assert!(world.parts(signal).await.len() > 1, "{company:?}: another company is another segment");
            assert_eq!(world.rows(signal).await, expected, "{company:?}");
        }
    }
}

#[tokio::test]
async fn close_answers_everybody_and_refuses_what_comes_later() {
    let world = World::new();
    let batches: Vec<Batch> = (0..5).map(|number| request(number, 1)).collect();
    let group = world.group(usize::MAX);
    let appends = append_all(&world, &group, &batches);
    settle().await;
    assert_eq!(world.records.calls(), 0, "the group lingers");
    tokio::time::timeout(Duration::from_secs(60), group.close()).await.unwrap();
    assert_eq!(world.rows(Signal::Metrics).await, expected(&world.tenant, &batches));
    appends.join_all().await.into_iter().for_each(|receipt| assert_eq!(receipt.unwrap().rows, 5));
    let error = group.append(&world.tenant, request(9, 1)).await.unwrap_err();
    assert!(matches!(error, Error::Closed), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    group.close().await;
}

#[tokio::test]
async fn a_flush_ends_the_linger_and_the_group_goes_on() {
    let world = World::new();
    let batches: Vec<Batch> = (0..4).map(|number| request(number, 1)).collect();
    let group = world.group(usize::MAX);
    for (written, pair) in batches.chunks(2).enumerate() {
        let appends = append_all(&world, &group, pair);
        settle().await;
        assert_eq!(world.parts(Signal::Metrics).await.len(), written, "the group lingers");
        group.flush();
        let receipts = tokio::time::timeout(Duration::from_secs(60), appends.join_all()).await.unwrap();
        receipts.into_iter().for_each(|receipt| assert_eq!(receipt.unwrap().rows, 2));
        assert_eq!(world.rows(Signal::Metrics).await, expected(&world.tenant, &batches[..2 * written + 2]));
    }
}

/// Lets tasks that were spawned run until they wait.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}
