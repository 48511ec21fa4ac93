//! The world of one run: replayers, one after the other and one in the middle of another's step,
//! on the same cases. Then faults end, and a last replayer must close everything. All randomness
//! follows from the seed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use audit_relay::quarantine::closing::close;
use audit_relay::quarantine::outcomes::Outcome;
use audit_testkit::random::Random;

use super::coordinator::{Arrival, Coordinator, Entry};
use super::faults::{Fault, Faults, Moment, Planted, at};
use super::replayer::{Replayer, Seat};

/// Replayers inside the steps of others, at most.
const DEPTH_MAX: u32 = 2;

/// Cases of a run, at most.
const CASES_MAX: usize = 12;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// The case has more than one final outcome.
    ClosedTwice(usize),
    /// The case has more than one event.
    AuditedTwice(usize),
    /// The case has an event, but no outcome says so.
    EventWithoutOutcome(usize),
    /// The outcome says that there is an event, and there is none.
    OutcomeWithoutEvent(usize),
    /// A replayer ended well and said that the case is closed, and it is open.
    SaidClosed(usize),
    /// A replayer closed more cases than there are, or than it was to close.
    Overcounted,
    /// The last replayer did not close everything.
    StillOpen(String),
}

/// The result of a run.
pub struct Run {
    pub violations: Vec<Violation>,
    pub counts: BTreeMap<String, u64>,
    pub log: Vec<String>,
}

pub struct World {
    pub random: Random,
    pub faults: Faults,
    pub planted: Option<Planted>,
    pub coordinator: RefCell<Coordinator>,
    /// How many cases are in the quarantine.
    pub cases: Cell<usize>,
    /// A topic accepts no more records in one transaction.
    pub accepted: usize,
    replayers: Cell<usize>,
    depth: Cell<u32>,
    violations: RefCell<Vec<Violation>>,
    log: RefCell<Vec<String>>,
}

/// Runs a seed, with a fault planted if one is given.
pub fn run(seed: u64, planted: Option<Planted>) -> Run {
    let random = Random::new(seed);
    let world = World {
        faults: Faults::draw(&random),
        planted,
        coordinator: RefCell::default(),
        cases: Cell::new(random.count(1, 10)),
        accepted: if random.per_mille(300) { random.count(1, 4) } else { usize::MAX },
        replayers: Cell::new(0),
        depth: Cell::new(0),
        violations: RefCell::default(),
        log: RefCell::default(),
        random,
    };
    for _ in 0..world.random.count(1, 3) {
        // How it ends is up to the faults.
        _ = world.replay();
    }
    world.faults.stop();
    world.log(|| "faults stop".to_string());
    if let Err(why) = world.replay() {
        world.violations.borrow_mut().push(Violation::StillOpen(why));
    }
    world.coordinator.borrow_mut().settle_all();
    world.check_committed();
    Run {
        violations: world.violations.take(),
        counts: world.faults.counts(),
        log: world.log.take(),
    }
}

impl World {
    pub fn is_planted(&self, fault: Planted) -> bool {
        self.planted == Some(fault)
    }

    pub fn injects(&self, fault: Fault) -> bool {
        let injected = self.faults.injects(fault, &self.random);
        if injected {
            self.log(|| format!("{fault:?}"));
        }
        injected
    }

    pub fn hit(&self, probe: &str) {
        self.faults.hit(probe);
    }

    pub fn log(&self, line: impl FnOnce() -> String) {
        let indent = "  ".repeat(self.depth.get() as usize);
        self.log.borrow_mut().push(format!("{indent}{}", line()));
    }

    /// Lets a replayer close what is open.
    fn replay(&self) -> Result<(), String> {
        let number = self.replayers.get();
        self.replayers.set(number + 1);
        self.depth.set(self.depth.get() + 1);
        let is_limited = self.faults.are_on() && self.random.per_mille(200);
        let limit = is_limited.then(|| self.random.within(1, 5));
        self.log(|| format!("replayer {number} begins, limit {limit:?}"));
        let mut replayer = Replayer::new(self, number);
        let result = close(&mut replayer, limit, &mut Seat(self));
        self.log(|| format!("replayer {number} ends: {result:?}"));
        self.depth.set(self.depth.get() - 1);
        match &result {
            Ok(tally) => {
                if limit.is_none() {
                    self.check_claims(&replayer);
                }
                if tally.selected() > limit.unwrap_or(self.cases.get() as u64) {
                    self.violations.borrow_mut().push(Violation::Overcounted);
                }
                if replayer.has_retried {
                    self.hit("a replayer closed everything despite faults");
                }
                tally.check().map_err(|error| error.to_string())
            }
            Err(error) => {
                if error.to_string().starts_with("given up") {
                    self.hit("a replayer gave up");
                }
                Err(error.to_string())
            }
        }
    }

