//! Keeps the log quiet about what repeats: it is said at once, then at growing intervals with how
//! often it happened since. It looks at no clock.

use std::time::{Duration, Instant};

/// Pause after it was said first; it doubles up to [`INTERVAL_MAX`].
const FIRST_INTERVAL: Duration = Duration::from_secs(60);
/// Longest pause between two lines about the same.
const INTERVAL_MAX: Duration = Duration::from_secs(3_600);

/// One thing that repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Quiet(Option<Burst>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Burst {
    said: Instant,
    interval: Duration,
    /// How often it happened since it was said.
    held_back: u64,
    last: Instant,
}

impl Quiet {
    /// It happened so many times. Returns how many there are to be said now, those that were held
    /// back among them.
    pub(crate) fn happened(&mut self, count: u64, now: Instant) -> Option<u64> {
        let burst = match &mut self.0 {
            Some(burst) if now.saturating_duration_since(burst.last) <= burst.interval => burst,
            earlier => {
                let unsaid = earlier.as_ref().map_or(0, |burst| burst.held_back);
                self.0 =
                    Some(Burst { said: now, interval: FIRST_INTERVAL, held_back: 0, last: now });
                return Some(count + unsaid);
            }
        };
        burst.last = now;
        burst.held_back += count;
        if now.saturating_duration_since(burst.said) < burst.interval {
            return None;
        }
        burst.said = now;
        burst.interval = (burst.interval * 2).min(INTERVAL_MAX);
        Some(std::mem::take(&mut burst.held_back))
    }

    /// Returns how often it happened since it was said, once. It stays as quiet as it is.
    pub(crate) fn take_held_back(&mut self) -> u64 {
        let burst = self.0.as_mut();
        burst.map_or(0, |burst| std::mem::take(&mut burst.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_said_at_growing_intervals() {
        let (mut quiet, begin) = (Quiet::default(), Instant::now());
        let mut said = Vec::new();
        for second in 0..=4 * 3_600 {
            if let Some(count) = quiet.happened(2, begin + Duration::from_secs(second)) {
                said.push((second, count));
            }
        }
        let seconds: Vec<u64> = said.iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds, [0, 60, 180, 420, 900, 1_860, 3_780, 7_380, 10_980]);
        assert_eq!(said[..3], [(0, 2), (60, 120), (180, 240)], "all counted");
        assert!(quiet.take_held_back() > 0);
        assert_eq!(quiet.take_held_back(), 0);
    }

    #[test]
    fn a_new_burst_is_said_at_once() {
        let (mut quiet, begin) = (Quiet::default(), Instant::now());
        let mut at = |second| quiet.happened(1, begin + Duration::from_secs(second));
        assert_eq!((at(0), at(1), at(2)), (Some(1), None, None));
        assert_eq!((at(63), at(64)), (Some(3), None), "silent for a minute");
    }
}
