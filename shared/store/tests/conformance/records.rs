//! Port 2: the five calls.

use crate::{aws, endpoint, fresh};
use bytes::Bytes;
use futures::future::join_all;
use store::records::RECORD_BYTES_MAX;
use store::records::dynamodb::{DynamoDbConfig, DynamoDbRecords};
use store::{Cas, Delete, Put, RecordKey, Records, RetryPolicy, records};

fn key(partition: &str, sort: &str) -> RecordKey {
    RecordKey { partition: partition.into(), sort: sort.into() }
}

async fn suite(records: Records) {
    puts_once(&records).await;
    updates_only_its_version(&records).await;
    deletes_only_its_version(&records).await;
    queries_a_prefix_in_order(&records).await;
    queries_all_pages(&records).await;
    counts_a_prefix(&records).await;
    bounds_a_record(&records).await;
    one_of_many_wins(&records).await;
    loses_no_update(&records).await;
}

async fn puts_once(records: &Records) {
    let key = key("put", "a");
    assert_eq!(records.get(&key).await.unwrap(), None);
    let binary = Bytes::from_static(&[0, 255, 1, b'\n']);
    assert_eq!(records.put_if_absent(&key, binary.clone()).await.unwrap(), Put::Written);
    assert_eq!(records.put_if_absent(&key, "other".into()).await.unwrap(), Put::Exists);
    let record = records.get(&key).await.unwrap().unwrap();
    assert_eq!((record.sort.as_str(), record.value, record.version), ("a", binary, 1));
}

async fn updates_only_its_version(records: &Records) {
    let key = key("cas", "HEAD");
    assert_eq!(records.cas_update(&key, 1, "x".into()).await.unwrap(), Cas::Stale);
    assert_eq!(records.get(&key).await.unwrap(), None, "a stale update makes no record");
    records.put_if_absent(&key, "1".into()).await.unwrap();
    assert_eq!(records.cas_update(&key, 2, "x".into()).await.unwrap(), Cas::Stale);
    assert_eq!(records.cas_update(&key, 1, "2".into()).await.unwrap(), Cas::Updated);
    assert_eq!(records.cas_update(&key, 1, "x".into()).await.unwrap(), Cas::Stale);
    let record = records.get(&key).await.unwrap().unwrap();
    assert_eq!((record.value, record.version), ("2".into(), 2));
}

async fn deletes_only_its_version(records: &Records) {
    let key = key("delete", "a");
    assert_eq!(records.delete_if(&key, 1).await.unwrap(), Delete::Deleted, "what is absent is deleted");
    records.put_if_absent(&key, "1".into()).await.unwrap();
    assert_eq!(records.delete_if(&key, 2).await.unwrap(), Delete::Stale);
    assert!(records.get(&key).await.unwrap().is_some());
    assert_eq!(records.delete_if(&key, 1).await.unwrap(), Delete::Deleted);
    assert_eq!(records.get(&key).await.unwrap(), None);
    assert_eq!(records.put_if_absent(&key, "2".into()).await.unwrap(), Put::Written);
    assert_eq!(records.get(&key).await.unwrap().unwrap().version, 1);
}

async fn queries_a_prefix_in_order(records: &Records) {
    for sort in ["0#b", "0#a", "0#", "0", "00", "1#a", "HEAD", "HEAD#5m"] {
        records.put_if_absent(&key("query", sort), sort.into()).await.unwrap();
    }
    records.put_if_absent(&key("query2", "0#z"), "z".into()).await.unwrap();
    let sorts = async |prefix: &str| -> Vec<String> {
        records.query_prefix("query", prefix).await.unwrap().into_iter().map(|record| record.sort).collect()
    };
    assert_eq!(sorts("0#").await, ["0#", "0#a", "0#b"]);
    assert_eq!(sorts("HEAD").await, ["HEAD", "HEAD#5m"]);
    assert_eq!(sorts("").await.len(), 8);
    assert!(sorts("x").await.is_empty());
    assert!(records.query_prefix("nobody", "").await.unwrap().is_empty());
}

