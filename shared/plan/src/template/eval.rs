//! Walks the tree over one entry. An error names the part of the template that was being looked at, as Go's does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use model::re2;
use regex::Regex;

use super::functions::{self, Function, Type};
use super::limits::{DEPTH_MAX, OUTPUT_BYTES_MAX, REGEXES_MAX, STEPS_MAX, WORK_BYTES_MAX};
use super::node::{Branch, Command, Kind, Node, Number, Pipe, Word};
use super::value::Value;

/// Compiled expressions of a template, kept from line to line.
pub(super) type Regexes = Mutex<Vec<(String, Arc<Regex>)>>;

/// What functions see beside their arguments.
pub(super) struct Surroundings<'a> {
    pub(super) line: &'a [u8],
    pub(super) timestamp_ns: i64,
    pub(super) now_ns: i64,
    pub(super) regexes: &'a Regexes,
}

impl Surroundings<'_> {
    /// Returns a compiled expression.
    pub(super) fn regex(&self, pattern: &str) -> Result<Arc<Regex>, String> {
        let known =
            |all: &Vec<(String, Arc<Regex>)>| all.iter().find(|(text, _)| text == pattern).map(|(_, regex)| Arc::clone(regex));
        if let Some(regex) = self.regexes.lock().ok().and_then(|all| known(&all)) {
            return Ok(regex);
        }
        let regex = Arc::new(re2::compile(pattern).map_err(|error| error.to_string())?);
        if let Ok(mut all) = self.regexes.lock()
            && all.len() < REGEXES_MAX
        {
            all.push((pattern.to_owned(), Arc::clone(&regex)));
        }
        Ok(regex)
    }
}

