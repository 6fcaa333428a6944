//! Feature flags of the language, named as Prometheus names them; the defaults are a stock server's.

/// Which parts of the language are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// `promql-experimental-functions`
    pub experimental_functions: bool,
    /// `promql-extended-range-selectors`
    pub extended_range_selectors: bool,
    /// `promql-binop-fill-modifiers`
    pub binop_fill: bool,
}

impl Options {
    /// Returns the profile of the conformance data: everything on.
    pub fn all() -> Options {
        Options { experimental_functions: true, extended_range_selectors: true, binop_fill: true }
    }
}
