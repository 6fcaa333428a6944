//! An object store whose passing failures are repeated, bodies included.
//!
//! A put that overwrites is sent again after any passing failure: the bytes are the same. A conditional one only where the
//! store said that it decided nothing (409), since a condition that fails after a lost answer may be our own first try's
//! doing. Bodies up to [`BODY_BYTES_MAX`] are read within the attempt, so that a slow or torn one is repeated too; larger
//! ones stream. Listings and parts of multipart uploads are not repeated: their callers begin again.

use super::{Objects, s3::ServerFailure};
use crate::error::object_error_kind;
use crate::retry::Retry;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use model::ErrorKind;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Arc;

/// Bytes up to which a body is read within the attempt: what readers hold in memory anyway.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// Deletes under way at a time within one stream.
const DELETES_IN_FLIGHT: usize = 16;

/// Repeats calls by a policy.
#[derive(Clone, Debug)]
pub struct RetriedObjects {
    inner: Objects,
    retry: Arc<Retry>,
}

impl RetriedObjects {
    /// Wraps a store that repeats nothing itself.
    pub fn new(inner: Objects, retry: Retry) -> RetriedObjects {
        RetriedObjects { inner, retry: Arc::new(retry) }
    }

    async fn fetch(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let answer = tokio::time::timeout(self.retry.policy().attempt_max, self.inner.get_opts(location, options));
        let result = answer.await.unwrap_or_else(|_| Err(lost()))?;
        let len = result.range.end - result.range.start;
        if head || len > BODY_BYTES_MAX {
            return Ok(result);
        }
        let GetResult { payload, meta, range, attributes } = result;
        let body = match payload {
            GetResultPayload::Stream(body) => {
                let read = read(body, len);
                tokio::time::timeout(self.retry.policy().attempt_max_of(len), read).await.unwrap_or_else(|_| Err(lost()))?
            }
            // A file of this machine: nothing to repeat.
            file @ GetResultPayload::File(..) => return Ok(GetResult { payload: file, meta, range, attributes }),
        };
        let payload = GetResultPayload::Stream(stream::once(async { Ok(body) }).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    async fn delete_one(&self, location: Path) -> Result<Path> {
        let delete = || self.inner.delete(&location);
        self.retry.run("delete object", self.retry.policy().attempt_max, delete, passes, lost).await?;
        Ok(location)
    }
}

/// Reads a body that must be `len` bytes long.
async fn read(mut body: BoxStream<'static, Result<Bytes>>, len: u64) -> Result<Bytes> {
    let first = body.try_next().await?.unwrap_or_default();
    let bytes = if first.len() as u64 == len {
        first
    } else {
        let mut bytes = BytesMut::with_capacity(len as usize);
        bytes.extend_from_slice(&first);
        while let Some(chunk) = body.try_next().await? {
            bytes.extend_from_slice(&chunk);
        }
        bytes.freeze()
    };
    if bytes.len() as u64 == len {
        return Ok(bytes);
    }
    Err(Error::Generic { store: "retried", source: format!("body is {} of {len} bytes", bytes.len()).into() })
}

fn lost() -> Error {
    Error::Generic { store: "retried", source: "no answer in time".into() }
}

fn passes(error: &Error) -> bool {
    object_error_kind(error) == ErrorKind::Unavailable
}

/// Reports whether a conditional put decided nothing.
fn is_undecided(error: &Error) -> bool {
    ServerFailure::of(error).is_some_and(|failure| failure.status == Some(409))
}

impl fmt::Display for RetriedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for RetriedObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let attempt_max = self.retry.policy().attempt_max_of(payload.content_length() as u64);
        let passes = if options.mode == PutMode::Overwrite { passes } else { is_undecided };
        let put = || self.inner.put_opts(location, payload.clone(), options.clone());
        self.retry.run("put object", attempt_max, put, passes, lost).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        // `fetch` bounds head and body by themselves, the body by its length.
        let attempt_max = self.retry.policy().attempt_max_of(BODY_BYTES_MAX) * 2;
        self.retry.run("get object", attempt_max, || self.fetch(location, options.clone()), passes, lost).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let objects = self.clone();
        let deletes = locations.map(move |location| {
            let objects = objects.clone();
            async move { objects.delete_one(location?).await }
        });
        deletes.buffered(DELETES_IN_FLIGHT).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let attempt_max = self.retry.policy().attempt_max_of(BODY_BYTES_MAX);
        let passes = if options.mode == CopyMode::Overwrite { passes } else { is_undecided };
        self.retry.run("copy object", attempt_max, || self.inner.copy_opts(from, to, options.clone()), passes, lost).await
    }
}
