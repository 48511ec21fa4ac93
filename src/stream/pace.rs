//! When a batch is cut. Time comes from the caller.

use std::time::Duration;

/// The pace of one worker. A batch is to be committed when the first of its records has waited for
/// its age, the time in which nobody looked included. A worker that lags knows that its records
/// have waited longer anyway: it fills its batches for the whole age, since large ones are cheaper.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How long publishing takes these days.
    publishing: Duration,
    /// Whether a partition was read to its end since the last batch was published.
    keeps_up: bool,
    /// When publishing began, if the records that are read first have come since then.
    away_since: Option<Duration>,
}

impl Pace {
    /// One batch that takes long counts for an eighth.
    pub(super) fn published(&mut self, took: Duration) {
        self.publishing = (self.publishing * 7 + took) / 8;
    }

    /// How long a batch is filled that is to be committed at this age; at least half of it, however
    /// slow the broker is.
    pub(super) fn time_to_fill(&self, max_age: Duration) -> Duration {
        max_age.saturating_sub(self.publishing).max(max_age / 2)
    }

    /// The end of a partition was reached.
    pub(super) fn caught_up(&mut self) {
        self.keeps_up = true;
    }

    /// From now on nothing is read for a while.
    pub(super) fn looks_away(&mut self, now: Duration) {
        self.away_since = std::mem::take(&mut self.keeps_up).then_some(now);
    }

    /// What comes from now on has not waited.
    pub(super) fn looked(&mut self) {
        self.away_since = None;
    }

    /// Since when a record may have waited that is read now, as the first of its batch.
    pub(super) fn waiting_since(&mut self, now: Duration) -> Duration {
        self.away_since.take().unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_in_time_to_be_committed_at_its_age() {
        let ms = Duration::from_millis;
        let mut pace = Pace::default();
        assert_eq!(pace.time_to_fill(ms(100)), ms(100), "nothing is known yet");
        for _ in 0..100 {
            pace.published(ms(20));
        }
        let fill = pace.time_to_fill(ms(100));
        assert!((ms(80)..ms(81)).contains(&fill), "{fill:?}");
        for _ in 0..100 {
            pace.published(ms(5_000));
        }
        assert_eq!(pace.time_to_fill(ms(100)), ms(50), "however slow");
    }

    #[test]
    fn who_lags_fills_batches_for_as_long_as_before() {
        let pace = |lags: bool| {
            let mut pace = Pace::default();
            if !lags {
                pace.caught_up();
            }
            pace.looks_away(Duration::from_secs(1));
            pace.waiting_since(Duration::from_secs(2))
        };
        assert_eq!(pace(true), Duration::from_secs(2));
        assert_eq!(pace(false), Duration::from_secs(1));
    }

    #[test]
    fn one_batch_that_takes_long_counts_for_an_eighth() {
        let ms = Duration::from_millis;
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.published(ms(16));
        }
        pace.published(ms(8_000));
        let fill = pace.time_to_fill(ms(10_000));
        assert!((ms(8_985)..ms(8_987)).contains(&fill), "{fill:?}");
    }

    #[test]
    fn what_is_known_of_the_time_away_counts_once() {
        let second = Duration::from_secs;
        let mut pace = Pace::default();
        pace.caught_up();
        pace.looks_away(second(1));
        assert_eq!(pace.waiting_since(second(2)), second(1));
        assert_eq!(pace.waiting_since(second(3)), second(3), "asked already");
        pace.looks_away(second(4));
        let since = pace.waiting_since(second(5));
        assert_eq!(since, second(5), "the end was not reached since");
        pace.caught_up();
        pace.looks_away(second(6));
        pace.looked();
        let since = pace.waiting_since(second(7));
        assert_eq!(since, second(7), "nothing had come meanwhile");
    }
}
