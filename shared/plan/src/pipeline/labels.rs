//! Labels of the entry in hand: stream labels, structured metadata and parsed labels, with Loki's rules for collisions.
//!
//! One buffer is reused for all entries: names and values live in an arena, so that a line costs no allocation.

use std::borrow::Cow;

use model::LabelSet;
use model::labels::encode_label;

/// Holds why a line could not be processed.
pub const ERROR: &str = "__error__";
/// Holds the details.
pub const ERROR_DETAILS: &str = "__error_details__";
/// Asks metric queries to keep samples of failed lines.
pub const PRESERVE_ERROR: &str = "__preserve_error__";
/// Ends the name of a label that collides.
pub const EXTRACTED_SUFFIX: &str = "_extracted";

/// Where a label comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Category {
    /// The stream.
    Stream,
    /// Structured metadata.
    Metadata,
    /// A parser or a format stage.
    Parsed,
}

const CATEGORIES: [Category; 3] = [Category::Stream, Category::Metadata, Category::Parsed];

#[derive(Clone, Copy, Debug)]
struct Text {
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug)]
struct Label {
    name: Text,
    value: Text,
}

/// Labels of one entry while it passes the stages.
///
/// # Invariants
/// A name occurs once per category; a set label hides a deleted one and the stream's.
#[derive(Clone, Debug)]
pub struct Labels {
    base: LabelSet,
    /// The stream's labels decoded, for lookups.
    base_labels: Vec<(Box<str>, Box<str>)>,
    arena: String,
    added: [Vec<Label>; 3],
    deleted: Vec<Text>,
    /// Names parsed so far: the first value of a name wins, over all parsers of the pipeline.
    extracted: Vec<Text>,
    error: &'static str,
    error_details: String,
}

impl Default for Labels {
    fn default() -> Labels {
        Labels {
            base: LabelSet::empty(),
            base_labels: Vec::new(),
            arena: String::new(),
            added: [Vec::new(), Vec::new(), Vec::new()],
            deleted: Vec::new(),
            extracted: Vec::new(),
            error: "",
            error_details: String::new(),
        }
    }
}

impl Labels {
    /// Starts an entry: forgets everything, takes the stream's labels and the entry's metadata.
    pub(super) fn start(&mut self, stream: &LabelSet, metadata: &LabelSet) {
        if self.base.encoded().as_ptr() != stream.encoded().as_ptr() {
            self.base = stream.clone();
            self.base_labels = stream.iter().map(|(name, value)| (name.into(), value.into())).collect();
        }
        self.arena.clear();
        self.added.iter_mut().for_each(Vec::clear);
        self.deleted.clear();
        self.extracted.clear();
        self.error = "";
        self.error_details.clear();
        let mut renamed = false;
        for (name, value) in metadata.iter() {
            if self.base_value(name).is_some() {
                renamed = true;
                self.set(Category::Metadata, &format!("{name}{EXTRACTED_SUFFIX}"), value);
            } else if renamed {
                self.set(Category::Metadata, name, value);
            } else {
                // Names of one set differ, so nothing can be hidden or replaced yet.
                self.push(Category::Metadata, name, value);
            }
        }
    }

    fn base_value(&self, name: &str) -> Option<&str> {
        self.base_labels.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }

    fn text(&self, text: Text) -> &str {
        &self.arena[text.start..text.end]
    }

    fn store(&mut self, text: &str) -> Text {
        let start = self.arena.len();
        self.arena.push_str(text);
        Text { start, end: self.arena.len() }
    }

    fn position(&self, category: Category, name: &str) -> Option<usize> {
        self.added[category as usize].iter().position(|label| self.text(label.name) == name)
    }

    /// Returns a label's value and where it comes from.
    pub fn get(&self, name: &str) -> Option<(&str, Category)> {
        for category in CATEGORIES {
            if let Some(index) = self.position(category, name) {
                return Some((self.text(self.added[category as usize][index].value), category));
            }
        }
        if self.deleted.iter().any(|deleted| self.text(*deleted) == name) {
            return None;
        }
        self.base_value(name).map(|value| (value, Category::Stream))
    }

    /// Returns what a string filter compares: the error for `__error__`, "" for a missing label.
    pub(super) fn filter_value(&self, name: &str) -> &str {
        if name == ERROR && !self.error.is_empty() {
            return self.error;
        }
        self.get(name).map_or("", |(value, _)| value)
    }

