//! How many failures a worker tolerates, and how long it pauses before it retries. It counts and
//! reads no clock.

use std::time::Duration;

use super::backoff::Backoff;
use super::broker::Failure;

/// Pauses after failures in a row.
pub(super) const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
/// Producer failures in a row, without a commit in between, that a worker survives.
pub(super) const BROKEN_IN_A_ROW_MAX: u32 = 20;
/// Fencings, with fewer than [`FENCE_RESET_COMMITS`] commits after each, that a worker survives.
/// Two processes with the same transactional id would otherwise fence each other forever.
pub(super) const FENCED_MAX: u32 = 5;
/// Commits after which earlier fencings no longer count.
pub(super) const FENCE_RESET_COMMITS: u32 = 100;

/// Recent failures of one worker.
#[derive(Debug, Default)]
pub(super) struct RetryBudget {
    in_a_row: u32,
    broken_in_a_row: u32,
    fenced: u32,
    commits: u32,
}

impl RetryBudget {
    /// Notes that a batch was committed.
    pub(super) fn committed(&mut self) {
        self.in_a_row = 0;
        self.broken_in_a_row = 0;
        self.commits += 1;
        if self.commits >= FENCE_RESET_COMMITS {
            self.commits = 0;
            self.fenced = 0;
        }
    }

    /// Returns the pause before the next attempt.
    ///
    /// # Errors
    /// Fails if the worker must not try again: the failure ends its session, or the budget is
    /// spent.
    pub(super) fn after(&mut self, failure: &Failure) -> Result<Duration, Failure> {
        self.in_a_row += 1;
        match failure {
            // Retried without a limit: an output that cannot be written, or a table that cannot be
            // read, holds the input for as long as that lasts.
            Failure::Aborted(_) | Failure::TooLarge(_) | Failure::Held(_) => {}
            Failure::Broken(_) => self.broken_in_a_row += 1,
            Failure::Fenced(_) => {
                self.fenced += 1;
                self.commits = 0;
            }
            // These end the session. The thread that opened it decides whether to open another.
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
        Ok(BACKOFF.after(self.in_a_row))
    }
}
