//! How numbers and times are written for people: on the page, and by `top`.

use jiff::{Timestamp, Unit};

/// Writes a number with a comma before each three digits.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes an offset.
pub fn offset(offset: i64) -> String {
    number(offset.max(0).unsigned_abs())
}

/// Writes a rate: with one decimal if it is small.
pub fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate <= 0.0 => "0/s".to_string(),
        rate if rate < 0.05 => "<0.1/s".to_string(),
        rate if rate < 99.95 => format!("{rate:.1}/s"),
        rate => format!("{}/s", number(rate.round() as u64)),
    }
}

/// Writes a time in its two largest units, for example `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    if seconds < 10.0 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    let mut left = seconds.round() as u64;
    let mut parts = Vec::new();
    for (length, unit) in UNITS {
        let count = left / length;
        left %= length;
        if count > 0 {
            parts.push(format!("{count} {unit}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    parts.join(" ")
}

/// Writes how long ago a time was.
pub fn since(now: Timestamp, time: Timestamp) -> String {
    duration((now - time).total(Unit::Second).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rates_and_times_are_written_for_people() {
        let numbers = [0, 999, 1_000, 1_234_567].map(number);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        let rates = [0.0, 0.01, 0.25, 99.9, 99.96, 12_345.6].map(rate);
        assert_eq!(rates, ["0/s", "<0.1/s", "0.2/s", "99.9/s", "100/s", "12,346/s"]);
        let times = [-1.0, 0.0, 9.94, 10.0, 59.6, 3_600.0, 3_725.0, 90_061.0, 86_401.0];
        let written =
            ["0.0 s", "0.0 s", "9.9 s", "10 s", "1 min", "1 h", "1 h 2 min", "1 d 1 h", "1 d"];
        assert_eq!(times.map(duration), written);
    }
}
