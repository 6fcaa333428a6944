//! Packing: the parts of an old day are listed by its month, so that a year is read in a dozen requests.
//!
//! ```text
//! day's record: packed ─▶ (half an hour) ─▶ day's heads sealed ─▶ month's heads adopt their parts ─▶ day's heads let go ─▶ day closed
//! ```
//! No object moves and no part changes: only who lists it. The month is one level above the day, so that the protocol of the
//! levels below holds: what sets a reader on to the month comes first, adopting lists a part above and replaces it below in one
//! step, and the day lets go of it afterwards. Sealing the day's heads keeps others from replacing a part that is being
//! adopted; from then on it is rewritten under its month. A late part rolls into the day as ever, and is adopted the same way.

use super::catalogs::decode_day;
use super::heads::{Decision, Lists, decode_head};
use super::{Manifest, Step};
use crate::Result;
use crate::head::{Change, Head, HeadRecord};
use crate::limits::{PACK_AGE_MIN, ROLL_REST_MIN};
use crate::mutation::Mutation;
use model::{Resolution, SegmentIds, Signal, TenantId, TimestampMs};
use store::Record;
use store::keys::{self, Window};

/// How far [`Manifest::pack_day`] came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packed {
    /// The day is too young, was dropped, or its hours are not cleared yet.
    Early,
    /// Parts were taken over, or something must rest or be collected first; ask again some other time.
    Waiting,
    /// The day is closed: its parts are listed by the month.
    Done,
}

impl Manifest {
    /// Brings a day one step closer to being packed. Idempotent; any step may be repeated, by anybody.
    pub async fn pack_day(&self, tenant: &TenantId, signal: Signal, day: i64) -> Result<Packed> {
        let key = keys::catalog_day(tenant, signal, day);
        let (_, record) = self.day_record(&key).await?;
        let old = Window::Day(day).range().end.plus(PACK_AGE_MIN) <= self.now();
        if !old || record.hours != 0 || record.dropped_at(Resolution::Raw).is_some() {
            return Ok(Packed::Early);
        }
        if record.opened.is_none() {
            return Ok(Packed::Done);
        }
        let heads = self.heads(tenant, signal, Window::Day(day), true, Lists::Visible).await?;
        if heads.iter().any(|placed| placed.head.rollable_from() > self.now()) {
            return Ok(Packed::Waiting);
        }
        for placed in heads.iter().filter(|placed| !placed.head.parts.is_empty()) {
            if !self.adopt(tenant, signal, day, placed.resolution).await? {
                return Ok(Packed::Waiting);
            }
        }
        Ok(if self.close_day(tenant, signal, day).await? { Packed::Done } else { Packed::Waiting })
    }

    /// Lets the month take over the parts of one of a day's heads.
    async fn adopt(&self, tenant: &TenantId, signal: Signal, day: i64, resolution: Resolution) -> Result<bool> {
        let (of_day, month) = (Window::Day(day), Window::Day(day).month());
        let packed_at = self.mark_packed(tenant, signal, day).await?;
        let hasty = self.makes(Mutation::PackWithoutRest);
        if !hasty && packed_at.is_none_or(|at| at.plus(ROLL_REST_MIN) > self.now()) {
            return Ok(false);
        }
        let key = keys::head(tenant, signal, of_day, resolution);
        let seal = |record: &mut HeadRecord| {
            let was = std::mem::replace(&mut record.head.sealed, true);
            if was { Change::Already } else { Change::Write }
        };
        if !self.makes(Mutation::PackWithoutSeal) {
            self.update_head_record(&key, seal).await?;
        }
        // The month's generation is read before the parts: adopting under it takes nothing the month has had and forgotten.
        let above = keys::head(tenant, signal, month, resolution);
        let record = self.records.get(&above).await.step("read head")?;
        let generation = decode_head(&above, record.as_ref())?.head.generation;
        let Some(head) = self.head(&key, Lists::Visible).await? else { return Ok(true) };
        if head.rollable_from() > self.now() {
            return Ok(false);
        }
        let adopt = |month: &mut Head| month.adopt(&head.parts, generation, self.now());
        if self.update_head(&above, Lists::Visible, adopt).await? == Change::Refused {
            return Ok(false);
        }
        let ids: SegmentIds = head.parts.iter().map(|part| part.id).collect();
        self.unlist(&key, &ids).await?;
        Ok(true)
    }

    /// Tells readers to look into the month, and since when they do. A reader that read the catalog before must not miss what
    /// the day lets go of: the month waits for as long as a head rests before it rolls.
    async fn mark_packed(&self, tenant: &TenantId, signal: Signal, day: i64) -> Result<Option<TimestampMs>> {
        let key = keys::catalog_day(tenant, signal, day);
        let (_, before) = self.day_record(&key).await?;
        if before.packed.is_some() {
            return Ok(before.packed);
        }
        let mark = |record: Option<&Record>| {
            let mut day = decode_day(&key, record)?;
            if day.packed.is_some() {
                return Ok(Decision::Stop(Change::Already));
            }
            day.packed = Some(self.now());
            Ok(Decision::Write(day.encode()))
        };
        self.update_record(&key, "mark day as packed", mark).await?;
        Ok(None)
    }
}
