//! Partitions of a table's topic that cannot be read on, and when each is tried again. Pure.
//!
//! What a client does after such an error is not to be relied on: after a batch that fails its
//! checksum it may go on at an offset that it took from the middle of the payload, or at the
//! beginning of the partition, and so read the whole of it again for ever. So the partition is
//! given back, and assigned anew at the position that the follower knows, with growing pauses.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Pause before a partition is tried again; it doubles up to [`PAUSE_MAX`] while it cannot be
/// read on.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What is in the way of each partition.
#[derive(Debug, Default)]
pub(in crate::kafka) struct Obstacles(BTreeMap<i32, Obstacle>);

#[derive(Debug)]
struct Obstacle {
    cause: String,
    /// The client went back by itself, without an error before.
    went_back: bool,
    pause: Duration,
    /// When it is tried again; none while that goes on.
    due: Option<Instant>,
}

/// What was in the way of a partition that is read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) enum Passed {
    /// Nothing was.
    Nothing,
    /// An error, which is over.
    Error,
    /// The client had gone back without an error, as it does when the end of the log was cut off.
    /// Since the log goes on where it was read up to, what lies before there was written anew.
    WentBack(String),
}

impl Obstacles {
    /// An error of a partition: it is not read until it is due. False if that is known.
    pub(super) fn stop(&mut self, partition: i32, cause: String, now: Instant) -> bool {
        self.add(partition, cause, false, now)
    }

    /// The client went back in a partition: it is not read until it is due. False if that is known.
    pub(super) fn stop_going_back(&mut self, partition: i32, cause: String, now: Instant) -> bool {
        self.add(partition, cause, true, now)
    }

    fn add(&mut self, partition: i32, cause: String, went_back: bool, now: Instant) -> bool {
        if self.is_stopped(partition) {
            return false;
        }
        let before = self.0.get(&partition);
        let pause = before.map_or(PAUSE_MIN, |b| (b.pause * 2).min(PAUSE_MAX));
        let obstacle = Obstacle {
            cause,
            went_back: went_back || before.is_some_and(|before| before.went_back),
            pause,
            due: Some(now + pause),
        };
        self.0.insert(partition, obstacle);
        true
    }

    /// Whether nothing that comes from this partition counts.
    pub(super) fn is_stopped(&self, partition: i32) -> bool {
        let obstacle = self.0.get(&partition);
        obstacle.is_some_and(|obstacle| obstacle.due.is_some())
    }

    /// Partitions to be tried again now.
    pub(super) fn due(&self, now: Instant) -> Vec<i32> {
        let is_due = |obstacle: &Obstacle| obstacle.due.is_some_and(|due| due <= now);
        let due = self.0.iter().filter(|(_, obstacle)| is_due(obstacle));
        due.map(|(partition, _)| *partition).collect()
    }

    /// A partition is tried again. What was in its way stays known until it is read on.
    pub(super) fn resume(&mut self, partition: i32) {
        if let Some(obstacle) = self.0.get_mut(&partition) {
            obstacle.due = None;
        }
    }

    /// A partition was read on.
    pub(super) fn pass(&mut self, partition: i32) -> Passed {
        match self.0.remove(&partition) {
            None => Passed::Nothing,
            Some(obstacle) if obstacle.went_back => Passed::WentBack(obstacle.cause),
            Some(_) => Passed::Error,
        }
    }

    /// What is in the way, if anything is.
    pub(super) fn cause(&self) -> Option<&str> {
        let first = self.0.values().next();
        first.map(|obstacle| obstacle.cause.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_tried_again_with_growing_pauses_until_it_is_read_on() {
        let (mut obstacles, now) = (Obstacles::default(), Instant::now());
        let mut at = now;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert!(obstacles.stop(3, "bad checksum".to_string(), at));
            assert!(!obstacles.stop(3, "said again".to_string(), at), "known");
            assert!(obstacles.is_stopped(3) && !obstacles.is_stopped(2));
            assert!(obstacles.due(at).is_empty());
            let mut pause = Duration::ZERO;
            while obstacles.due(at + pause).is_empty() {
                pause += PAUSE_MIN;
            }
            pauses.push(pause);
            at += pause;
            assert_eq!(obstacles.due(at), [3]);
            obstacles.resume(3);
            assert!(obstacles.due(at).is_empty() && !obstacles.is_stopped(3));
            assert_eq!(obstacles.cause(), Some("bad checksum"), "not read on yet");
        }
        let seconds: Vec<f64> = pauses.iter().map(Duration::as_secs_f64).collect();
        assert_eq!(seconds, [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]);
        assert_eq!(obstacles.pass(3), Passed::Error);
        assert_eq!(obstacles.pass(3), Passed::Nothing);
        assert_eq!(obstacles.cause(), None);
        obstacles.stop(3, "another".to_string(), at);
        assert_eq!(obstacles.due(at + PAUSE_MIN), [3], "the pauses begin anew");
    }

    #[test]
    fn a_log_that_goes_on_after_the_client_went_back_was_written_anew() {
        let (mut obstacles, now) = (Obstacles::default(), Instant::now());
        obstacles.stop_going_back(0, "went back".to_string(), now);
        obstacles.resume(0);
        obstacles.stop(0, "an error as well".to_string(), now);
        let passed = obstacles.pass(0);
        assert_eq!(passed, Passed::WentBack("an error as well".to_string()));
    }
}
