//! Replays of quarantined records: sets over the quarantine topic, whose events stand among those
//! of the input's sets, and attacks on them.

use std::collections::BTreeMap;

use audit_chain::name::{Set, StreamName};

use crate::checked::{assert_labels, assert_proven, check, labels};
use crate::trail::{Ends, Trail};
use crate::writer::{Writer, key, number, usual, usual_with_ends, write};

/// The quarantine topic.
const TOPIC: &str = "audit.quarantine";

/// What becomes of a quarantined record.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Audited(&'static str),
    Closed,
    Again,
}

/// Replays records of one partition of the quarantine, and one of the input, in one transaction.
fn replay(
    writer: &mut Writer,
    input: u32,
    records: &[(u64, Outcome)],
    trail: &mut Trail,
) -> BTreeMap<StreamName, u32> {
    let mut counts = [0; 4];
    let mut touched = BTreeMap::new();
    let start = writer.next;
    for (offset, outcome) in records {
        counts[0] += 1;
        match outcome {
            Outcome::Audited(region) => {
                counts[1] += 1;
                let region: StreamName = region.parse().expect("a region");
                let event = writer.event(&region, b"{\"replayed\":true}", *offset);
                trail.append(&region, input % 2, event);
                touched.insert(region, input % 2);
            }
            Outcome::Closed => counts[2] += 1,
            Outcome::Again => counts[3] += 1,
        }
        let outcome = writer.event(&StreamName::State, b"{\"v\":1}", *offset);
        trail.append(&StreamName::State, input % 2, outcome);
        writer.next += 1;
    }
    touched.insert(StreamName::State, input % 2);
    writer.write_seal(start, counts, &touched, &[&key(1)], trail);
    touched
}

fn replayer(partition: u32) -> Writer {
    let set = Set::new(TOPIC, partition.into(), 1.into()).expect("a set");
    Writer { is_full: true, ..Writer::of(set, 2, None) }
}

/// The usual trail, some of whose quarantined records were replayed in any order, while its relays
/// went on.
pub(crate) fn replayed() -> (Trail, Writer) {
    let (trail, zero, _) = replayed_with_ends();
    (trail, zero)
}

/// The same, with the ends of the topics after each transaction.
pub(crate) fn replayed_with_ends() -> (Trail, Writer, Vec<Ends>) {
    use Outcome::{Again, Audited, Closed};
    let (mut trail, mut writers, mut ends) = usual_with_ends();
    let (mut zero, mut one) = (replayer(0), replayer(1));
    let (west, east) = ("eu-west-1", "us-east-1");
    let first = [(7, Audited(west)), (3, Again), (5, Audited(east)), (2, Audited(west))];
    replay(&mut zero, 0, &first, &mut trail);
    ends.push(trail.ends());
    write(&mut writers[0], 0, 36, &mut trail);
    ends.push(trail.ends());
    replay(&mut one, 1, &[(1, Closed)], &mut trail);
    ends.push(trail.ends());
    // Of another partition of the input: other partitions of the outputs.
    let second = [(4, Audited(west)), (6, Closed), (9, Audited(west))];
    replay(&mut zero, 1, &second, &mut trail);
    ends.push(trail.ends());
    write(&mut writers[1], 1, 36, &mut trail);
    ends.push(trail.ends());
    replay(&mut zero, 0, &[(3, Audited(west)), (0, Audited(west))], &mut trail);
    ends.push(trail.ends());
    (trail, zero, ends)
}

/// Attacks the trail, and fails unless exactly these labels are found.
#[track_caller]
fn attacked(name: &str, expected: &[&str], attack: impl FnOnce(&mut Trail)) {
    let (mut trail, _) = replayed();
    attack(&mut trail);
    let report = check(&trail);
    assert_labels(name, &report, expected);
    assert_eq!(report.exit().code(), 1, "{name}");
}

/// The index of the first event of a replay in an output partition, from a number on.
fn index(trail: &mut Trail, output: &str, partition: u32, from: u64) -> usize {
    let is_it = |chain: &audit_chain::header::ChainHeader| {
        chain.stream.set().topic() == TOPIC && chain.number.get() >= from
    };
    let found = trail.output(output, partition).iter().position(|it| is_it(&it.chain()));
    found.expect("an event of a replay")
}

