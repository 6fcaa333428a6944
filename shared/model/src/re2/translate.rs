//! One pass over a Go pattern: refuses what `regexp/syntax` refuses, writes the rest in the `regex` crate's syntax.

use std::fmt::Write;

/// Largest count in `{n,m}` (Go's `syntax` package).
const REPEAT_MAX: u32 = 1000;

/// General categories, as Go's `unicode.Categories` calls them.
const CATEGORIES: [&str; 38] = [
    "C", "Cc", "Cf", "Cn", "Co", "Cs", "L", "LC", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No",
    "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs",
];

/// Reports whether a script's name is spelt as in Go's `unicode.Scripts`: in full, capital letters where words begin. The `regex` crate
/// takes other spellings and names of four letters as well.
fn is_script(name: &str) -> bool {
    const SHORT: [&str; 8] = ["Ahom", "Cham", "Kawi", "Lisu", "Modi", "Newa", "Thai", "Toto"];
    let is_spelt =
        |word: &str| word.starts_with(|c: char| c.is_ascii_uppercase()) && word.bytes().skip(1).all(|b| b.is_ascii_lowercase());
    name == "SignWriting" || (name.len() != 4 || SHORT.contains(&name)) && name.split('_').all(is_spelt)
}

pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let out = String::with_capacity(pattern.len() + 8);
    let mut translator = Translator { pattern, at: 0, out, flags: String::new(), is_repeated: false, names: Vec::new() };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'a> {
    pattern: &'a str,
    at: usize,
    out: String,
    /// Flags met since the last operand, not yet written: in Go they are nothing that could be repeated, and `a(?s)+` repeats `a`.
    flags: String,
    /// Whether what was written last is a repetition.
    is_repeated: bool,
    /// Group names seen: Go accepts one twice, the `regex` crate does not.
    names: Vec<&'a str>,
}

fn fault(reason: &str, text: &str) -> String {
    format!("{reason}: `{text}`")
}

