//! Numbers as Go's `text/scanner` reads them, with its faults (`Scanner.scanNumber`; Loki's copy of it leaves `p` to units).

/// Returns how long the number at the start of `rest` is, and its first fault.
pub(crate) fn scan(rest: &str) -> (usize, Option<String>) {
    let mut number = Number { bytes: rest.as_bytes(), at: 0, fault: None, wrong_digit: None };
    number.read();
    let separates = number.bytes[..number.at].contains(&b'_') && !separators_are_between_digits(&number.bytes[..number.at]);
    if separates {
        number.fail("'_' must separate successive digits".to_owned());
    }
    (number.at, number.fault)
}

struct Number<'a> {
    bytes: &'a [u8],
    at: usize,
    fault: Option<String>,
    /// The first digit that the base does not have.
    wrong_digit: Option<char>,
}

/// What a number begins with.
#[derive(Clone, Copy, PartialEq)]
enum Prefix {
    None,
    /// A leading zero.
    Zero,
    Octal,
    Binary,
    Hexadecimal,
}

impl Prefix {
    fn base(self) -> u32 {
        match self {
            Prefix::None => 10,
            Prefix::Zero | Prefix::Octal => 8,
            Prefix::Binary => 2,
            Prefix::Hexadecimal => 16,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Prefix::None => "decimal literal",
            Prefix::Zero | Prefix::Octal => "octal literal",
            Prefix::Binary => "binary literal",
            Prefix::Hexadecimal => "hexadecimal literal",
        }
    }
}

impl Number<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).map(u8::to_ascii_lowercase)
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    fn read(&mut self) {
        let prefix = self.prefix();
        let name = prefix.name();
        let mut has_digits = self.digits(prefix.base()) || prefix == Prefix::Zero;
        let mut float = self.accept(b'.');
        if float {
            if matches!(prefix, Prefix::Octal | Prefix::Binary) {
                self.fail(format!("invalid radix point in {name}"));
            }
            has_digits |= self.digits(prefix.base());
        }
        if !has_digits {
            self.fail(format!("{name} has no digits"));
        }
        let exponent = self.peek().filter(|byte| *byte == b'e' || *byte == b'p' && prefix == Prefix::Hexadecimal);
        match exponent {
            Some(letter) => {
                if letter == b'e' && !matches!(prefix, Prefix::None | Prefix::Zero) {
                    self.fail(format!("'{}' exponent requires decimal mantissa", char::from(self.bytes[self.at])));
                }
                self.at += 1;
                float = true;
                let _ = self.accept(b'+') || self.accept(b'-');
                let wrong = self.wrong_digit;
                if !self.digits(10) {
                    self.fail("exponent has no digits".to_owned());
                }
                self.wrong_digit = wrong;
            }
            None if prefix == Prefix::Hexadecimal && float => {
                self.fail("hexadecimal mantissa requires a 'p' exponent".to_owned());
            }
            None => {}
        }
        if let Some(digit) = self.wrong_digit.filter(|_| !float) {
            self.fail(format!("invalid digit '{digit}' in {name}"));
        }
    }

    fn prefix(&mut self) -> Prefix {
        if !self.accept(b'0') {
            return Prefix::None;
        }
        match self.peek() {
            // `0B` is a size to Loki, which then finds no digits.
            Some(b'b') if !matches!(self.bytes.get(self.at + 1), Some(b'0' | b'1')) => Prefix::None,
            Some(letter @ (b'x' | b'o' | b'b')) => {
                self.at += 1;
                match letter {
                    b'x' => Prefix::Hexadecimal,
                    b'o' => Prefix::Octal,
                    _ => Prefix::Binary,
                }
            }
            _ => Prefix::Zero,
        }
    }

    /// Takes digits and `_`; reports whether there was a digit.
    fn digits(&mut self, base: u32) -> bool {
        let mut found = false;
        while let Some(byte) = self.bytes.get(self.at).copied() {
            let digit = char::from(byte);
            if byte != b'_' {
                if !digit.is_digit(base.max(10)) {
                    break;
                }
                found = true;
                if !digit.is_digit(base) {
                    self.wrong_digit.get_or_insert(digit);
                }
            }
            self.at += 1;
        }
        found
    }
}

/// Reports whether each `_` stands between digits, of which the prefix is one.
fn separators_are_between_digits(number: &[u8]) -> bool {
    let hexadecimal = number.len() > 1 && number[1].eq_ignore_ascii_case(&b'x');
    let prefix = number.len() > 1 && number[0] == b'0' && matches!(number[1].to_ascii_lowercase(), b'x' | b'o' | b'b');
    let is_digit = |at: usize| match number.get(at) {
        Some(_) if prefix && at == 1 => true,
        Some(byte) => byte.is_ascii_digit() || hexadecimal && byte.is_ascii_hexdigit(),
        None => false,
    };
    let between = |at: usize| at > 0 && is_digit(at - 1) && is_digit(at + 1);
    number.iter().enumerate().all(|(at, byte)| *byte != b'_' || between(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_gos() {
        for (text, len, fault) in [
            ("12.5e-3 ", 7, ""),
            (".5e", 3, "exponent has no digits"),
            ("0", 1, ""),
            ("007", 3, ""),
            ("0x1F]", 4, ""),
            ("0x1.8p-2", 8, ""),
            ("0x", 2, "hexadecimal literal has no digits"),
            ("0x.p1", 5, "hexadecimal literal has no digits"),
            ("0x1.8", 5, "hexadecimal mantissa requires a 'p' exponent"),
            ("0x1p", 4, "exponent has no digits"),
            ("08", 2, "invalid digit '8' in octal literal"),
            ("09.5", 4, ""),
            ("09e1", 4, ""),
            ("0o", 2, "octal literal has no digits"),
            ("0o18", 4, "invalid digit '8' in octal literal"),
            ("0o1.5", 5, "invalid radix point in octal literal"),
            ("0b2", 1, "decimal literal has no digits"),
            ("0b12", 4, "invalid digit '2' in binary literal"),
            ("0b1E5", 5, "'E' exponent requires decimal mantissa"),
            ("0B", 1, "decimal literal has no digits"),
            ("1_000", 5, ""),
            ("1__0", 4, "'_' must separate successive digits"),
            ("1_", 2, "'_' must separate successive digits"),
            ("1_.5", 4, "'_' must separate successive digits"),
            ("0x_1", 4, ""),
            ("2PB", 1, ""),
        ] {
            assert_eq!(scan(text), (len, (!fault.is_empty()).then(|| fault.to_owned())), "{text}");
        }
    }
}
