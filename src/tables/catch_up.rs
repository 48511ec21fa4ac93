//! How far the snapshot of one table is behind its topic, and which threads wait for it. Plain data
//! that changes under the lock of its owner; it never waits itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::end_offsets::{
    Assignment, EndOffsets, EndOffsetsAnswer, EndOffsetsRequest, FRESH, Reading, TableOffsets,
    Waiter, covers, position,
};

#[derive(Debug)]
pub(super) struct CatchUp {
    started: Instant,
    reading: Reading,
    /// The number of the last request that is wanted, and of the last that has begun.
    requested: u64,
    begun: u64,
    last_begin: Instant,
    answer: Option<EndOffsetsAnswer>,
    positions: TableOffsets,
    waiting: usize,
    loaded: Option<Duration>,
    /// The snapshot contains everything that the topic contained at this moment.
    complete: Option<Instant>,
    /// A transient error, until the next request succeeds.
    trouble: Option<String>,
    /// Why the follower cannot continue reading. Requests do not change it.
    obstacle: Option<String>,
    /// Why the topic may have been replaced.
    doubt: Option<String>,
    /// Why the topic is read again from its beginning.
    restarted: Option<String>,
    /// Why the topic is no longer followed. This is permanent.
    ended: Option<String>,
}

impl CatchUp {
    /// A table of which nothing was read. Its first request is wanted already.
    pub(super) fn new(now: Instant) -> Self {
        CatchUp {
            started: now,
            reading: Reading::default(),
            requested: 1,
            begun: 0,
            last_begin: now,
            answer: None,
            positions: TableOffsets::new(),
            waiting: 0,
            loaded: None,
            complete: None,
            trouble: None,
            obstacle: None,
            doubt: None,
            restarted: None,
            ended: None,
        }
    }

    /// Adds a waiter, which needs a request that has not begun yet.
    pub(super) fn request(&mut self) -> Waiter {
        self.requested = self.begun + 1;
        self.waiting += 1;
        Waiter { number: self.requested, answer: None, confirmation: None }
    }

    /// Returns the number of requests that were ever wanted.
    pub(super) fn requested(&self) -> u64 {
        self.requested
    }

