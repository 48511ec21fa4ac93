//! An input topic that was created again.

use crate::checked::{assert_labels, assert_proven, check};
use crate::trail::Trail;
use crate::writer::{Writer, usual, write};

/// A trail with a second epoch of both partitions.
fn two_epochs() -> (Trail, Vec<Writer>) {
    let (mut trail, writers) = usual();
    let mut later = Vec::new();
    for (partition, writer) in (0..).zip(&writers) {
        let mut writer = Writer::in_epoch(partition, 2, 2, Some(writer.end()));
        write(&mut writer, partition, 5, &mut trail);
        write(&mut writer, partition, 5, &mut trail);
        later.push(writer);
    }
    (trail, later)
}

#[test]
fn a_second_epoch_begins_where_the_first_ended() {
    let (trail, _) = two_epochs();
    assert_proven(&trail, &check(&trail));
}

#[test]
fn an_epoch_cannot_be_removed() {
    let (mut trail, writers) = two_epochs();
    let first = writers[0].set.to_string().replace("#2", "#1");
    let is_gone = |set: &str| set == first;
    trail.seals.retain(|seal| !is_gone(seal.seal().set.as_str()));
    for records in trail.outputs.values_mut() {
        records.retain(|record| !is_gone(record.chain().stream.set().as_str()));
    }
    assert_labels("all of the first", &check(&trail), &["STREAM_ABSENT"]);
}

#[test]
fn the_end_of_an_epoch_cannot_be_removed() {
    let (mut trail, writers) = two_epochs();
    let first = writers[0].set.to_string().replace("#2", "#1");
    let first = first.parse().expect("a set");
    let last = trail.seals.remove(trail.seal_index(&first, 5)).seal();
    for records in trail.outputs.values_mut() {
        records.retain(|record| {
            let chain = record.chain();
            *chain.stream.set() != first || chain.source.offset < last.input.start
        });
    }
    assert_labels("the end of the first", &check(&trail), &["SEAL_MISSING"]);
}

#[test]
fn an_epoch_cannot_go_on_behind_its_end() {
    let (mut trail, writers) = usual();
    let mut second = Writer::in_epoch(0, 2, 2, Some(writers[0].end()));
    write(&mut second, 0, 5, &mut trail);
    let mut first = writers[0].clone();
    write(&mut first, 0, 5, &mut trail);
    assert_labels("goes on", &check(&trail), &["SEAL_CHAIN"]);
}

#[test]
fn a_second_epoch_alone_does_not_make_a_first_one() {
    let (mut trail, mut writers) = (Trail::default(), Vec::new());
    for partition in 0..2 {
        let mut first = Writer::new(partition, 2);
        write(&mut first, partition, 5, &mut Trail::default());
        let mut writer = Writer::in_epoch(partition, 2, 2, Some(first.end()));
        write(&mut writer, partition, 5, &mut trail);
        writers.push(writer);
    }
    assert_labels("only the second", &check(&trail), &["STREAM_ABSENT"]);
}
