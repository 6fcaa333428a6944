//! Elections as a process knows them, and the record behind each.
//!
//! A warm process decides from what it read or wrote last, and asks the record again at most about every update timeout: the replica
//! elected is taken while that much time has not passed since it was heard of, the others are covered while the record says that
//! it lives. How long it is silent is told by the record's time and by how long the record stands unchanged before this
//! process's eyes, so that a clock that is wrong cannot keep a dead replica elected.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::lock::Mutex as Turn;
use model::limits::ElectionLimits;
use model::{Clock, Nonces, TenantId, TimestampMs};
use store::{Cas, Put, Record, RecordKey, Records, keys};

use super::{Candidate, Election, Share, Verdict};
use crate::limits::{CLUSTER_BYTES_MAX, ELECTION_ATTEMPTS_MAX, ELECTION_KEPT, KNOWN_ELECTIONS_MAX};
use crate::{Error, Result};

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Its share of samples is to be stored; the others are there, or on their way.
    Taken {
        /// Which samples.
        share: Share,
        /// Of the replica elected: to be handed back once they are stored.
        mandate: Option<Mandate>,
    },
    /// The replica elected stores the same: nothing is to be stored.
    Covered {
        /// Its name.
        elected: String,
    },
    /// There is no place for its cluster.
    Denied(Denied),
}

/// Why replicas of a cluster are not taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    /// The tenant has as many clusters as it may.
    #[error("there are {limit} clusters of replicas already, which is the limit")]
    TooManyClusters {
        /// The bound.
        limit: usize,
    },
    /// A record cannot be named like this.
    #[error("the name of a cluster of replicas is {size_bytes} bytes, limit is {limit_bytes}")]
    ClusterTooLong {
        /// Its size.
        size_bytes: usize,
        /// The bound.
        limit_bytes: usize,
    },
}

/// Leave to store what the replica elected sends.
pub struct Mandate {
    place: Arc<Place>,
    key: RecordKey,
    replica: String,
    at: TimestampMs,
    newest: TimestampMs,
    update: Duration,
    /// Whether it was not known that what its replica claimed with is stored.
    opens: bool,
    /// Whether it came with a claim of this request's.
    pub claimed: bool,
}

impl Mandate {
    /// What becomes of a request whose confirmation is not on record, as far as is known.
    fn unconfirmed(&self) -> Result<()> {
        if self.opens { Err(Error::Undecided { cluster: self.key.sort.clone() }) } else { Ok(()) }
    }

    /// Says what becomes of another replica's part of the same request, of which nothing is acknowledged unless what the mandate is for is
    /// stored. `None` where it is of another cluster, too far ahead, or somebody else was elected meanwhile.
    pub fn beside(&self, candidate: &Candidate<'_>, limits: &ElectionLimits) -> Option<Outcome> {
        let election = self.place.reading()?.election;
        if self.key != keys::election(candidate.tenant, candidate.cluster) || election.replica != self.replica {
            return None;
        }
        let stored = election.confirmed(self.at, self.newest);
        match stored.judge(candidate, Duration::ZERO, self.at, limits) {
            Verdict::TakeBefore(share) => Some(Outcome::Taken { share, mandate: None }),
            Verdict::Cover => Some(Outcome::Covered { elected: stored.replica }),
            Verdict::Take(_) | Verdict::Claim | Verdict::Wait => None,
        }
    }
}

impl fmt::Debug for Mandate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mandate of {} for {}", self.replica, self.key)
    }
}

/// The elections of all tenants. Cheap to clone; the copies share what is known.
#[derive(Clone, Debug)]
pub struct Elections {
    records: Records,
    clock: Arc<dyn Clock>,
    /// Where this process stands in the jitter, from -1 to 1.
    spread: f64,
    places: Arc<Mutex<HashMap<RecordKey, Arc<Place>>>>,
    /// When tenants were found to have as many clusters as they may.
    full: Arc<Mutex<HashMap<TenantId, TimestampMs>>>,
}

