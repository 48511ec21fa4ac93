//! What is injected and what must be reached, each counted by name; and the planted faults, one for
//! each rule of the protocol.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::world::Violation;
use audit_testkit::random::Random;

/// Rates of a fault, one of which is drawn for each run.
const RATES: [u32; 6] = [0, 0, 10, 50, 150, 400];

/// What is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The cluster does not give out an epoch.
    OpenFails,
    /// It does, but its answer is lost.
    OpenAnswerLost,
    /// A record is not accepted.
    ProduceAborts,
    /// The producer fails with a fatal error.
    ProduceBreaks,
    /// The commit fails before it is sent.
    CommitAborts,
    /// The commit never arrives, and the client cannot tell.
    CommitLost,
    /// The commit arrives later than the client waits.
    CommitDelayed,
    /// The commit is done, but its answer is lost.
    CommitAnswerLost,
    /// The same, and a copy of the request arrives later.
    CommitRepeated,
    /// The commit succeeds, and a copy of the request arrives later.
    CommitSentTwice,
    /// The markers of a transaction are written late.
    MarkersLate,
    /// The abort has no answer, done or not.
    AbortFails,
    /// The abort arrives later than the client waits.
    AbortDelayed,
    /// The abort succeeds, and a copy of the request arrives later.
    AbortSentTwice,
    /// The broker times the transaction out.
    TimedOut,
    /// The process dies.
    Killed,
    /// Another replayer runs in the middle of a step.
    TakenOver,
}

/// A step of a replayer, at which others act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    Opening,
    ReadingOutcomes,
    ReadingCases,
    Producing,
    Committing,
    Committed,
    Aborting,
    Pausing,
}

impl Moment {
    pub const ALL: [Moment; 8] = [
        Moment::Opening,
        Moment::ReadingOutcomes,
        Moment::ReadingCases,
        Moment::Producing,
        Moment::Committing,
        Moment::Committed,
        Moment::Aborting,
        Moment::Pausing,
    ];
}

/// Situations that the runs must reach besides.
pub const PROBES: [&str; 10] = [
    "a late commit ended a transaction",
    "a late abort ended a transaction",
    "a late request was refused",
    "an unknown commit was aborted by the next epoch",
    "an unknown commit had been done",
    "a replayer was fenced",
    "a replayer gave up",
    "a producer was not used again",
    "a transaction was too large",
    "a replayer closed everything despite faults",
];

impl Fault {
    pub const ALL: [Fault; 17] = [
        Fault::OpenFails,
        Fault::OpenAnswerLost,
        Fault::ProduceAborts,
        Fault::ProduceBreaks,
        Fault::CommitAborts,
        Fault::CommitLost,
        Fault::CommitDelayed,
        Fault::CommitAnswerLost,
        Fault::CommitRepeated,
        Fault::CommitSentTwice,
        Fault::MarkersLate,
        Fault::AbortFails,
        Fault::AbortDelayed,
        Fault::AbortSentTwice,
        Fault::TimedOut,
        Fault::Killed,
        Fault::TakenOver,
    ];

    /// At how many steps it can be injected that a replayer passes before it is at its end.
    fn places(self) -> usize {
        match self {
            Fault::ProduceAborts | Fault::ProduceBreaks => 4,
            Fault::TimedOut | Fault::Killed | Fault::TakenOver => 12,
            _ => 1,
        }
    }
}

/// A deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The outcomes are read before the producer is open.
    OutcomesBeforeOpen,
    /// The outcomes are read for the first attempt only.
    OutcomesReadOnce,
    /// The outcomes are written in a transaction of their own, after the events.
    OutcomeInOwnTransaction,
    /// After a commit whose result is unknown the same producer goes on.
    ProducerKept,
    /// A producer that may have sent a request twice begins another transaction.
    ResendIgnored,
    /// A commit whose result is unknown is taken for done.
    UnknownTakenForDone,
    /// Cases of such a transaction count as committed without a look at the outcomes.
    UnclearTakenForClosed,
    /// Each replayer has a transactional id of its own.
    IdOfItsOwn,
}

/// A planted fault with what gives it away.
pub type Revealed = (Planted, fn(&Violation) -> bool);

/// All planted faults.
pub const PLANTED: [Revealed; 8] = [
    (Planted::OutcomesBeforeOpen, doubled),
    (Planted::OutcomesReadOnce, doubled),
    (Planted::OutcomeInOwnTransaction, torn),
    (Planted::ProducerKept, torn),
    (Planted::ResendIgnored, torn),
    (Planted::UnknownTakenForDone, said_closed),
    (Planted::UnclearTakenForClosed, said_closed),
    (Planted::IdOfItsOwn, doubled),
];

fn doubled(violation: &Violation) -> bool {
    matches!(violation, Violation::ClosedTwice(_))
}

/// An event without its outcome: the case is open, and gets another event.
fn torn(violation: &Violation) -> bool {
    matches!(violation, Violation::AuditedTwice(_) | Violation::EventWithoutOutcome(_))
}

fn said_closed(violation: &Violation) -> bool {
    matches!(violation, Violation::SaidClosed(_))
}

/// The faults of a run.
pub struct Faults {
    are_on: Cell<bool>,
    rates: BTreeMap<Fault, u32>,
    counts: RefCell<BTreeMap<String, u64>>,
}

impl Faults {
    pub fn draw(random: &Random) -> Self {
        let rates = Fault::ALL.map(|fault| (fault, *random.one_of(&RATES)));
        Faults { are_on: Cell::new(true), rates: rates.into(), counts: RefCell::default() }
    }

    pub fn are_on(&self) -> bool {
        self.are_on.get()
    }

    pub fn stop(&self) {
        self.are_on.set(false);
    }

    /// Decides whether to inject a fault here, and counts it.
    pub fn injects(&self, fault: Fault, random: &Random) -> bool {
        let is_due = self.are_on()
            && random.per_mille(self.rates[&fault])
            && random.index(fault.places()) == 0;
        if is_due {
            self.hit(format!("{fault:?}"));
        }
        is_due
    }

    pub fn hit(&self, what: impl Into<String>) {
        *self.counts.borrow_mut().entry(what.into()).or_default() += 1;
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.borrow().clone()
    }
}

/// Returns the names of everything that the runs must contain.
pub fn expected() -> Vec<String> {
    let mut names: Vec<String> = Fault::ALL.iter().map(|fault| format!("{fault:?}")).collect();
    names.extend(PROBES.map(String::from));
    for moment in Moment::ALL {
        names.push(at(Fault::TakenOver, moment));
        // What is killed in a pause has no more to lose than at the step behind it.
        if moment != Moment::Pausing {
            names.push(at(Fault::Killed, moment));
        }
    }
    names
}

/// Names a fault at a step.
pub fn at(fault: Fault, moment: Moment) -> String {
    format!("{fault:?} while {moment:?}")
}
