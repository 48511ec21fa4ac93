//! What replays of quarantined records seal: a verifier accepts it, and a chain that does not fit
//! to its outcomes is not continued.

use audit_chain::hash::leaf::RecordHeader;
use audit_chain::header::HEADER_NAME;
use audit_chain::name::StreamName;
use audit_chain::trust::Trust;
use audit_judge::fate::{Envelope, RegionIndex};
use audit_verify::{Exit, Options, PartitionVerifier, Record, Report, SealRecord, Seals};
use uuid::Uuid;

use super::*;
use crate::compose::compose_outcome;
use crate::quarantine::case::Place;
use crate::quarantine::outcomes::Outcome;
use crate::quarantine::resolved::{Destination, Resolved};
use crate::sealing::{ReplaySealer, SealedOutcomes, SealedPartition};
use crate::stream::{Content, Output, OwnedHeaders, Proof};

const QUARANTINE_TOPIC: &str = "quarantine";

/// A record that was written: its output, the partition, and all that is covered.
#[derive(Debug, Clone)]
struct Stored {
    output: StreamName,
    partition: i32,
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: OwnedHeaders,
}

/// What replays have committed.
#[derive(Debug, Clone, Default)]
struct Trail {
    records: Vec<Stored>,
    seals: Vec<(String, String)>,
}

/// A quarantined record: the partition of the quarantine, the offset there, the partition of the
/// input, and what becomes of it.
type Case = (i32, i64, i32, Outcome);

fn envelope(region: usize) -> Envelope {
    Envelope {
        region: RegionIndex(region),
        device: "1234567".into(),
        account: "307608".into(),
        location: "dal10".into(),
        id: Uuid::from_u128(5),
    }
}

fn resolved<'a>(case: &Case, envelope: &'a Envelope, at_ms: u64) -> Resolved<'a> {
    let (partition, offset, input, outcome) = *case;
    let content = Content::Event { envelope, event: b"{}" };
    // Of a record without a timestamp, too.
    let timestamp_ms = (offset % 2 == 0).then_some(7);
    let source_partition = Partition(input);
    let event = Output { source_partition, source_offset: 9, timestamp_ms, content };
    Resolved {
        place: Place { partition, offset },
        partition: source_partition,
        event: (outcome == Outcome::Audited).then_some(event),
        outcome,
        key: b"changes/0/9/00",
        value: b"{\"v\":1}",
        at_ms: at_ms as i64,
    }
}

/// Where records go: regions have three partitions, the outcomes two.
fn destination(record: &Resolved<'_>) -> Destination {
    let input = record.partition.0;
    Destination { event: record.event.map(|_| input % 3), outcome: input % 2 }
}

