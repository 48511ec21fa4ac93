//! The first half: the checkpoints topic. Each seal is verified, and put behind the one before it.

mod growth;
mod history;
mod presence;
mod signers;
mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use audit_chain::Digest;
use audit_chain::name::{Set, StreamName};
use audit_chain::note::Note;
use audit_chain::seal::Seal;
use audit_chain::trust::Trust;

use self::history::{History, Signed};
pub(crate) use self::streams::{Stream, Streams, find};
use crate::finding::{Findings, Label};
use crate::record::SealRecord;
use crate::spill::Spill;

/// What a verification is asked for, besides the trail.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How many partitions the input topic has at least; seals may say more.
    pub partitions: Option<u32>,
    /// For each set, the seal after which events are verified. Sets that are not named are
    /// verified from their beginning.
    pub from: BTreeMap<Set, u64>,
    /// Seals that were remembered outside the cluster.
    pub remembered: Vec<Remembered>,
}

/// A seal that was remembered outside the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The set.
    pub set: Set,
    /// The seal's number.
    pub seal: u64,
    /// The seal's hash.
    pub digest: Digest,
    /// Who remembers it, for the finding: "the anchor of 2026-11-22T07:14:03.000Z".
    pub by: String,
}

/// The seals of a trail, while they are read.
#[derive(Debug)]
pub struct Seals {
    trust: Trust,
    options: Options,
    histories: BTreeMap<Set, History>,
    shared: Shared,
}

/// What the histories of all sets write to.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) streams: Streams,
    pub(crate) spill: Spill,
    pub(crate) findings: Findings,
}

/// The seals of a trail, all of them, or those behind what was verified.
#[derive(Debug)]
pub struct Sealed {
    trust: Trust,
    options: Options,
    histories: BTreeMap<Set, History>,
    pub(crate) sets: BTreeMap<Set, LastSeal>,
    pub(crate) streams: Streams,
    pub(crate) spill: Spill,
    pub(crate) findings: Findings,
}

/// The last seal of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSeal {
    /// Its number.
    pub seal: u64,
    /// Its hash.
    pub digest: Digest,
    /// The offset of the input up to which everything is accounted for; of a replay, how many
    /// outcomes it has written.
    pub input_end: u64,
    /// When it was written, as its writer claims, in milliseconds since 1970.
    pub time_ms: u64,
    /// Whether the set is that of a replay, which is sealed only when it is replayed.
    pub is_replay: bool,
    /// Input messages that are neither skipped nor quarantined, of all seals to be verified.
    pub audited: u64,
    /// What became of the messages of all its seals.
    pub totals: Totals,
}

/// What became of messages, as seals count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages with events.
    pub audited: u64,
    /// Messages without an event, on purpose.
    pub skipped: u64,
    /// Messages that could not be judged.
    pub quarantined: u64,
}

impl Sealed {
    /// Returns the output partitions that hold events of the seals.
    pub fn partitions(&self) -> BTreeSet<(StreamName, u32)> {
        let streams = self.streams.iter();
        let partitions = streams.flat_map(|stream| {
            let name = stream.name.name();
            stream.blocks.keys().map(move |partition| (name.clone(), *partition))
        });
        partitions.collect()
    }

    /// Returns what is wrong with the seals, whatever the events are.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Returns how many seals were remembered outside the cluster.
    pub(crate) fn remembered(&self) -> usize {
        self.options.remembered.len()
    }

    /// Goes on behind these seals, when their events were verified and no evidence was found: takes
    /// the records of the checkpoints topic that came since, and what is remembered by now. The
    /// events that they seal stand behind those that were verified (see
    /// [`PartitionVerifier::behind`](crate::PartitionVerifier::behind)).
    #[must_use]
    pub fn go_on(mut self, remembered: Vec<Remembered>) -> Seals {
        self.streams.iter_mut().for_each(Stream::begin_behind);
        self.histories.values_mut().for_each(History::begin_behind);
        let Sealed { trust, mut options, histories, streams, spill, .. } = self;
        options.remembered = remembered;
        let shared = Shared { streams, spill, findings: Findings::default() };
        Seals { trust, options, histories, shared }
    }
}

impl Seals {
    /// Starts with nothing but the keys to trust.
    pub fn new(trust: Trust, options: Options) -> Self {
        Seals { trust, options, histories: BTreeMap::new(), shared: Shared::default() }
    }

    /// Takes a record of the checkpoints topic. Records of a partition come in its order.
    ///
    /// # Errors
    /// If the temporary file cannot be written or read.
    pub fn take(&mut self, record: &SealRecord<'_>) -> io::Result<()> {
        match self.read(record) {
            Ok(signed) => {
                let set = signed.seal.set.clone();
                let from = self.options.from.get(&set).copied();
                let history = self.histories.entry(set).or_insert_with(|| History::new(from));
                history.take(signed, &self.trust, &mut self.shared)
            }
            Err(what) => {
                self.shared.findings.add(Label::BadSeal, format_args!("{record}: {what}"));
                Ok(())
            }
        }
    }

    /// Reads a seal, and verifies that a known key signed it.
    fn read(&self, record: &SealRecord<'_>) -> Result<Signed, String> {
        let value = record.value.ok_or("the record has no value")?;
        let note = Note::split(value).map_err(|error| error.to_string())?;
        let seal: Seal = note.text().parse().map_err(|error| format!("not a seal: {error}"))?;
        if record.key != Some(seal.set.as_str().as_bytes()) {
            return Err(format!("the record's key is not the set {}", seal.set));
        }
        if record.has_headers {
            return Err("the record has headers".to_string());
        }
        if seal.origin != *self.trust.origin() {
            return Err(format!("it is of the trail {}, not {}", seal.origin, self.trust.origin()));
        }
        let announced = self.histories.get(&seal.set).and_then(History::announced);
        let keys: Vec<_> = self.trust.keys().iter().chain(announced).cloned().collect();
        let signers = note.verify(&keys).map_err(|error| error.to_string())?;
        let signers = signers.into_iter().cloned().collect();
        let digest = Digest::of(note.text().as_bytes());
        Ok(Signed { seal, digest, signers, place: record.to_string() })
    }

    /// Ends the first half.
    ///
    /// # Errors
    /// If the temporary file cannot be written or read.
    pub fn finish(mut self) -> io::Result<Sealed> {
        for history in self.histories.values_mut() {
            history.finish(&self.trust, &mut self.shared)?;
        }
        presence::check(&self.histories, self.options.partitions, &mut self.shared)?;
        for remembered in &self.options.remembered {
            presence::compare(remembered, &self.histories, &mut self.shared)?;
        }
        let Seals { trust, options, histories, shared } = self;
        let Shared { streams, spill, findings } = shared;
        let last = histories.iter().filter_map(|(set, it)| Some((set.clone(), it.last()?.clone())));
        let sets = last.collect();
        Ok(Sealed { trust, options, histories, sets, streams, spill, findings })
    }
}
