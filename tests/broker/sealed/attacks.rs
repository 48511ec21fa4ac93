//! Attacks on the topics of a trail. Who may rewrite topics can write others in their place, so
//! each attack is a copy of the whole trail that was changed.

use std::collections::BTreeMap;

use super::*;
use audit_testkit::topics::{HeaderList, Seen, TestRecord, read_committed};

/// The records of a trail, by the names of their topics without the prefix.
pub type Trail = BTreeMap<String, Vec<Seen>>;

const CHECKPOINTS: &str = "checkpoints";
pub const QUARANTINE: &str = "quarantined";
const REGION: &str = "us-south";

/// Reads a trail, whose replays have written to these topics.
pub fn read(broker: &KafkaBroker, deployment: &TestDeployment, replays: &[String]) -> Trail {
    let mut topics = deployment.outputs();
    topics.extend([deployment.checkpoints(), deployment.quarantine.clone()]);
    topics.extend(replays.iter().cloned());
    let read = |topic: String| {
        let name = topic.replacen(&deployment.quarantine, QUARANTINE, 1);
        let name = name.strip_prefix(&deployment.prefix).unwrap_or(&name).to_string();
        (name, read_committed(broker.bootstrap(), &topic))
    };
    topics.into_iter().map(read).collect()
}

/// Writes a trail to new topics, and returns their prefix.
pub fn write(broker: &KafkaBroker, trail: &Trail) -> String {
    let prefix = format!("{}.", broker.unique("copy"));
    std::thread::scope(|scope| {
        for (name, records) in trail {
            let topic = format!("{prefix}{name}");
            scope.spawn(move || {
                broker.create_topic(&topic, if name == CHECKPOINTS { 5 } else { 3 });
                produce(broker.bootstrap(), &topic, records.iter().map(TestRecord::from));
            });
        }
    });
    prefix
}

/// The records of one region, all of one partition.
fn region(trail: &mut Trail) -> &mut Vec<Seen> {
    trail.get_mut(REGION).expect("the region has events")
}

fn seals(trail: &mut Trail) -> &mut Vec<Seen> {
    trail.get_mut(CHECKPOINTS).expect("there are seals")
}

/// The index of a record in the middle of the first partition of the region.
fn middle(trail: &mut Trail) -> usize {
    let records = region(trail);
    let first = records[0].partition;
    records.iter().filter(|seen| seen.partition == first).count() / 2
}

fn chain(headers: &mut HeaderList) -> &mut Vec<u8> {
    let (name, value) = headers.last_mut().expect("headers");
    assert_eq!(name, "audit-chain");
    value.as_mut().expect("a value")
}

/// Removes the newest seal of every set, with the events that it seals.
fn cut(trail: &mut Trail) {
    let mut last = BTreeMap::new();
    for (index, seen) in seals(trail).iter().enumerate() {
        last.insert(seen.key.clone(), index);
    }
    let mut cut_at = BTreeMap::new();
    for index in last.values() {
        let note = String::from_utf8(seals(trail)[*index].value.clone().expect("a note"));
        let note = note.expect("text");
        let line = |word: &str| note.lines().find_map(|line| line.strip_prefix(word)).expect(word);
        let set = line("set ").split(' ').next().expect("a set").to_string();
        let start: i64 =
            line("input ").split(' ').next().expect("a start").parse().expect("a number");
        cut_at.insert(set, start);
    }
    let mut index = 0;
    seals(trail).retain(|_| {
        index += 1;
        !last.values().any(|last| *last == index - 1)
    });
    for (name, records) in trail.iter_mut().filter(|(name, _)| *name != CHECKPOINTS) {
        records.retain_mut(|seen| {
            let header = String::from_utf8(chain(&mut seen.headers).clone()).expect("text");
            let mut words = header.split(' ').skip(1);
            let stream = words.next().expect("a stream");
            let source = words.nth(1).expect("a source");
            let offset: i64 =
                source.split('.').next().expect("an offset").parse().expect("a number");
            let set = stream.split('@').next().expect("a set");
            cut_at.get(set).is_none_or(|start| offset < *start) || name.is_empty()
        });
    }
}

