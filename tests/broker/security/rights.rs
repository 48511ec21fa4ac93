//! The rights that `manifest` prints are sufficient, and each is necessary: without one of them the
//! relay does not start, or holds, and names the missing right and resource.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use audit_relay::kafka::session::Session;
use audit_relay::stream::{Broker, Failure, Partition, ResumePoint, Rewound};

use crate::ledger::change;
use crate::sessions::{fill, settings, with_long_session};
use audit_testkit::grants::{Grant, Operation, Resource};
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{TestRecord, produce, read_committed};
use audit_testkit::{REQUEST_MAX, wire};

use super::mechanisms::{assert_no_secret, output_text, run_check};
use super::{World, needed, password, world};

/// A right that is removed (an index into [`needed`]) or replaced by Describe, and the expected
/// messages.
struct Case {
    missing: usize,
    described: bool,
    expected: fn(&TestDeployment) -> Vec<String>,
}

const CASES: [Case; 9] = [
    Case {
        missing: 0,
        described: false,
        expected: |d| {
            vec![format!(
                "input topic {}: the relay's principal may not see it; grant it Read on this topic",
                d.input
            )]
        },
    },
    Case {
        missing: 0,
        described: true,
        expected: |d| {
            vec![format!(
                "input topic {}: the relay's principal has no right to read; grant it Read",
                d.input
            )]
        },
    },
    Case {
        missing: 1,
        described: false,
        expected: |d| {
            d.outputs()
                .iter()
                .map(|topic| {
                    format!(
                        "output topic {topic}: the relay's principal may not see it; grant it Write"
                    )
                })
                .collect()
        },
    },
    Case {
        missing: 1,
        described: true,
        expected: |d| {
            d.outputs().iter().map(|topic| format!("output topic {topic}: the relay's principal has no right to write; grant it Write")).collect()
        },
    },
    Case {
        missing: 2,
        described: false,
        expected: |d| {
            vec![format!(
                "quarantine topic {}: the relay's principal may not see it; grant it Write",
                d.quarantine
            )]
        },
    },
    Case {
        missing: 2,
        described: true,
        expected: |d| {
            vec![format!(
                "quarantine topic {}: the relay's principal has no right to write; grant it Write",
                d.quarantine
            )]
        },
    },
    Case {
        missing: 3,
        described: false,
        expected: |d| {
            vec![format!(
                "consumer group {}: the relay's principal may not use it; grant it Read on this group",
                d.group
            )]
        },
    },
    Case {
        missing: 4,
        described: false,
        expected: |d| {
            vec![format!(
                "grant the relay's principal Write on the transactional id \"{}-case",
                d.group
            )]
        },
    },
    Case {
        missing: 4,
        described: true,
        expected: |d| {
            vec![format!(
                "grant the relay's principal Write on the transactional id \"{}-case",
                d.group
            )]
        },
    },
];

fn user(number: usize) -> String {
    format!("case{number}")
}

/// Returns the rights of a case's principal.
fn grants(deployment: &TestDeployment, number: usize, case: &Case) -> Vec<Grant> {
    let mut grants = needed(deployment, &user(number));
    if case.described {
        grants[case.missing].operation = Operation::Describe;
    } else {
        grants.remove(case.missing);
    }
    grants
}

pub(super) fn become_user(world: &World, deployment: &mut TestDeployment, user: &str) {
    let credentials =
        format!("\"sasl.username\" = \"{user}\"\n\"sasl.password\" = \"{}\"\n", password(user));
    deployment.kafka = world.sasl("PLAIN", &credentials);
}

/// Asserts that the relay ends after checking the cluster. Returns its output.
#[track_caller]
fn assert_does_not_start(deployment: &TestDeployment, user: &str) -> String {
    let config = deployment.config(user);
    let run = deployment.command(&["run", "--config", config.to_str().expect("path")]);
    let written = output_text(&run);
    assert!(!run.status.success(), "{user}: {written}");
    written
}

