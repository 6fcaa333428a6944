//! Go's `strconv.Quote`, which label sets, parser errors and Loki's texts are printed with.

use std::fmt::Write;
use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

/// Returns `text` as Go's `strconv.Quote` prints it.
pub fn go_quote(text: &str) -> String {
    go_quote_bytes(text.as_bytes())
}

/// Returns bytes as Go's `strconv.Quote` prints them: those that are part of no character as `\xhh`.
pub fn go_quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        escape(chunk.valid(), &mut out);
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

/// Returns a character as Go's `%#U` prints it: its number, and itself where it can be printed.
pub fn go_code_point(c: char) -> String {
    let number = format!("U+{:04X}", c as u32);
    if is_print(c) { format!("{number} '{c}'") } else { number }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{07}' => out.push_str("\\a"),
            '\u{08}' => out.push_str("\\b"),
            '\u{0c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0b}' => out.push_str("\\v"),
            c if is_print(c) => out.push(c),
            c if (c as u32) < 0x80 => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if (c as u32) < 0x10000 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => {
                let _ = write!(out, "\\U{:08x}", c as u32);
            }
        }
    }
}

/// What Go's `unicode.IsPrint` takes: letters, marks, numbers, punctuation, symbols and the ASCII space, of the characters that its
/// tables know (Unicode 15).
const PRINTED: &str = r"[ [\p{L}\p{M}\p{N}\p{P}\p{S}&&\p{age=15.0}]]";

fn is_print(c: char) -> bool {
    static RANGES: LazyLock<Vec<ClassUnicodeRange>> = LazyLock::new(|| {
        let class = regex_syntax::parse(PRINTED).map(Hir::into_kind);
        let Ok(HirKind::Class(Class::Unicode(class))) = class else { unreachable!("the pattern is a class") };
        class.ranges().to_vec()
    });
    let at = RANGES.partition_point(|range| range.end() < c);
    c == ' ' || c.is_ascii_graphic() || !c.is_ascii() && RANGES.get(at).is_some_and(|range| range.start() <= c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go 1.26 prints them.
    #[test]
    fn what_go_does_not_print_is_escaped() {
        for (text, want) in [
            ("a b", r#""a b""#),
            ("é漢\u{301}😀", "\"é漢\u{301}😀\""),
            ("\u{378}\u{e0b0}\u{f0000}", r#""\u0378\ue0b0\U000f0000""#),
            ("\u{a0}\u{ad}\u{2028}\u{feff}\u{fffd}", "\"\\u00a0\\u00ad\\u2028\\ufeff\u{fffd}\""),
            ("\u{7f}\u{85}\0\t", r#""\x7f\u0085\x00\t""#),
            // Assigned in Unicode 16.
            ("\u{1c89}", r#""\u1c89""#),
        ] {
            assert_eq!(go_quote(text), want);
        }
        assert_eq!(['\\', '\0', '\u{1f600}'].map(go_code_point), ["U+005C '\\'", "U+0000", "U+1F600 '😀'"]);
    }
}
