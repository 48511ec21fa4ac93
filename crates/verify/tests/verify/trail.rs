//! A trail in memory: the records of its topics, which a test can change as an attacker would.

use std::collections::BTreeMap;

use audit_chain::name::{Set, StreamName};
use audit_chain::note::Note;
use audit_chain::seal::Seal;
use proptest::sample::Index;

/// The origin of all trails here.
pub(crate) const ORIGIN: &str = "audit.example.com/prod/infra";
/// The topic that they read.
pub(crate) const INPUT: &str = "infra.changes";

/// The records of a trail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail {
    /// The outputs, by topic and partition.
    pub(crate) outputs: BTreeMap<(StreamName, u32), Vec<Stored>>,
    /// The checkpoints topic, of one partition.
    pub(crate) seals: Vec<StoredSeal>,
    /// Where retention has let the partitions begin, if not at 0.
    pub(crate) low_watermarks: BTreeMap<(StreamName, u32), u64>,
}

/// The ends of a trail's topics at some moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ends {
    pub(crate) outputs: BTreeMap<(StreamName, u32), u64>,
    pub(crate) seals: usize,
}

/// A record of an output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) offset: u64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) is_newer_than_seals: bool,
}

/// A record of the checkpoints topic.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredSeal {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) note: Option<Vec<u8>>,
    pub(crate) has_headers: bool,
}

impl Trail {
    /// The records of an output partition.
    pub(crate) fn output(&mut self, name: &str, partition: u32) -> &mut Vec<Stored> {
        let name = name.parse().expect("a name");
        self.outputs.entry((name, partition)).or_default()
    }

    /// Adds a record at the end of an output partition.
    pub(crate) fn append(&mut self, name: &StreamName, partition: u32, mut record: Stored) {
        let records = self.outputs.entry((name.clone(), partition)).or_default();
        record.offset = records.last().map_or(0, |last| last.offset + 1);
        records.push(record);
    }

    /// Returns a record, chosen among all, and its output.
    pub(crate) fn record(&self, chosen: &Index) -> ((StreamName, u32), Stored) {
        let all = self.outputs.iter().flat_map(|(output, records)| {
            records.iter().map(move |record| (output.clone(), record.clone()))
        });
        let all: Vec<_> = all.collect();
        all[chosen.index(all.len())].clone()
    }

    /// Returns where its topics end.
    pub(crate) fn ends(&self) -> Ends {
        let end = |records: &Vec<Stored>| records.last().map_or(0, |last| last.offset + 1);
        let outputs = self.outputs.iter();
        let outputs = outputs.map(|(output, records)| (output.clone(), end(records))).collect();
        Ends { outputs, seals: self.seals.len() }
    }

    /// Appends what another trail has.
    pub(crate) fn append_all(&mut self, other: Trail) {
        self.seals.extend(other.seals);
        for ((name, partition), records) in other.outputs {
            records.into_iter().for_each(|record| self.append(&name, partition, record));
        }
    }

    /// Returns all records with their places, in a fixed order.
    pub(crate) fn records(&mut self) -> impl Iterator<Item = &mut Stored> {
        self.outputs.values_mut().flatten()
    }

    /// Numbers the records again after some were inserted or moved.
    pub(crate) fn renumber(&mut self) {
        for records in self.outputs.values_mut() {
            (0..).zip(records).for_each(|(offset, record)| record.offset = offset);
        }
    }

    /// Lets retention remove the first records of a partition.
    pub(crate) fn expire(&mut self, name: &str, partition: u32, count: usize) {
        let records = self.output(name, partition);
        let low = records.drain(..count).next_back().expect("records").offset + 1;
        self.low_watermarks.insert((name.parse().expect("a name"), partition), low);
    }

    /// Returns the index of a seal among the records of the checkpoints topic.
    pub(crate) fn seal_index(&self, set: &Set, number: u64) -> usize {
        let is_it = |seal: &StoredSeal| {
            let seal = seal.seal();
            seal.set == *set && seal.number.get() == number
        };
        self.seals.iter().position(is_it).expect("the seal is there")
    }
}

impl Stored {
    /// Returns the chain header's parts.
    pub(crate) fn chain(&self) -> audit_chain::header::ChainHeader {
        let (_, value) = self.headers.last().expect("headers");
        audit_chain::header::ChainHeader::parse(value.as_deref().expect("a value")).expect("valid")
    }

    /// Replaces the chain header.
    pub(crate) fn set_chain(&mut self, header: &audit_chain::header::ChainHeader) {
        let (_, value) = self.headers.last_mut().expect("headers");
        *value = Some(header.to_string().into_bytes());
    }
}

impl StoredSeal {
    /// Reads the seal.
    pub(crate) fn seal(&self) -> Seal {
        self.text().parse().expect("a seal")
    }

    /// Returns the text that is signed.
    pub(crate) fn text(&self) -> String {
        let note = Note::split(self.note.as_deref().expect("a note")).expect("a note");
        note.text().to_string()
    }

    /// Replaces a part of the note.
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        let note = String::from_utf8(self.note.take().expect("a note")).expect("UTF-8");
        assert!(note.contains(from), "{note}");
        self.note = Some(note.replacen(from, to, 1).into_bytes());
    }
}
