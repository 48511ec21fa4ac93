//! How often a worker may open its session anew when its client is dead, and after which pause. It
//! counts, and looks at no clock.

use std::time::Duration;

use crate::stream::Failure;

/// Pauses before a session that replaces a dead one is opened. They grow: two processes with the
/// same `instance` throw each other out of the group, and each gives the other one time to work.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];
/// So long a dead session is remembered. More of them than there are pauses end the worker.
const MEMORY: Duration = Duration::from_secs(600);
/// Pause while a place in the group is not released; it doubles up to [`WAIT_MAX`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest pause while a place in the group is not released.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The sessions of one worker that had to be closed.
#[derive(Debug, Default)]
pub struct Reopening {
    /// When sessions died, within the memory.
    died: Vec<Duration>,
    /// How often in a row the place was not released.
    unreleased: u32,
}

impl Reopening {
    /// The pause before a new session, after one that ended so at this time.
    ///
    /// # Errors
    /// There is to be none: a new session does not help, or too many did not.
    pub fn after(&mut self, failure: &Failure, now: Duration) -> Result<Duration, Failure> {
        match failure {
            Failure::Unreleased(_) => Ok(self.wait()),
            Failure::ConsumerDead(what) => self.revive(what, now),
            Failure::Aborted(_)
            | Failure::TooLarge(_)
            | Failure::Broken(_)
            | Failure::Fenced(_)
            | Failure::Held(_)
            | Failure::Fatal(_) => Err(failure.clone()),
        }
    }

    fn wait(&mut self) -> Duration {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.unreleased.min(16));
        self.unreleased += 1;
        doubled.min(WAIT_MAX)
    }

    fn revive(&mut self, what: &str, now: Duration) -> Result<Duration, Failure> {
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
        Failure::ConsumerDead("deaf".to_string())
    }

    fn unreleased() -> Failure {
        Failure::Unreleased("not yet".to_string())
    }

    #[test]
    fn three_deaths_in_ten_minutes_are_borne_and_the_fourth_is_not() {
        let mut reopening = Reopening::default();
        let pauses = (0..3).map(|minute| reopening.after(&dead(), minutes(minute)));
        let pauses: Vec<_> = pauses.collect();
        assert_eq!(pauses, PAUSES.map(Ok));
        let end = reopening.after(&dead(), minutes(9));
        assert_eq!(
            end,
            Err(Failure::Fatal(
                "consumer dead again after 3 new sessions within 10 minutes: deaf".to_string()
            ))
        );
    }

    #[test]
    fn a_death_is_forgotten_after_ten_minutes() {
        let mut reopening = Reopening::default();
        for minute in 0..40 {
            let pause = reopening.after(&dead(), minutes(4 * minute));
            assert_eq!(pause, Ok(PAUSES[(minute as usize).min(2)]), "{minute}");
        }
    }

    #[test]
    fn a_place_that_is_not_released_is_waited_for_as_long_as_it_takes() {
        let mut reopening = Reopening::default();
        let mut wait = || reopening.after(&unreleased(), minutes(0)).expect("waits");
        assert_eq!(wait(), FIRST_WAIT);
        assert_eq!(wait(), 2 * FIRST_WAIT);
        for _ in 0..100 {
            assert!(wait() <= WAIT_MAX);
        }
        assert_eq!(wait(), WAIT_MAX);
        // It does not count among the deaths, and these begin it anew.
        for pause in PAUSES {
            assert_eq!(reopening.after(&dead(), minutes(1)), Ok(pause));
            assert_eq!(reopening.after(&unreleased(), minutes(1)), Ok(FIRST_WAIT));
        }
        assert!(reopening.after(&dead(), minutes(1)).is_err());
    }

    #[test]
    fn nothing_else_is_mended_by_a_new_session() {
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
