//! The rules of lag, as sequences of events. Times and record timestamps are in seconds.

use super::{batch, record, skipped};
use crate::liveness::board::{PartitionBoard, PartitionView};
use crate::stream::Partition;
use crate::stream::batch::Batch;

#[derive(Debug, Clone, Copy)]
enum Step {
    Assigned,
    Released,
    /// Records from the first offset up to before the second are about to be published.
    Publishing(i64, i64),
    /// The same records are committed; then the timestamp of the last one, and whether the end was
    /// reached after it.
    Committed(i64, i64, i64, bool),
    /// Records up to before this offset are committed, and the last has no timestamp.
    CommittedUntimed(i64),
    CaughtUp,
    /// Statistics report this end.
    End(i64),
    /// The partition is held.
    Held,
    /// The partition is no longer held.
    Resumed,
}
use Step::*;

const P0: Partition = Partition(0);

/// Plays the steps at their times, and returns the view at another time.
fn look(steps: &[(i64, Step)], at: i64) -> Option<PartitionView> {
    played(steps).view(at * 1_000).pop()
}

/// Returns a batch of partition 0 up to before this offset, whose last record has no timestamp.
fn untimed(to: i64) -> Batch {
    let mut batch = Batch::default();
    batch.add(&record(0, to - 1, None), skipped());
    batch
}

