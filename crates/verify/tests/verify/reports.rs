//! What a report says, to people and to programs.

use audit_verify::{Options, Remembered};
use serde_json::json;

use crate::checked::{check, check_with, usual_trust};
use crate::trail::Trail;
use crate::writer::{Writer, usual};

/// The trail of `usual`, and a report of it with the last seals of its writers remembered.
fn remembered() -> (Trail, Vec<Writer>, String) {
    let (trail, writers) = usual();
    let remembered = writers.iter().map(|writer| Remembered {
        set: writer.set.clone(),
        seal: writer.seal - 1,
        digest: writer.last,
        by: "the anchor".to_string(),
    });
    let options = Options { remembered: remembered.collect(), ..Options::default() };
    let report = check_with(&trail, usual_trust(), options).to_string();
    (trail, writers, report)
}

#[test]
fn a_proof_says_what_it_does_not_exclude() {
    let (trail, _, with_anchor) = remembered();
    assert!(with_anchor.contains("newer than the newest anchor"), "{with_anchor}");
    let report = check(&trail).to_string();
    for line in [
        "infra.changes/0#1: seal 5, input up to offset 24, written at 2023-11-14T22:13:20.500Z as its writer claims",
        "eu-west-1: 26 confirmed",
        "~quarantine: 4 confirmed",
        "Proven up to the last seal of all 2 sets.",
        "Not excluded: removal of the newest events together with their seals, and no anchor was given to compare with.",
    ] {
        assert!(report.lines().any(|found| found == line), "{line}\n{report}");
    }
}

#[test]
fn evidence_is_named_with_its_place() {
    let (mut trail, _) = usual();
    trail.output("eu-west-1", 0)[0].value = None;
    for record in trail.output("us-east-1", 0) {
        record.headers.clear();
    }
    let report = check(&trail);
    let text = report.to_string();
    for line in [
        "ALTERED (1): a record is there, and the signed head does not lead to it",
        "  infra.changes/0#1@eu-west-1 event 0 (eu-west-1 partition 0 offset 0)",
        "  us-east-1 partition 0 offset 0: the record has no chain header",
        "The trail is not what was signed.",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let json = report.to_json();
    assert_eq!(json["exit"], 1);
    let altered = "infra.changes/0#1@eu-west-1 event 0 (eu-west-1 partition 0 offset 0)";
    assert_eq!(json["findings"]["ALTERED"], json!({ "count": 1, "texts": [altered] }));
}

#[test]
fn long_lists_are_cut_and_counted() {
    let (mut trail, _) = usual();
    let mut record = trail.output("eu-west-1", 0)[0].clone();
    record.headers.clear();
    for _ in 0..1_500 {
        trail.append(&"eu-west-1".parse().expect("a name"), 0, record.clone());
    }
    let report = check(&trail);
    assert!(report.to_string().contains("\n  and 1480 more\n"), "{report}");
    let texts = report.to_json()["findings"]["INSERTED"]["texts"].as_array().map(Vec::len);
    assert_eq!(
        (texts, &report.to_json()["findings"]["INSERTED"]["count"]),
        (Some(1_000), &json!(1_500))
    );
}

#[test]
fn programs_get_the_seals_and_the_numbers() {
    let (trail, writers, _) = remembered();
    let json = check(&trail).to_json();
    assert_eq!(json["exit"], 0);
    assert_eq!(json["findings"], json!({}));
    let seal = json!({
        "seal": 5,
        "hash": writers[1].last.to_string(),
        "input_end": 24,
        "time": "2023-11-14T22:13:20.500Z",
    });
    assert_eq!(json["seals"]["infra.changes/1#1"], seal);
    assert_eq!(json["confirmed"]["infra.changes/0#1@~quarantine"], 2);
}

#[test]
fn what_cannot_be_proven_is_said() {
    let (mut trail, _) = usual();
    trail.expire("eu-west-1", 0, 2);
    let text = check(&trail).to_string();
    assert!(text.contains("EXPIRED (1): "), "{text}");
    assert!(text.ends_with("but not everything can be proven.\n"), "{text}");
}
