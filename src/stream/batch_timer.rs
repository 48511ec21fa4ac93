//! Decides when a batch is due by its age. The caller supplies the clock.

use std::time::Duration;

/// Times the batches of one worker. A batch should be committed when its first record has waited
/// for the configured age, including the time in which the worker published and did not poll. A
/// worker that lags fills each batch for the whole age: its records have waited longer anyway, and
/// large batches are cheaper.
#[derive(Debug, Default)]
pub(super) struct BatchTimer {
    /// Moving average of the time that publishing takes.
    publishing: Duration,
    /// Whether a partition was read to its end since the last batch was published.
    keeps_up: bool,
    /// When publishing began, if the next record read may have arrived since then.
    publishing_since: Option<Duration>,
}

impl BatchTimer {
    /// Adds the time that publishing a batch took: one eighth of the average.
    pub(super) fn published(&mut self, took: Duration) {
        self.publishing = (self.publishing * 7 + took) / 8;
    }

    /// Returns how long to fill a batch that should be committed at this age: the age minus the
    /// time that publishing takes, but at least half of the age, however slow the broker is.
    pub(super) fn fill_budget(&self, max_age: Duration) -> Duration {
        max_age.saturating_sub(self.publishing).max(max_age / 2)
    }

    /// Notes that a partition was read to its end.
    pub(super) fn caught_up(&mut self) {
        self.keeps_up = true;
    }

    /// Notes that the worker begins to publish, and so does not poll.
    pub(super) fn publish_started(&mut self, now: Duration) {
        self.publishing_since = std::mem::take(&mut self.keeps_up).then_some(now);
    }

    /// Notes that a poll returned nothing: a record that arrives from now on has not waited.
    pub(super) fn idle(&mut self) {
        self.publishing_since = None;
    }

    /// Returns since when the first record of a batch, read now, may have waited.
    pub(super) fn waiting_since(&mut self, now: Duration) -> Duration {
        self.publishing_since.take().unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_in_time_to_be_committed_at_its_age() {
        let ms = Duration::from_millis;
        let mut timer = BatchTimer::default();
        assert_eq!(timer.fill_budget(ms(100)), ms(100), "nothing was published yet");
        for _ in 0..100 {
            timer.published(ms(20));
        }
        let fill = timer.fill_budget(ms(100));
        assert!((ms(80)..ms(81)).contains(&fill), "{fill:?}");
        for _ in 0..100 {
            timer.published(ms(5_000));
        }
        assert_eq!(timer.fill_budget(ms(100)), ms(50), "however slow");
    }

    #[test]
    fn a_worker_that_lags_fills_batches_for_the_whole_age() {
        let timer = |lags: bool| {
            let mut timer = BatchTimer::default();
            if !lags {
                timer.caught_up();
            }
            timer.publish_started(Duration::from_secs(1));
            timer.waiting_since(Duration::from_secs(2))
        };
        assert_eq!(timer(true), Duration::from_secs(2));
        assert_eq!(timer(false), Duration::from_secs(1));
    }

    #[test]
    fn one_slow_batch_counts_for_an_eighth() {
        let ms = Duration::from_millis;
        let mut timer = BatchTimer::default();
        for _ in 0..100 {
            timer.published(ms(16));
        }
        timer.published(ms(8_000));
        let fill = timer.fill_budget(ms(10_000));
        assert!((ms(8_985)..ms(8_987)).contains(&fill), "{fill:?}");
    }

    #[test]
    fn the_time_spent_publishing_counts_once() {
        let second = Duration::from_secs;
        let mut timer = BatchTimer::default();
        timer.caught_up();
        timer.publish_started(second(1));
        assert_eq!(timer.waiting_since(second(2)), second(1));
        assert_eq!(timer.waiting_since(second(3)), second(3), "used already");
        timer.publish_started(second(4));
        let since = timer.waiting_since(second(5));
        assert_eq!(since, second(5), "the end was not reached in between");
        timer.caught_up();
        timer.publish_started(second(6));
        timer.idle();
        let since = timer.waiting_since(second(7));
        assert_eq!(since, second(7), "nothing arrived while publishing");
    }
}
