//! Bounds of the write path, with their reasons.

use std::time::Duration;

/// Encoded bytes up to which a segment goes inside the manifest's record: below it one larger record is cheaper than an object
/// and a record (8 write units against 1 plus a PUT), five times faster, and spares every reader a GET.
pub const INLINE_BYTES_MAX: usize = 8 * 1024;

/// Times an id is minted anew because the collector burnt the one before; a second burn of the same content needs a second
/// upload that was abandoned for 24 hours.
pub const REMINTS_MAX: u32 = 4;

/// Event hours one request may spread over: each is a segment and a record of its own. Six weeks of history a request; a sender of
/// more must send it in several.
pub const HOURS_MAX: usize = 1024;

/// Hours of one request written at a time.
pub const HOURS_IN_FLIGHT: usize = 8;

/// Time from a decoded batch, or a full group, to its acknowledgement: above it the write is answered as failed, while the client, or
/// a function's 30 s, still waits for an answer.
pub const WRITE_TIME_MAX: Duration = Duration::from_secs(20);

/// L0 segments of an hour above which compaction gets a hint (design §7).
pub const BACKLOG_HINTED: u32 = 256;

/// L0 segments of an hour above which writes are grouped where possible.
pub const BACKLOG_GROUPED: u32 = 1024;

/// L0 segments of an hour above which writes are refused as transient: a query of the hour reads each of them.
pub const BACKLOG_REFUSED: u32 = 4096;

/// How long a client should wait for compaction to catch up.
pub const BACKLOG_RETRY_AFTER: Duration = Duration::from_secs(30);

/// How long a client should wait for anything else that passes: a few lingers.
pub const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Hours whose backlog a process remembers: a bound on its memory.
pub const BACKLOG_HOURS_MAX: usize = 10_000;

/// Tenants and signals whose rate a process remembers: a bound on its memory.
pub const RATES_MAX: usize = 10_000;

/// Approximate bytes a group may hold before it is written without lingering on.
pub const GROUP_BYTES_MAX: usize = 32 << 20;

/// Approximate bytes all groups may hold together, being written included; above it writes are refused as transient.
pub const HELD_BYTES_MAX: usize = 512 << 20;
