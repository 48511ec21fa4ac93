//! Pauses between attempts that double up to a limit. It reads no clock.

use std::time::Duration;

/// The pauses of one kind of attempt.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    max: Duration,
}

impl Backoff {
    /// Pauses that begin with `first` and double up to `max`.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Backoff { first, max }
    }

    /// Returns the pause after this many failures in a row, at least one.
    pub fn after(self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit() {
        let ms = Duration::from_millis;
        let backoff = Backoff::new(ms(200), ms(5_000));
        let pauses = [1, 2, 3, 4, 5, 6, 7, u32::MAX].map(|failures| backoff.after(failures));
        let expected = [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000].map(ms);
        assert_eq!(pauses, expected);
        assert_eq!(backoff.after(0), ms(200));
    }
}
