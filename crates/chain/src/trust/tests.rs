//! Trust files: what they say, and what is reported of bad ones. The grammar is tested by the
//! vectors too.

use super::*;
use crate::key::SigningKey;

fn vkey(name: &str, seed: u8) -> String {
    SigningKey::from_seed(name.parse().expect(name), &[seed; 32]).public().to_string()
}

fn set(text: &str) -> Set {
    text.parse().expect(text)
}

fn problems(text: &str) -> Vec<String> {
    let problems = text.parse::<Trust>().expect_err(text);
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn a_key_may_sign_what_any_of_its_lines_allows() {
    let (old, new) = (vkey("trail", 1), vkey("trail", 2));
    let text = format!(
        "# rotated\n{old} - 6 t/0#1\n\t{old} -  7\tt/1#1 \n\n{new} 7 - t/0#1\n{new} 8 - t/1#1\n{new} - - t/2#1"
    );
    let trust: Trust = text.parse().expect("a trust file");
    for (name, seal, expected) in [
        ("t/0#1", 0, &old),
        ("t/0#1", 6, &old),
        ("t/0#1", 7, &new),
        ("t/1#1", 7, &old),
        ("t/1#1", 8, &new),
        ("t/2#1", 0, &new),
    ] {
        let signers: Vec<_> =
            trust.signers(&set(name), seal.into()).map(PublicKey::to_string).collect();
        assert_eq!(signers, [expected.as_str()], "{name} {seal}");
    }
    assert_eq!(trust.signers(&set("t/0#2"), 0.into()).count(), 0);
    assert_eq!((trust.keys().len(), trust.entries().len()), (2, 5));
}

#[test]
fn a_cosigner_is_never_sufficient() {
    let text = format!("{}\n{}\n", vkey("trail", 1), vkey("witness", 2));
    let trust: Trust = text.parse().expect("a trust file");
    assert_eq!(trust.origin().as_str(), "trail");
    let names: Vec<_> =
        trust.signers(&set("t/0#1"), 0.into()).map(|key| key.name().as_str()).collect();
    assert_eq!(names, ["trail"]);
    assert_eq!(trust.keys().len(), 2);
    assert!(trust.keys().iter().any(|key| !trust.is_signer(key)));
}

#[test]
fn all_problems_are_reported_with_their_lines() {
    let key = vkey("trail", 1);
    let text = format!(
        "{key}x\n{key} a b c d\n{key} 7 6\n\n{key} 01\n{key}\r\n{key}\n{key} -\nnonsense\n{key} - - t/0\n"
    );
    let expected = [
        (1, "copy the vkey"),
        (2, "one column too many"),
        (2, "invalid number \"a\""),
        (2, "invalid number \"b\""),
        (2, "invalid set \"c\""),
        (3, "exchange or correct"),
        (5, "invalid number \"01\""),
        (6, "a control character"),
        (8, "the same as line 7"),
        (9, "invalid vkey"),
        (10, "invalid set \"t/0\""),
    ];
    let found = problems(&text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (problem, (line, message)) in found.iter().zip(expected) {
        let begins = problem.starts_with(&format!("line {line}: "));
        assert!(begins && problem.contains(message), "{problem} is not {line} {message}");
    }
}

#[test]
fn a_file_without_a_key_is_refused() {
    for text in ["", "\n", "# nothing\n"] {
        assert_eq!(problems(text).len(), 1, "{text:?}");
    }
}
