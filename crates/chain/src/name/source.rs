//! The place of an event in the input.

use std::fmt;
use std::str::FromStr;

use crate::{Invalid, Number};

/// The message of the input that an event was made of, and which of its events it is:
/// `<offset>.<index>`, e.g. `9182.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The message's offset in the partition of the set.
    pub offset: Number,
    /// The place of the event among those of the message, from 0.
    pub index: Number,
}

impl Source {
    /// The most characters of a source.
    pub const CHARACTERS_MAX: usize = 2 * Number::DIGITS_MAX + 1;
}

impl FromStr for Source {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts = text.split_once('.').and_then(|(offset, index)| {
            Some(Self { offset: Number::parse(offset)?, index: Number::parse(index)? })
        });
        let expected = "<offset>.<index>, such as 9182.0, without leading zeros";
        parts.ok_or_else(|| Invalid::new("source", text, expected))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.offset, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_form() {
        for good in ["0.0", "9182.0", "9223372036854775807.9223372036854775807"] {
            assert_eq!(good.parse::<Source>().expect(good).to_string(), good);
        }
        for bad in ["", "1", "1.", ".1", "1.0.0", "01.0", "1.00", "-1.0", "9223372036854775808.0"] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
        let longest = Source { offset: Number::MAX, index: Number::MAX };
        assert_eq!(longest.to_string().len(), Source::CHARACTERS_MAX);
    }
}
