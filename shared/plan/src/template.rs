//! Go's `text/template` as far as LogQL lets it through: the language of `line_format` and `label_format`.
//!
//! Owns: syntax, evaluation with Go's error texts, the functions Loki offers (LogQL reference, sections A and B.16).
//! Does not own: which labels there are, what happens to an entry whose template fails (`pipeline`).
//!
//! A template is hostile input and runs for every line, so that everything in it is bounded (`limits`).

mod eval;
mod functions;
mod lexer;
mod limits;
mod node;
mod parser;
mod value;

use std::collections::BTreeMap;
use std::rc::Rc;

use eval::{Evaluator, Regexes, Surroundings};
use node::{Branch, Command, Kind, Node, Pipe, Word};
use parser::Parsed;
use value::Value;

/// A template ready to render. Shared between workers.
#[derive(Debug)]
pub struct Template {
    name: &'static str,
    text: String,
    parsed: Parsed,
    regexes: Regexes,
}

/// The entry a template is rendered over.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// `__line__`.
    pub line: &'a [u8],
    /// `__timestamp__`, nanoseconds.
    pub timestamp_ns: i64,
    /// `now`, nanoseconds.
    pub now_ns: i64,
}

impl Template {
    /// Parses a template; `name` is what errors call it. The error is Go's text.
    pub fn parse(name: &'static str, text: &str) -> Result<Template, String> {
        let parsed = parser::parse(name, text).map_err(|why| format!("template: {why}"))?;
        Ok(Template { name, text: text.to_owned(), parsed, regexes: Regexes::default() })
    }

    /// Renders over labels. The error is Go's text.
    pub fn render(&self, entry: Entry<'_>, labels: BTreeMap<String, String>) -> Result<Vec<u8>, String> {
        let Entry { line, timestamp_ns, now_ns } = entry;
        let around = Surroundings { line, timestamp_ns, now_ns, regexes: &self.regexes };
        let evaluator = Evaluator::new(self.name, &self.text, &self.parsed.definitions, &around);
        evaluator.render(&self.parsed.body, Value::Labels(Rc::new(labels)))
    }

    /// Returns the template's text or label where it is nothing else, so that it needs no evaluation.
    pub fn simple(&self) -> Option<Simple<'_>> {
        match self.parsed.body.as_slice() {
            [] => Some(Simple::Text("")),
            [Node::Text(text)] => Some(Simple::Text(text)),
            [Node::Action(Pipe { variables, commands, .. })] if variables.is_empty() => match commands.as_slice() {
                [Command { words, .. }] => match words.as_slice() {
                    [Word { kind: Kind::Field(names), .. }] if names.len() == 1 => Some(Simple::Label(&names[0])),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// Appends the labels the template names.
    pub fn push_names(&self, out: &mut Vec<String>) {
        let bodies = std::iter::once(&self.parsed.body).chain(self.parsed.definitions.values());
        bodies.for_each(|body| {
            each_word(body, &mut |word| {
                if let Kind::Field(names) | Kind::Variable(_, names) = &word.kind {
                    out.extend(names.first().cloned());
                }
            })
        });
    }

    /// Reports whether the template looks at the line.
    pub fn reads_line(&self) -> bool {
        let mut reads = false;
        let bodies = std::iter::once(&self.parsed.body).chain(self.parsed.definitions.values());
        bodies.for_each(|body| {
            each_word(body, &mut |word| {
                reads |= matches!(&word.kind, Kind::Function(name) if name == "__line__");
            })
        });
        reads
    }
}

/// A template that needs no evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Simple<'t> {
    /// Plain text.
    Text(&'t str),
    /// The value of one label.
    Label(&'t str),
}

fn each_word(nodes: &[Node], each: &mut dyn FnMut(&Word)) {
    for node in nodes {
        match node {
            Node::Action(pipe) | Node::Template { pipe: Some(pipe), .. } => words_of(pipe, each),
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
                let Branch { pipe, body, otherwise } = branch;
                words_of(pipe, each);
                each_word(body, each);
                each_word(otherwise, each);
            }
            _ => {}
        }
    }
}

fn words_of(pipe: &Pipe, each: &mut dyn FnMut(&Word)) {
    pipe.commands.iter().flat_map(|command| &command.words).for_each(|word| word_of(word, each));
}

fn word_of(word: &Word, each: &mut dyn FnMut(&Word)) {
    each(word);
    match &word.kind {
        Kind::Pipe(pipe) => words_of(pipe, each),
        Kind::Chain(inner, _) => word_of(inner, each),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