/// An attack: its name, what it does, and the exit code and a label that it must lead to.
type Attack = (&'static str, fn(&mut Trail), i32, &'static str);

const ATTACKS: &[Attack] = &[
    ("nothing", |_| {}, 0, ""),
    (
        "another value",
        |trail| {
            let at = middle(trail);
            let value = region(trail)[at].value.as_mut().expect("a value");
            value.push(b' ');
        },
        1,
        "ALTERED",
    ),
    (
        "another key",
        |trail| {
            let at = middle(trail);
            region(trail)[at].key = Some(b"7".to_vec());
        },
        1,
        "ALTERED",
    ),
    (
        "another timestamp",
        |trail| {
            let at = middle(trail);
            *region(trail)[at].timestamp.as_mut().expect("a time") += 1;
        },
        1,
        "ALTERED",
    ),
    (
        "another header",
        |trail| {
            let at = middle(trail);
            region(trail)[at].headers[1].1 = Some(b"other".to_vec());
        },
        1,
        "ALTERED",
    ),
    (
        "a header behind the chain's",
        |trail| {
            let at = middle(trail);
            region(trail)[at].headers.push(("x".to_string(), None));
        },
        1,
        "ALTERED",
    ),
    (
        "a record removed",
        |trail| {
            let at = middle(trail);
            region(trail).remove(at);
        },
        1,
        "MISSING",
    ),
    (
        "a quarantined record removed",
        |trail| {
            trail.get_mut(QUARANTINE).expect("some are quarantined").remove(0);
        },
        1,
        "MISSING",
    ),
    ("a region's topic emptied", |trail| region(trail).clear(), 1, "TRUNCATED"),
    (
        "a record twice",
        |trail| {
            let at = middle(trail);
            let again = region(trail)[at].clone();
            region(trail).insert(at, again);
        },
        1,
        "DUPLICATE",
    ),
    (
        "a record without its header",
        |trail| {
            let at = middle(trail);
            let mut forged = region(trail)[at].clone();
            forged.headers.pop();
            region(trail).insert(at, forged);
        },
        1,
        "INSERTED",
    ),
    (
        "a record of a partition that no seal knows",
        |trail| {
            let at = middle(trail);
            let mut forged = region(trail)[at].clone();
            let header = String::from_utf8(chain(&mut forged.headers).clone()).expect("text");
            *chain(&mut forged.headers) = header
                .replace("/0#1", "/9#1")
                .replace("/1#1", "/9#1")
                .replace("/2#1", "/9#1")
                .into_bytes();
            region(trail).insert(at, forged);
        },
        1,
        "INSERTED",
    ),
    (
        "two records exchanged",
        |trail| {
            let at = middle(trail);
            region(trail).swap(at, at - 1);
        },
        1,
        "REORDERED",
    ),
    (
        "a record in another partition",
        |trail| {
            let at = middle(trail);
            let partition = &mut region(trail)[at].partition;
            *partition = (*partition + 1) % 3;
        },
        1,
        "REORDERED",
    ),
    ("a seal removed", |trail| _ = seals(trail).remove(1), 1, "SEAL_MISSING"),
    (
        "the last seal removed",
        |trail| {
            let busy = seals(trail).iter().rposition(|seen| {
                let note = seen.value.as_deref().unwrap_or_default();
                !String::from_utf8_lossy(note).contains("counts 0 0 0 0")
            });
            let key = seals(trail)[busy.expect("a seal of records")].key.clone();
            let from = busy.expect("a seal of records");
            let mut index = 0;
            seals(trail).retain(|seen| {
                index += 1;
                index <= from || seen.key != key
            });
        },
        1,
        "UNSEALED",
    ),
    ("all seals removed", |trail| seals(trail).clear(), 1, "UNSEALED"),
    (
        "a seal changed",
        |trail| {
            let note = seals(trail)[1].value.as_mut().expect("a note");
            let at = note.iter().position(u8::is_ascii_digit).expect("a number");
            note[at] ^= 1;
        },
        1,
        "BAD_SEAL",
    ),
    (
        "a seal twice",
        |trail| {
            let again = seals(trail)[1].clone();
            seals(trail).insert(2, again);
        },
        1,
        "DUPLICATE",
    ),
    (
        "a record that is no seal",
        |trail| {
            let mut other = seals(trail)[1].clone();
            other.value = None;
            seals(trail).insert(2, other);
        },
        1,
        "BAD_SEAL",
    ),
    // Only a memory outside the cluster shows it: see below.
    ("the newest events with their seals", cut, 0, ""),
];

