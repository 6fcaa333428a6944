//! The two ports to durable state: objects (immutable blobs) and records (small items, conditional writes).
//!
//! Owns: the traits, their implementations (local disk, S3; embedded, DynamoDB; memory twins of both), every object key
//! and record key. Does not own: what a record means (`manifest`), what an object holds (`segment`).

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod aws;
pub mod error;
pub mod keys;
pub mod objects;
pub mod records;
pub mod retry;

pub use error::{Error, Result};
pub use objects::Objects;
pub use records::{Cas, Delete, Put, Record, RecordKey, RecordStore, Records};
pub use retry::{Retry, RetryPolicy};
