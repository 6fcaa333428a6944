//! Templates of `line_format` and `label_format` as far as they are plain text and `{{.label}}`; anything else is refused by name
//! until the template interpreter exists.

use super::labels::Labels;

/// A template of text and labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Label(String),
}

impl Template {
    /// Parses a template; the error names what is not supported.
    pub(super) fn parse(text: &str, stage: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut trim_next = false;
        while let Some(open) = rest.find("{{") {
            let mut literal = &rest[..open];
            if trim_next {
                literal = literal.trim_start();
            }
            let body = &rest[open + 2..];
            let trims_before = body.starts_with("- ");
            if trims_before {
                literal = literal.trim_end();
            }
            let close =
                body.find("}}").ok_or_else(|| format!("unsupported: {stage} with a template action over several lines"))?;
            let action = &body[..close];
            trim_next = action.ends_with(" -");
            let action = action.strip_prefix("- ").unwrap_or(action);
            let action = action.strip_suffix(" -").unwrap_or(action).trim();
            parts.push(Part::Text(literal.to_owned()));
            match action.strip_prefix('.') {
                Some(name) if model::labels::is_legacy_name(name) => parts.push(Part::Label(name.to_owned())),
                _ if action.starts_with("/*") && action.ends_with("*/") => {}
                _ => return Err(format!("unsupported: {stage} with the template action {{{{{action}}}}}")),
            }
            rest = &body[close + 2..];
        }
        parts.push(Part::Text(if trim_next { rest.trim_start() } else { rest }.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Template { parts })
    }

    /// Appends the labels the template reads.
    pub(super) fn push_names(&self, out: &mut Vec<String>) {
        out.extend(self.parts.iter().filter_map(|part| match part {
            Part::Label(name) => Some(name.clone()),
            Part::Text(_) => None,
        }));
    }

    /// Renders the template; a missing label is "".
    pub(super) fn render(&self, value: impl Fn(&str) -> Option<String>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Label(name) => out.push_str(&value(name).unwrap_or_default()),
            }
        }
        out
    }

    /// Renders the template over the labels as they are now.
    pub(super) fn render_labels(&self, labels: &Labels) -> String {
        self.render(|name| match name {
            super::labels::ERROR => Some(labels.error().unwrap_or_default().to_owned()),
            super::labels::ERROR_DETAILS => Some(labels.error_details().to_owned()),
            _ => labels.get(name).map(|(value, _)| value.to_owned()),
        })
    }
}
