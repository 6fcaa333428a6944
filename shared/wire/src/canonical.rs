//! Labels in any order to the canonical encoding.

use model::labels::encode_label;

/// One label as it stands in the body.
pub(crate) type Pair<'a> = (&'a [u8], &'a [u8]);

/// What keeps labels from being a label set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    NotUtf8,
    EmptyName,
    Duplicate(String),
}

/// Appends the canonical encoding of `pairs`, which are sorted where they are not; labels without a value are left out.
pub(crate) fn encode(pairs: &mut [Pair<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
        pairs.sort_by(|a, b| a.0.cmp(b.0));
        if let Some(twice) = pairs.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(Fault::Duplicate(String::from_utf8_lossy(twice[0].0).into_owned()));
        }
    }
    if pairs.first().is_some_and(|(name, _)| name.is_empty()) {
        return Err(Fault::EmptyName);
    }
    pairs.iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| encode_label(out, name, value));
    // Lengths below 128 are ASCII too, so one check usually stands for all names and values.
    let valid = |bytes: &[u8]| simdutf8::basic::from_utf8(bytes).is_ok();
    if !out[start..].is_ascii() && !pairs.iter().all(|(name, value)| valid(name) && valid(value)) {
        out.truncate(start);
        return Err(Fault::NotUtf8);
    }
    Ok(())
}
