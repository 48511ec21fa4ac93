//! How many failures a worker tolerates, and how long it pauses before it retries. It counts and
//! reads no clock.

use std::time::Duration;

use super::broker::Failure;

/// Pause after the first failure in a row; it doubles up to [`PAUSE_MAX`].
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause between attempts.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Failures of the producer in a row, without a commit between them, after which the worker ends.
pub(super) const BROKEN_IN_A_ROW_MAX: u32 = 20;
/// So many fencings with fewer than [`FENCE_RESET_COMMITS`] commits between them end the worker:
/// two processes with the same transactional id would otherwise fence each other forever.
pub(super) const FENCED_MAX: u32 = 5;
/// Commits after which earlier fencings no longer count.
pub(super) const FENCE_RESET_COMMITS: u32 = 100;

/// What has failed lately.
#[derive(Debug, Default)]
pub(super) struct RetryBudget {
    in_a_row: u32,
    broken_in_a_row: u32,
    fenced: u32,
    commits: u32,
}

impl RetryBudget {
    /// A batch was committed.
    pub(super) fn committed(&mut self) {
        self.in_a_row = 0;
        self.broken_in_a_row = 0;
        self.commits += 1;
        if self.commits >= FENCE_RESET_COMMITS {
            self.commits = 0;
            self.fenced = 0;
        }
    }

    /// The pause before the next attempt.
    ///
    /// # Errors
    /// There is to be none.
    pub(super) fn after(&mut self, failure: &Failure) -> Result<Duration, Failure> {
        self.in_a_row += 1;
        match failure {
            // An output that cannot be written holds the input, for as long as it takes; so does a
            // table that cannot be read.
            Failure::Aborted(_) | Failure::TooLarge(_) | Failure::Held(_) => {}
            Failure::Broken(_) => self.broken_in_a_row += 1,
            Failure::Fenced(_) => {
                self.fenced += 1;
                self.commits = 0;
            }
            // The worker's session ends; whether another one follows is decided by who opened it.
            Failure::ConsumerDead(_) | Failure::Unreleased(_) | Failure::Fatal(_) => {
                return Err(failure.clone());
            }
        }
        if self.broken_in_a_row > BROKEN_IN_A_ROW_MAX {
            return Err(Failure::Fatal(format!(
                "gave up after {BROKEN_IN_A_ROW_MAX} attempts to rebuild the producer: {failure}"
            )));
        }
        if self.fenced > FENCED_MAX {
            return Err(Failure::Fatal(format!(
                "fenced {FENCED_MAX} times; is another process running with the same `instance`? {failure}"
            )));
        }
        Ok(pause_after(self.in_a_row))
    }
}

/// The pause after so many failures in a row, at least one.
pub(super) fn pause_after(failures: u32) -> Duration {
    let doubled = PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(PAUSE_MAX)
}
