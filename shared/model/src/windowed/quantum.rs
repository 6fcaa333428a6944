//! When adding up is exact: all terms are multiples of one power of two, and no sum outgrows the 53 bits of a double.

/// The largest power of two of which values are multiples, as its exponent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Quantum(i16);

/// Exponent of the smallest double.
const EXPONENT_MIN: i16 = -1074;
/// Beyond every exponent of a double.
const EXPONENT_MAX: i16 = 1024;

impl Quantum {
    /// Zero is a multiple of everything.
    pub const OF_ZERO: Quantum = Quantum(EXPONENT_MAX);
    /// Of values that are infinite or no number nothing is known.
    pub const NONE: Quantum = Quantum(i16::MIN);

    /// Returns the quantum of one value.
    pub fn of(value: f64) -> Quantum {
        let bits = value.to_bits();
        let (exponent, mantissa) = ((bits >> 52 & 0x7ff) as i16, bits & ((1 << 52) - 1));
        match (exponent, mantissa) {
            (0x7ff, _) => Quantum::NONE,
            (0, 0) => Quantum::OF_ZERO,
            (0, _) => Quantum(EXPONENT_MIN + mantissa.trailing_zeros() as i16),
            (_, 0) => Quantum(exponent - 1023),
            _ => Quantum(exponent - 1075 + mantissa.trailing_zeros() as i16),
        }
    }

    /// Returns the quantum of values of both.
    pub fn and(self, other: Quantum) -> Quantum {
        self.min(other)
    }

    /// Reports whether multiples whose absolute values add up to `bound` are added without rounding, in any order.
    pub fn holds(self, bound: f64) -> bool {
        self != Quantum::NONE && bound < 2f64.powi(i32::from(self.0.min(EXPONENT_MAX - 54)) + 53)
    }

    /// Returns a number that is not negative and that [`Quantum::from_code`] reads back: 0 where nothing is known.
    pub fn code(self) -> u64 {
        if self == Quantum::NONE { 0 } else { (self.0 - EXPONENT_MIN) as u64 + 1 }
    }

    /// Reads a [`Quantum::code`]; what is none says nothing.
    pub fn from_code(code: u64) -> Quantum {
        let exponent = code.checked_sub(1).and_then(|above| i16::try_from(above).ok()).map(|above| above + EXPONENT_MIN);
        exponent.filter(|exponent| *exponent <= EXPONENT_MAX).map_or(Quantum::NONE, Quantum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_multiples_of_their_quantum() {
        for (value, exponent) in
            [(1.0, 0), (3.0, 0), (12.0, 2), (0.5, -1), (0.75, -2), (-8.0, 3), (5e-324, -1074), (1e-323, -1073)]
        {
            assert_eq!(Quantum::of(value), Quantum(exponent), "{value}");
        }
        assert_eq!(Quantum::of(-0.0), Quantum::OF_ZERO);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Quantum::of(value), Quantum::NONE);
        }
    }

    #[test]
    fn integers_are_exact_to_two_to_the_53() {
        let integers = Quantum::of(7.0);
        assert!(integers.holds(9_007_199_254_740_991.0) && !integers.holds(9_007_199_254_740_992.0));
        assert!(!Quantum::of(0.1).holds(1.0) && !Quantum::NONE.holds(0.0));
        assert!(Quantum::OF_ZERO.holds(1e300));
        assert!(!integers.holds(f64::NAN));
    }

    #[test]
    fn codes_come_back() {
        for quantum in [Quantum::NONE, Quantum::OF_ZERO, Quantum::of(5e-324), Quantum::of(1.0), Quantum::of(0.3)] {
            assert_eq!(Quantum::from_code(quantum.code()), quantum);
        }
        assert_eq!(Quantum::from_code(u64::MAX), Quantum::NONE);
    }
}