/// One cluster, as this process knows it.
#[derive(Debug, Default)]
struct Place {
    known: Mutex<Known>,
    /// Whoever asks or changes the record: one at a time, so that a burst of requests asks once.
    turn: Turn<()>,
}

#[derive(Clone, Debug, Default)]
enum Known {
    #[default]
    Nothing,
    Full {
        since: TimestampMs,
        limit: usize,
    },
    Elected(Reading),
}

/// A record as read or written.
#[derive(Clone, Debug)]
struct Reading {
    election: Election,
    version: u64,
    /// When this version was first seen.
    seen_at: TimestampMs,
    /// When it was last seen.
    read_at: TimestampMs,
}

impl Place {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> Option<Reading> {
        match &*self.known() {
            Known::Elected(reading) => Some(reading.clone()),
            _ => None,
        }
    }

    /// Keeps what was read, and since when it stands.
    fn keep(&self, election: Election, version: u64, read_at: TimestampMs) -> Reading {
        let same = self.reading().filter(|known| known.version == version && known.election == election);
        let reading = Reading { election, version, seen_at: same.map_or(read_at, |known| known.seen_at.min(read_at)), read_at };
        *self.known() = Known::Elected(reading.clone());
        reading
    }
}

impl Reading {
    /// Returns how long nothing was heard of the replica elected.
    fn silent(&self, now: TimestampMs) -> Duration {
        since(self.election.heard_at(), now).max(since(self.seen_at, now))
    }

    fn judge(&self, candidate: &Candidate<'_>, now: TimestampMs, limits: &ElectionLimits) -> Verdict {
        self.election.judge(candidate, self.silent(now), now, limits)
    }
}

fn since(then: TimestampMs, now: TimestampMs) -> Duration {
    Duration::from_millis(u64::try_from(now.0.saturating_sub(then.0)).unwrap_or(0))
}

/// Reports whether what was learnt then may still be relied on; a clock that was set back does not tell.
fn is_fresh(then: TimestampMs, now: TimestampMs, update: Duration) -> bool {
    then <= now && since(then, now) < update
}

impl Elections {
    /// Makes the elections over a record store; none is known yet.
    pub fn new(records: Records, clock: Arc<dyn Clock>, nonces: &Nonces) -> Elections {
        let spread = nonces.next() as u32 as f64 / f64::from(u32::MAX) * 2.0 - 1.0;
        Elections { records, clock, spread, places: Arc::default(), full: Arc::default() }
    }

    /// Says what becomes of a request.
    ///
    /// # Errors
    /// `Undecided` where somebody claimed to be elected and stored nothing yet, `Store` where the record cannot be read or
    /// changed: the request is neither stored nor covered, and to be sent again.
    pub async fn decide(&self, candidate: &Candidate<'_>, limits: &ElectionLimits) -> Result<Outcome> {
        let size_bytes = candidate.cluster.len();
        if size_bytes > CLUSTER_BYTES_MAX {
            return Ok(Outcome::Denied(Denied::ClusterTooLong { size_bytes, limit_bytes: CLUSTER_BYTES_MAX }));
        }
        let case =
            Case { key: keys::election(candidate.tenant, candidate.cluster), candidate, limits, update: self.update(limits) };
        let place = self.place(&case.key);
        if let Some(outcome) = case.at_hand(&place, self.clock.now()) {
            return Ok(outcome);
        }
        let _turn = place.turn.lock().await;
        if let Some(outcome) = case.at_hand(&place, self.clock.now()) {
            return Ok(outcome);
        }
        for _ in 0..ELECTION_ATTEMPTS_MAX {
            if let Some(outcome) = self.ask(&case, &place).await? {
                return Ok(outcome);
            }
        }
        Err(case.undecided())
    }

