//! Trust files.

use audit_chain::Number;
use audit_chain::key::PublicKey;
use audit_chain::trust::Trust;

use crate::json::{list, number, parse, parse_all, text};

#[test]
fn trust_files() {
    for case in list("/trust/valid") {
        let trust: Trust = parse(case, "text");
        assert_eq!(trust.origin(), &parse(case, "origin"));
        let keys: Vec<PublicKey> = parse_all(&case["keys"]);
        assert_eq!(trust.keys(), keys);
        for asked in case["asked"].as_array().expect("a list") {
            let seal = Number::new(number(&asked["seal"])).expect("below 2^63");
            let signers: Vec<_> = trust.signers(&parse(asked, "set"), seal).cloned().collect();
            let expected: Vec<PublicKey> = parse_all(&asked["signers"]);
            assert_eq!(signers, expected, "{}: {asked}", text(case, "name"));
        }
    }
}

#[test]
fn all_lines_with_problems_are_named() {
    for case in list("/trust/invalid") {
        let problems = text(case, "text").parse::<Trust>().expect_err(text(case, "reason"));
        let mut lines: Vec<_> = problems.iter().filter_map(|problem| problem.line).collect();
        lines.dedup();
        let expected = case["lines"].as_array().expect("a list").iter();
        let expected: Vec<usize> = expected.map(number).collect();
        assert_eq!(lines, expected, "{}: {problems:?}", text(case, "reason"));
    }
}