    /// Reports whether a parsed label of this name must take the `_extracted` suffix.
    pub(super) fn collides(&self, name: &str) -> bool {
        self.base_value(name).is_some() || self.position(Category::Metadata, name).is_some()
    }

    /// Reports whether a parser has set this name before.
    pub(super) fn was_extracted(&self, name: &str) -> bool {
        self.extracted.iter().any(|text| self.text(*text) == name)
    }

    /// Sets a label. Parsed labels take the place of metadata, metadata that of stream labels, never the other way round.
    pub(super) fn set(&mut self, category: Category, name: &str, value: &str) {
        for other in CATEGORIES {
            match self.position(other, name) {
                Some(index) if other < category => {
                    self.added[other as usize].remove(index);
                }
                Some(_) if other > category => return,
                _ => {}
            }
        }
        match self.position(category, name) {
            Some(index) => self.added[category as usize][index].value = self.store(value),
            None => self.push(category, name, value),
        }
    }

    /// Sets a label that no parser has set before.
    pub(super) fn set_parsed(&mut self, name: &str, value: &str) {
        debug_assert!(!self.was_extracted(name), "parsers ask first");
        if let Some(index) = self.position(Category::Metadata, name) {
            self.added[Category::Metadata as usize].remove(index);
        }
        self.push(Category::Parsed, name, value);
    }

    fn push(&mut self, category: Category, name: &str, value: &str) {
        let label = Label { name: self.store(name), value: self.store(value) };
        self.added[category as usize].push(label);
        if category == Category::Parsed {
            self.extracted.push(label.name);
        }
    }

    /// Removes a label whatever its category.
    pub(super) fn delete(&mut self, name: &str) {
        for category in CATEGORIES {
            if let Some(index) = self.position(category, name) {
                self.added[category as usize].remove(index);
            }
        }
        let name = self.store(name);
        self.deleted.push(name);
    }

    /// Returns the error, if any.
    pub fn error(&self) -> Option<&str> {
        if !self.error.is_empty() {
            return Some(self.error);
        }
        self.get(ERROR).map(|(value, _)| value).filter(|value| !value.is_empty())
    }

    pub(super) fn has_error(&self) -> bool {
        !self.error.is_empty()
    }

    pub(super) fn set_error(&mut self, error: &'static str, details: &str) {
        self.error = error;
        // An error without details leaves those of the one before.
        if !details.is_empty() {
            details.clone_into(&mut self.error_details);
        }
    }

    pub(super) fn reset_error(&mut self) {
        self.error = "";
    }

    pub(super) fn error_text(&self) -> &str {
        self.error
    }

    pub(super) fn error_details(&self) -> &str {
        &self.error_details
    }

    pub(super) fn reset_error_details(&mut self) {
        self.error_details.clear();
    }

    /// Reports whether the entry has exactly the labels of its stream. Details that outlived their error (`drop __error__`) do not
    /// count: Loki shows them only beside another change.
    pub fn is_unchanged(&self) -> bool {
        self.deleted.is_empty() && self.added.iter().all(Vec::is_empty) && self.error.is_empty()
    }

