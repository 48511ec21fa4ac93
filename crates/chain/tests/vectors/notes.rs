//! Signed notes, and files of anchors.

use audit_chain::anchor::{Anchor, Anchored, split_file};
use audit_chain::key::PublicKey;
use audit_chain::note::{Note, sign};
use audit_chain::number::Number;

use crate::json::{assert_refused, hex, list, number, parse, parse_all, parsed, text};
use crate::keys::key;

/// Returns the vkeys of those who signed, or why the note is refused.
fn verify(note: &[u8], known: &[PublicKey]) -> Result<Vec<String>, String> {
    let signers = Note::split(note).and_then(|note| note.verify(known));
    let signers = signers.map_err(|error| error.to_string())?;
    Ok(signers.into_iter().map(PublicKey::to_string).collect())
}

#[test]
fn notes() {
    for case in list("/note/valid") {
        let note = text(case, "note");
        let split = Note::split(note.as_bytes()).expect("a note");
        assert_eq!(split.text(), text(case, "text"));
        let signers: Vec<String> = parse_all(&case["signers"]);
        let known: Vec<PublicKey> = parse_all(&case["vkeys"]);
        assert_eq!(verify(note.as_bytes(), &known), Ok(signers), "{}", text(case, "name"));
    }
    for case in list("/note/invalid") {
        let note = hex(text(case, "hex"));
        let signers = verify(&note, &parse_all(&case["vkeys"]));
        assert!(signers.is_err(), "{}", text(case, "reason"));
    }
}

#[test]
fn a_note_is_signed_to_the_byte() {
    for (case, signers) in [("one key", 1), ("two keys", 2)] {
        let case = list("/note/valid").iter().find(|it| text(it, "name") == case).expect(case);
        let vkeys: Vec<String> = parse_all(&case["signers"]);
        let keys: Vec<_> = vkeys.iter().map(|vkey| key(vkey)).collect();
        assert_eq!(keys.len(), signers);
        let note = sign(text(case, "text"), &keys.iter().collect::<Vec<_>>());
        assert_eq!(note.as_deref(), Ok(text(case, "note")));
    }
}

#[test]
fn anchors() {
    for case in list("/anchor/valid") {
        let seals = case["seals"].as_array().expect("a list").iter().map(|seal| {
            let digest = parsed(seal[2].as_str().expect("a digest"));
            let number = Number::new(number(&seal[1])).expect("below 2^63");
            (parsed(seal[0].as_str().expect("a set")), Anchored { seal: number, digest })
        });
        let anchor = Anchor::new(parse(case, "origin"), parse(case, "time"), seals.collect());
        let anchor = anchor.expect("seals");
        assert_eq!(anchor.to_string(), text(case, "text"));
        assert_eq!(text(case, "text").parse(), Ok(anchor));
        let note = Note::split(text(case, "note").as_bytes()).expect("a note");
        assert_eq!(note.text(), text(case, "text"));
    }
    assert_refused("/anchor/invalid", |text| text.parse::<Anchor>());
}

#[test]
fn files_of_anchors() {
    for case in list("/anchor/file/valid") {
        let notes = split_file(text(case, "file").as_bytes()).expect("notes");
        let texts: Vec<_> = notes.iter().map(|note| note.text().to_owned()).collect();
        let expected: Vec<String> = parse_all(&case["texts"]);
        assert_eq!(texts, expected);
    }
    for case in list("/anchor/file/invalid") {
        let notes = split_file(text(case, "file").as_bytes());
        assert!(notes.is_err(), "{}", text(case, "reason"));
    }
}
