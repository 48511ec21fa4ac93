//! One attack after the other, each with what must be found.

use audit_chain::Digest;
use audit_chain::hash::step;
use audit_chain::name::{Set, Stream};
use audit_verify::{Options, Remembered};

use crate::checked::{assert_labels, assert_proven, check, check_with, usual_trust};
use crate::trail::{INPUT, Trail};
use crate::writer::{Fate, Writer, fate, key, leaf_of, number, usual, write};

/// Attacks a trail, and fails unless exactly these labels are found.
#[track_caller]
fn attacked(name: &str, expected: &[&str], attack: impl FnOnce(&mut Trail, &[Writer])) {
    let (mut trail, writers) = usual();
    attack(&mut trail, &writers);
    let report = check(&trail);
    assert_labels(name, &report, expected);
    let code = if expected.is_empty() { 0 } else { 1 };
    assert_eq!(report.exit().code(), code, "{name}");
}

fn set(partition: u32) -> Set {
    Set::new(INPUT, partition.into(), 1.into()).expect("a set")
}

#[test]
fn an_untouched_trail_is_proven() {
    let (trail, _) = usual();
    assert_proven(&trail, &check(&trail));
}

#[test]
fn changed_records_are_found() {
    attacked("value", &["ALTERED", "UNCONFIRMED"], |trail, _| {
        trail.output("eu-west-1", 0)[3].value = Some(b"{}".to_vec());
    });
    attacked("the first value of a block", &["ALTERED"], |trail, _| {
        trail.output("eu-west-1", 0)[0].value = Some(b"{}".to_vec());
    });
    attacked("key", &["ALTERED"], |trail, _| {
        trail.output("eu-west-1", 1)[0].key = None;
    });
    attacked("timestamp", &["ALTERED"], |trail, _| {
        trail.output("eu-west-1", 1)[0].timestamp_ms -= 1;
    });
    attacked("another header", &["ALTERED"], |trail, _| {
        let header = (b"x".to_vec(), None);
        trail.output("eu-west-1", 1)[0].headers.insert(0, header);
    });
    attacked("a header's value", &["ALTERED"], |trail, _| {
        trail.output("eu-west-1", 1)[0].headers[0].1 = None;
    });
    attacked("the place of the chain header", &["ALTERED"], |trail, _| {
        trail.output("eu-west-1", 1)[0].headers.reverse();
    });
    attacked("quarantined", &["ALTERED"], |trail, _| {
        trail.output("~quarantine", 0)[0].value = None;
    });
    attacked("the chain header is gone", &["INSERTED", "MISSING"], |trail, _| {
        trail.output("eu-west-1", 1)[0].headers.pop();
    });
    attacked("the chain header has another form", &["INSERTED", "MISSING"], |trail, _| {
        let (_, value) = trail.output("eu-west-1", 1)[0].headers.last_mut().expect("headers");
        value.as_mut().expect("a value").push(b' ');
    });
}

#[test]
fn removed_records_are_found() {
    attacked("the first of a block", &["MISSING"], |trail, _| {
        trail.output("eu-west-1", 0).remove(2);
    });
    attacked("the last of a block", &["MISSING", "UNCONFIRMED"], |trail, _| {
        trail.output("eu-west-1", 0).remove(3);
    });
    attacked("the last ones of a region", &["TRUNCATED"], |trail, _| {
        trail.output("us-east-1", 0).truncate(3);
    });
    attacked("a region", &["TRUNCATED"], |trail, _| {
        trail.output("us-east-1", 0).clear();
        trail.output("us-east-1", 1).clear();
    });
    attacked("quarantined", &["TRUNCATED"], |trail, _| trail.output("~quarantine", 1).clear());
}

#[test]
fn inserted_records_are_found() {
    let without_chain = |trail: &mut Trail| {
        let mut record = trail.output("eu-west-1", 0)[2].clone();
        record.headers.pop();
        record
    };
    attacked("without a chain header", &["INSERTED"], |trail, _| {
        let record = without_chain(trail);
        trail.output("eu-west-1", 0).insert(2, record);
        trail.renumber();
    });
    for at in [0, 2, 5] {
        attacked("with a copied chain header", &["INSERTED"], |trail, _| {
            let mut record = trail.output("eu-west-1", 0)[2].clone();
            record.value = Some(b"forged".to_vec());
            trail.output("eu-west-1", 0).insert(at, record);
            trail.renumber();
        });
    }
    attacked("with two chain headers", &["INSERTED"], |trail, _| {
        let mut record = trail.output("eu-west-1", 0)[2].clone();
        let header = record.headers.last().expect("headers").clone();
        record.headers.push(header);
        trail.output("eu-west-1", 0).push(record);
        trail.renumber();
    });
    attacked("of a set that no seal knows", &["INSERTED"], |trail, _| {
        let mut record = trail.output("eu-west-1", 0)[2].clone();
        let mut header = record.chain();
        header.stream = Stream::new(set(7), header.stream.name().clone());
        record.set_chain(&header);
        trail.output("eu-west-1", 0).push(record);
        trail.renumber();
    });
    attacked("of another topic's stream", &["INSERTED"], |trail, _| {
        let record = trail.output("us-east-1", 0)[1].clone();
        trail.output("eu-west-1", 0).push(record);
        trail.renumber();
    });
    attacked("behind the last seal, with a true link", &["UNSEALED"], |trail, writers| {
        let (size, head) = writers[0].heads[&"eu-west-1".parse().expect("a name")];
        let mut record = trail.output("eu-west-1", 0)[0].clone();
        let mut header = record.chain();
        (header.number, header.previous) = (number(size), head);
        record.set_chain(&header);
        trail.append(&"eu-west-1".parse().expect("a name"), 0, record);
    });
}