#[test]
fn replays_beside_relays_are_proven_and_counted() {
    let (trail, _) = replayed();
    let report = check(&trail);
    assert_proven(&trail, &report);
    let totals = report.quarantine().expect("replays");
    assert_eq!((totals.quarantined, totals.audited, totals.closed), (12, 7, 2));
    let text = report.to_string();
    for line in [
        "audit.quarantine/0#1: seal 2, outcomes up to number 9, written at 2023-11-14T22:13:20.200Z as its writer claims",
        "~state: 10 confirmed",
        "Of 12 quarantined records, 7 were audited later, 2 were closed without an event, and 3 are open, as the seals count them",
        "Proven up to the last seal of all 4 sets.",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert_eq!(report.to_json()["quarantine"]["closed"], 2);
    assert_eq!(check(&usual().0).to_json()["quarantine"], serde_json::Value::Null);
}

#[test]
fn changed_outcomes_are_found() {
    attacked("value", &["ALTERED"], |trail| trail.output("~state", 0)[0].value = Some(vec![]));
    attacked("key", &["ALTERED"], |trail| trail.output("~state", 1)[0].key = None);
    attacked("timestamp", &["ALTERED", "UNCONFIRMED"], |trail| {
        trail.output("~state", 0)[1].timestamp_ms += 1;
    });
    attacked("removed", &["MISSING", "UNCONFIRMED"], |trail| {
        trail.output("~state", 0).remove(2);
    });
    attacked("the last", &["TRUNCATED", "UNCONFIRMED"], |trail| {
        trail.output("~state", 0).pop();
    });
    attacked("all", &["MISSING", "TRUNCATED"], |trail| {
        trail.output("~state", 0).clear();
        trail.output("~state", 1).clear();
    });
    attacked("the topic is not there", &["MISSING", "TRUNCATED"], |trail| {
        trail.outputs.retain(|(name, _), _| *name != StreamName::State);
    });
    attacked("twice", &["DUPLICATE"], |trail| {
        let again = trail.output("~state", 0)[1].clone();
        trail.output("~state", 0).insert(2, again);
        trail.renumber();
    });
    attacked("exchanged", &["REORDERED"], |trail| {
        trail.output("~state", 0).swap(1, 2);
        trail.renumber();
    });
    attacked("in another partition", &["REORDERED"], |trail| {
        let outcome = trail.output("~state", 0).remove(1);
        trail.output("~state", 1).push(outcome);
        trail.renumber();
    });
    attacked("without a chain header", &["INSERTED"], |trail| {
        let mut outcome = trail.output("~state", 0)[1].clone();
        outcome.headers.pop();
        trail.append(&StreamName::State, 0, outcome);
    });
    attacked("an event among them", &["INSERTED"], |trail| {
        let event = trail.output("eu-west-1", 0)[0].clone();
        trail.append(&StreamName::State, 0, event);
    });
}

#[test]
fn changed_events_of_replays_are_found() {
    attacked("removed", &["TRUNCATED"], |trail| {
        let at = index(trail, "us-east-1", 0, 0);
        trail.output("us-east-1", 0).remove(at);
    });
    attacked("removed with its outcome", &["MISSING", "TRUNCATED", "UNCONFIRMED"], |trail| {
        let at = index(trail, "us-east-1", 0, 0);
        trail.output("us-east-1", 0).remove(at);
        trail.output("~state", 0).remove(2);
    });
    attacked("altered", &["ALTERED"], |trail| {
        let at = index(trail, "eu-west-1", 1, 0);
        trail.output("eu-west-1", 1)[at].value = None;
    });
    attacked("twice", &["DUPLICATE"], |trail| {
        let at = index(trail, "eu-west-1", 1, 0);
        let again = trail.output("eu-west-1", 1)[at].clone();
        trail.append(&"eu-west-1".parse().expect("a name"), 1, again);
    });
    attacked("exchanged", &["REORDERED"], |trail| {
        let at = index(trail, "eu-west-1", 1, 0);
        trail.output("eu-west-1", 1).swap(at, at + 1);
        trail.renumber();
    });
    attacked("claimed by a set that never replayed", &["INSERTED"], |trail| {
        let at = index(trail, "eu-west-1", 1, 0);
        let mut event = trail.output("eu-west-1", 1)[at].clone();
        let mut header = event.chain();
        let set = Set::new(TOPIC, 7.into(), 1.into()).expect("a set");
        header.stream = audit_chain::name::Stream::new(set, header.stream.name().clone());
        event.set_chain(&header);
        trail.append(&"eu-west-1".parse().expect("a name"), 1, event);
    });
}

#[test]
fn changed_seals_of_replays_are_found() {
    let last = |trail: &Trail| trail.seals.len() - 1;
    let of_replay = |trail: &Trail, seal| {
        trail.seal_index(&Set::new(TOPIC, 0.into(), 1.into()).expect("a set"), seal)
    };
    attacked("the last removed", &["UNSEALED"], |trail| {
        let at = last(trail);
        trail.seals.remove(at);
    });
    // Which partitions it named is not known.
    attacked("one removed", &["REORDERED", "SEAL_MISSING"], |trail| {
        let at = of_replay(trail, 1);
        trail.seals.remove(at);
    });
    attacked("all removed", &["INSERTED"], |trail| {
        trail.seals.retain(|seal| seal.seal().set.topic() != TOPIC);
    });
    attacked("twice", &["DUPLICATE"], |trail| {
        let again = trail.seals[of_replay(trail, 1)].clone();
        trail.seals.push(again);
    });
    attacked("its text", &["BAD_SEAL", "REORDERED", "SEAL_MISSING"], |trail| {
        let at = of_replay(trail, 1);
        trail.seals[at].replace("counts 3 2 1", "counts 3 2 0");
    });
}

/// A replayer whose chains were taken back signs a fork.
#[test]
fn a_replay_that_forgets_a_transaction_is_found() {
    let (mut trail, committed) = replayed();
    let mut forgetful = committed.clone();
    replay(&mut forgetful, 0, &[(8, Outcome::Closed)], &mut trail);
    assert_labels("as it should be", &check(&trail), &[]);
    let mut forgetful = Writer { time_ms: forgetful.time_ms, ..committed };
    replay(&mut forgetful, 0, &[(8, Outcome::Closed)], &mut trail);
    assert_labels("again", &check(&trail), &["DUPLICATE", "SEAL_TWICE"]);
}

#[test]
fn a_seal_that_miscounts_outcomes_is_seen() {
    let (mut trail, committed) = replayed();
    let mut writer = committed.clone();
    writer.next += 1;
    replay(&mut writer, 0, &[(8, Outcome::Closed)], &mut trail);
    assert_labels("another end", &check(&trail), &["SEAL_COUNTS", "SKIPPED"]);

    let (mut trail, mut writer) = replayed();
    let outcome = writer.event(&StreamName::State, b"", 8);
    trail.append(&StreamName::State, 0, outcome);
    writer.next += 1;
    let touched = BTreeMap::from([(StreamName::State, 0)]);
    writer.write_seal(writer.next - 1, [0; 4], &touched, &[&key(1)], &mut trail);
    assert_labels("one more", &check(&trail), &["SEAL_COUNTS"]);
}

/// The quarantine topic was created again: the same offsets come once more.
#[test]
fn offsets_of_a_replay_may_repeat() {
    let (mut trail, mut writer) = replayed();
    for _ in 0..2 {
        replay(&mut writer, 0, &[(0, Outcome::Audited("eu-west-1"))], &mut trail);
    }
    let again = [(0, Outcome::Audited("eu-west-1")), (0, Outcome::Audited("eu-west-1"))];
    replay(&mut writer, 0, &again, &mut trail);
    assert_proven(&trail, &check(&trail));
}

/// The events of one stream expire in each partition by itself.
#[test]
fn retention_is_judged_by_partition() {
    for (zero, one) in [(0, 1), (1, 0), (1, 1)] {
        let (mut trail, _) = replayed();
        for (partition, count) in [(0, zero), (1, one)] {
            let end = index(&mut trail, "eu-west-1", partition, 0) + 1;
            if count > 0 {
                trail.expire("eu-west-1", partition, end);
            }
        }
        let report = check(&trail);
        assert_labels("expired", &report, &["EXPIRED"]);
    }
    // What expired in one partition is no excuse for a hole in another.
    let (mut trail, _) = replayed();
    let late = index(&mut trail, "eu-west-1", 0, 4);
    trail.expire("eu-west-1", 0, late);
    let hole = index(&mut trail, "eu-west-1", 1, 0);
    trail.output("eu-west-1", 1).remove(hole);
    let found = labels(&check(&trail));
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["EXPIRED", "MISSING"]);
    assert_eq!(number(found["MISSING"]).get(), 1);
}
