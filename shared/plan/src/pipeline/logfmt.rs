//! A logfmt scanner that goes on after a syntax error and remembers the last one.

use std::borrow::Cow;

/// Reads pairs from a line.
#[derive(Debug)]
pub(crate) struct LogfmtScanner<'a> {
    line: &'a [u8],
    at: usize,
    fault: Option<(usize, Cow<'static, str>)>,
}

/// A key with its value; bare keys have none.
#[derive(Debug)]
pub(crate) struct Pair<'a> {
    pub key: &'a [u8],
    pub value: Cow<'a, [u8]>,
}

impl<'a> LogfmtScanner<'a> {
    pub(crate) fn new(line: &'a [u8]) -> LogfmtScanner<'a> {
        LogfmtScanner { line, at: 0, fault: None }
    }

    /// Returns the text of the last syntax error.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.as_ref().map(|(at, why)| format!("logfmt syntax error at pos {} : {why}", at + 1))
    }

    /// Returns how far the line is read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Reports whether the line is read to its end.
    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.line.len()
    }

    /// Reads the next pair; `None` at the end of the line and for a pair with a syntax error, after which reading may go on.
    pub(crate) fn pair(&mut self) -> Option<Pair<'a>> {
        let line = self.line;
        self.at = self.find(|b| b > b' ');
        if self.at_end() {
            return None;
        }
        let start = self.at;
        self.at = self.find(|b| b == b'=' || b == b'"' || b <= b' ');
        let key = &line[start..self.at];
        let end = line.get(self.at).copied();
        if end == Some(b'"') || (end == Some(b'=') && key.is_empty()) {
            return self.unexpected();
        }
        if std::str::from_utf8(key).is_err() || key.windows(3).any(|w| w == "\u{fffd}".as_bytes()) {
            self.fault_here("invalid key");
            if end == Some(b'=') {
                self.skip_value();
            }
            return None;
        }
        if end != Some(b'=') {
            return Some(Pair { key, value: Cow::Borrowed(&[]) });
        }
        self.at += 1;
        match line.get(self.at) {
            None => Some(Pair { key, value: Cow::Borrowed(&[]) }),
            Some(b'"') => Some(Pair { key, value: self.quoted()? }),
            Some(_) => {
                let start = self.at;
                self.at = self.find(|b| b == b'=' || b == b'"' || b <= b' ');
                match line.get(self.at) {
                    Some(b'=' | b'"') => self.unexpected(),
                    _ => Some(Pair { key, value: Cow::Borrowed(&line[start..self.at]) }),
                }
            }
        }
    }

    fn find(&self, stop: impl Fn(u8) -> bool) -> usize {
        self.line[self.at..].iter().position(|b| stop(*b)).map_or(self.line.len(), |len| self.at + len)
    }

    fn fault_here(&mut self, why: impl Into<Cow<'static, str>>) {
        self.fault = Some((self.at, why.into()));
    }

    fn unexpected<T>(&mut self) -> Option<T> {
        let found = if self.line[self.at] == b'"' { "'\"'" } else { "'='" };
        self.fault_here(format!("unexpected {found}"));
        self.skip_value();
        None
    }

    fn skip_value(&mut self) {
        self.at = self.find(|b| b <= b' ');
    }

    fn quoted(&mut self) -> Option<Cow<'a, [u8]>> {
        let line = self.line;
        let start = self.at + 1;
        let mut at = start;
        loop {
            match memchr::memchr2(b'"', b'\\', line.get(at..).unwrap_or_default()) {
                None => {
                    self.at = line.len();
                    self.fault_here("unterminated quoted value");
                    return None;
                }
                Some(skip) if line[at + skip] == b'\\' => at += skip + 2,
                Some(skip) => {
                    at += skip;
                    break;
                }
            }
        }
        self.at = at + 1;
        let raw = &line[start..at];
        if !raw.contains(&b'\\') {
            return Some(Cow::Borrowed(raw));
        }
        match unquote(raw) {
            Some(value) => Some(Cow::Owned(value)),
            None => {
                self.fault_here("invalid quoted value");
                None
            }
        }
    }
}

/// Resolves JSON escapes; a lone surrogate becomes U+FFFD.
fn unquote(raw: &[u8]) -> Option<Vec<u8>> {
    // `\'` is allowed here and nowhere else.
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let len = match rest.get(at + 1)? {
            b'\'' => {
                out.push(b'\'');
                rest = &rest[at + 2..];
                continue;
            }
            b'u' if rest.get(at + 6..at + 8) == Some(b"\\u") => 12,
            b'u' => 6,
            _ => 2,
        };
        let escape = rest.get(at..at + len)?;
        match super::json::unescape(escape) {
            Some(bytes) => {
                out.extend_from_slice(&bytes);
                rest = &rest[at + len..];
            }
            None if len >= 6 && rest.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => {
                out.extend_from_slice("\u{fffd}".as_bytes());
                rest = &rest[at + 6..];
            }
            None => return None,
        }
    }
    out.extend_from_slice(rest);
    Some(out)
}