    /// Calls `each` with every label, stream labels first; values may be empty.
    pub fn for_each<'s>(&'s self, mut each: impl FnMut(&'s str, &'s str, Category)) {
        for (name, value) in self.base_labels.iter().map(|(name, value)| (&**name, &**value)) {
            let hidden = self.deleted.iter().any(|deleted| self.text(*deleted) == name)
                || CATEGORIES[1..].iter().any(|category| self.position(*category, name).is_some());
            if !hidden {
                let set = self.position(Category::Stream, name);
                each(name, set.map_or(value, |index| self.text(self.added[0][index].value)), Category::Stream);
            }
        }
        for label in &self.added[0] {
            let name = self.text(label.name);
            let shown = self.base_value(name).is_some() && !self.deleted.iter().any(|deleted| self.text(*deleted) == name);
            if !shown {
                each(name, self.text(label.value), Category::Stream);
            }
        }
        for category in [Category::Metadata, Category::Parsed] {
            for label in &self.added[category as usize] {
                each(self.text(label.name), self.text(label.value), category);
            }
        }
        if !self.error.is_empty() {
            each(ERROR, self.error, Category::Parsed);
        }
        if !self.error_details.is_empty() && !self.is_unchanged() {
            each(ERROR_DETAILS, &self.error_details, Category::Parsed);
        }
    }

    /// Appends the canonical encoding of the labels that `keep` accepts, empty values among them.
    fn encode(&self, out: &mut Vec<u8>, mut keep: impl FnMut(&str, Category) -> bool) {
        let mut kept: Vec<(&str, &str)> = Vec::with_capacity(16);
        self.for_each(|name, value, category| {
            if !name.is_empty() && keep(name, category) {
                kept.push((name, value));
            }
        });
        // The sort is stable: of equal names (a parsed `__error__` beside the error itself) the last one counts.
        kept.sort_by_key(|(name, _)| *name);
        for (index, (name, value)) in kept.iter().enumerate() {
            if kept.get(index + 1).is_none_or(|(next, _)| next != name) {
                encode_label(out, name.as_bytes(), value.as_bytes());
            }
        }
    }

    /// Returns all labels.
    pub fn merged(&self) -> LabelSet {
        if self.is_unchanged() { self.base.clone() } else { set_of(|out| self.encode(out, |_, _| true)) }
    }

    /// Appends the canonical encoding of all labels.
    pub(super) fn encode_merged(&self, out: &mut Vec<u8>) {
        match self.is_unchanged() {
            true => out.extend_from_slice(self.base.encoded()),
            false => self.encode(out, |_, _| true),
        }
    }

    /// Appends what an entry starts with, of the labels that `keep` accepts: equal bytes for equal labels from the same places.
    pub(super) fn put_started(&self, mut keep: impl FnMut(&str) -> bool, out: &mut Vec<u8>) {
        for (name, value) in self.base_labels.iter().filter(|(name, _)| keep(name)) {
            encode_label(out, name.as_bytes(), value.as_bytes());
        }
        // No label of a stream begins so: the length of its name would be 0.
        out.push(0);
        for label in &self.added[Category::Metadata as usize] {
            if keep(self.text(label.name)) {
                encode_label(out, self.text(label.name).as_bytes(), self.text(label.value).as_bytes());
            }
        }
    }

    /// Returns the labels of one category.
    pub fn of(&self, wanted: Category) -> LabelSet {
        set_of(|out| self.encode(out, |_, category| category == wanted))
    }

    /// Appends the canonical encoding of the labels that are not in `groups`.
    pub(super) fn encode_without(&self, groups: &[String], out: &mut Vec<u8>) {
        self.encode(out, |name, _| name != ERROR_DETAILS && !groups.iter().any(|group| group == name));
    }

    /// Appends the canonical encoding of the labels in `groups`, which ascend.
    pub(super) fn encode_only(&self, groups: &[String], out: &mut Vec<u8>) {
        for group in groups {
            // Loki looks at what was deleted before what was set again, and takes an empty value only from what was set.
            if self.deleted.iter().any(|deleted| self.text(*deleted) == group) {
                continue;
            }
            let set = CATEGORIES.into_iter().find_map(|category| {
                let index = self.position(category, group)?;
                Some(self.text(self.added[category as usize][index].value))
            });
            if let Some(value) = set.or_else(|| self.base_value(group).filter(|value| !value.is_empty())) {
                encode_label(out, group.as_bytes(), value.as_bytes());
            }
        }
    }

    /// Returns the names of all labels; for stages that change labels while walking over them.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.for_each(|name, _, _| names.push(name.to_owned()));
        names
    }
}

fn set_of(encode: impl FnOnce(&mut Vec<u8>)) -> LabelSet {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    LabelSet::from_encoded_with_empty(&bytes).expect("names ascend, are unique and not empty; all is UTF-8")
}

/// Turns a key into a label name: blanks trimmed, `_` before a leading digit (where `out` is empty) and for each foreign rune.
pub(super) fn push_sanitized(out: &mut String, key: &str) {
    let key = key.trim();
    if out.is_empty() && key.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    if key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        out.push_str(key);
        return;
    }
    out.extend(key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }));
}

/// Turns bytes into text: each byte that is no UTF-8, and U+FFFD itself, becomes a blank.
pub(super) fn clean_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() || !text.contains('\u{fffd}') => text.into(),
        _ => go_text(bytes).replace('\u{fffd}', " ").into(),
    }
}

/// Turns bytes into text as Go reads it: each byte that is no UTF-8 becomes U+FFFD.
pub(crate) fn go_text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(
        |_| {
            let mut out = String::with_capacity(bytes.len() + 8);
            for chunk in bytes.utf8_chunks() {
                out.push_str(chunk.valid());
                out.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
            }
            out.into()
        },
        Cow::Borrowed,
    )
}
