//! Relays of two versions in one consumer group, under load: the way of an upgrade and of a
//! rollback. The other version is a program of its own.

use std::path::PathBuf;

use crate::PROGRAM;
use crate::exactly_once::{await_committed, end};
use crate::ledger::{Ledger, PRINCIPALS, change};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::produce;

/// Names the other program.
const OTHER: &str = "OTHER_RELAY";
const RECORDS: u64 = 3_000;
/// Records that are written before each step.
const STEP: u64 = 500;

struct Group<'a> {
    broker: &'static KafkaBroker,
    deployment: &'a mut TestDeployment,
    other: PathBuf,
    produced: u64,
}

impl Group<'_> {
    fn produce(&mut self) {
        let until = (self.produced + STEP).min(RECORDS);
        produce(
            self.broker.bootstrap(),
            &self.deployment.input,
            (self.produced..until).map(change),
        );
        self.produced = until;
    }

    /// Replaces a relay under load: the others go on, the new one is ready before the next step.
    fn replace(&mut self, mut old: Relay, instance: &str, program: PathBuf) -> Relay {
        self.produce();
        old.signal("TERM");
        assert!(old.wait().success(), "{}", old.log());
        self.produce();
        self.start(instance, program)
    }

    fn start(&mut self, instance: &str, program: PathBuf) -> Relay {
        self.deployment.program = program;
        let relay = self.deployment.start(instance);
        relay.await_ready();
        relay
    }
}

#[test]
#[ignore = "needs another version of the program: OTHER_RELAY=/path/to/audit-relay"]
fn an_upgrade_and_a_rollback_lose_and_double_nothing() {
    let other = std::env::var_os(OTHER).unwrap_or_else(|| panic!("{OTHER} is not set"));
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 6, PRINCIPALS, "");
    let mut group = Group { broker, deployment: &mut deployment, other: other.into(), produced: 0 };
    let (old, new) = (group.other.clone(), PathBuf::from(PROGRAM));
    let one = group.start("one", old.clone());
    let two = group.start("two", old.clone());
    // The upgrade, and half of its way back.
    let one = group.replace(one, "one", new.clone());
    let two = group.replace(two, "two", new);
    let one = group.replace(one, "one", old);
    assert_eq!(group.produced, RECORDS);
    await_committed(broker, &deployment, RECORDS as i64);
    [one, two].iter_mut().for_each(end);
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}
