//! Functions of strings: Go's `strings`, sprig's with their arguments the other way round, regular expressions.

use super::Type::{Int, Text};
use super::{Family, bytes, int, text};
use crate::pipeline::labels::go_text;
use crate::template::eval::Surroundings;
use crate::template::limits::OUTPUT_BYTES_MAX;
use crate::template::value::Value;

pub(super) const FAMILY: Family = &[
    ("ToLower", &[Text], None, lower),
    ("ToUpper", &[Text], None, upper),
    ("lower", &[Text], None, lower),
    ("upper", &[Text], None, upper),
    ("title", &[Text], None, |_, args| Ok(Value::text(title(&text(args, 0))))),
    ("Replace", &[Text, Text, Text, Int], None, |_, args| {
        let count = usize::try_from(int(args, 3)).unwrap_or(usize::MAX);
        replace(&text(args, 0), &text(args, 1), &text(args, 2), count)
    }),
    ("replace", &[Text, Text, Text], None, |_, args| replace(&text(args, 2), &text(args, 0), &text(args, 1), usize::MAX)),
    ("Trim", &[Text, Text], None, |_, args| Ok(trimmed(args, 0, 1, true, true))),
    ("TrimLeft", &[Text, Text], None, |_, args| Ok(trimmed(args, 0, 1, true, false))),
    ("TrimRight", &[Text, Text], None, |_, args| Ok(trimmed(args, 0, 1, false, true))),
    ("trimAll", &[Text, Text], None, |_, args| Ok(trimmed(args, 1, 0, true, true))),
    ("TrimPrefix", &[Text, Text], None, |_, args| Ok(without_prefix(bytes(args, 0), bytes(args, 1)))),
    ("TrimSuffix", &[Text, Text], None, |_, args| Ok(without_suffix(bytes(args, 0), bytes(args, 1)))),
    ("trimPrefix", &[Text, Text], None, |_, args| Ok(without_prefix(bytes(args, 1), bytes(args, 0)))),
    ("trimSuffix", &[Text, Text], None, |_, args| Ok(without_suffix(bytes(args, 1), bytes(args, 0)))),
    ("TrimSpace", &[Text], None, |_, args| Ok(Value::text(text(args, 0).trim()))),
    ("trim", &[Text], None, |_, args| Ok(Value::text(text(args, 0).trim()))),
    ("trunc", &[Int, Text], None, |_, args| Ok(Value::Text(truncated(int(args, 0), bytes(args, 1)).to_vec()))),
    ("substr", &[Int, Int, Text], None, |_, args| substring(int(args, 0), int(args, 1), bytes(args, 2))),
    ("contains", &[Text, Text], None, |_, args| Ok(Value::Bool(memchr::memmem::find(bytes(args, 1), bytes(args, 0)).is_some()))),
    ("hasPrefix", &[Text, Text], None, |_, args| Ok(Value::Bool(bytes(args, 1).starts_with(bytes(args, 0))))),
    ("hasSuffix", &[Text, Text], None, |_, args| Ok(Value::Bool(bytes(args, 1).ends_with(bytes(args, 0))))),
    ("indent", &[Int, Text], None, |_, args| indented("", int(args, 0), &text(args, 1))),
    ("nindent", &[Int, Text], None, |_, args| indented("\n", int(args, 0), &text(args, 1))),
    ("repeat", &[Int, Text], None, |_, args| repeated(bytes(args, 1), int(args, 0)).map(Value::Text)),
    ("alignLeft", &[Int, Text], None, |_, args| aligned(int(args, 0), &text(args, 1), true)),
    ("alignRight", &[Int, Text], None, |_, args| aligned(int(args, 0), &text(args, 1), false)),
    ("regexReplaceAll", &[Text, Text, Text], None, |all, args| regex_replace(all, args, true)),
    ("regexReplaceAllLiteral", &[Text, Text, Text], None, |all, args| regex_replace(all, args, false)),
    ("count", &[Text, Text], None, |all, args| {
        let regex = all.regex(&text(args, 0))?;
        Ok(Value::Int(regex.find_iter(&go_text(bytes(args, 1))).count() as i64))
    }),
];

fn lower(_: &Surroundings<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::text(text(args, 0).chars().map(lower_char).collect::<String>()))
}

fn upper(_: &Surroundings<'_>, args: &[Value]) -> Result<Value, String> {
    Ok(Value::text(text(args, 0).chars().map(upper_char).collect::<String>()))
}

/// Go maps one character to one; what would become several stays.
fn upper_char(c: char) -> char {
    let mut all = c.to_uppercase();
    all.next().filter(|_| all.next().is_none()).unwrap_or(c)
}

