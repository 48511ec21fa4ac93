//! Times as seals and anchors write them: RFC 3339, UTC, with milliseconds. No clock is read.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::DateTime;

use crate::Invalid;

/// 9999-12-31T23:59:59.999Z.
const LAST_MS: u64 = 253_402_300_799_999;
/// 1970-01-01T00:00:00Z.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// A moment from 1970-01-01T00:00:00.000Z to 9999-12-31T23:59:59.999Z, in whole milliseconds. There
/// are no leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    since_epoch_ms: u64,
}

impl Time {
    /// 1970-01-01T00:00:00.000Z.
    pub const EPOCH: Self = Self { since_epoch_ms: 0 };

    /// Returns the moment so many milliseconds after 1970-01-01T00:00:00Z, or `None` after the year
    /// 9999.
    pub const fn from_epoch_ms(since_epoch_ms: u64) -> Option<Self> {
        if since_epoch_ms <= LAST_MS { Some(Self { since_epoch_ms }) } else { None }
    }

    /// Returns the milliseconds since 1970-01-01T00:00:00Z.
    pub const fn epoch_ms(self) -> u64 {
        self.since_epoch_ms
    }

    fn parse(text: &str) -> Option<Self> {
        let civil: DateTime = text.strip_suffix('Z')?.parse().ok()?;
        let ms = civil.duration_since(EPOCH).as_millis();
        let time = Self::from_epoch_ms(u64::try_from(ms).ok()?)?;
        // The calendar reads other forms as well.
        (time.to_string() == text).then_some(time)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Below 2^63, by the year 9999.
        let since_epoch = SignedDuration::from_millis(self.since_epoch_ms as i64);
        let civil = EPOCH.checked_add(since_epoch).map_err(|_| fmt::Error)?;
        write!(f, "{civil:.3}Z")
    }
}

impl FromStr for Time {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let expected = "a time from 1970 to 9999 such as 2026-11-22T07:15:03.120Z";
        Self::parse(text).ok_or_else(|| Invalid::new("time", text, expected))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn has_one_form() {
        for good in [
            "1970-01-01T00:00:00.000Z",
            "2000-02-29T23:59:59.999Z",
            "2024-02-29T00:00:00.001Z",
            "2026-11-22T07:15:03.120Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            assert_eq!(good.parse::<Time>().expect(good).to_string(), good);
        }
        for bad in [
            "",
            "2026-11-22T07:15:03Z",
            "2026-11-22T07:15:03.12Z",
            "2026-11-22T07:15:03.1200Z",
            "2026-11-22t07:15:03.120z",
            "2026-11-22 07:15:03.120Z",
            "2026-11-22T07:15:03,120Z",
            "2026-11-22T07:15:03.120+00:00",
            "2026-02-29T00:00:00.000Z",
            "2100-02-29T00:00:00.000Z",
            "2026-04-31T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-00-01T00:00:00.000Z",
            "2026-01-00T00:00:00.000Z",
            "2026-11-22T24:00:00.000Z",
            "2026-11-22T23:60:00.000Z",
            "2016-12-31T23:59:60.000Z",
            "1969-12-31T23:59:59.999Z",
            "0000-01-01T00:00:00.000Z",
            "+026-11-22T07:15:03.120Z",
        ] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
        assert_eq!(Time::from_epoch_ms(LAST_MS + 1), None);
    }

    proptest! {
        #[test]
        fn is_read_as_it_was_written(ms in 0..=LAST_MS) {
            let time = Time::from_epoch_ms(ms).expect("in range");
            let text = time.to_string();
            prop_assert_eq!(text.len(), 24);
            prop_assert_eq!(text.parse(), Ok(time));
        }
    }
}
