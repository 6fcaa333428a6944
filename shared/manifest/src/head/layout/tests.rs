use super::*;
use crate::head::List;
use crate::{L0Item, Location, PartStats};
use model::{Hour, SegmentId, SlotRange, TimeRangeMs};
use proptest::prelude::*;
use std::cell::Cell;

fn part(id: u8) -> Part {
    let time_range = TimeRangeMs::new(TimestampMs(0), TimestampMs(1));
    let stats = PartStats { rows: 1, series: 1, time_range, slots: SlotRange::ALL, epoch: 0, names: Bytes::new() };
    let location = Location::Object { key: format!("k{id}"), len: 1 };
    let id = SegmentId(u128::from(id));
    Part { level: 1, ..L0Item { id, location, tail_offset: 0, stats, minted_at: TimestampMs(0) }.into_part(Hour(0)) }
}

fn head(parts: &[u8], replaced: &[u8], dead: &[u8]) -> Head {
    Head {
        parts: parts.iter().map(|id| part(*id)).collect(),
        replaced: replaced
            .iter()
            .map(|id| ReplacedId { id: SegmentId(u128::from(*id)), at: TimestampMs(0), gone_since: None })
            .collect(),
        dead: dead.iter().map(|id| DeadObject { key: format!("d{id}"), at: TimestampMs(0) }).collect(),
        ..Head::default()
    }
}

const SIZES: HeadSizes = HeadSizes { inline_bytes_max: 300, page_bytes_max: 200 };

/// A head over records, changed step by step.
#[derive(Default)]
struct Disk {
    record: HeadRecord,
    pages: Vec<Page>,
    drawn: Cell<u128>,
}

impl Disk {
    /// Writes the head; returns how many pages were written.
    fn write(&mut self, head: Head) -> usize {
        let fresh = || self.drawn.replace(self.drawn.get() + 1);
        let layout = lay_out(head, &self.record, &self.pages, SIZES, TimestampMs(9), fresh).unwrap();
        let written = layout.pages.iter().map(|(id, value)| Page { id: *id, entries: Entries::decode(value).unwrap() });
        let all: Vec<Page> = self.pages.drain(..).chain(written).collect();
        self.record = HeadRecord::decode(&layout.head).unwrap();
        let found = |id| all.iter().find(|page| page.id == id).unwrap().clone();
        self.pages = self.record.pages.iter().map(|page| found(page.id)).collect();
        layout.pages.len()
    }

    fn sorted(&self) -> Head {
        sorted(self.record.clone().whole(self.pages.clone()))
    }
}

fn sorted(mut head: Head) -> Head {
    head.parts.sort_by_key(|part| part.id);
    head.replaced.sort_by_key(|replaced| replaced.id);
    head.dead.sort_by(|a, b| a.key.cmp(&b.key));
    head
}

#[test]
fn a_head_spills_its_longest_list_and_keeps_pages_that_stand() {
    let ids: Vec<u8> = (0..20).collect();
    let mut disk = Disk::default();
    assert_eq!(disk.write(head(&[1, 2], &[3], &[4])), 0, "it fits");
    assert_eq!(disk.write(head(&[1, 2], &ids, &[4])), 2, "replaced ids spill into two pages");
    assert!(disk.record.pages.iter().all(|page| page.list == List::Replaced));
    assert!(disk.record.head.replaced.is_empty() && disk.record.head.parts.len() == 2);
    let before = disk.record.pages.clone();
    assert_eq!(disk.write(head(&[1, 2, 5], &ids, &[4])), 0, "pages stand");
    assert_eq!(disk.record.pages, before);
    assert_eq!(disk.write(head(&[1, 2, 5], &ids[1..], &[4])), 1, "the page that lost an entry is written anew");
    assert_eq!(disk.record.dropped, [DroppedPage { id: before[0].id, at: TimestampMs(9) }]);
    assert_eq!(disk.write(head(&[1], &[], &[])), 0);
    assert_eq!((disk.record.pages.len(), disk.record.dropped.len()), (0, 3));
}

#[test]
fn too_many_pages_are_an_error() {
    let sizes = HeadSizes { inline_bytes_max: 0, page_bytes_max: 0 };
    let of = |pages: usize| HeadRecord { pages: vec![PageRef { id: 1, list: List::Dead }; pages], ..HeadRecord::default() };
    let one = || head(&[], &[], &[1]);
    assert!(lay_out(one(), &of(HEAD_PAGES_MAX - 1), &[], sizes, TimestampMs(0), || 2).is_ok());
    assert!(lay_out(one(), &of(HEAD_PAGES_MAX), &[], sizes, TimestampMs(0), || 2).is_err());
}

#[test]
fn a_head_with_many_pages_writes_larger_ones() {
    let ids: Vec<u8> = (0..=255).collect();
    let sizes = HeadSizes { inline_bytes_max: 16 * 1024, page_bytes_max: 1 << 20 };
    let pages_written = |pages: usize| {
        let before = HeadRecord { pages: vec![PageRef { id: 1, list: List::Dead }; pages], ..HeadRecord::default() };
        let parts = Head { parts: ids.iter().map(|id| part(*id)).collect(), ..Head::default() };
        lay_out(parts, &before, &[], sizes, TimestampMs(0), || 2).unwrap().pages.len()
    };
    assert_eq!((pages_written(2 * HEAD_PAGES_STEP - 1), pages_written(2 * HEAD_PAGES_STEP)), (1, 0));
}

#[test]
fn dropped_pages_do_not_make_a_head_spill() {
    let sizes = HeadSizes { inline_bytes_max: 1024, page_bytes_max: 4096 };
    let dropped = (0..100).map(|id| DroppedPage { id, at: TimestampMs(0) }).collect();
    let before = HeadRecord { dropped, ..HeadRecord::default() };
    assert!(lay_out(head(&[1], &[2], &[3]), &before, &[], sizes, TimestampMs(0), || 1).unwrap().pages.is_empty());
}

proptest! {
    /// Whatever is added, changed and removed: what is read is what was written, and HEAD stays small.
    #[test]
    fn what_is_read_is_what_was_written(steps in prop::collection::vec(prop::collection::vec(any::<(u8, u8)>(), 0..40), 1..8)) {
        let mut disk = Disk::default();
        for step in steps {
            let of = |list: u8| -> Vec<u8> {
                let mut ids: Vec<u8> = step.iter().filter(|(to, _)| to % 3 == list).map(|(_, id)| *id).collect();
                ids.sort_unstable();
                ids.dedup();
                ids
            };
            let mut next = head(&of(0), &of(1), &of(2));
            next.replaced.iter_mut().for_each(|replaced| replaced.gone_since = step.first().map(|(at, _)| TimestampMs(i64::from(*at % 2))));
            disk.write(next.clone());
            prop_assert_eq!(disk.sorted(), sorted(next));
            let inline = HeadRecord { pages: Vec::new(), dropped: Vec::new(), ..disk.record.clone() }.encode().len();
            prop_assert!(inline <= SIZES.inline_bytes_max + 64, "{} bytes", inline);
        }
    }
}
