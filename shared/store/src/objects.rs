//! Port 1, objects: immutable blobs behind `object_store::ObjectStore`.
//!
//! Owns: the constructors and the counting wrapper; one module per implementation. An object is durable once its put
//! is answered (W1), in every implementation but memory.

pub mod counted;
pub mod local;
pub mod retried;
pub mod s3;

use crate::{Result, Retry};
use std::path::Path;
use std::sync::Arc;

pub use counted::{Counters, ObjectCounts};
pub use object_store::{
    Error as ObjectError, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    path::Path as ObjectPath,
};
pub use s3::{S3Config, ServerFailure};

/// An object store, shared.
pub type Objects = Arc<dyn ObjectStore>;

/// Opens a directory as an object store, making it if absent. Puts are atomic and fsync'd.
pub fn local(directory: &Path) -> Result<Objects> {
    Ok(Arc::new(local::LocalObjects::open(directory)?))
}

/// Makes an object store that forgets everything with the process.
pub fn memory() -> Objects {
    Arc::new(object_store::memory::InMemory::new())
}

/// Makes a client of an S3 bucket that repeats nothing; see [`retried`].
pub fn s3(config: S3Config, aws: &crate::aws::AwsConfig) -> Objects {
    Arc::new(s3::S3Objects::new(config, aws))
}

/// Wraps a store that repeats nothing itself, so that its passing failures are repeated.
pub fn retried(objects: Objects, retry: Retry) -> Objects {
    Arc::new(retried::RetriedObjects::new(objects, retry))
}

/// Wraps a store so that its requests and bytes are counted.
pub fn counted(objects: Objects) -> (Objects, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    (Arc::new(counted::CountedObjects::new(objects, counters.clone())), counters)
}
