//! Bounds of the write path, with their reasons.

/// Encoded bytes up to which a segment goes inside the manifest's record: below it one larger record is cheaper than an object
/// and a record (8 write units against 1 plus a PUT), five times faster, and spares every reader a GET.
pub const INLINE_BYTES_MAX: usize = 8 * 1024;

/// Times an id is minted anew because the collector burnt the one before; a second burn of the same content needs a second
/// upload that was abandoned for 24 hours.
pub const REMINTS_MAX: u32 = 4;

/// Times an object is put again after an error that may pass.
pub const PUT_ATTEMPTS_MAX: u32 = 3;

/// Approximate bytes a group may hold before it is written without lingering on.
pub const GROUP_BYTES_MAX: usize = 32 << 20;

/// Approximate bytes all groups may hold together, being written included; above it writes are refused as transient.
pub const HELD_BYTES_MAX: usize = 512 << 20;
