//! Where data lies, as flags with a variable of the same meaning, on top of `boot`'s configuration.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where data lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Storage {
    /// In one directory of this machine.
    Local,
    /// In an S3 bucket and a DynamoDB table; credentials by the usual AWS chain.
    Aws,
    /// Nowhere: gone with the process.
    Memory,
}

impl Storage {
    fn as_str(self) -> &'static str {
        match self {
            Storage::Local => "local",
            Storage::Aws => "aws",
            Storage::Memory => "memory",
        }
    }
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Directory of objects and records (storage local); one process at a time.
    #[arg(long, env = "LAMELLA_DATA_DIR", default_value = "./lamella-data")]
    pub data_dir: PathBuf,
    /// Where data lies; aws where a bucket is named, else local.
    #[arg(long, env = "LAMELLA_STORAGE")]
    pub storage: Option<Storage>,
    /// Bucket of the objects (storage aws).
    #[arg(long, env = "LAMELLA_BUCKET")]
    pub bucket: Option<String>,
    /// Table of the records (storage aws).
    #[arg(long, env = "LAMELLA_TABLE")]
    pub table: Option<String>,
    /// Region of bucket and table, where the AWS chain is not to decide.
    #[arg(long, env = "LAMELLA_REGION")]
    pub region: Option<String>,
}

impl Options {
    /// Returns what `boot` would read from the environment, overridden by the flags.
    pub fn lookup(&self, name: &str) -> Option<String> {
        match name {
            "LAMELLA_DATA_DIR" => Some(self.data_dir.display().to_string()),
            "LAMELLA_STORAGE" => self.storage.map(|storage| storage.as_str().to_owned()),
            "LAMELLA_BUCKET" => self.bucket.clone(),
            "LAMELLA_TABLE" => self.table.clone(),
            "LAMELLA_REGION" => self.region.clone(),
            other => std::env::var(other).ok().filter(|value| !value.is_empty()),
        }
    }
}
