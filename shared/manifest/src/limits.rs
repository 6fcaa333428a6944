//! Bounds and graces of the protocol, with their reasons.

use std::time::Duration;

/// Age at which a write attempt is abandoned: its id may be burnt and its object collected long after this.
pub const ATTEMPT_AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// Time between the first and the last read of a snapshot: `replaced` entries outlive it by far.
pub const SNAPSHOT_TIME_MAX: Duration = Duration::from_secs(60);

/// How long an hour's head must have rested before its parts may roll into the day. A snapshot that read the hour's head
/// before a part was published must not find that part's rows in the day's head: a minute for the snapshot, the rest for
/// a publisher frozen between taking the time and its update, and for clocks that differ.
pub const ROLL_REST_MIN: Duration = Duration::from_secs(30 * 60);

/// How long a replaced id is remembered after its item was last seen: a frozen writer may put the item again for
/// 10 min (its own deadline) + 20 min (a freeze), clocks may differ, and a snapshot may lie between its reads.
pub const REPLACED_KEPT: Duration = Duration::from_secs(40 * 60);

/// Age of an hour, from its end, up to which a process trusts that the catalog's bit it once saw set still is. Later writes
/// stamp the catalog.
pub const HOUR_KNOWN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Age of an hour from which its bit may be cleared: an hour after the last write that trusts it may begin.
pub const CLEAR_AGE_MIN: Duration = Duration::from_secs(25 * 60 * 60);

/// How long a stamp in the catalog covers what is written after it.
pub const STAMP_COVERS: Duration = Duration::from_secs(10 * 60);

/// Age of a stamp from which the bit it protects may be cleared: what it covered has landed, a freeze of 20 min and clocks that
/// differ included.
pub const STAMP_AGE_MIN: Duration = Duration::from_secs(45 * 60);

/// Age of a day, from its end, from which it is packed into its month.
pub const PACK_AGE_MIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Longest query (15 min) + 45 min for freezes and clock skew: a dead object may be deleted after this (M3).
pub const DEAD_GRACE: Duration = Duration::from_secs(60 * 60);

/// Age before an unreferenced object may be taken for an orphan.
pub const ORPHAN_AGE_MIN: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the record of a deletion is kept after its end: a late writer commits within 25 minutes.
pub const DELETION_KEPT: Duration = Duration::from_secs(60 * 60);

/// How long after the end of a deletion a merged part may have been begun and still be one that the look at its end saw: for a
/// finisher frozen between taking the time and its update. Merges that no longer see the record begin [`DELETION_KEPT`]
/// after it.
pub const FINISHED_SLACK: Duration = Duration::from_secs(30 * 60);

/// Deletions of a tenant and signal on record at a time: each snapshot reads them all.
pub const DELETIONS_MAX: usize = 128;

/// Bytes of a deletion's record.
pub const DELETION_BYTES_MAX: usize = 4 * 1024;

/// Parts of a tenant and signal in quarantine at a time: each snapshot reads them all.
pub const QUARANTINED_MAX: usize = 1_000;

/// Bytes kept of the reason for a quarantine.
pub const QUARANTINE_REASON_BYTES_MAX: usize = 256;

/// Bytes of lists that lie in HEAD itself; above it they spill into pages. Each change writes HEAD whole, a kilobyte of it costs
/// a write unit, and a page more costs a reader a request. As much again for each [`HEAD_PAGES_STEP`] pages that there are.
pub const HEAD_INLINE_BYTES_MAX: usize = 64 * 1024;

/// Pages after which they become larger.
pub const HEAD_PAGES_STEP: usize = 256;

/// Bytes of a page.
pub const PAGE_BYTES_MAX: usize = 350 * 1000;

/// Pages of a head: 160 MB in all where each was written as soon as HEAD was full, the objects of 200 writes a second in an hour.
/// Above it `replace` answers a limit error. Their 48 kB of references and the largest lists lie in one record.
pub const HEAD_PAGES_MAX: usize = 1024;

/// How long a page stays after HEAD stopped referencing it: a reader may be between the two. One that takes longer reads HEAD
/// again.
pub const PAGE_GRACE: Duration = Duration::from_secs(30 * 60);

/// Times HEAD is read again because a page of it was gone.
pub const PAGE_ATTEMPTS_MAX: u32 = 4;

/// Times a conditional update of a head is tried again because somebody else changed it.
pub const CAS_ATTEMPTS_MAX: u32 = 16;

/// Times a call with unknown outcome is repeated.
pub const UNKNOWN_OUTCOME_ATTEMPTS_MAX: u32 = 4;

/// Records read at a time by one snapshot.
pub const READS_IN_FLIGHT: usize = 32;

/// Bytes of a part's name filter.
pub const NAME_FILTER_BYTES_MAX: usize = 512;

/// Tenants whose rings a process remembers: a bound on its memory.
pub const KNOWN_RINGS_MAX: usize = 1_000;

/// Hours a process remembers to be set in the catalog: a bound on its memory, not on what can be written.
pub const KNOWN_HOURS_MAX: usize = 100_000;

/// Bytes of the name of a cluster of replicas: it names a record, whose sort key DynamoDB bounds at 1,024.
pub const CLUSTER_BYTES_MAX: usize = 512;

/// Times a claim is tried again because somebody else changed the election; whoever asks is told to come again then.
pub const ELECTION_ATTEMPTS_MAX: u32 = 4;

/// Silence after which a cluster of replicas does not count any more (Mimir forgets it after 30 min, and 30 more).
pub const ELECTION_KEPT: Duration = Duration::from_secs(60 * 60);

/// Elections a process remembers: a bound on its memory.
pub const KNOWN_ELECTIONS_MAX: usize = 10_000;
