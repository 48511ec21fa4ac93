//! What a cursor accepts, skips and refuses, and when a held partition is tried again.

use super::*;
use crate::stream::scripts::at;

const P: Partition = Partition(3);
const OTHER: Partition = Partition(1);
const NOW: Duration = Duration::from_secs(7);

fn placed(partitions: &[Partition], floor: i64) -> Cursors {
    let mut cursors = Cursors::default();
    cursors.assigned(partitions);
    for partition in partitions {
        cursors.placed(*partition, &at(*partition, floor));
    }
    cursors
}

fn position(partition: Partition, next_offset: i64) -> Position {
    Position { partition, next_offset, leader_epoch: Some(4), metadata: String::new() }
}

fn reasons(cursors: &Cursors) -> Vec<(Partition, &'static str)> {
    let held = cursors.held(|hold| Some(hold.fault.reason()));
    held.into_iter().collect()
}

fn rewind(cursors: &mut Cursors, place: Result<ResumePoint, PartitionFault>) {
    assert_eq!(cursors.rewound(Rewound { partition: P, place }, &[]), None);
}

fn damaged() -> PartitionFault {
    PartitionFault::Unreadable { offset: 9, cause: "bad CRC".to_string() }
}

#[test]
fn offsets_only_grow_from_the_floor_on() {
    let mut cursors = placed(&[P, OTHER], 7);
    assert!(cursors.accept(P, 7).is_some());
    assert!(cursors.accept(P, 9).is_some(), "offsets have gaps");
    assert!(cursors.accept(OTHER, 8).is_some(), "of each partition by itself");
    assert_eq!(reasons(&cursors), []);
    assert!(cursors.accept(P, 9).is_none());
    assert!(cursors.accept(P, 10).is_none(), "until it is rewound");
    assert_eq!(reasons(&cursors), [(P, "went_back")]);
    assert!(cursors.accept(OTHER, 9).is_some());
    rewind(&mut cursors, Ok(at(P, 9)));
    assert_eq!(reasons(&cursors), []);
    assert!(cursors.accept(P, 8).is_none(), "the committed offset is the floor");
    assert_eq!(reasons(&cursors), [(P, "went_back")]);
}

#[test]
fn nothing_is_judged_before_the_floor_is_known() {
    let mut cursors = Cursors::default();
    cursors.assigned(&[P]);
    assert!(cursors.accept(P, 100).is_none());
    assert_eq!(reasons(&cursors), [(P, "unplaced")]);
    cursors.placed(P, &at(P, 5));
    assert!(cursors.is_held(P), "only a rewind helps now");
    rewind(&mut cursors, Ok(at(P, 5)));
    assert!(cursors.accept(P, 5).is_some());
}

#[test]
fn an_end_before_the_floor_is_no_end() {
    let mut cursors = placed(&[P], 100);
    assert!(cursors.accept_end(P, 100).is_some());
    assert!(cursors.accept_end(P, 15).is_none());
    assert_eq!(reasons(&cursors), [(P, "went_back")]);
}

#[test]
fn nothing_of_what_was_taken_away_is_taken() {
    let mut cursors = placed(&[P], 0);
    assert!(cursors.accept(P, 7).is_some());
    assert!(cursors.accept(P, 7).is_none());
    cursors.unassigned(&[P]);
    assert_eq!(reasons(&cursors), [], "another member reads it");
    assert!(cursors.accept(P, 8).is_none());
    rewind(&mut cursors, Ok(at(P, 0)));
    cursors.hold(P, damaged());
    assert!(cursors.accept(P, 8).is_none() && reasons(&cursors).is_empty());
    cursors.assigned(&[P]);
    cursors.placed(P, &at(P, 2));
    assert!(cursors.accept(P, 2).is_some());
}

#[test]
fn the_group_cannot_be_behind_what_it_confirmed() {
    let mut cursors = placed(&[P], 0);
    assert!(cursors.accept(P, 9).is_some() && !cursors.committed(&position(P, 10)));
    rewind(&mut cursors, Ok(at(P, 8)));
    assert_eq!(reasons(&cursors), [(P, "went_back")]);
    rewind(&mut cursors, Ok(at(P, 10)));
    assert_eq!(reasons(&cursors), []);
    rewind(&mut cursors, Ok(ResumePoint::NewLog));
    assert!(cursors.accept(P, 0).is_some(), "another log");
    rewind(&mut cursors, Ok(at(P, 8)));
    assert!(!cursors.is_held(P), "what was confirmed was of the old one");
}

