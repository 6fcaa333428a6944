//! Parameters of an HTTP request: the URL's query and a form body, merged as Go's `ParseForm` does.
//!
//! Owns: percent decoding and its bounds. Does not own: what a parameter means ([`crate::prom_api`], [`crate::loki_api`]).

/// Parameters one request may carry; no client sends more than a handful of `match[]`.
pub const PARAMETERS_MAX: usize = 10_000;

/// Decoded parameters in order, those of the body first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    pairs: Vec<(String, String)>,
    fault: Option<FormError>,
}

/// Why a query string or a form body was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// `%` without two hexadecimal digits (Go's text).
    #[error("invalid URL escape {0:?}")]
    Escape(String),
    /// A semicolon where a parameter was to end (Go's text).
    #[error("invalid semicolon separator in query")]
    Semicolon,
    /// A name or value is not UTF-8.
    #[error("parameter {0:?} is not valid UTF-8")]
    NotUtf8(String),
    /// Too many parameters.
    #[error("request has more than {PARAMETERS_MAX} parameters")]
    TooMany,
}

impl Form {
    /// Decodes the URL's query (without `?`) and an `application/x-www-form-urlencoded` body, either of which may be empty.
    pub fn parse(url_query: &str, body: &[u8]) -> Result<Form, FormError> {
        let form = Form::parse_what_is_valid(url_query, body)?;
        form.fault.clone().map_or(Ok(form), Err)
    }

    /// Decodes as [`Form::parse`] does; what cannot be decoded is left out, as Go's `FormValue` leaves it out, and told by
    /// [`Form::fault`]. Bytes that are no text are replaced. Too many parameters are an error here too: the ones left out would be
    /// missed in silence.
    pub fn parse_what_is_valid(url_query: &str, body: &[u8]) -> Result<Form, FormError> {
        let mut form = Form::default();
        for source in [body, url_query.as_bytes()] {
            for pair in source.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
                if form.pairs.len() == PARAMETERS_MAX {
                    return Err(FormError::TooMany);
                }
                if let Err(fault) = form.push(pair) {
                    form.fault = form.fault.take().or(Some(fault));
                }
            }
        }
        Ok(form)
    }

    fn push(&mut self, pair: &[u8]) -> Result<(), FormError> {
        if pair.contains(&b';') {
            return Err(FormError::Semicolon);
        }
        let cut = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = (decode(&pair[..cut])?, decode(pair.get(cut + 1..).unwrap_or_default())?);
        let shown = String::from_utf8_lossy(&name).into_owned();
        let not_text = [(&name, ""), (&value, shown.as_str())].into_iter().find(|(bytes, _)| std::str::from_utf8(bytes).is_err());
        let fault = not_text.map(|(_, of)| FormError::NotUtf8(of.to_owned()));
        let value = String::from_utf8_lossy(&value).into_owned();
        self.pairs.push((shown, value));
        fault.map_or(Ok(()), Err)
    }

    /// Adds parameters that were decoded elsewhere, behind all others, as Go's `ParseMultipartForm` does.
    pub fn append(&mut self, pairs: Vec<(String, String)>) -> Result<(), FormError> {
        if self.pairs.len() + pairs.len() > PARAMETERS_MAX {
            return Err(FormError::TooMany);
        }
        self.pairs.extend(pairs);
        Ok(())
    }

    /// Returns what was wrong first.
    pub fn fault(&self) -> Option<&FormError> {
        self.fault.as_ref()
    }

    /// Returns the first value of a parameter, empty where it is absent (Go's `FormValue`).
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Returns the parameters other than `name`.
    pub fn without(&self, name: &str) -> Form {
        Form { pairs: self.pairs.iter().filter(|(n, _)| n != name).cloned().collect(), fault: self.fault.clone() }
    }

    /// Returns every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Decodes a path segment: `%` escapes only, `+` stands for itself.
pub fn decode_path(segment: &str) -> Result<String, FormError> {
    String::from_utf8(decode_path_bytes(segment)?).map_err(|_| FormError::NotUtf8("path".to_owned()))
}

/// Decodes a path segment as [`decode_path`] does, into bytes that need be no text.
pub fn decode_path_bytes(segment: &str) -> Result<Vec<u8>, FormError> {
    decode(segment.replace('+', "%2B").as_bytes())
}

fn decode(text: &[u8]) -> Result<Vec<u8>, FormError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                let escape = || FormError::Escape(format!("%{}", String::from_utf8_lossy(&tail[..tail.len().min(2)])));
                let (digits, after) = tail.split_at_checked(2).ok_or_else(escape)?;
                let value = hex(digits[0]).zip(hex(digits[1])).map(|(high, low)| high << 4 | low);
                out.push(value.ok_or_else(escape)?);
                rest = after;
            }
            byte => out.push(*byte),
        }
    }
    Ok(out)
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_comes_first_and_names_repeat() {
        let form = Form::parse("query=up&match%5B%5D=a", b"query=1%2B1+x&match[]=b").expect("valid");
        assert_eq!(form.get("query"), "1+1 x");
        assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(form.get("nope"), "");
    }

    #[test]
    fn hostile_text_is_refused() {
        assert_eq!(Form::parse("a=%zz", b""), Err(FormError::Escape("%zz".into())));
        assert_eq!(Form::parse("a=%f", b""), Err(FormError::Escape("%f".into())));
        assert_eq!(Form::parse("query=%ff%fe", b""), Err(FormError::NotUtf8("query".into())));
        assert_eq!(Form::parse(&"a&".repeat(PARAMETERS_MAX + 1), b""), Err(FormError::TooMany));
        assert_eq!(Form::parse("a=1;b=2", b""), Err(FormError::Semicolon));
        assert_eq!(decode_path("a+b%2Fc"), Ok("a+b/c".into()));
        assert_eq!((decode_path_bytes("%ff"), decode_path("%ff")), (Ok(vec![0xff]), Err(FormError::NotUtf8("path".into()))));
    }

    /// As Go's `FormValue`: what is wrong is left out, the rest is there.
    #[test]
    fn what_is_valid_is_there() {
        let decoded = Form::parse_what_is_valid("a=%zz&query=up&%f=x&c=1;d=2&e=x%ffy", b"time=1&z=%");
        let form = decoded.expect("not too many");
        assert_eq!((form.get("query"), form.get("time"), form.get("a"), form.get("c")), ("up", "1", "", ""));
        assert_eq!(form.get("e"), "x\u{fffd}y");
        assert_eq!(form.fault(), Some(&FormError::Escape("%".into())), "the body's comes first");
        let mut more = form.clone();
        assert_eq!(more.append(vec![("a".into(), "1".into()), ("time".into(), "2".into())]), Ok(()));
        assert_eq!((more.get("a"), more.get("time")), ("1", "1"));
        assert_eq!(more.append(vec![Default::default(); PARAMETERS_MAX]), Err(FormError::TooMany));
        let many = "a&".repeat(PARAMETERS_MAX + 1);
        assert_eq!(Form::parse_what_is_valid(&many, b""), Err(FormError::TooMany), "nothing is cut off in silence");
    }
}
