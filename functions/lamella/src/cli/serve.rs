//! Flags of `serve`, each with a variable of the same meaning, on top of `boot`'s configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use boot::Config;
use clap::{Args, ValueEnum};

use super::storage;
use crate::tls;

/// Settings of `serve`.
#[derive(Args)]
pub struct Options {
    /// Address to listen on; authentication is off by default, so only this machine by default.
    #[arg(long, env = "LAMELLA_LISTEN", default_value = "127.0.0.1:9009")]
    pub listen: SocketAddr,
    /// Where data lies.
    #[command(flatten)]
    pub storage: storage::Options,
    /// Refuse requests without X-Scope-OrgID instead of using the tenant `anonymous`.
    #[arg(long, env = "LAMELLA_REQUIRE_TENANT")]
    pub require_tenant: bool,
    /// File of accounts; with one, requests need a bearer token or basic authentication. `lamella credentials new` makes entries.
    #[arg(long, env = "LAMELLA_CREDENTIALS_FILE")]
    pub credentials_file: Option<PathBuf>,
    /// Certificate chain in PEM; with it only TLS is spoken. Read again when it changes.
    #[arg(long, env = "LAMELLA_TLS_CERTIFICATE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Private key in PEM.
    #[arg(long, env = "LAMELLA_TLS_KEY", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Seconds between compactions; 0 turns them off.
    #[arg(long, env = "LAMELLA_COMPACT_INTERVAL_SECONDS", default_value_t = 60)]
    pub compact_interval_seconds: u64,
    /// L0 segments of an hour that start a merge; for tests, which have no time to write many.
    #[arg(long, env = "LAMELLA_COMPACT_L0_FILES", hide = true)]
    pub compact_l0_files: Option<usize>,
    /// L1 segments of an hour that start a merge; for tests.
    #[arg(long, env = "LAMELLA_COMPACT_L1_FILES", hide = true)]
    pub compact_l1_files: Option<usize>,
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
            "LAMELLA_REQUIRE_TENANT" => Some(self.require_tenant.to_string()),
            "LAMELLA_LOG" => Some(self.log.clone()),
            "LAMELLA_CREDENTIALS_FILE" => self.credentials_file.as_ref().map(|path| path.display().to_string()),
            other => self.storage.lookup(other),
        };
        Config::from_lookup(&lookup).context("read configuration")
    }

    /// Returns the settings of the query APIs.
    pub fn query(&self) -> fn_query::Options {
        let on = |feature| self.enable_feature.contains(&feature);
        let mut options =
            fn_query::Options { places: self.query_concurrency, admin: self.enable_admin_api, ..fn_query::Options::default() };
        options.language.experimental_functions = on(Feature::PromqlExperimentalFunctions);
        options.language.extended_range_selectors = on(Feature::PromqlExtendedRangeSelectors);
        options.language.binop_fill = on(Feature::PromqlBinopFillModifiers);
        options.eval.delayed_name_removal = on(Feature::PromqlDelayedNameRemoval);
        options.eval.type_and_unit_labels = on(Feature::TypeAndUnitLabels);
        options.eval.use_start_timestamps = on(Feature::UseStartTimestamps);
        options
    }

    /// Returns when segments are merged.
    pub fn policy(&self, host: &boot::Host) -> fn_compact::Policy {
        let default = fn_compact::State::policy(host);
        fn_compact::Policy {
            l0_files: self.compact_l0_files.unwrap_or(default.l0_files),
            l1_files: self.compact_l1_files.unwrap_or(default.l1_files),
            ..default
        }
    }

    /// Returns the files of certificate and key, `None` where nothing is encrypted.
    pub fn tls(&self) -> Option<tls::Files> {
        let (certificate, key) = (self.tls_certificate.clone()?, self.tls_key.clone()?);
        Some(tls::Files { certificate, key })
    }

    /// Returns the time between compactions, `None` where they are off.
    pub fn compact_interval(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.compact_interval_seconds)).filter(|interval| !interval.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use boot::Storage;
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn options(arguments: &[&str]) -> Options {
        match Cli::parse_from(["lamella", "serve"].iter().chain(arguments)).command {
            Command::Serve(options) => options,
            _ => unreachable!("the arguments say serve"),
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
