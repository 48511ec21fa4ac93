//! For how long what is missing at a start is waited for, before it is taken for a mistake. It
//! looks at no clock.

use std::time::Duration;

/// A topic that is missing while others are there is waited for so long: it may be created in the
/// same deployment.
pub const MISSING_TOPIC_GRACE: Duration = Duration::from_secs(300);

/// A wait that begins when something is found missing for the first time.
#[derive(Debug)]
pub struct Grace {
    limit: Duration,
    since: Option<Duration>,
}

impl Grace {
    /// A wait of this length that has not begun.
    pub const fn new(limit: Duration) -> Self {
        Grace { limit, since: None }
    }

    /// What is left of it at this time, at which something is missing. `None` when it is over.
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
    fn begins_with_the_first_look_that_misses_something() {
        const SECOND: Duration = Duration::from_secs(1);
        let mut grace = Grace::new(10 * SECOND);
        assert_eq!(grace.left(100 * SECOND), Some(10 * SECOND));
        assert_eq!(grace.left(109 * SECOND), Some(SECOND));
        assert_eq!(grace.left(110 * SECOND), None);
        assert_eq!(grace.left(111 * SECOND), None);
    }

    #[test]
    fn none_is_over_at_once() {
        assert_eq!(Grace::new(Duration::ZERO).left(Duration::ZERO), None);
    }
}
