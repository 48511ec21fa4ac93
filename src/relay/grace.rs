//! How long the start waits for something that is missing before it reports it as a mistake. It
//! reads no clock.

use std::time::Duration;

/// How long a missing topic is waited for if others exist: the same deployment may be creating it.
pub const MISSING_TOPIC_GRACE: Duration = Duration::from_secs(300);

/// A grace period that begins when something is found missing for the first time.
#[derive(Debug)]
pub struct Grace {
    limit: Duration,
    since: Option<Duration>,
}

impl Grace {
    /// A grace period of this length that has not begun.
    pub const fn new(limit: Duration) -> Self {
        Grace { limit, since: None }
    }

    /// Returns the rest of the grace period at a time when something is missing, and begins it if
    /// that is the first time. `None` once it is over.
    pub fn left(&mut self, now: Duration) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        let left = self.limit.checked_sub(now.saturating_sub(since))?;
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_period_begins_when_something_is_first_missing() {
        const SECOND: Duration = Duration::from_secs(1);
        let mut grace = Grace::new(10 * SECOND);
        assert_eq!(grace.left(100 * SECOND), Some(10 * SECOND));
        assert_eq!(grace.left(109 * SECOND), Some(SECOND));
        assert_eq!(grace.left(110 * SECOND), None);
        assert_eq!(grace.left(111 * SECOND), None);
    }

    #[test]
    fn a_grace_period_of_zero_is_over_at_once() {
        assert_eq!(Grace::new(Duration::ZERO).left(Duration::ZERO), None);
    }
}
