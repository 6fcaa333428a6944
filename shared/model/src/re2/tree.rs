//! A pattern as the tree that Go's parser makes of it, as far as literals go: neighbours joined, common beginnings of branches
//! taken out (`regexp/syntax`: `maybeConcat`, `factor`). Loki decides by this tree which patterns it replaces by substring search.

use regex_syntax::ast::{
    Ast, ClassSet, ClassSetItem, Flag, Flags, FlagsItemKind, GroupKind, RepetitionKind, RepetitionRange, parse::Parser,
};

use super::Re2Error;

/// A node. What holds no literal worth knowing is [`Tree::Other`].
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Matches the empty text only.
    Empty,
    /// A text; regardless of case where `fold`, and then in lower case.
    Literal {
        /// Its characters.
        text: Vec<char>,
        /// Whether case does not matter.
        fold: bool,
    },
    /// `.*`, lazy or not, where `.` is no newline.
    AnyStar,
    /// `.+`, as `.*`.
    AnyPlus,
    /// `(…)`
    Capture(Box<Tree>),
    /// Branches, two or more.
    Alternate(Vec<Tree>),
    /// Parts, two or more.
    Concat(Vec<Tree>),
    /// A class or `.`: one character.
    Class,
    /// All else.
    Other,
}

/// Returns the tree of a pattern.
pub fn tree(pattern: &str) -> Result<Tree, Re2Error> {
    let translated = super::translate(pattern)?;
    let ast = Parser::new().parse(&translated).map_err(|error| Re2Error { message: error.to_string() })?;
    Ok(node(&ast, &mut Modes::default()))
}

/// The flags in force.
#[derive(Clone, Copy, Default)]
struct Modes {
    fold: bool,
    dot_all: bool,
}

impl Modes {
    fn set(&mut self, flags: &Flags) {
        let mut on = true;
        for item in &flags.items {
            match item.kind {
                FlagsItemKind::Negation => on = false,
                FlagsItemKind::Flag(Flag::CaseInsensitive) => self.fold = on,
                FlagsItemKind::Flag(Flag::DotMatchesNewLine) => self.dot_all = on,
                FlagsItemKind::Flag(_) => {}
            }
        }
    }
}

fn node(ast: &Ast, modes: &mut Modes) -> Tree {
    match ast {
        Ast::Empty(_) => Tree::Empty,
        Ast::Flags(flags) => {
            modes.set(&flags.flags);
            Tree::Empty
        }
        Ast::Literal(literal) => one(literal.c, modes.fold),
        Ast::Dot(_) | Ast::ClassUnicode(_) | Ast::ClassPerl(_) => Tree::Class,
        Ast::ClassBracketed(class) => match (&class.kind, class.negated) {
            (ClassSet::Item(item), false) => class_of(item, modes),
            _ => Tree::Class,
        },
        Ast::Assertion(_) => Tree::Other,
        Ast::Repetition(repetition) => {
            let inner = node(&repetition.ast, &mut modes.clone());
            let any = matches!(*repetition.ast, Ast::Dot(_)) && !modes.dot_all;
            match &repetition.op.kind {
                RepetitionKind::ZeroOrMore | RepetitionKind::Range(RepetitionRange::AtLeast(0)) if any => Tree::AnyStar,
                RepetitionKind::OneOrMore | RepetitionKind::Range(RepetitionRange::AtLeast(1)) if any => Tree::AnyPlus,
                RepetitionKind::Range(RepetitionRange::Exactly(1) | RepetitionRange::Bounded(1, 1)) => inner,
                RepetitionKind::Range(RepetitionRange::Exactly(0) | RepetitionRange::Bounded(0, 0)) => Tree::Empty,
                _ if inner == Tree::Empty => Tree::Empty,
                _ => Tree::Other,
            }
        }
        Ast::Group(group) => {
            let mut inside = *modes;
            if let GroupKind::NonCapturing(flags) = &group.kind {
                inside.set(flags);
                return node(&group.ast, &mut inside);
            }
            Tree::Capture(Box::new(node(&group.ast, &mut inside)))
        }
        Ast::Concat(concat) => concatenated(concat.asts.iter().filter_map(|ast| part(ast, modes)).collect()),
        Ast::Alternation(alternation) => {
            let branches: Vec<Tree> = alternation.asts.iter().map(|ast| node(ast, modes)).collect();
            alternate(with_classes_joined(branches))
        }
    }
}

