//! An object store that fails before or after the effect, call by call.

use crate::Fault;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use store::Objects;

/// Wraps an object store; each put, get and list takes the next fault of the script.
#[derive(Clone, Debug)]
pub struct FaultyObjects {
    inner: Objects,
    script: Arc<Mutex<VecDeque<Fault>>>,
}

impl FaultyObjects {
    /// Wraps `inner`. Without a script nothing fails.
    pub fn new(inner: Objects) -> FaultyObjects {
        FaultyObjects { inner, script: Arc::default() }
    }

    /// Decides the next calls one by one; after them nothing fails.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.script.lock().expect("no call panics while it holds the lock") = faults.into_iter().collect();
    }

    fn next(&self) -> Fault {
        self.script.lock().expect("no call panics while it holds the lock").pop_front().unwrap_or(Fault::None)
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next() {
            Fault::None => call.await,
            Fault::Before | Fault::CrashBefore => Err(injected()),
            Fault::After | Fault::CrashAfter => {
                let _ = call.await;
                Err(injected())
            }
        }
    }
}

fn injected() -> Error {
    Error::Generic { store: "faulty", source: "injected".into() }
}

impl fmt::Display for FaultyObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.call(self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.call(self.inner.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.call(self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.next() {
            Fault::None => self.inner.list(prefix),
            _ => futures::stream::once(async { Err(injected()) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.call(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.call(self.inner.copy_opts(from, to, options)).await
    }
}
