//! Compares the store with a plain map: snapshots stay unchanged while it is written, compacted and
//! grown. Segments are small in tests, so that some hundred entries fill many.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::index::IndexWriter;
use super::log::{Place, SEGMENT_BYTES};
use super::*;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// An operation on a key. A value that begins with zero is forgotten when its entry is moved, or on
/// demand.
#[derive(Debug, Clone)]
enum Step {
    Change {
        key: u16,
        fill: u8,
        bytes: usize,
    },
    Forget {
        key: u16,
    },
    Snapshot,
    /// Drops all but the last snapshots.
    Drop {
        kept: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![9 => 1usize..90, 1 => 1usize..3 * SEGMENT_BYTES];
    let step = prop_oneof![
        20 => (0u16..80, 1u8.., bytes).prop_map(|(key, fill, bytes)| Step::Change { key, fill, bytes }),
        8 => (0u16..900, 1u8.., 1usize..60).prop_map(|(key, fill, bytes)| Step::Change { key, fill, bytes }),
        3 => (0u16..80).prop_map(|key| Step::Forget { key }),
        2 => Just(Step::Snapshot),
        1 => (0usize..4).prop_map(|kept| Step::Drop { kept }),
    ];
    prop::collection::vec(step, 0..1_500)
}

fn key(number: u16) -> Vec<u8> {
    match number % 2 {
        0 => number.to_string().into_bytes(),
        _ => format!("{}/{}", number % 7, number / 7).into_bytes(),
    }
}

fn keep(value: &[u8]) -> usize {
    if value.first() == Some(&0) { 0 } else { value.len() }
}

/// Returns the aliases of an entry: none, one or two, by the bytes of its value. Several keys share
/// each of them.
fn names<'k>(key: &'k [u8], value: &[u8]) -> Vec<StoreKey<'k>> {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let fill = value.first().copied().map_or(0, usize::from);
    let names = NAMES.iter().skip(fill % 5).take(fill % 3);
    names.filter_map(|name| StoreKey::alias(key, name)).collect()
}

struct Test;

impl Reading for Test {
    fn kept(&self, value: &[u8]) -> usize {
        keep(value)
    }

    fn aliases(&self, key: &[u8], value: &[u8], hashes: &mut Vec<u64>) {
        hashes.extend(names(key, value).into_iter().map(StoreKey::hash));
    }
}

fn entries(store: &Store) -> Model {
    let owned = |(key, value): (&[u8], &[u8])| (key.to_vec(), value.to_vec());
    store.iter().map(owned).collect()
}

fn assert_same(store: &Store, model: &Model) {
    assert_eq!(store.len(), model.len());
    let parts = store.log.bytes() + store.slots.bytes() + store.aliases.bytes();
    assert_eq!(store.bytes(), parts);
    assert_eq!(&entries(store), model);
    for number in 0..1_000 {
        let key = key(number);
        assert_eq!(store.get(StoreKey::of(&key)), model.get(&key).map(Vec::as_slice));
    }
    assert_same_names(store, model);
}

/// Asserts that each alias leads to exactly the entries that have it, and that the index of aliases
/// holds nothing else.
fn assert_same_names(store: &Store, model: &Model) {
    let mut expected: BTreeMap<u64, Vec<&[u8]>> = BTreeMap::new();
    for (key, value) in model {
        for name in names(key, value) {
            expected.entry(name.hash()).or_default().push(key);
        }
    }
    let total: usize = expected.values().map(Vec::len).sum();
    assert_eq!(store.aliases.len(), total);
    for account in 0..7 {
        let account = account.to_string();
        for name in ["a", "b", "c", "d"] {
            let name = StoreKey::pair(account.as_bytes(), name.as_bytes());
            let mut found = Vec::new();
            store.aliased(name, |key, _| found.push(key));
            found.sort_unstable();
            let expected = expected.get(&name.hash()).cloned().unwrap_or_default();
            assert_eq!(found, expected);
        }
    }
}

/// A store and its model, which receive the same operations.
#[derive(Default)]
struct Pair {
    writer: StoreWriter,
    model: Model,
}

