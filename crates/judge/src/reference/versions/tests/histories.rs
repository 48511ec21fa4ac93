//! Whole topics, read in different ways, compared with a model that keeps every record: followed
//! from the beginning, read after compaction, and with the partitions in any order. All must decide
//! alike within the history, also about unreadable records.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const KEYS: [&str; 3] = ["1", "2", "3"];

/// A record: when it was written, when its validity begins, and its content.
#[derive(Debug, Clone, Copy)]
struct Record {
    key: usize,
    written: i64,
    from: Option<i64>,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Value(u8),
    Removed,
    Unreadable,
}

/// The records of one key, ordered by the beginning of validity, which is the order of writing.
#[derive(Default)]
struct Model(Vec<Said>);

#[derive(Clone, Copy)]
struct Said {
    begins: i64,
    how: How,
    what: What,
}

/// How the beginning of validity is known.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Written,
    Named,
    Returned,
}

impl Model {
    fn of(key: usize, records: &[Record], history: i64) -> Self {
        let mut model = Model::default();
        for record in records.iter().filter(|record| record.key == key) {
            model.say(record, 2 * history);
        }
        model
    }

    fn say(&mut self, record: &Record, memory: i64) {
        let named = record.from.map(|from| (from, How::Named));
        let (mut begins, mut how) = named.unwrap_or((record.written, How::Written));
        let Record { what, .. } = *record;
        let earliest = (what != What::Removed).then(|| self.earliest(record.written, memory));
        if let Some(earliest) = earliest.flatten().filter(|earliest| begins <= *earliest) {
            (begins, how) = (earliest, How::Returned);
        }
        // From there on the later record replaces earlier ones.
        self.0.retain(|said| said.begins < begins);
        let before = self.0.last().map(|said| said.what);
        // A removal without duration, followed by the same value, did not happen.
        if how != How::Returned || before != Some(what) {
            self.0.push(Said { begins, how, what });
        }
    }

    /// Returns the earliest beginning of a value that is written now; any time if the key was never
    /// removed. A removal that is older than `memory` is forgotten.
    fn earliest(&mut self, written: i64, memory: i64) -> Option<i64> {
        let is_bound = |said: &Said| said.what == What::Removed || said.how == How::Returned;
        let bound = self.0.iter().rposition(is_bound)?;
        let begins = self.0[bound].begins;
        let next = self.0.get(bound + 1).map(|said| said.begins);
        match next {
            _ if self.0[bound].what != What::Removed => Some(begins),
            Some(planned) if planned <= written => Some(planned),
            _ if begins <= written - memory => {
                self.0.drain(..=bound);
                None
            }
            _ => Some(written.max(begins)),
        }
    }

    /// Treats an unknown value like a removed one.
    fn at(&self, moment: i64) -> What {
        let begun = self.0.iter().rev().find(|said| said.begins <= moment);
        let first = self.0.first().filter(|said| said.how == How::Written);
        begun.or(first).map_or(What::Removed, |said| said.what)
    }
}

/// Returns the time from which all readers agree about a key, usually the horizon. Compaction may
/// drop the version before one that was planned before the horizon for later, so readers agree only
/// once that one begins.
fn agreed_from(key: usize, records: &[Record], horizon: i64) -> i64 {
    let of_key = records.iter().filter(|record| record.key == key);
    let planned = of_key.filter(|record| record.written <= horizon);
    let planned = planned.filter_map(|record| record.from);
    planned.max().unwrap_or(horizon).max(horizon)
}

fn read(records: &[Record], history: i64) -> Table<DeviceKey, Device> {
    let mut table = writer(history);
    for record in records {
        let valid_from = second(record.from.unwrap_or(record.written));
        let change = match record.what {
            What::Unreadable => Version::unreadable(valid_from),
            What::Removed => Version::removed(valid_from),
            What::Value(value) => Version {
                valid_from,
                explicit: record.from.is_some(),
                value: Some(device(value)),
                is_unreadable: false,
            },
        };
        let change = TableChange {
            key: key(KEYS[record.key]),
            change,
            written: Some(second(record.written)),
        };
        table.apply(change).expect("room");
    }
    table.snapshot()
}

