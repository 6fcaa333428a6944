//! Sines, tangents and their inverses to the last digit of Go's `math`, whose results Prometheus shows: other libraries differ there
//! for a quarter of all arguments.
//!
//! The approximations and their coefficients are those of Cephes (`sin.c`, `tan.c`, `atan.c`), as in Go, and so is the order of
//! operations; arguments from 2^29 on are reduced by a long product with 4/π (Payne and Hanek).

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_4, PI};

/// π/4 in three parts, the first two with zeros at their ends.
const QUARTER_PI: [f64; 3] =
    [f64::from_bits(0x3fe9_21fb_4000_0000), f64::from_bits(0x3e64_442d_0000_0000), f64::from_bits(0x3ce8_4698_98cc_5170)];
/// From here on three parts of π/4 are too few.
const PARTS_MAX: f64 = (1u64 << 29) as f64;

/// Evaluates a polynomial, the highest power's coefficient first.
fn polynomial<const N: usize>(coefficients: [f64; N], x: f64) -> f64 {
    coefficients.into_iter().reduce(|sum, next| sum * x + next).unwrap_or(0.0)
}

/// Returns the nearest even multiple of π/4, as its octant, and what a positive number has above it.
fn octant(x: f64) -> (u64, f64) {
    if x >= PARTS_MAX {
        return far_octant(x);
    }
    let octant = (x * (2.0 * FRAC_2_PI)) as u64;
    let octant = octant + (octant & 1);
    let multiple = octant as f64;
    (octant & 7, ((x - multiple * QUARTER_PI[0]) - multiple * QUARTER_PI[1]) - multiple * QUARTER_PI[2])
}

/// The digits of 4/π to the base 2^64, the first before the point: enough for the largest exponent.
const FOUR_OVER_PI: [u64; 20] = [
    0x0000000000000001,
    0x45f306dc9c882a53,
    0xf84eafa3ea69bb81,
    0xb6c52b3278872083,
    0xfca2c757bd778ac3,
    0x6e48dc74849ba5c0,
    0x0c925dd413a32439,
    0xfc3bd63962534e7d,
    0xd1046bea5d768909,
    0xd338e04d68befc82,
    0x7323ac7306a673e9,
    0x3908bf177bf25076,
    0x3ff12fffbc0b301f,
    0xde5e2316b414da3e,
    0xda6cfd9e4f96136e,
    0x9e8c7ecd3cbfd45a,
    0xea4f758fd7cbe2f6,
    0x7a0e73ef14a525d4,
    0xd7f6bf623f1aba10,
    0xac06608df8f6d757,
];

/// As [`octant`], of a number of at least 2^29: the product of its 53 digits with those of 4/π that matter to it.
fn far_octant(x: f64) -> (u64, f64) {
    const FRACTION_BITS: u32 = 52;
    const BIAS: u64 = 1023;
    let exponent = (x.to_bits() >> FRACTION_BITS) as usize - (BIAS as usize + FRACTION_BITS as usize);
    let fraction = x.to_bits() & (u64::MAX >> 12) | 1 << FRACTION_BITS;
    let (digit, shift) = ((exponent + 61) / 64, (exponent + 61) % 64);
    let window = |at: usize| (u128::from(FOUR_OVER_PI[at]) << 64 | u128::from(FOUR_OVER_PI[at + 1])) << shift;
    let digits = [digit, digit + 1, digit + 2].map(|at| (window(at) >> 64) as u64);
    let wide = |digit: u64| u128::from(digit) * u128::from(fraction);
    let head = u128::from(digits[0].wrapping_mul(fraction)) << 64;
    let product = head.wrapping_add(wide(digits[1])).wrapping_add(wide(digits[2]) >> 64);
    let (high, low) = ((product >> 64) as u64, product as u64);
    let octant = high >> 61;
    let rest = high << 3 | low >> 61;
    let zeros = rest.leading_zeros().min(63);
    // The low half is taken as it was before the octant's bits were cut off, as in Go: it shows where the rest begins with many zeros.
    let rest = rest << zeros << 1 | low >> (63 - zeros);
    let above = f64::from_bits(rest >> (64 - FRACTION_BITS) | (BIAS - u64::from(zeros) - 1) << FRACTION_BITS);
    match octant & 1 {
        1 => ((octant + 1) & 7, (above - 1.0) * FRAC_PI_4),
        _ => (octant, above * FRAC_PI_4),
    }
}