/// Returns a part of a concatenation; flags alone are none.
fn part(ast: &Ast, modes: &mut Modes) -> Option<Tree> {
    let tree = node(ast, modes);
    (!matches!(ast, Ast::Flags(_))).then_some(tree)
}

fn one(c: char, fold: bool) -> Tree {
    Tree::Literal { text: vec![if fold { folded(c) } else { c }], fold }
}

/// Returns the one character that stands for all cases of `c`.
fn folded(c: char) -> char {
    match c {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        '\u{212b}' => 'å',
        c => {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(lower), None) => lower,
                _ => c,
            }
        }
    }
}

/// A class of one character is that character, and one of both its cases the character regardless of case.
fn class_of(item: &ClassSetItem, modes: &Modes) -> Tree {
    let chars: Option<Vec<char>> = match item {
        ClassSetItem::Literal(literal) => Some(vec![literal.c]),
        ClassSetItem::Range(range) if range.start.c == range.end.c => Some(vec![range.start.c]),
        ClassSetItem::Union(union) => union
            .items
            .iter()
            .map(|item| match item {
                ClassSetItem::Literal(literal) => Some(literal.c),
                ClassSetItem::Range(range) if range.start.c == range.end.c => Some(range.start.c),
                _ => None,
            })
            .collect(),
        _ => None,
    };
    match chars.as_deref() {
        Some([c]) => one(*c, modes.fold && c.is_alphabetic()),
        Some([a, b]) if a != b && folded(*a) == folded(*b) => one(*a, true),
        _ => Tree::Class,
    }
}

/// Joins neighbouring literals of one kind, then takes in the parts of inner concatenations.
fn concatenated(parts: Vec<Tree>) -> Tree {
    let mut joined: Vec<Tree> = Vec::new();
    for part in parts {
        match (joined.last_mut(), part) {
            (Some(Tree::Literal { text, fold }), Tree::Literal { text: more, fold: same }) if *fold == same => text.extend(more),
            (_, part) => joined.push(part),
        }
    }
    let flat: Vec<Tree> = joined
        .into_iter()
        .flat_map(|part| match part {
            Tree::Concat(parts) => parts,
            part => vec![part],
        })
        .collect();
    of_parts(flat)
}

fn of_parts(mut parts: Vec<Tree>) -> Tree {
    match parts.len() {
        0 => Tree::Empty,
        1 => parts.remove(0),
        _ => Tree::Concat(parts),
    }
}

fn is_class(tree: &Tree) -> bool {
    match tree {
        Tree::Literal { text, .. } => text.len() == 1,
        tree => *tree == Tree::Class,
    }
}

/// Neighbouring branches of one character each become a class.
fn with_classes_joined(branches: Vec<Tree>) -> Vec<Tree> {
    let mut out: Vec<Tree> = Vec::new();
    for branch in branches {
        match out.last_mut() {
            Some(last) if is_class(last) && is_class(&branch) => {
                if *last != branch {
                    *last = Tree::Class;
                }
            }
            _ => out.push(branch),
        }
    }
    out
}

fn alternate(branches: Vec<Tree>) -> Tree {
    let flat: Vec<Tree> = branches
        .into_iter()
        .flat_map(|branch| match branch {
            Tree::Alternate(branches) => branches,
            branch => vec![branch],
        })
        .collect();
    let mut branches = with_classes_joined(factored(flat));
    branches.dedup_by(|a, b| *a == Tree::Empty && *b == Tree::Empty);
    match branches.len() {
        1 => branches.remove(0),
        _ => Tree::Alternate(branches),
    }
}

