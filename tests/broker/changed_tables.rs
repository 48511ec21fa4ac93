//! Topics of reference tables that change under a live follower: deleted and made anew, with fewer
//! or more partitions. Nothing of the old topic may decide anything, and the new one is read
//! without a restart of the process.

use std::time::{Duration, Instant};

use crate::tables::{COMPACTED, Following, LIMIT, await_that, compacted_topic, principal, write};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::topics::TestRecord;

/// Decided by nobody else: only who passes the barrier, or reads anew, sees what is written.
const SLOW: &str = "[tables]\npublish_interval_ms = 60000\n";

fn with_access(users: std::ops::Range<usize>) -> Vec<TestRecord> {
    users.map(|user| principal(user, true)).collect()
}

/// A follower of a topic that has users 0 to 9, which all have access.
fn followed(broker: &KafkaBroker, partitions: i32) -> (String, Following) {
    let topic = compacted_topic(broker, partitions);
    write(broker, &topic, with_access(0..10));
    let following = Following::ready(broker, &topic, SLOW);
    following.catch_up();
    assert!((0..10).all(|user| following.has_access(user)));
    (topic, following)
}

fn make_anew(broker: &KafkaBroker, topic: &str, partitions: i32, records: Vec<TestRecord>) {
    broker.try_delete_topic(topic).expect("deleted");
    broker.create_topic_with(topic, partitions, &COMPACTED);
    write(broker, topic, records);
}

/// Waits until the table is relied on again. Whenever it is meanwhile, what is known is that of the
/// new topic.
fn await_new(following: &Following) {
    await_that(|| following.tables.trusted().is_err());
    await_that(|| following.tables.trusted().is_ok());
    following.catch_up();
}

/// What the barrier lets pass must be of the new topic, from the moment when that is there.
fn first_pass(following: &Following) {
    let since = Instant::now();
    while following.tables.catch_up(Duration::from_millis(500)).is_err() {
        assert!(since.elapsed() < LIMIT, "held for {LIMIT:?}");
    }
}

#[test]
fn a_topic_made_anew_and_shorter_is_read_anew() {
    let broker = KafkaBroker::shared();
    let (topic, following) = followed(broker, 2);
    make_anew(broker, &topic, 2, with_access(20..21));
    first_pass(&following);
    assert!(following.has_access(20), "the new content decides");
    assert!((0..10).all(|user| !following.has_access(user)), "old rights are gone");
    assert_eq!(following.tables.trusted(), Ok(()));
    write(broker, &topic, with_access(21..22));
    following.catch_up();
    assert!(following.has_access(21));
}

/// No end goes back: only the id tells.
#[test]
fn a_topic_made_anew_and_longer_is_read_anew() {
    let broker = KafkaBroker::shared();
    let (topic, following) = followed(broker, 1);
    make_anew(broker, &topic, 1, with_access(20..60));
    first_pass(&following);
    for user in 0..60 {
        assert_eq!(following.has_access(user), user >= 20, "user {user}");
    }
    assert_eq!(following.tables.trusted(), Ok(()));
}

/// The follower may read what was written after its end was asked for, and before the answer.
#[test]
fn a_topic_that_grows_while_its_end_is_looked_up_is_relied_on() {
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
fn a_topic_with_fewer_partitions_is_read_anew() {
    let broker = KafkaBroker::shared();
    let (topic, following) = followed(broker, 3);
    make_anew(broker, &topic, 1, with_access(20..30));
    await_new(&following);
    for user in 0..30 {
        assert_eq!(following.has_access(user), user >= 20, "user {user}");
    }
}

#[test]
fn a_topic_that_is_missing_is_waited_for_and_nothing_is_decided_meanwhile() {
    let broker = KafkaBroker::shared();
    let (topic, following) = followed(broker, 1);
    broker.try_delete_topic(&topic).expect("deleted");
    let is_named = || {
        let why = following.tables.trusted().err().unwrap_or_default();
        why.contains(&format!("topic {topic:?} was deleted")) && why.contains("does not exist")
    };
    await_that(is_named);
    assert!(following.tables.catch_up(Duration::from_millis(300)).is_err());
    await_that(|| !following.has_access(1));
    broker.create_topic_with(&topic, 1, &COMPACTED);
    write(broker, &topic, with_access(20..21));
    await_that(|| following.tables.trusted().is_ok());
    following.catch_up();
    assert!(following.has_access(20) && !following.has_access(1));
}

/// The barrier is the only one that knows of the new partition in time.
#[test]
fn a_grant_in_a_partition_that_was_just_added_is_waited_for() {
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