fn sine_near_zero(z: f64) -> f64 {
    const C: [f64; 6] = [
        1.5896230157654656e-10,
        -2.5050747762857807e-8,
        2.7557313621385722e-6,
        -1.984126982958954e-4,
        8.333333333322118e-3,
        -1.666666666666663e-1,
    ];
    let square = z * z;
    z + z * square * polynomial(C, square)
}

fn cosine_near_zero(z: f64) -> f64 {
    const C: [f64; 6] = [
        -1.1358536521387682e-11,
        2.087570084197473e-9,
        -2.755731417929674e-7,
        2.4801587288851704e-5,
        -1.3888888888873056e-3,
        4.1666666666666595e-2,
    ];
    let square = z * z;
    1.0 - 0.5 * square + square * square * polynomial(C, square)
}

fn negated(negative: bool, value: f64) -> f64 {
    if negative { -value } else { value }
}

/// Returns the sine of radians.
pub fn sin(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x.sin();
    }
    let (octant, z) = octant(x.abs());
    let value = if octant & 3 == 2 { cosine_near_zero(z) } else { sine_near_zero(z) };
    negated((x < 0.0) != (octant > 3), value)
}

/// Returns the cosine of radians.
pub fn cos(x: f64) -> f64 {
    if !x.is_finite() {
        return f64::NAN;
    }
    let (octant, z) = octant(x.abs());
    let value = if octant & 3 == 2 { sine_near_zero(z) } else { cosine_near_zero(z) };
    negated(matches!(octant, 2 | 4), value)
}

/// Returns the tangent of radians.
pub fn tan(x: f64) -> f64 {
    const P: [f64; 3] = [-1.3093693918138379e4, 1.1535166483858742e6, -1.7956525197648488e7];
    const Q: [f64; 5] = [1.0, 1.3681296347069296e4, -1.3208923444021097e6, 2.500838018233579e7, -5.3869575592945464e7];
    if x == 0.0 || !x.is_finite() {
        return x.tan();
    }
    let (octant, z) = octant(x.abs());
    let square = z * z;
    let value = if square > 1e-14 { z + z * (square * polynomial(P, square) / polynomial(Q, square)) } else { z };
    negated(x < 0.0, if octant & 2 == 2 { -1.0 / value } else { value })
}

/// The arctangent of a number from 0 to 0.66.
fn atan_small(x: f64) -> f64 {
    const P: [f64; 5] =
        [-8.750608600031904e-1, -1.6157537187333652e1, -7.500855792314705e1, -1.2288666844901361e2, -6.485021904942025e1];
    const Q: [f64; 6] =
        [1.0, 2.4858464901423062e1, 1.6502700983169885e2, 4.3288106049129027e2, 4.853903996359137e2, 1.945506571482614e2];
    let square = x * x;
    x * (square * polynomial(P, square) / polynomial(Q, square)) + x
}

/// The arctangent of a number that is not negative.
fn atan_positive(x: f64) -> f64 {
    /// What π/2 has beyond its float.
    const MORE: f64 = 6.123233995736766e-17;
    const TAN_THREE_EIGHTHS_PI: f64 = 2.414213562373095;
    if x <= 0.66 {
        atan_small(x)
    } else if x > TAN_THREE_EIGHTHS_PI {
        FRAC_PI_2 - atan_small(1.0 / x) + MORE
    } else {
        FRAC_PI_4 + atan_small((x - 1.0) / (x + 1.0)) + 0.5 * MORE
    }
}

/// Returns the arctangent, in radians.
pub fn atan(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() {
        return x;
    }
    atan_positive(x.abs()).copysign(x)
}

/// Returns the angle of the point (x, y), in radians.
pub fn atan2(y: f64, x: f64) -> f64 {
    // On an axis, at infinity and without a number there is nothing to approximate.
    if x == 0.0 || y == 0.0 || !x.is_finite() || !y.is_finite() {
        return y.atan2(x);
    }
    match atan(y / x) {
        angle if x > 0.0 => angle,
        angle if angle <= 0.0 => angle + PI,
        angle => angle - PI,
    }
}