/// Takes the common beginning out of neighbouring branches.
fn factored(branches: Vec<Tree>) -> Vec<Tree> {
    let mut out = Vec::new();
    let mut run: Vec<Tree> = Vec::new();
    let mut common: Option<(Vec<char>, bool)> = None;
    for branch in branches {
        let leading = leading(&branch);
        if let (Some((text, fold)), Some((next, same))) = (&mut common, &leading) {
            let len = text.iter().zip(next).take_while(|(a, b)| a == b).count();
            if *fold == *same && len > 0 {
                text.truncate(len);
                run.push(branch);
                continue;
            }
        }
        close(std::mem::take(&mut run), common.take(), &mut out);
        run.push(branch);
        common = leading;
    }
    close(run, common, &mut out);
    out
}

fn close(run: Vec<Tree>, common: Option<(Vec<char>, bool)>, out: &mut Vec<Tree>) {
    match common {
        Some((text, fold)) if run.len() > 1 => {
            let tails = run.into_iter().map(|branch| without_leading(branch, text.len())).collect();
            out.push(Tree::Concat(vec![Tree::Literal { text, fold }, alternate(tails)]));
        }
        _ => out.extend(run),
    }
}

fn leading(branch: &Tree) -> Option<(Vec<char>, bool)> {
    match branch {
        Tree::Concat(parts) => parts.first().filter(|first| !matches!(first, Tree::Concat(_))).and_then(leading),
        Tree::Literal { text, fold } => Some((text.clone(), *fold)),
        _ => None,
    }
}

fn without_leading(branch: Tree, len: usize) -> Tree {
    match branch {
        Tree::Literal { text, .. } if text.len() == len => Tree::Empty,
        Tree::Literal { text, fold } => Tree::Literal { text: text[len..].to_vec(), fold },
        Tree::Concat(mut parts) => {
            let first = without_leading(parts.remove(0), len);
            if first != Tree::Empty {
                parts.insert(0, first);
            }
            of_parts(parts)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(tree: &Tree) -> String {
        let all = |trees: &[Tree], between: &str| trees.iter().map(show).collect::<Vec<_>>().join(between);
        match tree {
            Tree::Empty => "-".to_owned(),
            Tree::Literal { text, fold } => format!("{}{}", if *fold { "~" } else { "" }, text.iter().collect::<String>()),
            Tree::AnyStar => ".*".to_owned(),
            Tree::AnyPlus => ".+".to_owned(),
            Tree::Capture(inner) => format!("<{}>", show(inner)),
            Tree::Alternate(branches) => format!("({})", all(branches, "|")),
            Tree::Concat(parts) => all(parts, " "),
            Tree::Class => "C".to_owned(),
            Tree::Other => "?".to_owned(),
        }
    }

    #[test]
    fn trees_are_gos() {
        for (pattern, want) in [
            ("error", "error"),
            ("a|b", "C"),
            ("a|b|bc", "(C|bc)"),
            ("err|error", "err (-|or)"),
            ("bar|b|buzz", "b (ar|-|uzz)"),
            ("a|", "(a|-)"),
            ("(foo|bar).*", "<(foo|bar)> .*"),
            ("(?:ab)c", "abc"),
            ("(?i)Error", "~error"),
            ("a(?i)b", "a ~b"),
            ("[e]rr", "err"),
            ("[eE]rr", "~e rr"),
            (".*x.+", ".* x .+"),
            ("(?s).*", "?"),
            ("x{1}", "x"),
            ("x{2}", "?"),
            ("^a$", "? a ?"),
            ("\\.\\d", ". C"),
            ("", "-"),
            ("x(?:a.b)c", "x a C b c"),
        ] {
            assert_eq!(show(&tree(pattern).unwrap()), want, "{pattern}");
        }
    }
}
