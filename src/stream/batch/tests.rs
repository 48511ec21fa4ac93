//! Tests of batches: when one is due, what it forgets, and what it reports of its partitions.

use uuid::Uuid;

use super::*;
use crate::stream::{GapCause, Output, OwnedHeaders, SourceHeaders};
use audit_judge::fate::{Audited, Envelope, Quarantine, RegionIndex, SkipReason};

#[test]
fn a_flood_of_headers_makes_a_batch_due() {
    let mut batch = Batch::default();
    let flooded = SourceRecord { headers: &vec![(b"h".to_vec(), None); 10], ..record(0, 0) };
    batch.add(&flooded, Fate::Quarantined(Quarantine::malformed("x")));
    batch.begin(|| Duration::ZERO);
    let limits = BatchLimits { max_bytes: 10 * size_of::<(Vec<u8>, Option<Vec<u8>>)>(), ..LIMITS };
    assert_eq!(batch.time_left(&limits, Duration::ZERO), Some(Duration::ZERO));
}

#[derive(Debug)]
struct OneHeader;

impl SourceHeaders for OneHeader {
    fn read(&self) -> OwnedHeaders {
        vec![(b"header".to_vec(), None)]
    }
}

fn record(partition: i32, offset: i64) -> SourceRecord<'static> {
    SourceRecord {
        partition: Partition(partition),
        offset,
        timestamp_ms: Some(1),
        key: Some(b"key"),
        payload: Some(b"payload"),
        headers: &OneHeader,
        leader_epoch: None,
        log: &None,
    }
}

fn only(batch: &Batch) -> Output<'_> {
    let mut outputs = batch.outputs().iter();
    let only = outputs.next().expect("one output");
    assert!(outputs.next().is_none(), "more than one output");
    only
}

const LIMITS: BatchLimits = BatchLimits {
    max_records: 3,
    // Room for one record that is kept whole, not for two.
    max_bytes: 100,
    max_age: Duration::from_millis(100),
};

fn skipped() -> Fate {
    Fate::Skipped(SkipReason::UnlistedAction.into())
}

fn malformed() -> Fate {
    Fate::Quarantined(Quarantine::malformed("x"))
}

#[test]
fn a_batch_is_due_by_records_bytes_or_age() {
    let at = Duration::from_millis;
    let mut batch = Batch::default();
    assert_eq!(batch.time_left(&LIMITS, at(0)), None);
    batch.begin(|| at(10));
    assert_eq!(batch.time_left(&LIMITS, at(20)), None, "still empty");
    batch.add(&record(0, 0), skipped());
    batch.begin(|| at(50));
    assert_eq!(batch.time_left(&LIMITS, at(90)), Some(at(60)));
    assert_eq!(batch.time_left(&LIMITS, at(150)), Some(at(0)));
    batch.add(&record(0, 1), malformed());
    batch.begin(|| at(60));
    assert_eq!(batch.time_left(&LIMITS, at(90)), Some(at(60)));
    batch.add(&record(0, 2), skipped());
    assert_eq!(batch.time_left(&LIMITS, at(60)), Some(at(0)), "records");
    batch.clear();
    batch.add(&record(0, 0), malformed());
    batch.add(&record(0, 1), malformed());
    batch.begin(|| at(0));
    assert_eq!(batch.time_left(&LIMITS, at(0)), Some(at(0)), "bytes");
}

#[test]
fn forgetting_a_partition_drops_all_of_its_records() {
    let mut batch = Batch::default();
    batch.add(&record(0, 7), malformed());
    batch.add(&record(1, 9), malformed());
    batch.forget(&[Partition(0), Partition(5)]);
    assert_eq!(batch.records(), 1);
    assert_eq!(batch.outputs().len(), 1);
    assert_eq!(only(&batch).source_partition, Partition(1));
    let positions = batch.positions();
    assert_eq!((positions[0].partition, positions[0].next_offset), (Partition(1), 10));
    batch.forget(&[Partition(1)]);
    assert!(batch.is_empty());
    assert_eq!(batch.time_left(&LIMITS, Duration::ZERO), None);
}

#[test]
fn deferred_records_are_written_in_input_order() {
    let mut batch = Batch::default();
    batch.add(&record(0, 1), malformed());
    batch.defer(&record(0, 2));
    batch.defer(&record(1, 1));
    batch.defer(&record(0, 3));
    batch.add(&record(0, 4), malformed());
    assert!(batch.has_deferred());
    batch.forget(&[Partition(1)]);
    batch.judge_deferred(|payload| {
        assert_eq!(payload, Some(b"payload".as_slice()));
        malformed()
    });
    assert!(!batch.has_deferred());
    let offsets: Vec<i64> = batch.outputs().iter().map(|o| o.source_offset).collect();
    assert_eq!(offsets, [1, 2, 3, 4]);
    let tally = &batch.partitions()[&Partition(0)];
    assert_eq!((tally.read, tally.fates.iter().sum()), (4, 4));
    assert_eq!(batch.records(), 4);
}

#[test]
fn a_record_after_the_end_clears_the_end_mark() {
    let mut batch = Batch::default();
    assert!(!batch.reached_end(Partition(0)));
    batch.add(&record(0, 7), skipped());
    assert!(batch.reached_end(Partition(0)));
    assert!(batch.partitions()[&Partition(0)].at_end);
    batch.add(&record(0, 8), skipped());
    assert!(!batch.partitions()[&Partition(0)].at_end);
}

