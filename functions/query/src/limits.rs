//! Bounds on what a request may be, beside the tenant's [`model::Limits`].

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
/// Answers smaller than this are sent uncompressed: they fit into one packet.
pub const COMPRESSED_BYTES_MIN: u64 = 1024;
/// Samples one remote read query may return (Prometheus `storage.remote.read-sample-limit`).
pub const READ_SAMPLES_MAX: usize = 50_000_000;
/// Bytes of one frame of a streamed remote read (Prometheus `storage.remote.read-max-bytes-in-frame`).
pub const READ_FRAME_BYTES_MAX: usize = 1 << 20;
/// Bytes of a remote read request, compressed and decompressed (Prometheus: 32 MiB).
pub const READ_REQUEST_BYTES_MAX: usize = 32 << 20;
