//! The log pipeline as data, and its executor.
//!
//! Owns: [`Stage`] and its canonical text, and what each stage does to an entry (Loki's semantics, LogQL reference section B).
//! Does not own: LogQL's syntax (`logql`), which entries are read, window functions over samples.

pub mod pattern;
pub mod regexp;
pub mod stage;
pub mod units;

pub use stage::{
    CompareOp, Conversion, Extraction, LabelFilter, LabelFormat, LabelPick, LineFilter, LineOp, LineTerm, Logfmt, Stage, Unwrap,
};

/// A stage that cannot be built, as Loki says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse error : stage '{stage}' : {reason}")]
pub struct BuildError {
    /// The stage's canonical text.
    pub stage: String,
    /// Why.
    pub reason: String,
}