#[test]
fn a_missing_right_is_reported() {
    let world = world();
    let mut deployment = world.deployment("");
    deployment.bootstrap = world.broker.address("SASL");
    for (number, case) in CASES.iter().enumerate() {
        world.broker.grant(&grants(&deployment, number, case));
    }
    for (number, case) in CASES.iter().enumerate() {
        let user = user(number);
        become_user(&world, &mut deployment, &user);
        let written = assert_does_not_start(&deployment, &user);
        for expected in (case.expected)(&deployment) {
            assert!(written.contains(&expected), "{user}: {expected}\n{written}");
        }
        assert_no_secret(&world, &user, &written);
    }
}

/// Describe on the group is not enough to use it, but this shows only when the relay joins.
#[test]
fn a_group_that_cannot_be_joined_is_reported_while_the_relay_holds() {
    let world = world();
    let mut deployment = world.deployment("");
    deployment.bootstrap = world.broker.address("SASL");
    let case = Case { missing: 3, described: true, expected: |_| Vec::new() };
    world.broker.grant(&grants(&deployment, 14, &case));
    become_user(&world, &mut deployment, "case14");
    let relay = deployment.start("case14");
    let expected = format!("grant the relay's principal Read on the group {:?}", deployment.group);
    relay.await_page("/readyz", |status, body| status == 503 && body.contains(&expected));
}

/// The general rights do not include the topic of a table.
#[test]
fn a_table_topic_needs_its_own_right() {
    let world = world();
    let mut deployment = world.deployment("");
    deployment.bootstrap = world.broker.address("SASL");
    let table = world.broker.unique("principals");
    world.broker.create_topic_with(&table, 1, &[("cleanup.policy", "compact")]);
    deployment.principals = format!("topic = {table:?}");
    let described = Grant {
        operation: Operation::Describe,
        name: table.clone(),
        ..needed(&deployment, "case11")[0].clone()
    };
    world.broker.grant(&needed(&deployment, "case10"));
    world.broker.grant(&needed(&deployment, "case11"));
    world.broker.grant(&[described]);
    for (user, expected) in [
        ("case10", "may not see it; grant it Read on this topic"),
        ("case11", "has no right to read; grant it Read"),
    ] {
        become_user(&world, &mut deployment, user);
        let written = assert_does_not_start(&deployment, user);
        let expected = format!("principals topic {table}: the relay's principal {expected}");
        assert!(written.contains(&expected), "{user}: {expected}\n{written}");
    }
}

/// Records of the backlog: several batches.
const MANY: u64 = 60_000;
/// Size of each record: 180 MB in total.
const FILLER_BYTES: usize = 3_000;
/// Additional memory of a holding relay: the client's fetched records and one batch.
const HELD_BYTES_MAX: f64 = 70e6;

/// Output that cannot be written holds the input, in bounded memory, and is written when the right
/// is restored.
#[test]
fn a_revoked_right_holds_a_running_relay() {
    let world = world();
    let mut deployment = world.deployment("");
    let plain = deployment.bootstrap.clone();
    deployment.bootstrap = world.broker.address("SASL");
    become_user(&world, &mut deployment, "case12");
    world.broker.grant(&needed(&deployment, "case12"));
    let relay = deployment.start("case12");
    relay.await_ready();
    let broker: SocketAddr = plain.parse().expect("an address");
    wire::deny_write(broker, "case12", &deployment.quarantine).expect("withdrawn");
    let before = relay.metric("process_resident_memory_bytes", "");
    let filler = "x".repeat(FILLER_BYTES);
    let malformed = |number: u64| TestRecord {
        value: Some(format!("no state change {number} {filler}").into()),
        ..TestRecord::default()
    };
    produce(&plain, &deployment.input, (0..MANY).map(malformed));
    let (topic, remedy) = (&deployment.quarantine, "grant the relay's principal Write");
    // First the broker refuses the transaction, then the client refuses the record, with different
    // messages.
    let is_named =
        |status, body: &str| status == 503 && body.contains(topic) && body.contains(remedy);
    relay.await_page("/readyz", is_named);
    relay.await_metric("audit_relay_transactions_total", "aborted", |aborted| aborted >= 5.0);
    relay.await_page("/readyz", is_named);
    let more = relay.metric("process_resident_memory_bytes", "") - before;
    println!("{more} more bytes than {before} while the input is held");
    assert!(more < HELD_BYTES_MAX, "{more} bytes more than {before}");
    assert_eq!(read_committed(&plain, &deployment.quarantine), []);
    wire::allow_again(broker, &deployment.quarantine).expect("given back");
    relay.await_ready();
    relay.await_metric("audit_relay_records_total", "malformed", |kept| kept == MANY as f64);
    let written = read_committed(&plain, &deployment.quarantine).len();
    assert_eq!(written as u64, MANY);
}

