//! How far the snapshot of one table is behind its topic, and who waits for it. Plain data that
//! changes under the lock of its owner; it waits for nothing itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Offsets;
use super::look_up::{Answer, Assignment, FRESH, LookUp, Reading, Target, Wait, covers, position};

#[derive(Debug)]
pub(super) struct Standing {
    started: Instant,
    reading: Reading,
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
    /// What keeps the follower from reading on. Look-ups do not change it.
    obstacle: Option<String>,
    /// Why the topic may be no longer the one that was read.
    doubt: Option<String>,
    /// Why it is read anew.
    anew: Option<String>,
    /// What does not pass: the topic is not followed any more.
    ended: Option<String>,
}

impl Standing {
    /// A table of which nothing was read; its first look-up is asked for already.
    pub(super) fn new(now: Instant) -> Self {
        Standing {
            started: now,
            reading: Reading::default(),
            requested: 1,
            begun: 0,
            last_begin: now,
            answer: None,
            positions: Offsets::new(),
            waiting: 0,
            loaded: None,
            complete: None,
            trouble: None,
            obstacle: None,
            doubt: None,
            anew: None,
            ended: None,
        }
    }

    /// Asks for a look-up that is yet to begin.
    pub(super) fn request(&mut self) -> Wait {
        self.requested = self.begun + 1;
        self.waiting += 1;
        Wait { number: self.requested, answer: None, confirmation: None }
    }

    /// How many look-ups were ever asked for.
    pub(super) fn requested(&self) -> u64 {
        self.requested
    }

    /// One who waited does so no more.
    pub(super) fn withdraw(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Whether what is waited for is there. It may ask for another look-up.
    pub(super) fn is_met(&mut self, wait: &mut Wait, now: Instant) -> bool {
        if wait.answer.as_ref().is_some_and(|a| a.look_up.reading != self.reading) {
            (wait.answer, wait.confirmation) = (None, None);
        }
        let number = wait.number;
        if wait.answer.is_none() {
            let answer = self.answer.as_ref();
            wait.answer = answer.filter(|a| a.look_up.number >= number).cloned();
        }
        let answer = wait.answer.as_ref();
        let covered = answer.filter(|answer| covers(&self.positions, &answer.ends));
        let Some(began) = covered.map(|answer| answer.look_up.began) else {
            return false;
        };
        if !self.is_ready() || self.doubt.is_some() || !self.is_confirmed(wait, began, now) {
            return false;
        }
        self.complete = self.complete.max(Some(began));
        true
    }

    /// Whether ends that were looked up then are still those of the topic that was read: somebody
    /// may have deleted it and made another while they were waited for, and the follower may
    /// have gone on in that one.
    fn is_confirmed(&mut self, wait: &mut Wait, began: Instant, now: Instant) -> bool {
        if let Some(confirmation) = wait.confirmation {
            let answer = self.answer.as_ref();
            return answer.is_some_and(|answer| answer.look_up.number >= confirmation);
        }
        if now.duration_since(began) <= FRESH {
            return true;
        }
        self.requested = self.begun + 1;
        wait.confirmation = Some(self.requested);
        false
    }

    /// Begins a look-up if one is asked for, or due because the last one is so long ago.
    pub(super) fn begin(&mut self, now: Instant, heartbeat: Duration) -> Option<LookUp> {
        // Also while it is read for the first time: its topic may be made anew meanwhile.
        let is_due = now.duration_since(self.last_begin) >= heartbeat;
        if self.requested <= self.begun && !is_due {
            return None;
        }
        self.begun += 1;
        self.requested = self.requested.max(self.begun);
        self.last_begin = now;
        Some(LookUp { number: self.begun, reading: self.reading, began: now })
    }

    /// Takes what a look-up found; one that found nothing is asked for again.
    pub(super) fn answer(&mut self, look_up: LookUp, found: Result<Offsets, String>) {
        if look_up.reading != self.reading {
            return;
        }
        match found {
            Ok(ends) => {
                let ends = Arc::new(ends);
                self.answer = Some(Answer { look_up, ends });
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

    /// A look-up found that the topic may be no longer the one that was read. The table is not
    /// relied on until another look-up shows that it is, or the topic is read anew.
    pub(super) fn doubt(&mut self, look_up: LookUp, cause: String) {
        if look_up.reading == self.reading {
            self.doubt = Some(cause);
            self.requested = self.begun + 1;
        }
    }

    /// The topic is no longer the one that was read: nothing that is known of it counts any more.
    pub(super) fn read_anew(&mut self, cause: String, now: Instant) {
        let (waiting, begun) = (self.waiting, self.begun);
        *self = Standing {
            reading: self.reading.next(),
            requested: begun + 1,
            begun,
            waiting,
            anew: Some(cause),
            ended: self.ended.take(),
            ..Standing::new(now)
        };
    }

    /// What there is to read.
    pub(super) fn assignment(&self) -> Assignment {
        let partitions = self.answer.as_ref().map_or(0, |answer| answer.ends.len());
        Assignment {
            reading: self.reading,
            partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
        }
    }

    /// The follower has published all that is before these offsets; only so does a table become
    /// ready.
    pub(super) fn reached(&mut self, reading: Reading, positions: &Offsets, now: Instant) {
        if reading != self.reading {
            return;
        }
        self.positions.clone_from(positions);
        self.check_completeness(now);
    }

    /// The offsets up to which the published snapshot holds everything.
    pub(super) fn positions(&self) -> Offsets {
        self.positions.clone()
    }

    /// What keeps the follower from reading on, or that nothing does.
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
            self.complete = self.complete.max(Some(answer.look_up.began));
            self.loaded.get_or_insert_with(|| now.duration_since(self.started));
        }
    }

    pub(super) fn target(&self) -> Option<Target> {
        let answer = self.answer.as_ref()?;
        let target =
            Target { ends: Arc::clone(&answer.ends), urgent: self.waiting > 0 || !self.is_ready() };
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
        Some(match (&self.anew, self.cause()) {
            (Some(anew), Some(cause)) => format!("{anew}, and it is not read anew yet: {cause}"),
            (Some(anew), None) => format!("{anew}; it is being read anew"),
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
            return Some(format!("{doubt}; looking again"));
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
        let confirming = || "it must be looked up once more that its topic is the same".to_string();
        behind.unwrap_or_else(confirming) + &cause
    }
}
