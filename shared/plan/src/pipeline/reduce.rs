//! Regular expressions that Loki replaces by substring search (`pkg/logql/log/filter.go`, `RegexSimplifier`).
//!
//! The replacement is not always the same: `a|` loses its empty branch, and of a label filter's `err.*` only `err` is left, anywhere in
//! the value. Answers are to be Loki's, so the same patterns are replaced here, by the same tree ([`model::re2::tree`]).

use model::re2::{self, Tree};

/// What is left of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reduced {
    /// Every text matches.
    Everything,
    /// Every text but the empty one.
    NotEmpty,
    /// Texts that contain this one; in lower case where case does not matter.
    Contains { text: String, fold: bool },
    /// This text.
    Equals { text: String, fold: bool },
    /// One of these, two or more.
    Any(Vec<Reduced>),
}

/// Reduces a pattern; `None` where the regular expression stays. `whole` is for label values, which literals must equal.
pub(super) fn reduce(pattern: &str, whole: bool) -> Option<Reduced> {
    simplified(&re2::tree(pattern).ok()?, whole)
}

fn simplified(tree: &Tree, whole: bool) -> Option<Reduced> {
    match tree {
        Tree::Empty | Tree::AnyStar => Some(Reduced::Everything),
        Tree::AnyPlus => Some(Reduced::NotEmpty),
        Tree::Literal { text, fold } => {
            let (text, fold) = (text.iter().collect(), *fold);
            Some(if whole { Reduced::Equals { text, fold } } else { Reduced::Contains { text, fold } })
        }
        Tree::Capture(inner) => simplified(inner, whole),
        Tree::Alternate(branches) => {
            let mut branches = branches.iter().map(|branch| simplified(without_capture(branch), whole));
            let first = branches.next()??;
            branches.try_fold(first, |before, next| Some(either(before, next?)))
        }
        Tree::Concat(parts) => concat(parts, None),
        Tree::Class | Tree::Other => None,
    }
}

fn without_capture(tree: &Tree) -> &Tree {
    match tree {
        Tree::Capture(inner) => inner,
        tree => tree,
    }
}

/// Either side; a side that accepts everything is left out, as in Loki.
pub(super) fn either(left: Reduced, right: Reduced) -> Reduced {
    match (left, right) {
        (Reduced::Everything, other) | (other, Reduced::Everything) => other,
        (Reduced::Any(mut all), Reduced::Any(more)) => {
            all.extend(more);
            Reduced::Any(all)
        }
        (Reduced::Any(mut all), one) => {
            all.push(one);
            Reduced::Any(all)
        }
        (one, other) => Reduced::Any(vec![one, other]),
    }
}

/// One literal with `.*` around it, or a literal before alternatives. `base` stands before what is here.
fn concat(parts: &[Tree], base: Option<&str>) -> Option<Reduced> {
    let parts: Vec<&Tree> = parts.iter().map(without_capture).filter(|part| **part != Tree::Empty).collect();
    if parts.len() > 3 {
        return None;
    }
    let (mut base, mut base_fold, mut literals) = (base.map(str::to_owned), false, 0);
    let mut found: Option<Reduced> = None;
    for part in parts {
        match (part, &mut base) {
            (Tree::Literal { text, fold }, base) if literals == 0 => {
                literals = 1;
                base.get_or_insert_default().extend(text);
                base_fold = *fold;
            }
            (Tree::Alternate(branches), Some(base)) => found = Some(alternatives(branches, base, base_fold, found)?),
            (Tree::AnyStar, _) => {}
            _ => return None,
        }
    }
    found.or_else(|| base.map(|text| Reduced::Contains { text, fold: base_fold }))
}

fn alternatives(branches: &[Tree], base: &str, fold: bool, mut found: Option<Reduced>) -> Option<Reduced> {
    for branch in branches {
        let next = match branch {
            Tree::Empty | Tree::AnyStar => Reduced::Contains { text: base.to_owned(), fold },
            Tree::Literal { fold: true, .. } if !fold => return None,
            Tree::Literal { text, .. } => Reduced::Contains { text: base.chars().chain(text.iter().copied()).collect(), fold },
            Tree::Concat(parts) => concat(parts, Some(base))?,
            _ => return None,
        };
        found = Some(match found {
            Some(found) => either(found, next),
            None => next,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loki_replaces_is_replaced() {
        let contains = |text: &str| Reduced::Contains { text: text.to_owned(), fold: false };
        let any = |texts: &[&str]| Reduced::Any(texts.iter().map(|text| contains(text)).collect());
        for (pattern, want) in [
            ("error", Some(contains("error"))),
            ("err.*", Some(contains("err"))),
            (".*err.*", Some(contains("err"))),
            ("foo|bar", Some(any(&["foo", "bar"]))),
            ("bar|b|buzz", Some(any(&["bar", "b", "buzz"]))),
            ("a|", Some(contains("a"))),
            ("(foo|bar).*", None),
            ("e.*r", None),
            ("a|b", None),
            ("", Some(Reduced::Everything)),
            (".+", Some(Reduced::NotEmpty)),
            ("(?i)Err", Some(Reduced::Contains { text: "err".to_owned(), fold: true })),
            ("^err", None),
        ] {
            assert_eq!(reduce(pattern, false), want, "{pattern}");
        }
        assert_eq!(reduce("err", true), Some(Reduced::Equals { text: "err".to_owned(), fold: false }));
        assert_eq!(reduce("err.*", true), Some(contains("err")), "Loki forgets where a label's value begins");
    }
}
