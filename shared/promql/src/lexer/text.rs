//! String literals: quotes, escapes, raw strings.

use model::Text;
use model::quote::go_code_point;

use super::{Kind, Lexer};

/// Takes a string literal; the opening quote is the next character.
pub fn literal(lexer: &mut Lexer<'_>, quote: char) -> Result<Kind, String> {
    lexer.at += 1;
    let raw = quote == '`';
    let mut bytes = Vec::new();
    loop {
        let Some(c) = lexer.peek() else {
            return Err(if raw { "unterminated raw string" } else { "unterminated quoted string" }.to_owned());
        };
        lexer.at += c.len_utf8();
        match c {
            c if c == quote => break,
            '\u{fffd}' => return Err("invalid UTF-8 rune".to_owned()),
            '\n' if !raw => return Err("unterminated quoted string".to_owned()),
            '\r' if raw => {}
            '\\' if !raw => escape(lexer, quote, &mut bytes)?,
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(Kind::Text(Text::from_bytes(bytes)))
}

fn escape(lexer: &mut Lexer<'_>, quote: char, bytes: &mut Vec<u8>) -> Result<(), String> {
    let unterminated = || "escape sequence not terminated".to_owned();
    let c = lexer.peek().ok_or_else(unterminated)?;
    lexer.at += c.len_utf8();
    let byte = match c {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c if c == quote => c as u8,
        '0'..='7' => {
            lexer.at -= 1;
            return code(lexer, 3, 8, bytes);
        }
        'x' => return code(lexer, 2, 16, bytes),
        'u' => return code(lexer, 4, 16, bytes),
        'U' => return code(lexer, 8, 16, bytes),
        c => return Err(format!("unknown escape sequence {}", go_code_point(c))),
    };
    bytes.push(byte);
    Ok(())
}

/// Takes the digits of `\ooo`, `\xhh` (a byte), `\uhhhh`, `\Uhhhhhhhh` (a character).
fn code(lexer: &mut Lexer<'_>, digits: usize, radix: u32, bytes: &mut Vec<u8>) -> Result<(), String> {
    let mut value = 0u32;
    for _ in 0..digits {
        let c = lexer.peek().ok_or_else(|| "escape sequence not terminated".to_owned())?;
        let digit = c.to_digit(radix).ok_or_else(|| format!("illegal character {} in escape sequence", go_code_point(c)))?;
        lexer.at += 1;
        value = value.wrapping_mul(radix).wrapping_add(digit);
    }
    let invalid = || "escape sequence is an invalid Unicode code point".to_owned();
    if digits <= 3 {
        bytes.push(u8::try_from(value).map_err(|_| invalid())?);
    } else {
        let c = char::from_u32(value).ok_or_else(invalid)?;
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(())
}