    /// Notes that what a mandate was given for is stored. Where that fails, the next request notes it, unless this one opens a term.
    ///
    /// # Errors
    /// Where it opens a term and that is not on record. Nobody else knows that the term begins with it, so it is to be sent again.
    pub async fn stored(&self, mandate: Mandate) -> Result<()> {
        let newest = mandate.newest.min(mandate.at);
        let is_due = |reading: &Reading| {
            let Reading { election, .. } = reading;
            election.replica == mandate.replica && election.is_old(newest, reading.silent(self.clock.now()), mandate.update)
        };
        if mandate.place.reading().is_some_and(|reading| !is_due(&reading)) {
            return Ok(());
        }
        let _turn = mandate.place.turn.lock().await;
        let Some(reading) = mandate.place.reading() else { return mandate.unconfirmed() };
        if !is_due(&reading) {
            return Ok(());
        }
        let (election, now) = (reading.election.confirmed(mandate.at, newest), self.clock.now());
        match self.records.cas_update(&mandate.key, reading.version, election.encode()).await {
            Ok(Cas::Updated) => {
                mandate.place.keep(election, reading.version + 1, now);
                Ok(())
            }
            Ok(Cas::Stale) => {
                *mandate.place.known() = Known::Nothing;
                mandate.unconfirmed()
            }
            Err(error) => {
                *mandate.place.known() = Known::Nothing;
                tracing::warn!(key = %mandate.key, error = &error as &dyn std::error::Error, "an election was not confirmed");
                mandate.unconfirmed()
            }
        }
    }

    /// Returns how old what is known may be for this process.
    fn update(&self, limits: &ElectionLimits) -> Duration {
        let jitter = limits.update_jitter.as_secs_f64() * self.spread;
        Duration::try_from_secs_f64(limits.update.as_secs_f64() + jitter).unwrap_or(limits.update)
    }

    fn place(&self, key: &RecordKey) -> Arc<Place> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= KNOWN_ELECTIONS_MAX && !places.contains_key(key) {
            places.clear();
        }
        Arc::clone(places.entry(key.clone()).or_default())
    }

    /// Asks the record once; `None` where somebody else changed it meanwhile.
    async fn ask(&self, case: &Case<'_>, place: &Arc<Place>) -> Result<Option<Outcome>> {
        let read_at = self.clock.now();
        let Some(record) = self.records.get(&case.key).await.map_err(failed("read election"))? else {
            return self.found(case, place).await;
        };
        let reading = place.keep(case.decode(&record)?, record.version, read_at);
        let now = self.clock.now();
        match reading.judge(case.candidate, now, case.limits) {
            Verdict::Claim => self.claim(case, place, &reading, now).await,
            verdict => case.outcome(verdict, &reading.election, place, now).map(Some),
        }
    }

    /// Elects the first replica of a cluster nobody heard of.
    async fn found(&self, case: &Case<'_>, place: &Arc<Place>) -> Result<Option<Outcome>> {
        let now = self.clock.now();
        if let Some(limit) = case.limits.clusters_max
            && self.is_full(case, limit, now).await?
        {
            *place.known() = Known::Full { since: now, limit };
            return Ok(Some(Outcome::Denied(Denied::TooManyClusters { limit })));
        }
        let election = Election::claimed(None, case.candidate, now, case.limits);
        match self.records.put_if_absent(&case.key, election.encode()).await.map_err(failed("found election"))? {
            Put::Written => Ok(Some(case.won(place.keep(election, 1, now), place, now))),
            Put::Exists => Ok(None),
        }
    }

    async fn claim(&self, case: &Case<'_>, place: &Arc<Place>, lapsed: &Reading, now: TimestampMs) -> Result<Option<Outcome>> {
        let election = Election::claimed(Some(&lapsed.election), case.candidate, now, case.limits);
        match self.records.cas_update(&case.key, lapsed.version, election.encode()).await.map_err(failed("claim election"))? {
            Cas::Updated => {
                let (from, to) = (&lapsed.election.replica, &election.replica);
                tracing::info!(key = %case.key, %from, %to, "a replica is elected");
                Ok(Some(case.won(place.keep(election, lapsed.version + 1, now), place, now)))
            }
            Cas::Stale => Ok(None),
        }
    }

    /// Reports whether a tenant has as many clusters as it may. Once it has, none is counted for an update timeout, however many it names.
    async fn is_full(&self, case: &Case<'_>, limit: usize, now: TimestampMs) -> Result<bool> {
        let tenant = case.candidate.tenant;
        let found_full = self.full().get(tenant).copied();
        if found_full.is_some_and(|at| is_fresh(at, now, case.update)) {
            return Ok(true);
        }
        let is_full = self.clusters(tenant, now).await? >= limit;
        if is_full {
            let mut full = self.full();
            if full.len() >= KNOWN_ELECTIONS_MAX {
                full.clear();
            }
            full.insert(tenant.clone(), now);
        }
        Ok(is_full)
    }

    fn full(&self) -> MutexGuard<'_, HashMap<TenantId, TimestampMs>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the tenant's clusters that were heard of lately.
    async fn clusters(&self, tenant: &TenantId, now: TimestampMs) -> Result<usize> {
        let partition = keys::election_partition(tenant);
        let records = self.records.query_prefix(&partition, "").await.map_err(failed("count elections"))?;
        let heard_at = |record: &Record| Election::decode(&record.value).map_or(now, |election| election.heard_at());
        Ok(records.iter().filter(|record| since(heard_at(record), now) < ELECTION_KEPT).count())
    }
}

