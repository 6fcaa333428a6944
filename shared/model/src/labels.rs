//! Label sets in one canonical encoding: equal sets are equal bytes.
//!
//! The encoding is what ingest hashes, segments store and queries compare: for each label, ordered by name,
//! `varint(name length) name varint(value length) value`. Labels with an empty value do not exist (Prometheus); only a LogQL pipeline
//! tells them from labels that are not there.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::quote::go_quote;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The structured metadata that says the level of an entry: written when it arrives, as Loki does.
pub const DETECTED_LEVEL: &str = "detected_level";

/// An immutable set of labels.
///
/// # Invariants
/// Canonically encoded: names strictly ascending by bytes, names and values valid UTF-8, no empty value but in sets of
/// [`LabelSet::from_encoded_with_empty`], which are never stored.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LabelSet(Arc<[u8]>);

/// Why bytes are not a canonical label set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LabelSetError {
    /// A length points past the end.
    #[error("label set is truncated")]
    Truncated,
    /// A name or value is not UTF-8.
    #[error("label set is not valid UTF-8")]
    NotUtf8,
    /// Names are not strictly ascending.
    #[error("label names are not sorted and unique")]
    NotSorted,
    /// A name or a value is empty.
    #[error("label set has an empty name or value")]
    Empty,
}

impl LabelSet {
    /// Returns the set without labels.
    pub fn empty() -> LabelSet {
        LabelSet(Arc::from([]))
    }

    /// Builds a set from pairs in any order; pairs with an empty value are left out, of equal names the last wins.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> LabelSet {
        let mut builder = LabelSetBuilder::default();
        for (name, value) in pairs {
            builder.set(name, value);
        }
        builder.build()
    }

    /// Takes canonically encoded bytes, verifying every invariant.
    pub fn from_encoded(bytes: &[u8]) -> Result<LabelSet, LabelSetError> {
        verify(bytes)?;
        Ok(LabelSet(Arc::from(bytes)))
    }

    /// Takes canonically encoded bytes in which values may be empty: what a LogQL parser set to "" is a label, and tells series apart.
    pub fn from_encoded_with_empty(bytes: &[u8]) -> Result<LabelSet, LabelSetError> {
        verify_all(bytes).map(|_| LabelSet(Arc::from(bytes)))
    }

    /// Builds a set from pairs in any order, those with an empty value among them; of equal names the last wins.
    pub fn from_pairs_with_empty<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> LabelSet {
        let pairs: std::collections::BTreeMap<&str, &str> = pairs.into_iter().filter(|(name, _)| !name.is_empty()).collect();
        let mut bytes = Vec::new();
        pairs.iter().for_each(|(name, value)| encode_label(&mut bytes, name.as_bytes(), value.as_bytes()));
        LabelSet(bytes.into())
    }

    /// Returns the canonical encoding.
    pub fn encoded(&self) -> &[u8] {
        &self.0
    }

    /// Iterates over `(name, value)`, ordered by name.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    /// Returns the value of a label, or `None` where it is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().take_while(|(n, _)| *n <= name).find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Returns the metric name, or `None` where there is none.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// Counts the labels.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Reports whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the set of those labels that `keep` accepts by name.
    pub fn retain(&self, mut keep: impl FnMut(&str) -> bool) -> LabelSet {
        let mut bytes = Vec::with_capacity(self.0.len());
        for (name, value) in self.iter() {
            if keep(name) {
                encode_label(&mut bytes, name.as_bytes(), value.as_bytes());
            }
        }
        LabelSet(bytes.into())
    }

    /// Returns this set without the label `name`.
    pub fn without(&self, name: &str) -> LabelSet {
        self.retain(|n| n != name)
    }

    /// Returns a builder that starts with these labels.
    pub fn to_builder(&self) -> LabelSetBuilder {
        LabelSetBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }
}

/// Appends one label to a canonical encoding. The caller keeps names ascending and values non-empty.
pub fn encode_label(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put_varint(out, name.len() as u64);
    out.extend_from_slice(name);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a LEB128 varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a LEB128 varint off the front of `bytes`; `None` where it is truncated or longer than 64 bits.
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Some(value);
        }
    }
    None
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(take_varint(bytes)?).ok()?;
    let (head, tail) = bytes.split_at_checked(len)?;
    *bytes = tail;
    Some(head)
}

/// Checks that `bytes` are a canonical encoding without an empty value.
pub fn verify(bytes: &[u8]) -> Result<(), LabelSetError> {
    if verify_all(bytes)? { Err(LabelSetError::Empty) } else { Ok(()) }
}

/// Checks that `bytes` are a canonical encoding; says whether a value is empty.
fn verify_all(mut bytes: &[u8]) -> Result<bool, LabelSetError> {
    let mut previous: &[u8] = &[];
    let mut any_empty = false;
    while !bytes.is_empty() {
        let name = take_bytes(&mut bytes).ok_or(LabelSetError::Truncated)?;
        let value = take_bytes(&mut bytes).ok_or(LabelSetError::Truncated)?;
        if name.is_empty() {
            return Err(LabelSetError::Empty);
        }
        any_empty |= value.is_empty();
        if name <= previous {
            return Err(LabelSetError::NotSorted);
        }
        if std::str::from_utf8(name).is_err() || std::str::from_utf8(value).is_err() {
            return Err(LabelSetError::NotUtf8);
        }
        previous = name;
    }
    Ok(any_empty)
}

