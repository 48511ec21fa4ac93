//! Generates JSON texts from a schema: valid objects in every spelling, optionally with invalid
//! values.

use std::fmt::Write;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use serde_json::{Value, json};

use crate::schemas::schema_text;

/// RFC 3339 times.
const TIMES: [&str; 5] = [
    "2018-01-01T00:00:00Z",
    "2018-01-01t00:00:00.123456789z",
    "2020-02-29T23:59:59-05:00",
    "2016-12-31T23:59:60Z",
    "1969-12-31T23:59:59.5+14:00",
];

/// Values that are valid for some field, and values that are valid for none.
const VALUES: [&str; 41] = [
    "null",
    "true",
    "false",
    "0",
    "7",
    "-7",
    "-0",
    "7.0",
    "7.5",
    "1e3",
    "1e-3",
    "1e400",
    "18446744073709551615",
    "18446744073709551616",
    r#""""#,
    r#"" ""#,
    r#""null""#,
    r#""None""#,
    r#"" nil ""#,
    r#""undefined""#,
    r#""7""#,
    r#"" 7 ""#,
    r#""-7""#,
    r#""7.0""#,
    r#""all""#,
    r#""ALL""#,
    r#""a b""#,
    r#""a/b""#,
    r#""x:y""#,
    r#""IBMid-1""#,
    r#""user""#,
    r#""serviceId""#,
    r#""virtualGuest""#,
    r#""2018-01-01T00:00:00Z""#,
    r#""2018""#,
    r#""ä\n""#,
    "[]",
    r#"[7,"8",null]"#,
    r#"["A",""]"#,
    "{}",
    r#"[["a"]]"#,
];

/// Generates JSON texts that a part of a schema allows; occasionally an invalid one.
fn values(part: &Value, root: &Value) -> BoxedStrategy<String> {
    if let Some(reference) = part["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        return values(root.pointer(pointer).expect("a definition"), root);
    }
    if let Some(parts) = part["anyOf"].as_array() {
        return one_of(parts.iter().map(|part| values(part, root)).collect());
    }
    if let Some(listed) = part["enum"].as_array() {
        return select(listed.clone()).prop_map(|value| value.to_string()).boxed();
    }
    let types = match &part["type"] {
        Value::Array(types) => types.clone(),
        one => vec![one.clone()],
    };
    let of_type = |name: &Value| match name.as_str() {
        Some("string") => texts(part),
        Some("integer") => integers(),
        Some("boolean") => any::<bool>().prop_map(|flag| flag.to_string()).boxed(),
        Some("null") => Just("null".to_string()).boxed(),
        Some("array") => prop::collection::vec(values(&part["items"], root), 0..4)
            .prop_map(|items| format!("[{}]", items.join(",")))
            .boxed(),
        other => panic!("the generator does not know the type {other:?}"),
    };
    one_of(types.iter().map(of_type).collect())
}

fn one_of(strategies: Vec<BoxedStrategy<String>>) -> BoxedStrategy<String> {
    proptest::strategy::Union::new(strategies).boxed()
}

fn texts(part: &Value) -> BoxedStrategy<String> {
    let text = match (part["pattern"].as_str(), part["format"].as_str()) {
        (Some(pattern), _) => {
            let inside = pattern.trim_start_matches('^').trim_end_matches('$');
            string_regex(inside).expect("a pattern").boxed()
        }
        (None, Some("date-time")) => select(&TIMES[..]).prop_map(str::to_string).boxed(),
        _ => prop_oneof![
            ".{0,12}",
            "[A-Za-z]{1,8}[ _-][A-Za-z]{1,8}",
            select(&["", " ", "None", "nil", "nobody"][..]).prop_map(str::to_string),
        ]
        .boxed(),
    };
    text.prop_map(|text| Value::from(text).to_string()).boxed()
}

/// Generates integers in several spellings.
fn integers() -> BoxedStrategy<String> {
    let number = prop_oneof![0..100u64, any::<u64>()];
    let written = |(number, way): (u64, u8)| match way {
        0 if number < 1 << 53 => format!("{number}.0"),
        1 if number < 1 << 40 => format!("{number}e2"),
        2 if number < 1 << 40 => format!("{number}0E-1"),
        _ => number.to_string(),
    };
    (number, 0u8..8).prop_map(written).boxed()
}

/// The members of an object, with the schema's names.
pub type Members = Vec<(String, String)>;

pub fn members(name: &str, junk: bool) -> impl Strategy<Value = Members> {
    let root = schema_text(name);
    let required = root["required"].clone();
    let properties = root["properties"].as_object().expect("properties");
    let member = |(key, part): (&String, &Value)| {
        let is_required = required.as_array().expect("a list").contains(&json!(key));
        let part = values(part, &root);
        let value = if junk {
            prop_oneof![3 => part, 1 => select(&VALUES[..]).prop_map(str::to_string)].boxed()
        } else {
            part
        };
        let key = key.clone();
        let value = match is_required {
            true => value.prop_map(Some).boxed(),
            false => prop::option::weighted(0.6, value).boxed(),
        };
        value.prop_map(move |value| Some((key.clone(), value?)))
    };
    let members: Vec<_> = properties.iter().map(member).collect();
    members.prop_map(|members| members.into_iter().flatten().collect())
}

/// Returns the object with the schema's keys, for the validator, and with keys in another case, for
/// the reader.
pub fn texts_of(members: &Members, case: u8) -> (Value, String) {
    let object = |key: &dyn Fn(&str) -> String| {
        let mut text = "{".to_string();
        for (number, (name, value)) in members.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(text, "{comma}{:?}:{value}", key(name)).expect("written");
        }
        text + "}"
    };
    let canonical = object(&str::to_string);
    let cased = object(&|name| match case {
        0 => name.to_uppercase(),
        1 => name.to_lowercase(),
        _ => name.to_string(),
    });
    // A number that a JSON value cannot hold is invalid for every schema.
    (serde_json::from_str(&canonical).unwrap_or(Value::Null), cased)
}
