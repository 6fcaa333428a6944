//! Bounds on templates: they come with the query, and run for every line.

/// Bytes one rendering, and one value inside it, may have: the longest line Loki accepts, four times.
pub(super) const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Nodes one rendering may execute; ends loops in loops.
pub(super) const STEPS_MAX: usize = 100_000;
/// Bytes of values one rendering may hand around: values are copied where they are named.
pub(super) const WORK_BYTES_MAX: usize = 64 << 20;
/// How deep templates may call templates, and pipelines may lie in pipelines, at run time.
pub(super) const DEPTH_MAX: usize = 64;
/// How deep the text of a template may be nested.
pub(super) const NESTING_MAX: usize = 64;
/// Width and precision of `printf`'s verbs (Go: a million).
pub(super) const WIDTH_MAX: usize = 10_000;
/// Compiled expressions a template keeps.
pub(super) const REGEXES_MAX: usize = 32;
/// How deep JSON may be nested in `fromJson`.
pub(super) const JSON_DEPTH_MAX: usize = 64;
