//! Foreign protocols to and from the model; response envelopes; error kind to HTTP status.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod canonical;
pub mod compress;
mod crc32c;
pub mod decompress;
pub mod error;
pub mod federation;
pub mod form;
pub mod json_text;
pub mod loki_api;
pub mod loki_push;
pub mod otlp;
pub mod prom_api;
mod protobuf;
pub mod remote_read;
pub mod remote_write;
pub mod status;
pub mod tenant;
pub mod tsdb;