fn seal(sealer: &mut ReplaySealer, records: &[Resolved<'_>]) -> Result<(), String> {
    // The clock is behind the outcomes.
    sealer.seal(records, |it| Some(destination(it)), SEALED_MS).map(|_| ())
}

impl Trail {
    /// Reads the newest seals only, as a replayer does, and the outcomes.
    fn sealer(&self, settings: &SealingSettings) -> Result<ReplaySealer, String> {
        let mut sealer = ReplaySealer::new(settings, QUARANTINE_TOPIC, 2);
        let outcomes = self.outcomes();
        let mut found = BTreeMap::new();
        for partition in [Partition(0), Partition(1)] {
            let since = sealer.search_from(partition, &outcomes)?;
            found.insert(partition, SealedPartition::default());
            // From the first one that is as new, to the end.
            let newer = self.seals.iter().skip_while(|(_, note)| time(note) < since);
            let key = format!("{QUARANTINE_TOPIC}/{partition}#1");
            let newer = newer.filter(|(set, _)| *set == key);
            newer.for_each(|(key, note)| sealer.take(key.as_bytes(), note.as_bytes(), &mut found));
        }
        sealer.load(&found, &outcomes)?;
        Ok(sealer)
    }

    fn outcomes(&self) -> SealedOutcomes {
        let mut outcomes = SealedOutcomes::default();
        let state = self.records.iter().filter(|it| it.output == StreamName::State);
        state.for_each(|it| outcomes.take(&it.headers, it.timestamp_ms));
        outcomes
    }

    /// Commits what was sealed, in the form in which it is sent.
    fn commit(&mut self, records: &[Resolved<'_>], proof: &Proof, settings: &SealingSettings) {
        let mut number = 0..;
        let mut add = |output: StreamName, partition: i32, composed: &Composed<'_>| {
            let chain = proof.header(number.next().expect("endless")).expect("a header");
            let owned =
                |(name, value): &RecordHeader<'_>| (name.to_vec(), value.map(<[u8]>::to_vec));
            let mut headers: OwnedHeaders = composed.headers.iter().map(owned).collect();
            headers.push((HEADER_NAME.into(), Some(chain.into())));
            self.records.push(Stored {
                output,
                partition,
                timestamp_ms: composed.timestamp_ms,
                key: composed.key.map(<[u8]>::to_vec),
                value: composed.value.map(<[u8]>::to_vec),
                headers,
            });
        };
        for record in records {
            let Destination { event, outcome } = destination(record);
            if let Some((output, partition)) = record.event.as_ref().zip(event) {
                let Content::Event { envelope, .. } = output.content else { continue };
                let region = settings.streams[envelope.region.0].clone();
                settings.format.compose_replayed(output, record.place, proof.time_ms(), |it| {
                    add(region, partition, it);
                });
            }
            add(StreamName::State, outcome, &compose_outcome(record));
        }
        self.seals.extend(proof.seals().iter().map(|it| (it.key.clone(), it.note.clone())));
    }

    /// Replays these records, in transactions of their own; the first attempt at each is aborted.
    fn replay(&mut self, sealer: &mut ReplaySealer, transactions: &[&[Case]]) {
        let (settings, envelopes) = (settings(), [envelope(0), envelope(1)]);
        for cases in transactions {
            let at_ms = SEALED_MS + 1 + self.seals.len() as u64;
            let resolved = |case: &Case| resolved(case, &envelopes[case.1 as usize % 2], at_ms);
            let records = cases.iter().map(resolved);
            let records: Vec<_> = records.collect();
            seal(sealer, &records).expect("sealed");
            let proof = sealer.seal(&records, |it| Some(destination(it)), SEALED_MS);
            self.commit(&records, proof.expect("sealed"), &settings);
            sealer.committed();
        }
    }

    fn verify(&self, trusted: u8) -> Report {
        let trust: Trust = key(trusted).public().to_string().parse().expect("a trust file");
        let mut seals = Seals::new(trust, Options::default());
        for (offset, (key, note)) in (0..).zip(&self.seals) {
            let (key, value) = (Some(key.as_bytes()), Some(note.as_bytes()));
            let record = SealRecord { partition: 0, offset, key, value, has_headers: false };
            seals.take(&record).expect("memory");
        }
        let sealed = seals.finish().expect("memory");
        let outputs = self.records.iter().map(|it| (it.output.clone(), it.partition as u32, 0));
        let outputs: std::collections::BTreeSet<_> = outputs.collect();
        let report = audit_verify::verify_partitions(&sealed, outputs, |output, partition, it| {
            Ok(self.read(output, partition, it))
        });
        report.expect("memory")
    }

    fn read(
        &self,
        output: &StreamName,
        partition: u32,
        mut verifier: PartitionVerifier<'_>,
    ) -> audit_verify::PartitionReport {
        let own = self.records.iter();
        let own = own.filter(|it| it.output == *output && it.partition as u32 == partition);
        for (offset, stored) in (0..).zip(own) {
            let headers: Vec<_> =
                stored.headers.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
            let record = Record {
                offset,
                timestamp_ms: stored.timestamp_ms,
                key: stored.key.as_deref(),
                value: stored.value.as_deref(),
                headers: &headers,
                is_newer_than_seals: false,
            };
            verifier.take(&record).expect("memory");
        }
        verifier.finish().expect("memory")
    }
}

fn time(note: &str) -> u64 {
    let note = Note::split(note.as_bytes()).expect("a note");
    let seal: Seal = note.text().parse().expect("a seal");
    seal.time.epoch_ms()
}

/// Records of two partitions of the quarantine, in an order that a selection may have.
const FIRST: &[&[Case]] = &[
    &[
        (0, 8, 0, Outcome::Audited),
        (1, 5, 1, Outcome::Skipped),
        (0, 3, 0, Outcome::Again),
        // The only one of its region.
        (0, 7, 0, Outcome::Audited),
    ],
    // Of another partition of the input.
    &[(0, 4, 2, Outcome::Audited), (1, 6, 1, Outcome::Present)],
];
const SECOND: &[&[Case]] =
    &[&[(0, 3, 0, Outcome::Audited)], &[(0, 1, 0, Outcome::Done), (0, 2, 0, Outcome::Audited)]];

#[test]
fn what_replays_seal_is_proven() {
    let mut trail = Trail::default();
    trail.replay(&mut trail.sealer(&settings()).expect("nothing yet"), FIRST);
    trail.replay(&mut trail.sealer(&settings()).expect("the newest seals"), SECOND);
    let report = trail.verify(1);
    assert_eq!(report.exit(), Exit::Proven, "{report}");
    assert_eq!(report.confirmed.values().sum::<u64>(), trail.records.len() as u64);
    let of = |set: &str| &report.seals[&set.parse::<Set>().expect("a set")];
    assert_eq!((of("quarantine/0#1").seal, of("quarantine/0#1").input_end), (3, 7));
    assert_eq!((of("quarantine/1#1").seal, of("quarantine/1#1").input_end), (1, 2));
    let totals = report.quarantine().expect("replays");
    assert_eq!((totals.audited, totals.closed), (5, 3));

    trail.records.iter_mut().for_each(|it| it.timestamp_ms += 1);
    assert_eq!(trail.verify(1).exit(), Exit::Evidence);
}

#[test]
fn chains_are_not_continued_where_outcomes_and_seals_do_not_fit() {
    let mut trail = Trail::default();
    trail.replay(&mut trail.sealer(&settings()).expect("nothing yet"), FIRST);
    let refused = |trail: &Trail, settings: &SealingSettings, expected: &str| {
        let refused = trail.sealer(settings).expect_err(expected);
        assert!(refused.contains(expected), "{refused}");
    };
    let mut lost = trail.clone();
    lost.records.clear();
    refused(
        &lost,
        &settings(),
        "has 0 of quarantine/0#1, and the newest seal that was found signs 4",
    );
    let mut one_less = trail.clone();
    let first = one_less.records.iter().position(|it| it.output == StreamName::State);
    one_less.records.remove(first.expect("an outcome"));
    refused(&one_less, &settings(), "has 3 of quarantine/0#1");
    let mut without_seals = trail.clone();
    without_seals.seals.truncate(2);
    refused(&without_seals, &settings(), "the newest seal that was found signs 0");
    without_seals.seals.clear();
    refused(&without_seals, &settings(), "the newest seal that was found signs 0");
    let other_key = settings_of(ORIGIN, 2, None, &["eu-de", "us-south"]);
    refused(&trail, &other_key, "as integrity.previous_key");
}

#[test]
fn a_key_is_replaced_between_two_replays() {
    let mut trail = Trail::default();
    let regions = ["eu-de", "us-south"];
    let settings = [
        settings_of(ORIGIN, 1, None, &regions),
        settings_of(ORIGIN, 2, Some(1), &regions),
        settings_of(ORIGIN, 2, None, &regions),
    ];
    let numbers = [0, 10, 20];
    for (settings, number) in settings.iter().zip(numbers) {
        let mut sealer = trail.sealer(settings).expect("the newest seals");
        let cases = [0, 2, 4].map(|more| [(0, number + more, 0, Outcome::Audited)]);
        trail.replay(&mut sealer, &cases.each_ref().map(|case| &case[..]));
    }
    // A set in which nothing is replayed meanwhile gets the new key as well.
    let mut idle = Trail::default();
    idle.replay(&mut idle.sealer(&settings[0]).expect("nothing yet"), FIRST);
    assert_eq!(idle.sealer(&settings[0]).expect("sealed").rotating(&idle.outcomes()), []);
    let mut sealer = idle.sealer(&settings[1]).expect("the newest seals");
    assert_eq!(sealer.rotating(&idle.outcomes()), [Partition(0), Partition(1)]);
    let mut seals = 0;
    while let Some(proof) = sealer.rotate(SEALED_MS).expect("sealed") {
        seals += proof.seals().len();
        idle.seals.extend(proof.seals().iter().map(|it| (it.key.clone(), it.note.clone())));
        sealer.committed();
    }
    let refused = idle.sealer(&settings[0]).expect_err("an old configuration");
    assert!(refused.contains("a seal announced the key"), "{refused}");
    assert_eq!(seals, 4, "an announcement and a seal of both keys, for each set");
    idle.replay(&mut idle.sealer(&settings[2]).expect("the newest seals"), SECOND);
    assert_eq!(idle.verify(1).exit(), Exit::Proven, "{}", idle.verify(1));

    let report = trail.verify(1);
    assert_eq!(report.exit(), Exit::Proven, "the first key announces the second: {report}");
    assert_eq!(trail.verify(2).exit(), Exit::Evidence);
}

#[test]
fn a_stream_is_written_to_one_partition_in_a_transaction() {
    let mut sealer = Trail::default().sealer(&settings()).expect("nothing yet");
    let envelope = envelope(0);
    let cases = [(0, 0, 0, Outcome::Audited), (0, 2, 1, Outcome::Audited)];
    let records = cases.map(|case| resolved(&case, &envelope, SEALED_MS));
    let refused = seal(&mut sealer, &records).expect_err("two partitions");
    assert!(refused.contains("two partitions"), "{refused}");
}

#[test]
fn relays_take_no_seal_of_a_replay_for_their_own() {
    assert_eq!(settings().set_of(b"quarantine/0#1"), None);
    assert!(settings().set_of(b"changes/0#1").is_some());
}
