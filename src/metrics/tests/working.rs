//! A real worker on a scripted broker: its events have the order and the meaning that lag and
//! health rely on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::Metrics;
use super::{observed, record, skipped, value};
use crate::stream::batch::BatchLimits;
use crate::stream::scripts::{assigned, at, end, placed};
use crate::stream::{Broker, Failure, Partition, PartitionFault, Polled, Rewound, Transaction};
use crate::stream::{StopRequest, worker::Worker};

const P0: Partition = Partition(0);

/// Broker calls, each with the lag that was shown when it began.
type Lags = Arc<Mutex<Vec<(&'static str, Option<f64>)>>>;

/// A broker with scripted polls, whose first publications fail as listed.
struct Script {
    polls: VecDeque<Vec<Polled<'static>>>,
    failures: VecDeque<Failure>,
    now: Duration,
    metrics: Arc<Metrics>,
    lags: Lags,
}

impl Script {
    fn note_lag(&self, call: &'static str) {
        let lag = lag(&self.metrics);
        self.lags.lock().expect("lock").push((call, lag));
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
        self.note_lag("poll");
        self.now += wait;
        self.polls.pop_front().unwrap_or_default().into_iter().for_each(receive);
        Ok(())
    }

    fn publish(&mut self, _: &Transaction<'_>) -> Result<(), Failure> {
        self.note_lag("publish");
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
fn reaching_the_end_does_not_end_the_lag_before_the_records_are_committed() {
    let (metrics, _, observer) = observed();
    let lags = Arc::default();
    let script = Script {
        polls: VecDeque::from([
            vec![assigned(&[P0]), placed(P0, 7), Polled::Record(record(0, 7, Some(0))), end(P0, 8)],
            vec![],
        ]),
        failures: VecDeque::new(),
        now: Duration::ZERO,
        metrics: Arc::clone(&metrics),
        lags: Arc::clone(&lags),
    };
    let judge = |_: Option<&[u8]>| skipped();
    let mut worker = Worker::new(script, judge, observer, LIMITS, StopRequest::default());
    worker.turn().expect("the turn succeeds");
    let lags = lags.lock().expect("lock").clone();
    assert_eq!(lags[0], ("poll", None), "not assigned yet");
    let later = &lags[1..];
    assert!(later.len() >= 2, "{later:?}");
    assert!(later.iter().all(|(_, lag)| *lag == Some(1.0)), "{lags:?}");
    assert_eq!(lags.last(), Some(&("publish", Some(1.0))));
    assert_eq!(lag(&metrics), Some(0.0));
}

#[test]
fn a_worker_that_cannot_publish_shows_lag_although_it_has_reached_the_end() {
    let (metrics, health, observer) = observed();
    let read_again = || Polled::Record(record(0, 7, Some(0)));
    let script = Script {
        polls: VecDeque::from([
            vec![assigned(&[P0]), placed(P0, 7), end(P0, 7)],
            // During the empty poll the batch becomes due.
            vec![read_again(), end(P0, 8)],
            vec![],
            vec![read_again(), end(P0, 8)],
            vec![],
        ]),
        failures: VecDeque::from([Failure::Aborted("no leader".to_string())]),
        now: Duration::ZERO,
        metrics: Arc::clone(&metrics),
        lags: Arc::default(),
    };
    let judge = |_: Option<&[u8]>| skipped();
    let mut worker = Worker::new(script, judge, observer, LIMITS, StopRequest::default());
    let lag = || lag(&metrics);

    worker.turn().expect("the turn succeeds");
    assert_eq!((lag(), health.ready().is_ok()), (Some(0.0), true));
    worker.turn().expect("the turn succeeds");
    assert_eq!((lag(), health.ready().is_ok()), (Some(1.0), false));
    worker.turn().expect("the turn succeeds");
    assert_eq!((lag(), health.ready().is_ok()), (Some(0.0), true));
    assert_eq!(metrics.counts().read, 1);
}
