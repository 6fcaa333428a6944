//! A predicate of log entries, made by whoever knows a query language and used by those who must not.

use std::fmt;
use std::sync::Arc;

use crate::LabelSet;

type Accepts = dyn Fn(&LabelSet, &[u8], &LabelSet) -> bool + Send + Sync;

/// Tells which entries a filter accepts, by the labels of their stream, their line and their structured metadata. Cheap to clone.
#[derive(Clone)]
pub struct EntryFilter(Arc<Accepts>);

/// Turns the text of a filter into a predicate; the reason where it does not compile.
pub type CompileEntryFilter = fn(&str) -> Result<EntryFilter, String>;

impl EntryFilter {
    /// Makes a filter of a predicate: stream, line, metadata.
    pub fn new(accepts: impl Fn(&LabelSet, &[u8], &LabelSet) -> bool + Send + Sync + 'static) -> EntryFilter {
        EntryFilter(Arc::new(accepts))
    }

    /// Reports whether the filter accepts an entry.
    pub fn accepts(&self, stream: &LabelSet, line: &[u8], metadata: &LabelSet) -> bool {
        (self.0)(stream, line, metadata)
    }

    /// Refuses every text: what a process that knows no language compiles with.
    ///
    /// # Errors
    /// Always.
    pub fn of_no_language(_: &str) -> Result<EntryFilter, String> {
        Err("this process knows no language of filters".to_owned())
    }
}

impl fmt::Debug for EntryFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EntryFilter")
    }
}
