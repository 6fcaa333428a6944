//! How a head lies over records: in HEAD while it is small, its lists spilt into immutable pages when it grows.
//!
//! ```text
//! HEAD  meta | parts | replaced | dead | pages [id, list] | dropped [id, at]        below `inline_bytes_max`, more with many pages
//! page  entries of one list                                                          below `page_bytes_max`
//! ```
//! A change writes new pages under fresh ids, then swaps HEAD to reference them. Whatever happens in between leaves HEAD as it
//! was and pages nobody references. A page is kept for as long as all its entries stand unchanged; otherwise what is left of it
//! returns into HEAD, to spill again when HEAD is full, and the page is listed as dropped by the same swap. A dropped page is
//! deleted after a grace ([`crate::limits::PAGE_GRACE`]); a reader that finds one gone reads HEAD again.

use super::record::{write_dead, write_replaced};
use super::{DroppedPage, Entries, Head, HeadRecord, PageRef, ReplacedId};
use crate::codec::{Kind, Writer};
use crate::limits::{HEAD_PAGES_MAX, HEAD_PAGES_STEP};
use crate::manifest::HeadSizes;
use crate::part::write_part;
use crate::{DeadObject, Part};
use bytes::Bytes;
use model::segment_id::IdHasher;
use model::{SegmentId, SegmentIds, TimestampMs};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

/// A page as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Its id.
    pub id: u128,
    /// What it holds.
    pub entries: Entries,
}

/// What to write for a head: first the pages, then HEAD.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// New pages.
    pub pages: Vec<(u128, Bytes)>,
    /// HEAD.
    pub head: Bytes,
}

impl HeadRecord {
    /// Returns the head with the entries of its pages.
    pub fn whole(self, pages: Vec<Page>) -> Head {
        let mut head = self.head;
        for page in pages {
            match page.entries {
                Entries::Parts(parts) => head.parts.extend(parts),
                Entries::Replaced(replaced) => head.replaced.extend(replaced),
                Entries::Dead(dead) => head.dead.extend(dead),
            }
        }
        head
    }
}

/// Lays out a head of which `before` and `pages` were read; pages that were not stay as they are. `Err` is the size in bytes of
/// HEAD where the pages would be too many.
pub fn lay_out(
    mut head: Head,
    before: &HeadRecord,
    pages: &[Page],
    sizes: HeadSizes,
    now: TimestampMs,
    fresh: impl Fn() -> u128,
) -> Result<Layout, usize> {
    let (kept, broken): (Vec<&Page>, Vec<&Page>) = {
        let standing = Standing::of(&head);
        pages.iter().partition(|page| standing.holds(&page.entries))
    };
    kept.iter().for_each(|page| take_out(&mut head, &page.entries));
    let is_read = |of: &PageRef| pages.iter().any(|page| page.id == of.id);
    let mut refs: Vec<PageRef> = before.pages.iter().filter(|of| !is_read(of)).copied().collect();
    refs.extend(kept.iter().map(|page| PageRef { id: page.id, list: page.entries.list() }));
    let mut dropped = before.dropped.clone();
    dropped.extend(broken.iter().map(|page| DroppedPage { id: page.id, at: now }));
    let mut written = Vec::new();
    let inline_bytes_max = sizes.inline_bytes_max * (1 + refs.len() / HEAD_PAGES_STEP);
    let sizes = HeadSizes { inline_bytes_max, ..sizes };
    // What is dropped takes its own room: were it the lists', a head that drops many would spill at each change, and drop those next.
    for entries in spill(&mut head, sizes, 48 * refs.len()) {
        let id = fresh();
        refs.push(PageRef { id, list: entries.list() });
        written.push((id, entries.encode()));
    }
    let (pages_count, record) = (refs.len(), HeadRecord { head, pages: refs, dropped }.encode());
    if pages_count > HEAD_PAGES_MAX || record.len() > store::records::RECORD_BYTES_MAX {
        return Err(record.len());
    }
    Ok(Layout { pages: written, head: record })
}