/// DynamoDB answers at most 1 MB per page.
async fn queries_all_pages(records: &Records) {
    let value = Bytes::from(vec![7; 100_000]);
    let puts = (0..25).map(|i| {
        let (records, value) = (records.clone(), value.clone());
        async move { records.put_if_absent(&key("pages", &format!("0#{i:02}")), value).await.unwrap() }
    });
    join_all(puts).await;
    let found = records.query_prefix("pages", "0#").await.unwrap();
    assert_eq!(found.len(), 25);
    assert!(found.iter().enumerate().all(|(i, record)| record.sort == format!("0#{i:02}") && record.value == value));
}

/// Reads what `queries_a_prefix_in_order` and `queries_all_pages` left.
async fn counts_a_prefix(records: &Records) {
    for (partition, prefix, count_max, count) in [
        ("query", "0#", 100, 3),
        ("query", "0#", 2, 2),
        ("query", "x", 5, 0),
        ("nobody", "0#", 5, 0),
        ("pages", "0#", 24, 24),
        ("pages", "0#", 1000, 25),
    ] {
        assert_eq!(records.count_prefix(partition, prefix, count_max).await.unwrap(), count, "{partition} {prefix}");
    }
}

async fn bounds_a_record(records: &Records) {
    let largest = Bytes::from(vec![1; RECORD_BYTES_MAX]);
    assert_eq!(records.put_if_absent(&key("size", "a"), largest.clone()).await.unwrap(), Put::Written);
    assert_eq!(records.get(&key("size", "a")).await.unwrap().unwrap().value, largest);
    let error = records.put_if_absent(&key("size", "b"), vec![1; RECORD_BYTES_MAX + 1].into()).await.unwrap_err();
    assert_eq!(error.kind(), model::ErrorKind::Limit);
}

async fn one_of_many_wins(records: &Records) {
    for round in 0..10 {
        let key = key("race", &format!("{round}"));
        let puts = (0..16).map(|writer| {
            let (records, key) = (records.clone(), key.clone());
            async move { (writer, records.put_if_absent(&key, format!("{writer}").into()).await.unwrap()) }
        });
        let outcomes = join_all(puts).await;
        let won: Vec<i32> = outcomes.iter().filter(|(_, put)| *put == Put::Written).map(|(writer, _)| *writer).collect();
        assert_eq!(won.len(), 1);
        assert_eq!(records.get(&key).await.unwrap().unwrap().value, won[0].to_string());
    }
}

async fn loses_no_update(records: &Records) {
    let key = key("count", "HEAD");
    records.put_if_absent(&key, "0".into()).await.unwrap();
    let count = |record: &store::Record| -> u64 { std::str::from_utf8(&record.value).unwrap().parse().unwrap() };
    let add = || async {
        for _ in 0..5 {
            loop {
                let record = records.get(&key).await.unwrap().unwrap();
                let next = (count(&record) + 1).to_string();
                if records.cas_update(&key, record.version, next.into()).await.unwrap() == Cas::Updated {
                    break;
                }
            }
        }
    };
    join_all((0..8).map(|_| add())).await;
    let record = records.get(&key).await.unwrap().unwrap();
    assert_eq!((count(&record), record.version), (40, 41));
}

#[tokio::test]
async fn memory() {
    suite(records::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() {
    let directory = tempfile::tempdir().unwrap();
    suite(records::embedded(&directory.path().join("records.redb")).unwrap()).await;
}

#[tokio::test]
async fn dynamodb() {
    let Some(endpoint) = endpoint("LAMELLA_TEST_DYNAMODB_ENDPOINT", "records::dynamodb") else { return };
    let records = DynamoDbRecords::new(DynamoDbConfig { table: fresh("conformance"), endpoint: Some(endpoint) }, &aws().await);
    records.create_table().await.unwrap();
    suite(records::retried(std::sync::Arc::new(records), crate::retry(RetryPolicy::RECORDS))).await;
}

#[tokio::test]
async fn retried() {
    suite(records::retried(records::memory(), crate::retry(RetryPolicy::RECORDS))).await;
}
