//! `ip("…")`: an address, a range or a CIDR block, looked for in text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An inclusive range of addresses of one family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct IpRange {
    low: IpAddr,
    high: IpAddr,
}

impl IpRange {
    /// Parses `addr`, `addr-addr` or `addr/bits`; the error is Loki's text.
    pub(super) fn parse(pattern: &str) -> Result<IpRange, String> {
        range(pattern).ok_or_else(|| format!("ip: invalid pattern: {}", model::quote::go_quote(pattern)))
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.low.is_ipv4() && self.low <= address && address <= self.high
    }

    /// Reports whether some address in `text` is in the range. Candidates are maximal runs of address characters that start
    /// where an address could.
    pub(super) fn found_in(&self, text: &[u8]) -> bool {
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let run = if starts_v4(rest) {
                rest.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count()
            } else if starts_v6(rest) {
                rest.iter().take_while(|b| b.is_ascii_hexdigit() || matches!(**b, b':' | b'.')).count()
            } else {
                at += 1;
                continue;
            };
            let address = std::str::from_utf8(&rest[..run]).ok().and_then(|text| text.parse().ok());
            if address.is_some_and(|address| self.contains(address)) {
                return true;
            }
            at += run + 1;
        }
        false
    }
}

fn range(pattern: &str) -> Option<IpRange> {
    if let Some((low, high)) = pattern.split_once('-') {
        let (low, high) = (low.parse::<IpAddr>().ok()?, high.parse::<IpAddr>().ok()?);
        return (low.is_ipv4() == high.is_ipv4() && low <= high).then_some(IpRange { low, high });
    }
    let Some((address, bits)) = pattern.split_once('/') else {
        let address = pattern.parse().ok()?;
        return Some(IpRange { low: address, high: address });
    };
    let bits: u32 = bits.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(address) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            let low = u32::from(address) & mask;
            Some(IpRange { low: Ipv4Addr::from(low).into(), high: Ipv4Addr::from(low | !mask).into() })
        }
        IpAddr::V6(address) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            let low = u128::from(address) & mask;
            Some(IpRange { low: Ipv6Addr::from(low).into(), high: Ipv6Addr::from(low | !mask).into() })
        }
        _ => None,
    }
}

/// Reports whether one to three digits and a dot stand here, with room for the shortest address.
fn starts_v4(text: &[u8]) -> bool {
    text.len() >= 7 && (1..4).any(|dot| text[dot] == b'.' && text[..dot].iter().all(u8::is_ascii_digit))
}

/// Reports whether `::` or up to four hexadecimal digits and a colon stand here.
fn starts_v6(text: &[u8]) -> bool {
    text.starts_with(b"::")
        || (1..5).any(|colon| text.get(colon) == Some(&b':') && text[..colon].iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_text() {
        for (pattern, text, want) in [
            ("10.0.0.1", "x 10.0.0.1 y", true),
            ("10.0.0.1", "10.0.0.1:8080", true),
            ("10.0.0.1", "10.0.0.11", false),
            ("10.0.0.0/8", "a 10.9.8.7", true),
            ("192.168.4.5/16", "192.168.0.0", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("10.0.0.1-10.0.0.5", "10.0.0.6", false),
            ("::1", "addr ::1 ok", true),
            ("2001:db8::/32", "2001:db8::5", true),
            ("2001:db8::/32", "2001:dc8::5", false),
            ("::1", "", false),
        ] {
            assert_eq!(IpRange::parse(pattern).unwrap().found_in(text.as_bytes()), want, "{pattern} in {text}");
        }
        assert_eq!(IpRange::parse("1.2.3.9-1.2.3.4"), Err("ip: invalid pattern: \"1.2.3.9-1.2.3.4\"".into()));
    }
}
