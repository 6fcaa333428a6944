//! The paths of `json a="x.y[0]"`.

use super::json::{JsonKind, JsonValue, Stop, each_member, skip_blank, value_at};

/// Members and elements to descend through.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(String),
    Element(usize),
}

impl JsonPath {
    /// Parses a path; the error is Loki's text.
    pub(super) fn parse(text: &str) -> Result<JsonPath, String> {
        let mut steps = Vec::new();
        let mut rest = text.trim_start();
        if rest.is_empty() {
            return Err(fault("unexpected $end, expecting LSB or FIELD"));
        }
        let mut after_dot = true;
        while !rest.is_empty() {
            if let Some(body) = rest.strip_prefix('[') {
                if after_dot && !steps.is_empty() {
                    return Err(fault("unexpected LSB, expecting FIELD"));
                }
                let (step, tail) = bracket(body.trim_start())?;
                steps.push(step);
                rest = tail;
            } else {
                if !after_dot {
                    return Err(fault("unexpected FIELD"));
                }
                let len = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
                if len == 0 || rest.starts_with(|c: char| c.is_numeric()) {
                    return Err(unexpected_field(rest));
                }
                steps.push(Step::Member(rest[..len].to_owned()));
                rest = &rest[len..];
            }
            rest = rest.trim_start();
            after_dot = rest.starts_with('.');
            if after_dot {
                rest = rest[1..].trim_start();
                if rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(fault("unexpected $end, expecting FIELD"));
                }
            }
        }
        Ok(JsonPath(steps))
    }

    /// Finds the value at this path; what lies behind it is not read.
    pub(super) fn find<'a>(&self, text: &'a [u8]) -> Option<JsonValue<'a>> {
        find(text, &self.0)
    }
}

fn fault(what: &str) -> String {
    format!("syntax error: {what}")
}

fn unexpected_field(rest: &str) -> String {
    match rest.chars().next() {
        Some(c) if !c.is_ascii_digit() => format!("unexpected char {c}"),
        _ => fault("unexpected $end, expecting LSB or FIELD"),
    }
}

fn bracket(body: &str) -> Result<(Step, &str), String> {
    if let Some(quoted) = body.strip_prefix('"') {
        let end = quoted.find('"').ok_or_else(|| fault("unexpected $end, expecting RSB"))?;
        let tail = quoted[end + 1..].trim_start();
        let tail = tail.strip_prefix(']').ok_or_else(|| fault("unexpected $end, expecting RSB"))?;
        return Ok((Step::Member(quoted[..end].to_owned()), tail));
    }
    let digits = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
    let index = body[..digits].parse().map_err(|_| fault("unexpected $end, expecting STRING or INDEX"))?;
    let tail = body[digits..].trim_start().strip_prefix(']').ok_or_else(|| fault("unexpected $end, expecting RSB"))?;
    Ok((Step::Element(index), tail))
}

fn find<'a>(text: &'a [u8], steps: &[Step]) -> Option<JsonValue<'a>> {
    match steps {
        [] => value_at(text, 0).ok().map(|(value, _)| value),
        [Step::Member(name), rest @ ..] => {
            let mut found = None;
            let _ = each_open_member(text, |key, tail| {
                if key == name.as_bytes() {
                    found = find(tail, rest);
                }
                if found.is_some() { Err(Stop::Enough) } else { Ok(()) }
            });
            found
        }
        [Step::Element(index), rest @ ..] => find(element(text, *index)?, rest),
    }
}

/// Calls `member` with each key and the text its value starts; the value's own end is only looked for afterwards, so that a
/// truncated object still gives what it has.
fn each_open_member<'a>(text: &'a [u8], mut member: impl FnMut(&[u8], &'a [u8]) -> Result<(), Stop>) -> Result<(), Stop> {
    each_member(text, |key, value| {
        // Strings lost their quotes; go back to where the value starts.
        let start = value.raw.as_ptr() as usize - text.as_ptr() as usize;
        let start = if value.kind == JsonKind::Text { start - 1 } else { start };
        member(key, &text[start..])
    })
}

fn element(text: &[u8], index: usize) -> Option<&[u8]> {
    let mut at = skip_blank(text, 0).filter(|at| text[*at] == b'[')? + 1;
    for position in 0..=index {
        at = skip_blank(text, at).filter(|at| text[*at] != b']')?;
        if position == index {
            return Some(&text[at..]);
        }
        let (_, end) = value_at(text, at).ok()?;
        at = skip_blank(text, end).filter(|at| text[*at] == b',')? + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_descend() {
        for (path, text, want) in [
            ("x", r#"{"x":1}"#, Some("1")),
            ("x[1].y", r#"{"x":[{},{"y":"q"}]}"#, Some("q")),
            (r#"["a b"]"#, r#"{"a b":[1, 2]}"#, Some("[1, 2]")),
            ("x.y", r#"{"x.y":1}"#, None),
            ("[0]", r#"["p"]"#, Some("p")),
            ("x", r#"{"x":1"#, Some("1")),
            ("x[5]", r#"{"x":[1]}"#, None),
        ] {
            let found = JsonPath::parse(path).unwrap().find(text.as_bytes()).map(|v| v.label_text().into_owned());
            assert_eq!(found.as_deref(), want, "{path} in {text}");
        }
    }
}
