//! Every case is both documentation and test: the record, judged by the rules and tables of the
//! case, must have exactly the stated outcome. `UPDATE_EXAMPLES=1 cargo test -p audit-judge golden`
//! writes the current outcomes of the examples: review the diff before you commit it. For a table
//! row, the failure prints the lines that would pass.

use std::collections::BTreeSet;

use audit_cases::tables::lines;
use audit_cases::{Case, Setup, case, cases};
use audit_judge::fate::{Fate, FateKind};
use serde_json::{Value, json};

/// Returns whether to write the outcomes instead of comparing them.
fn updates() -> bool {
    std::env::var_os("UPDATE_EXAMPLES").is_some_and(|value| value == "1")
}

/// Judges the input and describes the fate in the format of `outcome.json`.
fn judged(case: &Case) -> (Value, Fate) {
    let setup = case.setup();
    let fate = setup.judge(Some(&case.input));
    (setup.describe(&fate, &case.outcome), fate)
}

#[test]
fn every_case_has_its_outcome() {
    let mut wrong = Vec::new();
    for case in cases() {
        let (described, _) = judged(case);
        // Compared as text: the order of the fields is part of the contract.
        let (got, expected) = (described.to_string(), case.outcome.to_string());
        if got != expected && updates() {
            case.update(&described);
        }
        if got != expected && !(updates() && case.is_example()) {
            let row = lines(case.base(), &described);
            wrong.push(format!("{}\n  expected {expected}\n  got      {got}\n{row}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every header repeats a value of the event.
#[test]
fn event_headers_match_the_event() {
    let (mut with, mut without) = (0, 0);
    for case in cases().iter().filter(|case| case.outcome["fate"] == "audited") {
        let event = &case.outcome["event"];
        let crn = event["logSourceCRN"].as_str().expect("a CRN");
        let segments: Vec<&str> = crn.split(':').collect();
        let expected = json!({
            "type": "audit",
            "account": segments[6].strip_prefix("a/"),
            "region": case.outcome["region"],
            "location": segments[5],
            "id": event["id"],
        });
        if case.outcome["headers"] == json!({}) {
            without += 1;
        } else {
            with += 1;
            assert_eq!(case.outcome["headers"].to_string(), expected.to_string(), "{}", case.name);
        }
    }
    assert!(with > 50 && without == 1, "{with} {without}");
}

#[test]
fn the_bytes_of_an_event_are_canonical_json() {
    for case in cases().iter().filter(|_| !updates()) {
        if let (_, Fate::Audited(audited)) = judged(case) {
            let text = std::str::from_utf8(&audited.event).expect("UTF-8");
            let expected = case.outcome["event"].to_string();
            assert_eq!(text, expected, "{}", case.name);
        }
    }
}

/// The fates, actions and regions that cases cover.
#[derive(Default)]
struct Coverage {
    kinds: BTreeSet<FateKind>,
    actions: BTreeSet<String>,
    regions: BTreeSet<String>,
}

fn coverage(cases: impl Iterator<Item = &'static Case>) -> Coverage {
    let mut coverage = Coverage::default();
    for case in cases {
        let (described, fate) = judged(case);
        coverage.kinds.insert(fate.kind());
        if let Some(action) = described["event"]["action"].as_str() {
            coverage.actions.insert(action.to_string());
            coverage.regions.insert(described["region"].as_str().expect("region").to_string());
        }
    }
    coverage
}

impl Coverage {
    #[track_caller]
    fn assert_all_fates_and_actions(&self) {
        let missing = FateKind::all().filter(|kind| !self.kinds.contains(kind));
        let missing: Vec<FateKind> = missing.collect();
        assert!(missing.is_empty(), "no example for {missing:?}");
        let setup = Setup::new("");
        for action in setup.rules.catalog.actions().filter(|action| action.enabled) {
            assert!(self.actions.contains(&action.name), "no example for {}", action.name);
        }
    }
}

#[test]
fn the_cases_cover_every_fate_action_and_region() {
    let coverage = coverage(cases().iter());
    coverage.assert_all_fates_and_actions();
    for region in case("power-on").setup().rules.routes.regions() {
        assert!(coverage.regions.contains(region), "no example for {region}");
    }
}

/// Developers of producers read the examples, not the tables.
#[test]
fn the_examples_cover_every_fate_and_action() {
    coverage(cases().iter().filter(|case| case.is_example())).assert_all_fates_and_actions();
}

#[test]
fn every_case_states_its_purpose() {
    for case in cases().iter().filter(|_| !updates()) {
        assert!(case.why.ends_with('.') && case.why.len() > 15, "{}: {:?}", case.name, case.why);
    }
}
