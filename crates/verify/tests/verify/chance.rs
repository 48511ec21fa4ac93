//! Attacks by chance: whatever is done to the bytes that are covered, to the set of records or to
//! the order within a stream is evidence.

use audit_chain::name::StreamName;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::checked::{check, labels};
use crate::replays::replayed;
use crate::trail::{Stored, Trail};
use crate::writer::usual;

/// One change of a trail. Its numbers are taken modulo what is there.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Byte { record: Index, part: Part, at: Index, xor: u8 },
    Timestamp { record: Index, by: i64 },
    Remove { record: Index },
    Repeat { record: Index, to: Index },
    Swap { record: Index, with: Index },
    AddHeader { record: Index, at: Index },
    SealByte { seal: Index, at: Index, xor: u8 },
    RemoveSeal { seal: Index },
    SwapSeals { seal: Index, with: Index },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Key,
    Value,
    HeaderName,
    HeaderValue,
    Chain,
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    let part = prop_oneof![
        Just(Part::Key),
        Just(Part::Value),
        Just(Part::HeaderName),
        Just(Part::HeaderValue),
        Just(Part::Chain)
    ];
    prop_oneof![
        4 => (index(), part, index(), 1..=255_u8)
            .prop_map(|(record, part, at, xor)| Change::Byte { record, part, at, xor }),
        1 => (index(), prop_oneof![Just(1_i64), Just(-1), any::<i64>()])
            .prop_map(|(record, by)| Change::Timestamp { record, by }),
        1 => index().prop_map(|record| Change::Remove { record }),
        1 => (index(), index()).prop_map(|(record, to)| Change::Repeat { record, to }),
        1 => (index(), index()).prop_map(|(record, with)| Change::Swap { record, with }),
        1 => (index(), index()).prop_map(|(record, at)| Change::AddHeader { record, at }),
        2 => (index(), index(), 1..=255_u8)
            .prop_map(|(seal, at, xor)| Change::SealByte { seal, at, xor }),
        1 => index().prop_map(|seal| Change::RemoveSeal { seal }),
        1 => (index(), index()).prop_map(|(seal, with)| Change::SwapSeals { seal, with }),
    ]
}

impl Change {
    pub(crate) fn apply(&self, trail: &mut Trail) {
        match self {
            Change::Byte { record, part, at, xor } => flip(pick(trail, record), *part, at, *xor),
            Change::Timestamp { record, by } => {
                let record = pick(trail, record);
                record.timestamp_ms = record.timestamp_ms.wrapping_add(*by);
            }
            Change::Remove { record } => {
                let (output, at) = find(trail, record);
                trail.outputs.get_mut(&output).expect("an output").remove(at);
            }
            Change::Repeat { record, to } => {
                let (output, at) = find(trail, record);
                let records = trail.outputs.get_mut(&output).expect("an output");
                let copy = records[at].clone();
                records.insert(to.index(records.len() + 1), copy);
            }
            Change::Swap { record, with } => {
                let (output, at) = find(trail, record);
                let records = trail.outputs.get_mut(&output).expect("an output");
                let with = with.index(records.len());
                records.swap(at, with);
            }
            Change::AddHeader { record, at } => {
                let headers = &mut pick(trail, record).headers;
                headers.insert(at.index(headers.len() + 1), (b"x".to_vec(), None));
            }
            Change::SealByte { seal, at, xor } => {
                let seal = seal.index(trail.seals.len());
                let note = trail.seals[seal].note.as_mut().expect("a note");
                // Signature lines are not covered.
                let end = note.windows(2).position(|pair| pair == b"\n\n");
                note[at.index(end.expect("a text") + 1)] ^= xor;
            }
            Change::RemoveSeal { seal } => drop(trail.seals.remove(seal.index(trail.seals.len()))),
            Change::SwapSeals { seal, with } => {
                let (seal, with) = (seal.index(trail.seals.len()), with.index(trail.seals.len()));
                trail.seals.swap(seal, with);
            }
        }
        trail.renumber();
    }
}

fn find(trail: &Trail, index: &Index) -> ((StreamName, u32), usize) {
    let count = trail.outputs.values().map(Vec::len).sum();
    let mut at = index.index(count);
    for (output, records) in &trail.outputs {
        if at < records.len() {
            return (output.clone(), at);
        }
        at -= records.len();
    }
    panic!("the index is below the count")
}

fn pick<'t>(trail: &'t mut Trail, index: &Index) -> &'t mut Stored {
    let (output, at) = find(trail, index);
    &mut trail.outputs.get_mut(&output).expect("an output")[at]
}

fn flip(record: &mut Stored, part: Part, at: &Index, xor: u8) {
    let last = record.headers.len() - 1;
    let bytes = match part {
        Part::Key => &mut record.key,
        Part::Value => &mut record.value,
        Part::HeaderName => {
            let name = &mut record.headers[at.index(last + 1)].0;
            let at = at.index(name.len());
            name[at] ^= xor;
            return;
        }
        Part::HeaderValue => &mut record.headers[0].1,
        Part::Chain => &mut record.headers[last].1,
    };
    match bytes {
        Some(bytes) if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] ^= xor;
        }
        bytes => *bytes = Some(vec![xor]),
    }
}

/// What a reader of the topics sees: which records each stream has in which order, by partition,
/// and which seals each set has.
pub(crate) fn seen(trail: &Trail) -> Vec<String> {
    let stream = |record: &Stored| {
        let (_, value) = record.headers.last().expect("headers");
        let value = String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
        value.split(' ').nth(1).unwrap_or_default().to_string()
    };
    let mut seen = Vec::new();
    for (output, records) in &trail.outputs {
        let mut records: Vec<_> = records.iter().map(|record| (stream(record), record)).collect();
        // Between streams the order is not signed.
        records.sort_by(|a, b| a.0.cmp(&b.0));
        for (stream, record) in records {
            let Stored { timestamp_ms, key, value, headers, .. } = record;
            seen.push(format!("{output:?} {stream} {timestamp_ms} {key:?} {value:?} {headers:?}"));
        }
    }
    let mut seals: Vec<_> = trail.seals.iter().map(|seal| (seal.key.clone(), seal)).collect();
    seals.sort_by(|a, b| a.0.cmp(&b.0));
    seen.extend(seals.iter().map(|(_, seal)| format!("{:?}", seal.note)));
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_change_is_evidence(
        changes in prop::collection::vec(change(), 1..4),
        is_replayed: bool,
    ) {
        let untouched = if is_replayed { replayed().0 } else { usual().0 };
        let mut trail = untouched.clone();
        changes.iter().for_each(|change| change.apply(&mut trail));
        let report = check(&trail);
        let is_changed = seen(&trail) != seen(&untouched);
        prop_assert_eq!(report.exit().code(), u8::from(is_changed), "{:?}", labels(&report));
    }
}
