//! How far a table is behind its topic, at given times: the tests read no clock.

use super::super::catch_up::CatchUp;
use super::super::end_offsets::FRESH;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Begins the request that is wanted.
fn begin(catch_up: &mut CatchUp, now: Instant) -> EndOffsetsRequest {
    catch_up.begin(now, NEVER).expect("a request is wanted")
}

/// Returns a table that was read to its end, 10, which was requested at this time.
fn read(began: Instant) -> CatchUp {
    let mut catch_up = CatchUp::new(began);
    let request = begin(&mut catch_up, began);
    catch_up.answer(request, Ok(at(10)));
    catch_up.reached(Reading::default(), &at(10), began);
    catch_up
}

#[test]
fn the_age_of_a_table_counts_from_the_begin_of_a_request() {
    let began = Instant::now();
    let mut catch_up = CatchUp::new(began);
    let request = begin(&mut catch_up, began);
    catch_up.answer(request, Ok(at(10)));
    catch_up.reached(Reading::default(), &at(10), began + 5 * SECOND);
    assert_eq!(catch_up.staleness(began + 9 * SECOND), 9 * SECOND);
    assert_eq!(catch_up.load_time(), Some(5 * SECOND));
}

#[test]
fn a_late_answer_does_not_make_a_table_younger() {
    let began = Instant::now();
    let mut catch_up = read(began);
    let mut waiter = catch_up.request();
    let request = begin(&mut catch_up, began);
    // Until the clock has advanced.
    while Instant::now() == began {}
    catch_up.answer(request, Ok(at(10)));
    assert_eq!(catch_up.staleness(began + 9 * SECOND), 9 * SECOND);
    assert!(catch_up.is_met(&mut waiter, began + FRESH));
    assert_eq!(catch_up.staleness(began + 9 * SECOND), 9 * SECOND);
}

#[test]
fn a_table_is_trusted_up_to_the_limit_of_its_age() {
    let began = Instant::now();
    let catch_up = read(began);
    let why = |age| catch_up.why_not_trusted(began + age, 10 * SECOND);
    assert_eq!(why(10 * SECOND), None);
    let why = why(10 * SECOND + MS).expect("too old");
    assert!(why.starts_with("not known to be complete for 10 s"), "{why}");
}

#[test]
fn ends_that_are_reached_late_count_once_a_later_request_is_answered() {
    let began = Instant::now();
    let mut catch_up = read(began);
    let mut waiter = catch_up.request();
    let request = begin(&mut catch_up, began);
    catch_up.answer(request, Ok(at(12)));
    assert!(!catch_up.is_met(&mut waiter, began), "behind its end");
    catch_up.reached(Reading::default(), &at(12), began);
    assert!(!catch_up.is_met(&mut waiter, began + FRESH + MS), "too late");
    let confirmation = begin(&mut catch_up, began + SECOND);
    assert!(!catch_up.is_met(&mut waiter, began + SECOND), "not answered");
    catch_up.answer(confirmation, Ok(at(20)));
    assert!(catch_up.is_met(&mut waiter, began + 2 * SECOND));
}

#[test]
fn ends_that_are_reached_in_time_need_no_second_request() {
    let began = Instant::now();
    let mut catch_up = read(began);
    let mut waiter = catch_up.request();
    let request = begin(&mut catch_up, began);
    catch_up.answer(request, Ok(at(12)));
    catch_up.reached(Reading::default(), &at(12), began);
    assert!(catch_up.is_met(&mut waiter, began + FRESH));
    assert_eq!(catch_up.begin(began + SECOND, NEVER), None);
}
