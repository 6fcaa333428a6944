//! The `regexp` parser: named groups become labels.

use model::labels::is_legacy_name;
use model::re2;

/// A compiled `regexp` stage.
#[derive(Clone, Debug)]
pub struct Regexp {
    regex: regex::bytes::Regex,
    /// Group index and label name, in order.
    groups: Vec<(usize, String)>,
}

impl Regexp {
    /// Compiles the pattern; the error is Loki's text.
    pub fn new(pattern: &str) -> Result<Regexp, String> {
        let regex = re2::compile_bytes(pattern).map_err(|error| error.to_string())?;
        let groups: Vec<(usize, String)> =
            regex.capture_names().enumerate().filter_map(|(index, name)| Some((index, name?.to_owned()))).collect();
        if groups.is_empty() {
            return Err("at least one named capture must be supplied".to_owned());
        }
        // A name given twice is dropped by the translation, so it is looked for in the text.
        let mut seen: Vec<&str> = Vec::new();
        for name in group_names(pattern) {
            if !is_legacy_name(name) {
                return Err(format!("invalid extracted label name '{name}'"));
            }
            if seen.contains(&name) {
                return Err(format!("duplicate extracted label name '{name}'"));
            }
            seen.push(name);
        }
        Ok(Regexp { regex, groups })
    }

    /// Iterates over the label names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|(_, name)| name.as_str())
    }

    /// Calls `found` for each named group of the first match; a group that took no part has the value "".
    pub fn captures<'a, 'r>(&'r self, line: &'a [u8], mut found: impl FnMut(&'r str, &'a [u8])) {
        let Some(captures) = self.regex.captures(line) else { return };
        for (index, name) in &self.groups {
            found(name, captures.get(*index).map_or(&[][..], |group| group.as_bytes()));
        }
    }
}

fn group_names(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.match_indices("(?").filter_map(move |(at, _)| {
        let escaped = pattern[..at].bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1;
        let tail = &pattern[at + 2..];
        let name = tail.strip_prefix("P<").or_else(|| tail.strip_prefix('<'))?;
        (!escaped).then(|| &name[..name.find('>').unwrap_or(0)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_become_labels() {
        let regexp = Regexp::new("(?P<a>\\w+)(?: (?<b>x))?").unwrap();
        let mut out = Vec::new();
        regexp.captures(b"one two", |name, value| out.push((name.to_owned(), value.to_vec())));
        assert_eq!(out, [("a".to_owned(), b"one".to_vec()), ("b".to_owned(), Vec::new())]);
    }

    #[test]
    fn faults_are_lokis() {
        for (pattern, want) in [
            ("x", "at least one named capture must be supplied"),
            ("(?P<f>x)(?P<f>y)", "duplicate extracted label name 'f'"),
            ("(", "error parsing regexp: missing closing ): `(`"),
        ] {
            assert_eq!(Regexp::new(pattern).err().as_deref(), Some(want));
        }
    }
}
