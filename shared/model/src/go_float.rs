//! Floats as Go's `strconv.FormatFloat(value, FORMAT, -1, 64)` writes them: the fewest digits that read back as the same float; and
//! as its `ParseFloat` reads them.
//!
//! Where two such texts are equally near, Go takes the even last digit and Rust's `Display` the larger one
//! (579090.32275390625 is `579090.3227539062` there); Ryū decides as Go does.

/// What `ParseFloat` calls a text that is no number.
const SYNTAX: &str = "invalid syntax";

/// Reads a float as `ParseFloat` does: also hexadecimal with a power of two, also with underscores between digits, infinities with and
/// NaN without a sign. The error is Go's reason: `invalid syntax`, or `value out of range` for a number too large for a float.
pub fn parse(text: &str) -> Result<f64, &'static str> {
    let finite = |size: f64| if size.is_finite() { Ok(size) } else { Err("value out of range") };
    // What nearly every text is.
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return text.parse().map_err(|_| SYNTAX).and_then(finite);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negated = |size: f64| if text.starts_with('-') { -size } else { size };
    let is = |word: &str| unsigned.eq_ignore_ascii_case(word);
    if is("inf") || is("infinity") {
        return Ok(negated(f64::INFINITY));
    }
    if is("nan") && unsigned == text {
        return Ok(f64::NAN);
    }
    let hexadecimal = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
    // The prefix is as good as a digit before the first underscore.
    if !underscores_part_digits(hexadecimal.unwrap_or(unsigned), hexadecimal.is_some()) {
        return Err(SYNTAX);
    }
    let digits = |text: &str| text.replace('_', "");
    let size = match hexadecimal {
        Some(text) => parse_hexadecimal(&digits(text)),
        // No second sign, and no word that Rust reads and Go does not.
        None if unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') => digits(unsigned).parse().ok(),
        None => None,
    };
    size.ok_or(SYNTAX).and_then(finite).map(negated)
}

fn underscores_part_digits(text: &str, is_hexadecimal: bool) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |byte: &u8| if is_hexadecimal { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
    let before = |at: usize| at.checked_sub(1).map_or(is_hexadecimal, |before| is_digit(&bytes[before]));
    let mut places = (0..bytes.len()).filter(|at| bytes[*at] == b'_');
    places.all(|at| before(at) && bytes.get(at + 1).is_some_and(is_digit))
}

/// Reads `1.8p3`: hexadecimal digits, and how often they are doubled.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, power) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_signed = power.starts_with(['+', '-']);
    if (whole.is_empty() && fraction.is_empty()) || !power[usize::from(is_signed)..].bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (mut bits, mut dropped) = (0u64, 0i64);
    for digit in whole.chars().chain(fraction.chars()) {
        let digit = u64::from(digit.to_digit(16)?);
        // Of digits that no float holds, only whether there are any matters.
        match bits >> 60 {
            0 => bits = bits << 4 | digit,
            _ => (bits, dropped) = (bits | u64::from(digit != 0), dropped + 4),
        }
    }
    let power: i64 = power.parse().ok()?;
    let mut power = power.checked_add(dropped)?.checked_sub(4 * fraction.len() as i64)?.clamp(-4000, 4000);
    let mut size = bits as f64;
    // A power of two at a time is exact, but for the last one into what is not normal.
    while power != 0 && size != 0.0 && size.is_finite() {
        let step = power.clamp(-1000, 1000);
        size *= 2f64.powi(step as i32);
        power -= step;
    }
    Some(size)
}

/// Writes a finite float without an exponent (format `f`); infinities and NaN as Go writes them.
pub fn push_plain(out: &mut Vec<u8>, value: f64) {
    let Some(decimal) = Decimal::of(out, value) else { return };
    let (digits, point) = (decimal.digits(), decimal.point);
    match usize::try_from(point) {
        Ok(0) | Err(_) => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', point.unsigned_abs() as usize));
            out.extend_from_slice(digits);
        }
        Ok(point) if point < digits.len() => {
            out.extend_from_slice(&digits[..point]);
            out.push(b'.');
            out.extend_from_slice(&digits[point..]);
        }
        Ok(point) => {
            out.extend_from_slice(digits);
            out.extend(std::iter::repeat_n(b'0', point - digits.len()));
        }
    }
}

