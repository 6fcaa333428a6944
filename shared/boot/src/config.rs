//! Configuration as plain data, parsed once from `LAMELLA_*` variables. The names stand here and nowhere else.
//!
//! | variable | meaning, default |
//! |---|---|
//! | `LAMELLA_STORAGE` | `local`, `aws` or `memory`; `aws` where a bucket is named, else `local` |
//! | `LAMELLA_DATA_DIR` | local: directory of objects and records, of `lamella` only; `./data` |
//! | `LAMELLA_BUCKET`, `LAMELLA_TABLE` | aws: the bucket and the table |
//! | `LAMELLA_REGION` | aws: overrides the usual chain's region |
//! | `LAMELLA_S3_ENDPOINT`, `LAMELLA_DYNAMODB_ENDPOINT` | aws: other servers than Amazon's |
//! | `LAMELLA_S3_PATH_STYLE` | bucket in the path; true where an endpoint is given |
//! | `LAMELLA_CREATE` | aws: create bucket and table if absent, for local servers; false |
//! | `LAMELLA_REQUIRE_TENANT` | refuse requests without `X-Scope-OrgID` instead of using `anonymous`; false |
//! | `LAMELLA_CREDENTIALS*` | [`crate::credentials`]: who may do what; without them authentication is off |
//! | `LAMELLA_LISTEN` | `lamella`: address to listen on; `127.0.0.1:9009` |
//! | `LAMELLA_LOG`, `LAMELLA_LOG_FORMAT` | filter such as `info,store=debug`; `text` or `json` |
//! | `AWS_LAMBDA_MAX_CONCURRENCY` | set by Lambda Managed Instances: requests a process serves at once; 1 |
//! | `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` | set by Lambda: what its time is billed by, for the dollars that answers tell |
//! | `LAMELLA_LIMIT_*` | [`crate::limits`] |
//! | `LAMELLA_LIMITS`, `LAMELLA_LIMITS_FILE` | [`crate::overrides`]: limits of single tenants, in Loki's spelling |
//! | `LAMELLA_RETENTION`, `LAMELLA_RETENTION_FILE` | [`crate::retention`]; metrics 7 days, windows of 5m 30 days and of 1h 180 days, logs 90 days |
//! | `LAMELLA_OTLP_*` | [`crate::otlp`] |

use crate::credentials::Credentials;
use crate::{Error, Result, credentials, limits, otlp, overrides, retention};
use model::otlp::OtlpOptions;
use model::{RetentionPolicy, TenantLimits};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use store::objects::S3Config;
use store::records::dynamodb::DynamoDbConfig;

/// Everything a process is told from outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where data lies.
    pub storage: Storage,
    /// Where accounts are kept; without, authentication is off.
    pub credentials: Option<Credentials>,
    /// Whether a request must name its tenant, itself or by its account.
    pub require_tenant: bool,
    /// Where `lamella` listens.
    pub listen: SocketAddr,
    /// What is logged, in `tracing`'s filter syntax.
    pub log_filter: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Requests that a function's process serves at once. Above 1 it lives on between them.
    pub concurrency: u32,
    /// Memory of a function, MiB, by which its time is billed; none where a process serves.
    pub function_memory_mib: Option<u32>,
    /// Bounds on what tenants may send and ask.
    pub limits: TenantLimits,
    /// How long data is kept.
    pub retention: RetentionPolicy,
    /// How OTLP metrics become series.
    pub otlp: OtlpOptions,
}

/// Where objects and records are.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In one directory: `objects/` and `records.redb`. One process at a time.
    Local {
        /// The directory.
        directory: PathBuf,
    },
    /// In a bucket and a table.
    Aws(AwsStorage),
    /// Nowhere: gone with the process.
    Memory,
}

