//! What seals say, and who signs them.

use std::time::Duration;

use audit_chain::anchor::{Anchor, split_file};
use audit_chain::trust::Trust;
use audit_verify::{Exit, Options, SealRecord, Seals};

use super::*;
use crate::sealing::{AnchorSink, ChainSealer};
use crate::stream::batch::Batch;
use crate::stream::{Failure, Gap, GapCause, Output, SealLog, SealSearch, SealedBatch, Sealer};

/// Verifies seals with these keys, and returns what is wrong.
fn verify(seals: &[&Closed], keys: &[u8]) -> Option<String> {
    let lines: Vec<_> = keys.iter().map(|seed| key(*seed).public().to_string()).collect();
    let trust: Trust = lines.join("\n").parse().expect("a trust file");
    let mut verifier = Seals::new(trust, Options::default());
    for (offset, closed) in (0..).zip(seals) {
        let (key, value) = (closed.seal.key.as_bytes(), closed.seal.note.as_bytes());
        let record = SealRecord {
            partition: 0,
            offset,
            key: Some(key),
            value: Some(value),
            has_headers: false,
        };
        verifier.take(&record).expect("a temporary file");
    }
    let sealed = verifier.finish().expect("a temporary file");
    let findings = sealed.findings();
    (findings.exit() == Exit::Evidence).then(|| format!("{findings:?}"))
}

fn signatures(closed: &Closed) -> usize {
    closed.seal.note.matches('\u{2014}').count()
}

#[test]
fn a_key_is_replaced_with_the_old_one_as_a_witness() {
    let before = settings();
    let during = settings_of(ORIGIN, 2, Some(1), &["eu-de", "us-south"]);
    let after = settings_of(ORIGIN, 2, None, &["eu-de", "us-south"]);
    let resume = |closed: &Closed, offset, settings: &SealingSettings| {
        load(&at(offset, &closed.metadata), PARTITION, &Found::default(), settings)
    };
    let mut chains = fresh();
    let first = transact(&mut chains, 0, 1, &before);
    let mut chains = resume(&first, 1, &during).expect("the state of the old key");
    let announcing = transact(&mut chains, 1, 2, &during);
    assert_eq!(seal(&announcing).next_key.as_ref(), Some(key(2).public()));
    assert_eq!(signatures(&announcing), 1);

    // The same process goes on, or another one takes over: both continue with both keys.
    let from_memory = transact(&mut chains, 2, 3, &during);
    let mut taken_over = resume(&announcing, 2, &during).expect("announced");
    let witnessed = transact(&mut taken_over, 2, 3, &during);
    assert_eq!(seal(&from_memory).heads, seal(&witnessed).heads);
    assert_eq!((signatures(&from_memory), signatures(&witnessed)), (2, 2));
    let alone = transact(&mut taken_over, 3, 4, &during);
    assert_eq!(signatures(&alone), 1);
    assert!(resume(&alone, 4, &after).is_ok());

    let all = [&first, &announcing, &witnessed, &alone];
    assert_eq!(verify(&all, &[1]), None, "the old key's announcement suffices");
    assert!(verify(&all, &[2]).is_some(), "the new key does not sign for the past");
    // A relay with the configuration from before must not sign with the old key again.
    let refused = resume(&announcing, 2, &before).expect_err("announced").text;
    assert!(refused.contains("integrity.previous_key"), "{refused}");
}

#[test]
fn a_seal_names_what_has_grown_and_sometimes_all() {
    let settings = settings();
    let mut chains = fresh();
    let names = |closed: &Closed| -> Vec<String> {
        let heads = seal(closed).heads;
        let heads = heads.iter().map(|(name, head)| {
            let grown = if head.partition.is_some() { "+" } else { "" };
            format!("{name} {}{grown}", head.size)
        });
        heads.collect()
    };
    extend(&mut chains, 0, &[0, 1, 0]);
    let first = close(&mut chains, &tally(0, 3), &settings).expect("sealed");
    assert_eq!(names(&first), ["eu-de 2+", "us-south 1+"]);
    assert_eq!(names(&transact(&mut chains, 3, 4, &settings)), ["eu-de 3+"]);
    let heartbeat = close(&mut chains, &tally(4, 4), &settings).expect("sealed");
    assert_eq!(names(&heartbeat), ["eu-de 3", "us-south 1"], "signed silence names all");
    let place = at(4, &heartbeat.metadata);
    let mut taken_over = load(&place, PARTITION, &Found::default(), &settings).expect("the newest");
    let all = names(&transact(&mut taken_over, 4, 5, &settings));
    assert_eq!(all, ["eu-de 4+", "us-south 1"], "the first after a takeover names all");

    // A region that is not configured any more keeps its chain.
    let fewer = settings_of(ORIGIN, 1, None, &["us-south"]);
    let mut without = load(&place, PARTITION, &Found::default(), &fewer).expect("the newest");
    let sealed = transact(&mut without, 4, 5, &fewer);
    assert_eq!(names(&sealed), ["eu-de 3", "us-south 2+"]);
    let back = load(&at(5, &sealed.metadata), PARTITION, &Found::default(), &settings);
    let sealed = transact(&mut back.expect("the newest"), 5, 6, &settings);
    assert_eq!(names(&sealed), ["eu-de 4+", "us-south 2"]);
}

