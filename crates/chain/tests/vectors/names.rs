//! Names.

use audit_chain::name::{Origin, Set, Stream};

use crate::json::{assert_refused, assert_texts};

#[test]
fn names() {
    assert_texts::<Origin>("/name/origin/valid");
    assert_texts::<Set>("/name/set/valid");
    assert_texts::<Stream>("/name/stream/valid");
    assert_refused("/name/origin/invalid", |text| text.parse::<Origin>());
    assert_refused("/name/set/invalid", |text| text.parse::<Set>());
    assert_refused("/name/stream/invalid", |text| text.parse::<Stream>());
}