/// A group with unreadable offsets still has a position: nothing is moved to the beginning.
#[test]
fn unreadable_committed_offsets_move_no_position() {
    const USER: &str = "case13";
    let world = world();
    let mut deployment = with_long_session(world.deployment(""));
    let plain = deployment.bootstrap.clone();
    deployment.bootstrap = world.broker.address("SASL");
    become_user(&world, &mut deployment, USER);
    world.broker.grant(&needed(&deployment, USER));
    produce(&plain, &deployment.input, (0..10).map(change));
    let committed = BTreeMap::from([(0, 5)]);
    world.broker.commit(&deployment.group, &deployment.input, &committed);
    let mut session = Session::open(settings(&deployment)).expect("open");
    let batch = fill(&mut session, 5);
    let broker: SocketAddr = plain.parse().expect("an address");
    wire::deny_describe(broker, USER, &deployment.input).expect("withdrawn");
    let since = Instant::now();
    let held = loop {
        // The broker learns of the change from the controller asynchronously.
        match session.rewind(&[Partition(0)]) {
            Err(failure) => break failure,
            Ok(rewound) => assert_eq!(next_offset(&rewound[0]), Some(5)),
        }
        assert!(since.elapsed() < REQUEST_MAX, "the right is not revoked yet");
    };
    let names_it = |why: &str| why.contains("committed offsets") && why.contains("uthoriz");
    assert!(matches!(&held, Failure::Held(why) if names_it(why)), "{held}");
    wire::allow_again(broker, &deployment.input).expect("given back");
    let again = loop {
        match session.rewind(&[Partition(0)]) {
            Ok(rewound) => break rewound,
            Err(failure) => assert!(matches!(failure, Failure::Held(_)), "{failure}"),
        }
        assert!(since.elapsed() < 2 * REQUEST_MAX, "the right is not restored yet");
    };
    assert_eq!(next_offset(&again[0]), Some(5));
    assert_eq!(fill(&mut session, 5).positions(), batch.positions());
}

fn next_offset(rewound: &Rewound) -> Option<i64> {
    match &rewound.place {
        Ok(ResumePoint::At(position)) => Some(position.next_offset),
        _ => None,
    }
}

/// Without DescribeConfigs the settings are not checked, and the check reports this; with it they
/// are checked.
#[test]
fn unchecked_settings_are_reported() {
    let world = world();
    let mut deployment = world.deployment("");
    deployment.bootstrap = world.broker.address("SASL");
    become_user(&world, &mut deployment, "case15");
    let mut grants = needed(&deployment, "case15");
    world.broker.grant(&grants);
    let written = output_text(&run_check(&deployment, "case15"));
    let settings = format!("unknown  settings of {}", deployment.input);
    assert!(written.contains(&settings), "{written}");
    assert!(written.contains("grant the relay's principal DescribeConfigs"), "{written}");
    assert!(written.contains("transaction.max.timeout.ms: not checked"), "{written}");
    assert!(!written.contains("PROBLEM"), "{written}");
    for grant in &mut grants {
        grant.operation = Operation::DescribeConfigs;
    }
    grants.retain(|grant| grant.resource == Resource::Topic);
    let cluster = Grant {
        resource: Resource::Cluster,
        name: "kafka-cluster".into(),
        prefix: false,
        ..grants[0].clone()
    };
    grants.push(cluster);
    world.broker.grant(&grants);
    let written = output_text(&run_check(&deployment, "case15"));
    assert!(!written.contains("unknown "), "{written}");
    assert!(
        written.contains("transaction.max.timeout.ms: 900000, the producer's is 10000"),
        "{written}"
    );
}
