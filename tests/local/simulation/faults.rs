//! What can go wrong, how often in this run, and what did. It injects nothing itself: the places
//! where a fault can strike ask [`Faults::strikes_one_in`]. How a run's rates are drawn is in
//! `plan.rs`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::client::ClientId;
use super::coverage::Coverage;
use super::plan::Plan;
use audit_testkit::random::Random;

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
        /// The client sends the positions twice by itself, and the first copy arrives later.
        OffsetsSentTwice,
        /// Sending the positions fails, and a copy of the request arrives later.
        OffsetsFailLate,
        /// For a while no transaction with more than a few outputs succeeds.
        LargeBatchFails,
        /// A record's output is not accepted for a while, however often it is tried.
        OutputRefused,
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
        /// The client sends the commit twice by itself and reports success; the first copy arrives
        /// later.
        CommitSentTwice,
        /// An abort fails, done or not.
        AbortFails,
        /// The abort arrives later than the worker waits.
        AbortDelayed,
        /// The client sends the abort twice by itself and reports success; the first copy arrives
        /// later.
        AbortSentTwice,
        /// No new producer can be had.
        RebuildFails,
        /// The new producer gets its epoch, and the answer is lost.
        RebuildAnswerLost,
        /// No partition can be moved.
        RewindFails,
        /// One partition cannot be moved, the others are.
        RewindHalfFails,
        /// The group names an older position than the one that it confirmed.
        PositionsStale,
        /// The process dies between two calls to the broker.
        Crash,
        /// The process stands still for long between two calls to the broker, then goes on.
        StandstillInTurn,
        /// The process is busy for so long that its client leaves the group.
        PollsTooSeldom,
        /// The markers that end a transaction are written late.
        MarkersLate,
        /// Records that were fetched before a rebalance are handed over before the news of it.
        RecordBeforeNews,
        /// A record is handed over a second time, with what follows it.
        RecordTwice,
        /// The client goes back to the beginning of a partition by itself, perhaps before anything
        /// of it was read.
        ClientReset,
        /// A partition cannot be read for a while; after each error the client goes back to its
        /// beginning.
        PartitionUnreadable,
        /// A reference table hears nothing from its topic for a while.
        TableSilent,
        /// A reference table does not catch up in time, for a while.
        TableStuck,
        /// The process stands still for long between two turns.
        StandstillBetweenTurns,
        /// The group throws out a member that is well.
        Expelled,
        /// A client hears nothing of its group any more, and does not know.
        StaleMember,
        /// A worker is asked to stop, and leaves.
        AskedToStop,
        /// One more instance joins.
        Joined,
        /// An instance is started again while its predecessor still runs.
        StartedTwice,
        /// Another process takes the transactional id for a moment.
        IdTaken,
        /// The group rebalances for no reason.
        Rebalanced,
        /// The input topic grows by a partition.
        PartitionAdded,
    }
}

impl Fault {
    /// Faults that strike the world, at any moment of anybody's turn.
    pub const WORLDLY: &'static [Fault] = &[
        Fault::StandstillBetweenTurns,
        Fault::Expelled,
        Fault::StaleMember,
        Fault::AskedToStop,
        Fault::Joined,
        Fault::StartedTwice,
        Fault::IdTaken,
        Fault::Rebalanced,
        Fault::PartitionAdded,
    ];

    /// What makes a request arrive in a later transaction than its own.
    const RESENT: u64 = 1 << Fault::OffsetsSentTwice as u32
        | 1 << Fault::OffsetsFailLate as u32
        | 1 << Fault::CommitSentTwice as u32
        | 1 << Fault::AbortSentTwice as u32;

    /// A fault that brings a worker to where this one can strike.
    pub fn led_to_by(self) -> Option<Fault> {
        use Fault::{AbortDelayed, AbortFails, AbortSentTwice, RebuildAnswerLost, RebuildFails};
        match self {
            AbortFails | AbortDelayed | AbortSentTwice => Some(Fault::CommitAborts),
            RebuildFails | RebuildAnswerLost => Some(Fault::CommitLost),
            Fault::RewindFails | Fault::RewindHalfFails | Fault::PositionsStale => {
                Some(Fault::CommitAborts)
            }
            _ => None,
        }
    }

    /// Whether a process that was struck by this one lives long enough to be struck by the other.
    pub fn may_precede(self, later: Fault) -> bool {
        match self {
            Fault::Crash | Fault::AskedToStop => false,
            Fault::StartedTwice => later != Fault::StartedTwice,
            _ => true,
        }
    }
}

counted! {
    /// What a worker waits for when others act.
    Moment {
        Polling,
        Producing,
        SendingPositions,
        Committing,
        Committed,
        Aborting,
        Rebuilding,
        Rewinding,
        AwaitingTables,
        Pausing,
    }
}

