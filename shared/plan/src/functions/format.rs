//! Numbers as Go prints them.

use model::go_float;

/// Formats like Go's `%g`: shortest, exponent form below 1e-4 and from 1e6 on (`strconv`, where no precision is given).
pub fn general(value: f64) -> String {
    go_float::general(value, 6)
}

/// Formats like Go's `%.Ng` with `digits` significant digits.
pub fn general_digits(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return plain(value);
    }
    let text = format!("{:.*e}", digits.saturating_sub(1), value);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && (exponent < -4 || exponent >= digits as i32) {
        let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
        return scientific(&format!("{mantissa}e{exponent}"));
    }
    let rounded: f64 = text.parse().unwrap_or(value);
    plain(rounded)
}

/// Formats like Go's `'f', -1`: shortest, never an exponent.
pub fn plain(value: f64) -> String {
    go_float::plain(value)
}

fn scientific(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_go_prints_them() {
        for (value, as_general, as_plain) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1"),
            (-2.5, "-2.5", "-2.5"),
            (0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"),
            (123456.0, "123456", "123456"),
            (999999.5, "999999.5", "999999.5"),
            (1e6, "1e+06", "1000000"),
            (1234567.5, "1.2345675e+06", "1234567.5"),
            (1e21, "1e+21", "1000000000000000000000"),
            (-1.5e100, "-1.5e+100", &format!("-15{}", "0".repeat(99))),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "0.00001"),
            (1.5e-7, "1.5e-07", "0.00000015"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            assert_eq!((general(value).as_str(), plain(value).as_str()), (as_general, as_plain), "{value:e}");
        }
    }

    #[test]
    fn digits_bound_the_general_form() {
        for (value, digits, want) in [
            (0.0, 4, "0"),
            (12.3456, 4, "12.35"),
            (12.5, 4, "12.5"),
            (1234.0, 4, "1234"),
            // Halves go to the even digit.
            (99985.0, 4, "9.998e+04"),
            (99995.0, 4, "1e+05"),
            (0.000123456, 4, "0.0001235"),
            (0.0000123456, 4, "1.235e-05"),
            (f64::NAN, 4, "NaN"),
        ] {
            assert_eq!(general_digits(value, digits), want, "{value:e} with {digits} digits");
        }
    }
}