    /// Returns whether a replayer is killed at a step.
    pub fn is_killed(&self, moment: Moment) -> bool {
        let is_killed = self.injects(Fault::Killed);
        if is_killed {
            self.faults.hit(at(Fault::Killed, moment));
        }
        is_killed
    }

    /// Lets others act at a step of a replayer.
    pub fn others_act(&self, moment: Moment) {
        if self.depth.get() <= DEPTH_MAX && self.injects(Fault::TakenOver) {
            self.faults.hit(at(Fault::TakenOver, moment));
            _ = self.replay();
        }
        if self.random.per_mille(100) && self.faults.are_on() {
            self.cases.set((self.cases.get() + 1).min(CASES_MAX));
        }
        if self.random.per_mille(200) {
            self.late_request_arrives();
        }
        if self.random.per_mille(200) {
            self.coordinator.borrow_mut().settle_all();
        }
    }

    pub fn late_request_arrives(&self) {
        let mut coordinator = self.coordinator.borrow_mut();
        let late = coordinator.late_requests();
        if late == 0 {
            return;
        }
        let arrival = coordinator.deliver(self.random.index(late));
        drop(coordinator);
        self.log(|| format!("a late request: {arrival:?}"));
        match arrival {
            Arrival::Refused => self.hit("a late request was refused"),
            Arrival::Ended { commit: true } => self.hit("a late commit ended a transaction"),
            Arrival::Ended { commit: false } => self.hit("a late abort ended a transaction"),
            Arrival::WithoutEffect => {}
        }
    }

    /// Returns the final outcomes of each case that has one.
    fn closed(&self) -> BTreeMap<usize, Vec<Outcome>> {
        let mut closed = BTreeMap::<usize, Vec<Outcome>>::new();
        for (case, entry) in self.coordinator.borrow().committed() {
            if let Entry::Outcome { outcome, .. } = entry
                && outcome.is_final()
            {
                closed.entry(case).or_default().push(*outcome);
            }
        }
        closed
    }

    /// Checks that the cases are closed that a replayer ended well with.
    fn check_claims(&self, replayer: &Replayer<'_>) {
        self.coordinator.borrow_mut().settle_all();
        let closed: BTreeSet<usize> = self.closed().into_keys().collect();
        let open = (0..replayer.known).filter(|case| !closed.contains(case));
        let unsaid = open.filter(|case| !replayer.left_open.contains(case));
        self.violations.borrow_mut().extend(unsaid.map(Violation::SaidClosed));
    }

    /// Checks what is committed: one final outcome for each case, and one event if that says so.
    fn check_committed(&self) {
        let mut violations = self.violations.borrow_mut();
        let closed = self.closed();
        for case in 0..self.cases.get() {
            let outcomes = closed.get(&case).map_or(&[][..], Vec::as_slice);
            let coordinator = self.coordinator.borrow();
            let is_event =
                |(of, entry): &(usize, &Entry)| *of == case && matches!(entry, Entry::Event);
            let events = coordinator.committed().filter(is_event).count();
            let is_audited = outcomes.contains(&Outcome::Audited);
            if outcomes.len() > 1 {
                violations.push(Violation::ClosedTwice(case));
            }
            if events > 1 {
                violations.push(Violation::AuditedTwice(case));
            }
            if events > 0 && !is_audited {
                violations.push(Violation::EventWithoutOutcome(case));
            }
            if events == 0 && is_audited {
                violations.push(Violation::OutcomeWithoutEvent(case));
            }
            if outcomes.is_empty() {
                violations.push(Violation::StillOpen(format!("case {case}")));
            }
        }
    }
}
