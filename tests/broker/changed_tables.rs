//! Topics of reference tables that change under a running follower: deleted and recreated, with
//! fewer or more partitions. The old content must decide nothing, and the new topic is read without
//! a restart of the process.

use std::time::{Duration, Instant};

use crate::tables::{
    COMPACTED, Following, WAIT_MAX, await_condition, compacted_topic, principal, write,
};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::topics::TestRecord;

/// Without a barrier or a reread, written records do not become visible during the test.
const SLOW: &str = "[tables]\npublish_interval_ms = 60000\n";

fn with_access(users: std::ops::Range<usize>) -> Vec<TestRecord> {
    users.map(|user| principal(user, true)).collect()
}

/// A follower of a topic with users 0 to 9, which all have access.
fn followed(broker: &KafkaBroker, partitions: i32) -> (String, Following) {
    let topic = compacted_topic(broker, partitions);
    write(broker, &topic, with_access(0..10));
    let following = Following::ready(broker, &topic, SLOW);
    following.catch_up();
    assert!((0..10).all(|user| following.has_access(user)));
    (topic, following)
}

fn recreate(broker: &KafkaBroker, topic: &str, partitions: i32, records: Vec<TestRecord>) {
    broker.try_delete_topic(topic).expect("deleted");
    broker.create_topic_with(topic, partitions, &COMPACTED);
    write(broker, topic, records);
}

/// Waits until the table is first untrusted and then trusted again.
fn await_reread(following: &Following) {
    await_condition(|| following.tables.trusted().is_err());
    await_condition(|| following.tables.trusted().is_ok());
    following.catch_up();
}

/// Waits until the barrier first passes, which requires the content of the new topic.
fn await_first_catch_up(following: &Following) {
    let since = Instant::now();
    while following.tables.catch_up(Duration::from_millis(500)).is_err() {
        assert!(since.elapsed() < WAIT_MAX, "the barrier did not pass within {WAIT_MAX:?}");
    }
}

#[test]
fn a_recreated_shorter_topic_is_reread() {
    let broker = KafkaBroker::shared();
    let (topic, following) = followed(broker, 2);
    recreate(broker, &topic, 2, with_access(20..21));
    await_first_catch_up(&following);
    assert!(following.has_access(20), "the new content must decide");
    assert!((0..10).all(|user| !following.has_access(user)), "the old rights must be gone");
    assert_eq!(following.tables.trusted(), Ok(()));
    write(broker, &topic, with_access(21..22));
    following.catch_up();
    assert!(following.has_access(21));
}

/// No end offset goes back: only the topic id shows the change.
#[test]
fn a_recreated_longer_topic_is_reread() {
    let broker = KafkaBroker::shared();
    let (topic, following) = followed(broker, 1);
    recreate(broker, &topic, 1, with_access(20..60));
    await_first_catch_up(&following);
    for user in 0..60 {
        assert_eq!(following.has_access(user), user >= 20, "user {user}");
    }
    assert_eq!(following.tables.trusted(), Ok(()));
}

/// The follower may read records that were written between the request for the end offset and the
/// answer.
#[test]
fn a_topic_that_grows_during_the_end_lookup_stays_trusted() {
    let broker = KafkaBroker::shared();
    let topic = compacted_topic(broker, 1);
    let following = Following::ready(broker, &topic, "");
    let (topic, following) = (&topic, &following);
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let portions = (0..8_000).step_by(200);
            portions.for_each(|from| write(broker, topic, with_access(from..from + 200)));
        });
        let looking = scope.spawn(move || {
            while !writing.is_finished() {
                following.catch_up();
            }
        });
        while !looking.is_finished() {
            assert_eq!(following.tables.trusted(), Ok(()));
            std::thread::sleep(Duration::from_millis(2));
        }
    });
}

#[test]
fn a_recreated_topic_with_fewer_partitions_is_reread() {
    let broker = KafkaBroker::shared();
    let (topic, following) = followed(broker, 3);
    recreate(broker, &topic, 1, with_access(20..30));
    await_reread(&following);
    for user in 0..30 {
        assert_eq!(following.has_access(user), user >= 20, "user {user}");
    }
}

#[test]
fn a_missing_topic_blocks_decisions_until_it_exists() {
    let broker = KafkaBroker::shared();
    let (topic, following) = followed(broker, 1);
    broker.try_delete_topic(&topic).expect("deleted");
    let is_named = || {
        let why = following.tables.trusted().err().unwrap_or_default();
        why.contains(&format!("topic {topic:?} was deleted")) && why.contains("does not exist")
    };
    await_condition(is_named);
    assert!(following.tables.catch_up(Duration::from_millis(300)).is_err());
    await_condition(|| !following.has_access(1));
    broker.create_topic_with(&topic, 1, &COMPACTED);
    write(broker, &topic, with_access(20..21));
    await_condition(|| following.tables.trusted().is_ok());
    following.catch_up();
    assert!(following.has_access(20) && !following.has_access(1));
}

/// Only the barrier learns of the new partition in time.
#[test]
fn the_barrier_waits_for_a_grant_in_a_new_partition() {
    let broker = KafkaBroker::shared();
    let topic = compacted_topic(broker, 1);
    let following = Following::ready(broker, &topic, SLOW);
    for count in 2..12 {
        following.catch_up();
        broker.try_add_partitions(&topic, count).expect("added");
        let user = usize::try_from(count).expect("a number");
        let in_new = TestRecord { partition: Some(count - 1), ..principal(user, true) };
        write(broker, &topic, vec![in_new]);
        following.catch_up();
        assert!(following.has_access(user), "partition {}", count - 1);
    }
}