/// A bucket and a table.
#[derive(Clone, Debug)]
pub struct AwsStorage {
    /// The bucket.
    pub s3: S3Config,
    /// The table.
    pub dynamodb: DynamoDbConfig,
    /// Region, where the usual chain is not to decide.
    pub region: Option<String>,
    /// Whether to create bucket and table if absent.
    pub create: bool,
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Storage::Local { directory } => write!(f, "directory {}", directory.display()),
            Storage::Aws(aws) => write!(f, "bucket {} and table {}", aws.s3.bucket, aws.dynamodb.table),
            Storage::Memory => f.write_str("memory"),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object per line, for machines; the default on Lambda.
    Json,
}

/// Looks up a variable; empty counts as unset.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Config> {
        Config::from_lookup(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// Reads variables through `lookup`.
    pub fn from_lookup(lookup: Lookup<'_>) -> Result<Config> {
        let credentials = credentials::from_lookup(lookup)?;
        let require_tenant = flag(lookup, "LAMELLA_REQUIRE_TENANT")?.unwrap_or(false) || credentials.is_some();
        let retention = retention::from_lookup(lookup)?;
        Ok(Config {
            storage: storage(lookup)?,
            credentials,
            require_tenant,
            listen: parsed(lookup, "LAMELLA_LISTEN", "an address and port")?.unwrap_or(LISTEN),
            log_filter: lookup("LAMELLA_LOG").unwrap_or_else(|| "info".to_owned()),
            log_format: log_format(lookup)?,
            concurrency: parsed(lookup, "AWS_LAMBDA_MAX_CONCURRENCY", "a count")?.unwrap_or(1),
            function_memory_mib: parsed(lookup, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "MiB")?,
            limits: overrides::from_lookup(lookup, limits::from_lookup(lookup)?)?.kept(&retention),
            retention,
            otlp: otlp::from_lookup(lookup)?,
        })
    }

    /// Returns a configuration without any variable, keeping data in `directory`.
    pub fn local(directory: PathBuf) -> Config {
        let config = Config::from_lookup(&|_| None).expect("defaults parse");
        Config { storage: Storage::Local { directory }, ..config }
    }

    /// Returns a configuration without any variable, keeping data in memory.
    pub fn memory() -> Config {
        Config { storage: Storage::Memory, ..Config::local(PathBuf::new()) }
    }
}

/// Only this machine by default: authentication is off. The port is Mimir's.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9009);

fn storage(lookup: Lookup<'_>) -> Result<Storage> {
    let named = lookup("LAMELLA_STORAGE");
    match named.as_deref() {
        Some("local") => Ok(local(lookup)),
        Some("aws") => aws(lookup).map(Storage::Aws),
        Some("memory") => Ok(Storage::Memory),
        Some(value) => {
            Err(Error::Variable { name: "LAMELLA_STORAGE", value: value.to_owned(), expected: "local, aws or memory" })
        }
        None if lookup("LAMELLA_BUCKET").is_some() => aws(lookup).map(Storage::Aws),
        None => Ok(local(lookup)),
    }
}

fn local(lookup: Lookup<'_>) -> Storage {
    Storage::Local { directory: lookup("LAMELLA_DATA_DIR").map_or_else(|| PathBuf::from("data"), PathBuf::from) }
}

fn aws(lookup: Lookup<'_>) -> Result<AwsStorage> {
    let required = |name| lookup(name).ok_or(Error::Missing { name, needed: "storage in a bucket and a table" });
    let endpoint = lookup("LAMELLA_S3_ENDPOINT");
    let path_style = flag(lookup, "LAMELLA_S3_PATH_STYLE")?.unwrap_or(endpoint.is_some());
    Ok(AwsStorage {
        s3: S3Config { bucket: required("LAMELLA_BUCKET")?, endpoint, path_style },
        dynamodb: DynamoDbConfig { table: required("LAMELLA_TABLE")?, endpoint: lookup("LAMELLA_DYNAMODB_ENDPOINT") },
        region: lookup("LAMELLA_REGION"),
        create: flag(lookup, "LAMELLA_CREATE")?.unwrap_or(false),
    })
}