/// Iterator over the labels of a set.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iter<'a> {
    /// Iterates over a canonical encoding that was verified before; stops at the first breach.
    pub fn over(encoded: &'a [u8]) -> Iter<'a> {
        Iter { rest: encoded }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        if self.rest.is_empty() {
            return None;
        }
        let name = std::str::from_utf8(take_bytes(&mut self.rest)?).ok()?;
        let value = std::str::from_utf8(take_bytes(&mut self.rest)?).ok()?;
        Some((name, value))
    }
}

impl PartialOrd for LabelSet {
    fn partial_cmp(&self, other: &LabelSet) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LabelSet {
    /// Orders as Prometheus's `labels.Compare`: label by label, name before value, a prefix first.
    fn cmp(&self, other: &LabelSet) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        // Text orders as its bytes do: names and values are compared without looking at them as text again.
        let (mut a, mut b) = (self.encoded(), other.encoded());
        loop {
            match (take_bytes(&mut a), take_bytes(&mut b)) {
                (Some(a), Some(b)) if a == b => {}
                (a, b) => return a.cmp(&b),
            }
        }
    }
}

impl fmt::Display for LabelSet {
    /// Prints as Prometheus's `Labels.String`: `{__name__="m", a="b"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_name(name) {
                write!(f, "{name}={}", go_quote(value))?;
            } else {
                write!(f, "{}={}", go_quote(name), go_quote(value))?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reports whether `name` is a label name of the classic grammar, `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_') && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Reports whether `name` is a metric name of the classic grammar, `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_legacy_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Builds label sets from changes.
#[derive(Clone, Debug, Default)]
pub struct LabelSetBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelSetBuilder {
    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut LabelSetBuilder {
        match self.pairs.iter_mut().find(|(n, _)| n == name) {
            Some(pair) => value.clone_into(&mut pair.1),
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut LabelSetBuilder {
        self.pairs.retain(|(n, _)| n != name);
        self
    }

    /// Returns the value set for `name`, if any.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Builds the canonical set.
    pub fn build(mut self) -> LabelSet {
        self.pairs.retain(|(n, v)| !v.is_empty() && !n.is_empty());
        self.pairs.sort_unstable();
        let mut bytes = Vec::new();
        for (name, value) in &self.pairs {
            encode_label(&mut bytes, name.as_bytes(), value.as_bytes());
        }
        LabelSet(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_encoding_is_order_free() {
        let a = LabelSet::from_pairs([("b", "2"), ("a", "1"), ("c", "")]);
        let b = LabelSet::from_pairs([("a", "1"), ("b", "2")]);
        assert_eq!(a, b);
        assert_eq!(a.to_string(), r#"{a="1", b="2"}"#);
        assert_eq!(a.get("b"), Some("2"));
        assert_eq!(a.get("c"), None);
        assert_eq!(LabelSet::from_encoded(a.encoded()), Ok(b));
    }

    #[test]
    fn outside_bytes_are_verified() {
        let mut twice = Vec::new();
        encode_label(&mut twice, b"a", b"1");
        encode_label(&mut twice, b"a", b"2");
        assert_eq!(LabelSet::from_encoded(&twice), Err(LabelSetError::NotSorted));
        assert_eq!(LabelSet::from_encoded(&[5, b'a']), Err(LabelSetError::Truncated));
        assert_eq!(LabelSet::from_encoded(&[1, b'a', 1, 0xff]), Err(LabelSetError::NotUtf8));
        assert_eq!(LabelSet::from_encoded(&[1, b'a', 0]), Err(LabelSetError::Empty));
        assert_eq!(LabelSet::from_encoded(&[0xff; 11]), Err(LabelSetError::Truncated));
    }

    #[test]
    fn empty_values_are_labels_where_asked_for() {
        let set = LabelSet::from_pairs_with_empty([("b", ""), ("a", "1"), ("a", "2"), ("", "x")]);
        assert_eq!(set.to_string(), r#"{a="2", b=""}"#);
        assert_eq!(set.get("b"), Some(""));
        assert_eq!(LabelSet::from_encoded_with_empty(set.encoded()), Ok(set.clone()));
        assert_eq!(LabelSet::from_encoded(set.encoded()), Err(LabelSetError::Empty));
        assert_ne!(set, set.without("b"));
    }

    #[test]
    fn order_is_prometheus() {
        let shorter = LabelSet::from_pairs([("a", "1")]);
        let longer = LabelSet::from_pairs([("a", "1"), ("b", "1")]);
        let larger = LabelSet::from_pairs([("a", "2")]);
        assert!(shorter < longer && longer < larger);
    }
}
