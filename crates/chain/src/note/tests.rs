//! Notes: what the example of Go's `sumdb/note` says, what is stricter here, and that no changed
//! byte passes.

use proptest::prelude::*;

use super::*;

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name.parse().expect(name), &[seed; 32])
}

fn verify<'k>(note: &str, known: &'k [PublicKey]) -> Result<Vec<&'k PublicKey>, NoteError> {
    Note::split(note.as_bytes())?.verify(known)
}

#[test]
fn the_example_of_gos_package_is_verified() {
    let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let note = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n\n\
                \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let known = [vkey.parse().expect("a vkey")];
    assert_eq!(verify(note, &known), Ok(vec![&known[0]]));
    let tampered = note.replace("your problem is", "our problem is");
    assert!(matches!(verify(&tampered, &known), Err(NoteError::FalseSignature(_))));
}

#[test]
fn all_known_signers_are_named_and_others_ignored() {
    let keys = [key("a", 1), key("b", 2), key("c", 3)];
    let note = sign("text\n", &[&keys[2], &keys[0]]).expect("a note");
    let known = keys.each_ref().map(|key| key.public().clone());
    let names = |known: &[PublicKey]| {
        verify(&note, known)
            .map(|signers| signers.iter().map(|key| key.name().to_string()).collect())
    };
    let names = |known: &[PublicKey]| names(known).map(|names: Vec<String>| names.concat());
    assert_eq!(names(&known), Ok("ac".to_owned()));
    assert_eq!(names(&known[..2]), Ok("a".to_owned()));
    assert_eq!(names(&known[1..2]), Err(NoteError::NotSigned));
    assert_eq!(names(&[]), Err(NoteError::NotSigned));
}

#[test]
fn a_false_line_of_a_known_key_spoils_the_note_wherever_it_stands() {
    let (one, other) = (key("a", 1), key("b", 2));
    let note = sign("text\n", &[&one, &other]).expect("a note");
    let false_line = signature_line("another text\n", &one);
    let known = [one.public().clone(), other.public().clone()];
    let before = note.replace("\n\n", &format!("\n\n{false_line}"));
    for spoiled in [format!("{note}{false_line}"), before] {
        assert_eq!(verify(&spoiled, &known), Err(NoteError::FalseSignature(one.public().id())));
        // To those who do not know the key it says nothing.
        assert_eq!(verify(&spoiled, &known[1..]), Ok(vec![&known[1]]));
    }
    // A true line that stands twice says the same twice.
    let twice = format!("{note}{}", signature_line("text\n", &one));
    assert_eq!(verify(&twice, &known), Ok(known.iter().collect()));
}

#[test]
fn only_a_note_is_signed() {
    let key = key("a", 1);
    assert_eq!(sign("text", &[&key]), Err(NoteError::UnfinishedText));
    assert_eq!(sign("", &[&key]), Err(NoteError::UnfinishedText));
    assert_eq!(sign("a\tb\n", &[&key]), Err(NoteError::ControlCharacter));
    assert_eq!(sign("text\n", &[]), Err(NoteError::Signers));
    assert_eq!(sign("text\n", &[&key, &key]), Err(NoteError::Signers));
    let long = format!("{}\n", "x".repeat(NOTE_BYTES_MAX));
    assert_eq!(sign(&long, &[&key]), Err(NoteError::TooLong));
    assert_eq!(Note::split(long.as_bytes()), Err(NoteError::TooLong));
}

#[test]
fn the_number_of_lines_is_limited() {
    let line = signature_line("text\n", &key("a", 1));
    let split = |lines: usize| {
        Note::split(format!("text\n\n{}", line.repeat(lines)).as_bytes()).map(|_| ())
    };
    assert_eq!(split(LINES_MAX), Ok(()));
    assert_eq!(split(LINES_MAX + 1), Err(NoteError::TooManyLines));
}

proptest! {
    #[test]
    fn what_was_signed_is_verified(text in "([ -~é\n]{0,40}\n){1,3}") {
        let key = key("audit.example.com/x", 1);
        let note = sign(&text, &[&key]).expect("a note");
        let split = Note::split(note.as_bytes()).expect("a note");
        prop_assert_eq!(split.text(), &text);
        prop_assert!(split.verify(&[key.public().clone()]).is_ok());
    }

    #[test]
    fn no_changed_byte_passes(
        text in "([ -~]{0,20}\n){1,3}", at in any::<prop::sample::Index>(), bits in 1..=255_u8
    ) {
        let (key, other) = (key("audit.example.com/x", 1), key("b", 2));
        let note = sign(&text, &[&key]).expect("a note");
        let mut changed = note.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] ^= bits;
        // Another signer does not help, and neither does its place.
        let known = [key.public().clone()];
        let mut both = changed.clone();
        both.extend_from_slice(signature_line(&text, &other).as_bytes());
        for changed in [changed, both] {
            let verified = Note::split(&changed).and_then(|note| note.verify(&known).map(|_| ()));
            prop_assert!(verified.is_err(), "{:?}", String::from_utf8_lossy(&changed));
        }
    }
}
