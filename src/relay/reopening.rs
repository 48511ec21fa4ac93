//! How often a worker may reopen its session after its client died, and after which pause. It
//! counts and reads no clock.

use std::time::Duration;

use crate::stream::{Backoff, Failure};

/// Pauses before a dead session is replaced. They grow, because two processes with the same
/// `instance` fence each other out of the group, and the pause gives the other one time to work.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];
/// How long a dead session counts. More of them than there are pauses end the worker.
const MEMORY: Duration = Duration::from_secs(600);
/// Pauses while the broker has not released the member's place in the group.
const UNRELEASED_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(500), Duration::from_secs(5));

/// The sessions of one worker that had to be closed.
#[derive(Debug, Default)]
pub struct Reopening {
    /// When sessions died, as far back as they count.
    died: Vec<Duration>,
    /// How often in a row the place was not released.
    unreleased: u32,
}

impl Reopening {
    /// Returns the pause before a new session, after one ended with this failure at this time.
    ///
    /// # Errors
    /// Fails if there must be no new session: it would not help, or too many did not help.
    pub fn after(&mut self, failure: &Failure, now: Duration) -> Result<Duration, Failure> {
        match failure {
            Failure::Unreleased(_) => {
                self.unreleased += 1;
                Ok(UNRELEASED_BACKOFF.after(self.unreleased))
            }
            Failure::ConsumerDead(what) => self.replace_dead(what, now),
            Failure::Aborted(_)
            | Failure::TooLarge(_)
            | Failure::Broken(_)
            | Failure::Fenced(_)
            | Failure::Held(_)
            | Failure::Fatal(_) => Err(failure.clone()),
        }
    }

    fn replace_dead(&mut self, what: &str, now: Duration) -> Result<Duration, Failure> {
        self.unreleased = 0;
        self.died.retain(|died| now.saturating_sub(*died) < MEMORY);
        let Some(pause) = PAUSES.get(self.died.len()) else {
            return Err(Failure::Fatal(format!(
                "consumer dead again after {} new sessions within {} minutes: {what}",
                self.died.len(),
                MEMORY.as_secs() / 60
            )));
        };
        self.died.push(now);
        Ok(*pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    fn dead() -> Failure {
        Failure::ConsumerDead("left the group unnoticed".to_string())
    }

    fn unreleased() -> Failure {
        Failure::Unreleased("not yet".to_string())
    }

    #[test]
    fn the_fourth_dead_session_within_ten_minutes_ends_the_worker() {
        let mut reopening = Reopening::default();
        let pauses = (0..3).map(|minute| reopening.after(&dead(), minutes(minute)));
        let pauses: Vec<_> = pauses.collect();
        assert_eq!(pauses, PAUSES.map(Ok));
        let end = reopening.after(&dead(), minutes(9));
        assert_eq!(
            end,
            Err(Failure::Fatal(
                "consumer dead again after 3 new sessions within 10 minutes: left the group unnoticed".to_string()
            ))
        );
    }

    #[test]
    fn a_dead_session_counts_for_ten_minutes() {
        let mut reopening = Reopening::default();
        for minute in 0..40 {
            let pause = reopening.after(&dead(), minutes(4 * minute));
            assert_eq!(pause, Ok(PAUSES[(minute as usize).min(2)]), "{minute}");
        }
    }

    #[test]
    fn an_unreleased_place_is_waited_for_without_a_limit() {
        let mut reopening = Reopening::default();
        let mut wait = || reopening.after(&unreleased(), minutes(0)).expect("waits");
        let first = Duration::from_millis(500);
        assert_eq!(wait(), first);
        assert_eq!(wait(), 2 * first);
        for _ in 0..100 {
            assert!(wait() <= Duration::from_secs(5));
        }
        assert_eq!(wait(), Duration::from_secs(5));
        // It does not count as a dead session, and a dead session resets the backoff.
        for pause in PAUSES {
            assert_eq!(reopening.after(&dead(), minutes(1)), Ok(pause));
            assert_eq!(reopening.after(&unreleased(), minutes(1)), Ok(first));
        }
        assert!(reopening.after(&dead(), minutes(1)).is_err());
    }

    #[test]
    fn a_new_session_recovers_from_no_other_failure() {
        let what = || "x".to_string();
        for failure in [
            Failure::Aborted(what()),
            Failure::Broken(what()),
            Failure::Fenced(what()),
            Failure::Held(what()),
            Failure::Fatal(what()),
        ] {
            let ended = Reopening::default().after(&failure, minutes(0));
            assert_eq!(ended, Err(failure));
        }
    }
}
