//! What cannot be proven: retention, a trail that is being written, partitions that were added.

use std::collections::BTreeMap;

use audit_chain::name::Set;
use audit_verify::{Options, Report};

use crate::checked::{assert_labels, check, check_with, usual_trust};
use crate::trail::{INPUT, Trail};
use crate::writer::{BEGIN_MS, Writer, usual, write};

fn from(trail: &Trail, seals: [u64; 2]) -> Report {
    let set = |partition: u32| Set::new(INPUT, partition.into(), 1.into()).expect("a set");
    let from: BTreeMap<_, _> = (0..).map(set).zip(seals).collect();
    check_with(trail, usual_trust(), Options { from, ..Options::default() })
}

#[test]
fn what_retention_removed_is_not_proven() {
    for count in 1..8 {
        let (mut trail, _) = usual();
        trail.expire("eu-west-1", 0, count);
        let report = check(&trail);
        assert_labels("expired", &report, &["EXPIRED"]);
        assert_eq!(report.exit().code(), 4);
    }
}

#[test]
fn retention_is_no_excuse_for_a_later_hole() {
    let (mut trail, _) = usual();
    trail.expire("eu-west-1", 0, 2);
    trail.output("eu-west-1", 0).remove(3);
    let labels = ["EXPIRED", "MISSING", "UNCONFIRMED"];
    assert_labels("a later hole", &check(&trail), &labels);
    let (mut trail, _) = usual();
    trail.expire("eu-west-1", 0, 1);
    trail.output("eu-west-1", 1).remove(0);
    assert_labels("another partition", &check(&trail), &["EXPIRED", "MISSING"]);
}

#[test]
fn verification_can_begin_at_a_signed_seal() {
    let (mut trail, _) = usual();
    for ((name, partition), records) in trail.outputs.clone() {
        let early = records.iter().filter(|it| it.chain().source.offset.get() < 8).count();
        if early > 0 {
            trail.expire(name.as_str(), partition, early);
        }
    }
    assert_labels("from the seals 1", &from(&trail, [1, 1]), &[]);
    assert_labels("from the seals 0", &from(&trail, [0, 0]), &["EXPIRED"]);
    let (trail, _) = usual();
    let report = from(&trail, [1, 1]);
    assert_labels("what is before is not looked at", &report, &[]);
    assert!(report.before > 0);
    let mut trail = trail;
    trail.output("eu-west-1", 0).retain(|it| it.chain().source.offset.get() != 10);
    assert_labels("a hole behind it", &from(&trail, [1, 1]), &["MISSING"]);
}

#[test]
fn a_trail_is_verified_while_it_is_written() {
    let (mut trail, mut writers) = usual();
    let known = trail.seals.len();
    write(&mut writers[0], 0, 9, &mut trail);
    trail.seals.truncate(known);
    assert_labels("the seal is on its way", &check(&trail), &["UNSEALED"]);
    let is_newer = |stream: &str, offset| stream == "infra.changes/0#1" && offset >= 24;
    for record in trail.records() {
        let chain = record.chain();
        let is_newer = is_newer(chain.stream.set().as_str(), chain.source.offset.get());
        record.is_newer_than_seals = is_newer;
    }
    assert_labels("newer than the seals", &check(&trail), &[]);
}

#[test]
fn an_added_partition_has_two_heartbeats_of_time() {
    let added = |later_ms: u64| {
        let (mut trail, mut writers) = usual();
        writers[0].partitions = 3;
        write(&mut writers[0], 0, 1, &mut trail);
        writers[1].time_ms = writers[0].time_ms + later_ms;
        writers[1].partitions = 3;
        write(&mut writers[1], 1, 1, &mut trail);
        trail
    };
    let report = check(&added(119_000));
    assert_labels("just added", &report, &["STREAM_NEW"]);
    assert_eq!(report.exit().code(), 4);
    assert_labels("added long ago", &check(&added(121_000)), &["STREAM_ABSENT"]);
    let (trail, _) = usual();
    let asked = Options { partitions: Some(3), ..Options::default() };
    let report = check_with(&trail, usual_trust(), asked);
    assert_labels("asked for", &report, &["STREAM_ABSENT"]);
}

#[test]
fn an_idle_partition_is_sealed_too() {
    let (mut trail, mut writers) = usual();
    let mut idle = Writer::new(2, 3);
    idle.time_ms = BEGIN_MS + 60_000;
    write(&mut idle, 2, 0, &mut trail);
    writers[0].partitions = 3;
    write(&mut writers[0], 0, 0, &mut trail);
    assert_labels("heartbeats", &check(&trail), &[]);
}

/// Thousands of transactions, so that lists are written to the file.
#[test]
fn a_long_trail_is_proven_and_damage_in_it_is_found() {
    let (mut trail, mut writer) = (Trail::default(), Writer::new(0, 1));
    for _ in 0..3_000 {
        write(&mut writer, 0, 4, &mut trail);
    }
    let report = check(&trail);
    assert_labels("long", &report, &[]);
    let mut damaged = trail.clone();
    damaged.output("eu-west-1", 0).remove(4_000);
    damaged.output("eu-west-1", 0).drain(1_000..2_000);
    assert_labels("two holes", &check(&damaged), &["MISSING"]);
    let mut moved = trail.clone();
    let record = moved.output("eu-west-1", 0).remove(10);
    moved.output("eu-west-1", 0).push(record);
    moved.renumber();
    assert_labels("moved far", &check(&moved), &["REORDERED"]);
    let mut repeated = trail;
    let record = repeated.output("eu-west-1", 0)[10].clone();
    repeated.output("eu-west-1", 0).push(record);
    repeated.renumber();
    assert_labels("repeated far away", &check(&repeated), &["DUPLICATE"]);
}