#[test]
fn a_suffix_with_new_hashes_does_not_lead_to_the_signature() {
    attacked("suffix", &["ALTERED", "UNCONFIRMED"], |trail, _| {
        let records = trail.output("eu-west-1", 0);
        let mut head = records[5].chain().previous;
        for record in &mut records[5..] {
            let mut header = record.chain();
            record.value = Some(b"forged".to_vec());
            header.previous = head;
            record.set_chain(&header);
            head = step(header.number, &head, &leaf_of(record, header.source));
        }
    });
}

#[test]
fn moved_and_repeated_records_are_found() {
    attacked("two of a partition", &["REORDERED"], |trail, _| {
        trail.output("eu-west-1", 0).swap(2, 4);
        trail.renumber();
    });
    attacked("two neighbours of two blocks", &["REORDERED"], |trail, _| {
        let records = trail.output("eu-west-1", 0);
        let at = records.windows(2).position(|pair| pair[0].chain().source.offset.get() % 4 == 3);
        records.swap(at.expect("a block's end"), at.expect("a block's end") + 1);
        trail.renumber();
    });
    attacked("the first to the end", &["REORDERED"], |trail, _| {
        trail.output("eu-west-1", 0).rotate_left(1);
        trail.renumber();
    });
    attacked("to another partition", &["REORDERED"], |trail, _| {
        let record = trail.output("eu-west-1", 0).remove(3);
        trail.output("eu-west-1", 1).push(record);
        trail.renumber();
    });
    attacked("a block to another partition", &["REORDERED"], |trail, _| {
        let block: Vec<_> = trail.output("us-east-1", 0).drain(..2).collect();
        trail.output("us-east-1", 1).extend(block);
        trail.renumber();
    });
    let early = ["DUPLICATE", "REORDERED"];
    for (from, to, expected) in [(1, 2, &early[..1]), (1, 12, &early[..1]), (9, 0, &early)] {
        attacked("again", expected, |trail, _| {
            let record = trail.output("eu-west-1", 0)[from].clone();
            trail.output("eu-west-1", 0).insert(to, record);
            trail.renumber();
        });
    }
    attacked("again in another partition", &["DUPLICATE"], |trail, _| {
        let record = trail.output("eu-west-1", 0)[1].clone();
        trail.output("eu-west-1", 1).push(record);
        trail.renumber();
    });
}

#[test]
fn changed_seals_are_found() {
    attacked("the last one removed", &["UNSEALED"], |trail, _| drop(trail.seals.pop()));
    attacked("all removed", &["UNSEALED"], |trail, _| trail.seals.clear());
    attacked("one removed", &["SEAL_MISSING"], |trail, _| drop(trail.seals.remove(4)));
    attacked("three removed", &["SEAL_MISSING"], |trail, _| {
        trail.seals.retain(|seal| {
            let seal = seal.seal();
            seal.set == set(1) || !(2..5).contains(&seal.number.get())
        });
    });
    attacked("its text", &["BAD_SEAL", "SEAL_MISSING"], |trail, _| {
        trail.seals[4].replace("counts 4", "counts 5");
    });
    attacked("its signature", &["BAD_SEAL", "SEAL_MISSING"], |trail, _| {
        let note = trail.seals[4].note.as_mut().expect("a note");
        let at = note.len() - 20;
        note[at] = if note[at] == b'A' { b'B' } else { b'A' };
    });
    attacked("signed by another key", &["BAD_SEAL", "SEAL_MISSING"], |trail, _| {
        let text = trail.seals[4].text();
        let note = audit_chain::note::sign(&text, &[&key(2)]).expect("signed");
        trail.seals[4].note = Some(note.into_bytes());
    });
    attacked("its key", &["BAD_SEAL", "SEAL_MISSING"], |trail, _| trail.seals[4].key = None);
    attacked("its headers", &["BAD_SEAL", "SEAL_MISSING"], |trail, _| {
        trail.seals[4].has_headers = true;
    });
    attacked("a tombstone", &["BAD_SEAL", "SEAL_MISSING"], |trail, _| trail.seals[4].note = None);
    attacked("twice", &["DUPLICATE"], |trail, _| trail.seals.push(trail.seals[3].clone()));
    attacked("exchanged", &["REORDERED"], |trail, _| trail.seals.swap(2, 4));
    attacked("everything of a partition", &["STREAM_ABSENT"], |trail, _| {
        trail.seals.retain(|seal| seal.seal().set != set(1));
        for records in trail.outputs.values_mut() {
            records.retain(|record| *record.chain().stream.set() != set(1));
        }
    });
}

