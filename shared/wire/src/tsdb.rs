//! Blocks of Prometheus's TSDB, as Thanos keeps them too (upstream `tsdb/docs/format`).
//!
//! ```text
//! meta.json ─▶ Meta      what the block covers, Thanos's external labels and resolution
//! index     ─▶ Toc ─▶ Symbols, postings of all series ─▶ SeriesEntry: labels, chunks with their times
//! chunks/N  ─▶ samples   XOR, histograms, float histograms; with start timestamps or without
//! tombstones ─▶ Tombstones: what was deleted and not yet rewritten
//! ```
//! Owns: decoding of bytes that the caller has read: bounded, every checksum verified, no panic.
//! Does not own: files. The caller reads ranges and hands them in, so that a block of any size takes little memory.

pub mod chunk;
mod cursor;
mod error;
pub mod index;
pub mod limits;
mod meta;
mod tombstones;

pub use error::BlockError;
pub use meta::{Meta, Thanos, is_ulid};
pub use tombstones::Tombstones;