#[test]
fn each_attack_is_evidence() {
    let broker = KafkaBroker::shared();
    let deployment = sealed(broker, 3);
    process(broker, &deployment, 0..900);
    let state = deployment.path("state");
    let state = state.to_str().expect("a path");
    let own = verify_own(&deployment, &["--state", state]);
    assert_eq!((own.code, own.labels.as_slice()), (Some(0), &[][..]), "{}", own.output);
    let original = read(broker, &deployment, &[]);
    let mut wrong = Vec::new();
    for (name, attack, code, label) in ATTACKS {
        let mut trail = original.clone();
        attack(&mut trail);
        let prefix = write(broker, &trail);
        let quarantine = format!("{prefix}{QUARANTINE}");
        let answer = verify(&deployment, &prefix, &quarantine, &[]);
        let is_labelled = label.is_empty() && answer.labels.is_empty()
            || answer.labels.iter().any(|found| found == label);
        if answer.code != Some(*code) || !is_labelled {
            wrong.push(format!("{name}: {:?} {:?}", answer.code, answer.labels));
        }
        if *name == "the newest events with their seals" {
            let answer = verify(&deployment, &prefix, &quarantine, &["--state", state]);
            assert_eq!(answer.code, Some(1), "{}", answer.output);
            assert!(answer.labels.contains(&"ROLLED_BACK".to_string()), "{}", answer.output);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is not proven is not 0, and an accident is not a verdict.
#[test]
fn there_is_no_verdict_without_a_trail() {
    let broker = KafkaBroker::shared();
    let mut deployment = sealed(broker, 1);
    let nothing = verify_own(&deployment, &[]);
    assert_eq!(nothing.code, Some(4), "{}", nothing.output);
    assert_eq!(nothing.labels, ["NOTHING_FOUND"]);
    let absent = verify(&deployment, "no-such-prefix.", "no-such-topic", &[]);
    assert_eq!(absent.code, Some(3), "{}", absent.output);
    assert!(absent.output.contains("--topic-prefix"), "{}", absent.output);
    process(broker, &deployment, 0..100);
    for (more, code, label) in [
        (&["--require-anchor"][..], 4, "NO_ANCHOR"),
        (&["--max-age", "0"], 4, "STALE"),
        (&["--partitions", "2"], 1, "STREAM_ABSENT"),
    ] {
        let answer = verify_own(&deployment, more);
        let labels = [label.to_string()];
        // A second may not have passed since the last seal.
        let is_fresh = label == "STALE" && answer.code == Some(0);
        assert!(
            is_fresh || answer.code == Some(code) && answer.labels == labels,
            "{}",
            answer.output
        );
    }
    let trust = std::fs::read_to_string(deployment.path("trust")).expect("a trust file");
    std::fs::write(deployment.path("trust"), "not a key").expect("write");
    let untrusted = verify_own(&deployment, &[]);
    assert_eq!(untrusted.code, Some(3), "{}", untrusted.output);
    std::fs::write(deployment.path("trust"), trust).expect("write");
    deployment.bootstrap = "127.0.0.1:1".to_string();
    let unreachable = verify_own(&deployment, &[]);
    assert_eq!(unreachable.code, Some(3), "{}", unreachable.output);
}
