//! What can go wrong, how often in this run, and what did. Each run draws its own rates, so that some
//! see one fault often and others see many kinds mixed. It injects nothing itself: the places where a
//! fault can strike ask [`Faults::strikes`].

use std::cell::{Cell, RefCell};

use super::random::Random;

/// Declares a closed set whose members are counted.
macro_rules! counted {
    ($(#[$outer:meta])* $type:ident { $($(#[$inner:meta])* $variant:ident,)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type { $($(#[$inner])* $variant,)+ }

        impl $type {
            pub const ALL: &'static [$type] = &[$($type::$variant,)+];
        }
    };
}

counted! {
    /// What the simulation does to the workers.
    Fault {
        /// A record is not accepted.
        ProduceAborts,
        /// The producer meets a fatal error while records are sent.
        ProduceBreaks,
        /// The positions are not accepted.
        OffsetsAbort,
        /// The producer meets a fatal error while the positions are sent.
        OffsetsBreak,
        /// The commit fails before it is sent.
        CommitAborts,
        /// The commit is done, its answer is lost.
        CommitAnswerLost,
        /// The commit never arrives, and the worker cannot know.
        CommitLost,
        /// The commit arrives later than the worker waits.
        CommitDelayed,
        /// The commit is done, its answer is lost, and a copy of it arrives once more, later.
        CommitRepeated,
        /// An abort fails, done or not.
        AbortFails,
        /// No new producer can be had.
        RebuildFails,
        /// The new producer gets its epoch, and the answer is lost.
        RebuildAnswerLost,
        /// No partition can be moved.
        RewindFails,
        /// Some partitions are moved, then the rest fails.
        RewindHalfFails,
        /// The process dies between two calls to the broker.
        Crash,
        /// The process stands still for long between two calls to the broker, then goes on.
        StandstillInTurn,
        /// The process stands still for long between two turns.
        StandstillBetweenTurns,
        /// The group throws out a member that is well.
        Expelled,
        /// A worker is asked to stop, and leaves.
        AskedToStop,
        /// One more instance joins.
        Joined,
        /// An instance is started again while its predecessor still runs.
        StartedTwice,
        /// Somebody else takes the transactional id for a moment.
        IdTaken,
        /// The group rebalances for no reason.
        Rebalanced,
        /// The input topic grows by a partition.
        PartitionAdded,
        /// The markers that end a transaction are written late.
        MarkersLate,
        /// A record that was fetched before a rebalance is handed over before the news of it.
        RecordBeforeNews,
        /// The reference table has not been heard of for too long.
        TableStale,
        /// The reference table does not catch up in time.
        TableStuck,
    }
}

counted! {
    /// What must also have happened for the runs to mean something.
    Sight {
        TransactionTimedOut,
        ProducerFenced,
        MembershipRefused,
        NoMembership,
        StaleEndRefused,
        OffsetsUnstable,
        PartitionsRevoked,
        PartitionsLost,
        BatchForgotten,
        StaticMemberReplaced,
        ConsumerFenced,
        LeftInOrder,
        GaveUp,
        CommitUnreported,
        OnlyPositionsCommitted,
        TableLagged,
    }
}

/// How often each fault and sight occurred.
#[derive(Debug, Clone)]
pub struct Coverage {
    faults: Vec<u64>,
    sights: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        Coverage {
            faults: vec![0; Fault::ALL.len()],
            sights: vec![0; Sight::ALL.len()],
        }
    }
}

impl Coverage {
    pub fn add(&mut self, other: &Coverage) {
        let add = |sums: &mut [u64], counts: &[u64]| {
            sums.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
        };
        add(&mut self.faults, &other.faults);
        add(&mut self.sights, &other.sights);
    }

    /// Every kind with its count, named.
    pub fn counts(&self) -> Vec<(String, u64)> {
        let faults = Fault::ALL.iter().map(|fault| format!("{fault:?}"));
        let sights = Sight::ALL.iter().map(|sight| format!("{sight:?}"));
        let counts = self.faults.iter().chain(&self.sights).copied();
        faults.chain(sights).zip(counts).collect()
    }
}

/// The faults of one run.
#[derive(Debug)]
pub struct Faults {
    on: Cell<bool>,
    per_mille: Vec<u32>,
    coverage: RefCell<Coverage>,
    log: Option<RefCell<Vec<String>>>,
}

impl Faults {
    /// Draws how often each fault strikes where it can. With `logged`, a log is kept.
    pub fn draw(random: &Random, logged: bool) -> Self {
        let rate = |_: &Fault| [0, 0, 5, 20, 60, 200][random.below(6)];
        Faults {
            on: Cell::new(true),
            per_mille: Fault::ALL.iter().map(rate).collect(),
            coverage: RefCell::default(),
            log: logged.then(RefCell::default),
        }
    }

    /// From here on nothing fails by itself.
    pub fn stop(&self) {
        self.on.set(false);
    }

    pub fn are_on(&self) -> bool {
        self.on.get()
    }

    /// Whether the fault strikes here and now, at a fraction of its rate where there are many places.
    pub fn strikes_one_in(&self, places: usize, fault: Fault, random: &Random) -> bool {
        let rate = self.per_mille[fault as usize];
        let struck = self.on.get() && random.happens(rate) && random.below(places) == 0;
        if struck {
            self.coverage.borrow_mut().faults[fault as usize] += 1;
        }
        struck
    }

    /// Whether the fault strikes here and now.
    pub fn strikes(&self, fault: Fault, random: &Random) -> bool {
        self.strikes_one_in(1, fault, random)
    }

    pub fn saw(&self, sight: Sight) {
        self.saw_so_often(sight, 1);
    }

    pub fn saw_so_often(&self, sight: Sight, times: u64) {
        self.coverage.borrow_mut().sights[sight as usize] += times;
    }

    /// Adds a line to the log, if one is kept.
    pub fn log(&self, line: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            log.borrow_mut().push(line());
        }
    }

    pub fn coverage(&self) -> Coverage {
        self.coverage.borrow().clone()
    }

    pub fn take_log(&self) -> Vec<String> {
        self.log.as_ref().map(RefCell::take).unwrap_or_default()
    }
}