fn log_format(lookup: Lookup<'_>) -> Result<LogFormat> {
    match lookup("LAMELLA_LOG_FORMAT").as_deref() {
        Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some(value) => Err(Error::Variable { name: "LAMELLA_LOG_FORMAT", value: value.to_owned(), expected: "text or json" }),
        None if lookup("AWS_LAMBDA_FUNCTION_NAME").is_some() => Ok(LogFormat::Json),
        None => Ok(LogFormat::Text),
    }
}

/// Parses a switch, if set.
pub(crate) fn flag(lookup: Lookup<'_>, name: &'static str) -> Result<Option<bool>> {
    match lookup(name).as_deref() {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(value) => Err(Error::Variable { name, value: value.to_owned(), expected: "true or false" }),
    }
}

/// Parses a variable, if set.
pub(crate) fn parsed<T: std::str::FromStr>(lookup: Lookup<'_>, name: &'static str, expected: &'static str) -> Result<Option<T>> {
    let Some(value) = lookup(name) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| Error::Variable { name, value, expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Config> {
        let find = |name: &str| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        Config::from_lookup(&find)
    }

    #[test]
    fn storage_follows_the_variables() {
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[], "directory data"),
            (&[("LAMELLA_DATA_DIR", "/d")], "directory /d"),
            (&[("LAMELLA_BUCKET", "b"), ("LAMELLA_TABLE", "t")], "bucket b and table t"),
            (&[("LAMELLA_STORAGE", "memory"), ("LAMELLA_BUCKET", "b")], "memory"),
            (&[("LAMELLA_STORAGE", "local"), ("LAMELLA_BUCKET", "b")], "directory data"),
        ];
        for (variables, storage) in cases {
            assert_eq!(of(variables).unwrap().storage.to_string(), storage);
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let cases: [(&[(&str, &str)], &str); 4] = [
            (&[("LAMELLA_BUCKET", "b")], "environment variable LAMELLA_TABLE is not set: storage in a bucket and a table"),
            (&[("LAMELLA_STORAGE", "x")], "environment variable LAMELLA_STORAGE is \"x\", expected local, aws or memory"),
            (&[("LAMELLA_REQUIRE_TENANT", "y")], "environment variable LAMELLA_REQUIRE_TENANT is \"y\", expected true or false"),
            (
                &[("LAMELLA_LIMIT_QUERY_SERIES", "-1")],
                "environment variable LAMELLA_LIMIT_QUERY_SERIES is \"-1\", expected a count",
            ),
        ];
        for (variables, message) in cases {
            assert_eq!(of(variables).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn limits_and_endpoints_are_read() {
        let config = of(&[
            ("LAMELLA_BUCKET", "b"),
            ("LAMELLA_TABLE", "t"),
            ("LAMELLA_S3_ENDPOINT", "http://127.0.0.1:5005"),
            ("LAMELLA_LIMIT_QUERY_TIMEOUT_SECONDS", "7"),
        ])
        .unwrap();
        assert_eq!(config.limits.default_limits().query_timeout, std::time::Duration::from_secs(7));
        assert!(matches!(config.storage, Storage::Aws(aws) if aws.s3.path_style && !aws.create));
    }

    #[test]
    fn what_arrives_may_be_as_old_as_it_is_kept() {
        let days = |days: u64| std::time::Duration::from_secs(days * 24 * 3600);
        let config =
            of(&[("LAMELLA_RETENTION", "a/metrics=2y,a/logs=1d"), ("LAMELLA_LIMIT_LOGS_AGE_SECONDS", "172800")]).unwrap();
        let ages = |tenant: &str| {
            let limits = config.limits.of(&model::TenantId::parse(tenant).unwrap());
            (limits.metrics_age_max, limits.logs.age_max)
        };
        assert_eq!(ages("a"), (days(730), Some(days(1))), "its retention");
        let default = config.retention.metrics.longest().unwrap();
        assert_eq!(ages("b"), (default, Some(days(2))), "the default retention, and the variable");
    }
}
