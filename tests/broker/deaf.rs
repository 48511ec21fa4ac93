//! A client that does not hear its group any more. librdkafka 2.12.1 becomes so when it learns of
//! added partitions while a partition that it is to give up waits for the application: it answers
//! no later rebalance. The others must not wait for it, and it must not go on for ever. Should this
//! fail since the client is mended, then what looks for deafness
//! (`kafka/consumer/group_consumer.rs`) has no reason left.

use std::time::{Duration, Instant};

use audit_relay::kafka::session::Session;
use audit_relay::kafka::settings::SessionSettings;
use audit_relay::stream::{Broker, Failure, GroupEvent, Partition, Polled};

use crate::ledger::change;
use crate::sessions::{deployment, fill, settings};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::Deployment;
use audit_testkit::topics::{TestRecord, produce};

/// What the group waits for a member that does not hear it: `max.poll.interval.ms`. All that is to
/// happen meanwhile must fit, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(180);

/// Polls until something comes that is looked for.
#[track_caller]
fn poll_until(session: &mut Session, mut is_it: impl FnMut(&GroupEvent) -> bool) {
    let since = Instant::now();
    let mut came = false;
    while !came {
        assert!(since.elapsed() < LIMIT, "it did not come");
        let polled = session.poll(Duration::from_millis(20), 1, &mut |polled| {
            if let Polled::Group(event) = polled {
                came |= is_it(event);
            }
        });
        polled.expect("poll");
    }
}

/// Waits while these sessions are polled, as they would be: who polls too seldom leaves its group.
#[track_caller]
fn await_state(broker: &KafkaBroker, group: &str, state: &str, polled: &mut [&mut Session]) {
    let since = Instant::now();
    loop {
        let now = broker.group_state(group);
        if now == state {
            return;
        }
        assert!(since.elapsed() < LIMIT, "the group stays {now}");
        for session in &mut *polled {
            let wait = Duration::from_millis(10);
            session.poll(wait, 1, &mut |_| {}).expect("poll");
        }
    }
}

/// Settings of a member that looks for new partitions this often.
fn member(deployment: &mut Deployment, name: &str, looks_ms: u32) -> SessionSettings {
    deployment.kafka = format!(
        "\"topic.metadata.refresh.interval.ms\" = {looks_ms}\n\"max.poll.interval.ms\" = {}\n",
        PATIENCE.as_millis()
    );
    let mut settings = settings(deployment);
    let id = format!("{}-{name}", deployment.group);
    settings.producer.set("transactional.id", id);
    settings
}

/// A session that is deaf to its group from now on, one that is well, and the partitions that this
/// one owns.
fn deaf_and_well(
    broker: &KafkaBroker,
    deployment: &mut Deployment,
) -> (Session, Session, Vec<Partition>) {
    let settings = member(deployment, "deaf", 300);
    let mut deaf = Session::open(settings).expect("open");
    poll_until(&mut deaf, |event| matches!(event, GroupEvent::Assigned(it) if it.len() == 4));
    // Another comes, for which two partitions are to be given up; that waits for the next poll. Now
    // partitions are added, of which the newcomer does not know; when it must join again, the
    // first one does.
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
    poll_until(&mut deaf, |event| matches!(event, GroupEvent::Revoked(_)));
    (deaf, well, owned)
}

#[test]
fn who_is_deaf_to_the_group_holds_nobody_up_and_cannot_commit() {
    let broker = KafkaBroker::shared();
    let mut deployment = deployment(broker, 4);
    let (group, input) = (deployment.group.clone(), deployment.input.clone());
    let (mut deaf, mut well, owned) = deaf_and_well(broker, &mut deployment);
    await_state(broker, &group, "Stable", &mut [&mut deaf, &mut well]);

    // A third one comes: the group waits for one that does not hear, but who goes back meanwhile
    // needs not.
    let settings = member(&mut deployment, "third", 900_000);
    let since = Instant::now();
    let mut third = Session::open(settings).expect("open");
    await_state(broker, &group, "PreparingRebalance", &mut []);
    let to_each = (0..4).map(|partition| TestRecord { partition: Some(partition), ..change(0) });
    produce(broker.bootstrap(), &input, to_each);
    let batch = fill(&mut deaf, 1);
    well.rewind(&owned).expect("goes back");
    let waited = since.elapsed();
    assert!(
        broker.group_state(&group) == "PreparingRebalance" || waited >= PATIENCE,
        "the group went on after {waited:?}"
    );

    // When it has waited for long enough, the group goes on without it. Nothing that it read can be
    // committed any more, neither while its client believes itself a member nor when that has
    // dropped its id; and it learns that its session must end.
    let mut all = [&mut deaf, &mut well, &mut third];
    await_state(broker, &group, "Stable", &mut all);
    let since = Instant::now();
    let end = loop {
        let failure = deaf.publish(batch.outputs(), &batch.positions());
        assert!(matches!(failure, Err(Failure::Aborted(_))), "{failure:?}");
        deaf.abort().expect("aborts");
        let polled = deaf.poll(Duration::from_millis(100), 1, &mut |_| {});
        if let Err(end) = polled {
            break end;
        }
        assert!(since.elapsed() < LIMIT, "it goes on");
    };
    assert!(
        matches!(&end, Failure::ConsumerDead(why) if why.contains("dropped from its group")),
        "{end}"
    );
    assert_eq!(
        deaf.publish(batch.outputs(), &batch.positions()),
        Err(Failure::Aborted("this member has left the consumer group".to_string()))
    );
    drop((well, third));
}