counted! {
    /// What must also have happened for the runs to mean something.
    Sight {
        TransactionTimedOut,
        ProducerFenced,
        MembershipRefused,
        /// A commit was not even tried, for nobody would have spoken.
        NoMembership,
        /// The client knew of a loss, and the worker had not heard of it, when the membership was
        /// asked for.
        LossKnownToClientOnly,
        /// The assignment was lost while a transaction was open.
        LostInTransaction,
        StaleRequestRefused,
        /// A commit arrived that its sender had given up, and was done.
        LateCommitDone,
        /// An abort arrived that its sender had given up, and was done.
        LateAbortDone,
        OffsetsUnstable,
        /// Going back had to wait for another's open transaction.
        RewindWaited,
        /// Going back failed, and succeeded later.
        RewindSucceededLater,
        /// The new epoch ended a transaction whose commit was in doubt.
        DoubtAborted,
        /// The commit in doubt was done when the new epoch was had.
        DoubtCommitted,
        /// A producer was replaced because a request had been sent twice.
        EpochRenewed,
        /// Two processes took the same transactional id from each other in turn.
        IdAlternated,
        /// A process gave up while another of the same name went on.
        TwinGaveUp,
        PartitionsRevoked,
        PartitionsLost,
        BatchForgotten,
        StaticMemberReplaced,
        /// A poll told that another process has this place in the group.
        ConsumerFenced,
        /// The same was seen before a poll told it, when a producer was to be built.
        ConsumerFencedUntold,
        LeftInOrder,
        GaveUp,
        /// A worker noticed that its client hears nothing.
        StaleMemberGaveUp,
        CommitUnreported,
        OnlyPositionsCommitted,
        SeveralRecordsAtOnce,
        TableLagged,
        /// A table was silent, and not yet for too long.
        TableSilentAndTrusted,
        TableStale,
        /// The tables held a batch three times in a row.
        HeldForLong,
        /// The barrier was met only after the records had been read again.
        BarrierMetAtLast,
        /// What the tables held was taken away before they caught up.
        HeldThenTakenAway,
        /// A transaction was larger than what ever gets through.
        QuotaExceeded,
        /// A partition was held.
        PartitionHeld,
        /// It was held several times in a row.
        PartitionHeldForLong,
        DamagePassedOver,
        /// It went on.
        PartitionReleased,
        /// Others were committed while it was held.
        OthersWentOn,
    }
}

/// Whom a fault struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    Client(ClientId),
    Everybody,
}

/// The faults of one run.
#[derive(Debug)]
pub struct Faults {
    on: Cell<bool>,
    plan: Plan,
    coverage: RefCell<Coverage>,
    /// Living clients: what struck them since their last commit, a bit for each fault.
    unhealed: RefCell<BTreeMap<ClientId, u64>>,
    moments: RefCell<BTreeMap<ClientId, Moment>>,
    log: Option<RefCell<Vec<String>>>,
}

impl Faults {
    /// With `logged`, a log is kept.
    pub fn new(plan: Plan, logged: bool) -> Self {
        Faults {
            on: Cell::new(true),
            plan,
            coverage: RefCell::default(),
            unhealed: RefCell::default(),
            moments: RefCell::default(),
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

    /// Whether the fault strikes here and now, at a fraction of its rate where there are many
    /// places.
    pub fn strikes_one_in(&self, places: usize, fault: Fault, random: &Random) -> bool {
        let rate = self.plan.per_mille(fault);
        self.on.get() && random.per_mille(rate) && random.index(places) == 0
    }

    /// Counts a fault that struck.
    pub fn struck(&self, fault: Fault, whom: Whom) {
        let mut coverage = self.coverage.borrow_mut();
        coverage.struck(fault);
        for (client, unhealed) in self.unhealed.borrow_mut().iter_mut() {
            if whom == Whom::Everybody || whom == Whom::Client(*client) {
                coverage.struck_after(*unhealed, fault);
                *unhealed |= 1 << fault as u32;
            }
        }
        for moment in self.moments.borrow().values() {
            coverage.struck_in(*moment, fault);
        }
    }

    pub fn begins(&self, client: ClientId) {
        self.unhealed.borrow_mut().insert(client, 0);
    }

    /// The client committed: it got over what had struck it, except that what was sent twice in
    /// this epoch may still arrive.
    pub fn heals(&self, client: ClientId, epoch_goes_on: bool) {
        if let Some(unhealed) = self.unhealed.borrow_mut().get_mut(&client) {
            *unhealed &= if epoch_goes_on { Fault::RESENT } else { 0 };
        }
    }

    pub fn ends(&self, client: ClientId) {
        self.unhealed.borrow_mut().remove(&client);
        self.moments.borrow_mut().remove(&client);
    }

    pub fn is_in(&self, client: ClientId, moment: Option<Moment>) {
        let mut moments = self.moments.borrow_mut();
        match moment {
            Some(moment) => drop(moments.insert(client, moment)),
            None => drop(moments.remove(&client)),
        }
    }

    pub fn saw(&self, sight: Sight) {
        self.saw_so_often(sight, 1);
    }

    pub fn saw_so_often(&self, sight: Sight, times: u64) {
        self.coverage.borrow_mut().saw(sight, times);
    }

    /// Adds a line to the log, if one is kept.
    pub fn log(&self, line: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            let line = line();
            log.borrow_mut().push(line);
        }
    }

    pub fn coverage(&self) -> Coverage {
        self.coverage.borrow().clone()
    }

    pub fn take_log(&self) -> Vec<String> {
        self.log.as_ref().map(RefCell::take).unwrap_or_default()
    }
}
