use super::*;
use crate::merge::{self, MergeOptions};
use crate::{Encoded, l0};
use bytes::Bytes;
use model::{LabelSet, LogBatch, TenantId};

const ALL: TimeRangeNs = TimeRangeNs { start: TimestampNs(i64::MIN), end: TimestampNs(i64::MAX) };
const SECOND: i64 = 1_000_000_000;

/// One stream: (second, line, level).
fn block(entries: &[(i64, &str, Option<&str>)]) -> Bytes {
    let mut batch = LogBatch::default();
    batch.start_stream(|out| out.extend_from_slice(LabelSet::from_pairs([("app", "a")]).encoded()));
    for (second, line, level) in entries {
        let metadata = LabelSet::from_pairs(level.map(|level| ("detected_level", level)));
        batch.push_entry(TimestampNs(second * SECOND), line.as_bytes(), if level.is_some() { metadata.encoded() } else { &[] });
    }
    l0::encode_logs(&TenantId::anonymous(), &batch).unwrap().bytes
}

fn merged(inputs: &[Bytes]) -> Encoded {
    let mut outputs = Vec::new();
    merge::logs(inputs, &MergeOptions::default(), &mut |output| outputs.push(output)).unwrap();
    outputs.remove(0)
}

fn index(bytes: &Bytes) -> (Index, StreamEntry) {
    let index = Index::open(bytes).unwrap();
    let entry = index.all().remove(0);
    (index, entry)
}

/// (minute, level, rows, bytes).
fn shown(counts: &[MinuteCount<'_>]) -> Vec<(i64, String, u64, u64)> {
    let level = |level: Level<'_>| match level {
        Level::None => "none".to_owned(),
        Level::Value(value) => value.to_owned(),
        Level::Mixed => "mixed".to_owned(),
    };
    counts.iter().map(|count| (count.start.0 / MINUTE_NS, level(count.level), count.rows, count.line_bytes)).collect()
}

fn minutes(start: i64, end: i64) -> TimeRangeNs {
    TimeRangeNs::new(TimestampNs(start * MINUTE_NS), TimestampNs(end * MINUTE_NS))
}

#[test]
fn a_merge_counts_minutes_and_levels_once() {
    let (info, error) = (Some("info"), Some("error"));
    let a = block(&[(5, "one", info), (6, "three", error), (59, "x", info), (60, "y", None)]);
    let b = block(&[(5, "one", info), (7, "four", error), (200, "late", error)]);
    let merged = merged(&[a, b]);
    let tail = merged.bytes.slice(merged.tail_offset as usize..);
    let index = Index::open_tail(&tail, merged.tail_offset).unwrap();
    let counts = index.minutes(&index.all()[0]).unwrap();
    let expected = [(0, "info", 2, 4), (0, "error", 2, 9), (1, "none", 1, 1), (3, "error", 1, 4)];
    assert_eq!(shown(&counts), expected.map(|(minute, level, rows, bytes)| (minute, level.to_owned(), rows, bytes)));
}

#[test]
fn entries_on_the_first_instant_of_a_minute_are_counted_apart() {
    let (info, error) = (Some("info"), Some("error"));
    let entries = [(60, "a", info), (60, "bc", error), (60, "d", info), (61, "e", info), (119, "f", None), (180, "g", None)];
    let merged = merged(&[block(&entries)]);
    let (index, entry) = index(&merged.bytes);
    let on_start = |counts: Vec<MinuteCount<'_>>| counts.iter().map(|count| count.on_start).collect::<Vec<_>>();
    assert_eq!(on_start(index.minutes(&entry).unwrap()), [Some((2, 2)), Some((1, 2)), Some((0, 0)), Some((1, 1))]);
    assert_eq!(crate::verify::verify(&merged.bytes, None, None).problems, []);
    let bytes = block(&entries[..2]);
    let (block, entry) = self::index(&bytes);
    assert_eq!(on_start(block.minutes(&entry).unwrap()), [None], "a block does not tell");
}

#[test]
fn a_block_knows_streams_of_one_minute() {
    let (one, entry) = index(&block(&[(60, "ab", None), (119, "c", Some("info"))]));
    assert_eq!(shown(&one.minutes(&entry).unwrap()), [(1, "mixed".to_owned(), 2, 3)]);
    let (two, entry) = index(&block(&[(60, "ab", None), (120, "c", None)]));
    assert_eq!(two.minutes(&entry), None);
}

