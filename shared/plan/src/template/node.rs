//! The tree of a template, and how its parts print in errors.

use std::fmt;

/// A part of a template's body.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { name: String, pipe: Option<Pipe>, at: usize },
    Break,
    Continue,
}

/// A pipeline with a body, and one for when it is empty.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// Commands, each of which gets the value of the one before as its last argument.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipe {
    pub(super) at: usize,
    pub(super) variables: Vec<String>,
    /// The variables exist already.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// An operand and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) words: Vec<Word>,
}

/// An operand.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

/// What an operand is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    /// A string, and how it was written.
    Text(Vec<u8>, String),
    Function(String),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Pipe(Box<Pipe>),
    Chain(Box<Word>, Vec<String>),
}

/// A constant without a type yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) text: String,
    pub(super) integer: Option<i64>,
    pub(super) float: Option<f64>,
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.assigns { "=" } else { ":=" })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            write!(f, "{}{command}", if index > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words.iter().enumerate() {
            write!(f, "{}{word}", if index > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = |f: &mut fmt::Formatter<'_>, names: &[String]| names.iter().try_for_each(|name| write!(f, ".{name}"));
        match &self.kind {
            Kind::Dot => f.write_str("."),
            Kind::Nil => f.write_str("nil"),
            Kind::Bool(value) => write!(f, "{value}"),
            Kind::Number(number) => f.write_str(&number.text),
            Kind::Text(_, quoted) => f.write_str(quoted),
            Kind::Function(name) => f.write_str(name),
            Kind::Field(names) => fields(f, names),
            Kind::Variable(name, names) => {
                f.write_str(name)?;
                fields(f, names)
            }
            Kind::Pipe(pipe) => write!(f, "({pipe})"),
            Kind::Chain(word, names) => {
                write!(f, "{word}")?;
                fields(f, names)
            }
        }
    }
}
