//! Topics that are no longer the ones that were read: nothing that is known of one may count for
//! another.

use super::*;
use crate::tables::look_up::FRESH;

fn reading(tables: &SharedTables) -> Reading {
    tables.assignment(PRINCIPALS).reading
}

#[test]
fn a_doubt_holds_at_once_and_passes_with_the_next_good_look_up() {
    let tables = loaded();
    let waiting = catch_up(&tables, LONG);
    let look_up = begin(&tables);
    tables.doubt(PRINCIPALS, look_up, "its topic went back".to_string());
    let why = tables.trusted().expect_err("doubtful");
    assert_eq!(why, "principals: its topic went back; looking again");
    assert_eq!(tables.ready(), Ok(()), "it may be a mistake");
    // What is reached now may be of another topic.
    tables.reached(PRINCIPALS, reading(&tables), &at(1_000));
    assert!(!waiting.is_finished() && tables.trusted().is_err());
    let again = begin(&tables);
    tables.answer(PRINCIPALS, again, Ok(at(10)));
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
    assert_eq!(tables.trusted(), Ok(()));
}

#[test]
fn positions_in_the_old_topic_count_for_nothing_in_the_new_one() {
    let tables = loaded();
    let old = reading(&tables);
    let waiting = catch_up(&tables, LONG);
    let stale = begin(&tables);
    tables.read_anew(PRINCIPALS, "its topic was made anew".to_string());
    assert_ne!(reading(&tables), old);
    assert_eq!(tables.assignment(PRINCIPALS).partitions, 0);
    tables.answer(PRINCIPALS, stale, Ok(at(10)));
    tables.reached(PRINCIPALS, old, &at(1_000));
    assert!(tables.target(PRINCIPALS).is_none(), "nothing is known yet");
    for why in [tables.ready(), tables.trusted()] {
        assert_eq!(
            why.expect_err("not read"),
            "principals: its topic was made anew; it is being read anew"
        );
    }
    // Shorter than what was read of the old one.
    let look_up = begin(&tables);
    tables.answer(PRINCIPALS, look_up, Ok(at(3)));
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
    tables.read_anew(PRINCIPALS, "its topic was made anew".to_string());
    let waiting = catch_up(&tables, LONG);
    await_waiting(&tables, 1);
    let look_up = begin(&tables);
    tables.answer(PRINCIPALS, look_up, Ok(at(0)));
    assert!(tables.trusted().is_err(), "the old table is still published");
    assert!(!waiting.is_finished());
    tables.reached(PRINCIPALS, reading(&tables), &Offsets::new());
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
}

#[test]
fn a_missing_topic_is_named_while_it_is_waited_for() {
    let tables = loaded();
    tables.read_anew(PRINCIPALS, "its topic \"p\" was deleted".to_string());
    let look_up = begin(&tables);
    let missing = "topic \"p\" does not exist".to_string();
    tables.answer(PRINCIPALS, look_up, Err(missing));
    assert_eq!(
        tables.trusted().expect_err("missing"),
        "principals: its topic \"p\" was deleted, and it is not read anew yet: topic \"p\" does not exist"
    );
    assert!(tables.await_request(PRINCIPALS, NEVER, LONG).is_some());
}

/// While ends were waited for, the topic may have been made anew, and the follower may have gone on
/// in that one.
#[test]
fn ends_that_are_reached_late_are_looked_up_once_more() {
    let tables = loaded();
    let waiting = catch_up(&tables, LONG);
    await_waiting(&tables, 1);
    let look_up = begin(&tables);
    tables.answer(PRINCIPALS, look_up, Ok(at(12)));
    thread::sleep(FRESH + SHORT);
    tables.reached(PRINCIPALS, reading(&tables), &at(12));
    let confirmation = begin(&tables);
    assert!(!waiting.is_finished());
    // The ends that count are still those of the first look-up.
    tables.answer(PRINCIPALS, confirmation, Ok(at(20)));
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
}

#[test]
fn new_partitions_are_waited_for() {
    let tables = loaded();
    let waiting = catch_up(&tables, LONG);
    await_waiting(&tables, 1);
    let look_up = begin(&tables);
    let grown = Offsets::from([(0, 10), (1, 1)]);
    tables.answer(PRINCIPALS, look_up, Ok(grown.clone()));
    assert_eq!(tables.assignment(PRINCIPALS).partitions, 2);
    tables.reached(PRINCIPALS, reading(&tables), &at(1_000));
    thread::sleep(SHORT);
    assert!(!waiting.is_finished(), "partition 1 was not read");
    tables.reached(PRINCIPALS, reading(&tables), &grown);
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
}

#[test]
fn what_keeps_the_follower_from_reading_survives_good_look_ups() {
    let tables = loaded();
    let bad = "partition 0 cannot be read on".to_string();
    tables.obstacle(PRINCIPALS, reading(&tables), Some(bad));
    let told = |tables: &Arc<SharedTables>| {
        let waiting = catch_up(tables, SHORT);
        let look_up = begin(tables);
        tables.answer(PRINCIPALS, look_up, Ok(at(12)));
        waiting.join().expect("no panic").expect_err("behind")
    };
    for _ in 0..2 {
        let why = told(&tables);
        assert!(why.contains("(partition 0 cannot be read on)"), "{why}");
    }
    tables.obstacle(PRINCIPALS, reading(&tables), None);
    assert!(!told(&tables).contains("cannot be read on"));
}

/// Else a topic that is made anew while it is read for the first time would never be read to its
/// ends.
#[test]
fn look_ups_go_on_while_a_table_is_not_ready() {
    let tables = tables(&[PRINCIPALS]);
    let first = begin(&tables);
    tables.answer(PRINCIPALS, first, Ok(at(1_000)));
    thread::sleep(SHORT);
    let heartbeat = tables.await_request(PRINCIPALS, SHORT, Duration::ZERO);
    assert!(heartbeat.is_some());
}