#[test]
fn levels_past_the_bound_are_mixed() {
    let levels: Vec<String> = (0..LEVELS_MAX + 4).map(|level| format!("level-{level}")).collect();
    let entries: Vec<(i64, &str, Option<&str>)> = levels.iter().map(|level| (1, "x", Some(&**level))).collect();
    let merged = merged(&[block(&entries)]);
    let (index, entry) = index(&merged.bytes);
    let counts = index.minutes(&entry).unwrap();
    assert_eq!(counts.len(), LEVELS_MAX + 1);
    assert_eq!((counts[LEVELS_MAX].level, counts[LEVELS_MAX].rows), (Level::Mixed, 4));
    assert_eq!(crate::verify::verify(&merged.bytes, None, None).problems, []);
}

#[test]
fn shared_and_cut_minutes_are_left_to_reading() {
    let (a, a_entry) = index(&merged(&[block(&[(10, "a", None), (70, "b", None), (130, "c", None)])]).bytes);
    let (b, b_entry) = index(&merged(&[block(&[(130, "c", None), (190, "d", None), (250, "e", None)])]).bytes);
    let holders = [(&a, &a_entry), (&b, &b_entry)];
    let rows = |settled: &Settled<'_>| settled.counted.iter().map(|count| count.start.0 / MINUTE_NS).collect::<Vec<_>>();
    let all = settle(&holders, ALL);
    assert_eq!((rows(&all), &*all.unsettled), (vec![0, 1, 3, 4], &[minutes(2, 3)][..]));
    assert_eq!(all.total(), (4, 4));
    // Cut at 75 s, behind everything of its minute that matters or not: counts cannot tell.
    let cut = TimeRangeNs::new(TimestampNs(75 * SECOND), TimestampNs(4 * MINUTE_NS));
    let settled = settle(&holders, cut);
    let gap = TimeRangeNs::new(cut.start, TimestampNs(3 * MINUTE_NS));
    assert_eq!((rows(&settled), &*settled.unsettled), (vec![3], &[gap][..]));
    // The first minute is cut before its first entry: nothing is missing.
    let early = TimeRangeNs::new(TimestampNs(9 * SECOND), TimestampNs(2 * MINUTE_NS));
    assert_eq!(rows(&settle(&holders, early)), [0, 1]);
}

#[test]
fn what_does_not_count_is_read() {
    let (a, a_entry) = index(&merged(&[block(&[(10, "a", None), (310, "b", None)])]).bytes);
    let (b, b_entry) = index(&block(&[(70, "c", None), (130, "d", None)]));
    let settled = settle(&[(&a, &a_entry), (&b, &b_entry)], ALL);
    assert_eq!((settled.total(), settled.unsettled), ((2, 2), vec![minutes(1, 3)]));
    assert_eq!(settle(&[(&a, &a_entry), (&a, &a_entry)], ALL).total(), (0, 0));
}

proptest::proptest! {
    /// Counted minutes and the distinct rows of the rest are all distinct rows, whatever the segments share.
    #[test]
    fn settled_and_read_make_the_whole(
        segments in proptest::collection::vec(proptest::collection::vec((0i64..400, 0u8..3, proptest::bool::ANY), 1..12), 1..4),
        from in 0i64..400, len in 0i64..400,
    ) {
        let range = TimeRangeNs::new(TimestampNs(from * SECOND), TimestampNs((from + len) * SECOND));
        let mut distinct = std::collections::BTreeSet::new();
        let mut opened = Vec::new();
        for (at, entries) in segments.iter().enumerate() {
            let lines: Vec<String> = entries.iter().map(|(_, line, _)| "x".repeat(usize::from(*line))).collect();
            let rows = entries.iter().zip(&lines).map(|((second, _, leveled), line)| (*second, &**line, leveled.then_some("info")));
            let rows: Vec<(i64, &str, Option<&str>)> = rows.collect();
            distinct.extend(rows.iter().map(|(second, line, level)| (second * SECOND, line.len(), level.is_some())));
            let block = block(&rows);
            opened.push(index(&if at % 2 == 0 { merged(&[block]).bytes } else { block }));
        }
        let holders: Vec<(&Index, &StreamEntry)> = opened.iter().map(|(index, entry)| (index, entry)).collect();
        let settled = settle(&holders, range);
        let inside = |range: &TimeRangeNs, time: i64| range.start.0 <= time && time < range.end.0;
        let expected = distinct.iter().filter(|(time, _, _)| inside(&range, *time));
        let read = distinct.iter().filter(|(time, _, _)| settled.unsettled.iter().any(|gap| inside(gap, *time)));
        let sum = |rows: &mut dyn Iterator<Item = &(i64, usize, bool)>| {
            rows.fold((0, 0), |(rows, bytes), (_, len, _)| (rows + 1, bytes + *len as u64))
        };
        let (counted, read) = (settled.total(), sum(&mut read.into_iter()));
        proptest::prop_assert_eq!((counted.0 + read.0, counted.1 + read.1), sum(&mut expected.into_iter()));
    }
}
