use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot::Config;
use model::{MetricBatch, labels};
use store::objects::{self, ObjectPath, ObjectStoreExt};
use store::records;
use testkit::SimulatedClock;

use super::*;
use crate::tools::inventory;
use crate::tools::tests::world::{NOW, anonymous};

const BLOCK: &str = "01GTMDG2R6DQ0E0VAFH4MGG8BE";
const SAMPLES: &str = include_str!("../../../../../shared/wire/tests/golden/tsdb/samples.txt");

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/wire/tests/golden/tsdb/block")
}

fn host() -> Host {
    let clock = Arc::new(SimulatedClock::at(NOW));
    Host::over(Config::memory(), objects::memory(), records::memory(), clock, 7)
}

fn options() -> Options {
    let storage =
        crate::cli::storage::Options { data_dir: PathBuf::new(), storage: None, bucket: None, table: None, region: None };
    Options { tenant: anonymous(), labels: Vec::new(), tool: ToolOptions { storage, json: false } }
}

/// Copies the golden block under another id, with more in its `meta.json`.
fn add_block(directory: &Path, ulid: &str, more: &str) {
    let (from, to) = (golden(), directory.join(ulid));
    std::fs::create_dir_all(to.join("chunks")).unwrap();
    for file in ["index", "tombstones", "chunks/000001"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let meta = std::fs::read_to_string(from.join("meta.json")).unwrap();
    let own = meta.split('"').nth(3).unwrap().to_owned();
    let meta = meta.replace(&own, ulid).trim_end().strip_suffix('}').unwrap().to_owned();
    std::fs::write(to.join("meta.json"), format!("{meta}{more}}}")).unwrap();
}

/// Id and rows of every live segment, and the sum of rows.
async fn live(host: &Host) -> (Vec<String>, u64) {
    let listed = inventory::live(host, &Default::default()).await.unwrap();
    let ids = listed.iter().map(|listed| listed.part.id.to_string()).collect();
    (ids, listed.iter().map(|listed| listed.part.stats.rows).sum())
}

fn samples() -> u64 {
    SAMPLES.lines().filter(|line| !line.starts_with("series ")).count() as u64
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    add_block(directory.path(), BLOCK, "");
    let (host, source) = (host(), Source::Directory(directory.path().to_owned()));
    let first = import(&host, &source, &options()).await.unwrap();
    assert_eq!((first.blocks[0].state, first.samples, first.blocks[0].series), (State::Imported, samples(), 7));
    assert!(first.notes[0].contains("compaction drops what is older"), "{:?}", first.notes);
    let before = live(&host).await;
    assert_eq!((before.0.len() as u64, before.1), (first.segments, samples()));
    let second = import(&host, &source, &options()).await.unwrap();
    assert_eq!((second.blocks[0].state, second.samples, second.segments), (State::Unchanged, 0, 0));
    assert_eq!(live(&host).await, before);

    // Even where nothing was noted: the pieces have the ids they had.
    let key = store::keys::imported_block(&anonymous(), BLOCK);
    let version = host.records.get(&key).await.unwrap().unwrap().version;
    host.records.delete_if(&key, version).await.unwrap();
    let third = import(&host, &source, &options()).await.unwrap();
    assert_eq!((third.blocks[0].state, third.samples), (State::Imported, samples()));
    assert_eq!(live(&host).await, before);
}

#[tokio::test]
async fn what_is_no_whole_raw_block_is_named_and_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let thanos = |resolution| format!(r#","thanos":{{"labels":{{"replica":"a"}},"downsample":{{"resolution":{resolution}}}}}"#);
    add_block(directory.path(), "01GTMDG2R6DQ0E0VAFH4MGG8B1", &thanos(0));
    add_block(directory.path(), "01GTMDG2R6DQ0E0VAFH4MGG8B2", &thanos(300_000));
    add_block(directory.path(), "01GTMDG2R6DQ0E0VAFH4MGG8B3", &thanos(0));
    std::fs::write(directory.path().join("01GTMDG2R6DQ0E0VAFH4MGG8B3/deletion-mark.json"), "{}").unwrap();
    for name in ["01GTMDG2R6DQ0E0VAFH4MGG8B4", "wal", "01GTMDG2R6DQ0E0VAFH4MGG8B5.tmp-for-creation", "chunks_head"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    let answer = import(&host(), &Source::Directory(directory.path().to_owned()), &options()).await.unwrap();
    let states: Vec<_> = answer.blocks.iter().map(|block| (block.state, block.reason.as_deref())).collect();
    let expected = [
        (State::Imported, None),
        (State::Skipped, Some("it is downsampled to 300 s; Lamella makes its own copies from raw samples")),
        (State::Skipped, Some("it is marked for deletion")),
    ];
    assert_eq!(states, expected);
    let notes = answer.notes.join("\n");
    for part in ["8B4 is left out: without meta.json", "wal is not read", "8B5.tmp-for-creation is left out"] {
        assert!(notes.contains(part), "{notes}");
    }
    assert_eq!(answer.notes.len(), 4, "{notes}");
    assert!(answer.text().contains("skipped: it is marked for deletion"));
}

#[tokio::test]
async fn a_bucket_gives_what_its_directory_gives() {
    let directory = tempfile::tempdir().unwrap();
    let labels = r#","thanos":{"labels":{"replica":"a"},"downsample":{"resolution":0}}"#;
    add_block(directory.path(), BLOCK, labels);
    let bucket = objects::memory();
    for file in ["meta.json", "index", "tombstones", "chunks/000001"] {
        let bytes = std::fs::read(directory.path().join(BLOCK).join(file)).unwrap();
        bucket.put(&ObjectPath::from(format!("blocks/{BLOCK}/{file}")), bytes.into()).await.unwrap();
    }
    let (a, b) = (host(), host());
    import(&a, &Source::Directory(directory.path().to_owned()), &options()).await.unwrap();
    let source = Source::Bucket { objects: bucket, prefix: ObjectPath::from("blocks") };
    let answer = import(&b, &source, &options()).await.unwrap();
    assert_eq!(answer.samples, samples());
    assert_eq!(live(&a).await, live(&b).await);
}

#[tokio::test]
async fn damage_is_named_with_its_block() {
    let directory = tempfile::tempdir().unwrap();
    add_block(directory.path(), BLOCK, "");
    let path = directory.path().join(BLOCK).join("chunks/000001");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = import(&host(), &Source::Directory(directory.path().to_owned()), &options()).await.unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.starts_with(&format!("import block {BLOCK}: read chunk at ")) && error.contains("checksum of chunk"),
        "{error}"
    );
}

/// Reads the golden block in pieces of a given size from a place on.
fn pieces(cut: Cut, from: Place) -> Vec<(Place, MetricBatch)> {
    let meta = Meta::decode(&std::fs::read(golden().join("meta.json")).unwrap()).unwrap();
    let external = BTreeMap::from([("replica".to_owned(), "a".to_owned())]);
    let mut block = Block::open(&golden(), meta, external, cut).unwrap();
    let mut pieces = Vec::new();
    batches::read(&mut block, from, &mut |place, batch| {
        pieces.push((place, batch));
        true
    })
    .unwrap();
    pieces
}

#[test]
fn the_rest_is_the_same_wherever_it_is_taken_up() {
    let cut = Cut { window_samples: 500, batch_bytes: 2_000 };
    let all = pieces(cut, Place::default());
    assert!(all.len() > 5);
    for (index, (place, _)) in all.iter().enumerate() {
        assert_eq!(pieces(cut, *place), all[index + 1..], "from {place:?}");
    }
    // And however it is cut, it is all there.
    let rows = |pieces: &[(Place, MetricBatch)]| -> usize { pieces.iter().map(|(_, batch)| batch.samples_len()).sum() };
    assert_eq!((rows(&all) as u64, rows(&pieces(Cut::default(), Place::default())) as u64), (samples(), samples()));
}

#[test]
fn floats_come_with_their_labels_and_those_from_outside() {
    let mut expected = std::collections::BTreeSet::new();
    let mut series = String::new();
    for line in SAMPLES.lines() {
        if let Some(labels) = line.strip_prefix("series ") {
            series = labels.replace("job=\"shop\"", "job=\"shop\", replica=\"a\"");
        } else if let [at, _, "F", bits] = line.split(' ').collect::<Vec<_>>()[..] {
            expected.insert(format!("{series} {at} {bits}"));
        }
    }
    let mut found = std::collections::BTreeSet::new();
    for (_, batch) in pieces(Cut { window_samples: 500, ..Cut::default() }, Place::default()) {
        for index in 0..batch.series_len() {
            assert_eq!(labels::verify(batch.labels.get(index)), Ok(()));
            let set = batch.label_set(index).unwrap();
            for row in batch.sample_range(index) {
                found.insert(format!("{set} {} {:016x}", batch.timestamps[row], batch.values[row].to_bits()));
            }
        }
    }
    assert_eq!(found, expected);
}