/// The broker compares the epoch with the log's when the partition is taken over.
#[test]
fn an_idle_partition_keeps_the_leader_epoch_of_what_is_committed() {
    let mut cursors = Cursors::default();
    cursors.assigned(&[P]);
    assert_eq!(cursors.idle_position(P), None);
    cursors.placed(P, &ResumePoint::At(Position { leader_epoch: Some(3), ..position(P, 7) }));
    assert_eq!(
        cursors.idle_position(P),
        Some(Position { leader_epoch: Some(3), ..position(P, 7) })
    );
    assert!(cursors.accept(P, 8).is_some());
    cursors.committed(&position(P, 9));
    assert_eq!(cursors.idle_position(P), Some(position(P, 9)));
    rewind(&mut cursors, Ok(at(P, 9)));
    assert_eq!(cursors.idle_position(P), Some(Position { leader_epoch: None, ..position(P, 9) }));
    cursors.hold(P, damaged());
    assert_eq!(cursors.idle_position(P), None);
    assert_eq!(cursors.idle_position(OTHER), None);
}

#[test]
fn skipped_offsets_are_reported_unless_nothing_was_committed() {
    let mut cursors = placed(&[P], 7);
    assert_eq!(cursors.accept(P, 9), Some(7..9));
    assert_eq!(cursors.accept(P, 10), Some(10..10));
    assert_eq!(cursors.accept_end(P, 12), Some(11..12));
    assert_eq!(cursors.accept_end(P, 12), Some(12..12), "once");
    assert_eq!(cursors.accept(P, 12), Some(12..12));
    for place in [ResumePoint::Beginning, ResumePoint::NewLog] {
        let mut cursors = Cursors::default();
        cursors.assigned(&[P]);
        cursors.placed(P, &place);
        assert_eq!(cursors.accept(P, 9), Some(9..9), "nothing was missed");
        assert_eq!(cursors.accept(P, 12), Some(10..12));
    }
}

#[test]
fn only_offsets_that_the_log_has_lost_are_deleted() {
    for (skipped, log_start, expected) in [
        (10..10, 0, None),
        // A transaction's marker, or a record that compaction removed.
        (10..12, 0, None),
        (10..12, 10, None),
        (10..30, 30, Some(10..30)),
        // The log may begin with a marker as well.
        (10..31, 30, Some(10..30)),
        // Offset 12 was fetched before the log was cut off at 30.
        (10..12, 30, None),
    ] {
        assert_eq!(deleted(&skipped, log_start), expected, "{skipped:?} {log_start}");
    }
}

/// A cursor that accepted these offsets, and the offsets to skip at a place behind which
/// nothing can be read from offset 9 on.
fn passed_over(begin: ResumePoint, accepted: &[i64], resumes: ResumePoint) -> Option<Range<i64>> {
    let mut cursors = Cursors::default();
    cursors.assigned(&[P]);
    cursors.placed(P, &begin);
    for offset in accepted {
        assert!(cursors.accept(P, *offset).is_some());
    }
    cursors.hold(P, damaged());
    let pass_over = [(OTHER, 0..99), (P, 9..12)];
    let pass_over = pass_over.map(|(partition, offsets)| PassOver { partition, offsets });
    let skipped = cursors.rewound(Rewound { partition: P, place: Ok(resumes) }, &pass_over);
    assert_eq!(cursors.is_held(P), skipped.is_some(), "until the client was moved");
    skipped
}

