//! Bounds of the front end.

/// How deep expressions may nest: deeper ones would overflow the stack of the evaluation, and no person writes them.
pub const DEPTH_MAX: usize = 100;

/// How many binary operators and ranges a query may have: `a + b + c …` is a tree as high as it is long.
pub const CHAIN_MAX: usize = 500;

/// Seconds a duration may have: 2^63 nanoseconds.
pub const SECONDS_MAX: f64 = 9_223_372_036.854_775;
