//! Logarithms and powers of two to the last digit of Go's `math`, whose results Prometheus shows: platforms' own differ there, and
//! overflow early where hyperbolic functions are turned around.
//!
//! The approximations and their coefficients are FreeBSD's (`e_log.c`, `e_exp.c`, `s_log1p.c`), as in Go.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LOG2_E, LOG10_E};

/// ln 2 in two parts: the first with zeros at its end, so that its product with an exponent is exact.
const LN_2_HIGH: f64 = 0.6931471803691238;
const LN_2_LOW: f64 = 1.9082149292705877e-10;

/// Returns the fraction in `[0.5, 1)` and the exponent of a positive finite number.
pub(super) fn split(x: f64) -> (f64, i32) {
    const EXPONENT_OF_HALF: i32 = 1022;
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * (1u64 << 52) as f64, 52) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i32 - EXPONENT_OF_HALF - shift;
    (f64::from_bits(bits & (u64::MAX >> 12) | (EXPONENT_OF_HALF as u64) << 52), exponent)
}

/// Returns a number times 2^`exponent`, rounded once.
pub(super) fn joined(value: f64, exponent: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let (fraction, own) = split(value.abs());
    // The fraction is less than one; as a float with an exponent of zero it is at least one.
    let size = match own - 1 + exponent {
        1024.. => f64::INFINITY,
        -1022.. => fraction * 2.0 * f64::from_bits(((own - 1 + exponent + 1023) as u64) << 52),
        -1075.. => fraction * 2.0 * f64::from_bits(((own - 1 + exponent + 1023 + 53) as u64) << 52) / (1u64 << 53) as f64,
        _ => 0.0,
    };
    size.copysign(value)
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
        ln_1p(size + size * size / (1.0 + (1.0 + size * size).sqrt()))
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
        ln_1p(t + (2.0 * t + t * t).sqrt())
    }
}

/// Returns the inverse of the hyperbolic tangent; NaN beyond one.
pub fn atanh(x: f64) -> f64 {
    let size = x.abs();
    if x.is_nan() || size > 1.0 {
        return f64::NAN;
    }
    let inverse = if size == 1.0 {
        f64::INFINITY
    } else if size < 1.0 / LARGE {
        size
    } else if size < 0.5 {
        let twice = size + size;
        0.5 * ln_1p(twice + twice * size / (1.0 - size))
    } else {
        0.5 * ln_1p((size + size) / (1.0 - size))
    };
    inverse.copysign(x)
}

/// Returns the natural logarithm of `1 + x`, exact where `x` is small.
pub fn ln_1p(x: f64) -> f64 {
    const P: [f64; 7] = [
        0.14798198605116586,
        0.15313837699209373,
        0.1818357216161805,
        0.22222198432149784,
        0.2857142874366239,
        0.3999999999940942,
        0.6666666666666735,
    ];
    let size = x.abs();
    if x <= -1.0 || !x.is_finite() {
        return x.ln_1p();
    }
    if size < 1.0 / (1u64 << 29) as f64 {
        return if size < 1.0 / (1u64 << 54) as f64 { x } else { x - x * x * 0.5 };
    }
    let Reduced { f, k, lost, is_near_one } = Reduced::of(x);
    let (high, low) = (k * LN_2_HIGH, k * LN_2_LOW + lost);
    let half_square = 0.5 * f * f;
    if is_near_one {
        let rest = half_square * (1.0 - 0.6666666666666666 * f);
        return if f == 0.0 { high + low } else { high - ((rest - low) - f) };
    }
    let s = f / (2.0 + f);
    let z = s * s;
    let series = z * P.into_iter().reduce(|sum, next| next + z * sum).unwrap_or(0.0);
    match k == 0.0 {
        true => f - (half_square - s * (half_square + series)),
        false => high - ((half_square - (s * (half_square + series) + low)) - f),
    }
}

/// `1 + x` as 2^k (1 + f).
struct Reduced {
    f: f64,
    k: f64,
    /// What rounding `1 + x` has lost, relative to it.
    lost: f64,
    /// Whether `f` is zero but for rounding.
    is_near_one: bool,
}

