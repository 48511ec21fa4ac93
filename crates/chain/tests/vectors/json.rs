//! Access to the vectors. A value that is not there fails the test.

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::LazyLock;

use serde_json::Value;

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../../../schemas/integrity/vectors.json");
    serde_json::from_str(text).expect("JSON")
});

/// Returns the list at a path such as `/seal/valid`, which is not empty.
#[track_caller]
pub(crate) fn list(path: &str) -> &'static [Value] {
    let list = VECTORS.pointer(path).and_then(Value::as_array).expect(path);
    assert!(!list.is_empty(), "{path}");
    list
}

/// Checks that every text of a list is refused.
#[track_caller]
pub(crate) fn assert_refused<T: Debug, E>(path: &str, read: impl Fn(&str) -> Result<T, E>) {
    for case in list(path) {
        if let Ok(read) = read(text(case, "text")) {
            panic!("{path}: {} is accepted: {read:?}", text(case, "reason"));
        }
    }
}

/// Checks that every text of a list is read, and written the same.
#[track_caller]
pub(crate) fn assert_texts<T: FromStr + ToString>(path: &str) {
    for text in list(path) {
        let text = text.as_str().expect("a text");
        assert_eq!(parsed::<T>(text).to_string(), text);
    }
}

#[track_caller]
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

#[track_caller]
pub(crate) fn number<T: TryFrom<u64, Error: Debug>>(value: &Value) -> T {
    value.as_u64().expect("a number").try_into().expect("in range")
}

#[track_caller]
pub(crate) fn parsed<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is refused"))
}

/// Reads the value under a key.
#[track_caller]
pub(crate) fn parse<T: FromStr>(value: &Value, key: &str) -> T {
    parsed(text(value, key))
}

/// Reads every text of a list.
#[track_caller]
pub(crate) fn parse_all<T: FromStr>(values: &Value) -> Vec<T> {
    let values = values.as_array().expect("a list").iter();
    values.map(|text| parsed(text.as_str().expect("a text"))).collect()
}

#[track_caller]
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |digits| u8::from_str_radix(std::str::from_utf8(digits).expect("ASCII"), 16);
    digits.map(|digits| byte(digits).expect("hexadecimal")).collect()
}

/// Returns the bytes under a key, or `None` for null.
#[track_caller]
pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    if value.is_null() { None } else { Some(hex(value.as_str().expect("hexadecimal"))) }
}
