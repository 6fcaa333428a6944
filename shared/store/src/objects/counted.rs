//! Requests and bytes, counted: every answer can say what it cost.

use super::Objects;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Running counts of one wrapped store.
#[derive(Debug, Default)]
pub struct Counters {
    puts: AtomicU64,
    gets: AtomicU64,
    lists: AtomicU64,
    deletes: AtomicU64,
    put_bytes: AtomicU64,
    get_bytes: AtomicU64,
}

/// Counts at one moment; subtract two to know what lay between.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ObjectCounts {
    /// Puts, copies, and parts of multipart uploads.
    pub puts: u64,
    /// Gets and heads.
    pub gets: u64,
    /// Lists begun.
    pub lists: u64,
    /// Objects deleted.
    pub deletes: u64,
    /// Bytes put.
    pub put_bytes: u64,
    /// Bytes the gets asked for and were granted.
    pub get_bytes: u64,
}

impl Counters {
    /// Returns the counts so far.
    pub fn counts(&self) -> ObjectCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ObjectCounts {
            puts: load(&self.puts),
            gets: load(&self.gets),
            lists: load(&self.lists),
            deletes: load(&self.deletes),
            put_bytes: load(&self.put_bytes),
            get_bytes: load(&self.get_bytes),
        }
    }
}

impl ObjectCounts {
    /// Returns what was counted since `earlier`.
    pub fn since(self, earlier: ObjectCounts) -> ObjectCounts {
        ObjectCounts {
            puts: self.puts - earlier.puts,
            gets: self.gets - earlier.gets,
            lists: self.lists - earlier.lists,
            deletes: self.deletes - earlier.deletes,
            put_bytes: self.put_bytes - earlier.put_bytes,
            get_bytes: self.get_bytes - earlier.get_bytes,
        }
    }
}

/// A store that counts what passes through it.
#[derive(Debug)]
pub struct CountedObjects {
    inner: Objects,
    counters: Arc<Counters>,
}

impl CountedObjects {
    /// Wraps a store.
    pub fn new(inner: Objects, counters: Arc<Counters>) -> CountedObjects {
        CountedObjects { inner, counters }
    }
}

impl fmt::Display for CountedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "counted {}", self.inner)
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

#[async_trait]
impl ObjectStore for CountedObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        add(&self.counters.puts, 1);
        add(&self.counters.put_bytes, payload.content_length() as u64);
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        add(&self.counters.puts, 1);
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(CountedUpload { inner, counters: self.counters.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        add(&self.counters.gets, 1);
        let head = options.head;
        let result = self.inner.get_opts(location, options).await?;
        if !head {
            add(&self.counters.get_bytes, result.range.end - result.range.start);
        }
        Ok(result)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let counters = self.counters.clone();
        self.inner.delete_stream(locations).inspect(move |_| add(&counters.deletes, 1)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        add(&self.counters.lists, 1);
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        add(&self.counters.lists, 1);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        add(&self.counters.puts, 1);
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct CountedUpload {
    inner: Box<dyn MultipartUpload>,
    counters: Arc<Counters>,
}

#[async_trait]
impl MultipartUpload for CountedUpload {
    fn put_part(&mut self, data: PutPayload) -> object_store::UploadPart {
        add(&self.counters.puts, 1);
        add(&self.counters.put_bytes, data.content_length() as u64);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        add(&self.counters.puts, 1);
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
