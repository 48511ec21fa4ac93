//! Times as seals and anchors write them: RFC 3339, UTC, with milliseconds. No clock is read.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// 9999-12-31T23:59:59.999Z.
const LAST_MS: u64 = 253_402_300_799_999;

/// A moment from 1970-01-01T00:00:00.000Z to 9999-12-31T23:59:59.999Z, in whole milliseconds. There
/// are no leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    since_epoch_ms: u64,
}

impl Time {
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
        let form = text.bytes().zip("dddd-dd-ddTdd:dd:dd.dddZ".bytes());
        let fits = |(byte, form): (u8, u8)| match form {
            b'd' => byte.is_ascii_digit(),
            form => byte == form,
        };
        if text.len() != 24 || !form.into_iter().all(fits) {
            return None;
        }
        let part = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
        let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
        let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
        let seconds = (hour * 60 + minute) * 60 + second;
        let ms = day_number(year, month, day)? * DAY_MS + seconds * 1_000 + part(20, 23)?;
        // A day or a minute that does not exist leads to another text.
        let time = Self::from_epoch_ms(ms)?;
        (time.to_string() == text).then_some(time)
    }
}

/// Returns the days from 1970-01-01, or `None` before it and for a month that does not exist.
fn day_number(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) {
        return None;
    }
    // Years that begin in March have the leap day at their end.
    let (year, months) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * months + 2) / 5 + day;
    days.checked_sub(DAYS_TO_1970 + 1)
}

/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;

/// Returns year, month and day of the day so many days after 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_TO_1970;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let months = (5 * day + 2) / 153;
    let month = if months < 10 { months + 3 } else { months - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    (year, month, day - (153 * months + 2) / 5 + 1)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.since_epoch_ms / DAY_MS);
        let ms = self.since_epoch_ms % DAY_MS;
        let (second, ms) = (ms / 1_000, ms % 1_000);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
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
        fn agrees_with_another_calendar(ms in 0..=253_402_200_000_000_u64) {
            let ours = Time::from_epoch_ms(ms).expect("in range").to_string();
            let theirs = jiff::Timestamp::from_millisecond(ms as i64).expect("in range");
            prop_assert_eq!(&ours, &format!("{theirs:.3}"));
            prop_assert_eq!(ours.parse::<Time>().expect("its own").epoch_ms(), ms);
        }
    }
}
