//! Lists the faults that can be injected and the probes that runs must hit, and keeps what one run
//! injected and hit. Nothing is injected here: the code at each injection point asks
//! [`Faults::is_due`]. `plan.rs` draws the rates of a run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::client::ClientId;
use super::coverage::Coverage;
use super::plan::Plan;
use audit_testkit::random::Random;

/// Declares a closed set of things that are counted.
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
    /// What the simulation injects.
    Fault {
        /// A record is not accepted.
        ProduceAborts,
        /// The producer fails with a fatal error while records are sent.
        ProduceBreaks,
        /// The positions are not accepted.
        OffsetsAbort,
        /// The producer fails with a fatal error while the positions are sent.
        OffsetsBreak,
        /// The client sends the positions twice by itself, and the first copy arrives later.
        OffsetsSentTwice,
        /// Sending the positions fails, and a copy of the request arrives later.
        OffsetsFailLate,
        /// For a while no transaction with more than a few outputs succeeds.
        LargeBatchFails,
        /// The output of one record is not accepted for a while, even when it is retried.
        OutputRefused,
        /// The commit fails before it is sent.
        CommitAborts,
        /// The commit is done, but its answer is lost.
        CommitAnswerLost,
        /// The commit never arrives, and the worker cannot tell.
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
        /// Creating a new producer fails.
        RebuildFails,
        /// The broker assigns a new epoch, but its answer is lost.
        RebuildAnswerLost,
        /// No partition can be rewound.
        RewindFails,
        /// One partition cannot be rewound; the others are.
        RewindHalfFails,
        /// The group returns an older position than the last one that it confirmed.
        PositionsStale,
        /// The process dies between two calls to the broker.
        Crash,
        /// The process freezes for long between two calls to the broker, then continues.
        FrozenInTurn,
        /// The process is busy for so long that its client leaves the group.
        PollsTooSeldom,
        /// The markers that end a transaction are written late.
        MarkersLate,
        /// Records that were fetched before a rebalance are handed over before the news of it.
        RecordBeforeNews,
        /// A record is handed over a second time, with what follows it.
        RecordTwice,
        /// The client resets to the beginning of a partition by itself, possibly before it read any
        /// record of it.
        ClientReset,
        /// A partition cannot be read for a while; after each error the client resets to its
        /// beginning.
        PartitionUnreadable,
        /// A reference table receives nothing from its topic for a while.
        TableSilent,
        /// A reference table does not catch up in time, for a while.
        TableStuck,
        /// The process freezes for long between two turns.
        FrozenBetweenTurns,
        /// The group expels a healthy member.
        Expelled,
        /// A client receives nothing from its group any more, and cannot tell.
        StaleMember,
        /// A worker is asked to stop, and leaves.
        StopRequested,
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
    /// Faults that come from outside a worker, at any moment of any worker's turn.
    pub const EXTERNAL: &'static [Fault] = &[
        Fault::FrozenBetweenTurns,
        Fault::Expelled,
        Fault::StaleMember,
        Fault::StopRequested,
        Fault::Joined,
        Fault::StartedTwice,
        Fault::IdTaken,
        Fault::Rebalanced,
        Fault::PartitionAdded,
    ];

    /// Faults that make a request arrive in a later transaction than its own.
    const RESENT: u64 = 1 << Fault::OffsetsSentTwice as u32
        | 1 << Fault::OffsetsFailLate as u32
        | 1 << Fault::CommitSentTwice as u32
        | 1 << Fault::AbortSentTwice as u32;

    /// The fault that brings a worker to the point where this one can be injected.
    pub fn prerequisite(self) -> Option<Fault> {
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

    /// Whether a process survives this fault long enough for the later one to be injected.
    pub fn may_precede(self, later: Fault) -> bool {
        match self {
            Fault::Crash | Fault::StopRequested => false,
            Fault::StartedTwice => later != Fault::StartedTwice,
            _ => true,
        }
    }
}

