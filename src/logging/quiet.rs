//! Rate limit for log lines about repeated events: the first is logged at once, then the number of
//! occurrences at growing intervals. It reads no clock.

use std::time::{Duration, Instant};

/// Interval after the first log line; it doubles up to [`INTERVAL_MAX`].
const FIRST_INTERVAL: Duration = Duration::from_secs(60);
/// Longest interval between two log lines.
const INTERVAL_MAX: Duration = Duration::from_secs(3_600);

/// The rate limit of one kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Quiet(Option<Burst>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Burst {
    /// When the event was last logged.
    logged: Instant,
    interval: Duration,
    /// Occurrences since then.
    held_back: u64,
    last: Instant,
}

impl Quiet {
    /// Notes that the event occurred this many times. If a log line is due, returns the number of
    /// occurrences to log, including those that were held back.
    pub(crate) fn happened(&mut self, count: u64, now: Instant) -> Option<u64> {
        let burst = match &mut self.0 {
            Some(burst) if now.saturating_duration_since(burst.last) <= burst.interval => burst,
            earlier => {
                let unlogged = earlier.as_ref().map_or(0, |burst| burst.held_back);
                self.0 =
                    Some(Burst { logged: now, interval: FIRST_INTERVAL, held_back: 0, last: now });
                return Some(count + unlogged);
            }
        };
        burst.last = now;
        burst.held_back += count;
        if now.saturating_duration_since(burst.logged) < burst.interval {
            return None;
        }
        burst.logged = now;
        burst.interval = (burst.interval * 2).min(INTERVAL_MAX);
        Some(std::mem::take(&mut burst.held_back))
    }

    /// Returns the number of occurrences that were held back, and resets it. The interval stays.
    pub(crate) fn take_held_back(&mut self) -> u64 {
        let burst = self.0.as_mut();
        burst.map_or(0, |burst| std::mem::take(&mut burst.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_burst_is_logged_at_growing_intervals() {
        let (mut quiet, begin) = (Quiet::default(), Instant::now());
        let mut logged = Vec::new();
        for second in 0..=4 * 3_600 {
            if let Some(count) = quiet.happened(2, begin + Duration::from_secs(second)) {
                logged.push((second, count));
            }
        }
        let seconds: Vec<u64> = logged.iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds, [0, 60, 180, 420, 900, 1_860, 3_780, 7_380, 10_980]);
        assert_eq!(logged[..3], [(0, 2), (60, 120), (180, 240)], "all are counted");
        assert!(quiet.take_held_back() > 0);
        assert_eq!(quiet.take_held_back(), 0);
    }

    #[test]
    fn a_new_burst_is_logged_at_once() {
        let (mut quiet, begin) = (Quiet::default(), Instant::now());
        let mut at = |second| quiet.happened(1, begin + Duration::from_secs(second));
        assert_eq!((at(0), at(1), at(2)), (Some(1), None, None));
        assert_eq!((at(63), at(64)), (Some(3), None), "none for a minute");
    }
}
