//! Go's `fmt`: `Sprint`, `Sprintln` and the verbs of `Sprintf` that fit the values of templates.

use std::iter::Peekable;
use std::str::Chars;

use model::quote::go_code_point;

use crate::pipeline::units::format_float;
use crate::template::limits::{OUTPUT_BYTES_MAX, WIDTH_MAX};
use crate::template::value::Value;

/// Prints operands, with a blank between two of which neither is a string.
pub(super) fn print(args: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut previous_is_text = true;
    for (index, arg) in args.iter().enumerate() {
        let is_text = matches!(arg, Value::Text(_));
        if index > 0 && !is_text && !previous_is_text {
            out.push(b' ');
        }
        arg.format(&mut out);
        previous_is_text = is_text;
    }
    out
}

/// Prints operands with blanks between them, and a line end.
pub(super) fn println(args: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, arg) in args.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b" " } else { b"" });
        arg.format(&mut out);
    }
    out.push(b'\n');
    out
}

/// Returns a lone string as it is, anything else as [`print`] does.
pub(super) fn joined(args: &[Value]) -> Vec<u8> {
    print(args)
}

/// Flags, width and precision of a verb.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Prints by a format, the first argument.
pub(super) fn printf(args: &[Value]) -> Result<Value, String> {
    let format = super::text(args, 0);
    let mut operands = Operands { all: &args[1..], next: 0, reordered: false, bad: false, unclosed: false };
    let mut chars = format.chars().peekable();
    let mut out = Vec::new();
    while let Some(c) = chars.next() {
        if out.len() > OUTPUT_BYTES_MAX {
            return Err(format!("result has more than {OUTPUT_BYTES_MAX} bytes"));
        }
        if c != '%' {
            push(&mut out, c);
            continue;
        }
        // Go gives up on a number that is too large as if the format ended there.
        operands.bad = false;
        let Some(spec) = spec(&mut chars, &mut operands, &mut out) else {
            out.extend_from_slice(b"%!(NOVERB)");
            break;
        };
        match chars.next() {
            None => out.extend_from_slice(b"%!(NOVERB)"),
            Some('%') => out.push(b'%'),
            Some(verb) if operands.bad => out.extend_from_slice(format!("%!{verb}(BADINDEX)").as_bytes()),
            Some(verb) => match operands.next() {
                None => out.extend_from_slice(format!("%!{verb}(MISSING)").as_bytes()),
                Some(operand) => match fitting(verb, &spec, operand) {
                    Some(text) => out.extend_from_slice(&padded(text, &spec, verb, operand)),
                    None => misfit(&mut out, verb, &spec, operand),
                },
            },
        }
    }
    let extra: Vec<String> = operands.extra().iter().map(described).collect();
    if !extra.is_empty() {
        out.extend_from_slice(format!("%!(EXTRA {})", extra.join(", ")).as_bytes());
    }
    Ok(Value::Text(out))
}

/// The operands, in the order in which verbs take them.
struct Operands<'a> {
    all: &'a [Value],
    next: usize,
    /// Whether some verb named the operand it takes: then no operand is left over.
    reordered: bool,
    /// Whether the verb at hand named one that is not there.
    bad: bool,
    /// Whether no bracket closes any more: looking again at each that opens would take the square of the format's length.
    unclosed: bool,
}

impl<'a> Operands<'a> {
    fn next(&mut self) -> Option<&'a Value> {
        let operand = self.all.get(self.next)?;
        self.next += 1;
        Some(operand)
    }

    fn extra(&self) -> &'a [Value] {
        if self.reordered { &[] } else { self.all.get(self.next..).unwrap_or_default() }
    }

    /// Takes a number for a `*`; `None` where the next operand is none.
    fn number(&mut self) -> Option<i64> {
        let operand = self.next()?;
        match operand {
            Value::Int(number) | Value::Int64(number) => Some(*number).filter(|number| number.unsigned_abs() <= WIDTH_MAX as u64),
            _ => None,
        }
    }

    /// Reads `[n]`: the verb takes operand n, counted from 1.
    fn index(&mut self, chars: &mut Peekable<Chars<'_>>) {
        if chars.peek() != Some(&'[') {
            return;
        }
        self.reordered = true;
        let close = if self.unclosed { None } else { chars.clone().position(|c| c == ']') };
        let Some(close) = close else {
            // Go goes on behind the bracket.
            chars.next();
            (self.bad, self.unclosed) = (true, true);
            return;
        };
        let text = chars.by_ref().take(close).skip(1).collect::<String>();
        chars.next();
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok()).flatten();
        match number.and_then(|number| number.checked_sub(1)).filter(|index| *index < self.all.len()) {
            Some(index) => self.next = index,
            None => self.bad = true,
        }
    }
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn spec(chars: &mut Peekable<Chars<'_>>, operands: &mut Operands<'_>, out: &mut Vec<u8>) -> Option<Spec> {
    let mut spec = Spec::default();
    while let Some(c) = chars.peek() {
        match c {
            '-' => spec.minus = true,
            '+' => spec.plus = true,
            '#' => spec.sharp = true,
            ' ' => spec.space = true,
            '0' => spec.zero = true,
            _ => break,
        }
        chars.next();
    }
    operands.index(chars);
    if chars.next_if_eq(&'*').is_some() {
        match operands.number() {
            Some(width) => {
                spec.width = Some(width.unsigned_abs() as usize);
                spec.minus |= width < 0;
            }
            None => out.extend_from_slice(b"%!(BADWIDTH)"),
        }
    } else {
        spec.width = digits(chars)?;
    }
    if chars.next_if_eq(&'.').is_some() {
        operands.index(chars);
        if chars.next_if_eq(&'*').is_some() {
            spec.precision = operands.number().and_then(|precision| usize::try_from(precision).ok());
            if spec.precision.is_none() {
                out.extend_from_slice(b"%!(BADPREC)");
            }
        } else {
            spec.precision = Some(digits(chars)?.unwrap_or(0));
        }
    }
    operands.index(chars);
    Some(spec)
}

