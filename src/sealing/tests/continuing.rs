//! Where chains may be continued, and where not.

use super::*;
use crate::sealing::load::search_from;

/// The first two seals of a partition, and the place after the second.
fn two_seals() -> (Closed, Closed, ResumePoint) {
    let mut chains = fresh();
    let first = transact(&mut chains, 0, 10, &settings());
    let second = transact(&mut chains, 10, 20, &settings());
    let place = at(20, &second.metadata);
    (first, second, place)
}

#[test]
fn chains_begin_only_where_nothing_was_sealed() {
    let (first, ..) = two_seals();
    let (nothing, something) = (Found::default(), found(&[&first], &settings()));
    for (place, refusal) in [
        (at(7, ""), "has lost the state of its chains"),
        (ResumePoint::Beginning, "has no committed offset"),
        (ResumePoint::NewLog, "was deleted and created again"),
    ] {
        assert!(load(&place, PARTITION, &nothing, &settings()).is_ok(), "{place:?}");
        let refused = load(&place, PARTITION, &something, &settings()).expect_err(refusal).text;
        assert!(refused.contains(refusal), "{refused}");
        assert!(refused.contains("audit-relay resume"), "{refused}");
    }
}

/// A seal of the partition shows that it was sealed before, whichever key signed it.
#[test]
fn a_seal_of_another_key_counts_where_nothing_is_known() {
    let (first, second, place) = two_seals();
    let stranger = settings_of(ORIGIN, 9, None, &["eu-de"]);
    let strange = found(&[&first, &second], &stranger);
    assert_eq!((strange.any, &strange.newest), (true, &None));
    assert!(load(&ResumePoint::Beginning, PARTITION, &strange, &settings()).is_err());
    // It proves nothing against a state that is known.
    assert!(load(&place, PARTITION, &strange, &settings()).is_ok());
}

#[test]
fn a_state_is_continued_if_it_is_the_newest() {
    let (first, second, place) = two_seals();
    assert_eq!(search_from(&place, PARTITION, &settings()), SEALED_MS);
    assert_eq!(search_from(&at(20, "?"), PARTITION, &settings()), 0);
    let loaded = load(&place, PARTITION, &found(&[&second], &settings()), &settings());
    let third = transact(&mut loaded.expect("the newest"), 20, 21, &settings());
    assert_eq!(seal(&third).previous, seal(&second).digest().expect("a seal"));
    assert_eq!(seal(&third).number.get(), 2);

    let old = at(10, &first.metadata);
    assert!(load(&old, PARTITION, &found(&[&first], &settings()), &settings()).is_ok());
    for seals in [vec![&first, &second], vec![&second, &first]] {
        let refused = load(&old, PARTITION, &found(&seals, &settings()), &settings());
        let refused = refused.expect_err("an old state").text;
        assert!(refused.contains("the committed state is old: seal 1"), "{refused}");
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let (first, second, place) = two_seals();
    let found = found(&[&first, &second], &settings());
    let of_other_origin = settings_of("other.example.com", 1, None, &["eu-de"]);
    for (place, partition, settings, refusal) in [
        (at(21, &second.metadata), PARTITION, settings(), "committed offset is 21, but"),
        (at(20, "by someone else"), PARTITION, settings(), "not a state of audit-relay"),
        (place.clone(), Partition(4), settings(), "belongs to another set"),
        (place.clone(), PARTITION, of_other_origin, "belongs to another origin"),
        (
            place.clone(),
            PARTITION,
            settings_of(ORIGIN, 2, None, &["eu-de"]),
            "set integrity.previous_key to it",
        ),
    ] {
        let refused = load(&place, partition, &found, &settings).expect_err(refusal).text;
        assert!(refused.contains(refusal), "{refused}");
    }
    let middle = second.metadata.len() / 2;
    let mut damaged = second.metadata.clone();
    let other =
        if damaged.get(middle..).is_some_and(|rest| rest.starts_with('A')) { "B" } else { "A" };
    damaged.replace_range(middle..=middle, other);
    let refused =
        load(&at(20, &damaged), PARTITION, &found, &settings()).expect_err("damaged").text;
    assert!(refused.contains("the tag of the state is false"), "{refused}");
}
