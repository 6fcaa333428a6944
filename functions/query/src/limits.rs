//! Bounds on what a request may be, beside the tenant's [`model::Limits`].

use std::time::Duration;

/// Bytes of a URL's query; a request line beyond 64 KiB is refused before it gets here.
pub const URL_BYTES_MAX: usize = 1 << 18;
/// Bytes of a form: a query text of 131,072 bytes percent-encoded threefold, and many `match[]` beside it.
pub const FORM_BYTES_MAX: usize = 2 << 20;
/// Bytes of an answer that are written at once: enough for gzip and the socket, little beside a query's memory.
pub const PIECE_BYTES: usize = 64 << 10;
/// Requests that may wait for a free place per place; more answer 429 at once (Loki: 2,048 in all).
pub const WAITING_PER_PLACE: usize = 32;
/// Series a look-up returns at most; Grafana asks for 40,000 names.
pub const LOOKUP_MAX: usize = 1_000_000;
/// Warnings, and infos, that an answer lists (Prometheus: 10 of each, and how many more there were).
pub const ANNOTATIONS_MAX: usize = 10;
/// Answers smaller than this are sent uncompressed: they fit into one packet.
pub const COMPRESSED_BYTES_MIN: u64 = 1024;
/// Samples one remote read query may return (Prometheus `storage.remote.read-sample-limit`).
pub const READ_SAMPLES_MAX: usize = 50_000_000;
/// Bytes of one frame of a streamed remote read (Prometheus `storage.remote.read-max-bytes-in-frame`).
pub const READ_FRAME_BYTES_MAX: usize = 1 << 20;
/// Bytes of a remote read request, compressed and decompressed (Prometheus: 32 MiB).
pub const READ_REQUEST_BYTES_MAX: usize = 32 << 20;
/// Bytes of pushed entries that may wait for one tail; its pipeline is far faster than a network.
pub const LIVE_BYTES_MAX: usize = 32 << 20;
/// Entries a tail holds until their time has come; more come from clocks that run ahead, or all at once.
pub const TAIL_ENTRIES_MAX: usize = 10_000;
/// Entries in one frame of a tail (Loki: 100).
pub const TAIL_FRAME_ENTRIES_MAX: usize = 100;
/// Frames that may wait for a tail's client (Loki: 10); entries beyond are dropped, and named.
pub const TAIL_FRAMES_MAX: usize = 10;
/// Dropped entries named in one frame (Loki: 1,000).
pub const TAIL_DROPPED_MAX: usize = 1_000;
/// Time a tail may last (Loki `tail_max_duration`: 1 h).
pub const TAIL_TIME_MAX: Duration = Duration::from_secs(3_600);
/// Time a client has to take one frame.
pub const TAIL_WRITE_MAX: Duration = Duration::from_secs(30);
/// Bytes a tail's client may say at a time; it has nothing to say.
pub const TAIL_HEARD_BYTES_MAX: usize = 4 << 10;
