//! A stale member: a client that no longer answers rebalances of its group. librdkafka 2.12.1 gets
//! into this state when it learns of added partitions while a revocation waits for the application.
//! Such a client must not delay the other members, and its session must end. If this test fails
//! because librdkafka has been fixed, the detection in `kafka/consumer/member.rs` can go.

use std::time::{Duration, Instant};

use audit_relay::kafka::session::Session;
use audit_relay::kafka::settings::SessionSettings;
use audit_relay::stream::{Broker, Failure, GroupEvent, Partition, Polled, Transaction};

use crate::ledger::change;
use crate::sessions::{deployment, fill, settings};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{TestRecord, produce};

/// How long the group waits for a stale member: `max.poll.interval.ms`. Everything that the test
/// does meanwhile must fit into it, also on a busy machine.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(60);
const WAIT_MAX: Duration = Duration::from_secs(180);

/// Polls until an event arrives for which `is_expected` holds.
#[track_caller]
fn poll_until(session: &mut Session, mut is_expected: impl FnMut(&GroupEvent) -> bool) {
    let since = Instant::now();
    let mut arrived = false;
    while !arrived {
        assert!(since.elapsed() < WAIT_MAX, "the expected group event did not arrive");
        let polled = session.poll(Duration::from_millis(20), 1, &mut |polled| {
            if let Polled::Group(event) = polled {
                arrived |= is_expected(event);
            }
        });
        polled.expect("poll");
    }
}

/// Waits for a state of the group. The sessions are polled meanwhile, since a member that polls too
/// seldom is removed from its group.
#[track_caller]
fn await_state(broker: &KafkaBroker, group: &str, state: &str, polled: &mut [&mut Session]) {
    let since = Instant::now();
    loop {
        let now = broker.group_state(group);
        if now == state {
            return;
        }
        assert!(since.elapsed() < WAIT_MAX, "the group stays {now}");
        for session in &mut *polled {
            let wait = Duration::from_millis(10);
            session.poll(wait, 1, &mut |_| {}).expect("poll");
        }
    }
}

/// Settings of a member that refreshes its metadata every `refresh_ms` milliseconds.
fn member(deployment: &mut TestDeployment, name: &str, refresh_ms: u32) -> SessionSettings {
    deployment.kafka = format!(
        "\"topic.metadata.refresh.interval.ms\" = {refresh_ms}\n\"max.poll.interval.ms\" = {}\n",
        POLL_INTERVAL_MAX.as_millis()
    );
    let mut settings = settings(deployment);
    let id = format!("{}-{name}", deployment.group);
    settings.producer.set("transactional.id", id);
    settings
}

/// Returns a stale session, a healthy session, and the partitions that the healthy one owns.
fn stale_and_well(
    broker: &KafkaBroker,
    deployment: &mut TestDeployment,
) -> (Session, Session, Vec<Partition>) {
    let settings = member(deployment, "stale", 300);
    let mut stale = Session::open(settings).expect("open");
    poll_until(&mut stale, |event| matches!(event, GroupEvent::Assigned(it) if it.len() == 4));
    // A second member joins, so the first must give up two partitions, which waits for its next
    // poll. Now partitions are added. Only the first member learns of them, and it becomes stale.
    let settings = member(deployment, "well", 900_000);
    let mut well = Session::open(settings).expect("open");
    poll_until(&mut well, |event| matches!(event, GroupEvent::Assigned(it) if it.is_empty()));
    let added = broker.try_add_partitions(&deployment.input, 6);
    added.expect("partitions are added");
    let mut owned: Vec<Partition> = Vec::new();
    poll_until(&mut well, |event| {
        if let GroupEvent::Assigned(partitions) = event {
            owned.extend(partitions);
        }
        matches!(event, GroupEvent::Assigned(_))
    });
    poll_until(&mut stale, |event| matches!(event, GroupEvent::Revoked(_)));
    (stale, well, owned)
}

#[test]
fn a_stale_member_delays_no_other_and_cannot_commit() {
    let broker = KafkaBroker::shared();
    let mut deployment = deployment(broker, 4);
    let (group, input) = (deployment.group.clone(), deployment.input.clone());
    let (mut stale, mut well, owned) = stale_and_well(broker, &mut deployment);
    await_state(broker, &group, "Stable", &mut [&mut stale, &mut well]);

    // A third member joins. The rebalance waits for the stale member, but a rewind of another
    // member does not.
    let settings = member(&mut deployment, "third", 900_000);
    let since = Instant::now();
    let mut third = Session::open(settings).expect("open");
    await_state(broker, &group, "PreparingRebalance", &mut []);
    let to_each = (0..4).map(|partition| TestRecord { partition: Some(partition), ..change(0) });
    produce(broker.bootstrap(), &input, to_each);
    let batch = fill(&mut stale, 1);
    well.rewind(&owned).expect("rewinds");
    let waited = since.elapsed();
    assert!(
        broker.group_state(&group) == "PreparingRebalance" || waited >= POLL_INTERVAL_MAX,
        "the group went on after {waited:?}"
    );

    // After `max.poll.interval.ms` the group removes the stale member. Nothing that it read can be
    // committed any more, neither while its client still has a member id nor after the client has
    // dropped it, and its session ends.
    let mut all = [&mut stale, &mut well, &mut third];
    await_state(broker, &group, "Stable", &mut all);
    let since = Instant::now();
    let end = loop {
        let failure = stale.publish(&Transaction::unsealed(&batch, &batch.positions()));
        assert!(matches!(failure, Err(Failure::Aborted(_))), "{failure:?}");
        stale.abort().expect("aborts");
        let polled = stale.poll(Duration::from_millis(100), 1, &mut |_| {});
        if let Err(end) = polled {
            break end;
        }
        assert!(since.elapsed() < WAIT_MAX, "the stale session goes on");
    };
    assert!(
        matches!(&end, Failure::ConsumerDead(why) if why.contains("dropped from its group")),
        "{end}"
    );
    assert_eq!(
        stale.publish(&Transaction::unsealed(&batch, &batch.positions())),
        Err(Failure::Aborted("this member has left the consumer group".to_string()))
    );
    drop((well, third));
}
