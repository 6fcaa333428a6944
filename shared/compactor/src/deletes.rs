//! What a deletion with a line filter means is told by whoever knows the language (`functions/compact`): a port.

use std::fmt;
use std::sync::Arc;

/// Reports whether a filter accepts a line.
pub type LineFilter = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Turns the text of line filters, such as `|= "x" != "y"`, into a predicate of a line.
pub trait LineFilters: fmt::Debug + Send + Sync {
    /// Compiles a text; the reason where it does not compile.
    fn compile(&self, text: &str) -> Result<LineFilter, String>;
}

/// Knows no language.
#[derive(Debug)]
pub(crate) struct NoLineFilters;

impl LineFilters for NoLineFilters {
    fn compile(&self, _: &str) -> Result<LineFilter, String> {
        Err("this process knows no line filters".to_owned())
    }
}
