//! Stores in a directory: what `lamella` has, and functions have not.
//!
//! A function keeps nothing between its processes. [`crate::start`] never names [`open`], so that the linker leaves the embedded store
//! out of the functions' packages; a feature would do the same, and have every dependency built twice (`docs/0001`).

use crate::{Error, Result};
use std::path::Path;
use store::{Objects, Records, objects, records};

/// Makes the stores of a directory, or says that there are none.
pub type OpenDirectory = fn(&Path) -> Result<(Objects, Records)>;

/// Opens `objects/` and `records.redb` in a directory, which is made where it is not there yet.
pub fn open(directory: &Path) -> Result<(Objects, Records)> {
    let failed = |source| Error::DataDirectory { path: directory.display().to_string(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let objects = objects::local(&directory.join("objects")).map_err(Error::Store)?;
    let records = records::embedded(&directory.join("records.redb")).map_err(Error::Store)?;
    Ok((objects, records))
}

/// Refuses: a function would lose what it keeps in a directory.
pub(crate) fn refuse(directory: &Path) -> Result<(Objects, Records)> {
    Err(Error::NoDirectory { path: directory.display().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Host};

    #[tokio::test]
    async fn a_directory_is_opened_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::local(directory.path().join("data"));
        let key = store::RecordKey { partition: "p".into(), sort: "s".into() };
        let host = Host::open(config.clone(), open).await.unwrap();
        host.records.put_if_absent(&key, "v".into()).await.unwrap();
        drop(host);
        let host = reopened(config).await;
        assert_eq!(host.records.get(&key).await.unwrap().unwrap().value, "v");
    }

    /// The writer's thread lets go of the file a moment after the last handle is dropped.
    async fn reopened(config: Config) -> Host {
        loop {
            if let Ok(host) = Host::open(config.clone(), open).await {
                return host;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_function_keeps_nothing_in_a_directory() {
        let directory = tempfile::tempdir().unwrap().path().join("data");
        let refused = Host::open(Config::local(directory.clone()), refuse).await.unwrap_err();
        let place = directory.display();
        let said = "a function keeps nothing in a directory: name LAMELLA_BUCKET and LAMELLA_TABLE";
        assert_eq!(refused.to_string(), format!("{said} instead of {place}"));
        assert!(!directory.exists());
    }
}
