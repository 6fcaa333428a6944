//! Text as a query writes it: bytes, as Go's strings are. `"\xff"` is such a text, and no label has it as its name.

use std::borrow::Cow;
use std::fmt;

use crate::quote::go_quote_bytes;

/// Bytes that are UTF-8 nearly always.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// Takes bytes as they are.
    pub fn from_bytes(bytes: Vec<u8>) -> Text {
        Text(bytes)
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text, `None` where it is not UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Returns the text as Go writes it into JSON: each byte that is part of no character becomes U+FFFD.
    pub fn to_lossy(&self) -> Cow<'_, str> {
        match self.as_str() {
            Some(text) => Cow::Borrowed(text),
            None => {
                let chunks = self.0.utf8_chunks();
                Cow::Owned(chunks.map(|chunk| chunk.valid().to_owned() + &"\u{fffd}".repeat(chunk.invalid().len())).collect())
            }
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&go_quote_bytes(&self.0))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.as_bytes().to_vec())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_outside_of_characters_are_told_apart_and_written_one_by_one() {
        let text = Text::from_bytes(b"a\xc5z\xe2\x82".to_vec());
        assert_eq!(text.as_str(), None);
        assert_eq!(text.to_lossy(), "a\u{fffd}z\u{fffd}\u{fffd}");
        assert_eq!(format!("{text:?}"), r#""a\xc5z\xe2\x82""#);
        assert_eq!(format!("{:?}", Text::from("\u{fffd}é\n")), "\"\u{fffd}é\\n\"");
        assert_eq!(Text::from("é").as_str(), Some("é"));
    }
}