/// The part of the template being looked at.
#[derive(Clone, Copy)]
enum At<'t> {
    Pipe(&'t Pipe),
    Command(&'t Command),
    Word(&'t Word),
    Template(&'t str, usize),
}

/// Why a body ended.
enum Flow {
    On,
    Break,
    Continue,
}

/// One rendering.
pub(super) struct Evaluator<'t, 'a> {
    pub(super) name: &'t str,
    text: &'t str,
    definitions: &'t BTreeMap<String, Vec<Node>>,
    around: &'a Surroundings<'a>,
    variables: Vec<(String, Value)>,
    template: &'t str,
    at: Option<At<'t>>,
    depth: usize,
    steps: usize,
    work_bytes: usize,
    out: Vec<u8>,
}

impl<'t, 'a> Evaluator<'t, 'a> {
    /// Makes an evaluator of the template called `name`.
    pub(super) fn new(
        name: &'t str,
        text: &'t str,
        definitions: &'t BTreeMap<String, Vec<Node>>,
        around: &'a Surroundings<'a>,
    ) -> Evaluator<'t, 'a> {
        let (variables, out) = (Vec::new(), Vec::new());
        Evaluator { name, text, definitions, around, variables, template: name, at: None, depth: 0, steps: 0, work_bytes: 0, out }
    }

    /// Renders a body over the labels.
    pub(super) fn render(mut self, body: &'t [Node], labels: Value) -> Result<Vec<u8>, String> {
        self.variables.push(("$".to_owned(), labels.clone()));
        self.walk_all(body, &labels)?;
        Ok(self.out)
    }

    fn fail<T>(&self, why: impl std::fmt::Display) -> Result<T, String> {
        let (position, context) = match self.at {
            None => return Err(format!("template: {}: {why}", self.name)),
            Some(At::Pipe(pipe)) => (pipe.at, pipe.to_string()),
            Some(At::Command(command)) => (command.at, command.to_string()),
            Some(At::Word(word)) => (word.at, word.to_string()),
            Some(At::Template(called, at)) => (at, format!("{{{{template {called:?}}}}}")),
        };
        let before = &self.text[..position.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rfind('\n').map_or(position, |newline| position - newline - 1);
        Err(format!("template: {}:{line}:{column}: executing {:?} at <{context}>: {why}", self.name, self.template))
    }

    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return self.fail(format_args!("template takes more than {STEPS_MAX} steps"));
        }
        if self.out.len() > OUTPUT_BYTES_MAX {
            return self.fail(format_args!("template prints more than {OUTPUT_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    /// Counts a value that was copied or made.
    fn handed(&mut self, value: Value) -> Result<Value, String> {
        self.work_bytes = self.work_bytes.saturating_add(value.weight());
        if self.work_bytes > WORK_BYTES_MAX {
            return self.fail(format_args!("template handles more than {WORK_BYTES_MAX} bytes"));
        }
        Ok(value)
    }

    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail(format_args!("exceeded maximum template depth ({DEPTH_MAX})"));
        }
        let result = run(self);
        self.depth -= 1;
        result
    }

    fn walk_all(&mut self, nodes: &'t [Node], dot: &Value) -> Result<Flow, String> {
        for node in nodes {
            self.step()?;
            match self.walk(node, dot)? {
                Flow::On => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::On)
    }

    fn walk(&mut self, node: &'t Node, dot: &Value) -> Result<Flow, String> {
        match node {
            Node::Text(text) => self.out.extend_from_slice(text.as_bytes()),
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    value.print(&mut self.out);
                    self.step()?;
                }
            }
            Node::If(branch) => return self.branch(branch, dot, false),
            Node::With(branch) => return self.branch(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Template { name, pipe, at } => self.call_template(name, pipe.as_ref(), *at, dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, branch: &'t Branch, dot: &Value, with: bool) -> Result<Flow, String> {
        let mark = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = self.deeper(|this| match (value.truth(), with) {
            (true, true) => this.walk_all(&branch.body, &value),
            (true, false) => this.walk_all(&branch.body, dot),
            (false, _) => this.walk_all(&branch.otherwise, dot),
        });
        self.variables.truncate(mark);
        flow
    }

    fn range(&mut self, branch: &'t Branch, dot: &Value) -> Result<Flow, String> {
        let mark = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let items: Vec<(Value, Value)> = match value {
            Value::List(items) => items.into_iter().enumerate().map(|(index, item)| (Value::Int(index as i64), item)).collect(),
            Value::Map(members) => members.into_iter().map(|(name, value)| (Value::text(name), value)).collect(),
            Value::Labels(labels) => {
                labels.iter().map(|(name, value)| (Value::text(name.as_str()), Value::text(value.as_str()))).collect()
            }
            Value::Int(count) | Value::Int64(count) if branch.pipe.variables.len() < 2 => {
                let count = usize::try_from(count).unwrap_or(0);
                if count > STEPS_MAX {
                    return self.fail(format_args!("template takes more than {STEPS_MAX} steps"));
                }
                (0..count).map(|index| (Value::Int(index as i64), Value::Int(index as i64))).collect()
            }
            Value::Nil => Vec::new(),
            other => return self.fail(format_args!("range can't iterate over {}", other.formatted())),
        };
        let flow = self.deeper(|this| {
            if items.is_empty() {
                return this.walk_all(&branch.otherwise, dot);
            }
            let inner = this.variables.len();
            for (index, item) in items {
                this.step()?;
                this.set_loop_variables(&branch.pipe, mark, index, &item);
                let flow = this.walk_all(&branch.body, &item)?;
                this.variables.truncate(inner);
                if matches!(flow, Flow::Break) {
                    break;
                }
            }
            Ok(Flow::On)
        });
        self.variables.truncate(mark);
        flow
    }

    fn set_loop_variables(&mut self, pipe: &Pipe, mark: usize, index: Value, item: &Value) {
        let values = match pipe.variables.len() {
            2 => vec![index, item.clone()],
            1 => vec![item.clone()],
            _ => Vec::new(),
        };
        for (place, (name, value)) in pipe.variables.iter().zip(values).enumerate() {
            match self.variables.get_mut(mark + place) {
                Some(variable) if !pipe.assigns => variable.1 = value,
                _ => self.assign(name, value),
            }
        }
    }

    fn assign(&mut self, name: &str, value: Value) {
        if let Some(variable) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            variable.1 = value;
        }
    }

    fn call_template(&mut self, called: &'t str, pipe: Option<&'t Pipe>, at: usize, dot: &Value) -> Result<(), String> {
        self.at = Some(At::Template(called, at));
        let definitions = self.definitions;
        let Some(body) = definitions.get(called) else { return self.fail(format_args!("template {called:?} not defined")) };
        let dot = match pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), dot.clone())]);
        let caller = std::mem::replace(&mut self.template, called);
        self.deeper(|this| this.walk_all(body, &dot))?;
        self.variables = outer;
        self.template = caller;
        Ok(())
    }

    /// Evaluates a pipeline and sets its variables.
    fn pipe(&mut self, pipe: &'t Pipe, dot: &Value) -> Result<Value, String> {
        self.step()?;
        self.at = Some(At::Pipe(pipe));
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.deeper(|this| this.command(command, dot, last))?);
        }
        let value = last.unwrap_or(Value::Nil);
        for name in &pipe.variables {
            match pipe.assigns {
                true => self.assign(name, value.clone()),
                false => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    /// Evaluates a command; `last` is what the pipeline hands over.
    fn command(&mut self, command: &'t Command, dot: &Value, last: Option<Value>) -> Result<Value, String> {
        let first = &command.words[0];
        let has_args = command.words.len() > 1 || last.is_some();
        match &first.kind {
            Kind::Field(names) => {
                self.at = Some(At::Word(first));
                let dot = self.handed(dot.clone())?;
                self.fields(dot, names, has_args)
            }
            Kind::Variable(name, names) => {
                self.at = Some(At::Word(first));
                let value = self.variable(name)?;
                if names.is_empty() {
                    self.no_arguments(command, has_args)?;
                    return Ok(value);
                }
                self.fields(value, names, has_args)
            }
            Kind::Chain(word, names) => {
                self.at = Some(At::Word(first));
                let value = self.argument(word, Type::Any, dot)?;
                self.fields_of_result(value, names, has_args)
            }
            Kind::Function(name) => {
                self.at = Some(At::Word(first));
                self.function(name, command, dot, last)
            }
            Kind::Pipe(pipe) => {
                self.no_arguments(command, has_args)?;
                self.pipe(pipe, dot)
            }
            _ => {
                self.at = Some(At::Word(first));
                self.no_arguments(command, has_args)?;
                let value = self.constant(first, dot)?;
                self.handed(value)
            }
        }
    }

    fn no_arguments(&self, command: &Command, has_args: bool) -> Result<(), String> {
        if has_args { self.fail(format_args!("can't give argument to non-function {}", command.words[0])) } else { Ok(()) }
    }

    fn constant(&self, word: &Word, dot: &Value) -> Result<Value, String> {
        match &word.kind {
            Kind::Dot => Ok(dot.clone()),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Text(text, _) => Ok(Value::Text(text.clone())),
            Kind::Number(number) => self.number(number),
            _ => self.fail("nil is not a command"),
        }
    }

    /// Gives a constant the type Go would.
    fn number(&self, number: &Number) -> Result<Value, String> {
        let hexadecimal = number.text.to_ascii_lowercase().contains("0x") || number.text.starts_with('\'');
        match (number.float, number.integer) {
            (Some(float), _) if !hexadecimal && number.text.contains(['.', 'e', 'E', 'p', 'P']) => Ok(Value::Float(float)),
            (_, Some(integer)) => Ok(Value::Int(integer)),
            _ => self.fail(format_args!("{} overflows int", number.text)),
        }
    }

    fn variable(&mut self, name: &str) -> Result<Value, String> {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        let value = found.map_or(Value::Nil, |(_, value)| value.clone());
        self.handed(value)
    }

    /// Follows field names from what a pipeline in parentheses gave; where it gave nothing, Go finds nothing and does not mind.
    fn fields_of_result(&mut self, of: Value, names: &[String], has_args: bool) -> Result<Value, String> {
        if of == Value::Nil { Ok(of) } else { self.fields(of, names, has_args) }
    }

    /// Follows field names; only the last may have arguments, which nothing here takes but times.
    fn fields(&mut self, of: Value, names: &[String], has_args: bool) -> Result<Value, String> {
        let mut value = of;
        for (index, name) in names.iter().enumerate() {
            value = self.field(&value, name, has_args && index + 1 == names.len())?;
        }
        Ok(value)
    }

    fn field(&self, of: &Value, name: &str, has_args: bool) -> Result<Value, String> {
        match of {
            Value::Map(_) | Value::Labels(_) if has_args => self.fail(format_args!("{name} is not a method but has arguments")),
            Value::Labels(labels) => Ok(Value::text(labels.get(name).map(String::as_str).unwrap_or_default())),
            Value::Map(members) => Ok(members.get(name).cloned().unwrap_or(Value::Nil)),
            Value::Nil => self.fail(format_args!("nil pointer evaluating interface {{}}.{name}")),
            Value::Time(instant) if !has_args => match instant.method(name) {
                Some(value) => Ok(value),
                None => self.fail(format_args!("can't evaluate field {name} in type time.Time")),
            },
            other => self.fail(format_args!("can't evaluate field {name} in type {}", other.type_name())),
        }
    }

    fn function(&mut self, name: &str, command: &'t Command, dot: &Value, last: Option<Value>) -> Result<Value, String> {
        let Some(function) = functions::find(name) else {
            return self.fail(format_args!("{name:?} is not a defined function"));
        };
        let count = command.words.len() - 1 + usize::from(last.is_some());
        let least = function.params.len();
        if count < least || (count > least && function.rest.is_none()) {
            let at_least = if function.rest.is_some() { "at least " } else { "" };
            return self.fail(format_args!("wrong number of args for {name}: want {at_least}{least} got {count}"));
        }
        if matches!(name, "and" | "or") {
            return self.lazy(name == "or", command, dot, last);
        }
        let args = self.arguments(&function, command, dot, last)?;
        let made = match (function.run)(self.around, &args) {
            Ok(Value::Text(text)) if text.len() > OUTPUT_BYTES_MAX => {
                Err(format!("result has more than {OUTPUT_BYTES_MAX} bytes"))
            }
            other => other,
        };
        let value = made.or_else(|why| {
            self.at = Some(At::Command(command));
            let why =
                if name == "call" { why.replace("non-function", &format!("non-function {}", command.words[1])) } else { why };
            self.fail(format_args!("error calling {name}: {why}"))
        })?;
        self.handed(value)
    }

    /// Evaluates `and`, `or`: arguments only until the answer is known.
    fn lazy(&mut self, stop: bool, command: &'t Command, dot: &Value, last: Option<Value>) -> Result<Value, String> {
        let mut value = Value::Nil;
        for word in &command.words[1..] {
            value = self.argument(word, Type::Any, dot)?;
            if value.truth() == stop {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn arguments(
        &mut self,
        function: &Function,
        command: &'t Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Vec<Value>, String> {
        let type_of = |index: usize| function.params.get(index).copied().or(function.rest).unwrap_or(Type::Any);
        let mut args = Vec::with_capacity(command.words.len());
        for (index, word) in command.words[1..].iter().enumerate() {
            args.push(self.argument(word, type_of(index), dot)?);
        }
        if let Some(last) = last {
            let wanted = type_of(args.len());
            args.push(self.fitting(last, wanted)?);
        }
        Ok(args)
    }

    /// Evaluates an argument of a declared type.
    fn argument(&mut self, word: &'t Word, wanted: Type, dot: &Value) -> Result<Value, String> {
        self.step()?;
        self.at = Some(At::Word(word));
        let value = match &word.kind {
            Kind::Dot => self.handed(dot.clone())?,
            Kind::Field(names) => {
                let dot = self.handed(dot.clone())?;
                self.fields(dot, names, false)?
            }
            Kind::Variable(name, names) => {
                let value = self.variable(name)?;
                self.fields(value, names, false)?
            }
            Kind::Pipe(pipe) => self.deeper(|this| this.pipe(pipe, dot))?,
            Kind::Chain(inner, names) => {
                let value = self.deeper(|this| this.argument(inner, Type::Any, dot))?;
                self.fields_of_result(value, names, false)?
            }
            Kind::Function(name) => return self.bare_function(name, word, wanted),
            Kind::Nil if wanted == Type::Any => Value::Nil,
            Kind::Nil => return self.fail(format_args!("cannot assign nil to {}", wanted.name())),
            _ => return self.literal(word, wanted, dot),
        };
        self.fitting(value, wanted)
    }

    /// Calls a function that stands as an argument, and so has none itself.
    fn bare_function(&mut self, name: &str, word: &'t Word, wanted: Type) -> Result<Value, String> {
        let Some(function) = functions::find(name) else {
            return self.fail(format_args!("{name:?} is not a defined function"));
        };
        if !function.params.is_empty() {
            let at_least = if function.rest.is_some() { "at least " } else { "" };
            let least = function.params.len();
            return self.fail(format_args!("wrong number of args for {name}: want {at_least}{least} got 0"));
        }
        self.at = Some(At::Word(word));
        match (function.run)(self.around, &[]) {
            Ok(value) => self.fitting(value, wanted),
            Err(why) => self.fail(format_args!("error calling {name}: {why}")),
        }
    }

    /// A constant must have the declared type itself.
    fn literal(&self, word: &Word, wanted: Type, dot: &Value) -> Result<Value, String> {
        match (wanted, &word.kind) {
            (Type::Any, _) | (Type::Text, Kind::Text(..)) => self.constant(word, dot),
            (Type::Int, Kind::Number(Number { integer: Some(integer), .. })) => Ok(Value::Int(*integer)),
            (Type::Float, Kind::Number(Number { float: Some(float), .. })) => Ok(Value::Float(*float)),
            (Type::Text, _) => self.fail(format_args!("expected string; found {word}")),
            (Type::Int, _) => self.fail(format_args!("expected integer; found {word}")),
            (Type::Float, _) => self.fail(format_args!("expected float; found {word}")),
            (Type::Time, _) => self.fail(format_args!("can't handle {word} for arg of type time.Time")),
        }
    }

    fn fitting(&self, value: Value, wanted: Type) -> Result<Value, String> {
        if wanted.takes(&value) {
            return Ok(value);
        }
        match value {
            Value::Nil => self.fail(format_args!("invalid value; expected {}", wanted.name())),
            other => self.fail(format_args!("wrong type for value; expected {}; got {}", wanted.name(), other.type_name())),
        }
    }
}