#[test]
fn the_first_seal_begins_at_the_first_record_or_gap() {
    let begin = |place: &ResumePoint, tally: &PartitionTally| {
        let mut chains =
            load(place, PARTITION, &Found::default(), &settings()).expect("never sealed");
        extend(&mut chains, 100, &vec![0; tally.read as usize]);
        let closed = close(&mut chains, tally, &settings()).expect("sealed");
        let input = seal(&closed).input;
        (input.start.get(), input.end.get())
    };
    let with_gap = PartitionTally {
        gaps: vec![Gap { offsets: 90..95, cause: GapCause::PassedOver }],
        ..tally(100, 102)
    };
    for (place, tally, input) in [
        (ResumePoint::Beginning, tally(100, 102), (100, 102)),
        (ResumePoint::Beginning, with_gap, (90, 102)),
        (ResumePoint::Beginning, tally(7, 7), (7, 7)),
        (at(40, ""), tally(100, 102), (40, 102)),
    ] {
        assert_eq!(begin(&place, &tally), input, "{place:?}");
    }
}

/// Seals an empty batch of the partition through the sealer, as the loop does.
#[test]
fn the_newest_seals_are_anchored_each_minute() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("anchors");
    let anchors = Arc::new(AnchorSink::new(Some(path.clone()), None));
    let mut sealer = ChainSealer::new(SealingSettings { anchors, ..settings() });
    sealer.placed(PARTITION, &at(5, ""));
    let mut commit = |second: u64| {
        let due = sealer.due(Duration::from_secs(second));
        let mut batch = Batch::default();
        let idle = |partition: &Partition| Position { partition: *partition, ..position(5, "") };
        due.iter().for_each(|partition| batch.touch(&idle(partition)));
        let sealed = sealer.seal(&batch, Some(&mut NoSeals)).expect("sealed");
        assert!(matches!(sealed, SealedBatch::Positions(_)), "{sealed:?}");
        sealer.committed(Duration::from_secs(second));
        due.len()
    };
    let sealed: Vec<usize> = [100, 130, 159, 160, 200, 220].map(&mut commit).to_vec();
    assert_eq!(sealed, [1, 0, 0, 1, 0, 1], "an idle partition is sealed once a minute");
    let file = std::fs::read(path).expect("written");
    let notes = split_file(&file).expect("whole notes");
    let seals = notes.iter().map(|note| {
        let signers = [key(1).public().clone()];
        note.verify(&signers).expect("signed");
        let anchor: Anchor = note.text().parse().expect("an anchor");
        let (set, anchored) = anchor.seals().first_key_value().expect("a seal");
        (set.to_string(), anchored.seal.get())
    });
    let seals: Vec<_> = seals.collect();
    assert_eq!(seals, [("changes/0#1".to_string(), 1), ("changes/0#1".to_string(), 2)]);
}

/// A cluster in which nothing was sealed.
struct NoSeals;

impl SealLog for NoSeals {
    fn read(&mut self, _: &[SealSearch], _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Failure> {
        Ok(())
    }

    fn input_partitions(&mut self) -> Result<i32, Failure> {
        Ok(1)
    }

    fn output_partition(&self, _: &Output<'_>) -> Option<i32> {
        None
    }

    fn time_ms(&self) -> u64 {
        SEALED_MS
    }
}

#[test]
fn counts_are_those_of_the_batch() {
    let mut chains = fresh();
    let mut tally = tally(0, 10);
    for (kind, count) in FateKind::all().zip(&mut tally.fates) {
        *count = match kind {
            FateKind::Audited => 1,
            FateKind::Skipped(_) => 2,
            FateKind::Quarantined(_) => 3,
        };
    }
    tally.read = tally.fates.iter().sum();
    tally.next_offset = tally.read as i64;
    extend(&mut chains, 0, &[0, QUARANTINE]);
    let seal = seal(&close(&mut chains, &tally, &settings()).expect("sealed"));
    let kinds = |is_it: fn(&FateKind) -> bool| FateKind::all().filter(is_it).count() as u64;
    assert_eq!(seal.counts.read.get(), tally.read);
    assert_eq!(seal.counts.events.get(), 1);
    let skipped = kinds(|kind| matches!(kind, FateKind::Skipped(_)));
    assert_eq!(seal.counts.skipped.get(), 2 * skipped);
    let quarantined = kinds(|kind| matches!(kind, FateKind::Quarantined(_)));
    assert_eq!(seal.counts.quarantined.get(), 3 * quarantined);
}

#[test]
fn more_streams_than_the_metadata_holds_are_refused() {
    let regions: Vec<String> = (0..60).map(|number| format!("region-{number:07}")).collect();
    let regions: Vec<&str> = regions.iter().map(String::as_str).collect();
    let settings = settings_of(ORIGIN, 1, None, &regions);
    let load = || load(&at(0, ""), PARTITION, &Found::default(), &settings).expect("fresh");
    for (streams, fits) in [(54, true), (55, false)] {
        let mut chains = load();
        extend(&mut chains, 0, &(0..streams).collect::<Vec<_>>());
        let closed = close(&mut chains, &tally(0, streams as i64), &settings);
        assert_eq!(closed.is_ok(), fits, "{streams}");
        match closed {
            Ok(closed) => assert!(closed.metadata.len() <= 4_000, "{}", closed.metadata.len()),
            Err(refused) => assert!(refused.contains("54 of them fit"), "{refused}"),
        }
    }
}
