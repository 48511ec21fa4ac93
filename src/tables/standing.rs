//! How far the snapshot of one table is behind its topic, and who waits for it. Plain data that changes
//! under the lock of its owner; it waits for nothing itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Offsets;

/// A look-up of the ends of a table's topic that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookUp {
    /// Look-ups are numbered in the order in which they begin.
    number: u64,
    began: Instant,
}

/// Ends that the snapshot has not reached yet.
#[derive(Debug, Clone)]
pub struct Target {
    /// The ends.
    pub ends: Arc<Offsets>,
    /// Whether somebody waits for them.
    pub urgent: bool,
}

/// What a look-up found.
#[derive(Debug, Clone)]
struct Answer {
    look_up: LookUp,
    ends: Arc<Offsets>,
}

/// One who waits until a table has caught up.
#[derive(Debug)]
pub(super) struct Wait {
    /// The first look-up that began after the request.
    number: u64,
    /// Once known, it stays: ends that move on are not run after.
    answer: Option<Answer>,
}

#[derive(Debug)]
pub(super) struct Standing {
    started: Instant,
    /// The last look-up that is asked for, and the last that has begun.
    requested: u64,
    begun: u64,
    last_begin: Instant,
    answer: Option<Answer>,
    positions: Offsets,
    waiting: usize,
    loaded: Option<Duration>,
    /// The snapshot holds everything that the topic held at this moment.
    complete: Option<Instant>,
    /// What may pass, until the next look-up succeeds.
    trouble: Option<String>,
    /// What does not pass: the topic is not followed any more.
    ended: Option<String>,
}

impl Standing {
    /// A table of which nothing was read; its first look-up is asked for already.
    pub(super) fn new(now: Instant) -> Self {
        Standing {
            started: now,
            requested: 1,
            begun: 0,
            last_begin: now,
            answer: None,
            positions: Offsets::new(),
            waiting: 0,
            loaded: None,
            complete: None,
            trouble: None,
            ended: None,
        }
    }

    /// Asks for a look-up that is yet to begin.
    pub(super) fn request(&mut self) -> Wait {
        self.requested = self.begun + 1;
        self.waiting += 1;
        Wait {
            number: self.requested,
            answer: None,
        }
    }

    /// One who waited does so no more.
    pub(super) fn withdraw(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Whether what is waited for is there.
    pub(super) fn is_met(&mut self, wait: &mut Wait) -> bool {
        let number = wait.number;
        if wait.answer.is_none() {
            let answer = self.answer.as_ref();
            wait.answer = answer.filter(|a| a.look_up.number >= number).cloned();
        }
        let answer = wait.answer.as_ref();
        let met = answer.filter(|answer| covers(&self.positions, &answer.ends));
        if let Some(answer) = met {
            self.complete = self.complete.max(Some(answer.look_up.began));
        }
        met.is_some()
    }

    /// Begins a look-up if one is asked for, or due because the last one is so long ago.
    pub(super) fn begin(&mut self, now: Instant, heartbeat: Duration) -> Option<LookUp> {
        let is_due = self.is_ready() && now.duration_since(self.last_begin) >= heartbeat;
        if self.requested <= self.begun && !is_due {
            return None;
        }
        self.begun += 1;
        self.requested = self.requested.max(self.begun);
        self.last_begin = now;
        Some(LookUp {
            number: self.begun,
            began: now,
        })
    }

    /// Takes what a look-up found; one that found nothing is asked for again.
    pub(super) fn answer(&mut self, look_up: LookUp, found: Result<Offsets, String>) {
        match found {
            Ok(ends) => {
                let ends = Arc::new(ends);
                self.answer = Some(Answer { look_up, ends });
                self.trouble = None;
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

    /// The follower has published all that is before these offsets; only so does a table become ready.
    pub(super) fn reached(&mut self, positions: &Offsets, now: Instant) {
        self.positions.clone_from(positions);
        self.check_completeness(now);
    }

    pub(super) fn trouble(&mut self, cause: String) {
        self.trouble = Some(cause);
    }

    pub(super) fn ended(&mut self, cause: String) {
        self.ended = Some(cause);
    }

    fn cause(&self) -> Option<&str> {
        self.ended.as_deref().or(self.trouble.as_deref())
    }

    fn check_completeness(&mut self, now: Instant) {
        let answer = self.answer.as_ref();
        if let Some(answer) = answer.filter(|answer| covers(&self.positions, &answer.ends)) {
            self.complete = self.complete.max(Some(answer.look_up.began));
            self.loaded
                .get_or_insert_with(|| now.duration_since(self.started));
        }
    }

    pub(super) fn target(&self) -> Option<Target> {
        let answer = self.answer.as_ref()?;
        let target = Target {
            ends: Arc::clone(&answer.ends),
            urgent: self.waiting > 0 || !self.is_ready(),
        };
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
        Some(match self.cause() {
            Some(cause) => format!("not read yet: {cause}"),
            None => "its topic is being read".to_string(),
        })
    }

    pub(super) fn why_not_trusted(&self, now: Instant, limit: Duration) -> Option<String> {
        let staleness = self.staleness(now);
        if !self.is_ready() {
            return self.why_not_ready();
        }
        (staleness > limit).then(|| {
            let seconds = staleness.as_secs();
            let cause = self.cause().unwrap_or("it is behind its topic");
            format!("not known to be complete for {seconds} s, the limit is {limit:?}: {cause}")
        })
    }

    /// What keeps someone waiting.
    pub(super) fn why_behind(&self, wait: &Wait) -> String {
        let cause = match self.cause() {
            Some(cause) => format!(" ({cause})"),
            None => String::new(),
        };
        let Some(answer) = &wait.answer else {
            return format!("the ends of its topic are not known{cause}");
        };
        let behind = answer.ends.iter().find_map(|(partition, end)| {
            let position = position(&self.positions, *partition);
            (position < *end).then(|| {
                format!("partition {partition} is read up to {position}, its end was {end}")
            })
        });
        behind.unwrap_or_default() + &cause
    }
}

fn position(positions: &Offsets, partition: i32) -> i64 {
    positions.get(&partition).copied().unwrap_or(0)
}

/// Whether everything before these ends was read.
fn covers(positions: &Offsets, ends: &Offsets) -> bool {
    let mut ends = ends.iter();
    ends.all(|(partition, end)| position(positions, *partition) >= *end)
}