/// Reads a number; `None` where it is beyond the bound.
fn digits(chars: &mut Peekable<Chars<'_>>) -> Option<Option<usize>> {
    let mut value: Option<usize> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        value = Some(value.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize));
    }
    value.is_none_or(|value| value <= WIDTH_MAX).then_some(value)
}

/// Describes an operand that no verb took: `string=42`.
fn described(value: &Value) -> String {
    if *value == Value::Nil { "<nil>".to_owned() } else { format!("{}={}", value.type_name(), value.formatted()) }
}

/// Prints an operand that the verb does not fit: `%!d(string=   42)`, with the verb's own width and precision.
fn misfit(out: &mut Vec<u8>, verb: char, spec: &Spec, value: &Value) {
    out.extend_from_slice(format!("%!{verb}(").as_bytes());
    match value {
        Value::Nil => out.extend_from_slice(b"<nil>"),
        value => {
            out.extend_from_slice(format!("{}=", value.type_name()).as_bytes());
            out.extend_from_slice(&padded(plain(spec, value), spec, 'v', value));
        }
    }
    out.push(b')');
}

/// Prints as `%v` does.
fn plain(spec: &Spec, value: &Value) -> Vec<u8> {
    let number = match value {
        Value::Text(text) => return string('s', spec, text),
        Value::Int(integer) | Value::Int64(integer) => integer_as('d', spec, *integer),
        Value::Float(float) => float_as('g', spec, *float),
        _ => None,
    };
    number.unwrap_or_else(|| value.formatted_bytes())
}

fn fitting(verb: char, spec: &Spec, value: &Value) -> Option<Vec<u8>> {
    match (verb, value) {
        ('v', Value::Text(text)) if spec.sharp => Some(string('q', &Spec { sharp: false, plus: false, ..*spec }, text)),
        // To `%v` these two flags mean what does not show on the values of templates.
        ('v', value) => Some(plain(&Spec { plus: false, sharp: false, ..*spec }, value)),
        ('T', value) => Some(value.type_name().as_bytes().to_vec()),
        ('t', Value::Bool(_)) => Some(value.formatted_bytes()),
        ('s' | 'q' | 'x' | 'X', Value::Text(text)) => Some(string(verb, spec, text)),
        ('s', Value::Time(_) | Value::List(_) | Value::Map(_) | Value::Labels(_)) => Some(value.formatted_bytes()),
        (_, Value::Int(integer) | Value::Int64(integer)) => integer_as(verb, spec, *integer),
        (_, Value::Float(float)) => float_as(verb, spec, *float),
        _ => None,
    }
}

fn string(verb: char, spec: &Spec, text: &[u8]) -> Vec<u8> {
    let lossy = String::from_utf8_lossy(text);
    let cut = spec.precision.and_then(|precision| lossy.char_indices().nth(precision)).map_or(lossy.len(), |(at, _)| at);
    match verb {
        's' if spec.precision.is_none() => text.to_vec(),
        's' => lossy[..cut].as_bytes().to_vec(),
        'q' => quoted(spec, &lossy[..cut]).into_bytes(),
        _ => hexadecimal(verb, spec, &text[..spec.precision.unwrap_or(text.len()).min(text.len())]),
    }
}

/// Quotes: with `#` between backquotes where that can be, with `+` in ASCII.
fn quoted(spec: &Spec, text: &str) -> String {
    let raw = |c: char| c != '`' && c != '\u{feff}' && (c == '\t' || !matches!(c, '\0'..='\x1f' | '\x7f'));
    if spec.sharp && text.chars().all(raw) {
        return format!("`{text}`");
    }
    let quoted = model::quote::go_quote(text);
    if spec.plus { in_ascii(&quoted) } else { quoted }
}

