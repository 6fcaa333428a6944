//! Port 1 as one process sees it, over objects in memory whose age is simulated time.

use super::faults::{Failure, Line};
use super::{Process, Schedule, Witness};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// The objects themselves.
#[derive(Clone, Debug)]
pub struct ObjectShelf {
    schedule: Schedule,
    inner: Arc<InMemory>,
    put_at_ms: Arc<Mutex<BTreeMap<String, i64>>>,
}

impl ObjectShelf {
    /// Makes an empty shelf.
    pub fn new(schedule: Schedule) -> ObjectShelf {
        ObjectShelf { schedule, inner: Arc::default(), put_at_ms: Arc::default() }
    }

    /// Returns an object's bytes.
    pub fn bytes(&self, key: &str) -> Option<Bytes> {
        let result = now(self.inner.get(&Path::from(key))).ok()?;
        now(result.bytes()).ok()
    }

    /// Returns all keys in order, with the true times they were put at, ms.
    pub fn keys(&self) -> BTreeMap<String, i64> {
        self.put_at().clone()
    }

    /// Puts other bytes in an object's place, behind everybody's back.
    pub fn damage(&self, key: &str, bytes: Bytes) {
        now(self.inner.put(&Path::from(key), bytes.into())).expect("memory takes every object");
    }

    /// Returns a view of the shelf that never fails.
    pub fn objects(&self) -> store::Objects {
        self.inner.clone()
    }

    fn put_at(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, i64>> {
        self.put_at_ms.lock().expect("no call panics while it holds the lock")
    }

    fn put(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let result = now(self.inner.put_opts(key, payload, options))?;
        self.put_at().insert(key.to_string(), self.schedule.now().0);
        Ok(result)
    }

    fn get(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        let mut result = now(self.inner.get_opts(key, options))?;
        self.date(&mut result.meta);
        Ok(result)
    }

    /// As S3 does it: deleting what is not there succeeds.
    fn delete(&self, key: &Path) -> Result<Path> {
        self.put_at().remove(key.as_ref());
        match now(self.inner.delete(key)) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(key.clone()),
            Err(error) => Err(error),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let mut found: Vec<ObjectMeta> = now(self.inner.list(prefix).try_collect())?;
        found.iter_mut().for_each(|meta| self.date(meta));
        Ok(found)
    }

    fn date(&self, meta: &mut ObjectMeta) {
        let at_ms = self.put_at().get(meta.location.as_ref()).copied().unwrap_or_default();
        meta.last_modified = (SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms as u64)).into();
    }
}

fn now<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("a store in memory answers at once")
}

/// The objects, behind the faults of one process.
#[derive(Clone)]
pub struct SimulatedObjects {
    line: Line,
    shelf: ObjectShelf,
    witness: Arc<dyn Witness>,
}

impl fmt::Debug for SimulatedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "objects of {:?}", self.line.process)
    }
}

impl fmt::Display for SimulatedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl SimulatedObjects {
    /// Gives a process its view of the shelf.
    pub fn new(process: Process, shelf: ObjectShelf, witness: Arc<dyn Witness>) -> SimulatedObjects {
        SimulatedObjects { line: Line { process }, shelf, witness }
    }

    async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        key: &Path,
        is_write: bool,
        effect: impl Fn(&SimulatedObjects, &Path) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let (of, here) = (key.clone(), self.clone());
        let effect = move || {
            let outcome = effect(&here, &of);
            let name = if outcome.is_ok() { "done" } else { "refused" };
            (outcome, name)
        };
        self.line.call(what, [key.as_ref(), ""], is_write, effect).await.unwrap_or_else(|failure| {
            let said = if failure == Failure::Unavailable { "503 slow down" } else { "timed out" };
            Err(Error::Generic { store: "simulated", source: said.into() })
        })
    }

    fn put_now(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let bytes: Bytes = payload.clone().into();
        let before = self.shelf.bytes(key.as_ref());
        let result = self.shelf.put(key, payload, options)?;
        self.witness.object_put(key.as_ref(), &bytes, before.as_ref());
        Ok(result)
    }
}

#[async_trait]
impl ObjectStore for SimulatedObjects {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.call("put object", key, true, move |here, key| here.put_now(key, payload.clone(), options.clone())).await
    }

    async fn put_multipart_opts(&self, key: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.call("begin upload", key, false, |_, _| Ok(())).await?;
        Ok(Box::new(Upload { objects: self.clone(), key: key.clone(), begun: 0, parts: Arc::default() }))
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        self.call("get object", key, false, move |here, key| here.shelf.get(key, options.clone())).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let here = self.clone();
        keys.then(move |key| {
            let here = here.clone();
            async move {
                let delete = |here: &SimulatedObjects, key: &Path| {
                    let deleted = here.shelf.delete(key)?;
                    here.witness.object_deleted(key.as_ref());
                    Ok(deleted)
                };
                here.call("delete object", &key?, true, delete).await
            }
        })
        .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (here, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            let at = prefix.clone().unwrap_or_default();
            here.call("list objects", &at, false, move |here, _| here.shelf.list(prefix.as_ref())).await
        };
        stream::once(listed).map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let (of, at) = (prefix.cloned(), prefix.cloned().unwrap_or_default());
        self.call("list objects", &at, false, move |here, _| {
            let mut result = now(here.shelf.inner.list_with_delimiter(of.as_ref()))?;
            result.objects.iter_mut().for_each(|meta| here.shelf.date(meta));
            Ok(result)
        })
        .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let from = from.clone();
        self.call("copy object", to, true, move |here, to| {
            now(here.shelf.inner.copy_opts(&from, to, options.clone()))?;
            here.shelf.put_at().insert(to.to_string(), here.shelf.schedule.now().0);
            Ok(())
        })
        .await
    }
}

/// An upload in parts: nothing is there before it is complete.
#[derive(Debug)]
struct Upload {
    objects: SimulatedObjects,
    key: Path,
    begun: usize,
    parts: Arc<Mutex<BTreeMap<usize, Bytes>>>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (objects, key, parts, part) = (self.objects.clone(), self.key.clone(), self.parts.clone(), self.begun);
        self.begun += 1;
        let put = move || {
            parts.lock().expect("no call panics while it holds the lock").insert(part, data.clone().into());
        };
        async move {
            objects
                .call("put part", &key, true, move |_, _| {
                    put();
                    Ok(())
                })
                .await
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = self.parts.clone();
        self.objects
            .call("complete upload", &self.key, true, move |here, key| {
                let parts = parts.lock().expect("no call panics while it holds the lock").clone();
                let whole: BytesMut = parts.into_values().fold(BytesMut::new(), |mut whole, part| {
                    whole.extend_from_slice(&part);
                    whole
                });
                here.put_now(key, whole.freeze().into(), PutOptions::default())
            })
            .await
    }

    async fn abort(&mut self) -> Result<()> {
        self.objects.call("abort upload", &self.key, false, |_, _| Ok(())).await
    }
}
