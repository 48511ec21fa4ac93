//! Topics that were replaced: what is known of the old topic must not count for the new one.

use super::*;
use crate::tables::end_offsets::FRESH;

fn reading(tables: &TableStore) -> Reading {
    tables.assignment(PRINCIPALS).reading
}

#[test]
fn a_doubt_holds_at_once_and_ends_with_the_next_successful_request() {
    let tables = loaded();
    let waiting = catch_up(&tables, LONG);
    let request = begin(&tables);
    tables.doubt(PRINCIPALS, request, "its topic went back".to_string());
    let why = tables.trusted().expect_err("doubtful");
    assert_eq!(why, "principals: its topic went back; checking again");
    assert_eq!(tables.ready(), Ok(()), "the doubt may be wrong");
    // Positions that are reached now may belong to another topic.
    tables.reached(PRINCIPALS, reading(&tables), &at(1_000));
    assert!(!waiting.is_finished() && tables.trusted().is_err());
    let again = begin(&tables);
    tables.answer(PRINCIPALS, again, Ok(at(10)));
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
    assert_eq!(tables.trusted(), Ok(()));
}

#[test]
fn positions_in_the_old_topic_do_not_count_in_the_new_one() {
    let tables = loaded();
    let old = reading(&tables);
    let waiting = catch_up(&tables, LONG);
    let stale = begin(&tables);
    tables.restart(PRINCIPALS, "its topic was recreated".to_string());
    assert_ne!(reading(&tables), old);
    assert_eq!(tables.assignment(PRINCIPALS).partitions, 0);
    tables.answer(PRINCIPALS, stale, Ok(at(10)));
    tables.reached(PRINCIPALS, old, &at(1_000));
    assert!(tables.target(PRINCIPALS).is_none(), "nothing is known yet");
    for why in [tables.ready(), tables.trusted()] {
        assert_eq!(
            why.expect_err("not read"),
            "principals: its topic was recreated; it is being read again"
        );
    }
    // Shorter than the part of the old topic that was read.
    let request = begin(&tables);
    tables.answer(PRINCIPALS, request, Ok(at(3)));
    tables.reached(PRINCIPALS, old, &at(1_000));
    assert!(!waiting.is_finished() && tables.trusted().is_err());
    tables.reached(PRINCIPALS, reading(&tables), &at(3));
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
    assert_eq!((tables.ready(), tables.trusted()), (Ok(()), Ok(())));
    assert_eq!(tables.target(PRINCIPALS).map(|_| ()), None);
}

#[test]
fn an_empty_new_topic_is_waited_for_until_the_old_table_is_gone() {
    let tables = loaded();
    tables.restart(PRINCIPALS, "its topic was recreated".to_string());
    let waiting = catch_up(&tables, LONG);
    await_waiting(&tables, 1);
    let request = begin(&tables);
    tables.answer(PRINCIPALS, request, Ok(at(0)));
    assert!(tables.trusted().is_err(), "the old table is still published");
    assert!(!waiting.is_finished());
    tables.reached(PRINCIPALS, reading(&tables), &TableOffsets::new());
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
}

#[test]
fn a_missing_topic_is_named_while_it_is_waited_for() {
    let tables = loaded();
    tables.restart(PRINCIPALS, "its topic \"p\" was deleted".to_string());
    let request = begin(&tables);
    let missing = "topic \"p\" does not exist".to_string();
    tables.answer(PRINCIPALS, request, Err(missing));
    assert_eq!(
        tables.trusted().expect_err("missing"),
        "principals: its topic \"p\" was deleted; it cannot be read again yet: topic \"p\" does not exist"
    );
    assert!(tables.await_request(PRINCIPALS, NEVER, LONG).is_some());
}

/// During the wait, the topic may have been recreated, and the follower may have continued in the
/// new one.
#[test]
fn ends_that_are_reached_late_need_a_second_request() {
    let tables = loaded();
    let waiting = catch_up(&tables, LONG);
    await_waiting(&tables, 1);
    let request = begin(&tables);
    tables.answer(PRINCIPALS, request, Ok(at(12)));
    thread::sleep(FRESH + SHORT);
    tables.reached(PRINCIPALS, reading(&tables), &at(12));
    let confirmation = begin(&tables);
    assert!(!waiting.is_finished());
    // The end offsets of the first request still count.
    tables.answer(PRINCIPALS, confirmation, Ok(at(20)));
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
}

#[test]
fn new_partitions_are_waited_for() {
    let tables = loaded();
    let waiting = catch_up(&tables, LONG);
    await_waiting(&tables, 1);
    let request = begin(&tables);
    let grown = TableOffsets::from([(0, 10), (1, 1)]);
    tables.answer(PRINCIPALS, request, Ok(grown.clone()));
    assert_eq!(tables.assignment(PRINCIPALS).partitions, 2);
    tables.reached(PRINCIPALS, reading(&tables), &at(1_000));
    thread::sleep(SHORT);
    assert!(!waiting.is_finished(), "partition 1 was not read");
    tables.reached(PRINCIPALS, reading(&tables), &grown);
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
}

#[test]
fn an_obstacle_of_the_follower_survives_successful_requests() {
    let tables = loaded();
    let obstacle = "partition 0 cannot be read".to_string();
    tables.obstacle(PRINCIPALS, reading(&tables), Some(obstacle));
    let timed_out = |tables: &Arc<TableStore>| {
        let waiting = catch_up(tables, SHORT);
        let request = begin(tables);
        tables.answer(PRINCIPALS, request, Ok(at(12)));
        waiting.join().expect("no panic").expect_err("behind")
    };
    for _ in 0..2 {
        let why = timed_out(&tables);
        assert!(why.contains("(partition 0 cannot be read)"), "{why}");
    }
    tables.obstacle(PRINCIPALS, reading(&tables), None);
    assert!(!timed_out(&tables).contains("cannot be read"));
}

/// Otherwise a topic that is recreated during its first reading would never be read to its end.
#[test]
fn requests_continue_while_a_table_is_not_ready() {
    let tables = tables(&[PRINCIPALS]);
    let first = begin(&tables);
    tables.answer(PRINCIPALS, first, Ok(at(1_000)));
    thread::sleep(SHORT);
    let heartbeat = tables.await_request(PRINCIPALS, SHORT, Duration::ZERO);
    assert!(heartbeat.is_some());
}
