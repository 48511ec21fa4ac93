//! The rules for topics, one by one: the last record wins, and no result depends on what else was
//! read.

use super::*;

/// A value that was valid long before.
const OLD: Change = (-500, true, Some(1));

/// Applies records of one key, each with its time of writing.
fn written(records: &[(i64, Change)]) -> TableWriter<DeviceKey, Device> {
    let mut table = writer(1_000);
    for (at, change) in records {
        apply_written(&mut table, "1", *change, Some(*at));
    }
    table
}

/// Checks the known value at each of these moments.
#[track_caller]
fn check(records: &[(i64, Change)], expected: &[(i64, Option<u8>)]) {
    let table = written(records).snapshot();
    for (at, expected) in expected {
        assert_eq!(name_at(&table, *at), *expected, "at {at} of {records:?}");
    }
}

#[test]
fn what_is_written_after_a_removal_ends_it() {
    let again = [(0, OLD), (10, removed(10)), (12, OLD)];
    check(&again, &[(9, Some(1)), (10, None), (11, None), (12, Some(1)), (99, Some(1))]);
    let other = (-500, true, Some(2));
    let then = [again[0], again[1], again[2], (20, OLD), (30, other)];
    // The removal stays in the past, whatever follows.
    check(&then, &[(9, Some(1)), (11, None), (12, Some(2)), (99, Some(2))]);
    let implicit = [(0, value(1)(0)), (10, removed(10)), (12, value(1)(12))];
    check(&implicit, &[(9, Some(1)), (11, None), (12, Some(1))]);
    let planned = [(0, OLD), (10, removed(10)), (12, (30, true, Some(2)))];
    check(&planned, &[(9, Some(1)), (12, None), (29, None), (30, Some(2))]);
}

#[test]
fn a_clock_that_lags_does_not_take_the_last_word() {
    check(&[(10, removed(10)), (8, value(1)(8))], &[(10, Some(1)), (99, Some(1))]);
    check(&[(0, OLD), (10, removed(10)), (8, OLD)], &[(9, Some(1)), (10, Some(1))]);
    check(&[(10, value(1)(10)), (8, value(2)(8))], &[(8, Some(2)), (10, Some(2)), (99, Some(2))]);
    check(&[(10, value(1)(10)), (8, removed(8))], &[(8, None), (10, None), (99, None)]);
}

#[test]
fn a_removal_and_a_later_value_end_what_was_planned() {
    let planned = (30, true, Some(2));
    check(&[(10, planned), (11, removed(11))], &[(11, None), (30, None), (99, None)]);
    check(&[(10, planned), (31, removed(29))], &[(29, None), (30, None)]);
    check(&[(0, OLD), (10, planned), (11, OLD)], &[(29, Some(1)), (30, Some(1))]);
}

#[test]
fn a_time_far_ahead_is_that_of_reading() {
    for (at, expected) in [(1_000_000, 50), (51, 51)] {
        let change =
            TableChange { key: key("1"), change: change(removed(at)), written: Some(second(at)) };
        let read = change.read_at(second(50));
        assert_eq!(read.written, Some(second(expected)));
        assert_eq!(read.change.valid_from, second(expected));
    }
    let planned = TableChange {
        key: key("1"),
        change: change((1_000_000, true, Some(1))),
        written: Some(second(1_000_000)),
    };
    let read = planned.read_at(second(50));
    assert_eq!((read.written, read.change.valid_from), (Some(second(50)), second(1_000_000)));
}

/// A second stands for a day here, and the history is a week. A record of another key may be read
/// at any point.
#[test]
fn other_keys_do_not_decide_what_is_known() {
    let quiet = [(0, OLD), (10, removed(10)), (20, (5, true, Some(1)))];
    let back = [(0, OLD), (1, removed(1)), (12, value(1)(12))];
    let gone = [(0, OLD), (1, removed(1)), (40, value(1)(40))];
    for (records, known) in [(quiet, [19, 20]), (back, [11, 12]), (gone, [32, 33])] {
        for before in 0..=records.len() {
            let mut table = writer(7);
            for (number, (at, change)) in records.into_iter().enumerate() {
                if number == before {
                    pass_days(&mut table, 0..=records[2].0);
                }
                apply_written(&mut table, "1", change, Some(at));
            }
            let table = table.snapshot();
            let found = known.map(|at| name_at(&table, at));
            // Removed so long ago that it is like a new key, whose first version counts before its
            // time.
            let expected = if records == gone { [Some(1); 2] } else { [None, Some(1)] };
            assert_eq!(found, expected, "{records:?}, others before {before}");
        }
    }
}

#[test]
fn what_is_valid_far_ahead_makes_nothing_be_forgotten() {
    const FAR: Change = (1_000_000, true, Some(9));
    for written in [Some(4), None] {
        let mut table = writer(7);
        let [first, second, last] = [0, 3, 5].map(|at| (at, false, Some(at as u8)));
        apply(&mut table, "1", first);
        apply(&mut table, "1", second);
        apply(&mut table, "2", removed(2));
        apply_written(&mut table, "3", FAR, written);
        apply(&mut table, "1", last);
        apply_written(&mut table, "1", FAR, written);
        let table = table.snapshot();
        let all = vec![FAR, last, second, first];
        assert_eq!(versions(&table, "1"), Some(all), "{written:?}");
        assert_eq!(versions(&table, "2"), Some(vec![removed(2)]), "{written:?}");
    }
}

#[test]
fn a_record_of_a_clock_far_ahead_makes_nothing_be_forgotten() {
    let far = TableChange {
        key: key("2"),
        change: change((1_000_000, false, Some(9))),
        written: Some(second(1_000_000)),
    };
    for (far, known) in [(far.clone(), 1), (far.read_at(second(5)), 3)] {
        let mut table = writer(7);
        apply(&mut table, "1", value(1)(0));
        apply(&mut table, "1", value(2)(3));
        table.apply(far).expect("room");
        apply(&mut table, "1", value(3)(6));
        let versions = versions(&table.snapshot(), "1").expect("known");
        assert_eq!(versions.len(), known, "{versions:?}");
    }
}

/// A return that was announced counts as the beginning of the key's new life once it has begun;
/// until then the key is removed, and any value is a return.
#[test]
fn a_value_begins_no_earlier_than_the_life_that_it_is_written_in() {
    for (written, expected) in [
        (50, [(49, None), (50, Some(3)), (99, Some(3)), (100, Some(3))]),
        (100, [(50, None), (99, None), (100, Some(3)), (120, Some(3))]),
        (150, [(50, None), (99, None), (100, Some(3)), (120, Some(3))]),
    ] {
        let mut table = writer(1_000);
        apply(&mut table, "1", value(1)(0));
        apply(&mut table, "1", removed(10));
        apply_written(&mut table, "1", (100, true, Some(2)), Some(20));
        apply_written(&mut table, "1", (5, true, Some(3)), Some(written));
        let table = table.snapshot();
        let found = expected.map(|(at, _)| (at, name_at(&table, at)));
        assert_eq!(found, expected, "written at {written}");
    }
}
