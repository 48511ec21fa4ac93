//! Chains of one partition from transaction to transaction: where they may be continued, who signs,
//! and which streams a seal names. The simulation covers failures and takeovers.

mod continuing;
mod replaying;
mod sealing;

use std::collections::BTreeMap;
use std::sync::Arc;

use audit_chain::key::SigningKey;
use audit_chain::name::Set;
use audit_chain::note::Note;
use audit_chain::seal::{Seal, Writer};
use audit_chain::time::Time;
use audit_judge::fate::FateKind;

use super::chains::{Chains, Closed, Sealing};
use super::consumed::Consumed;
use super::found::Found;
use super::load::load;
use super::{Keys, SealingSettings};
use crate::compose::{Composed, RecordFormat};
use crate::stream::batch::PartitionTally;
use crate::stream::{Partition, Position, ResumePoint};

const ORIGIN: &str = "audit.example.com";
const PARTITION: Partition = Partition(0);
const SEALED_MS: u64 = 1_700_000_000_000;
/// The index of the quarantine's stream, after the regions'.
const QUARANTINE: usize = 2;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(ORIGIN.parse().expect("an origin"), &[seed; 32])
}

fn settings_of(
    origin: &str,
    current: u8,
    previous: Option<u8>,
    regions: &[&str],
) -> SealingSettings {
    let format = RecordFormat {
        regions: regions.iter().map(ToString::to_string).collect(),
        event_headers: true,
        input: "changes".to_string(),
        is_sealed: true,
    };
    let keys = Arc::new(Keys::new(key(current), previous.map(key)));
    let writer = Writer::new("group", "relay-0", 1).expect("names");
    let origin = origin.parse().expect("an origin");
    SealingSettings::new(origin, keys, writer, format, Arc::default()).expect("names of streams")
}

/// The settings with which everything begins.
fn settings() -> SealingSettings {
    settings_of(ORIGIN, 1, None, &["eu-de", "us-south"])
}

fn position(next_offset: i64, metadata: &str) -> Position {
    let metadata = metadata.to_string();
    Position { partition: PARTITION, next_offset, leader_epoch: None, metadata }
}

/// A place of the group's committed offset.
fn at(next_offset: i64, metadata: &str) -> ResumePoint {
    ResumePoint::At(position(next_offset, metadata))
}

fn fresh() -> Chains {
    load(&at(0, ""), PARTITION, &Found::default(), &settings()).expect("never sealed")
}

/// The tally of records from `first` to before `next`, all audited.
fn tally(first: i64, next: i64) -> PartitionTally {
    let mut tally = PartitionTally {
        read: (next - first) as u64,
        first_offset: (first < next).then_some(first),
        next_offset: next,
        ..PartitionTally::default()
    };
    tally.fates[FateKind::Audited.index()] = tally.read;
    tally
}

/// Adds a record to each of these streams, from an offset on.
fn extend(chains: &mut Chains, first: i64, streams: &[usize]) {
    for (offset, stream) in (first..).zip(streams) {
        let composed =
            Composed { timestamp_ms: 5, key: Some(b"k"), value: Some(b"{}"), headers: &[] };
        chains.extend(*stream, offset, &composed, 1).expect("a stream");
    }
}

fn close(
    chains: &mut Chains,
    tally: &PartitionTally,
    settings: &SealingSettings,
) -> Result<Closed, String> {
    let time = Time::from_epoch_ms(SEALED_MS).expect("a time");
    let consumed = Consumed::input(tally).expect("offsets");
    let consumed = &consumed;
    let sealing =
        Sealing { settings, consumed, partitions: 1, time, resumed: None, names_all: false };
    chains.close(&sealing).expect("a seal that agrees with itself")
}

/// Adds events of the first region and seals them.
fn transact(chains: &mut Chains, first: i64, next: i64, settings: &SealingSettings) -> Closed {
    extend(chains, first, &vec![0; (next - first) as usize]);
    close(chains, &tally(first, next), settings).expect("sealed")
}

fn seal(closed: &Closed) -> Seal {
    let note = Note::split(closed.seal.note.as_bytes()).expect("a note");
    note.text().parse().expect("a seal")
}

/// What a search finds if there are these seals.
fn found(seals: &[&Closed], settings: &SealingSettings) -> Found {
    let mut found = Found::default();
    for closed in seals {
        let set: Set = closed.seal.key.parse().expect("a set");
        _ = found.take(&set, closed.seal.note.as_bytes(), settings);
    }
    found
}