/// Returns what compaction may leave of a partition. In the part of the log older than the history
/// it keeps the last record of each key; a tombstone may also be gone once it is older than twice
/// the history.
fn compacted(partition: &[Record], horizon: i64, history: i64, chance: &[Index]) -> Vec<Record> {
    let old = partition.iter().take_while(|it| it.written <= horizon);
    let (cleaned, rest) = partition.split_at(chance[0].index(old.count() + 1));
    let stays = |(number, record): &(usize, &Record)| {
        let is_last = cleaned[number + 1..].iter().all(|it| it.key != record.key);
        let is_old = record.what == What::Removed && record.written <= horizon - 2 * history;
        is_last && !(is_old && chance[1].index(2) == 0)
    };
    let left = cleaned.iter().enumerate().filter(stays);
    left.map(|(_, record)| *record).chain(rest.iter().copied()).collect()
}

/// Returns the records with partitions one after another, in turns, or as written.
fn orders(records: &[Record]) -> Vec<Vec<Record>> {
    let of = |key: usize| records.iter().copied().filter(move |it| it.key == key);
    let one_by_one = |keys: [usize; 3]| keys.into_iter().flat_map(of).collect::<Vec<_>>();
    let longest = KEYS.iter().enumerate().map(|(key, _)| of(key).count()).max();
    let turn = |number| (0..KEYS.len()).filter_map(move |key| of(key).nth(number));
    vec![
        records.to_vec(),
        one_by_one([0, 1, 2]),
        one_by_one([2, 1, 0]),
        one_by_one([1, 2, 0]),
        (0..longest.unwrap_or(0)).flat_map(turn).collect(),
    ]
}

/// Generates the steps of a clock, and what is written at each: the clocks of some producers lag,
/// and validity may begin earlier or later than the writing.
fn topics() -> impl Strategy<Value = Vec<Record>> {
    let lag = prop_oneof![6 => Just(0i64), 2 => 1i64..4, 1 => 4i64..30];
    let from = prop_oneof![
        3 => Just(None),
        2 => Just(Some(-200i64)),
        2 => (-30i64..=0).prop_map(Some),
        1 => (1i64..25).prop_map(Some),
    ];
    let what = prop_oneof![
        2 => Just(What::Removed),
        2 => Just(What::Unreadable),
        5 => (0u8..3).prop_map(What::Value),
    ];
    let record = (0..KEYS.len(), prop_oneof![3 => 0i64..4, 1 => 4i64..25], lag, from, what);
    prop::collection::vec(record, 1..25).prop_map(|steps| {
        let mut clock = 0;
        let record = |(key, passed, lag, from, what): (usize, i64, i64, Option<i64>, _)| {
            clock += passed;
            let written = clock - lag;
            let from = from.filter(|_| matches!(what, What::Value(_))).map(|from| written + from);
            Record { key, written, from, what }
        };
        steps.into_iter().map(record).collect()
    })
}

fn what(version: Version<DeviceView<'_>>) -> What {
    let name = |device: DeviceView<'_>| device.name.and_then(|name| name.parse().ok());
    match version.value.and_then(name) {
        _ if version.is_unreadable => What::Unreadable,
        Some(value) => What::Value(value),
        None => What::Removed,
    }
}

/// Compares a table with the model of the whole history, at each second within the history and
/// after it.
fn compare(
    table: &Table<DeviceKey, Device>,
    records: &[Record],
    (history, now): (i64, i64),
) -> Result<(), TestCaseError> {
    for (key, name) in KEYS.iter().enumerate() {
        let model = Model::of(key, records, history);
        for at in agreed_from(key, records, now - history)..now + 30 {
            let found = table.versions(&self::key(name)).and_then(|all| all.as_of(second(at)));
            let found = found.map_or(What::Removed, what);
            prop_assert_eq!(found, model.at(at), "key {} at {} of {:?}", name, at, records);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn all_who_read_a_topic_decide_alike(
        records in topics(),
        history in 1i64..25,
        later in 0i64..40,
        chance in prop::collection::vec(any::<Index>(), 2 * KEYS.len()),
    ) {
        let now = later + records.iter().map(|it| it.written).max().unwrap_or(0);
        let partition = |key| records.iter().copied().filter(move |it: &Record| it.key == key);
        let mut left = Vec::new();
        for (key, chance) in chance.chunks(2).enumerate() {
            let partition: Vec<Record> = partition(key).collect();
            left.extend(compacted(&partition, now - history, history, chance));
        }
        for read_in in orders(&records).into_iter().chain(orders(&left)) {
            compare(&read(&read_in, history), &records, (history, now))?;
        }
    }
}
