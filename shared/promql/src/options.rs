//! Feature flags of the language, named as Prometheus names them; the defaults are a stock server's.

/// Which parts of the language are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// `promql-experimental-functions`
    pub experimental_functions: bool,
    /// Duration expressions; on by default since 3.14.
    pub duration_expressions: bool,
    /// `promql-extended-range-selectors`
    pub extended_range_selectors: bool,
    /// `promql-binop-fill-modifiers`
    pub binop_fill: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { experimental_functions: false, duration_expressions: true, extended_range_selectors: false, binop_fill: false }
    }
}

impl Options {
    /// Returns the profile of the conformance data: everything on.
    pub fn all() -> Options {
        Options { experimental_functions: true, duration_expressions: true, extended_range_selectors: true, binop_fill: true }
    }
}
