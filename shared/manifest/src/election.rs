//! Whose samples are taken in where replicas send the same: one record per tenant and cluster names the replica elected (docs/0021).
//!
//! ```text
//! A ━━━━━━━━━━━━━━━━┓           A stops; B is covered until A was silent for the failover timeout
//! B ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┏━━━━  B claims, stores, confirms; what A still holds of the time before is A's
//!                   └gap──┘
//! ```
//! Owns: the record, and what follows from it for a request, purely. [`Elections`] keeps and changes it.
//!
//! **E1** what is covered, and so answered without being stored, was sent within the failover timeout of a request that was stored of
//! the elected replica, and is no further ahead of that one's samples than the greatest lag. Only what is stored confirms an
//! election, and what opens a term is acknowledged only with its confirmation. **E2** while processes' clocks differ by less than failover and update timeout do, one replica is taken at a time.

mod elections;

use std::time::Duration;

use bytes::Bytes;
use model::limits::ElectionLimits;
use model::{TenantId, TimeRangeMs, TimestampMs};

use crate::codec::{Kind, Reader, Reason, Writer};

pub use elections::{Denied, Elections, Mandate, Outcome};

/// What a replica wants to have stored.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'c> {
    /// Whose it is.
    pub tenant: &'c TenantId,
    /// What it is a replica of.
    pub cluster: &'c str,
    /// Its name.
    pub replica: &'c str,
    /// Its oldest sample.
    pub oldest: TimestampMs,
    /// Its newest sample.
    pub newest: TimestampMs,
}

/// The record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Election {
    /// The replica elected.
    replica: String,
    /// When it claimed to be.
    since: TimestampMs,
    /// The oldest sample it claimed with, while nothing says that this was stored: it may have died with its claim.
    claims: Option<TimestampMs>,
    /// What was stored of its term.
    stored: Option<Stored>,
    /// What lies before its term.
    before: Before,
}

/// The last of a replica that was stored, as far as the record was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stored {
    /// When it was received.
    at: TimestampMs,
    /// Its newest sample, of which none counts as later than it was received.
    newest: TimestampMs,
}

/// The time before a term: a replica that was cut off sends what it kept, and nobody else has it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Before {
    /// Who was elected, if it was another: what it kept is taken. `None`: what anybody else kept since `stored`, and of before `from`.
    replica: Option<String>,
    /// The oldest sample of its term.
    from: TimestampMs,
    /// The newest sample stored of it.
    stored: TimestampMs,
    /// The oldest sample of the term that follows.
    until: TimestampMs,
}

/// Times of the samples that are to be stored: those before an end but those of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    end: TimestampMs,
    but: TimeRangeMs,
}

impl Share {
    /// Reports whether a sample is to be stored.
    pub fn has(&self, at: TimestampMs) -> bool {
        at < self.end && !(self.but.start <= at && at < self.but.end)
    }

    /// Reports whether any sample may be, of a replica that has some from `oldest` to `newest`.
    fn has_any(&self, oldest: TimestampMs, newest: TimestampMs) -> bool {
        let after = self.but.end < self.end && newest >= self.but.end;
        oldest < self.end && (oldest < self.but.start || after)
    }
}

/// What follows for a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// It is of the replica elected.
    Take(Share),
    /// Samples of the time before the term are stored, the others are covered.
    TakeBefore(Share),
    /// The one elected stores, or stored, what this one brings.
    Cover,
    /// Nobody is elected any more: this one may be.
    Claim,
    /// Somebody has claimed and stored nothing yet, as far as is known: neither to be stored nor covered.
    Wait,
}

impl Election {
    /// Returns the election that a candidate claims, after what is on record.
    fn claimed(previous: Option<&Election>, candidate: &Candidate<'_>, now: TimestampMs, limits: &ElectionLimits) -> Election {
        let (since, claims) = (now, Some(candidate.oldest));
        if let Some(term) = previous.filter(|previous| previous.goes_on_with(candidate, limits)) {
            return Election { since, claims, ..term.clone() };
        }
        let before = previous.map_or_else(|| Before::of_nobody(candidate.oldest), |previous| previous.before_term_of(candidate));
        Election { replica: candidate.replica.to_owned(), since, claims, stored: None, before }
    }

    /// Reports whether a candidate goes on where its own term stopped. The record does not know the last that was stored: a gap that a
    /// failover may leave is none.
    fn goes_on_with(&self, candidate: &Candidate<'_>, limits: &ElectionLimits) -> bool {
        let is_near = |stored: Stored| candidate.oldest <= stored.newest.plus(limits.failover);
        self.replica == candidate.replica && self.stored.is_some_and(is_near)
    }

    /// Returns what lies before the term of the candidate that follows this one.
    fn before_term_of(&self, candidate: &Candidate<'_>) -> Before {
        let (last, from, stored) = match self.stored {
            Some(stored) => (Some(&self.replica), self.before.until, stored.newest),
            // A claim that nothing came of.
            None => (self.before.replica.as_ref(), self.before.from, self.before.stored),
        };
        let replica = last.filter(|last| *last != candidate.replica).cloned();
        Before { replica, from, stored, until: candidate.oldest.max(stored) }
    }

    /// Returns it with what was stored at a time: the elected one lives.
    fn confirmed(&self, at: TimestampMs, newest: TimestampMs) -> Election {
        let newest = newest.min(at).max(self.before.stored);
        let stored =
            self.stored.map_or(Stored { at, newest }, |last| Stored { at: at.max(last.at), newest: newest.max(last.newest) });
        Election { claims: None, stored: Some(stored), ..self.clone() }
    }

