//! Logarithms and powers of two to the last digit of Go's `math`, whose results Prometheus shows: platforms' own differ there, and
//! overflow early where hyperbolic functions are turned around.
//!
//! The approximations and their coefficients are FreeBSD's (`e_log.c`, `e_exp.c`), as in Go.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LOG2_E, LOG10_E};

/// ln 2 in two parts: the first with zeros at its end, so that its product with an exponent is exact.
const LN_2_HIGH: f64 = 0.6931471803691238;
const LN_2_LOW: f64 = 1.9082149292705877e-10;

/// Returns the fraction in `[0.5, 1)` and the exponent of a positive finite number.
fn split(x: f64) -> (f64, i32) {
    const EXPONENT_OF_HALF: i32 = 1022;
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * (1u64 << 52) as f64, 52) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i32 - EXPONENT_OF_HALF - shift;
    (f64::from_bits(bits & (u64::MAX >> 12) | (EXPONENT_OF_HALF as u64) << 52), exponent)
}

/// Returns the natural logarithm.
pub fn ln(x: f64) -> f64 {
    const ODD: [f64; 4] = [0.6666666666666735, 0.2857142874366239, 0.1818357216161805, 0.14798198605108187];
    const EVEN: [f64; 3] = [0.3999999999940942, 0.22222198432149784, 0.15313837699209373];
    if x <= 0.0 || !x.is_finite() {
        return x.ln();
    }
    let (mut fraction, mut exponent) = split(x);
    if fraction < FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let (f, k) = (fraction - 1.0, f64::from(exponent));
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd = s2 * (ODD[0] + s4 * (ODD[1] + s4 * (ODD[2] + s4 * ODD[3])));
    let even = s4 * (EVEN[0] + s4 * (EVEN[1] + s4 * EVEN[2]));
    let half_square = 0.5 * f * f;
    k * LN_2_HIGH - ((half_square - (s * (half_square + (odd + even)) + k * LN_2_LOW)) - f)
}

/// Returns the binary logarithm, exact for powers of two.
pub fn log2(x: f64) -> f64 {
    if x <= 0.0 || !x.is_finite() {
        return x.log2();
    }
    match split(x) {
        (0.5, exponent) => f64::from(exponent - 1),
        (fraction, exponent) => ln(fraction) * LOG2_E + f64::from(exponent),
    }
}

/// Returns the decimal logarithm.
pub fn log10(x: f64) -> f64 {
    ln(x) * LOG10_E
}

/// From here on one more or less makes no difference to a square.
const LARGE: f64 = (1u64 << 28) as f64;

/// Returns the inverse of the hyperbolic sine.
pub fn asinh(x: f64) -> f64 {
    let size = x.abs();
    let inverse = if size > LARGE {
        ln(size) + LN_2
    } else if size > 2.0 {
        ln(2.0 * size + 1.0 / ((size * size + 1.0).sqrt() + size))
    } else if size < 1.0 / LARGE {
        size
    } else {
        (size + size * size / (1.0 + (1.0 + size * size).sqrt())).ln_1p()
    };
    inverse.copysign(x)
}

/// Returns the inverse of the hyperbolic cosine; NaN below one.
pub fn acosh(x: f64) -> f64 {
    if x.is_nan() || x < 1.0 {
        f64::NAN
    } else if x >= LARGE {
        ln(x) + LN_2
    } else if x > 2.0 {
        ln(2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt()))
    } else {
        let t = x - 1.0;
        (t + (2.0 * t + t * t).sqrt()).ln_1p()
    }
}

/// Returns two to the power of `x`.
pub fn exp2(x: f64) -> f64 {
    const P: [f64; 5] =
        [0.16666666666666666, -0.0027777777777015593, 6.613756321437934e-05, -1.6533902205465252e-06, 4.1381367970572385e-08];
    // Results without a fraction of their own, and those too small to be normal, are the same everywhere.
    if !(-1021.0..=1023.0).contains(&x) {
        return x.exp2();
    }
    let whole = (if x < 0.0 { x - 0.5 } else { x + 0.5 }).trunc();
    let rest = x - whole;
    let (high, low) = (rest * LN_2_HIGH, -rest * LN_2_LOW);
    let r = high - low;
    let t = r * r;
    let c = r - t * (P[0] + t * (P[1] + t * (P[2] + t * (P[3] + t * P[4]))));
    let y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    y * f64::from_bits(((whole as i64 + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values as Go 1.26 prints them.
    #[test]
    #[allow(clippy::approx_constant, reason = "the last digit is what this is about")]
    fn last_digits_are_gos() {
        for (x, natural, binary, decimal) in [
            (0.1, -2.3025850929940455, -3.321928094887362, -0.9999999999999999),
            (0.3, -1.2039728043259361, -1.736965594166206, -0.5228787452803376),
            (1.5, 0.4054651081081644, 0.5849625007211563, 0.17609125905568124),
            (7.0, 1.9459101490553132, 2.807354922057604, 0.8450980400142568),
            (1e-300, -690.7755278982137, -996.5784284662087, -300.0),
            (123456.789, 11.723646487185881, 16.913646648198387, 5.091514977169271),
        ] {
            assert_eq!((ln(x), log2(x), log10(x)), (natural, binary, decimal), "{x}");
        }
        for (x, wanted) in [
            (0.5, 1.414213562373095),
            (-0.25, 0.8408964152537146),
            (1.7, 3.249009585424942),
            (-13.37, 9.445587118789006e-05),
            (100.01, 1.276467807432551e+30),
        ] {
            assert_eq!(exp2(x), wanted, "{x}");
        }
    }

    #[test]
    fn inverse_hyperbolic_functions_reach_the_largest_numbers() {
        for (x, sinh, cosh) in [
            (1.0, 0.881373587019543, 0.0),
            (1.5, 1.1947632172871094, 0.9624236501192069),
            (100.0, 5.298342365610589, 5.298292365610484),
            (f64::MAX, 710.4758600739439, 710.4758600739439),
        ] {
            assert!((asinh(x) - sinh).abs() <= 1e-15 * sinh && (acosh(x) - cosh).abs() <= 1e-15 * cosh, "{x}");
            assert_eq!(asinh(-x), -asinh(x));
        }
        assert_eq!((asinh(1e-300), acosh(f64::INFINITY), asinh(f64::NEG_INFINITY)), (1e-300, f64::INFINITY, f64::NEG_INFINITY));
        assert!(acosh(0.5).is_nan() && asinh(f64::NAN).is_nan());
    }

    #[test]
    fn what_is_no_number_stays_none() {
        assert_eq!((ln(0.0), log2(0.0), log10(0.0)), (f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY));
        assert!(ln(-1.0).is_nan() && log2(-1.0).is_nan() && log2(f64::NAN).is_nan() && exp2(f64::NAN).is_nan());
        assert_eq!((log2(f64::INFINITY), exp2(f64::INFINITY), exp2(f64::NEG_INFINITY)), (f64::INFINITY, f64::INFINITY, 0.0));
        assert_eq!((log2(5e-324), log2(8.0), exp2(-1074.0), exp2(1024.0)), (-1074.0, 3.0, 5e-324, f64::INFINITY));
    }
}
