//! Powers, and the hyperbolic functions made of them, to the last digit of Go's `math` on x86-64, whose results Prometheus shows.
//!
//! The methods and coefficients are those of Go's sources: a Taylor series on a sixteenth of the reduced argument (`exp_amd64.s`, with
//! fused operations, as on every processor of the last ten years), repeated squaring (`pow.go`), Hart and Cheney's table 2029 and
//! Cephes (`sinh.go`, `tanh.go`).

use std::f64::consts::LOG2_E;

use super::exponent::{joined, ln, split};

/// Returns e to the power of `x`.
pub fn exp(x: f64) -> f64 {
    /// ln 2 in two parts, the first a float of its own.
    const LN_2_PARTS: [f64; 2] = [0.693147180559663, 2.8235290563031577e-13];
    /// 1/8!, 1/7!, … 1/2!, 1.
    const TAYLOR: [f64; 8] = [
        2.48015873015873e-5,
        1.984126984126984e-4,
        1.388888888888889e-3,
        8.333333333333333e-3,
        4.1666666666666664e-2,
        1.6666666666666666e-1,
        0.5,
        1.0,
    ];
    /// Squarings that undo the division by 16.
    const SQUARINGS: i32 = 4;
    if x.is_nan() || x > 709.782712893384 {
        return x + f64::INFINITY;
    }
    if x < -800.0 {
        return 0.0;
    }
    let exponent = (x * LOG2_E).round_ties_even();
    let rest = (-exponent).mul_add(LN_2_PARTS[1], (-exponent).mul_add(LN_2_PARTS[0], x)) / 16.0;
    let series = TAYLOR.into_iter().reduce(|sum, next| sum.mul_add(rest, next)).unwrap_or(1.0);
    // Of e^r - 1, for (1 + y)^2 - 1 is y (y + 2).
    let beyond_one = (1..SQUARINGS).fold(rest * series, |y, _| y * (y + 2.0));
    scaled_by_power(beyond_one.mul_add(beyond_one + 2.0, 1.0), exponent as i32)
}

/// Multiplies by 2^`exponent`; what is less than half of the least number is zero. In two steps where the result is not normal.
fn scaled_by_power(value: f64, exponent: i32) -> f64 {
    let power = |exponent: i32| f64::from_bits(((exponent + 1023) as u64) << 52);
    match exponent {
        1024.. => f64::INFINITY,
        -1022.. => value * power(exponent),
        -1075.. => value * power(exponent + 1022) * f64::MIN_POSITIVE,
        _ => 0.0,
    }
}

/// Returns `x` to the power of `y`.
pub fn pow(x: f64, y: f64) -> f64 {
    // What is exact or has no number is the same everywhere.
    let special = y == 0.0 || x == 1.0 || x == 0.0 || !x.is_finite() || !y.is_finite();
    let root_of_negative = x < 0.0 && y.fract() != 0.0;
    // Powers that large have no digits left, and are even.
    if special || root_of_negative || y.abs() >= (1u64 << 63) as f64 {
        return x.powf(y);
    }
    if y == 1.0 {
        return x;
    }
    if y.abs() == 0.5 {
        return if y < 0.0 { 1.0 / x.sqrt() } else { x.sqrt() };
    }
    let (size, exponent) = finite_power(x, y.abs());
    if y < 0.0 { joined(1.0 / size, -exponent) } else { joined(size, exponent) }
}

/// Returns a number and a power of two whose product is `x` to the power of a positive `y`.
fn finite_power(x: f64, y: f64) -> (f64, i32) {
    /// Beyond it the result has left the range of floats.
    const EXPONENT_MAX: i32 = 1 << 12;
    let (mut whole, mut fraction) = (y.trunc(), y.fract());
    if fraction > 0.5 {
        (whole, fraction) = (whole + 1.0, fraction - 1.0);
    }
    let (mut result, mut exponent) = (if fraction == 0.0 { 1.0 } else { exp(fraction * ln(x)) }, 0);
    let (square, mut square_exponent) = split(x.abs());
    let mut square = square.copysign(x);
    let mut bits = whole as u64;
    while bits != 0 {
        if square_exponent.abs() > EXPONENT_MAX {
            exponent += square_exponent;
            break;
        }
        if bits & 1 == 1 {
            result *= square;
            exponent += square_exponent;
        }
        square *= square;
        square_exponent *= 2;
        if square < 0.5 {
            square += square;
            square_exponent -= 1;
        }
        bits >>= 1;
    }
    (result, exponent)
}

