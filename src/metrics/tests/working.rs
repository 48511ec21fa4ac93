//! A real worker on a scripted broker: that its notices come in the order and with the meaning that
//! lag and health rest on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::Metrics;
use super::{observed, record, skipped, value};
use crate::stream::batch::BatchLimits;
use crate::stream::outputs::Outputs;
use crate::stream::scripts::{assigned, at, end, placed};
use crate::stream::{Broker, Failure, Partition, PartitionFault, Polled, Position, Rewound};
use crate::stream::{StopRequest, worker::Worker};

const P0: Partition = Partition(0);

/// The call during which the lag was read, and its value.
type Looks = Arc<Mutex<Vec<(&'static str, Option<f64>)>>>;

/// Hands out what it was given, poll by poll, and publishes as often as it is allowed to fail.
struct Script {
    polls: VecDeque<Vec<Polled<'static>>>,
    failures: VecDeque<Failure>,
    now: Duration,
    /// What is shown.
    metrics: Arc<Metrics>,
    /// The lag when each poll began, and when publication did.
    seen: Looks,
}

impl Script {
    fn look(&self, when: &'static str) {
        let lag = lag(&self.metrics);
        self.seen.lock().expect("lock").push((when, lag));
    }
}

fn lag(metrics: &Metrics) -> Option<f64> {
    let series = r#"audit_relay_partition_lag_records{partition="0"}"#;
    value(&metrics.render(), series)
}

impl Broker for Script {
    fn poll(
        &mut self,
        wait: Duration,
        _: usize,
        receive: &mut dyn FnMut(Polled<'_>),
    ) -> Result<(), Failure> {
        self.look("poll");
        self.now += wait;
        for arrival in self.polls.pop_front().unwrap_or_default() {
            receive(arrival);
        }
        Ok(())
    }

    fn publish(&mut self, _: &Outputs, _: &[Position]) -> Result<(), Failure> {
        self.look("publish");
        self.failures.pop_front().map_or(Ok(()), Err)
    }

    fn abort(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn rebuild(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn rewind(&mut self, partitions: &[Partition]) -> Result<Vec<Rewound>, Failure> {
        let rewound =
            |partition: &Partition| Rewound { partition: *partition, place: Ok(at(P0, 0)) };
        Ok(partitions.iter().map(rewound).collect())
    }

    fn skip_to(&mut self, _: Partition, _: i64) -> Result<Result<i64, PartitionFault>, Failure> {
        Err(Failure::Fatal("nothing may be skipped".to_string()))
    }

    fn park(&mut self, _: &[Partition]) -> Result<(), Failure> {
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        self.now += time;
    }

    fn now(&self) -> Duration {
        self.now
    }
}

const LIMITS: BatchLimits =
    BatchLimits { max_records: 2, max_bytes: 1_000, max_age: Duration::from_millis(100) };

#[test]
fn the_end_of_a_partition_is_no_end_of_its_lag_before_its_records_are_committed() {
    let (metrics, _, observer) = observed();
    let seen = Arc::default();
    let script = Script {
        polls: VecDeque::from([
            vec![assigned(&[P0]), placed(P0, 7), Polled::Record(record(0, 7, Some(0))), end(P0, 8)],
            vec![],
        ]),
        failures: VecDeque::new(),
        now: Duration::ZERO,
        metrics: Arc::clone(&metrics),
        seen: Arc::clone(&seen),
    };
    let judge = |_: Option<&[u8]>| skipped();
    let mut worker = Worker::new(script, judge, observer, LIMITS, StopRequest::default());
    worker.turn().expect("goes on");
    let seen = seen.lock().expect("lock").clone();
    assert_eq!(seen[0], ("poll", None), "not ours yet");
    let between = &seen[1..];
    assert!(between.len() >= 2, "{between:?}");
    assert!(between.iter().all(|(_, lag)| *lag == Some(1.0)), "{seen:?}");
    assert_eq!(seen.last(), Some(&("publish", Some(1.0))));
    assert_eq!(lag(&metrics), Some(0.0));
}

#[test]
fn a_worker_that_cannot_publish_shows_lag_although_it_reached_the_end() {
    let (metrics, health, observer) = observed();
    let read_again = || Polled::Record(record(0, 7, Some(0)));
    let script = Script {
        polls: VecDeque::from([
            vec![assigned(&[P0]), placed(P0, 7), end(P0, 7)],
            // The poll without records is the time until the batch is due.
            vec![read_again(), end(P0, 8)],
            vec![],
            vec![read_again(), end(P0, 8)],
            vec![],
        ]),
        failures: VecDeque::from([Failure::Aborted("no leader".to_string())]),
        now: Duration::ZERO,
        metrics: Arc::clone(&metrics),
        seen: Arc::default(),
    };
    let judge = |_: Option<&[u8]>| skipped();
    let mut worker = Worker::new(script, judge, observer, LIMITS, StopRequest::default());
    let lag = || lag(&metrics);

    worker.turn().expect("goes on");
    assert_eq!((lag(), health.ready().is_ok()), (Some(0.0), true));
    worker.turn().expect("goes on");
    assert_eq!((lag(), health.ready().is_ok()), (Some(1.0), false));
    worker.turn().expect("goes on");
    assert_eq!((lag(), health.ready().is_ok()), (Some(0.0), true));
    assert_eq!(metrics.totals().read, 1);
}
