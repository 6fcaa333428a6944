//! `line_format` and `label_format`: templates over the labels of the entry in hand.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::labels::{Category, ERROR, ERROR_DETAILS, Labels};
use super::stage::LabelFormat;
use crate::template::{Entry, Simple, Template};

const TEMPLATE_ERROR: &str = "TemplateFormatErr";

/// When an entry was written, and when it is looked at; nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) timestamp_ns: i64,
    pub(super) now_ns: i64,
}

impl Moment {
    fn entry(self, line: &[u8]) -> Entry<'_> {
        Entry { line, timestamp_ns: self.timestamp_ns, now_ns: self.now_ns }
    }
}

/// A rename or a template of `label_format`.
#[derive(Debug)]
pub(super) enum CompiledFormat {
    Rename { to: String, from: String },
    Template { to: String, template: Template },
}

/// Parses the template of `line_format`.
pub(super) fn line_template(text: &str) -> Result<Template, String> {
    Template::parse("line", text).map_err(|why| format!("invalid line template: {why}"))
}

/// Parses the formats of `label_format`.
pub(super) fn label_formats(formats: &[LabelFormat]) -> Result<Vec<CompiledFormat>, String> {
    let mut seen: Vec<&str> = Vec::new();
    for format in formats {
        let (LabelFormat::Rename { to, .. } | LabelFormat::Template { to, .. }) = format;
        if to == ERROR {
            return Err(format!("{ERROR} cannot be formatted"));
        }
        if seen.contains(&to.as_str()) {
            return Err(format!("multiple label name '{to}' not allowed in a single format operation"));
        }
        seen.push(to);
    }
    let mut out = Vec::new();
    for format in formats {
        out.push(match format {
            LabelFormat::Rename { to, from } => CompiledFormat::Rename { to: to.clone(), from: from.clone() },
            LabelFormat::Template { to, template } => {
                let parsed = Template::parse("label", template);
                let template = parsed.map_err(|why| format!("invalid template for label '{to}': {why}"))?;
                CompiledFormat::Template { to: to.clone(), template }
            }
        });
    }
    Ok(out)
}

/// Makes a new line of the labels; where the template fails the line stays and the labels say why.
pub(super) fn line_format<'l>(template: &Template, moment: Moment, line: Cow<'l, [u8]>, labels: &mut Labels) -> Cow<'l, [u8]> {
    match template.simple() {
        Some(simple) => Cow::Owned(simple_text(simple, labels).into_owned().into_bytes()),
        None => match template.render(moment.entry(&line), map_of(labels)) {
            Ok(rendered) => Cow::Owned(rendered),
            Err(details) => {
                labels.set_error(TEMPLATE_ERROR, &details);
                line
            }
        },
    }
}

/// Renames see what earlier parts of the stage did; templates see the labels as the first of them found them.
pub(super) fn label_format(formats: &[CompiledFormat], moment: Moment, line: &[u8], labels: &mut Labels) {
    let mut seen: Option<BTreeMap<String, String>> = None;
    for format in formats {
        let (to, template) = match format {
            CompiledFormat::Rename { to, from } => {
                rename(to, from, labels);
                continue;
            }
            CompiledFormat::Template { to, template } => (to, template),
        };
        if let ([_], Some(simple)) = (formats, template.simple()) {
            let value = simple_text(simple, labels).into_owned();
            labels.set(Category::Parsed, to, &value);
            continue;
        }
        let map = seen.get_or_insert_with(|| map_of(labels)).clone();
        match template.render(moment.entry(line), map) {
            Ok(value) => labels.set(Category::Parsed, to, &String::from_utf8_lossy(&value)),
            Err(details) => labels.set_error(TEMPLATE_ERROR, &details),
        }
    }
}

fn rename(to: &str, from: &str, labels: &mut Labels) {
    let Some(value) = labels.get(from).map(|(value, _)| value.to_owned()) else { return };
    labels.set(Category::Parsed, to, &value);
    labels.delete(from);
}

fn map_of(labels: &Labels) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    labels.for_each(|name, value, _| _ = map.insert(name.to_owned(), value.to_owned()));
    map
}

fn simple_text<'s>(simple: Simple<'s>, labels: &'s Labels) -> Cow<'s, str> {
    Cow::Borrowed(match simple {
        Simple::Text(text) => text,
        Simple::Label(ERROR) => labels.error().unwrap_or_default(),
        Simple::Label(ERROR_DETAILS) => labels.error_details(),
        Simple::Label(name) => labels.get(name).map_or("", |(value, _)| value),
    })
}
