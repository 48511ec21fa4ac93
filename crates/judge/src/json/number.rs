//! Whole numbers as producers write them: 200, 200.0, 2e2. Programs that hold all numbers as
//! floating point write ids this way. It reads digits and never rounds.

use std::borrow::Cow;

/// Returns the digits of a whole number of at most 64 bits, from a JSON number or from text that
/// may be one.
///
/// # Errors
/// Describes what the text is instead.
pub(crate) fn whole(number: &str) -> Result<Cow<'_, str>, &'static str> {
    // Most numbers are a few digits and nothing else. JSON has no leading zeros.
    if number.len() <= 19 && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Cow::Borrowed(number));
    }
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let digits = Digits::of(number)?;
    match digits.value()? {
        0 => Ok(Cow::Borrowed("0")),
        _ if is_negative => Err("a negative number"),
        value => Ok(Cow::Owned(value.to_string())),
    }
}

/// The digits of a number without leading and trailing zeros, and the power of ten that multiplies
/// them.
struct Digits {
    digits: String,
    exponent: i64,
}

const TOO_LARGE: &str = "too large a number";

impl Digits {
    fn of(number: &str) -> Result<Self, &'static str> {
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("no number");
        }
        let digits = all.trim_end_matches('0');
        let zeros = i64::try_from(all.len() - digits.len()).map_err(|_| TOO_LARGE)?;
        let behind_point = i64::try_from(fraction.len()).map_err(|_| TOO_LARGE)?;
        let exponent: i64 = match exponent.parse() {
            Ok(exponent) => exponent,
            Err(_) if exponent.starts_with('-') => i64::MIN,
            Err(_) => i64::MAX,
        };
        Ok(Digits {
            digits: digits.trim_start_matches('0').to_owned(),
            exponent: exponent.saturating_add(zeros).saturating_sub(behind_point),
        })
    }

    fn value(&self) -> Result<u64, &'static str> {
        /// Digits of the largest 64-bit number.
        const DIGITS_MAX: usize = 20;
        if self.digits.is_empty() {
            return Ok(0);
        }
        let zeros = usize::try_from(self.exponent).map_err(|_| "a fraction")?;
        if self.digits.len().saturating_add(zeros) > DIGITS_MAX {
            return Err(TOO_LARGE);
        }
        let written = format!("{}{}", self.digits, "0".repeat(zeros));
        written.parse().map_err(|_| TOO_LARGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_in_every_form() {
        for (written, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.0", "0"),
            ("0e999999999999999999999", "0"),
            ("1.0", "1"),
            ("200.0", "200"),
            ("1.234567e6", "1234567"),
            ("1234567E0", "1234567"),
            ("1E+2", "100"),
            ("1000e-3", "1"),
            ("10.50e1", "105"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551615.000", "18446744073709551615"),
            ("1.8446744073709551615e19", "18446744073709551615"),
        ] {
            assert_eq!(whole(written).as_deref(), Ok(expected), "{written}");
        }
    }

    #[test]
    fn other_numbers_are_named() {
        for (written, what) in [
            ("-1", "a negative number"),
            ("-1e2", "a negative number"),
            ("1.5", "a fraction"),
            ("1e-1", "a fraction"),
            ("1e-99999999999999999999", "a fraction"),
            ("18446744073709551616", TOO_LARGE),
            ("1e400", TOO_LARGE),
            ("1e99999999999999999999", TOO_LARGE),
            ("+1", "no number"),
            ("one", "no number"),
            ("1.0.0", "no number"),
        ] {
            assert_eq!(whole(written), Err(what), "{written}");
        }
    }
}