impl Pair {
    fn change(&mut self, number: u16, value: Vec<u8>) {
        let key = key(number);
        let before = self.model.insert(key.clone(), value.clone());
        let write = |old: Option<&[u8]>, out: &mut Vec<u8>| {
            assert_eq!(old, before.as_deref());
            out.extend_from_slice(&value);
        };
        self.writer.change(&key, write, Test).expect("room");
    }

    /// Sweeps the whole index: the first round may have begun anywhere.
    fn sweep(&mut self) {
        for _ in 0..2 {
            while !self.writer.sweep(7, |value| keep(value) > 0, Test) {}
        }
    }

    fn forget(&mut self, number: u16) {
        self.change(number, vec![0]);
        let key = key(number);
        self.sweep();
        self.model.remove(&key);
    }
}

proptest! {
    #[test]
    fn it_is_a_map_and_snapshots_stay_as_they_were(steps in steps()) {
        let mut pair = Pair::default();
        let mut snapshots: Vec<(Store, Model)> = Vec::new();
        for step in steps {
            match step {
                Step::Change { key, fill, bytes } => pair.change(key, vec![fill; bytes]),
                Step::Forget { key } => pair.forget(key),
                Step::Snapshot => snapshots.push((pair.writer.snapshot(), pair.model.clone())),
                Step::Drop { kept } => {
                    let dropped = snapshots.len().saturating_sub(kept);
                    for (store, model) in snapshots.drain(..dropped) {
                        assert_same(&store, &model);
                    }
                }
            }
        }
        snapshots.push((pair.writer.snapshot(), pair.model));
        for (store, model) in &snapshots {
            assert_same(store, model);
        }
    }
}

#[test]
fn what_is_not_needed_is_given_back() {
    let mut pair = Pair::default();
    for round in 1..=200u8 {
        for number in 0..300 {
            pair.change(number, vec![round; 20 + usize::from(number % 7)]);
        }
        let store = pair.writer.snapshot();
        let needed: usize = pair.model.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
        let indexes = [pair.writer.index.slots(), pair.writer.aliases.slots()];
        let indexes: usize = indexes.map(|slots| slots.bytes()).iter().sum();
        let log = store.bytes() - indexes;
        assert!(log < needed * 3 / 2 + 3 * SEGMENT_BYTES, "{log} for {needed}");
    }
    assert_same(&pair.writer.snapshot(), &pair.model);
    assert_eq!(pair.writer.len(), pair.model.len());
}

#[test]
fn an_entry_that_is_to_be_forgotten_is_not_moved() {
    let mut pair = Pair::default();
    let is_forgettable = |number: u16| number.is_multiple_of(4);
    for number in 0..400 {
        let value = if is_forgettable(number) { 0 } else { 1 };
        pair.change(number, vec![value; 30]);
    }
    for round in 2..50 {
        for number in (0..400).filter(|number| !is_forgettable(*number)) {
            pair.change(number, vec![round; 30]);
        }
    }
    let store = pair.writer.snapshot();
    assert!(store.len() < 400, "{store:?}");
    pair.model.retain(|_, value| value[0] != 0);
    let kept: Model = entries(&store).into_iter().filter(|(_, value)| value[0] != 0).collect();
    assert_eq!(kept, pair.model);
}

#[test]
fn runs_of_slots_that_wrap_around_are_mended_when_a_key_goes() {
    let place = |number: usize| Place::at(1, number * 4);
    let mut index = IndexWriter::default();
    // All hashes are among the largest, so the runs begin in the last slots and end in the first
    // ones.
    let hash = |number: usize| u64::MAX - ((number as u64 % 3) << 34);
    for number in 0..9 {
        index.make_room(1).expect("room");
        index.insert(hash(number), place(number));
    }
    for gone in 0..9 {
        let found = index.slots().find(hash(gone), |known| (known == place(gone)).then_some(()));
        let (slot, _) = found.expect("there");
        index.remove(slot);
        assert_eq!(index.slots().len(), 8 - gone);
        for number in 0..9 {
            let found =
                index.slots().find(hash(number), |known| (known == place(number)).then_some(()));
            assert_eq!(found.is_some(), number > gone, "{number} after {gone} went");
        }
    }
}