    /// Reports whether a process that stored up to a sample should say so: nobody heard of the replica for an update timeout, or its
    /// samples went on by as much.
    fn is_old(&self, newest: TimestampMs, silent: Duration, update: Duration) -> bool {
        let is_old = |stored: Stored| silent >= update || newest >= stored.newest.plus(update);
        self.confirmed_last().is_none_or(is_old)
    }

    /// Returns what was stored last, unless there is a claim that may have come to nothing.
    fn confirmed_last(&self) -> Option<Stored> {
        self.stored.filter(|_| self.claims.is_none())
    }

    /// Returns when it was last heard of the replica.
    fn heard_at(&self) -> TimestampMs {
        self.confirmed_last().map_or(self.since, |stored| stored.at)
    }

    /// Decides about a candidate. `silent` is how long nothing was heard of the one elected.
    fn judge(&self, candidate: &Candidate<'_>, silent: Duration, now: TimestampMs, limits: &ElectionLimits) -> Verdict {
        let own = self.replica == candidate.replica;
        if !own && self.stored.is_some_and(|stored| candidate.newest <= stored.newest) {
            return self.of_others(candidate);
        }
        // One that catches up brings more than the greatest lag at once: it goes on where it stopped.
        let reached = if own { candidate.oldest } else { candidate.newest };
        match self.is_lapsed(reached.min(now), silent, limits) {
            true => Verdict::Claim,
            false if own && self.lacks_begin(candidate) => Verdict::Wait,
            false if own => Verdict::Take(self.own()),
            false => self.of_others(candidate),
        }
    }

    /// Reports whether a candidate has not, or not any more, what the claim was made with, and nothing says that it was stored: it may have
    /// restarted, and what lies between would be covered by nothing. It claims again once the claim has lapsed.
    fn lacks_begin(&self, candidate: &Candidate<'_>) -> bool {
        self.claims.is_some_and(|oldest| candidate.oldest > oldest)
    }

    /// Reports whether the one elected is gone, or so far behind that too little would be there if it went now.
    fn is_lapsed(&self, reached: TimestampMs, silent: Duration, limits: &ElectionLimits) -> bool {
        match self.confirmed_last() {
            Some(stored) => silent >= limits.failover || reached >= stored.newest.plus(limits.lag_max()),
            None => silent >= limits.update,
        }
    }

    /// Returns what is stored of the one elected: all but what was stored of another.
    fn own(&self) -> Share {
        let of_another = if self.before.replica.is_some() { self.before.stored.0.saturating_add(1) } else { self.before.from.0 };
        let but = TimeRangeMs::new(self.before.from, TimestampMs(of_another).max(self.before.from));
        Share { end: TimestampMs(i64::MAX), but }
    }

    fn of_others(&self, candidate: &Candidate<'_>) -> Verdict {
        let end = self.before.until;
        let but = match &self.before.replica {
            Some(replica) if replica == candidate.replica => TimeRangeMs::new(end, end),
            Some(_) => TimeRangeMs::new(TimestampMs(i64::MIN), end),
            // Elected twice in a row: what it stored in its first term is there, what others kept of before and since is nobody else's.
            None => TimeRangeMs::new(self.before.from, TimestampMs(self.before.stored.0.saturating_add(1))),
        };
        let share = Share { end, but };
        let is_there = |stored: Stored| self.claims.is_none() || candidate.newest <= stored.newest;
        let is_covered = self.stored.is_some_and(is_there);
        match share.has_any(candidate.oldest, candidate.newest) {
            true if candidate.newest < end || is_covered => Verdict::TakeBefore(share),
            false if is_covered => Verdict::Cover,
            _ => Verdict::Wait,
        }
    }

    fn encode(&self) -> Bytes {
        let mut out = Writer::new(Kind::Election);
        out.bytes(self.replica.as_bytes());
        out.time(self.since);
        out.time_if(self.stored.map(|stored| stored.at));
        out.time_if(self.stored.map(|stored| stored.newest));
        // A label has no empty value.
        out.bytes(self.before.replica.as_deref().unwrap_or_default().as_bytes());
        out.time(self.before.from);
        out.time(self.before.stored);
        out.time(self.before.until);
        if let Some(oldest) = self.claims {
            out.time(oldest);
        }
        out.finish()
    }

    pub(crate) fn decode(record: &Bytes) -> Result<Election, Reason> {
        let mut from = Reader::open_as(record, Kind::Election)?;
        let (replica, since) = (from.text()?, from.time()?);
        let stored = from.time_if()?.zip(from.time_if()?).map(|(at, newest)| Stored { at, newest });
        let before = Before {
            replica: Some(from.text()?).filter(|replica| !replica.is_empty()),
            from: from.time()?,
            stored: from.time()?,
            until: from.time()?,
        };
        let claims = match from.is_finished() {
            false => Some(from.time()?),
            // As claims were recorded once.
            true => stored.is_none().then_some(before.until),
        };
        from.finish()?;
        Ok(Election { replica, since, claims, stored, before })
    }
}

impl Before {
    /// Nobody was elected: what the others have of the time before is taken.
    fn of_nobody(until: TimestampMs) -> Before {
        let always = TimestampMs(i64::MIN);
        Before { replica: None, from: always, stored: always, until }
    }
}

#[cfg(test)]
mod tests;