/// Removes the last seal of a set, and what it covers.
fn roll_back(trail: &mut Trail) {
    let last = trail.seals.pop().expect("a seal").seal();
    for records in trail.outputs.values_mut() {
        records.retain(|record| {
            let chain = record.chain();
            *chain.stream.set() != last.set || chain.source.offset < last.input.start
        });
    }
}

#[test]
fn a_rollback_is_seen_by_whoever_remembers() {
    attacked("nobody remembers", &[], |trail, _| roll_back(trail));
    let (mut trail, writers) = usual();
    roll_back(&mut trail);
    let remembered = |set, seal, digest| {
        let by = "the anchor".to_string();
        let remembered = vec![Remembered { set, seal, digest, by }];
        check_with(&trail, usual_trust(), Options { remembered, ..Options::default() })
    };
    let gone = remembered(set(1), 5, writers[1].last);
    assert_labels("gone", &gone, &["ROLLED_BACK"]);
    let other = remembered(set(0), 5, Digest::of(b"other"));
    assert_labels("another", &other, &["FORKED"]);
    assert_labels("there", &remembered(set(0), 5, writers[0].last), &[]);
    assert_labels("no such set", &remembered(set(9), 0, writers[0].last), &["ROLLED_BACK"]);
}

/// Writes the first messages of partition 0 again, as a writer does whose state was taken back.
fn written_again(messages: &[u64], change: Option<u64>) -> Trail {
    let (mut trail, mut writer) = (Trail::default(), Writer::new(0, 2));
    // Other times and another writer, as it would be.
    writer.time_ms += 1_000_000;
    for count in messages {
        let offsets = writer.next..writer.next + count;
        let fates = offsets.map(|offset| match change {
            Some(changed) if changed == offset => Fate::Audited("eu-west-1", b"different".to_vec()),
            _ => fate(0, offset),
        });
        writer.write(&fates.collect::<Vec<_>>(), &[&key(1)], &mut trail);
    }
    trail
}

#[test]
fn a_writer_that_was_rolled_back_signs_a_fork() {
    let repeats = ["DUPLICATE", "SEAL_TWICE"];
    attacked("the same transactions", &repeats, |trail, _| {
        trail.append_all(written_again(&[4], None));
    });
    attacked("other transactions", &repeats, |trail, _| {
        trail.append_all(written_again(&[6], None));
    });
    let forks = ["DUPLICATE", "FORKED", "INSERTED", "SEAL_TWICE"];
    attacked("other events", &forks, |trail, _| {
        trail.append_all(written_again(&[4], Some(1)));
    });
    attacked("other events and other transactions", &forks, |trail, _| {
        trail.append_all(written_again(&[5], Some(4)));
    });
}

#[test]
fn a_moved_input_position_is_seen() {
    let moved = |name, expected: &[&str], next| {
        attacked(name, expected, |trail, writers| {
            let mut writer = writers[0].clone();
            writer.next = next;
            write(&mut writer, 0, 3, trail);
        });
    };
    moved("on", &[], 24);
    moved("back", &["REPLAYED"], 20);
    moved("ahead", &["SKIPPED"], 30);
}

#[test]
fn counts_that_do_not_fit_are_seen() {
    // The writer's own lie: one event more than the seal counts.
    let (mut trail, mut writers) = usual();
    let mut extra = writers[0].clone();
    extra.write(&[Fate::Audited("eu-west-1", b"one".to_vec())], &[&key(1)], &mut trail);
    trail.seals.pop();
    (writers[0].heads, writers[0].is_full) = (extra.heads, false);
    write(&mut writers[0], 0, 5, &mut trail);
    assert_labels("one more", &check(&trail), &["SEAL_COUNTS"]);
}

#[test]
fn nothing_is_no_proof() {
    let report = check(&Trail::default());
    assert_labels("nothing", &report, &["NOTHING_FOUND"]);
    assert_eq!(report.exit().code(), 4);
}
