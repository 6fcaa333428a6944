//! Bounds on query texts.

/// Bytes of a query text (Loki `maxInputSize`); the model's default limit is the same.
pub const TEXT_BYTES_MAX: usize = 131_072;
/// Nesting of parentheses, operators and filters: every later walk over the tree is recursive.
pub const NESTING_MAX: usize = 200;
/// Binary operators and chained label filters in one query: a chain becomes a tree as deep as it is long.
pub const CHAIN_MAX: usize = 500;
