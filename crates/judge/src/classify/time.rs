//! The time of an action: an instant, never a local time. It reads no clock, and refuses a date
//! that no working producer can mean.

use jiff::Timestamp;

use crate::text::trim;

/// 2200-01-01T00:00:00Z, in seconds since 1970.
const TOO_LATE: i64 = 7_258_118_400;

/// Reads RFC 3339 with an offset. Accepts `t`, a space, a comma, and offsets without a colon or
/// minutes.
///
/// # Errors
/// Explains why the text is not the time of an action.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    let text = trim(text);
    if !has_form(text.as_bytes()) {
        return Err(format!("is not a time with an offset: {text:?}"));
    }
    let time: Timestamp =
        text.parse().map_err(|error| format!("is not a time with an offset: {error}"))?;
    if time < Timestamp::UNIX_EPOCH {
        return Err(format!("lies before 1970: {text:?}"));
    }
    if time.as_second() >= TOO_LATE {
        return Err(format!("lies after 2199: {text:?}"));
    }
    Ok(time)
}

/// Returns whether the parts are in their places: a time parser accepts more, such as a time zone
/// that contradicts the offset.
fn has_form(text: &[u8]) -> bool {
    let Some((date, rest)) = text.split_at_checked(b"dddd-dd-ddTdd:dd:dd".len()) else {
        return false;
    };
    fits(date, b"dddd-dd-ddTdd:dd:dd") && is_offset(without_fraction(rest))
}

fn fits(text: &[u8], form: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        form => byte == form,
    };
    text.len() == form.len() && text.iter().zip(form).all(fits)
}

fn without_fraction(text: &[u8]) -> &[u8] {
    let [b'.' | b',', digits @ ..] = text else {
        return text;
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit());
    match count.count() {
        count @ 1..=9 => &digits[count..],
        _ => text,
    }
}

fn is_offset(text: &[u8]) -> bool {
    match text {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', hours @ ..] => {
            let forms = [&b"dd:dd"[..], b"dddd", b"dd"];
            let is_hour = hours.get(..2).is_some_and(|hour| hour < &b"24"[..]);
            is_hour && forms.into_iter().any(|form| fits(hours, form))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_in_the_forms_of_producers() {
        for text in [
            "2021-07-14T14:12:44.318207Z",
            "2021-07-14T09:12:44.318207-05:00",
            " 2021-07-14T09:12:44.318207-05:00\u{a0}",
            "2021-07-14t09:12:44.318207-0500",
            "2021-07-14 09:12:44,318207-05",
            "2021-07-14T14:12:44.318207000z",
        ] {
            let read = time(text).map(|time| time.to_string());
            assert_eq!(read.as_deref(), Ok("2021-07-14T14:12:44.318207Z"), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_of_ours_is_refused() {
        for (text, why) in [
            ("2021-07-14T09:12:44", "offset"),
            ("2021-07-14T09:12:44-05:00[Europe/Berlin]", "offset"),
            ("2021-07-14T09:12:44+25:59:59", "offset"),
            ("2021-07-14T09:12:44+24:00", "offset"),
            ("2021-07-14T09:12:44.Z", "offset"),
            ("2021-07-14T09:12:44.0123456789Z", "offset"),
            ("2021-07-14T09:12Z", "offset"),
            ("2021-02-30T09:12:44Z", "offset"),
            ("20210714T091244Z", "offset"),
            ("1626271964", "offset"),
            ("12021-07-14T09:12:44Z", "offset"),
            ("", "offset"),
            ("1969-12-31T23:59:59Z", "1970"),
            ("2200-01-01T00:00:00Z", "2199"),
            ("9999-12-30T00:00:00Z", "2199"),
        ] {
            let problem = time(text).expect_err(text);
            assert!(problem.contains(why), "{text}: {problem}");
        }
        assert!(time("2199-12-31T23:59:59.999999999Z").is_ok());
    }
}
