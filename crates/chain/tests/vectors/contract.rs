//! The examples of `schemas/integrity.md` are those of the vectors.

use crate::json::{list, text};

const CONTRACT: &str = include_str!("../../../../schemas/integrity.md");

#[track_caller]
fn assert_shown(path: &str, name: &str, key: &str) {
    let case = list(path).iter().find(|case| case["name"] == name).expect(name);
    assert!(CONTRACT.contains(text(case, key)), "schemas/integrity.md lacks\n{}", text(case, key));
}

#[test]
fn the_contract_shows_examples_of_the_vectors() {
    assert_shown("/seal/valid", "the first seal of the second epoch", "note");
    assert_shown("/state/valid", "a state", "text");
    assert_shown("/trust/valid", "a rotation", "text");
    for (path, key) in [
        ("/header/valid", "text"),
        ("/anchor/valid", "note"),
        ("/key/valid", "vkey"),
        ("/hash/leaf", "preimage"),
        ("/hash/leaf", "text"),
        ("/hash/step", "head"),
        ("/hash/step", "text"),
    ] {
        assert!(
            CONTRACT.contains(text(&list(path)[0], key)),
            "schemas/integrity.md lacks {path} {key}"
        );
    }
}
