//! Whole numbers as all formats write them: decimal, below 2^63, without a sign or leading zeros.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// A whole number from 0 to 2^63 - 1. Kafka's offsets are signed numbers of 64 bits, so every
/// language can hold it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(u64);

impl Number {
    /// The smallest number, 0.
    pub const ZERO: Self = Self(0);
    /// The largest number, 2^63 - 1.
    pub const MAX: Self = Self(u64::MAX >> 1);
    /// The most digits that a number has.
    pub const DIGITS_MAX: usize = 19;

    /// Returns the number, or `None` from 2^63 on.
    pub const fn new(value: u64) -> Option<Self> {
        if value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }

    /// Returns the value.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the number after this one, or `None` after the largest.
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// Reads a number in its only form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_canonical = match text.as_bytes() {
            [b'0'] => true,
            [b'1'..=b'9', rest @ ..] => {
                rest.len() < Self::DIGITS_MAX && rest.iter().all(u8::is_ascii_digit)
            }
            _ => false,
        };
        if !is_canonical {
            return None;
        }
        text.parse().ok().and_then(Self::new)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self(value.into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Number {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let expected = "a whole number below 2^63 without leading zeros";
        Self::parse(text).ok_or_else(|| Invalid::new("number", text, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_form() {
        for good in ["0", "7", "10", "9223372036854775807"] {
            assert_eq!(good.parse::<Number>().expect(good).to_string(), good);
        }
        let bad = ["", "-1", "+1", "00", "01", " 1", "1 ", "1_0", "1.0", "0x1", "a", "١"];
        for bad in bad.into_iter().chain(["9223372036854775808", "10000000000000000000"]) {
            assert!(bad.parse::<Number>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ends_below_2_to_the_63() {
        assert_eq!(Number::new(1 << 63), None);
        assert_eq!(Number::new((1 << 63) - 1), Some(Number::MAX));
        assert_eq!(Number::MAX.next(), None);
        assert_eq!(Number::ZERO.next(), Some(Number::from(1)));
        assert_eq!(Number::MAX.to_string().len(), Number::DIGITS_MAX);
    }
}
