//! Deletion requests: what was asked for, and to which parts it applies.
//!
//! A deletion is one record beside the catalog's days. A reader leaves matching rows out from the moment the record exists;
//! compaction rewrites the parts one by one without them and notes in each output which deletions it has seen through
//! ([`crate::Part::applied`]); when no part lacks it the deletion is finished, and its record is removed an hour later.
//!
//! **The rule** ([`Deletion::applies_to`]): a deletion applies to a part that overlaps it and does not list it as applied. A part
//! of level 0 must also have been begun no later than the request: what is written afterwards stays, as in Prometheus. A
//! finished deletion applies to no merged part begun more than [`FINISHED_SLACK`] after it was finished.
//!
//! **What a compaction owes.** It plans on [`crate::Manifest::snapshot_to_merge`], leaves out of each input exactly the rows of
//! [`crate::Snapshot::deletions_for`] that input, and writes [`crate::Snapshot::applied`] into each output.
//!
//! **Why that is exact**, case by case:
//! - *Requested after the compaction read the deletions.* It read them last, so that all its inputs were committed before the
//!   request: the output lacks the id, and the deletion rightly applies to the whole of it. (Read first, as queries do, a row
//!   written after the request could lie in an output that lacks the id, and be lost.)
//! - *Requested between the catalog read and the last read of a query.* The query does not see it: it was concurrent.
//! - *Inputs old and new merge.* Old ones lose their rows, new ones keep theirs, and the output lists the id, so that the new
//!   rows stay from now on.
//! - *A late writer* (frozen, 10 min deadline, 15 min validity of a signed request) commits an item begun before the request:
//!   the rule hides its rows, the next merge drops them. The record therefore outlives its end by [`DELETION_KEPT`], and is
//!   removed only if a second look finds no part lacking it.
//! - *A compaction of before the request publishes late.* It needs its inputs live until then. They are live at the look that
//!   ends the deletion too, lack it, and hold it open; or the rewrite took them, and it loses.
//! - *Removed between the two reads of a query.* A part may then be published that does not list the id and holds later rows.
//!   The query read the record as finished, at least [`DELETION_KEPT`] before, and that part is younger than
//!   [`FINISHED_SLACK`] after the end: the deletion does not apply to it.
//! - *Finished between the two reads of a query*, which holds it as open: a part published meanwhile lists the id, since outputs
//!   list finished deletions for as long as their records exist. Cancelled ones likewise.
//! - *Cancelled while compactions run.* What they dropped is gone; cancelling promises only what was not rewritten yet. The
//!   record stays as cancelled for [`DELETION_KEPT`], so that a late duplicate of the request cannot bring it back.
//! - *Crash anywhere.* A request, a cancellation and an end are each one conditional change of one record; a rewrite is a
//!   compaction.
//! - *A quarantined part* cannot be rewritten: it holds the deletion open until it is lifted or retention drops it.
//! - *Clocks.* Whether a row written within the clocks' difference of the request is older or younger than it, is left open.

use crate::codec::{Kind, Reader, Reason, Writer};
use crate::limits::{DELETION_KEPT, FINISHED_SLACK};
use crate::{Error, Part, Result};
use bytes::Bytes;
use model::matcher::{MatchOp, Matcher};
use model::{LabelSet, TimeRangeMs, TimestampMs};

/// What somebody wants to be gone: the rows within `range` of the series or streams that all `matchers` accept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeletionRequest {
    /// Times of the rows.
    pub range: TimeRangeMs,
    /// One selector, at least one matcher. Several selectors are several requests.
    pub matchers: Vec<Matcher>,
    /// For logs: the stages behind the selector in LogQL's text (`|= "x" | json | level="error"`); only entries that come out of
    /// them are deleted. The caller has parsed it.
    pub filter: Option<String>,
}

/// A deletion as recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deletion {
    /// Its id.
    pub id: u128,
    /// What is written after this stays.
    pub requested_at: TimestampMs,
    /// What is to be deleted.
    pub request: DeletionRequest,
    /// How far it is.
    pub state: DeletionState,
}

