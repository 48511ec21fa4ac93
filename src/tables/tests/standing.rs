//! How a table stands, at times that are named: no clock is looked at.

use super::super::look_up::FRESH;
use super::super::standing::Standing;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Begins the look-up that is asked for.
fn begin(standing: &mut Standing, now: Instant) -> LookUp {
    standing.begin(now, NEVER).expect("it is asked for")
}

/// A table that was read to its end, 10, which was looked up at this time.
fn read(began: Instant) -> Standing {
    let mut standing = Standing::new(began);
    let look_up = begin(&mut standing, began);
    standing.answer(look_up, Ok(at(10)));
    standing.reached(Reading::default(), &at(10), began);
    standing
}

#[test]
fn the_age_of_a_table_counts_from_the_beginning_of_a_look_up() {
    let began = Instant::now();
    let mut standing = Standing::new(began);
    let look_up = begin(&mut standing, began);
    standing.answer(look_up, Ok(at(10)));
    standing.reached(Reading::default(), &at(10), began + 5 * SECOND);
    assert_eq!(standing.staleness(began + 9 * SECOND), 9 * SECOND);
    assert_eq!(standing.load_time(), Some(5 * SECOND));
}

#[test]
fn an_answer_that_came_late_makes_a_table_no_younger() {
    let began = Instant::now();
    let mut standing = read(began);
    let mut wait = standing.request();
    let look_up = begin(&mut standing, began);
    // A moment passes.
    while Instant::now() == began {}
    standing.answer(look_up, Ok(at(10)));
    assert_eq!(standing.staleness(began + 9 * SECOND), 9 * SECOND);
    assert!(standing.is_met(&mut wait, began + FRESH));
    assert_eq!(standing.staleness(began + 9 * SECOND), 9 * SECOND);
}

#[test]
fn a_table_is_trusted_up_to_the_limit_of_its_age() {
    let began = Instant::now();
    let standing = read(began);
    let why = |age| standing.why_not_trusted(began + age, 10 * SECOND);
    assert_eq!(why(10 * SECOND), None);
    let why = why(10 * SECOND + MS).expect("too old");
    assert!(why.starts_with("not known to be complete for 10 s"), "{why}");
}

#[test]
fn ends_that_were_reached_late_count_once_a_later_look_up_is_answered() {
    let began = Instant::now();
    let mut standing = read(began);
    let mut wait = standing.request();
    let look_up = begin(&mut standing, began);
    standing.answer(look_up, Ok(at(12)));
    assert!(!standing.is_met(&mut wait, began), "behind its end");
    standing.reached(Reading::default(), &at(12), began);
    assert!(!standing.is_met(&mut wait, began + FRESH + MS), "too late");
    let confirmation = begin(&mut standing, began + SECOND);
    assert!(!standing.is_met(&mut wait, began + SECOND), "not answered");
    standing.answer(confirmation, Ok(at(20)));
    assert!(standing.is_met(&mut wait, began + 2 * SECOND));
}

#[test]
fn ends_that_were_reached_in_time_need_no_other_look_up() {
    let began = Instant::now();
    let mut standing = read(began);
    let mut wait = standing.request();
    let look_up = begin(&mut standing, began);
    standing.answer(look_up, Ok(at(12)));
    standing.reached(Reading::default(), &at(12), began);
    assert!(standing.is_met(&mut wait, began + FRESH));
    assert_eq!(standing.begin(began + SECOND, NEVER), None);
}
