//! The versions of a key against the same rules said naively.

use proptest::prelude::*;

use super::*;
use crate::pipeline::directory::{
    Device, DeviceView, PrincipalKey, Table, TableChange, TableWriter,
};
use crate::pipeline::field::Id;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn device(name: u8) -> PackedValue<Device> {
    PackedValue::of(&DeviceView {
        account: None,
        name: Some(&name.to_string()),
        data_center: None,
    })
}

/// One change: when, whether it says so itself, and what (nothing: removed).
type Change = (i64, bool, Option<u8>);

fn change((from, explicit, value): Change) -> VersionChange<Device> {
    Version {
        valid_from: second(from),
        explicit,
        value: value.map(device),
    }
}

fn writer(history: Option<i64>) -> TableWriter<Id, Device> {
    match history {
        Some(seconds) => TableWriter::with_history(SignedDuration::from_secs(seconds)),
        None => TableWriter::default(),
    }
}

/// A change that is written when it becomes valid.
fn apply(table: &mut TableWriter<Id, Device>, key: &str, changed: Change) {
    apply_written(table, key, changed, Some(changed.0));
}

fn apply_written(
    table: &mut TableWriter<Id, Device>,
    key: &str,
    changed: Change,
    written: Option<i64>,
) {
    let change = TableChange {
        key: Id::from(key),
        change: change(changed),
        written: written.map(second),
    };
    table.apply(change).expect("room");
}

fn table(history: Option<i64>, changes: &[Change]) -> Table<Id, Device> {
    let mut table = writer(history);
    for changed in changes {
        apply(&mut table, "1", *changed);
    }
    table.snapshot()
}

/// The last change for each start, oldest first.
fn sorted(changes: &[Change]) -> Vec<Change> {
    let mut by_start = std::collections::BTreeMap::new();
    for it in changes {
        by_start.insert(it.0, *it);
    }
    by_start.into_values().collect()
}

/// The same, where a key that was removed before the history is forgotten: what comes then begins anew.
fn remembered(history: Option<i64>, changes: &[Change]) -> Vec<Change> {
    let mut known = Vec::new();
    let mut newest = i64::MIN;
    for changed in changes {
        newest = newest.max(changed.0);
        known.push(*changed);
        known = sorted(&known);
        let is_removed = |(from, _, value): &Change| {
            value.is_none() && history.is_some_and(|history| *from <= newest - history)
        };
        if known.last().is_some_and(is_removed) {
            known.clear();
        }
    }
    known
}

/// Every second at which a version is valid is looked at.
fn valid(sorted: &[Change], at: i64) -> Option<Change> {
    let begun = sorted.iter().rev().find(|(from, ..)| *from <= at);
    let first = sorted.first().filter(|(_, explicit, _)| !explicit);
    begun.or(first).copied()
}

fn said(version: Version<DeviceView<'_>>) -> Change {
    let name = |device: DeviceView<'_>| device.name.and_then(|name| name.parse().ok());
    let value = version.value.and_then(name);
    (version.valid_from.as_second(), version.explicit, value)
}

#[test]
fn the_newest_version_that_had_begun_counts() {
    let changes = [(30, true, None), (10, true, Some(1)), (20, true, Some(2))];
    let mut writer = writer(None);
    for changed in changes {
        apply(&mut writer, "1", changed);
    }
    let table = writer.snapshot();
    let key = Id::from("1");
    let cases = [
        (9, None),
        (10, Some("1")),
        (19, Some("1")),
        (20, Some("2")),
        (30, None),
        (99, None),
    ];
    for (at, expected) in cases {
        let found = table.as_of(&key, second(at)).and_then(|device| device.name);
        assert_eq!(found, expected, "at {at}");
    }
    apply(&mut writer, "1", (20, true, Some(3)));
    let table = writer.snapshot();
    let corrected = table.as_of(&key, second(25)).and_then(|device| device.name);
    assert_eq!(corrected, Some("3"));
    assert_eq!(table.versions(&key).map(|all| all.iter().count()), Some(3));
}

#[test]
fn a_busy_key_does_not_grow_without_limit() {
    let changes: Vec<Change> = (0..1_500).map(|at| (at, false, Some(7))).collect();
    let table = table(Some(1_000_000), &changes);
    let versions = table.versions(&Id::from("1")).expect("known");
    assert_eq!(versions.iter().count(), MOST_VERSIONS);
    let newest = versions.iter().next().map(|version| version.valid_from);
    assert_eq!(newest, Some(second(1_499)));
}

#[test]
fn keys_of_other_kinds_are_found_again() {
    let mut table: TableWriter<PrincipalKey, Device> = TableWriter::default();
    let key = PrincipalKey {
        account: Id::from("1"),
        id: Id::from("iam-ServiceId-7"),
    };
    let added = TableChange {
        key: key.clone(),
        change: change((1, true, Some(1))),
        written: None,
    };
    table.apply(added).expect("room");
    let keys: Vec<PrincipalKey> = table.snapshot().iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [key]);
}

/// All that is known of a key, newest first.
fn versions(table: &Table<Id, Device>, key: &str) -> Option<Vec<Change>> {
    let versions = table.versions(&Id::from(key))?;
    Some(versions.iter().map(said).collect())
}

/// Day by day, another key moves the history on.
fn pass_days(table: &mut TableWriter<Id, Device>, days: std::ops::RangeInclusive<i64>) {
    for day in days {
        apply(table, "clock", (day, false, Some(0)));
    }
}