/// A request to be decided about.
struct Case<'c> {
    candidate: &'c Candidate<'c>,
    limits: &'c ElectionLimits,
    key: RecordKey,
    update: Duration,
}

impl Case<'_> {
    /// Decides from what is known, where that is new enough.
    fn at_hand(&self, place: &Arc<Place>, now: TimestampMs) -> Option<Outcome> {
        let known = place.known().clone();
        let reading = match known {
            Known::Nothing => return None,
            Known::Full { since: full, limit } => {
                return is_fresh(full, now, self.update).then_some(Outcome::Denied(Denied::TooManyClusters { limit }));
            }
            Known::Elected(reading) => reading,
        };
        let verdict = reading.judge(self.candidate, now, self.limits);
        let is_new = match verdict {
            // Nobody else can have been elected before the failover timeout, which is longer; only where this one lags, and then both are
            // stored for that long.
            Verdict::Take(_) => reading.silent(now) < self.update,
            Verdict::TakeBefore(_) | Verdict::Cover => is_fresh(reading.read_at, now, self.update),
            Verdict::Claim | Verdict::Wait => false,
        };
        if is_new { self.outcome(verdict, &reading.election, place, now).ok() } else { None }
    }

    fn outcome(&self, verdict: Verdict, election: &Election, place: &Arc<Place>, now: TimestampMs) -> Result<Outcome> {
        match verdict {
            Verdict::Take(share) => Ok(Outcome::Taken { share, mandate: Some(self.mandate(place, election, now, false)) }),
            Verdict::TakeBefore(share) => Ok(Outcome::Taken { share, mandate: None }),
            Verdict::Cover => Ok(Outcome::Covered { elected: election.replica.clone() }),
            Verdict::Claim | Verdict::Wait => Err(self.undecided()),
        }
    }

    fn won(&self, reading: Reading, place: &Arc<Place>, now: TimestampMs) -> Outcome {
        Outcome::Taken { share: reading.election.own(), mandate: Some(self.mandate(place, &reading.election, now, true)) }
    }

    fn mandate(&self, place: &Arc<Place>, election: &Election, at: TimestampMs, claimed: bool) -> Mandate {
        let (replica, newest) = (self.candidate.replica.to_owned(), self.candidate.newest);
        let (place, key, update, opens) = (Arc::clone(place), self.key.clone(), self.update, election.claims.is_some());
        Mandate { place, key, replica, at, newest, update, opens, claimed }
    }

    fn decode(&self, record: &Record) -> Result<Election> {
        Election::decode(&record.value).map_err(|reason| Error::Corrupt { key: self.key.to_string(), reason })
    }

    fn undecided(&self) -> Error {
        Error::Undecided { cluster: self.candidate.cluster.to_owned() }
    }
}

fn failed(step: &'static str) -> impl Fn(store::Error) -> Error {
    move |source| Error::Store { step, source }
}