fn in_ascii(text: &str) -> String {
    let escape = |c: char| match c as u32 {
        0..0x80 => c.to_string(),
        code @ 0x80..0x1_0000 => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    };
    text.chars().map(escape).collect()
}

/// Prints bytes in base 16: with `#` a prefix, with a blank one between bytes.
fn hexadecimal(verb: char, spec: &Spec, bytes: &[u8]) -> Vec<u8> {
    let prefix = if spec.sharp { "0x" } else { "" };
    let mut out = String::with_capacity(bytes.len() * 3);
    for (index, byte) in bytes.iter().enumerate() {
        if spec.space && index > 0 {
            out.push(' ');
        }
        if index == 0 || spec.space {
            out.push_str(prefix);
        }
        out.push_str(&format!("{byte:02x}"));
    }
    if verb == 'X' { out.to_uppercase() } else { out }.into_bytes()
}

fn integer_as(verb: char, spec: &Spec, value: i64) -> Option<Vec<u8>> {
    let size = value.unsigned_abs();
    let body = match verb {
        'd' => size.to_string(),
        'b' => format!("{size:b}"),
        'o' => format!("{}{size:o}", if spec.sharp { "0" } else { "" }),
        'x' => format!("{}{size:x}", if spec.sharp { "0x" } else { "" }),
        'X' => format!("{}{size:X}", if spec.sharp { "0X" } else { "" }),
        'c' => return Some(character(value).to_string().into_bytes()),
        'O' => format!("0o{size:o}"),
        'q' => return Some(quoted_character(spec, character(value)).into_bytes()),
        'U' if spec.sharp && i64::from(u32::from(character(value))) == value => {
            return Some(go_code_point(character(value)).into_bytes());
        }
        'U' => return Some(format!("U+{size:04X}").into_bytes()),
        _ => return None,
    };
    let body = format!("{body:0>0$}", spec.precision.unwrap_or(0));
    Some(format!("{}{body}", sign(value < 0, spec)).into_bytes())
}

/// Quotes one character between single quotes.
fn quoted_character(spec: &Spec, c: char) -> String {
    let inner = match c {
        '\'' => "\\'".to_owned(),
        '"' => "\"".to_owned(),
        c => {
            let quoted = model::quote::go_quote(c.encode_utf8(&mut [0; 4]));
            quoted[1..quoted.len() - 1].to_owned()
        }
    };
    format!("'{}'", if spec.plus { in_ascii(&inner) } else { inner })
}

fn character(value: i64) -> char {
    u32::try_from(value).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

fn float_as(verb: char, spec: &Spec, value: f64) -> Option<Vec<u8>> {
    let size = value.abs();
    let body = match verb {
        _ if !size.is_finite() => format_float(size).trim_start_matches('+').to_owned(),
        'f' | 'F' => format!("{size:.0$}", spec.precision.unwrap_or(6)),
        'e' | 'E' => exponent(&format!("{size:.0$e}", spec.precision.unwrap_or(6))),
        'g' | 'G' => general(size, spec.precision),
        _ => return None,
    };
    let body = if verb.is_uppercase() { body.to_uppercase() } else { body };
    Some(format!("{}{body}", sign(value.is_sign_negative() && !value.is_nan(), spec)).into_bytes())
}

/// Gives an exponent the sign and the two digits that Go prints.
fn exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn general(size: f64, precision: Option<usize>) -> String {
    let Some(precision) = precision.map(|precision| precision.max(1)) else { return format_float(size) };
    let scientific = format!("{size:.0$e}", precision - 1);
    let power: i32 = scientific.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if power < -4 || power >= precision as i32 {
        let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        return exponent(&format!("{}e{power}", trimmed(mantissa)));
    }
    trimmed(&format!("{size:.0$}", (precision as i32 - 1 - power).max(0) as usize))
}

/// Pads to the width: with zeros behind the sign of a number, else with blanks.
fn padded(text: Vec<u8>, spec: &Spec, verb: char, value: &Value) -> Vec<u8> {
    let len = String::from_utf8_lossy(&text).chars().count();
    let missing = spec.width.unwrap_or(0).saturating_sub(len);
    if missing == 0 {
        return text;
    }
    let is_number = matches!(value, Value::Int(_) | Value::Int64(_) | Value::Float(_)) && verb != 'c';
    if spec.minus {
        return [text, vec![b' '; missing]].concat();
    }
    // Zeros stand for blanks, unless a precision says how many digits an integer has.
    let is_integer = matches!(value, Value::Int(_) | Value::Int64(_));
    if spec.zero && !(is_integer && spec.precision.is_some()) {
        let signed = usize::from(is_number && matches!(text.first(), Some(b'-' | b'+')));
        return [&text[..signed], &vec![b'0'; missing], &text[signed..]].concat();
    }
    [vec![b' '; missing], text].concat()
}
