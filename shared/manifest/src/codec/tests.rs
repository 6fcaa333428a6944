//! Golden records: what was once written stays readable.

use crate::catalog::DayRecord;
use crate::head::{DroppedPage, Entries, Head, HeadRecord, List, PageRef, ReplacedId};
use crate::item::{self, ItemRecord};
use crate::{DeadObject, Deletion, DeletionRequest, DeletionState, L0Item, Location, PartStats, Quarantined, Window};
use bytes::Bytes;
use model::{Hour, MatchOp, Matcher, Resolution, SegmentId, SlotRange, TimeRangeMs, TimestampMs};
use proptest::prelude::*;

fn item() -> L0Item {
    L0Item {
        id: SegmentId(7),
        location: Location::Object { key: "t/metrics/k".into(), len: 300 },
        tail_offset: 200,
        stats: PartStats {
            rows: 1_000,
            series: 3,
            time_range: TimeRangeMs::new(TimestampMs(-5), TimestampMs(10)),
            slots: SlotRange { lo: 1, hi: 1_024 },
            epoch: 2,
            names: Bytes::from_static(&[1, 2]),
        },
        minted_at: TimestampMs(99),
    }
}

fn head() -> HeadRecord {
    let mut part = item().into_part(Hour(3));
    part.level = 1;
    part.resolution = Resolution::FiveMinutes;
    part.location = Location::Inline(Bytes::from_static(b"abc"));
    part.sources = vec![SegmentId(1)];
    part.applied = vec![12];
    let head = Head {
        last_op: 5,
        generation: 6,
        published_at: TimestampMs(11),
        sealed: true,
        lease: Some((4, TimestampMs(8))),
        parts: vec![part],
        replaced: vec![ReplacedId { id: SegmentId(9), at: TimestampMs(1), gone_since: Some(TimestampMs(2)) }],
        dead: vec![DeadObject { key: "d".into(), at: TimestampMs(3) }],
    };
    let dropped = vec![DroppedPage { id: 17, at: TimestampMs(18) }];
    HeadRecord { head, pages: vec![PageRef { id: 16, list: List::Dead }], dropped }
}

fn hex(bytes: &Bytes) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn deletion() -> Deletion {
    let matchers = vec![Matcher::equal("job", "a"), Matcher::new("pod", MatchOp::Regex, "b.*").unwrap()];
    let range = TimeRangeMs::new(TimestampMs(-5), TimestampMs(10));
    let request = DeletionRequest { range, matchers, filter: Some("|= `x`".into()) };
    Deletion { id: 12, requested_at: TimestampMs(13), request, state: DeletionState::Finished(TimestampMs(14)) }
}

fn quarantined() -> Quarantined {
    let (key, reason, at) = ("d".to_owned(), "checksum differs".to_owned(), TimestampMs(15));
    Quarantined { id: SegmentId(7), key, window: Window::Day(4), reason, at }
}

/// Records as version 1 wrote them: parts without applied deletions.
#[test]
fn records_of_version_1_are_read() {
    let records: Vec<Bytes> = include_str!("golden_v1.txt").lines().map(unhex).collect();
    assert_eq!(item::decode(&records[0]), Ok(ItemRecord::Live(Box::new(item().into_part(Hour(3))))));
    assert_eq!(item::decode(&records[1]), Ok(ItemRecord::Burnt));
    let mut of_then = head();
    of_then.head.parts[0].applied.clear();
    (of_then.pages, of_then.dropped) = (Vec::new(), Vec::new());
    assert_eq!(HeadRecord::decode(&records[2]), Ok(of_then));
    let day = DayRecord::decode(&records[3]).unwrap();
    assert_eq!((day.hours, day.opened, day.packed), (0b101, Some(TimestampMs(0)), None));
}

#[test]
fn records_of_version_2_stay_as_they_are() {
    let mut day = DayRecord { hours: 0b101, ..DayRecord::default() };
    day.drop_at(Resolution::OneHour, TimestampMs(4));
    day.late = vec![(2, TimestampMs(5))];
    day.stamp_open(TimestampMs(6));
    day.packed = Some(TimestampMs(7));
    let (live, burnt) = (item::encode_live(Hour(3), item()), item::encode_burnt());
    let records = [live, burnt, head().encode(), day.encode(), deletion().encode(), quarantined().encode()];
    let pages = [Entries::Parts(head().head.parts), Entries::Replaced(head().head.replaced), Entries::Dead(head().head.dead)];
    let records: Vec<Bytes> = records.into_iter().chain(pages.iter().map(Entries::encode)).collect();
    let text: String = records.iter().map(|record| hex(record) + "\n").collect();
    expect_test::expect_file!["golden_v2.txt"].assert_eq(&text);
    assert_eq!(item::decode(&records[0]), Ok(ItemRecord::Live(Box::new(item().into_part(Hour(3))))));
    assert_eq!(item::decode(&records[1]), Ok(ItemRecord::Burnt));
    assert_eq!(HeadRecord::decode(&records[2]), Ok(head()));
    assert_eq!(DayRecord::decode(&records[3]), Ok(day));
    assert_eq!(Deletion::decode(&records[4]), Ok(deletion()));
    assert_eq!(Quarantined::decode(&records[5]), Ok(quarantined()));
    for (record, page) in records[6..].iter().zip(pages) {
        assert_eq!(Entries::decode(record), Ok(page));
    }
}

fn unhex(line: &str) -> Bytes {
    (0..line.len() / 2).map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[test]
fn one_kind_is_never_read_as_another() {
    assert_eq!(HeadRecord::decode(&item::encode_burnt()), Err("a record of another kind"));
    assert_eq!(item::decode(&head().encode()), Err("a record of another kind"));
}

proptest! {
    /// Whatever stands in a record: an answer, never a panic.
    #[test]
    fn hostile_bytes_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), version in 1u8..3, kind in 0u8..10) {
        if bytes.len() >= 2 {
            (bytes[0], bytes[1]) = (version, kind);
        }
        let sum = xxhash_rust::xxh3::xxh3_64(&bytes) as u32;
        bytes.extend_from_slice(&sum.to_le_bytes());
        let record = Bytes::from(bytes);
        let _ = (item::decode(&record), HeadRecord::decode(&record), DayRecord::decode(&record), crate::ring::Epoch::decode(&record));
        let _ = (Deletion::decode(&record), Quarantined::decode(&record), Entries::decode(&record));
    }

    /// A flipped bit is found.
    #[test]
    fn a_flipped_bit_is_found(at in 0usize..1_000, bit in 0u8..8) {
        let mut bytes = head().encode().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(HeadRecord::decode(&Bytes::from(bytes)).is_err());
    }
}
