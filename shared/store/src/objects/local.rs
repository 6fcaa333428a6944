//! Objects in a directory, durable when answered: temporary file, fsync, rename, fsync of the directory (W1).
//!
//! Owns: writing. Reading and listing are `object_store`'s own, whose writes are atomic but not fsync'd.

use crate::{Error, Result};
use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart,
};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory as an object store.
#[derive(Debug, Clone)]
pub struct LocalObjects {
    root: PathBuf,
    files: Arc<LocalFileSystem>,
    temporaries: Arc<AtomicU64>,
}

type ObjectResult<T> = object_store::Result<T>;

impl LocalObjects {
    /// Opens the directory, making it if absent.
    pub fn open(directory: &FilePath) -> Result<LocalObjects> {
        let refused = |source: io::Error| Error::Refused { operation: "open object directory", source: Box::new(source) };
        fs::create_dir_all(directory).map_err(refused)?;
        let root = directory.canonicalize().map_err(refused)?;
        let files = LocalFileSystem::new_with_prefix(&root)
            .map_err(|source| Error::Refused { operation: "open object directory", source: Box::new(source) })?;
        Ok(LocalObjects { root, files: Arc::new(files), temporaries: Arc::default() })
    }

    /// Returns a name next to `target` that listing ignores and no other write of any process uses.
    fn temporary(&self, target: &FilePath) -> PathBuf {
        let mut name = target.as_os_str().to_owned();
        let count = self.temporaries.fetch_add(1, Ordering::Relaxed);
        // `object_store` takes "#" and digits at the end for an unfinished write.
        name.push(format!("#{}{count:06}", std::process::id()));
        PathBuf::from(name)
    }

    /// Runs `write` on a temporary file and puts that in the place of `location`.
    async fn publish(
        &self,
        location: &Path,
        create: bool,
        write: impl FnOnce(&mut File) -> io::Result<()> + Send + 'static,
    ) -> ObjectResult<PutResult> {
        let (target, root, path) = (self.files.path_to_filesystem(location)?, self.root.clone(), location.to_string());
        let temporary = self.temporary(&target);
        blocking(move || {
            make_directories(&root, &target).map_err(|source| generic(Box::new(source)))?;
            let written = write_file(&temporary, write).and_then(|()| place(&temporary, &target, create));
            if written.is_err() {
                let _ = fs::remove_file(&temporary);
            }
            written.map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path, source: Box::new(source) },
                _ => generic(Box::new(source)),
            })
        })
        .await?;
        let meta = self.files.head(location).await?;
        Ok(PutResult { e_tag: meta.e_tag, version: None })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> ObjectResult<T> + Send + 'static) -> ObjectResult<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| generic(Box::new(error)))?
}

fn generic(source: crate::error::Source) -> object_store::Error {
    object_store::Error::Generic { store: "local", source }
}

/// Makes the directories above `target`, each durable in the one above it.
fn make_directories(root: &FilePath, target: &FilePath) -> io::Result<()> {
    let missing: Vec<&FilePath> = target.ancestors().skip(1).take_while(|above| *above != root && !above.is_dir()).collect();
    for directory in missing.into_iter().rev() {
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync_directory_of(directory)?,
        }
    }
    Ok(())
}

fn write_file(temporary: &FilePath, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    write(&mut file)?;
    file.sync_all()
}

/// Moves a finished file to its name; with `create` only if the name is free, decided by the file system.
fn place(temporary: &FilePath, target: &FilePath, create: bool) -> io::Result<()> {
    if create {
        fs::hard_link(temporary, target)?;
        fs::remove_file(temporary)?;
    } else {
        fs::rename(temporary, target)?;
    }
    sync_directory_of(target)
}

fn sync_directory_of(path: &FilePath) -> io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

impl fmt::Display for LocalObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory {}", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for LocalObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> ObjectResult<PutResult> {
        let create = match options.mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            PutMode::Update(_) => {
                return Err(object_store::Error::NotImplemented {
                    operation: "conditional update".into(),
                    implementer: "local".into(),
                });
            }
        };
        refuse_attributes(&options.attributes)?;
        self.publish(location, create, move |file| payload.iter().try_for_each(|chunk| file.write_all(chunk))).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> ObjectResult<Box<dyn MultipartUpload>> {
        refuse_attributes(&options.attributes)?;
        let target = self.files.path_to_filesystem(location)?;
        let (root, temporary) = (self.root.clone(), self.temporary(&target));
        let made = temporary.clone();
        let file = blocking(move || {
            let open =
                make_directories(&root, &target).and_then(|()| OpenOptions::new().write(true).create_new(true).open(&made));
            open.map_err(|source| generic(Box::new(source)))
        })
        .await?;
        Ok(Box::new(LocalUpload {
            objects: self.clone(),
            location: location.clone(),
            temporary,
            file: Arc::new(file),
            offset: 0,
            done: false,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> ObjectResult<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[std::ops::Range<u64>]) -> ObjectResult<Vec<bytes::Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, ObjectResult<Path>>) -> BoxStream<'static, ObjectResult<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, ObjectResult<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> ObjectResult<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> ObjectResult<()> {
        let source = self.files.path_to_filesystem(from)?;
        // A missing source is found before anything is written.
        self.files.head(from).await?;
        let create = options.mode == CopyMode::Create;
        self.publish(to, create, move |file| io::copy(&mut File::open(source)?, file).map(|_| ())).await.map(|_| ())
    }
}

fn refuse_attributes(attributes: &object_store::Attributes) -> ObjectResult<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    Err(object_store::Error::NotImplemented { operation: "attributes".into(), implementer: "local".into() })
}

/// Parts are written at their offsets into one temporary file, in any order.
#[derive(Debug)]
struct LocalUpload {
    objects: LocalObjects,
    location: Path,
    temporary: PathBuf,
    file: Arc<File>,
    offset: u64,
    done: bool,
}

#[async_trait]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (file, offset) = (self.file.clone(), self.offset);
        self.offset += data.content_length() as u64;
        blocking(move || write_at(&file, offset, &data).map_err(|source| generic(Box::new(source)))).boxed()
    }

    async fn complete(&mut self) -> ObjectResult<PutResult> {
        let (file, temporary) = (self.file.clone(), self.temporary.clone());
        let target = self.objects.files.path_to_filesystem(&self.location)?;
        blocking(move || {
            file.sync_all().and_then(|()| place(&temporary, &target, false)).map_err(|source| generic(Box::new(source)))
        })
        .await?;
        self.done = true;
        let meta = self.objects.files.head(&self.location).await?;
        Ok(PutResult { e_tag: meta.e_tag, version: None })
    }

    async fn abort(&mut self) -> ObjectResult<()> {
        self.done = true;
        let temporary = self.temporary.clone();
        blocking(move || fs::remove_file(temporary).map_err(|source| generic(Box::new(source)))).await
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes at an offset, whatever else is being written.
fn write_at(file: &File, offset: u64, data: &PutPayload) -> io::Result<()> {
    let mut at = offset;
    for chunk in data.iter() {
        file.write_all_at(chunk, at)?;
        at += chunk.len() as u64;
    }
    Ok(())
}
