//! Warnings and infos of one query, from all its operators.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::limits::ANNOTATIONS_MAX;

/// Deduplicated and sorted, so that no partitioning changes their order (Q2).
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    texts: Mutex<(BTreeSet<String>, BTreeSet<String>)>,
}

impl Annotations {
    pub(crate) fn warn(&self, text: String) {
        let mut texts = self.texts.lock().expect("no call panics while it holds the lock");
        if texts.0.len() < ANNOTATIONS_MAX {
            texts.0.insert(text);
        }
    }

    pub(crate) fn info(&self, text: String) {
        let mut texts = self.texts.lock().expect("no call panics while it holds the lock");
        if texts.1.len() < ANNOTATIONS_MAX {
            texts.1.insert(text);
        }
    }

    /// Returns warnings and infos.
    pub(crate) fn texts(&self) -> (Vec<String>, Vec<String>) {
        let texts = self.texts.lock().expect("no call panics while it holds the lock");
        (texts.0.iter().cloned().collect(), texts.1.iter().cloned().collect())
    }
}