fn played(steps: &[(i64, Step)]) -> PartitionBoard {
    let board = PartitionBoard::default();
    for (time, step) in steps {
        let now_ms = time * 1_000;
        match *step {
            Assigned => board.assigned(0, &[P0], now_ms),
            Released => board.released(0, &[P0]),
            Publishing(from, to) => board.publishing(0, &batch(from..to, 0, false)),
            Committed(from, to, timestamp, at_end) => {
                board.committed(0, &batch(from..to, timestamp * 1_000, at_end), now_ms);
            }
            CommittedUntimed(to) => board.committed(0, &untimed(to), now_ms),
            CaughtUp => board.caught_up(0, P0, now_ms),
            End(end) => board.ends(0, &[(P0, end)], now_ms),
            Held => board.hold(0, P0, Some("went_back")),
            Resumed => board.hold(0, P0, None),
        }
    }
    board
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn lag_follows_from_what_happened() {
    // Name, steps, time of the view, expected lag in records and seconds.
    type Case = (&'static str, &'static [(i64, Step)], i64, (i64, f64));
    let cases: &[Case] = &[
        ("just assigned, nothing known", &[(10, Assigned)], 10, (1, 0.0)),
        (
            "assigned and stuck before the first commit",
            &[(10, Assigned), (11, End(500))],
            70,
            (1, 60.0),
        ),
        ("an empty partition", &[(10, Assigned), (10, CaughtUp), (11, End(0))], 70, (0, 0.0)),
        (
            "behind",
            &[(10, Assigned), (11, End(500)), (12, Committed(0, 100, 2, false))],
            13,
            (400, 11.0),
        ),
        (
            "behind, timestamp in the future",
            &[(10, Assigned), (11, End(500)), (12, Committed(0, 100, 99, false))],
            13,
            (400, 0.0),
        ),
        (
            "end reported before what was read since",
            &[(10, Assigned), (11, End(50)), (12, Committed(0, 100, 2, false))],
            13,
            (0, 0.0),
        ),
        (
            "a control record after the last record",
            &[(10, Assigned), (12, Committed(0, 100, 12, false)), (13, CaughtUp), (14, End(101))],
            90,
            (0, 0.0),
        ),
        (
            "the same, the end reached before the commit",
            &[(10, Assigned), (12, Committed(0, 100, 12, true)), (14, End(101))],
            90,
            (0, 0.0),
        ),
        (
            "more came after the end was reached",
            &[(10, Assigned), (10, CaughtUp), (11, Committed(0, 50, 10, false)), (12, End(900))],
            13,
            (850, 3.0),
        ),
        (
            "a batch that hangs after the end was reached",
            &[(10, Assigned), (10, CaughtUp), (20, Publishing(0, 5))],
            80,
            (5, 70.0),
        ),
        (
            "the same, with the end known",
            &[(10, Assigned), (10, CaughtUp), (20, End(8)), (20, Publishing(0, 5))],
            80,
            (5, 60.0),
        ),
        (
            "a batch that hangs far behind",
            &[
                (10, Assigned),
                (11, Committed(0, 5, 3, false)),
                (12, End(100)),
                (12, Publishing(5, 10)),
            ],
            83,
            (95, 80.0),
        ),
        (
            "published after a long wait",
            &[(10, Assigned), (20, Publishing(0, 5)), (80, Committed(0, 5, 20, true))],
            81,
            (0, 0.0),
        ),
        (
            "the batch was committed after all, so nothing is read again",
            &[(10, Assigned), (20, Publishing(0, 5)), (30, CaughtUp)],
            81,
            (0, 0.0),
        ),
        (
            "a record after a long quiet time has not waited long",
            &[
                (10, Assigned),
                (11, Committed(0, 5, 11, true)),
                (9_000, End(6)),
                (9_001, Publishing(6, 7)),
            ],
            9_002,
            (1, 2.0),
        ),
        (
            "old timestamps in a quiet partition",
            &[
                (10_000, Assigned),
                (10_000, CaughtUp),
                (10_001, Committed(0, 5, 3, false)),
                (10_001, End(9)),
            ],
            10_003,
            (4, 3.0),
        ),
        (
            "a record without a timestamp counts like the one before",
            &[
                (10, Assigned),
                (11, End(500)),
                (12, Committed(0, 100, 2, false)),
                (12, CommittedUntimed(200)),
            ],
            13,
            (300, 11.0),
        ),
        (
            "held after its end was reached: it is read again",
            &[(10, Assigned), (10, CaughtUp), (20, Publishing(0, 5)), (30, CaughtUp), (40, Held)],
            80,
            (1, 50.0),
        ),
        (
            "a batch that cannot be written holds its partition, and is no longer published",
            &[
                (10, Assigned),
                (11, Committed(0, 5, 11, false)),
                (20, Publishing(5, 9)),
                (40, Held),
                (41, Resumed),
                (41, End(6)),
            ],
            80,
            (1, 69.0),
        ),
        (
            "assigned again: what was known before is forgotten",
            &[(10, Assigned), (11, Committed(0, 5, 3, true)), (12, Released), (50, Assigned)],
            60,
            (1, 10.0),
        ),
    ];
    for (what, steps, at, expected) in cases {
        let view = look(steps, *at).expect(what);
        assert_eq!((view.lag_records, view.lag_seconds), *expected, "{what}");
    }
}

#[test]
fn a_commit_or_the_end_is_progress() {
    let progress = |steps| look(steps, 1_000).map(|view| view.last_progress_ms / 1_000);
    assert_eq!(progress(&[(10, Assigned)]), Some(10));
    assert_eq!(progress(&[(10, Assigned), (11, End(7))]), Some(10));
    assert_eq!(progress(&[(10, Assigned), (12, CaughtUp)]), Some(12));
    let idle = &[(10, Assigned), (12, CaughtUp), (500, End(1))];
    assert_eq!(progress(idle), Some(500));
    let hangs = &[(10, Assigned), (12, CaughtUp), (13, Publishing(0, 1)), (500, End(1))];
    assert_eq!(progress(hangs), Some(12));
}

#[test]
fn each_commit_and_each_end_is_a_move() {
    let moves = |steps| look(steps, 1_000).map(|view| view.moves);
    assert_eq!(moves(&[(10, Assigned), (11, End(7))]), Some(0));
    assert_eq!(moves(&[(10, Assigned), (11, CaughtUp)]), Some(1));
    let steps = &[
        (10, Assigned),
        (11, Publishing(0, 5)),
        (12, Committed(0, 5, 3, false)),
        (13, Committed(5, 6, 3, true)),
        (14, CaughtUp),
        (15, End(6)),
    ];
    assert_eq!(moves(steps), Some(3));
}

/// A worker has not recovered while it has unpublished records.
#[test]
fn unpublished_records_are_known_for_each_worker() {
    let has_unpublished = |step| {
        let board = played(&[(10, Assigned), (11, Publishing(0, 1)), (12, step)]);
        assert!(!board.has_unpublished(1), "they belong to worker 0");
        board.has_unpublished(0)
    };
    assert!(has_unpublished(End(7)));
    assert!(!has_unpublished(Committed(0, 1, 3, false)));
    assert!(!has_unpublished(CaughtUp));
    assert!(!has_unpublished(Held));
    assert!(!has_unpublished(Released));
}

#[test]
fn the_reason_for_a_hold_is_shown_until_the_partition_is_released() {
    let held = |steps| look(steps, 100).expect("owned").held;
    assert_eq!(held(&[(10, Assigned), (11, Held)]), Some("went_back"));
    assert_eq!(held(&[(10, Assigned), (11, Held), (12, Resumed)]), None);
}

#[test]
fn only_owned_partitions_are_shown() {
    assert_eq!(look(&[], 10), None);
    assert_eq!(look(&[(1, End(7)), (2, CaughtUp)], 10), None);
    assert_eq!(look(&[(1, Assigned), (2, Released), (3, End(7))], 10), None);
}

#[test]
fn late_reports_do_not_change_a_partition_that_another_worker_owns() {
    let board = PartitionBoard::default();
    board.add_worker(0);
    board.add_worker(1);
    board.assigned(0, &[P0, Partition(1)], 0);
    // Worker 0 was removed from the group and has not noticed yet.
    board.assigned(1, &[P0], 5_000);
    board.caught_up(0, P0, 6_000);
    board.publishing(0, &batch(0..9, 0, false));
    assert!(!board.has_unpublished(0));
    board.released(0, &[P0, Partition(1)]);
    assert_eq!(board.owners().into_iter().collect::<Vec<_>>(), [(0, 0), (1, 1)]);
    assert_eq!(board.view(7_000)[0].lag_records, 1);
    board.remove_worker(1);
    assert_eq!(board.view(7_000), []);
    assert_eq!(board.owners().len(), 1);
}
