//! Which keys may sign, and how one follows another.

use audit_chain::key::SigningKey;
use audit_chain::trust::Trust;
use audit_verify::{Options, Report};

use crate::checked::{assert_labels, check_with};
use crate::trail::{ORIGIN, Trail};
use crate::writer::{Writer, fate, key};

/// Writes a seal for each of these: its keys, and the next key that it announces.
fn signed(seals: &[(&[&SigningKey], Option<&SigningKey>)]) -> Trail {
    let (mut trail, mut writer) = (Trail::default(), Writer::new(0, 1));
    for (keys, next) in seals {
        writer.next_key = next.map(|next| next.public().clone());
        let fates: Vec<_> = (writer.next..writer.next + 3).map(|at| fate(0, at)).collect();
        writer.write(&fates, keys, &mut trail);
    }
    trail
}

fn check(trail: &Trail, trust: &str) -> Report {
    let trust: Trust = trust.parse().expect("a trust file");
    check_with(trail, trust, Options::default())
}

/// Returns a trust file: each key with what follows it in its line.
fn trust(lines: &[(&SigningKey, &str)]) -> String {
    lines.iter().map(|(key, rest)| format!("{} {rest}\n", key.public())).collect()
}

#[test]
fn a_key_signs_only_in_its_own_period() {
    let old = key(1);
    let trail = signed(&[(&[&old], None), (&[&old], None), (&[&old], None)]);
    assert_labels("open", &check(&trail, &trust(&[(&old, "")])), &[]);
    assert_labels("all", &check(&trail, &trust(&[(&old, "0 2")])), &[]);
    let late = check(&trail, &trust(&[(&old, "0 1")]));
    assert_labels("too late", &late, &["BAD_SEAL"]);
    let elsewhere = check(&trail, &trust(&[(&old, "0 9 infra.changes/7#1")]));
    assert_labels("another set", &elsewhere, &["BAD_SEAL"]);
}

#[test]
fn a_rotation_is_announced_and_signed_by_both() {
    let (old, new) = (key(1), key(2));
    let only_old = trust(&[(&old, "")]);
    let good = signed(&[(&[&old], Some(&new)), (&[&old, &new], None), (&[&new], None)]);
    assert_labels("good", &check(&good, &only_old), &[]);

    let unannounced = signed(&[(&[&old], None), (&[&old], None), (&[&new], None)]);
    let both = trust(&[(&old, ""), (&new, "")]);
    assert_labels("unannounced", &check(&unannounced, &both), &["BAD_SEAL"]);

    let without_old = signed(&[(&[&old], Some(&new)), (&[&new], None), (&[&new], None)]);
    assert_labels("without the old key", &check(&without_old, &only_old), &["BAD_SEAL"]);

    let goes_on = signed(&[(&[&old], Some(&new)), (&[&old], None), (&[&old, &new], None)]);
    assert_labels("the old key goes on", &check(&goes_on, &only_old), &["BAD_SEAL"]);

    let returns = signed(&[(&[&old], Some(&new)), (&[&old, &new], None), (&[&old], None)]);
    assert_labels("the old key returns", &check(&returns, &both), &["BAD_SEAL"]);
}

#[test]
fn a_lost_key_is_followed_by_one_that_is_written_down_for_the_set() {
    let (old, new) = (key(1), key(2));
    let trail = signed(&[(&[&old], None), (&[&old], None), (&[&new], None)]);
    let pinned = trust(&[(&old, "0 1"), (&new, "2 - infra.changes/0#1")]);
    assert_labels("pinned", &check(&trail, &pinned), &[]);
    let other = trust(&[(&old, "0 1"), (&new, "2 - infra.changes/1#1"), (&new, "2")]);
    assert_labels("pinned elsewhere", &check(&trail, &other), &["BAD_SEAL"]);
}

#[test]
fn a_cosigner_is_never_sufficient() {
    let own = key(1);
    let witness = SigningKey::from_seed("witness.example.org".parse().expect("a name"), &[3; 32]);
    let trail = signed(&[(&[&own, &witness], None), (&[&own], None), (&[&witness], None)]);
    let both = trust(&[(&own, ""), (&witness, "")]);
    assert_labels("the witness alone", &check(&trail, &both), &["BAD_SEAL"]);
    assert!(own.public().name().as_str() == ORIGIN);
}
