//! Writes a trail as the rules say: one writer for each partition of the input.

use std::collections::BTreeMap;

use audit_chain::hash::leaf::{Event, leaf};
use audit_chain::hash::{genesis, seal_genesis, step};
use audit_chain::header::{ChainHeader, HEADER_NAME};
use audit_chain::key::{PublicKey, SigningKey};
use audit_chain::name::{Set, Source, Stream, StreamName};
use audit_chain::note::sign;
use audit_chain::seal::{After, Counts, Head, Input, Seal, Writer as By};
use audit_chain::time::Time;
use audit_chain::{Digest, Number};

use crate::trail::{Ends, INPUT, ORIGIN, Stored, StoredSeal, Trail};

/// Partitions of each output topic.
const OUTPUT_PARTITIONS: u32 = 2;
/// When the first seal was written, in milliseconds since 1970.
pub(crate) const BEGIN_MS: u64 = 1_700_000_000_000;

/// What becomes of a message.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    Audited(&'static str, Vec<u8>),
    Skipped,
    Quarantined(Vec<u8>),
}

/// The writer of one set. Its fields are what is committed.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    pub(crate) set: Set,
    pub(crate) partitions: u32,
    pub(crate) next: u64,
    pub(crate) seal: u64,
    pub(crate) last: Digest,
    pub(crate) heads: BTreeMap<StreamName, (u64, Digest)>,
    pub(crate) after: Option<After>,
    /// Whether each seal names all streams.
    pub(crate) is_full: bool,
    pub(crate) next_key: Option<PublicKey>,
    pub(crate) time_ms: u64,
}

impl Writer {
    pub(crate) fn new(partition: u32, partitions: u32) -> Self {
        Self::in_epoch(partition, partitions, 1, None)
    }

    pub(crate) fn in_epoch(
        partition: u32,
        partitions: u32,
        epoch: u32,
        after: Option<After>,
    ) -> Self {
        let set = Set::new(INPUT, partition.into(), epoch.into()).expect("a set");
        Self::of(set, partitions, after)
    }

    /// The writer of a set in which nothing was written yet.
    pub(crate) fn of(set: Set, partitions: u32, after: Option<After>) -> Self {
        let origin = ORIGIN.parse().expect("an origin");
        let last = seal_genesis(&origin, &set, after.as_ref().map(|it| &it.digest));
        Writer {
            set,
            partitions,
            next: 0,
            seal: 0,
            last: last.expect("a genesis"),
            heads: BTreeMap::new(),
            after,
            is_full: false,
            next_key: None,
            time_ms: BEGIN_MS,
        }
    }

    /// Returns what the first seal of the next epoch names.
    pub(crate) fn end(&self) -> After {
        After { set: self.set.clone(), seal: number(self.seal - 1), digest: self.last }
    }

    /// Writes one transaction: messages from the next offset on, and the seal.
    pub(crate) fn write(&mut self, fates: &[Fate], keys: &[&SigningKey], trail: &mut Trail) {
        let start = self.next;
        let mut counts = [fates.len() as u64, 0, 0, 0];
        let mut touched = BTreeMap::new();
        for fate in fates {
            let (name, value) = match fate {
                Fate::Audited(region, value) => (region.parse().expect("a region"), value),
                Fate::Quarantined(value) => (StreamName::Quarantine, value),
                Fate::Skipped => {
                    counts[2] += 1;
                    self.next += 1;
                    continue;
                }
            };
            counts[if name == StreamName::Quarantine { 3 } else { 1 }] += 1;
            let partition = self.set.partition().get() as u32 % OUTPUT_PARTITIONS;
            trail.append(&name, partition, self.event(&name, value, self.next));
            touched.insert(name, partition);
            self.next += 1;
        }
        self.write_seal(start, counts, &touched, keys, trail);
    }

    /// Makes the record of an event that comes from an offset.
    pub(crate) fn event(&mut self, name: &StreamName, value: &[u8], offset: u64) -> Stored {
        let origin = ORIGIN.parse().expect("an origin");
        let stream = Stream::new(self.set.clone(), name.clone());
        let first = (0, genesis(&origin, &stream));
        let (size, head) = self.heads.get(name).copied().unwrap_or(first);
        let source = Source { offset: number(offset), index: Number::ZERO };
        let header = ChainHeader { stream, number: number(size), source, previous: head };
        let mut record = Stored {
            offset: 0,
            timestamp_ms: (BEGIN_MS + offset) as i64,
            key: Some(format!("device-{}", offset % 5).into_bytes()),
            value: Some(value.to_vec()),
            headers: vec![(b"content-type".to_vec(), Some(b"application/json".to_vec()))],
            is_newer_than_seals: false,
        };
        let leaf = leaf_of(&record, source);
        self.heads.insert(name.clone(), (size + 1, step(number(size), &head, &leaf)));
        record.headers.push((HEADER_NAME.into(), Some(header.to_string().into_bytes())));
        record
    }