/// Returns the hyperbolic sine.
pub fn sinh(x: f64) -> f64 {
    let size = x.abs();
    let value = if size > 21.0 {
        exp(size) * 0.5
    } else if size > 0.5 {
        let power = exp(size);
        (power - 1.0 / power) * 0.5
    } else {
        let square = size * size;
        let above = ((-26.30563213397497 * square - 2894.211355989564) * square - 89912.72022039509) * square - 630767.3640497717;
        let below = ((square - 173.6789535582337) * square + 15215.17378790019) * square - 630767.3640497717;
        above * size / below
    };
    value.copysign(x)
}

/// Returns the hyperbolic cosine.
pub fn cosh(x: f64) -> f64 {
    let power = exp(x.abs());
    if x.abs() > 21.0 { power * 0.5 } else { (power + 1.0 / power) * 0.5 }
}

/// Returns the hyperbolic tangent.
pub fn tanh(x: f64) -> f64 {
    /// Half of ln 2^127: from here on it is one.
    const ONE_FROM: f64 = 44.014845965556525;
    let size = x.abs();
    if x.is_nan() || x == 0.0 {
        x
    } else if size > ONE_FROM {
        1f64.copysign(x)
    } else if size >= 0.625 {
        (1.0 - 2.0 / (exp(2.0 * size) + 1.0)).copysign(x)
    } else {
        let square = x * x;
        let above = (-0.9643991794250523 * square - 99.28772310019186) * square - 1614.6876844170845;
        let below = ((square + 112.81167849163293) * square + 2235.4883906010045) * square + 4844.063053251255;
        x + x * square * above / below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values as Go 1.26 prints them on x86-64.
    #[test]
    fn last_digits_are_gos() {
        for (x, power, sine, cosine, tangent) in [
            (0.3, 1.3498588075760032, 0.3045202934471426, 1.0453385141288605, 0.2913126124515909),
            (-0.71, 0.4916441974609651, -0.7711735305928927, 1.2628177280538577, -0.6106768328168442),
            (0.95, 2.585709659315846, 1.0994843179306724, 1.4862253413851736, 0.7397830512740042),
            (-2.5, 0.0820849986238988, -6.0502044810397875, 6.132289479663686, -0.9866142981514303),
            (17.0, 2.41549527535753e+07, 1.2077476376787629e+07, 1.207747637678767e+07, 0.9999999999999966),
            (700.3, 1.3690700720098904e+304, 6.845350360049452e+303, 6.845350360049452e+303, 1.0),
            (0.0007, 1.0007002450571767, 0.0007000000571666681, 1.00000024500001, 0.000699999885666689),
            (-720.5, 1.2326102893e-313, f64::NEG_INFINITY, f64::INFINITY, -1.0),
            (1e9, f64::INFINITY, f64::INFINITY, f64::INFINITY, 1.0),
            (-1e9, 0.0, f64::NEG_INFINITY, f64::INFINITY, -1.0),
        ] {
            assert_eq!((exp(x), sinh(x), cosh(x), tanh(x)), (power, sine, cosine, tangent), "{x}");
        }
    }

    #[test]
    fn powers_are_repeated_squares() {
        for (x, y, wanted) in [
            (1.1, 17.0, 5.054470284992943),
            (3.0, -1.7, 0.1544876855906566),
            (0.01, 4.0, 1e-08),
            (95.97, 2.0, 9210.240899999999),
            (-2.0, 3.0, -8.0),
            (-2.5, -3.0, -0.064),
            (7.0, 0.3, 1.792789962520997),
            (7.0, 0.7, 3.9045287771227217),
            (1e10, 31.0, f64::INFINITY),
            (1e-10, 31.0, 1e-310),
            (0.5, 1e10, 0.0),
            (2.0, 1023.5, 1.2711610061536462e+308),
            (2.0, -1074.0, 5e-324),
            (10.0, -310.0, 1e-310),
            (9.0, 0.5, 3.0),
            (9.0, -0.5, 0.3333333333333333),
            (1e200, 1e19, f64::INFINITY),
            (-1.0, f64::INFINITY, 1.0),
            (f64::NAN, 0.0, 1.0),
            (-0.0, -3.0, f64::NEG_INFINITY),
        ] {
            assert_eq!(pow(x, y), wanted, "{x} ^ {y}");
        }
        assert!(pow(-8.0, 0.5).is_nan() && pow(-8.0, 1.0 / 3.0).is_nan() && pow(f64::NAN, 1.0).is_nan());
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for function in [exp, sinh, cosh, tanh] {
            assert!(function(f64::NAN).is_nan());
        }
        assert!(sinh(-0.0).is_sign_negative() && tanh(-0.0).is_sign_negative());
        assert_eq!((exp(f64::INFINITY), exp(f64::NEG_INFINITY), exp(0.0), cosh(0.0)), (f64::INFINITY, 0.0, 1.0, 1.0));
    }
}
