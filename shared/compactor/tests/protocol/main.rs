//! The compactor over stores that fail or lose their answers at every call: nothing visible is lost or doubled, and what each
//! kind of job costs is exact.
#![allow(clippy::unwrap_used)]

mod coarse;
mod crash;
mod kinds;
mod measure;
mod metamorphic;
mod replicas;
mod runs;
mod switch;
mod world;
