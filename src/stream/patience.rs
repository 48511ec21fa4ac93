//! How many failures a worker bears, and how long it pauses before it tries again. It counts, and
//! looks at no clock.

use std::time::Duration;

use super::Failure;

/// Pause after the first failure in a row; it doubles up to [`LONGEST_PAUSE`].
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between attempts.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So many failures of the producer in a row, without a commit between them, end the worker.
pub(super) const MOST_BROKEN_IN_A_ROW: u32 = 20;
/// So many fencings with fewer than [`COMMITS_THAT_FORGIVE`] commits between them end the worker:
/// two processes with the same transactional id would otherwise throw each other out for ever.
pub(super) const MOST_FENCED: u32 = 5;
/// Commits after which earlier fencings no longer count.
pub(super) const COMMITS_THAT_FORGIVE: u32 = 100;

/// What has failed lately.
#[derive(Debug, Default)]
pub(super) struct Patience {
    in_a_row: u32,
    broken_in_a_row: u32,
    fenced: u32,
    commits: u32,
}

impl Patience {
    /// A batch was committed.
    pub(super) fn committed(&mut self) {
        self.in_a_row = 0;
        self.broken_in_a_row = 0;
        self.commits += 1;
        if self.commits >= COMMITS_THAT_FORGIVE {
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
        if self.broken_in_a_row > MOST_BROKEN_IN_A_ROW {
            return Err(Failure::Fatal(format!(
                "gave up after {MOST_BROKEN_IN_A_ROW} attempts to rebuild the producer: {failure}"
            )));
        }
        if self.fenced > MOST_FENCED {
            return Err(Failure::Fatal(format!(
                "fenced {MOST_FENCED} times; is another process running with the same `instance`? {failure}"
            )));
        }
        Ok(pause_after(self.in_a_row))
    }
}

/// The pause after so many failures in a row, at least one.
pub(super) fn pause_after(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE)
}