/// Returns the arcsine, in radians; NaN beyond one.
pub fn asin(x: f64) -> f64 {
    if x == 0.0 {
        return x;
    }
    let size = x.abs();
    if x.is_nan() || size > 1.0 {
        return f64::NAN;
    }
    let other = (1.0 - size * size).sqrt();
    let angle = if size > 0.7 { FRAC_PI_2 - atan_positive(other / size) } else { atan_positive(size / other) };
    angle.copysign(x)
}

/// Returns the arccosine, in radians; NaN beyond one.
pub fn acos(x: f64) -> f64 {
    FRAC_PI_2 - asin(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values as Go 1.26 prints them: near zero, in every octant, past 2^29, and at the far end.
    #[test]
    #[allow(clippy::approx_constant, reason = "the last digit is what this is about")]
    fn last_digits_are_gos() {
        for (x, sine, cosine, tangent, arc) in [
            (0.3, 0.29552020666133955, 0.955336489125606, 0.30933624960962325, 0.2914567944778671),
            (-0.71, -0.6518337710215366, 0.7583618759905082, -0.8595286652169407, -0.6174058917515726),
            (1.3, 0.963558185417193, 0.26749882862458735, 3.6021024479679786, 0.9151007005533605),
            (-2.5, -0.5984721441039564, -0.8011436155469337, 0.7470222972386603, -1.1902899496825317),
            (3.0, 0.1411200080598672, -0.9899924966004454, -0.1425465430742778, 1.2490457723982544),
            (17.0, -0.9613974918795569, -0.27516333805159693, 3.49391564547484, 1.5120405040791738),
            (-1000.1, -0.8788928116493215, 0.4770193136877689, -1.842467980708633, -1.5697964271181306),
            (12345.678, -0.7040813137533816, 0.7101193587160627, -0.9914971407432149, 1.5707153267884317),
            (6e8, -0.7896263548320929, 0.6135879886003162, -1.2868999548595237, 1.57079632512823),
            (-1e15, -0.8582727931702359, -0.5131937377869702, 1.6724147821275832, -1.5707963267948954),
            (1e300, -0.8178819121159087, -0.5753861119575491, 1.4214488238747243, 1.5707963267948966),
        ] {
            assert_eq!((sin(x), cos(x), tan(x), atan(x)), (sine, cosine, tangent, arc), "{x}");
        }
        for (x, sine, cosine) in [
            (0.3, 0.3046926540153975, 1.266103672779499),
            (-0.71, -0.7894982093461719, 2.3602945361410685),
            (0.95, 1.253235897503375, 0.3175604292915215),
            (0.0007, 0.0007000000571666793, 1.57009632673773),
        ] {
            assert_eq!((asin(x), acos(x)), (sine, cosine), "{x}");
        }
        for (y, x, angle) in [
            (1.0, 2.0, 0.4636476090008061),
            (-1.0, 2.0, -0.4636476090008061),
            (1.0, -2.0, 2.677945044588987),
            (-0.3, -7.0, -3.0987617209210656),
            (5.0, 0.1, 1.550798992821746),
        ] {
            assert_eq!(atan2(y, x), angle, "{y}, {x}");
        }
    }

    #[test]
    fn zeros_keep_their_sign_and_infinities_have_no_angle() {
        for function in [sin, tan, atan, asin] {
            assert!(function(-0.0).is_sign_negative() && function(-0.0) == 0.0 && function(f64::NAN).is_nan());
        }
        assert!(sin(f64::INFINITY).is_nan() && cos(f64::NEG_INFINITY).is_nan() && tan(f64::INFINITY).is_nan());
        assert!(asin(1.5).is_nan() && acos(-1.5).is_nan() && cos(f64::NAN).is_nan() && atan2(f64::NAN, 1.0).is_nan());
        assert_eq!((cos(0.0), asin(1.0), asin(-1.0), acos(1.0)), (1.0, FRAC_PI_2, -FRAC_PI_2, 0.0));
        assert_eq!((atan(f64::INFINITY), atan2(0.0, -1.0), atan2(-1.0, 0.0)), (FRAC_PI_2, PI, -FRAC_PI_2));
        assert_eq!(atan2(f64::INFINITY, f64::NEG_INFINITY), 3.0 * FRAC_PI_4);
    }
}