fn lower_char(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// Raises the first letter of each word, as Go's `strings.Title`.
fn title(text: &str) -> String {
    let mut previous = ' ';
    let raise = |c: char| {
        let raised = if separates(previous) { upper_char(c) } else { c };
        previous = c;
        raised
    };
    text.chars().map(raise).collect()
}

fn separates(c: char) -> bool {
    if c.is_ascii() {
        return !(c.is_ascii_alphanumeric() || c == '_');
    }
    !c.is_alphanumeric() && c.is_whitespace()
}

fn too_long<T>() -> Result<T, String> {
    Err(format!("result has more than {OUTPUT_BYTES_MAX} bytes"))
}

fn replace(of: &str, old: &str, new: &str, count: usize) -> Result<Value, String> {
    let found = if old.is_empty() { of.chars().count() + 1 } else { of.matches(old).count() };
    let added = found.min(count).saturating_mul(new.len());
    if of.len().saturating_add(added) > OUTPUT_BYTES_MAX {
        return too_long();
    }
    Ok(Value::text(of.replacen(old, new, count)))
}

fn trimmed(args: &[Value], subject: usize, cut: usize, left: bool, right: bool) -> Value {
    let (subject, cut) = (text(args, subject), text(args, cut));
    let in_cut = |c: char| cut.contains(c);
    let mut rest: &str = &subject;
    if left {
        rest = rest.trim_start_matches(in_cut);
    }
    if right {
        rest = rest.trim_end_matches(in_cut);
    }
    Value::text(rest)
}

fn without_prefix(of: &[u8], prefix: &[u8]) -> Value {
    Value::Text(of.strip_prefix(prefix).unwrap_or(of).to_vec())
}

fn without_suffix(of: &[u8], suffix: &[u8]) -> Value {
    Value::Text(of.strip_suffix(suffix).unwrap_or(of).to_vec())
}

/// Cuts after `count` bytes, or keeps the last where it is negative.
fn truncated(count: i64, of: &[u8]) -> &[u8] {
    let len = of.len() as i64;
    match count {
        0.. => of.get(..usize::try_from(count).unwrap_or(usize::MAX)).unwrap_or(of),
        _ if len.saturating_add(count) > 0 => &of[(len + count) as usize..],
        _ => of,
    }
}

/// Cuts bytes out, with Go's complaints where the bounds make no sense.
fn substring(start: i64, end: i64, of: &[u8]) -> Result<Value, String> {
    let len = of.len() as i64;
    let fault = |bounds: String| Err(format!("runtime error: slice bounds out of range {bounds}"));
    let (from, to) = match (start < 0, end < 0 || end > len) {
        (true, _) if end < 0 => return fault(format!("[:{end}]")),
        (true, _) if end > len => return fault(format!("[:{end}] with length {len}")),
        (true, _) => (0, end),
        (false, true) if start > len => return fault(format!("[{start}:{len}]")),
        (false, true) => (start, len),
        (false, false) if start > end => return fault(format!("[{start}:{end}]")),
        (false, false) => (start, end),
    };
    Ok(Value::Text(of[from as usize..to as usize].to_vec()))
}

fn repeated(of: &[u8], count: i64) -> Result<Vec<u8>, String> {
    let count = usize::try_from(count).map_err(|_| "strings: negative Repeat count".to_owned())?;
    match of.len().checked_mul(count) {
        Some(len) if len <= OUTPUT_BYTES_MAX => Ok(of.repeat(count)),
        _ => too_long(),
    }
}

fn indented(before: &str, spaces: i64, of: &str) -> Result<Value, String> {
    let pad = String::from_utf8(repeated(b" ", spaces)?).expect("blanks are UTF-8");
    let lines = of.matches('\n').count() + 1;
    if of.len().saturating_add(lines.saturating_mul(pad.len())) > OUTPUT_BYTES_MAX {
        return too_long();
    }
    Ok(Value::text(format!("{before}{pad}{}", of.replace('\n', &format!("\n{pad}")))))
}

/// Pads or cuts to `count` characters; a negative count changes nothing.
fn aligned(count: i64, of: &str, left: bool) -> Result<Value, String> {
    let Ok(count) = usize::try_from(count) else { return Ok(Value::text(of)) };
    let len = of.chars().count();
    if count <= len {
        let kept: String = of.chars().skip(if left { 0 } else { len - count }).take(count).collect();
        return Ok(Value::text(kept));
    }
    let pad = String::from_utf8(repeated(b" ", (count - len) as i64)?).expect("blanks are UTF-8");
    Ok(Value::text(if left { format!("{of}{pad}") } else { format!("{pad}{of}") }))
}

fn regex_replace(all: &Surroundings<'_>, args: &[Value], expand: bool) -> Result<Value, String> {
    let regex = all.regex(&text(args, 0))?;
    // As text: between bytes an empty match would fall into the middle of a character.
    let (subject, replacement) = (go_text(bytes(args, 1)), text(args, 2));
    let mut out = String::new();
    let mut copied = 0;
    for captures in regex.captures_iter(&subject) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&subject[copied..whole.start()]);
        if expand {
            captures.expand(&replacement, &mut out);
        } else {
            out.push_str(&replacement);
        }
        copied = whole.end();
        if out.len() > OUTPUT_BYTES_MAX {
            return too_long();
        }
    }
    out.push_str(&subject[copied..]);
    Ok(Value::text(out))
}
