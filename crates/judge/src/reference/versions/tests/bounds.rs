//! The memory of topic tables is bounded: for unchanged values, busy keys, large keys and removed
//! keys.

use super::*;

#[test]
fn what_says_the_same_is_no_version() {
    let mut table = writer(1_000);
    for change in [value(1)(0), (5, true, Some(2)), removed(10), value(3)(12)] {
        apply(&mut table, "1", change);
    }
    let before = table.snapshot();
    for at in 20..200 {
        apply(&mut table, "1", value(3)(at));
        apply_written(&mut table, "1", (-500, true, Some(3)), Some(at));
        apply_written(&mut table, "1", (at, true, Some(3)), Some(at));
    }
    let after = table.snapshot();
    assert_eq!(versions(&after, "1"), versions(&before, "1"));
    assert_eq!(after.bytes(), before.bytes());
    assert_eq!(versions(&after, "1").map(|all| all.len()), Some(4));
}

#[test]
fn a_busy_key_does_not_grow_without_limit() {
    let mut table = writer(1_000_000);
    let mut dropped = 0;
    for at in 0..1_500 {
        let change = TableChange {
            key: key("1"),
            change: change(value(at as u8)(at)),
            written: Some(second(at)),
        };
        dropped += table.apply(change).expect("room");
    }
    let all = versions(&table.snapshot(), "1").expect("known");
    assert_eq!((all.len(), dropped), (VERSIONS_MAX, 500));
    assert_eq!(all[0].0, 1_499);
}

#[test]
fn a_large_key_does_not_grow_without_limit() {
    for (bytes, kept) in
        [(VERSIONS_BYTES_MAX / 20, 19), (VERSIONS_BYTES_MAX / 4, VERSIONS_KEPT_MIN)]
    {
        let mut table = writer(1_000_000);
        let mut dropped = 0;
        for at in 0..40 {
            let name = format!("{at:02}").repeat(bytes / 2);
            let value = PackedValue::of(&DeviceView {
                account: None,
                name: Some(&name),
                data_center: None,
            });
            let change = Version {
                valid_from: second(at),
                explicit: false,
                value: Some(value),
                is_unreadable: false,
            };
            let change = TableChange { key: key("1"), change, written: Some(second(at)) };
            dropped += table.apply(change).expect("room");
        }
        let all = table.snapshot();
        let all = all.versions(&key("1")).expect("known");
        assert_eq!((all.iter().count(), dropped), (kept, 40 - kept));
    }
}

#[test]
fn what_the_history_is_over_for_is_not_dropped() {
    let mut table = writer(50);
    for at in 0..2_000 {
        let change = TableChange {
            key: key("1"),
            change: change(value(at as u8)(at)),
            written: Some(second(at)),
        };
        assert_eq!(table.apply(change), Ok(0));
    }
    assert_eq!(versions(&table.snapshot(), "1").map(|all| all.len()), Some(51));
}

#[test]
fn a_key_that_was_removed_long_ago_is_forgotten() {
    let mut table = writer(7);
    apply(&mut table, "1", value(1)(0));
    apply(&mut table, "2", value(1)(0));
    apply(&mut table, "1", removed(3));
    pass_days(&mut table, 4..=9);
    let both = vec![removed(3), value(1)(0)];
    assert_eq!(versions(&table.snapshot(), "1"), Some(both));
    // Three times the history, and some more changes: each of them sweeps a few keys.
    pass_days(&mut table, 10..=23);
    assert!(versions(&table.snapshot(), "1").is_some());
    pass_days(&mut table, 24..=34);
    let after = table.snapshot();
    assert_eq!(versions(&after, "1"), None);
    assert_eq!(versions(&after, "2"), Some(vec![value(1)(0)]));
    assert_eq!(after.len(), 2);
}

#[test]
fn a_key_that_came_back_is_not_forgotten() {
    let mut table = writer(7);
    apply(&mut table, "1", removed(1));
    apply(&mut table, "1", value(5)(2));
    pass_days(&mut table, 3..=80);
    assert_eq!(name_at(&table.snapshot(), 80), Some(5));
}

#[test]
fn keys_that_come_and_go_leave_nothing() {
    let mut table = writer(7);
    for at in 0..8_000 {
        apply(&mut table, &at.to_string(), value(1)(at / 10));
        apply(&mut table, &at.to_string(), removed(at / 10));
    }
    // Ten keys a day, for three times the history, and those not swept yet.
    assert!(table.len() < 400, "{} keys", table.len());
}

#[test]
fn removals_of_one_key_take_no_room() {
    let mut table = writer(1_000_000);
    for at in 0..5_000 {
        apply(&mut table, "1", value(1)(0));
        apply(&mut table, "2", removed(at));
    }
    assert_eq!(versions(&table.snapshot(), "2"), Some(vec![removed(4_999), removed(0)]));
}

/// Returns the packed versions of a key after changes that were each written when they became
/// valid.
fn packed(changes: &[Change]) -> Vec<u8> {
    let mut packed = Vec::new();
    for changed in changes {
        let known = std::mem::take(&mut packed);
        let (change, written) = (change(*changed), Some(second(changed.0)));
        let history = History(SignedDuration::from_secs(7));
        writing::append_written(&known, &change, written, history, Horizon::NONE, &mut packed);
    }
    packed
}

/// The history is seven seconds in this test.
#[test]
fn of_what_begins_up_to_the_horizon_the_newest_version_alone_is_needed() {
    let needed = |changes: &[Change], last_written: i64| {
        let packed = packed(changes);
        let history = History(SignedDuration::from_secs(7));
        let kept = writing::kept(&packed, history.horizon(second(last_written)));
        Versions::<Device>::read(&packed[..kept]).iter().count()
    };
    let values = [0, 5, 10].map(|at| value(at as u8)(at));
    for (last_written, expected) in [(11, 3), (12, 2), (16, 2), (17, 1), (99, 1)] {
        let found = needed(&values, last_written);
        assert_eq!(found, expected, "last written at {last_written}");
    }
    // A removal is remembered for twice as long.
    let removed = [value(1)(0), removed(3)];
    for (last_written, expected) in [(9, 2), (10, 1), (23, 1), (24, 0)] {
        let found = needed(&removed, last_written);
        assert_eq!(found, expected, "last written at {last_written}");
    }
}

#[test]
fn a_version_that_begins_at_the_horizon_leaves_none_before_it() {
    for (begins, kept) in [(49, 1), (50, 1), (51, 2)] {
        let mut table = writer(50);
        apply(&mut table, "1", value(1)(10));
        apply(&mut table, "2", value(1)(100));
        let planned = (begins, true, Some(2));
        apply_written(&mut table, "1", planned, Some(100));
        let all = versions(&table.snapshot(), "1").expect("known");
        assert_eq!(all.len(), kept, "{all:?}");
    }
}

/// A reader that starts after compaction finds no older removal.
#[test]
fn a_removal_is_forgotten_once_it_is_as_old_as_twice_the_history() {
    for (written, expected) in [(23, None), (24, Some(2)), (25, Some(2))] {
        let mut table = writer(7);
        apply(&mut table, "1", value(1)(0));
        apply(&mut table, "1", removed(10));
        let old = (5, true, Some(2));
        apply_written(&mut table, "1", old, Some(written));
        let found = name_at(&table.snapshot(), 6);
        assert_eq!(found, expected, "written at {written}");
    }
}
