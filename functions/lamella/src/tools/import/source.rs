//! Where blocks lie: a directory, or a bucket from which one block at a time is copied to a temporary directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::TryStreamExt;
use store::Objects;
use store::objects::{ObjectError, ObjectPath, ObjectStore, ObjectStoreExt, S3Config};
use tokio::io::AsyncWriteExt;
use wire::tsdb::{Meta, is_ulid};

/// How a bucket is reached.
#[derive(Args, Clone, Debug, Default)]
pub struct BucketOptions {
    /// Another S3 server than Amazon's to import from.
    #[arg(long)]
    pub from_endpoint: Option<String>,
    /// Region of the bucket to import from, where the AWS chain is not to decide.
    #[arg(long)]
    pub from_region: Option<String>,
}

/// Where blocks lie.
#[derive(Clone, Debug)]
pub enum Source {
    /// In a directory of this machine.
    Directory(PathBuf),
    /// In a bucket, below a prefix.
    Bucket {
        /// The bucket.
        objects: Objects,
        /// What the names of blocks stand behind; may be empty.
        prefix: ObjectPath,
    },
}

/// Blocks of a source, and what else was seen there.
#[derive(Debug, Default)]
pub struct Found {
    /// The blocks, oldest first.
    pub blocks: Vec<Meta>,
    /// Ids of those that Thanos is about to delete.
    pub marked: Vec<String>,
    /// What else was seen.
    pub notes: Vec<String>,
}

const META: &str = "meta.json";
/// Thanos's mark (upstream `pkg/block/metadata`).
const DELETION_MARK: &str = "deletion-mark.json";

impl Source {
    /// Parses `s3://bucket/prefix` or a directory.
    pub async fn parse(from: &str, options: &BucketOptions) -> Result<Source> {
        if let Some(rest) = from.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let (endpoint, path_style) = (options.from_endpoint.clone(), options.from_endpoint.is_some());
            let config = S3Config { bucket: bucket.to_owned(), endpoint, path_style };
            let prefix = ObjectPath::parse(prefix).with_context(|| format!("prefix of {from}"))?;
            return Ok(Source::Bucket { objects: boot::open_bucket(config, options.from_region.clone()).await, prefix });
        }
        match from.split_once("://") {
            None => Ok(Source::Directory(PathBuf::from(from))),
            Some(("file", path)) => Ok(Source::Directory(PathBuf::from(path))),
            Some((scheme, _)) => bail!("{scheme}:// is not read: copy the bucket to a directory, or name one on s3://"),
        }
    }

    /// Lists the blocks.
    pub async fn blocks(&self) -> Result<Found> {
        let mut found = Found::default();
        for name in self.names().await? {
            if !is_ulid(&name) {
                found.note(&name);
                continue;
            }
            match self.read(&name, META).await? {
                Some(bytes) => found.blocks.push(Meta::decode(&bytes).with_context(|| format!("block {name}"))?),
                None => found.notes.push(format!("{name} is left out: without {META} it is not complete")),
            }
            if self.exists(&name, DELETION_MARK).await? {
                found.marked.push(name);
            }
        }
        found.blocks.sort_by(|a, b| (a.min_time, &a.ulid).cmp(&(b.min_time, &b.ulid)));
        Ok(found)
    }

    /// Lists what lies beside each other: blocks, and what is none.
    async fn names(&self) -> Result<Vec<String>> {
        match self {
            Source::Directory(directory) => {
                let failed = || format!("list {}", directory.display());
                let entries = std::fs::read_dir(directory).with_context(failed)?;
                let name = |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
                entries.map(name).collect::<std::io::Result<_>>().with_context(failed)
            }
            Source::Bucket { objects, prefix } => {
                let listed = objects.list_with_delimiter(Some(prefix)).await.context("list the bucket")?;
                Ok(listed.common_prefixes.iter().filter_map(|prefix| prefix.filename().map(str::to_owned)).collect())
            }
        }
    }

    async fn read(&self, block: &str, file: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Source::Directory(directory) => {
                let path = directory.join(block).join(file);
                match std::fs::read(&path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    read => read.map(Some).with_context(|| format!("read {}", path.display())),
                }
            }
            Source::Bucket { objects, prefix } => {
                let path = prefix.clone().join(block).join(file);
                match objects.get(&path).await {
                    Err(ObjectError::NotFound { .. }) => Ok(None),
                    got => {
                        let failed = || format!("read {path}");
                        Ok(Some(got.with_context(failed)?.bytes().await.with_context(failed)?.to_vec()))
                    }
                }
            }
        }
    }

    async fn exists(&self, block: &str, file: &str) -> Result<bool> {
        self.read(block, file).await.map(|bytes| bytes.is_some())
    }

    /// Brings a block to this machine, where it is not there already.
    pub async fn stage(&self, block: &str) -> Result<Staged> {
        match self {
            Source::Directory(directory) => Ok(Staged::There(directory.join(block))),
            Source::Bucket { objects, prefix } => {
                let copy = tempfile::Builder::new().prefix("lamella-import-").tempdir().context("make a temporary directory")?;
                copy_block(objects, &prefix.clone().join(block), copy.path()).await?;
                Ok(Staged::Copied(copy))
            }
        }
    }
}

async fn copy_block(objects: &Objects, block: &ObjectPath, to: &Path) -> Result<()> {
    let mut files = objects.list(Some(block));
    while let Some(meta) = files.try_next().await.context("list the block")? {
        let below: Vec<_> = meta.location.prefix_match(block).into_iter().flatten().collect();
        let path = below.iter().fold(to.to_owned(), |path, part| path.join(part.as_ref()));
        let failed = || format!("copy {} to {}", meta.location, path.display());
        if let Some(directory) = path.parent() {
            tokio::fs::create_dir_all(directory).await.with_context(failed)?;
        }
        let mut file = tokio::fs::File::create(&path).await.with_context(failed)?;
        let mut body = objects.get(&meta.location).await.with_context(failed)?.into_stream();
        while let Some(bytes) = body.try_next().await.with_context(failed)? {
            file.write_all(&bytes).await.with_context(failed)?;
        }
        file.flush().await.with_context(failed)?;
    }
    Ok(())
}

impl Found {
    /// Says what else a directory of Prometheus holds that somebody may miss.
    fn note(&mut self, name: &str) {
        match name {
            "wal" | "wbl" => self.notes.push(format!(
                "{name} is not read: the newest two to three hours are not in a block yet; Prometheus's admin/tsdb/snapshot makes one of them"
            )),
            name if name.contains(".tmp") => self.notes.push(format!("{name} is left out: it was not finished")),
            _ => {}
        }
    }
}

/// A block on this machine; a copy is gone with this value.
#[derive(Debug)]
pub enum Staged {
    /// Where it lay.
    There(PathBuf),
    /// A copy.
    Copied(tempfile::TempDir),
}

impl Staged {
    /// Returns the block's directory.
    pub fn directory(&self) -> &Path {
        match self {
            Staged::There(directory) => directory,
            Staged::Copied(copy) => copy.path(),
        }
    }
}
