//! What parsers may skip, and the filters they may apply early. Both are visible in answers, so they are Loki's rules.

use super::label_filter::CompiledFilter;
use super::labels::{ERROR, EXTRACTED_SUFFIX, Labels};

/// Hints to the parsers of one pipeline.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Nothing that a parser could find is asked for.
    nothing: bool,
    /// All that is asked for; empty where everything may be.
    required: Vec<String>,
    preserve_error: bool,
    /// Filters on one label, applied as soon as a parser sets it.
    filters: Vec<CompiledFilter>,
}

impl Hints {
    /// Makes the hints of a log query, or of a metric query without grouping.
    pub(super) fn all(filters: Vec<CompiledFilter>) -> Hints {
        Hints { filters, ..Hints::default() }
    }

    /// Makes the hints of a metric query that keeps only `groups`: `used` are the labels its stages read. Where both are empty,
    /// parsers have nothing to do.
    pub(super) fn required(used: Vec<String>, groups: &[String], filters: Vec<CompiledFilter>) -> Hints {
        let mut required: Vec<String> = Vec::new();
        for name in used.iter().chain(groups) {
            let stripped = name.strip_suffix(EXTRACTED_SUFFIX);
            for name in [Some(name.as_str()), stripped].into_iter().flatten() {
                if !name.is_empty() && !required.iter().any(|known| known == name) {
                    required.push(name.to_owned());
                }
            }
        }
        let nothing = required.is_empty();
        let preserve_error = required.iter().any(|name| name == ERROR);
        Hints { nothing, required, preserve_error, filters }
    }

    /// Reports whether a parser has nothing to find at all.
    pub(super) fn nothing(&self) -> bool {
        self.nothing
    }

    /// Reports whether a label of this name, from wherever, can make a difference to what is found of a narrow selection: it is asked
    /// for, or a parsed one that is asked for would take another name beside it.
    pub(super) fn is_required(&self, name: &str) -> bool {
        self.required.iter().any(|required| required == name)
    }

    /// Reports whether only some labels are asked for.
    pub(super) fn is_narrow(&self) -> bool {
        self.nothing || !self.required.is_empty()
    }

    /// Reports whether a parser has nothing (more) to find.
    pub(super) fn done(&self, labels: &Labels) -> bool {
        self.nothing || self.all_found(labels)
    }

    /// Reports whether all that is required has been found.
    pub(super) fn all_found(&self, labels: &Labels) -> bool {
        !self.required.is_empty() && self.required.iter().all(|name| labels.was_extracted(name))
    }

    /// Reports whether a label of this name is asked for.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.required.is_empty() || self.required.iter().any(|required| required == name)
    }

    /// Reports whether some label that starts so is asked for.
    pub(super) fn wants_prefix(&self, prefix: &str) -> bool {
        self.required.is_empty() || self.required.iter().any(|required| required.starts_with(prefix))
    }

    /// Reports whether the error itself is asked for.
    pub(super) fn preserve_error(&self) -> bool {
        self.preserve_error
    }

    /// Reports whether the line may go on now that `name` is set: the first filter on it decides.
    pub(super) fn accepts(&self, name: &str, labels: &mut Labels) -> bool {
        match self.filters.iter().find(|filter| filter.single_name() == Some(name)) {
            Some(filter) => filter.accepts(labels),
            None => true,
        }
    }
}