/// How far a deletion is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeletionState {
    /// Applied by readers, on its way through the parts.
    Requested,
    /// No part lacked it at that time. Still applied to what late writers commit.
    Finished(TimestampMs),
    /// Withdrawn at that time: no longer applied.
    Cancelled(TimestampMs),
}

impl Deletion {
    /// Reports whether the part may hold rows that are to be left out: the rule of this module.
    pub fn applies_to(&self, part: &Part) -> bool {
        if !part.stats.time_range.overlaps(self.request.range) || part.applied.contains(&self.id) {
            return false;
        }
        match self.state {
            DeletionState::Cancelled(_) => false,
            _ if part.level == 0 => part.minted_at <= self.requested_at,
            DeletionState::Requested => true,
            DeletionState::Finished(at) => part.minted_at <= at.plus(FINISHED_SLACK),
        }
    }

    /// Reports whether its record has been kept for long enough after it ended.
    pub(crate) fn is_over(&self, now: TimestampMs) -> bool {
        match self.state {
            DeletionState::Requested => false,
            DeletionState::Finished(at) | DeletionState::Cancelled(at) => at.plus(DELETION_KEPT) <= now,
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::new(Kind::Deletion);
        out.bits(self.id);
        out.time(self.requested_at);
        out.time(self.request.range.start);
        out.time(self.request.range.end);
        let (code, at) = match self.state {
            DeletionState::Requested => (0, None),
            DeletionState::Finished(at) => (1, Some(at)),
            DeletionState::Cancelled(at) => (2, Some(at)),
        };
        out.number(code);
        out.time_if(at);
        out.list(&self.request.matchers, |out, matcher| {
            out.bytes(matcher.name().as_bytes());
            out.number(op_code(matcher.op()));
            out.bytes(matcher.value().as_bytes());
        });
        out.number(u64::from(self.request.filter.is_some()));
        if let Some(filter) = &self.request.filter {
            out.bytes(filter.as_bytes());
        }
        out.finish()
    }

    pub(crate) fn decode(record: &Bytes) -> std::result::Result<Deletion, Reason> {
        let mut from = Reader::open_as(record, Kind::Deletion)?;
        let (id, requested_at) = (from.bits()?, from.time()?);
        let range = TimeRangeMs { start: from.time()?, end: from.time()? };
        let state = match (from.number()?, from.time_if()?) {
            (0, None) => DeletionState::Requested,
            (1, Some(at)) => DeletionState::Finished(at),
            (2, Some(at)) => DeletionState::Cancelled(at),
            _ => return Err("unknown state of a deletion"),
        };
        let matchers = from.list(read_matcher)?;
        let filter = if from.flag()? { Some(from.text()?) } else { None };
        from.finish()?;
        Ok(Deletion { id, requested_at, request: DeletionRequest { range, matchers, filter }, state })
    }
}

impl DeletionRequest {
    /// Reports whether it is about a series or stream.
    pub fn selects(&self, labels: &LabelSet) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }

    /// Refuses a request that deletes nothing or everything, or is too large for its record.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |reason| Err(Error::Deletion { reason });
        if self.range.is_empty() {
            return refuse("its time range is empty");
        }
        // As a selector must: otherwise a forgotten matcher would delete everything.
        if self.matchers.iter().all(Matcher::matches_empty) {
            return refuse("it needs at least one matcher that does not accept the empty string");
        }
        Ok(())
    }
}

fn read_matcher(from: &mut Reader) -> std::result::Result<Matcher, Reason> {
    let (name, op, value) = (from.text()?, from.number()?, from.text()?);
    let op = OPS.into_iter().find(|of| op_code(*of) == op).ok_or("unknown matcher")?;
    Matcher::new(&name, op, &value).map_err(|_| "matcher does not compile")
}

const OPS: [MatchOp; 4] = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];

fn op_code(op: MatchOp) -> u64 {
    match op {
        MatchOp::Equal => 0,
        MatchOp::NotEqual => 1,
        MatchOp::Regex => 2,
        MatchOp::NotRegex => 3,
    }
}

#[cfg(test)]
mod tests;