impl Reduced {
    fn of(x: f64) -> Reduced {
        /// √2/2 - 1 and √2 - 1: between them nothing needs to be reduced.
        const NEAR: [f64; 2] = [-0.2928932188134525, 0.41421356237309503];
        /// The bits of √2's fraction.
        const ROOT: u64 = 0x0006_a09e_667f_3bcd;
        if x > NEAR[0] && x < NEAR[1] {
            return Reduced { f: x, k: 0.0, lost: 0.0, is_near_one: false };
        }
        let is_rounded = x.abs() < (1u64 << 53) as f64;
        let sum = if is_rounded { 1.0 + x } else { x };
        let k = (sum.to_bits() >> 52) as i32 - 1023;
        let lost = if k > 0 { 1.0 - (sum - x) } else { x - (sum - 1.0) };
        let lost = if is_rounded { lost / sum } else { 0.0 };
        let fraction = sum.to_bits() & (u64::MAX >> 12);
        let (k, exponent, distance) =
            if fraction < ROOT { (k, 1023, fraction) } else { (k + 1, 1022, ((1 << 52) - fraction) >> 2) };
        let f = f64::from_bits(fraction | exponent << 52) - 1.0;
        Reduced { f, k: f64::from(k), lost, is_near_one: distance == 0 }
    }
}

/// Returns two to the power of `x`.
pub fn exp2(x: f64) -> f64 {
    const P: [f64; 5] =
        [0.16666666666666666, -0.0027777777777015593, 6.613756321437934e-05, -1.6533902205465252e-06, 4.1381367970572385e-08];
    if x.is_nan() || x >= 1024.0 {
        return x + f64::INFINITY;
    }
    if x < -1074.0 {
        return 0.0;
    }
    let whole = (if x < 0.0 { x - 0.5 } else { x + 0.5 }).trunc();
    let rest = x - whole;
    let (high, low) = (rest * LN_2_HIGH, -rest * LN_2_LOW);
    let r = high - low;
    let t = r * r;
    let c = r - t * (P[0] + t * (P[1] + t * (P[2] + t * (P[3] + t * P[4]))));
    let y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    joined(y, whole as i32)
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
            // Too small to be normal.
            (-1022.7, 1.3696936250904357e-308),
            (-1060.3, 6.575e-320),
            (-1073.4, 1e-323),
            (1023.9999999999999, 1.7976931348621742e+308),
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
    fn inverse_tangents_and_logarithms_near_one() {
        for (x, inverse, logarithm) in [
            (0.3, 0.30951960420311175, 0.26236426446749106),
            (-0.71, -0.8871838632580928, -1.2378743560016172),
            (0.95, 1.8317808230648227, 0.6678293725756554),
            (1e-9, 1e-9, 9.999999995e-10),
        ] {
            assert_eq!((atanh(x), ln_1p(x)), (inverse, logarithm), "{x}");
        }
        for (x, logarithm) in [(12345.678, 9.42114231801815), (1e300, 690.7755278982137), (1.3, 0.832909122935104)] {
            assert_eq!(ln_1p(x), logarithm, "{x}");
        }
        assert!(atanh(1.5).is_nan() && atanh(f64::NAN).is_nan() && ln_1p(-2.0).is_nan() && atanh(-0.0).is_sign_negative());
        assert_eq!((atanh(1.0), atanh(-1.0), ln_1p(-1.0)), (f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY));
        assert_eq!((ln_1p(1.0), ln_1p(f64::INFINITY)), (std::f64::consts::LN_2, f64::INFINITY));
    }

    #[test]
    fn what_is_no_number_stays_none() {
        assert_eq!((ln(0.0), log2(0.0), log10(0.0)), (f64::NEG_INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY));
        assert!(ln(-1.0).is_nan() && log2(-1.0).is_nan() && log2(f64::NAN).is_nan() && exp2(f64::NAN).is_nan());
        assert_eq!((log2(f64::INFINITY), exp2(f64::INFINITY), exp2(f64::NEG_INFINITY)), (f64::INFINITY, f64::INFINITY, 0.0));
        assert_eq!((log2(5e-324), log2(8.0), exp2(-1074.0), exp2(1024.0)), (-1074.0, 3.0, 5e-324, f64::INFINITY));
    }
}