/// The entries of a head, to look pages' entries up.
struct Standing<'a> {
    parts: ById<&'a Part>,
    replaced: ById<&'a ReplacedId>,
    dead: HashSet<&'a DeadObject>,
}

type ById<T> = HashMap<SegmentId, T, BuildHasherDefault<IdHasher>>;

impl<'a> Standing<'a> {
    fn of(head: &'a Head) -> Standing<'a> {
        Standing {
            parts: head.parts.iter().map(|part| (part.id, part)).collect(),
            replaced: head.replaced.iter().map(|replaced| (replaced.id, replaced)).collect(),
            dead: head.dead.iter().collect(),
        }
    }

    /// Reports whether all entries stand as they are: an id that is still listed may have changed.
    fn holds(&self, entries: &'a Entries) -> bool {
        match entries {
            Entries::Parts(parts) => parts.iter().all(|part| self.parts.get(&part.id) == Some(&part)),
            Entries::Replaced(replaced) => replaced.iter().all(|of| self.replaced.get(&of.id) == Some(&of)),
            Entries::Dead(dead) => dead.iter().all(|dead| self.dead.contains(dead)),
        }
    }
}

/// Removes from the head what a kept page holds.
fn take_out(head: &mut Head, entries: &Entries) {
    match entries {
        Entries::Parts(parts) => {
            let ids: SegmentIds = parts.iter().map(|part| part.id).collect();
            head.parts.retain(|part| !ids.contains(&part.id));
        }
        Entries::Replaced(replaced) => {
            let ids: SegmentIds = replaced.iter().map(|replaced| replaced.id).collect();
            head.replaced.retain(|replaced| !ids.contains(&replaced.id));
        }
        Entries::Dead(dead) => {
            let gone: HashSet<&DeadObject> = dead.iter().collect();
            head.dead.retain(|dead| !gone.contains(dead));
        }
    }
}

/// Empties the head's longest lists into pages until the rest fits into HEAD beside `refs_bytes` of references.
fn spill(head: &mut Head, sizes: HeadSizes, refs_bytes: usize) -> Vec<Entries> {
    let measured = |head: &Head| {
        [
            lengths(&head.parts, write_part).iter().sum::<usize>(),
            lengths(&head.replaced, write_replaced).iter().sum(),
            lengths(&head.dead, write_dead).iter().sum(),
        ]
    };
    let mut pages = Vec::new();
    loop {
        let bytes = measured(head);
        if bytes.iter().sum::<usize>() + refs_bytes <= sizes.inline_bytes_max || bytes.iter().all(|bytes| *bytes == 0) {
            return pages;
        }
        let longest = (0..bytes.len()).max_by_key(|list| bytes[*list]).unwrap_or_default();
        match longest {
            0 => pages.extend(chunks(&mut head.parts, write_part, sizes).map(Entries::Parts)),
            1 => pages.extend(chunks(&mut head.replaced, write_replaced, sizes).map(Entries::Replaced)),
            _ => pages.extend(chunks(&mut head.dead, write_dead, sizes).map(Entries::Dead)),
        }
    }
}

fn lengths<T>(items: &[T], write: impl Fn(&mut Writer, &T)) -> Vec<usize> {
    let mut out = Writer::new(Kind::Page);
    let mut length = |item: &T| {
        let before = out.len();
        write(&mut out, item);
        out.len() - before
    };
    items.iter().map(&mut length).collect()
}

/// Cuts a list into pieces of at most a page, an entry at least.
fn chunks<T>(items: &mut Vec<T>, write: impl Fn(&mut Writer, &T), sizes: HeadSizes) -> impl Iterator<Item = Vec<T>> {
    let lengths = lengths(items, write);
    let (mut pieces, mut bytes) = (Vec::<Vec<T>>::new(), 0);
    for (item, length) in items.drain(..).zip(lengths) {
        match pieces.last_mut() {
            Some(piece) if bytes + length <= sizes.page_bytes_max => {
                bytes += length;
                piece.push(item);
            }
            _ => {
                bytes = length;
                pieces.push(vec![item]);
            }
        }
    }
    pieces.into_iter()
}

#[cfg(test)]
mod tests;
