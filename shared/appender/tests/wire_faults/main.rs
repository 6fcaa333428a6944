//! The write path over the real S3 and DynamoDB clients, with everything between them and the servers that goes wrong in networks
//! and services. Runs where the servers' endpoints are named (`localstack/servers.sh start`), and otherwise says that it was skipped.
//!
//! What a test may not depend on is time: bounds are seen by the number of requests a proxy counted.

#![allow(clippy::unwrap_used)]

mod append;
mod ports;
mod setup;