/// Writes a finite float with an exponent of at least two digits (format `e`); infinities and NaN as Go writes them.
pub fn push_scientific(out: &mut Vec<u8>, value: f64) {
    let Some(decimal) = Decimal::of(out, value) else { return };
    let digits = decimal.digits();
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    let exponent = decimal.point - 1;
    let text = format!("e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    out.extend_from_slice(text.as_bytes());
}

/// Returns a float without an exponent (format `f`).
pub fn plain(value: f64) -> String {
    text(|out| push_plain(out, value))
}

/// Returns a float with an exponent (format `e`).
pub fn scientific(value: f64) -> String {
    text(|out| push_scientific(out, value))
}

/// Returns a float as `%v` and format `g` do: with an exponent below 1e-4 and from 1e`exponent_from` on (6 in `fmt`, 21 in `strconv`'s JSON).
pub fn general(value: f64, exponent_from: i32) -> String {
    let size = value.abs();
    let plainly = !value.is_finite() || size == 0.0 || (size >= 1e-4 && size < 10f64.powi(exponent_from));
    if plainly { plain(value) } else { scientific(value) }
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::with_capacity(24);
    write(&mut out);
    // Only ASCII was written.
    String::from_utf8_lossy(&out).into_owned()
}

/// 0.DIGITS × 10^`point`.
struct Decimal {
    digits: [u8; 20],
    len: usize,
    point: i32,
}

impl Decimal {
    /// Writes the sign, or all of a value that has no digits.
    fn of(out: &mut Vec<u8>, value: f64) -> Option<Decimal> {
        if value.is_nan() {
            out.extend_from_slice(b"NaN");
            return None;
        }
        if value.is_infinite() {
            out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
            return None;
        }
        if value.is_sign_negative() {
            out.push(b'-');
        }
        if value == 0.0 {
            out.push(b'0');
            return None;
        }
        Some(Decimal::of_size(value.abs()))
    }

    /// Reads Ryū's text, such as `123.5`, `0.001`, `1.5e-7` or `1e21`, back into digits and the place of the point.
    fn of_size(size: f64) -> Decimal {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(size).as_bytes();
        let (mut decimal, mut point, mut exponent) = (Decimal { digits: [0; 20], len: 0, point: 0 }, None, 0);
        let mut places = 0;
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'.' => point = Some(places),
                b'e' => {
                    exponent = std::str::from_utf8(&text[at + 1..]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
                    break;
                }
                _ => {
                    places += 1;
                    // Leading zeros only move the point.
                    if decimal.len > 0 || *byte != b'0' {
                        decimal.push(*byte);
                    } else {
                        decimal.point -= 1;
                    }
                }
            }
        }
        decimal.point += point.unwrap_or(places) + exponent;
        while decimal.len > 1 && decimal.digits[decimal.len - 1] == b'0' {
            decimal.len -= 1;
        }
        decimal
    }

    fn push(&mut self, digit: u8) {
        // Past 20 only zeros follow: Ryū writes an exponent from 1e16 on.
        if self.len < self.digits.len() {
            self.digits[self.len] = digit;
            self.len += 1;
        }
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_go_prints_them() {
        for (value, as_plain, as_scientific) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1e+00"),
            (-2.5, "-2.5", "-2.5e+00"),
            (0.1 + 0.2, "0.30000000000000004", "3.0000000000000004e-01"),
            (1200.0, "1200", "1.2e+03"),
            (0.00015, "0.00015", "1.5e-04"),
            (1e21, "1000000000000000000000", "1e+21"),
            (123_456_789_012_345_680.0, "123456789012345680", "1.2345678901234568e+17"),
            (-1.5e100, &format!("-15{}", "0".repeat(99)), "-1.5e+100"),
            (1.5e-7, "0.00000015", "1.5e-07"),
            (5e-324, &format!("0.{}5", "0".repeat(323)), "5e-324"),
            (f64::MAX, &format!("17976931348623157{}", "0".repeat(292)), "1.7976931348623157e+308"),
            // Ties go to the even digit.
            (1_185_976_981.0 / 2_048.0, "579090.3227539062", "5.790903227539062e+05"),
            (756_915_334_201.0 / 256.0, "2956700524.2226562", "2.9567005242226562e+09"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            assert_eq!((plain(value).as_str(), scientific(value).as_str()), (as_plain, as_scientific), "{value:e}");
        }
    }

    #[test]
    fn the_exponent_begins_where_the_format_says() {
        let texts = [1e5, 1e6, 1e20, 1e21, 1e-4, 9e-5].map(|value| (general(value, 6), general(value, 21)));
        let texts = texts.each_ref().map(|(a, b)| (a.as_str(), b.as_str()));
        assert_eq!(
            texts,
            [
                ("100000", "100000"),
                ("1e+06", "1000000"),
                ("1e+20", "100000000000000000000"),
                ("1e+21", "1e+21"),
                ("0.0001", "0.0001"),
                ("9e-05", "9e-05")
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn every_text_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            for text in [plain(value), scientific(value)] {
                let back: f64 = text.parse().expect("a number");
                proptest::prop_assert!(back.to_bits() == bits || value.is_nan() && back.is_nan(), "{text}");
            }
        }
    }

    /// As Go 1.26 reads them.
    #[test]
    fn what_go_reads() {
        for (text, value) in [
            ("1", 1.0),
            ("+1.5e3", 1500.0),
            (".5", 0.5),
            ("1.", 1.0),
            ("-0", -0.0),
            ("1_000", 1000.0),
            ("1_0.2_5e1_0", 1.025e11),
            ("0x1p4", 16.0),
            ("-0X_1.8P-1", -0.75),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x0p0", 0.0),
            ("0x1p-1074", 5e-324),
            ("-iNf", f64::NEG_INFINITY),
            ("Infinity", f64::INFINITY),
        ] {
            assert_eq!(parse(text).map(f64::to_bits), Ok(value.to_bits()), "{text}");
        }
        assert!(parse("NAN").is_ok_and(f64::is_nan));
        for text in [
            "", "x", "-NaN", "+nan", "0x10", "0x1p", "0xp1", "0x1p+", "_1", "1_", "1__0", "1_.5", "1._5", "1e_5", "١", "1 ",
            "infinit", ".", "e5", "--1",
        ] {
            assert_eq!(parse(text), Err("invalid syntax"), "{text}");
        }
        for text in ["1e400", "-1e400", "0x1p1024"] {
            assert_eq!(parse(text), Err("value out of range"), "{text}");
        }
    }
}
