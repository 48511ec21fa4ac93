//! The versions of a key: how they are read, and those of files compared with a naive version of
//! the same rules. `topics` and `histories` test topics.

mod bounds;
mod histories;
mod topics;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::parse::field::Id;
use crate::reference::packing::PackedValue;
use crate::reference::{
    Device, DeviceKey, DeviceKind, DeviceView, PrincipalKey, Table, TableChange, TableWriter,
};

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn device(name: u8) -> PackedValue<Device> {
    PackedValue::of(&DeviceView { account: None, name: Some(&name.to_string()), data_center: None })
}

fn key(id: &str) -> DeviceKey {
    DeviceKey { kind: DeviceKind::Hardware, id: Id::from(id) }
}

/// One change: when, whether it states the time itself, and the value (`None`: removed).
type Change = (i64, bool, Option<u8>);

fn change((from, explicit, value): Change) -> VersionChange<Device> {
    Version { valid_from: second(from), explicit, value: value.map(device), is_unreadable: false }
}

/// Creates a table of a topic.
fn writer(history: i64) -> TableWriter<DeviceKey, Device> {
    TableWriter::with_history(SignedDuration::from_secs(history))
}

/// Applies a change that is written when it becomes valid.
fn apply(table: &mut TableWriter<DeviceKey, Device>, key: &str, changed: Change) {
    apply_written(table, key, changed, Some(changed.0));
}

fn apply_written(
    table: &mut TableWriter<DeviceKey, Device>,
    key: &str,
    changed: Change,
    written: Option<i64>,
) {
    let change =
        TableChange { key: self::key(key), change: change(changed), written: written.map(second) };
    table.apply(change).expect("room");
}

/// Reads the table of a file with these lines.
fn table(changes: &[Change]) -> Table<DeviceKey, Device> {
    let mut table = TableWriter::default();
    for changed in changes {
        apply(&mut table, "1", *changed);
    }
    table.snapshot()
}

/// Returns the last change for each start, oldest first.
fn sorted(changes: &[Change]) -> Vec<Change> {
    let mut by_start = std::collections::BTreeMap::new();
    for it in changes {
        by_start.insert(it.0, *it);
    }
    by_start.into_values().collect()
}

/// Returns the version valid at a second.
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
    let mut writer = TableWriter::default();
    for changed in changes {
        apply(&mut writer, "1", changed);
    }
    let table = writer.snapshot();
    let one = key("1");
    let cases =
        [(9, None), (10, Some("1")), (19, Some("1")), (20, Some("2")), (30, None), (99, None)];
    for (at, expected) in cases {
        let found = table.as_of(&one, second(at)).and_then(|device| device.name);
        assert_eq!(found, expected, "at {at}");
    }
    apply(&mut writer, "1", (20, true, Some(3)));
    let table = writer.snapshot();
    let corrected = table.as_of(&one, second(25)).and_then(|device| device.name);
    assert_eq!(corrected, Some("3"));
    assert_eq!(table.versions(&one).map(|all| all.iter().count()), Some(3));
}

#[test]
fn keys_of_other_kinds_are_found_again() {
    let mut table: TableWriter<PrincipalKey, Device> = TableWriter::default();
    let key = PrincipalKey { account: Id::from("1"), id: Id::from("iam-ServiceId-7") };
    let added = TableChange { key: key.clone(), change: change((1, true, Some(1))), written: None };
    table.apply(added).expect("room");
    let keys: Vec<PrincipalKey> = table.snapshot().iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [key]);
}

/// A value without a time of its own.
fn value(value: u8) -> impl Fn(i64) -> Change {
    move |written| (written, false, Some(value))
}

fn removed(at: i64) -> Change {
    (at, false, None)
}

/// Moves the history forward day by day, with records of another key.
fn pass_days(table: &mut TableWriter<DeviceKey, Device>, days: std::ops::RangeInclusive<i64>) {
    for day in days {
        apply(table, "clock", (day, false, Some(day as u8)));
    }
}

fn name_at(table: &Table<DeviceKey, Device>, at: i64) -> Option<u8> {
    let device = table.as_of(&key("1"), second(at))?;
    device.name?.parse().ok()
}

/// Returns all known versions of a key, newest first.
fn versions(table: &Table<DeviceKey, Device>, key: &str) -> Option<Vec<Change>> {
    let versions = table.versions(&self::key(key))?;
    Some(versions.iter().map(said).collect())
}

/// Returns the versions with a value that are valid within the tolerance, with their distances;
/// nearest first, then earliest.
fn near(sorted: &[Change], at: i64, tolerance: i64) -> Vec<(i64, Change)> {
    let mut near = Vec::new();
    for (position, version) in sorted.iter().enumerate() {
        let is_implicit = position == 0 && !version.1;
        let begins = if is_implicit { i64::MIN } else { version.0 };
        let ends = sorted.get(position + 1).map_or(i64::MAX, |next| next.0);
        let distance = (begins.saturating_sub(at)).max(at.saturating_sub(ends)).max(0);
        let is_near = begins <= at + tolerance && ends > at - tolerance;
        if is_near && version.2.is_some() {
            near.push((distance, *version));
        }
    }
    near.sort_by_key(|(distance, version)| (*distance, version.0));
    near
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec((0i64..60, any::<bool>(), any::<Option<u8>>()), 1..25)
}

proptest! {
    #[test]
    fn as_of_is_what_the_naive_model_says(changes in changes()) {
        let table = table(&changes);
        let sorted = sorted(&changes);
        let versions = table.versions(&key("1")).expect("known");
        for at in -1..65 {
            prop_assert_eq!(versions.as_of(second(at)).map(said), valid(&sorted, at), "at {}", at);
        }
        let kept: Vec<Change> = versions.iter().map(said).collect();
        prop_assert_eq!(kept, sorted.into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn the_nearest_of_those_valid_within_the_tolerance_come_first(
        changes in changes(), at in 0i64..60, tolerance in 0i64..20,
    ) {
        let table = table(&changes);
        let sorted = sorted(&changes);
        let versions = table.versions(&key("1")).expect("known");
        let tolerance_time = SignedDuration::from_secs(tolerance);
        let others = versions.others_near(second(at), tolerance_time);
        let others = others.into_iter().map(|(distance, version)| (distance.as_secs(), said(version)));
        let near = near(&sorted, at, tolerance);
        let is_at = |change: &Change| valid(&sorted, at) == Some(*change);
        let expected: Vec<(i64, Change)> = near.iter().filter(|(_, change)| !is_at(change)).copied().collect();
        prop_assert_eq!(others.collect::<Vec<_>>(), expected);
        let existed = valid(&sorted, at).filter(|(_, _, value)| value.is_some());
        let nearest = existed.or_else(|| near.first().map(|(_, change)| *change));
        prop_assert_eq!(versions.nearest(second(at), tolerance_time).map(said), nearest);
    }
}
