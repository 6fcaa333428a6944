//! Notices of the operators of one query: segments that were left out, windows that stand in for samples.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::limits::ANNOTATIONS_MAX;

/// Deduplicated and sorted, so that no partitioning changes their order (Q2).
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    warnings: Mutex<BTreeSet<String>>,
    infos: Mutex<BTreeSet<String>>,
}

impl Annotations {
    pub(crate) fn warn(&self, text: String) {
        let mut warnings = self.warnings.lock().expect("no call panics while it holds the lock");
        if warnings.len() < ANNOTATIONS_MAX {
            warnings.insert(text);
        }
    }

    pub(crate) fn inform(&self, text: String) {
        let mut infos = self.infos.lock().expect("no call panics while it holds the lock");
        if infos.len() < ANNOTATIONS_MAX {
            infos.insert(text);
        }
    }

    /// Returns the infos.
    pub(crate) fn infos(&self) -> Vec<String> {
        self.infos.lock().expect("no call panics while it holds the lock").iter().cloned().collect()
    }

    /// Returns the warnings.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.warnings.lock().expect("no call panics while it holds the lock").iter().cloned().collect()
    }
}
