//! The command line: flags, each with a variable of the same meaning, on top of `boot`'s configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use boot::Config;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Prometheus and Loki without servers: metrics and logs in one binary, on a local directory or on S3 and DynamoDB.
#[derive(Parser)]
#[command(name = "lamella", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Subcommand)]
pub enum Command {
    /// Takes remote write and Loki pushes, answers PromQL and LogQL, compacts in the background.
    Serve(Options),
    /// Lists what is live in a data directory or a bucket, by tenant, signal and level. The server must not run on the same directory.
    Segments(Options),
}

/// Where data lies.
#[derive(Clone, Copy, ValueEnum)]
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

/// Settings of `serve`.
#[derive(Args)]
pub struct Options {
    /// Address to listen on; nothing here authenticates, so only this machine by default.
    #[arg(long, env = "LAMELLA_LISTEN", default_value = "127.0.0.1:9009")]
    pub listen: SocketAddr,
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
    /// Refuse requests without X-Scope-OrgID instead of using the tenant `anonymous`.
    #[arg(long, env = "LAMELLA_REQUIRE_TENANT")]
    pub require_tenant: bool,
    /// Seconds between compactions; 0 turns them off.
    #[arg(long, env = "LAMELLA_COMPACT_INTERVAL_SECONDS", default_value_t = 60)]
    pub compact_interval_seconds: u64,
    /// Milliseconds that writes wait for others to share one object with.
    #[arg(long, env = "LAMELLA_LINGER_MS", default_value_t = 250)]
    pub linger_ms: u64,
    /// Queries evaluated at once; more wait.
    #[arg(long, env = "LAMELLA_QUERY_CONCURRENCY", default_value_t = 20)]
    pub query_concurrency: usize,
    /// Parts of PromQL that are off by default, by Prometheus's names: promql-experimental-functions, promql-extended-range-selectors,
    /// promql-binop-fill-modifiers, promql-delayed-name-removal, type-and-unit-labels, use-start-timestamps.
    #[arg(long, env = "LAMELLA_ENABLE_FEATURE", value_delimiter = ',')]
    pub enable_feature: Vec<Feature>,
    /// Let clients delete series (`/api/v1/admin/tsdb/delete_series`); Prometheus's flag is the same.
    #[arg(long = "web.enable-admin-api", env = "LAMELLA_ENABLE_ADMIN_API")]
    pub enable_admin_api: bool,
    /// What is logged, such as `info,store=debug`.
    #[arg(long, env = "LAMELLA_LOG", default_value = "info")]
    pub log: String,
}

/// A part of PromQL that is off by default.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Feature {
    /// Functions Prometheus calls experimental.
    PromqlExperimentalFunctions,
    /// `smoothed` and `anchored`.
    PromqlExtendedRangeSelectors,
    /// `fill`, `fill_left`, `fill_right`.
    PromqlBinopFillModifiers,
    /// Metric names are dropped at the very end.
    PromqlDelayedNameRemoval,
    /// `__type__` and `__unit__`.
    TypeAndUnitLabels,
    /// Start timestamps take part in rates.
    UseStartTimestamps,
}

impl Options {
    /// Returns the configuration of the process: the environment as `boot` reads it, overridden by the flags.
    pub fn config(&self) -> Result<Config> {
        let lookup = |name: &str| match name {
            "LAMELLA_LISTEN" => Some(self.listen.to_string()),
            "LAMELLA_DATA_DIR" => Some(self.data_dir.display().to_string()),
            "LAMELLA_STORAGE" => self.storage.map(|storage| storage.as_str().to_owned()),
            "LAMELLA_BUCKET" => self.bucket.clone(),
            "LAMELLA_TABLE" => self.table.clone(),
            "LAMELLA_REGION" => self.region.clone(),
            "LAMELLA_REQUIRE_TENANT" => Some(self.require_tenant.to_string()),
            "LAMELLA_LOG" => Some(self.log.clone()),
            other => std::env::var(other).ok().filter(|value| !value.is_empty()),
        };
        Config::from_lookup(&lookup).context("read configuration")
    }

    /// Returns the settings of the query APIs.
    pub fn query(&self) -> fn_query::Options {
        let on = |feature| self.enable_feature.contains(&feature);
        let mut options = fn_query::Options {
            require_tenant: self.require_tenant,
            places: self.query_concurrency,
            admin: self.enable_admin_api,
            ..fn_query::Options::default()
        };
        options.language.experimental_functions = on(Feature::PromqlExperimentalFunctions);
        options.language.extended_range_selectors = on(Feature::PromqlExtendedRangeSelectors);
        options.language.binop_fill = on(Feature::PromqlBinopFillModifiers);
        options.eval.delayed_name_removal = on(Feature::PromqlDelayedNameRemoval);
        options.eval.type_and_unit_labels = on(Feature::TypeAndUnitLabels);
        options.eval.use_start_timestamps = on(Feature::UseStartTimestamps);
        options
    }

    /// Returns the time between compactions, `None` where they are off.
    pub fn compact_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.compact_interval_seconds)).filter(|interval| !interval.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boot::Storage;

    fn options(arguments: &[&str]) -> Options {
        match Cli::parse_from(["lamella", "serve"].iter().chain(arguments)).command {
            Command::Serve(options) | Command::Segments(options) => options,
        }
    }

    #[test]
    fn flags_override() {
        let config = options(&["--data-dir", "/d", "--listen", "0.0.0.0:1", "--require-tenant"]).config().expect("valid");
        assert!(matches!(config.storage, Storage::Local { directory } if directory.ends_with("d")));
        assert!(config.require_tenant);
        assert_eq!(config.listen.port(), 1);
        let config = options(&["--bucket", "b", "--table", "t"]).config().expect("valid");
        assert!(matches!(config.storage, Storage::Aws(_)));
        assert!(options(&["--storage", "aws"]).config().is_err());
        let query = options(&["--enable-feature", "promql-experimental-functions,promql-binop-fill-modifiers"]).query();
        assert!(query.language.experimental_functions && query.language.binop_fill && !query.language.extended_range_selectors);
    }
}