#[test]
fn the_original_of_a_quarantined_record_is_kept() {
    let mut batch = Batch::default();
    batch.add(&record(0, 7), malformed());
    let Content::Quarantined(kept) = only(&batch).content else {
        panic!("not quarantined");
    };
    let kept = &kept.original;
    assert_eq!(kept.key.as_deref(), Some(b"key".as_slice()));
    assert_eq!(kept.payload.as_deref(), Some(b"payload".as_slice()));
    assert_eq!(kept.headers, [(b"header".to_vec(), None)]);
}

#[test]
fn only_a_batch_of_one_quarantined_record_has_a_lower_limit() {
    let mut batch = Batch::default();
    let large = [b' '; 20_000];
    batch.add(&SourceRecord { payload: Some(&large), ..record(0, 7) }, malformed());
    let lowered = batch.lowered_limit().expect("half of the record's size");
    assert!((10_000..12_500).contains(&lowered.bytes()), "{lowered:?}");
    batch.add(&record(0, 8), skipped());
    assert!(batch.lowered_limit().is_none(), "another record was read");
}

fn audited(event: &[u8]) -> Fate {
    Fate::Audited(Audited {
        envelope: Envelope {
            region: RegionIndex(0),
            device: "1".into(),
            account: "2".into(),
            location: "dal10".into(),
            id: Uuid::nil(),
        },
        event: event.to_vec(),
        awaits_tables: false,
    })
}

#[test]
fn events_and_held_records_make_a_batch_due_by_their_bytes() {
    let mut events = Batch::default();
    events.add(&record(0, 0), audited(&[b'e'; 99]));
    assert!(!events.is_full(&LIMITS));
    events.add(&record(0, 1), audited(b"e"));
    assert_eq!(events.bytes(), 100);
    assert!(events.is_full(&LIMITS));
    assert!(!events.outputs().is_empty());
    let written = events.outputs().iter().map(|output| match output.content {
        Content::Event { event, .. } => event.len(),
        Content::Quarantined(_) => 0,
    });
    assert_eq!(written.collect::<Vec<_>>(), [99, 1]);
    assert!(Batch::default().outputs().is_empty());
    let mut held = Batch::default();
    held.defer(&record(0, 0));
    assert!(!held.is_full(&LIMITS));
    held.defer(&record(0, 1));
    assert!(held.is_full(&LIMITS));
}

#[test]
fn clearing_a_batch_resets_everything() {
    let mut batch = Batch::default();
    batch.add(&record(0, 0), malformed());
    batch.defer(&record(0, 1));
    batch.add(&record(0, 2), malformed());
    batch.begin(|| Duration::from_millis(10));
    assert!(batch.is_full(&LIMITS));
    batch.clear();
    assert!(batch.is_empty() && !batch.has_deferred() && !batch.is_full(&LIMITS));
    assert_eq!((batch.records(), batch.bytes()), (0, 0));
    assert_eq!((batch.outputs().len(), batch.positions()), (0, vec![]));
    assert_eq!(batch.room(&LIMITS), 3);
    batch.add(&record(0, 3), skipped());
    batch.begin(|| Duration::from_millis(50));
    assert_eq!(batch.age(Duration::from_millis(60)), Duration::from_millis(10));
}

#[test]
fn positions_follow_the_last_record_and_carry_its_epoch() {
    let mut batch = Batch::default();
    for (offset, epoch) in [(7, Some(4)), (9, Some(5))] {
        let record = SourceRecord { leader_epoch: epoch, ..record(3, offset) };
        batch.add(&record, skipped());
    }
    batch.add(&record(4, 1), skipped());
    let position = |partition, next_offset, leader_epoch| Position {
        partition: Partition(partition),
        next_offset,
        leader_epoch,
        metadata: String::new(),
    };
    let expected = [position(3, 10, Some(5)), position(4, 2, None)];
    assert_eq!(batch.positions(), expected);
}

#[test]
fn a_gap_moves_a_position_forward_and_never_back() {
    let mut batch = Batch::default();
    let gap = |offsets| Gap { offsets, cause: GapCause::Deleted };
    batch.pass(Partition(0), gap(3..9));
    assert_eq!(batch.positions()[0].next_offset, 9);
    batch.add(&record(0, 9), skipped());
    batch.pass(Partition(0), gap(4..5));
    assert_eq!(batch.positions()[0].next_offset, 10);
    assert_eq!(batch.records(), 1, "a gap holds no records");
}

#[test]
fn each_stub_is_counted() {
    let mut batch = Batch::default();
    batch.set_limit(RecordLimit::LEAST);
    let large = [b'x'; 20_000];
    for offset in 0..2 {
        batch.add(&SourceRecord { payload: Some(&large), ..record(0, offset) }, malformed());
    }
    batch.add(&record(0, 2), malformed());
    assert_eq!(batch.partitions()[&Partition(0)].stubs, 2);
}

/// A partition whose position is only committed once more made no progress.
#[test]
fn a_partition_is_silent_if_nothing_of_it_was_read_or_passed() {
    let silent = |batch: &Batch| batch.partitions()[&Partition(0)].is_silent();
    let position = Position {
        partition: Partition(0),
        next_offset: 7,
        leader_epoch: None,
        metadata: String::new(),
    };
    let mut touched = Batch::default();
    touched.touch(&position);
    assert!(silent(&touched));
    touched.add(&record(0, 7), skipped());
    assert!(!silent(&touched));
    let mut passed = Batch::default();
    passed.touch(&position);
    passed.pass(Partition(0), Gap { offsets: 7..9, cause: GapCause::Deleted });
    assert!(!silent(&passed));
}
