//! Rates from samples of the last half minute: how many records a second, and when the lag will be
//! gone. Reads no clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::{BEHIND_SECONDS, Count};
use crate::metrics::{Counts, PartitionView};
use crate::stream::Partition;

/// The period over which rates are taken.
const WINDOW: Duration = Duration::from_secs(30);

/// What there was at one time.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) counts: Counts,
    pub(super) partitions: Vec<PartitionView>,
}

/// The samples of the window, oldest first.
#[derive(Debug, Default)]
pub(super) struct Samples(VecDeque<Sample>);

impl Samples {
    /// Adds a sample, and forgets those that are too old. One that is as old as the window is kept,
    /// so that it is whole.
    pub(super) fn add(&mut self, sample: Sample) {
        let now = sample.at;
        let is_old = |next: &Sample| now.saturating_duration_since(next.at) >= WINDOW;
        while self.0.get(1).is_some_and(is_old) {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// Returns the rates up to `now`.
    pub(super) fn until<'a>(&'a self, now: &'a Sample) -> Rates<'a> {
        Rates { from: self.0.front().unwrap_or(now), to: now }
    }
}

/// The rates between two samples.
#[derive(Debug)]
pub(super) struct Rates<'a> {
    from: &'a Sample,
    to: &'a Sample,
}

impl Rates<'_> {
    /// Returns the current number and its rate.
    pub(super) fn count(&self, of: impl Fn(&Counts) -> u64) -> Count {
        let total = of(&self.to.counts);
        let grown = total.saturating_sub(of(&self.from.counts)) as f64;
        Count { total, per_second: self.per_second(grown) }
    }

    /// Returns the seconds until every partition is at its end, if each comes closer to it; `None`
    /// also if none is behind.
    pub(super) fn caught_up_in(&self) -> Option<f64> {
        let before: BTreeMap<Partition, &PartitionView> =
            self.from.partitions.iter().map(|view| (view.partition, view)).collect();
        let behind = self.to.partitions.iter().filter(|view| view.lag_seconds >= BEHIND_SECONDS);
        let mut longest = None;
        for view in behind {
            let earlier = before.get(&view.partition)?;
            // Assigned again, its earlier lag is another member's, or a guess.
            let is_comparable = earlier.assigned_ms == view.assigned_ms
                && [*earlier, view].iter().all(|view| view.next_offset.is_some());
            if !is_comparable || earlier.lag_records <= view.lag_records {
                return None;
            }
            let decrease = self.per_second((earlier.lag_records - view.lag_records) as f64);
            let seconds = view.lag_records as f64 / decrease;
            longest = Some(longest.map_or(seconds, |longest: f64| longest.max(seconds)));
        }
        longest
    }

    fn per_second(&self, grown: f64) -> f64 {
        let seconds = self.to.at.saturating_duration_since(self.from.at).as_secs_f64();
        if seconds > 0.0 { grown / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    /// A time after the start, the number of records read, and partitions: number, time of the
    /// assignment, records behind.
    type At<'a> = (u64, u64, &'a [(i32, i64, i64)]);

    fn sample(start: Instant, (seconds, read, partitions): At<'_>) -> Sample {
        let mut counts = Metrics::new(&[], "2.12.1").expect("registers").counts();
        counts.read = read;
        let view = |&(number, assigned_ms, lag_records): &(i32, i64, i64)| PartitionView {
            partition: Partition(number),
            worker: 0,
            assigned_ms,
            moves: 0,
            next_offset: Some(0),
            end_offset: Some(lag_records),
            lag_records,
            lag_seconds: if lag_records > 0 { BEHIND_SECONDS } else { 0.0 },
            last_progress_ms: 0,
            held: None,
        };
        Sample {
            at: start + Duration::from_secs(seconds),
            counts,
            partitions: partitions.iter().map(view).collect(),
        }
    }

    /// Returns the rate of reading and the estimate at the last of these times.
    fn after(times: &[At<'_>]) -> (f64, Option<f64>) {
        let start = Instant::now();
        let mut samples = Samples::default();
        let (last, earlier) = times.split_last().expect("a time");
        for time in earlier {
            samples.add(sample(start, *time));
        }
        let now = sample(start, *last);
        let rates = samples.until(&now);
        (rates.count(|counts| counts.read).per_second, rates.caught_up_in())
    }

    #[test]
    fn a_rate_is_that_of_the_last_half_minute() {
        assert_eq!(after(&[(0, 500, &[])]).0, 0.0, "no earlier sample");
        assert_eq!(after(&[(0, 0, &[]), (10, 500, &[])]).0, 50.0);
        let burst_at_start =
            [(0, 0, &[] as &[_]), (2, 9_000, &[]), (32, 9_300, &[]), (34, 9_320, &[])];
        assert_eq!(after(&burst_at_start).0, 10.0, "since the sample at 2 s");
        let idle = [(0, 7, &[] as &[_]), (100, 7, &[]), (200, 7, &[])];
        assert_eq!(after(&idle).0, 0.0);
    }

    #[test]
    fn the_slowest_partition_decides_when_the_lag_is_gone() {
        let times: [At<'_>; 2] = [
            (0, 0, &[(1, 5, 1_000), (2, 5, 1_000), (3, 5, 0)]),
            (10, 0, &[(1, 5, 500), (2, 5, 900), (3, 5, 0)]),
        ];
        assert_eq!(after(&times).1, Some(90.0), "partition 2: 10 a second");
    }

    #[test]
    fn there_is_no_estimate_where_none_can_be_made() {
        let before: At<'_> = (0, 0, &[(1, 5, 1_000), (2, 5, 1_000)]);
        let cases: [(&str, At<'_>); 5] = [
            ("none is behind", (10, 0, &[(1, 5, 0), (2, 5, 0)])),
            ("one grows", (10, 0, &[(1, 5, 500), (2, 5, 1_001)])),
            ("one stands still", (10, 0, &[(1, 5, 500), (2, 5, 1_000)])),
            ("one was assigned again", (10, 0, &[(1, 5, 500), (2, 6, 900)])),
            ("one is new", (10, 0, &[(1, 5, 500), (3, 9, 900)])),
        ];
        for (what, now) in cases {
            assert_eq!(after(&[before, now]).1, None, "{what}");
        }
    }
}
