//! Port 1: `object_store`'s own public suite, and what we rely on beyond it.

use crate::{aws, endpoint, fresh};
use object_store::integration;
use store::objects::s3::S3Objects;
use store::objects::{ObjectError, ObjectPath, ObjectStoreExt, PutMode, S3Config};
use store::{Objects, RetryPolicy, objects};

#[derive(Clone, Copy)]
struct Abilities {
    updates: bool,
    last_upload_wins: bool,
}

async fn suite(objects: Objects, abilities: Abilities) {
    integration::put_get_delete_list(&objects).await;
    integration::get_opts(&objects).await;
    integration::put_opts(&objects, abilities.updates).await;
    integration::list_uses_directories_correctly(&objects).await;
    integration::list_with_delimiter(&objects).await;
    integration::rename_and_copy(&objects).await;
    integration::copy_if_not_exists(&objects).await;
    integration::copy_rename_nonexistent_object(&objects).await;
    integration::stream_get(&objects).await;
    integration::put_get_attributes(&objects).await;
    integration::multipart_race_condition(&objects, abilities.last_upload_wins).await;
    integration::multipart_out_of_order(&objects).await;
    integration::list_with_offset_exclusivity(&objects).await;
    tenants_keys_are_kept(&objects).await;
    one_creator_wins(&objects).await;
    ranges_are_exact(&objects).await;
}

/// Every character a tenant id may have survives as it is.
async fn tenants_keys_are_kept(objects: &Objects) {
    let path = ObjectPath::parse("a!-_.*'()Z9/metrics/2026-11-21/07/raw-l0-0-0.seg").unwrap();
    objects.put(&path, "x".into()).await.unwrap();
    let listed =
        objects.list_with_delimiter(Some(&ObjectPath::parse("a!-_.*'()Z9/metrics/2026-11-21/07").unwrap())).await.unwrap();
    assert_eq!(listed.objects[0].location, path);
    assert_eq!(objects.get(&path).await.unwrap().bytes().await.unwrap(), "x");
    objects.delete(&path).await.unwrap();
    assert!(matches!(objects.get(&path).await, Err(ObjectError::NotFound { .. })));
}

/// Of many at once, exactly one creates an object.
async fn one_creator_wins(objects: &Objects) {
    for round in 0..5 {
        let path = ObjectPath::from(format!("race/{round}"));
        let puts = (0..12).map(|writer| {
            let (objects, path) = (objects.clone(), path.clone());
            async move { objects.put_opts(&path, format!("{writer}").into(), PutMode::Create.into()).await.map(|_| writer) }
        });
        let won: Vec<u32> = futures::future::join_all(puts).await.into_iter().filter_map(Result::ok).collect();
        assert_eq!(won.len(), 1, "round {round}");
        assert_eq!(objects.get(&path).await.unwrap().bytes().await.unwrap(), won[0].to_string());
        objects.delete(&path).await.unwrap();
    }
}

async fn ranges_are_exact(objects: &Objects) {
    let path = ObjectPath::from("ranges");
    let bytes: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
    objects.put(&path, bytes.clone().into()).await.unwrap();
    let ranges = [5..10, 0..1, 99_990..100_000, 40_000..60_000];
    let got = objects.get_ranges(&path, &ranges).await.unwrap();
    for (range, got) in ranges.iter().zip(got) {
        assert_eq!(got, bytes[range.start as usize..range.end as usize]);
    }
    objects.delete(&path).await.unwrap();
}

#[tokio::test]
async fn memory() {
    suite(objects::memory(), Abilities { updates: true, last_upload_wins: true }).await;
}

#[tokio::test]
async fn counted() {
    let (counted, counters) = objects::counted(objects::memory());
    suite(counted.clone(), Abilities { updates: true, last_upload_wins: true }).await;
    let before = counters.counts();
    counted.put(&"a".into(), "12345".into()).await.unwrap();
    counted.get_range(&"a".into(), 1..3).await.unwrap();
    let counts = counters.counts().since(before);
    assert_eq!((counts.puts, counts.put_bytes, counts.gets, counts.get_bytes), (1, 5, 1, 2));
}

#[tokio::test]
async fn local() {
    let directory = tempfile::tempdir().unwrap();
    suite(objects::local(directory.path()).unwrap(), Abilities { updates: false, last_upload_wins: true }).await;
}

#[tokio::test]
async fn s3() {
    let Some(endpoint) = endpoint("LAMELLA_TEST_S3_ENDPOINT", "objects::s3") else { return };
    let bucket = fresh("conformance");
    let objects = S3Objects::new(S3Config { bucket, endpoint: Some(endpoint), path_style: true }, &aws().await);
    objects.create_bucket().await.unwrap();
    let objects = objects::retried(std::sync::Arc::new(objects), crate::retry(RetryPolicy::OBJECTS));
    suite(objects, Abilities { updates: true, last_upload_wins: true }).await;
}

#[tokio::test]
async fn retried() {
    suite(
        objects::retried(objects::memory(), crate::retry(RetryPolicy::OBJECTS)),
        Abilities { updates: true, last_upload_wins: true },
    )
    .await;
}
