//! Literals that a pattern cannot match without: what lets a scan leave out text that has none of them.

use regex_syntax::hir::{Hir, HirKind};

/// Alternatives worth looking for; more prune little.
const ALTERNATIVES_MAX: usize = 16;

/// Returns literals of which every match of `pattern` has at least one; `None` where no such list is known. Case matters.
pub fn required_literals(pattern: &str) -> Option<Vec<Vec<u8>>> {
    let translated = super::translate(pattern).ok()?;
    let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(&translated).ok()?;
    // Go reads each byte that is no UTF-8 as U+FFFD: the text may not have this literal where the pattern matches it.
    let replacement = "\u{fffd}".as_bytes();
    required(&hir).filter(|any| !any.iter().any(|literal| literal.windows(replacement.len()).any(|bytes| bytes == replacement)))
}

fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(parts) => required_of_parts(parts),
        HirKind::Alternation(branches) => {
            let all: Option<Vec<Vec<Vec<u8>>>> = branches.iter().map(required).collect();
            all.map(|all| all.concat()).filter(|any| any.len() <= ALTERNATIVES_MAX)
        }
        _ => texts(hir).filter(|any| !any.iter().any(Vec::is_empty)),
    }
}

/// Chooses among what the parts require, neighbours that match only a few texts taken together. Longer literals are rarer.
fn required_of_parts(parts: &[Hir]) -> Option<Vec<Vec<u8>>> {
    let mut found: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut together: Option<Vec<Vec<u8>>> = None;
    for part in parts {
        match (texts(part), together.take()) {
            (Some(next), None) => together = Some(next),
            (Some(next), Some(before)) => match product(&before, &next) {
                Some(both) => together = Some(both),
                None => {
                    found.push(before);
                    together = Some(next);
                }
            },
            (None, before) => {
                found.extend(before);
                found.extend(required(part));
            }
        }
    }
    found.extend(together);
    found.into_iter().filter(|any| !any.iter().any(Vec::is_empty)).max_by_key(|any| any.iter().map(Vec::len).min())
}

/// Returns all texts that match, where they are few.
fn texts(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]),
        HirKind::Empty | HirKind::Look(_) => Some(vec![Vec::new()]),
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Concat(parts) => parts.iter().try_fold(vec![Vec::new()], |before, part| product(&before, &texts(part)?)),
        HirKind::Alternation(branches) => {
            let all: Option<Vec<Vec<Vec<u8>>>> = branches.iter().map(texts).collect();
            all.map(|all| all.concat()).filter(|any| any.len() <= ALTERNATIVES_MAX)
        }
        HirKind::Class(_) | HirKind::Repetition(_) => None,
    }
}

fn product(before: &[Vec<u8>], next: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if before.len() * next.len() > ALTERNATIVES_MAX {
        return None;
    }
    Some(before.iter().flat_map(|head| next.iter().map(|tail| [head.as_slice(), tail].concat())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_match_has_one() {
        for (pattern, want) in [
            ("error", Some(&["error"][..])),
            ("a.*bcd[0-9]+e", Some(&["bcd"])),
            ("(timeout|refused) after", Some(&["timeout after", "refused after"])),
            (" (nothing|nor) .", Some(&[" nothing ", " nor "])),
            ("^\\bx$", Some(&["x"])),
            ("(|a)b+", Some(&["b"])),
            ("x(timeout|refused)?", Some(&["x"])),
            ("timeout|refused", Some(&["timeout", "refused"])),
            ("(?P<n>ab+)c", Some(&["c"])),
            ("(?i)error", None),
            ("[0-9]+", None),
            ("a|b*", None),
            ("x\u{fffd}y", None),
            ("(", None),
        ] {
            let found =
                required_literals(pattern).map(|any| any.into_iter().map(|one| String::from_utf8(one).unwrap()).collect());
            assert_eq!(found, want.map(|want| want.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()), "{pattern}");
        }
    }
}
