//! Reading and writing numbers.

use anyhow::{Result, bail};
use echo::preview::Preview;

/// Reads a decimal number. It is an error when `token` is none, or is beyond ±1.8 × 10³⁰⁸.
pub fn parse_number(token: &str) -> Result<f64> {
    let preview = Preview(token);
    match token.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        // What `f64` reads as infinite is out of range, or a word such as `inf`.
        Ok(_) if token.contains(|character: char| character.is_ascii_digit()) => {
            bail!("outside the range of a 64-bit float: {preview}")
        }
        _ => bail!("expected a number, such as -2.5 or 1e-7, not {preview}"),
    }
}

/// Writes a finite number as the shortest decimal that reads back as the same `f64`, with
/// an exponent below 10^-4 and from 10^16 on. Zero has no sign.
pub fn format_number(number: f64) -> String {
    let decimal = format!("{:?}", number + 0.0); // -0 + 0 is 0.
    decimal.strip_suffix(".0").unwrap_or(&decimal).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read() {
        for (token, number) in
            [("-3", -3.0), ("2.5", 2.5), ("+.5E1", 5.0), ("7.", 7.0), ("1e-400", 0.0)]
        {
            assert_eq!(parse_number(token).unwrap().to_bits(), f64::to_bits(number), "{token}");
        }
    }

    #[test]
    fn what_is_not_a_finite_decimal_is_refused() {
        let refusal = |token: &str| parse_number(token).unwrap_err().to_string();
        for token in
            ["nan", "-NaN", "inf", "-Infinity", "1,5", "0x10", "==", "1_000", "", "-", "1e"]
        {
            let expected = "expected a number, such as -2.5 or 1e-7, not";
            assert_eq!(refusal(token), format!("{expected} {token:?}"));
        }
        for token in ["1e400", "-1e309"] {
            assert_eq!(refusal(token), format!("outside the range of a 64-bit float: {token:?}"));
        }
    }

    #[test]
    fn a_number_is_written_short_and_reads_back_the_same() {
        for (number, decimal) in [
            (6.0, "6"),
            (-0.1, "-0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000"),
            (1e16, "1e16"),
            (0.0001, "0.0001"),
            (0.000_09, "9e-5"),
            (f64::MAX, "1.7976931348623157e308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(format_number(number), decimal);
            assert_eq!(parse_number(decimal).unwrap().to_bits(), number.to_bits());
        }
        assert_eq!([0.0, -0.0].map(format_number), ["0", "0"]);
    }
}
