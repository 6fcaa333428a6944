//! Decimal arithmetic: sums of decimal fractions without binary noise, quotients to 16 places.

/// Places of a quotient.
const QUOTIENT_PLACES: u32 = 16;

/// `digits / 10^places`, or a float where the digits do not fit.
#[derive(Clone, Debug)]
pub(super) enum Decimal {
    Exact { digits: i128, places: u32 },
    Float(f64),
}

use Decimal::{Exact, Float};

impl Decimal {
    /// Returns the shortest decimal that reads as `value`.
    pub(super) fn of(value: f64) -> Result<Decimal, String> {
        if !value.is_finite() {
            return Err(format!("Cannot create a Decimal from {}", crate::pipeline::units::format_float(value)));
        }
        let text = format!("{value}");
        let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let digits = text.replace('.', "").parse();
        Ok(match (digits, u32::try_from(places)) {
            (Ok(digits), Ok(places)) if places <= 30 => Exact { digits, places },
            _ => Float(value),
        })
    }

    /// Returns the nearest float.
    pub(super) fn to_float(&self) -> f64 {
        match self {
            Float(value) => *value,
            Exact { digits, places } => format!("{digits}e-{places}").parse().unwrap_or(f64::NAN),
        }
    }

    fn aligned(&self, other: &Decimal) -> Option<(i128, i128, u32)> {
        let (Exact { digits: a, places: p }, Exact { digits: b, places: q }) = (self, other) else { return None };
        let places = *p.max(q);
        Some((a.checked_mul(10i128.checked_pow(places - p)?)?, b.checked_mul(10i128.checked_pow(places - q)?)?, places))
    }

    /// Adds.
    pub(super) fn plus(&self, other: &Decimal) -> Decimal {
        let exact = self.aligned(other).and_then(|(a, b, places)| Some(Exact { digits: a.checked_add(b)?, places }));
        exact.unwrap_or_else(|| Float(self.to_float() + other.to_float()))
    }

    /// Subtracts.
    pub(super) fn minus(&self, other: &Decimal) -> Decimal {
        let exact = self.aligned(other).and_then(|(a, b, places)| Some(Exact { digits: a.checked_sub(b)?, places }));
        exact.unwrap_or_else(|| Float(self.to_float() - other.to_float()))
    }

    /// Multiplies.
    pub(super) fn times(&self, other: &Decimal) -> Decimal {
        if let (Exact { digits: a, places: p }, Exact { digits: b, places: q }) = (self, other)
            && let (Some(digits), places @ ..=60) = (a.checked_mul(*b), p + q)
        {
            return Exact { digits, places };
        }
        Float(self.to_float() * other.to_float())
    }

    /// Divides, rounding half away from zero.
    pub(super) fn over(&self, other: &Decimal) -> Result<Decimal, String> {
        if other.to_float() == 0.0 {
            return Err("decimal division by 0".to_owned());
        }
        let exact = self.aligned(other).and_then(|(a, b, _)| {
            let scaled = a.checked_mul(10i128.pow(QUOTIENT_PLACES))?;
            let (quotient, rest) = (scaled.checked_div(b)?, scaled.checked_rem(b)?);
            let up = rest.checked_abs()?.checked_mul(2)? >= b.checked_abs()?;
            let sign = if (scaled < 0) == (b < 0) { 1 } else { -1 };
            Some(Exact { digits: quotient + if up { sign } else { 0 }, places: QUOTIENT_PLACES })
        });
        Ok(exact.unwrap_or_else(|| Float(self.to_float() / other.to_float())))
    }
}