#[test]
fn offsets_are_passed_over_only_if_everything_before_them_is_committed() {
    assert_eq!(passed_over(at(P, 7), &[7, 8], at(P, 9)), Some(9..12));
    assert_eq!(passed_over(at(P, 7), &[7, 8], at(P, 8)), None, "8 is not committed");
    assert_eq!(passed_over(at(P, 9), &[], at(P, 9)), Some(9..12), "nothing came before");
    assert_eq!(passed_over(at(P, 10), &[], at(P, 10)), Some(10..12), "in the middle");
    assert_eq!(passed_over(at(P, 7), &[7, 8], at(P, 12)), None, "they are behind it");
    // The log begins with them.
    assert_eq!(passed_over(ResumePoint::Beginning, &[], ResumePoint::Beginning), Some(9..12));
    assert_eq!(passed_over(ResumePoint::Beginning, &[3], ResumePoint::Beginning), None, "3 is not");
    assert_eq!(passed_over(at(P, 7), &[7, 8], ResumePoint::NewLog), None);
}

#[test]
fn the_group_cannot_forget_what_it_confirmed() {
    let mut cursors = placed(&[P], 0);
    assert!(cursors.accept(P, 9).is_some() && !cursors.committed(&position(P, 10)));
    rewind(&mut cursors, Ok(ResumePoint::Beginning));
    assert_eq!(reasons(&cursors), [(P, "went_back")]);
}

#[test]
fn a_partition_that_was_held_until_its_topic_was_recreated_is_released() {
    let mut cursors = placed(&[P], 7);
    assert!(cursors.accept(P, 0).is_none());
    assert_eq!(cursors.parked(P, NOW), 1);
    rewind(&mut cursors, Ok(ResumePoint::NewLog));
    assert!(cursors.accept(P, 0).is_some() && cursors.committed(&position(P, 1)));
}

#[test]
fn a_held_partition_is_tried_again_after_growing_pauses() {
    let mut cursors = placed(&[P, OTHER], 0);
    cursors.hold(P, damaged());
    cursors.hold(P, PartitionFault::WentBack { offset: 0, floor: 9 });
    assert_eq!(cursors.unparked(), [(P, damaged())], "the first counts");
    assert_eq!(cursors.due(NOW), [], "the client reads it still");
    let mut pauses = Vec::new();
    for attempt in 1..=3 {
        assert_eq!(cursors.parked(P, NOW), attempt);
        assert_eq!(cursors.unparked(), []);
        let is_due = |ms: &u64| !cursors.due(NOW + Duration::from_millis(*ms)).is_empty();
        pauses.extend((0..10_000).step_by(50).find(is_due));
        rewind(&mut cursors, Ok(at(P, 5)));
        cursors.hold(P, damaged());
    }
    assert_eq!(pauses, [50, 100, 200]);
    assert!(!cursors.moved(P), "it is held still");
    rewind(&mut cursors, Ok(at(P, 5)));
    assert!(cursors.accept(P, 9).is_some() && cursors.committed(&position(P, 10)));
    assert!(!cursors.committed(&position(P, 11)), "said once");
    cursors.hold(P, damaged());
    assert_eq!(cursors.parked(P, NOW), 1, "it had got further");
}

#[test]
fn offsets_are_passed_over_if_the_failed_one_or_the_committed_one_is_listed() {
    let listed = |offsets| PassOver { partition: P, offsets };
    for (offsets, expected) in [(9..12, Some(7..12)), (5..8, Some(7..8)), (10..12, None)] {
        let mut cursors = placed(&[P], 7);
        cursors.hold(P, damaged());
        let rewound = Rewound { partition: P, place: Ok(at(P, 7)) };
        assert_eq!(cursors.rewound(rewound, &[listed(offsets.clone())]), expected, "{offsets:?}");
    }
}

#[test]
fn a_client_that_did_not_move_has_skipped_nothing() {
    let mut cursors = placed(&[P], 5);
    assert_eq!(cursors.skipped(P, 5, Ok(5)), None);
    assert_eq!(cursors.skipped(P, 5, Ok(6)), Some(5..6));
}

/// Nothing is searched for while none is held.
#[test]
fn held_partitions_are_counted() {
    let mut cursors = placed(&[P, OTHER], 5);
    for _ in 0..2 {
        cursors.hold(P, damaged());
        cursors.hold(P, damaged());
        cursors.hold(OTHER, damaged());
        assert_eq!(cursors.held, 2);
        rewind(&mut cursors, Ok(at(P, 5)));
        assert_eq!(cursors.held, 1);
        let place = Ok(at(OTHER, 5));
        cursors.rewound(Rewound { partition: OTHER, place }, &[]);
        assert_eq!(cursors.held, 0);
    }
}
