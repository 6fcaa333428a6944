//! Bounds and paces of a run, with their reasons.

use std::time::Duration;

/// Objects read or deleted at a time.
pub const TRANSFERS_IN_FLIGHT: usize = 16;

/// Bytes between two ranges of an object that are read along with them: a request more would take longer. Less where all that lies between
/// were more than is wanted: series of some slots lie apart in every metric.
pub const READ_GAP_BYTES_MAX: u64 = 1 << 20;

/// Bytes between two ranges that are read along with them however little is wanted: some milliseconds of a transfer.
pub const READ_GAP_BYTES_MIN: u64 = 1 << 16;

/// How long a job may hold a window before another compactor tries: longer than a merge takes, or one pass of a job that has several and
/// takes the lease again before each that begins after [`LEASE_RENEWED`].
pub const LEASE: Duration = Duration::from_secs(120);

/// Age at which a job under way takes its lease again: a head is written for it.
pub const LEASE_RENEWED: Duration = Duration::from_secs(60);

/// Time kept free before the end of a run: no job begins later. A job of 256 MiB takes about half of it.
pub const JOB_MARGIN: Duration = Duration::from_secs(60);

/// Time kept free before the end of a run in which a job still under way gives up: its outputs are left to the collector.
pub const STOP_MARGIN: Duration = Duration::from_secs(5);

/// Pace at which an open hour, or one written to not long ago, is looked at, unless it fills faster.
pub const PACE_OPEN: Duration = Duration::from_secs(30);

/// The fastest pace: a look costs some six requests, however little came since the last.
pub const PACE_MIN: Duration = Duration::from_secs(2);

/// A faster pace than this makes a function stay and look again: eight writes a second cost about as much as a function that waits.
pub const PACE_BUSY: Duration = Duration::from_secs(4);

/// Pace at which an hour closed for less than [`RECENT`] is looked at for late data.
pub const PACE_RECENT: Duration = Duration::from_secs(5 * 60);

/// Pace at which anything older is looked at, until its bit in the catalog is cleared.
pub const PACE_OLD: Duration = Duration::from_secs(60 * 60);

/// Pace at which a day is looked at in which nothing changes: whether its coarse copies are there.
pub const PACE_ASLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// How long after its end and its tenant's `merge_replicas_after` a day takes no more data: an attempt to write may be 10 min old, its
/// process frozen for 20, and clocks differ.
pub const CLOSED_MARGIN: Duration = Duration::from_secs(60 * 60);

/// Time before a day's raw data goes in which its replicas are not merged any more: whatever was in the way of that until then, the copies that
/// wait for it are made in time.
pub const COPIES_MARGIN: Duration = Duration::from_secs(12 * 60 * 60);

/// Samples that elections are held over at a time: some 64 MB decoded, 350 pairs of a day at 15 s.
pub const ELECTED_ROWS: u64 = 4 << 20;

/// Pace at which a month's garbage is looked for.
pub const PACE_MONTH: Duration = Duration::from_secs(24 * 60 * 60);

/// Age up to which a closed hour counts as recent.
pub const RECENT: Duration = Duration::from_secs(2 * 60 * 60);

/// Pace at which a window's replaced ids and dead objects are collected: they are kept for half an hour and more.
pub const PACE_COLLECT: Duration = Duration::from_secs(15 * 60);

/// Pace at which the catalog of a tenant without recent data is read.
pub const PACE_IDLE: Duration = Duration::from_secs(5 * 60);

/// Time after its last publication at which a day has no garbage left that is not due: an hour of grace, counted from when
/// its parts may roll, half an hour after they were published.
pub const SETTLED_AFTER: Duration = Duration::from_secs(45 * 60);

/// Time after which something that failed is tried again.
pub const PACE_FAILED: Duration = Duration::from_secs(5 * 60);

/// Pace of retention, whose grain is a day.
pub const PACE_RETAIN: Duration = Duration::from_secs(60 * 60);

/// Pace of the inventory of a tenant: the only LIST there is.
pub const PACE_INVENTORY: Duration = Duration::from_secs(24 * 60 * 60);
