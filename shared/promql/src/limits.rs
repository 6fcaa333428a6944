//! Bounds of the front end.

/// How deep expressions may nest: deeper ones would overflow the stack of the evaluation, and no person writes them.
pub const DEPTH_MAX: usize = 200;