#[test]
fn a_key_that_was_removed_before_the_history_is_forgotten() {
    let mut table = writer(Some(7));
    apply(&mut table, "1", (0, false, Some(1)));
    apply(&mut table, "2", (0, false, Some(1)));
    apply(&mut table, "1", (3, false, None));
    pass_days(&mut table, 4..=9);
    let within = table.snapshot();
    let both = vec![(3, false, None), (0, false, Some(1))];
    assert_eq!(versions(&within, "1"), Some(both));
    pass_days(&mut table, 10..=11);
    let after = table.snapshot();
    assert_eq!(versions(&after, "1"), None);
    assert_eq!(versions(&after, "2"), Some(vec![(0, false, Some(1))]));
    assert_eq!((within.len(), after.len()), (3, 2));
}

#[test]
fn a_key_that_came_back_is_not_forgotten() {
    let mut table = writer(Some(7));
    apply(&mut table, "1", (1, false, None));
    apply(&mut table, "1", (2, false, Some(5)));
    pass_days(&mut table, 3..=40);
    let table = table.snapshot();
    let found = table.as_of(&Id::from("1"), second(40));
    assert_eq!(found.and_then(|device| device.name), Some("5"));
}

#[test]
fn what_is_valid_far_ahead_makes_nothing_be_forgotten() {
    const FAR: Change = (1_000_000, true, Some(9));
    for written in [Some(4), None] {
        let mut table = writer(Some(7));
        let [first, second, last] = [0, 3, 5].map(|at| (at, false, Some(1)));
        let removed = (2, false, None);
        apply(&mut table, "1", first);
        apply(&mut table, "1", second);
        apply(&mut table, "2", removed);
        apply_written(&mut table, "3", FAR, written);
        apply_written(&mut table, "1", FAR, written);
        apply(&mut table, "1", last);
        let table = table.snapshot();
        let all = vec![FAR, last, second, first];
        assert_eq!(versions(&table, "1"), Some(all), "{written:?}");
        assert_eq!(versions(&table, "2"), Some(vec![removed]), "{written:?}");
    }
}

#[test]
fn a_record_of_a_clock_far_ahead_makes_nothing_be_forgotten() {
    let far = TableChange {
        key: Id::from("2"),
        change: change((1_000_000, false, Some(9))),
        written: Some(second(1_000_000)),
    };
    for (far, known) in [(far.clone(), 1), (far.read_at(second(5)), 3)] {
        let mut table = writer(Some(7));
        apply(&mut table, "1", (0, false, Some(1)));
        apply(&mut table, "1", (3, false, Some(2)));
        table.apply(far).expect("room");
        apply(&mut table, "1", (6, false, Some(3)));
        let versions = versions(&table.snapshot(), "1").expect("known");
        assert_eq!(versions.len(), known, "{versions:?}");
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec((0i64..60, any::<bool>(), any::<Option<u8>>()), 1..25)
}

proptest! {
    #[test]
    fn as_of_is_what_the_naive_model_says(changes in changes(), history in prop::option::of(0i64..40)) {
        let table = table(history, &changes);
        let newest = changes.iter().map(|(from, ..)| *from).max().expect("at least one");
        let sorted = remembered(history, &changes);
        let Some(versions) = table.versions(&Id::from("1")) else {
            prop_assert_eq!(sorted, vec![]);
            return Ok(());
        };
        // Before the horizon, and before the newest version that is not after it, versions may be forgotten.
        let horizon = history.map_or(-1, |history| newest - history);
        for at in horizon.max(-1)..65 {
            let expected = valid(&sorted, at);
            let found = versions.as_of(second(at)).map(said);
            if expected.is_some() || history.is_none() {
                prop_assert_eq!(found, expected, "at {}", at);
            }
        }
        let kept: Vec<i64> = versions.iter().map(|version| version.valid_from.as_second()).collect();
        let after = sorted.iter().filter(|(from, ..)| *from > horizon).count();
        let at_least = after + usize::from(sorted.iter().any(|(from, ..)| *from <= horizon));
        prop_assert!(kept.len() >= at_least, "{:?} of {:?}", kept, sorted);
        prop_assert!(kept.is_sorted_by(|newer, older| newer > older), "{:?}", kept);
    }

    #[test]
    fn candidates_are_all_that_are_valid_within_the_tolerance(
        changes in changes(), at in 0i64..60, tolerance in 0i64..20,
    ) {
        let table = table(None, &changes);
        let sorted = sorted(&changes);
        let versions = table.versions(&Id::from("1")).expect("known");
        let tolerance_time = SignedDuration::from_secs(tolerance);
        let others = versions.others_near(second(at), tolerance_time);
        let found: Vec<Change> = versions.as_of(second(at)).into_iter().chain(others).map(said).collect();
        let mut expected: Vec<Change> = valid(&sorted, at).into_iter().collect();
        for moment in (at - tolerance..=at + tolerance).rev() {
            if let Some(version) = valid(&sorted, moment).filter(|it| !expected.contains(it)) {
                expected.push(version);
            }
        }
        prop_assert_eq!(found, expected);
        let distances = (0..=tolerance).flat_map(|distance| [at + distance, at - distance]);
        let existing = |moment: i64| valid(&sorted, moment).filter(|(_, _, value)| value.is_some());
        let nearest = versions.nearest(second(at), tolerance_time).map(said);
        // What ends at a moment is one second nearer than the last second at which it is valid.
        let ended = |version: &Change| {
            let newer = sorted.iter().find(|(from, ..)| *from > version.0);
            newer.map_or(0, |(from, ..)| (at - from).max(0))
        };
        let expected = distances.filter_map(existing).next();
        match (nearest, expected) {
            (Some(nearest), Some(expected)) if nearest != expected => {
                prop_assert!(nearest.0 <= at && ended(&nearest) <= expected.0 - at);
            }
            (nearest, expected) => prop_assert_eq!(nearest, expected),
        }
    }
}
