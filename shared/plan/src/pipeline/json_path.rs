//! The paths of `json a="x.y[0]"`.

use super::expression::{Token, Tokens, unexpected};
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
        let mut tokens = Tokens::of_path(text);
        let mut steps = vec![match tokens.next() {
            Token::Name(name) => Step::Member(name),
            Token::Open => bracket(&mut tokens)?,
            other => return Err(unexpected(&other, "LSB or FIELD")),
        }];
        loop {
            steps.push(match tokens.next() {
                Token::End => return tokens.ended().map(|()| JsonPath(steps)),
                Token::Open => bracket(&mut tokens)?,
                Token::Dot => match tokens.next() {
                    Token::Name(name) => Step::Member(name),
                    other => return Err(unexpected(&other, "FIELD")),
                },
                other => return Err(unexpected(&other, "")),
            });
        }
    }

    /// Finds the value at this path; what lies behind it is not read.
    pub(super) fn find<'a>(&self, text: &'a [u8]) -> Option<JsonValue<'a>> {
        find(text, &self.0)
    }
}

fn bracket(tokens: &mut Tokens) -> Result<Step, String> {
    let step = match tokens.next() {
        Token::Text(name) => Step::Member(name),
        Token::Index(index) => Step::Element(index),
        other => return Err(unexpected(&other, "STRING or INDEX")),
    };
    match tokens.next() {
        Token::Close => Ok(step),
        other => Err(unexpected(&other, "RSB")),
    }
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

    #[test]
    fn faults_are_lokis() {
        for (path, want) in [
            ("", "syntax error: unexpected $end, expecting LSB or FIELD"),
            ("$", "syntax error: unexpected $end, expecting LSB or FIELD"),
            (".a", "syntax error: unexpected DOT, expecting LSB or FIELD"),
            ("1a", "syntax error: unexpected $end, expecting LSB or FIELD"),
            ("a b", "syntax error: unexpected FIELD"),
            ("a-b", "unexpected char -"),
            ("a.", "syntax error: unexpected $end, expecting FIELD"),
            ("a..b", "syntax error: unexpected DOT, expecting FIELD"),
            ("a[", "syntax error: unexpected $end, expecting STRING or INDEX"),
            ("a[x]", "syntax error: unexpected FIELD, expecting STRING or INDEX"),
            ("a[1", "syntax error: unexpected $end, expecting STRING or INDEX"),
            ("a[1 x", "syntax error: unexpected FIELD, expecting RSB"),
            ("a[\"x\"", "syntax error: unexpected $end, expecting RSB"),
        ] {
            assert_eq!(JsonPath::parse(path), Err(want.to_owned()), "{path}");
        }
    }
}
