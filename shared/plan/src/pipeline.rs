//! The log pipeline as data, and its executor.

/// One stage of a log pipeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Removes ANSI colour codes from the line.
    Decolorize,
}