    /// Removes a waiter.
    pub(super) fn withdraw(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Returns whether a waiter may proceed. May want another request.
    pub(super) fn is_met(&mut self, waiter: &mut Waiter, now: Instant) -> bool {
        if waiter.answer.as_ref().is_some_and(|a| a.request.reading != self.reading) {
            (waiter.answer, waiter.confirmation) = (None, None);
        }
        let number = waiter.number;
        if waiter.answer.is_none() {
            let answer = self.answer.as_ref();
            waiter.answer = answer.filter(|a| a.request.number >= number).cloned();
        }
        let answer = waiter.answer.as_ref();
        let covered = answer.filter(|answer| covers(&self.positions, &answer.ends));
        let Some(began) = covered.map(|answer| answer.request.began) else {
            return false;
        };
        if !self.is_ready() || self.doubt.is_some() || !self.is_confirmed(waiter, began, now) {
            return false;
        }
        self.complete = self.complete.max(Some(began));
        true
    }

    /// Returns whether end offsets requested at `began` still belong to the topic that was read.
    /// The topic may have been deleted and recreated during the wait, and the follower may have
    /// continued in the new one.
    fn is_confirmed(&mut self, waiter: &mut Waiter, began: Instant, now: Instant) -> bool {
        if let Some(confirmation) = waiter.confirmation {
            let answer = self.answer.as_ref();
            return answer.is_some_and(|answer| answer.request.number >= confirmation);
        }
        if now.duration_since(began) <= FRESH {
            return true;
        }
        self.requested = self.begun + 1;
        waiter.confirmation = Some(self.requested);
        false
    }

    /// Begins a request if one is wanted, or if the last one is at least `heartbeat` old.
    pub(super) fn begin(&mut self, now: Instant, heartbeat: Duration) -> Option<EndOffsetsRequest> {
        // Also during the first reading: the topic may be recreated in the meantime.
        let is_due = now.duration_since(self.last_begin) >= heartbeat;
        if self.requested <= self.begun && !is_due {
            return None;
        }
        self.begun += 1;
        self.requested = self.requested.max(self.begun);
        self.last_begin = now;
        Some(EndOffsetsRequest { number: self.begun, reading: self.reading, began: now })
    }

    /// Takes the result of a request. A failed request is repeated.
    pub(super) fn answer(
        &mut self,
        request: EndOffsetsRequest,
        found: Result<TableOffsets, String>,
    ) {
        if request.reading != self.reading {
            return;
        }
        match found {
            Ok(ends) => {
                let ends = Arc::new(ends);
                self.answer = Some(EndOffsetsAnswer { request, ends });
                (self.trouble, self.doubt) = (None, None);
                if self.is_ready() {
                    self.check_completeness(Instant::now());
                }
            }
            Err(cause) => {
                self.trouble = Some(cause);
                self.requested = self.begun + 1;
            }
        }
    }

    /// Notes that the topic may have been replaced. The table is not relied on until another
    /// request shows that it was not, or the topic is read again.
    pub(super) fn doubt(&mut self, request: EndOffsetsRequest, cause: String) {
        if request.reading == self.reading {
            self.doubt = Some(cause);
            self.requested = self.begun + 1;
        }
    }

    /// Starts a new reading, because the topic was replaced. Drops everything that is known of the
    /// old one.
    pub(super) fn restart(&mut self, cause: String, now: Instant) {
        let (waiting, begun) = (self.waiting, self.begun);
        *self = CatchUp {
            reading: self.reading.next(),
            requested: begun + 1,
            begun,
            waiting,
            restarted: Some(cause),
            ended: self.ended.take(),
            ..CatchUp::new(now)
        };
    }

    /// Returns what the follower must read.
    pub(super) fn assignment(&self) -> Assignment {
        let partitions = self.answer.as_ref().map_or(0, |answer| answer.ends.len());
        Assignment {
            reading: self.reading,
            partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
        }
    }

    /// Notes that the follower has published everything before these offsets. Only this makes a
    /// table ready.
    pub(super) fn reached(&mut self, reading: Reading, positions: &TableOffsets, now: Instant) {
        if reading != self.reading {
            return;
        }
        self.positions.clone_from(positions);
        self.check_completeness(now);
    }

    /// Returns the offsets before which the published snapshot contains everything.
    pub(super) fn positions(&self) -> TableOffsets {
        self.positions.clone()
    }

    /// Sets or clears the reason why the follower cannot continue reading.
    pub(super) fn obstacle(&mut self, reading: Reading, cause: Option<String>) {
        if reading == self.reading {
            self.obstacle = cause;
        }
    }

    pub(super) fn trouble(&mut self, cause: String) {
        self.trouble = Some(cause);
    }

    pub(super) fn ended(&mut self, cause: String) {
        self.ended = Some(cause);
    }

    fn cause(&self) -> Option<&str> {
        let causes = [&self.ended, &self.doubt, &self.obstacle, &self.trouble];
        causes.into_iter().find_map(|cause| cause.as_deref())
    }

    fn check_completeness(&mut self, now: Instant) {
        if self.doubt.is_some() {
            return;
        }
        let answer = self.answer.as_ref();
        if let Some(answer) = answer.filter(|answer| covers(&self.positions, &answer.ends)) {
            self.complete = self.complete.max(Some(answer.request.began));
            self.loaded.get_or_insert_with(|| now.duration_since(self.started));
        }
    }

    pub(super) fn target(&self) -> Option<EndOffsets> {
        let answer = self.answer.as_ref()?;
        let urgent = self.waiting > 0 || !self.is_ready();
        let target = EndOffsets { ends: Arc::clone(&answer.ends), urgent };
        let is_reached = self.is_ready() && covers(&self.positions, &answer.ends);
        (!is_reached).then_some(target)
    }

    #[cfg(test)]
    pub(super) fn has_waiting(&self, count: usize) -> bool {
        self.waiting == count
    }

    pub(super) fn is_ready(&self) -> bool {
        self.loaded.is_some()
    }

    pub(super) fn load_time(&self) -> Option<Duration> {
        self.loaded
    }

    pub(super) fn staleness(&self, now: Instant) -> Duration {
        now.duration_since(self.complete.unwrap_or(self.started))
    }

    pub(super) fn why_not_ready(&self) -> Option<String> {
        if self.is_ready() {
            return None;
        }
        Some(match (&self.restarted, self.cause()) {
            (Some(why), Some(cause)) => format!("{why}; it cannot be read again yet: {cause}"),
            (Some(why), None) => format!("{why}; it is being read again"),
            (None, Some(cause)) => format!("not read yet: {cause}"),
            (None, None) => "its topic is being read".to_string(),
        })
    }

    pub(super) fn why_not_trusted(&self, now: Instant, limit: Duration) -> Option<String> {
        let staleness = self.staleness(now);
        if !self.is_ready() {
            return self.why_not_ready();
        }
        if let Some(doubt) = &self.doubt {
            return Some(format!("{doubt}; checking again"));
        }
        (staleness > limit).then(|| {
            let seconds = staleness.as_secs();
            let cause = self.cause().unwrap_or("it is behind its topic");
            format!("not known to be complete for {seconds} s, the limit is {limit:?}: {cause}")
        })
    }

    /// Returns what a waiter waits for.
    pub(super) fn why_behind(&self, waiter: &Waiter) -> String {
        let cause = match self.cause() {
            Some(cause) => format!(" ({cause})"),
            None => String::new(),
        };
        let Some(answer) = &waiter.answer else {
            return format!("the ends of its topic are not known{cause}");
        };
        let behind = answer.ends.iter().find_map(|(partition, end)| {
            let position = position(&self.positions, *partition);
            (position < *end).then(|| {
                format!("partition {partition} is read up to {position}, its end was {end}")
            })
        });
        let confirming = || "a second look-up must confirm that its topic is the same".to_string();
        behind.unwrap_or_else(confirming) + &cause
    }
}