    pub(crate) fn write_seal(
        &mut self,
        start: u64,
        [read, events, skipped, quarantined]: [u64; 4],
        touched: &BTreeMap<StreamName, u32>,
        keys: &[&SigningKey],
        trail: &mut Trail,
    ) {
        let heads =
            self.heads.iter().filter(|(name, _)| self.is_full || touched.contains_key(name));
        let heads = heads.map(|(name, (size, digest))| {
            let partition = touched.get(name).map(|partition| (*partition).into());
            (name.clone(), Head { size: number(*size), digest: *digest, partition })
        });
        let seal = Seal {
            origin: ORIGIN.parse().expect("an origin"),
            set: self.set.clone(),
            partitions: self.partitions.into(),
            number: number(self.seal),
            previous: self.last,
            input: Input { start: number(start), end: number(self.next) },
            counts: Counts {
                read: number(read),
                events: number(events),
                skipped: number(skipped),
                quarantined: number(quarantined),
            },
            writer: By::new("audit", "relay-0", 7).expect("a writer"),
            time: Time::from_epoch_ms(self.time_ms).expect("a time"),
            after: self.after.take(),
            resumed: None,
            gaps: Vec::new(),
            extensions: Vec::new(),
            heads: heads.collect(),
            next_key: self.next_key.take(),
        };
        let text = seal.text().expect("a seal that agrees with itself");
        trail.seals.push(StoredSeal {
            key: Some(self.set.as_str().into()),
            note: Some(sign(&text, keys).expect("signed").into_bytes()),
            has_headers: false,
        });
        self.last = Digest::of(text.as_bytes());
        self.seal += 1;
        self.time_ms += 100;
    }
}

/// The hash of a record without its chain header.
pub(crate) fn leaf_of(record: &Stored, source: Source) -> Digest {
    let headers = record.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_slice(), value.as_deref()));
    let event = Event {
        source,
        timestamp_ms: record.timestamp_ms,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
    };
    leaf(&event, headers.filter(|(name, _)| *name != HEADER_NAME.as_bytes())).expect("short")
}

pub(crate) fn number(value: u64) -> Number {
    Number::new(value).expect("below 2^63")
}

/// The key that signs, unless a test is about keys.
pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(ORIGIN.parse().expect("an origin"), &[seed; 32])
}

/// What becomes of the messages of a partition, by their offsets.
pub(crate) fn fate(partition: u32, offset: u64) -> Fate {
    let value = format!("{{\"partition\":{partition},\"offset\":{offset}}}").into_bytes();
    match offset % 9 {
        7 => Fate::Skipped,
        8 => Fate::Quarantined(value),
        _ if (offset + u64::from(partition)).is_multiple_of(3) => Fate::Audited("us-east-1", value),
        _ => Fate::Audited("eu-west-1", value),
    }
}

/// A trail of two partitions of the input and six transactions of each, and its writers.
pub(crate) fn usual() -> (Trail, Vec<Writer>) {
    let (trail, writers, _) = usual_with_ends();
    (trail, writers)
}

/// The same, with the ends of the topics after each transaction.
pub(crate) fn usual_with_ends() -> (Trail, Vec<Writer>, Vec<Ends>) {
    let mut trail = Trail::default();
    let mut writers: Vec<_> = (0..2).map(|partition| Writer::new(partition, 2)).collect();
    let mut ends = vec![trail.ends()];
    for transaction in 0..6 {
        for (partition, writer) in (0..).zip(&mut writers) {
            writer.is_full = transaction == 5;
            write(writer, partition, 4, &mut trail);
            ends.push(trail.ends());
        }
    }
    (trail, writers, ends)
}

/// Writes a transaction of the next messages.
pub(crate) fn write(writer: &mut Writer, partition: u32, messages: u64, trail: &mut Trail) {
    let offsets = writer.next..writer.next + messages;
    let fates: Vec<_> = offsets.map(|offset| fate(partition, offset)).collect();
    writer.write(&fates, &[&key(1)], trail);
}