counted! {
    /// The point of a worker's turn at which it is interrupted and others act.
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
    /// Situations that the runs must reach as well, as evidence that they test what they should.
    Probe {
        TransactionTimedOut,
        ProducerFenced,
        MembershipRefused,
        /// A commit was not attempted because the worker had no membership.
        NoMembership,
        /// The worker asked for the membership when the client knew of a loss that it had not
        /// delivered yet.
        LossNotYetDelivered,
        /// The assignment was lost while a transaction was open.
        LostInTransaction,
        StaleRequestRefused,
        /// A commit that its sender had given up arrived and was done.
        LateCommitDone,
        /// An abort that its sender had given up arrived and was done.
        LateAbortDone,
        OffsetsUnstable,
        /// A rewind had to wait for another process's open transaction.
        RewindWaited,
        /// A rewind failed, and a later one succeeded.
        RewindSucceededLater,
        /// The new epoch aborted a transaction whose commit result was unknown.
        DoubtAborted,
        /// The commit whose result was unknown had been done before the new epoch was assigned.
        DoubtCommitted,
        /// A producer was replaced because a request may have been sent twice.
        EpochRenewed,
        /// Two processes took a transactional id from each other alternately.
        IdAlternated,
        /// A process gave up while another of the same name continued.
        TwinGaveUp,
        PartitionsRevoked,
        PartitionsLost,
        BatchDropped,
        StaticMemberReplaced,
        /// A poll reported that another process has taken this member's place in the group.
        ConsumerFenced,
        /// The worker found this out before a poll reported it, when it was to build a producer.
        ConsumerFencedBeforePoll,
        LeftCleanly,
        GaveUp,
        /// A worker noticed that its client is a stale member, and gave up.
        StaleMemberGaveUp,
        CommitUnreported,
        OnlyPositionsCommitted,
        SeveralRecordsAtOnce,
        TableLagged,
        /// A table was silent, but not yet for too long.
        TableSilentAndTrusted,
        TableStale,
        /// The tables held a batch three times in a row.
        HeldForLong,
        /// The barrier was met only after the records had been read again.
        BarrierMetAfterRetry,
        /// The partitions of a held batch were taken away before the tables caught up.
        HeldThenRevoked,
        /// A transaction was larger than the quota ever lets through.
        QuotaExceeded,
        /// A partition was held.
        PartitionHeld,
        /// A partition was held several times in a row.
        PartitionHeldForLong,
        DamagePassedOver,
        /// A held partition was released.
        PartitionReleased,
        /// Other partitions were committed while one was held.
        OthersCommittedMeanwhile,
    }
}

/// Which clients a fault was injected into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Client(ClientId),
    All,
}

/// The faults of one run.
#[derive(Debug)]
pub struct Faults {
    on: Cell<bool>,
    plan: Plan,
    coverage: RefCell<Coverage>,
    /// For each living client, the faults injected since its last commit, as a bit set.
    unrecovered: RefCell<BTreeMap<ClientId, u64>>,
    moments: RefCell<BTreeMap<ClientId, Moment>>,
    log: Option<RefCell<Vec<String>>>,
}

impl Faults {
    /// Keeps a log if `logged`.
    pub fn new(plan: Plan, logged: bool) -> Self {
        Faults {
            on: Cell::new(true),
            plan,
            coverage: RefCell::default(),
            unrecovered: RefCell::default(),
            moments: RefCell::default(),
            log: logged.then(RefCell::default),
        }
    }

    /// Stops all injection.
    pub fn stop(&self) {
        self.on.set(false);
    }

    pub fn are_on(&self) -> bool {
        self.on.get()
    }

    /// Decides whether to inject the fault here. `places` divides its rate at an injection point
    /// that is passed often.
    pub fn is_due(&self, places: usize, fault: Fault, random: &Random) -> bool {
        let rate = self.plan.per_mille(fault);
        self.on.get() && random.per_mille(rate) && random.index(places) == 0
    }

    /// Counts an injected fault.
    pub fn injected(&self, fault: Fault, target: Target) {
        let mut coverage = self.coverage.borrow_mut();
        coverage.injected(fault);
        for (client, unrecovered) in self.unrecovered.borrow_mut().iter_mut() {
            if target == Target::All || target == Target::Client(*client) {
                coverage.injected_after(*unrecovered, fault);
                *unrecovered |= 1 << fault as u32;
            }
        }
        for moment in self.moments.borrow().values() {
            coverage.injected_in(*moment, fault);
        }
    }

    pub fn client_started(&self, client: ClientId) {
        self.unrecovered.borrow_mut().insert(client, 0);
    }

    /// The client committed, and so has recovered. If its producer may have sent requests twice
    /// in this epoch (`resent`), these faults may still have an effect.
    pub fn recovered(&self, client: ClientId, resent: bool) {
        if let Some(unrecovered) = self.unrecovered.borrow_mut().get_mut(&client) {
            *unrecovered &= if resent { Fault::RESENT } else { 0 };
        }
    }

    pub fn client_ended(&self, client: ClientId) {
        self.unrecovered.borrow_mut().remove(&client);
        self.moments.borrow_mut().remove(&client);
    }

    pub fn set_moment(&self, client: ClientId, moment: Option<Moment>) {
        let mut moments = self.moments.borrow_mut();
        match moment {
            Some(moment) => drop(moments.insert(client, moment)),
            None => drop(moments.remove(&client)),
        }
    }

    pub fn hit(&self, probe: Probe) {
        self.hit_times(probe, 1);
    }

    pub fn hit_times(&self, probe: Probe, times: u64) {
        self.coverage.borrow_mut().hit(probe, times);
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
