//! What the records of a window say, live or not, for tools that look at them. No request of a write, a query
//! or a compaction comes here.

use super::Manifest;
use super::heads::Lists;
use super::read::PlacedHead;
use crate::item::ItemRecord;
use crate::{DeadObject, Part, Result};
use model::{Resolution, SegmentId, Signal, TenantId, TimestampMs};
use store::keys::Window;

/// Everything recorded under one window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WindowRecords {
    /// The hour, day or month.
    pub window: Window,
    /// L0 ids of an hour: the item, or none where the id was burnt.
    pub items: Vec<(SegmentId, Option<Part>)>,
    /// Its heads, by resolution.
    pub heads: Vec<HeadRecords>,
}

/// A head with what its pages hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadRecords {
    /// The resolution of its parts.
    pub resolution: Resolution,
    /// Pages that its lists spilled into.
    pub pages: u64,
    /// Grows when ids are forgotten or outputs burnt.
    pub generation: u64,
    /// When parts were last published.
    pub published_at: TimestampMs,
    /// Merged parts of a sealed hour only roll into the day.
    pub sealed: bool,
    /// Owner and end of the lease. A hint.
    pub lease: Option<(u64, TimestampMs)>,
    /// Live parts.
    pub parts: Vec<Part>,
    /// Ids one level below that must not be read any more, each with the moment it was replaced.
    pub replaced: Vec<(SegmentId, TimestampMs)>,
    /// Objects no snapshot from now on can name.
    pub dead: Vec<DeadObject>,
}

impl Manifest {
    /// Returns what is recorded under a window, items before heads. While others write it is of no single moment.
    pub async fn window_records(&self, tenant: &TenantId, signal: Signal, window: Window) -> Result<WindowRecords> {
        let items = match window {
            Window::Hour(hour) => self.item_records(tenant, signal, hour).await?,
            Window::Day(_) | Window::Month(_) => Vec::new(),
        };
        let live = |item: ItemRecord| item.into_live();
        let items = items.into_iter().map(|(id, _, item)| (id, live(item))).collect();
        let heads = self.heads(tenant, signal, window, true, Lists::All).await?;
        let heads = heads.into_iter().map(HeadRecords::of).collect();
        Ok(WindowRecords { window, items, heads })
    }
}

impl HeadRecords {
    fn of(placed: PlacedHead) -> HeadRecords {
        let PlacedHead { resolution, pages, head, .. } = placed;
        HeadRecords {
            resolution,
            pages,
            generation: head.generation,
            published_at: head.published_at,
            sealed: head.sealed,
            lease: head.lease,
            parts: head.parts,
            replaced: head.replaced.into_iter().map(|replaced| (replaced.id, replaced.at)).collect(),
            dead: head.dead,
        }
    }
}