impl<'a> Translator<'a> {
    fn rest(&self) -> &'a str {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn run(&mut self) -> Result<(), String> {
        let mut depth = 0usize;
        // Whether there is something a repetition could apply to; per open group, restored when it closes.
        let mut operand = false;
        let mut last_repeat: Option<usize> = None;
        while let Some(c) = self.peek() {
            let start = self.at;
            let mut repeat = None;
            if !matches!(c, '*' | '+' | '?' | '{') && !self.rest().starts_with("(?") {
                self.write_flags();
            }
            match c {
                '(' => {
                    if self.rest().starts_with("(?") {
                        if self.flags_or_group()? {
                            depth += 1;
                            operand = false;
                        }
                    } else {
                        self.at += 1;
                        self.out.push('(');
                        depth += 1;
                        operand = false;
                    }
                }
                ')' => {
                    if depth == 0 {
                        return Err(fault("unexpected )", self.pattern));
                    }
                    depth -= 1;
                    self.at += 1;
                    self.out.push(')');
                    operand = true;
                }
                '|' => {
                    self.at += 1;
                    self.out.push('|');
                    operand = false;
                }
                '*' | '+' | '?' => {
                    self.at += 1;
                    self.repeat(start, last_repeat, operand)?;
                    repeat = Some(last_repeat.unwrap_or(start));
                }
                '{' => match self.counted()? {
                    true => {
                        self.repeat(start, last_repeat, operand)?;
                        repeat = Some(last_repeat.unwrap_or(start));
                    }
                    false => {
                        self.at += 1;
                        self.write_flags();
                        self.literal('{');
                        operand = true;
                    }
                },
                '[' => {
                    self.class()?;
                    operand = true;
                }
                '\\' => operand |= self.escape()?,
                '^' | '$' | '.' => {
                    self.at += 1;
                    self.out.push(c);
                    operand = true;
                }
                other => {
                    self.bump();
                    self.literal(other);
                    operand = true;
                }
            }
            last_repeat = repeat;
        }
        if depth > 0 { Err(fault("missing closing )", self.pattern)) } else { Ok(()) }
    }

    fn write_flags(&mut self) {
        self.out.push_str(&self.flags);
        self.flags.clear();
        self.is_repeated = false;
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            let _ = write!(self.out, "\\x{{{:x}}}", c as u32);
        } else {
            self.out.push(c);
        }
    }

    /// Finishes a repetition whose operator was read: its lazy mark, and the two faults it can have.
    fn repeat(&mut self, start: usize, last_repeat: Option<usize>, operand: bool) -> Result<(), String> {
        if self.peek() == Some('?') {
            self.at += 1;
        }
        if let Some(first) = last_repeat {
            return Err(fault("invalid nested repetition operator", &self.pattern[first..self.at]));
        }
        if !operand {
            return Err(fault("missing argument to repetition operator", &self.pattern[start..self.at]));
        }
        // `a+(?s)?` is no lazy repetition: it is refused, because the flags now stand where an operand was to be.
        if self.is_repeated {
            self.write_flags();
        }
        self.out.push_str(&self.pattern[start..self.at]);
        self.is_repeated = true;
        Ok(())
    }

    /// Reads `{n}`, `{n,}`, `{n,m}`; leaves the position alone and answers false where it is none of them.
    fn counted(&mut self) -> Result<bool, String> {
        let body = &self.rest()[1..];
        let Some(end) = body.find('}') else { return Ok(false) };
        let (min, max) = body[..end].split_once(',').map_or((&body[..end], None), |(min, max)| (min, Some(max)));
        let number = |text: &str| -> Option<u32> {
            let plain =
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !(text.len() > 1 && text.starts_with('0'));
            plain.then(|| text.parse().unwrap_or(u32::MAX))
        };
        let Some(low) = number(min) else { return Ok(false) };
        let high = match max {
            None => Some(low),
            Some("") => None,
            Some(text) => match number(text) {
                Some(n) => Some(n),
                None => return Ok(false),
            },
        };
        let text = &self.rest()[..end + 2];
        if low > REPEAT_MAX || high.is_some_and(|h| h > REPEAT_MAX || h < low) {
            return Err(fault("invalid repeat count", text));
        }
        self.at += text.len();
        Ok(true)
    }

    /// Reads `(?…`: true where it opened a group.
    fn flags_or_group(&mut self) -> Result<bool, String> {
        let rest = self.rest();
        for prefix in ["(?P<", "(?<"] {
            // At the end of the pattern they are flags that there are not.
            if let Some(tail) = rest.strip_prefix(prefix).filter(|tail| !tail.is_empty()) {
                return self.named_group(rest, prefix.len(), tail);
            }
        }
        // The flags that are set at the end, and those that are not: Go takes one twice.
        let (mut on, mut off) = (String::new(), String::new());
        let (mut negative, mut seen) = (false, false);
        let mut at = 2;
        for c in rest[2..].chars() {
            at += c.len_utf8();
            match c {
                'i' | 'm' | 's' | 'U' => {
                    on.retain(|flag| flag != c);
                    off.retain(|flag| flag != c);
                    if negative { &mut off } else { &mut on }.push(c);
                    seen = true;
                }
                '-' if !negative => {
                    negative = true;
                    seen = false;
                }
                ':' | ')' if !negative || seen => {
                    self.at += at;
                    let flags = if negative { format!("{on}-{off}") } else { on };
                    if c == ':' {
                        self.write_flags();
                        let _ = write!(self.out, "(?{flags}:");
                    } else if !flags.is_empty() {
                        let _ = write!(self.flags, "(?{flags})");
                    }
                    return Ok(c == ':');
                }
                _ => break,
            }
        }
        Err(fault("invalid or unsupported Perl syntax", &rest[..at]))
    }

    fn named_group(&mut self, rest: &'a str, prefix_len: usize, tail: &'a str) -> Result<bool, String> {
        let Some(end) = tail.find('>') else { return Err(fault("invalid named capture", rest)) };
        let name = &tail[..end];
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(fault("invalid named capture", &rest[..prefix_len + end + 1]));
        }
        self.write_flags();
        if self.names.contains(&name) || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.out.push('(');
        } else {
            let _ = write!(self.out, "(?P<{name}>");
            self.names.push(name);
        }
        self.at += prefix_len + end + 1;
        Ok(true)
    }

    /// Reads an escape outside a class; false where it stands for nothing (`\Q\E`).
    fn escape(&mut self) -> Result<bool, String> {
        let rest = self.rest();
        let plain = |text: &'static str| Some(text);
        let assertion = match rest.as_bytes().get(1) {
            Some(b'A') => plain("\\A"),
            Some(b'z') => plain("\\z"),
            Some(b'b') => plain("(?-u:\\b)"),
            Some(b'B') => plain("(?-u:\\B)"),
            Some(b'd') => plain("[0-9]"),
            Some(b'D') => plain("[^0-9]"),
            Some(b's') => plain("[\\t\\n\\x0c\\r ]"),
            Some(b'S') => plain("[^\\t\\n\\x0c\\r ]"),
            Some(b'w') => plain("[0-9A-Za-z_]"),
            Some(b'W') => plain("[^0-9A-Za-z_]"),
            _ => None,
        };
        if let Some(text) = assertion {
            self.at += 2;
            self.out.push_str(text);
            return Ok(true);
        }
        match rest.as_bytes().get(1) {
            Some(b'Q') => {
                let quoted = &rest[2..];
                let (text, skip) = quoted.find("\\E").map_or((quoted, quoted.len()), |end| (&quoted[..end], end + 2));
                text.chars().for_each(|c| self.literal(c));
                self.at += 2 + skip;
                Ok(!text.is_empty())
            }
            Some(b'p' | b'P') => {
                let class = self.unicode_class()?;
                self.out.push_str(&class);
                Ok(true)
            }
            _ => {
                let c = self.character()?;
                self.literal(c);
                Ok(true)
            }
        }
    }

    /// Reads `\pL`, `\p{Greek}`, `\P…`.
    fn unicode_class(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let invalid = |text: &str| fault("invalid character class range", text);
        let body = &rest[2..];
        let len = match body.chars().next() {
            None => return Err(invalid(rest)),
            Some('{') => body.find('}').map(|end| end + 1).ok_or_else(|| invalid(rest))?,
            Some(c) => c.len_utf8(),
        };
        let text = &rest[..2 + len];
        let name = body[..len].trim_start_matches('{').trim_end_matches('}');
        let (is_negated, name) = name.strip_prefix('^').map_or((false, name), |name| (true, name));
        let sign = if rest.starts_with("\\P") == is_negated { 'p' } else { 'P' };
        let class = match name {
            "Any" => format!("\\{sign}{{any}}"),
            _ if CATEGORIES.contains(&name) => format!("\\{sign}{{gc={name}}}"),
            _ if is_script(name) => format!("\\{sign}{{sc={name}}}"),
            _ => return Err(invalid(text)),
        };
        if regex_syntax::parse(&class).is_err() {
            return Err(invalid(text));
        }
        self.at += text.len();
        Ok(class)
    }

    /// Reads an escape that stands for one character (Go's `parseEscape`).
    fn character(&mut self) -> Result<char, String> {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.bump() else { return Err(fault("trailing backslash at end of expression", "")) };
        let value = match c {
            '1'..='7' if !matches!(self.peek(), Some('0'..='7')) => None,
            '0'..='7' => {
                let mut value = c as u32 - '0' as u32;
                for _ in 0..2 {
                    match self.peek() {
                        Some(digit @ '0'..='7') => {
                            self.at += 1;
                            value = value * 8 + (digit as u32 - '0' as u32);
                        }
                        _ => break,
                    }
                }
                Some(value)
            }
            'x' => self.hexadecimal(),
            'a' => Some(7),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c as u32),
            _ => None,
        };
        value.and_then(char::from_u32).ok_or_else(|| fault("invalid escape sequence", &self.pattern[start..self.at]))
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.bump()?;
        if first != '{' {
            // Both are read before either is judged: the error shows both.
            let digits = [Some(first), self.bump()].map(|c| c.and_then(|c| c.to_digit(16)));
            return Some(digits[0]? << 4 | digits[1]?);
        }
        let mut value = 0u32;
        let mut digits = 0;
        loop {
            match self.bump()? {
                '}' => return (digits > 0).then_some(value),
                c => value = value.checked_mul(16)?.checked_add(c.to_digit(16)?).filter(|v| *v <= 0x10ffff)?,
            }
            digits += 1;
        }
    }

    fn class(&mut self) -> Result<(), String> {
        let whole = self.rest();
        self.at += 1;
        self.out.push('[');
        if self.peek() == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        let mut first = true;
        while first || self.peek() != Some(']') {
            first = false;
            if !self.class_named()? {
                self.class_range(whole)?;
            }
        }
        self.at += 1;
        self.out.push(']');
        Ok(())
    }

    /// Reads `[:alpha:]`, `\d`, `\pL` inside a class; false where the next item is a character.
    fn class_named(&mut self) -> Result<bool, String> {
        let rest = self.rest();
        if let Some(end) = rest.strip_prefix("[:").and_then(|tail| tail.find(":]")) {
            let text = &rest[..end + 4];
            let name = rest[2..end + 2].trim_start_matches('^');
            const NAMES: [&str; 14] = [
                "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
                "word", "xdigit",
            ];
            if !NAMES.contains(&name) {
                return Err(fault("invalid character class range", text));
            }
            self.out.push_str(text);
            self.at += text.len();
            return Ok(true);
        }
        match rest.as_bytes() {
            [b'\\', b'd' | b'D' | b's' | b'S' | b'w' | b'W', ..] => self.escape(),
            [b'\\', b'p' | b'P', ..] => {
                let class = self.unicode_class()?;
                self.out.push_str(&class);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn class_range(&mut self, whole: &str) -> Result<(), String> {
        let start = self.at;
        let low = self.class_character(whole)?;
        let mut high = low;
        let rest = self.rest();
        if rest.len() >= 2 && rest.starts_with('-') && !rest[1..].starts_with(']') {
            self.at += 1;
            high = self.class_character(whole)?;
            if high < low {
                return Err(fault("invalid character class range", &self.pattern[start..self.at]));
            }
        }
        let _ = write!(self.out, "\\x{{{:x}}}", low as u32);
        if high != low {
            let _ = write!(self.out, "-\\x{{{:x}}}", high as u32);
        }
        Ok(())
    }

    fn class_character(&mut self, whole: &str) -> Result<char, String> {
        match self.peek() {
            None => Err(fault("missing closing ]", whole)),
            Some('\\') => self.character(),
            Some(c) => {
                self.at += c.len_utf8();
                Ok(c)
            }
        }
    }
}
