//! The log pipeline as data, and its executor.
//!
//! Owns: [`Stage`] and its canonical text, and what each stage does to an entry (Loki's semantics, LogQL reference section B).
//! Does not own: LogQL's syntax (`logql`), which entries are read, window functions over samples.

pub mod stage;
pub mod units;

pub use stage::{
    CompareOp, Conversion, Extraction, LabelFilter, LabelFormat, LabelPick, LineFilter, LineOp, LineTerm, Logfmt, Stage, Unwrap,
};
