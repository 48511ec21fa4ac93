//! Checks the schemas against the examples: the relay's input and output match the schemas.

use std::cell::RefCell;

use audit_cases::generators::{hold, near_valid};
use audit_cases::{cases, read};
use audit_judge::classify::state_change::{EventNames, StateChange};
use audit_judge::fate::QuarantineReason;
use audit_judge::parse::record::{Field, parse};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::Value;

/// Loads and compiles a schema of `schemas/`.
pub fn schema(name: &str) -> Validator {
    jsonschema::validator_for(&schema_text(name)).expect("a valid schema")
}

/// Loads a schema of `schemas/`.
pub fn schema_text(name: &str) -> Value {
    let text = read(format!("schemas/{name}.schema.json"));
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    schema
}

/// Restores the schema's case of the keys: keys are read in any case, which a schema cannot
/// express.
fn canonical(object: &Value, schema: &Value) -> Value {
    let names = schema["properties"].as_object().expect("properties");
    let named = |(key, value): (&String, &Value)| {
        let name = names.keys().find(|name| name.eq_ignore_ascii_case(key));
        (name.unwrap_or(key).clone(), value.clone())
    };
    let members = object.as_object().expect("an object").iter();
    Value::Object(members.map(named).collect())
}

#[track_caller]
fn assert_valid(validator: &Validator, instance: &Value, what: &str) {
    let errors: Vec<String> = validator
        .iter_errors(instance)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:?}");
}

#[test]
fn inputs_and_events_of_the_examples_are_valid() {
    let state_change = schema("state-change");
    let audit_event = schema("audit-event");
    let mut events = 0;
    for case in cases() {
        if let Some(event) = case.outcome.get("event") {
            assert_valid(&audit_event, event, &case.name);
            events += 1;
            // Skips inputs that are not JSON: truncated characters and framed records. Skips
            // CloudEvents: the schema describes only their data.
            let Ok(input) = serde_json::from_slice::<Value>(&case.input) else {
                continue;
            };
            if input.get("specversion").is_none() {
                assert_valid(&state_change, &input, &case.name);
            }
        }
    }
    assert!(events >= 30, "only {events} events");
}

#[test]
fn the_schema_accepts_exactly_the_outcome_words() {
    let validator = schema("state-change");
    let words: toml::Table = toml::from_str(&read("catalog/outcomes.toml")).expect("TOML");
    let record = |outcome: &str| {
        serde_json::json!({
            "eventCreateDate": "2021-07-14T09:12:44Z", "objectName": "Server", "objectId": 1,
            "eventName": "Power On", "outcome": outcome,
        })
    };
    let words = words.values().flat_map(|list| list.as_array().expect("a list"));
    for word in words.map(|word| word.as_str().expect("a word")) {
        for word in [word.to_string(), word.to_uppercase(), format!(" {word} ")] {
            assert_valid(&validator, &record(&word), &word);
        }
    }
    for other in ["0", "1", "yes", "done", "unknown"] {
        assert!(!validator.is_valid(&record(other)), "{other}");
    }
}

#[test]
fn reference_lines_of_the_examples_are_valid() {
    for name in ["principal", "device"] {
        let (validator, text_of_schema) = (schema(name), schema_text(name));
        for case in cases() {
            let table = if name == "device" { &case.devices } else { &case.principals };
            for line in table.lines() {
                let entry: Value = serde_json::from_str(line).expect("JSON");
                let entry = canonical(&entry, &text_of_schema);
                assert_valid(&validator, &entry, &case.name);
            }
        }
    }
}

#[test]
fn the_quarantine_schema_accepts_exactly_the_reasons() {
    let validator = schema("quarantine-headers");
    let headers = |reason: &str| {
        serde_json::json!({
            "audit-relay-reason": reason, "audit-relay-detail": "x", "audit-relay-topic": "t",
            "audit-relay-partition": "0", "audit-relay-offset": "12", "audit-relay-version": "0.1.0",
            "audit-relay-stub": "false",
        })
    };
    for reason in QuarantineReason::ALL {
        assert_valid(&validator, &headers(reason.name()), reason.name());
    }
    assert!(!validator.is_valid(&headers("bored")));
}

#[test]
fn the_quarantine_schema_requires_a_stub_to_describe_the_original() {
    let validator = schema("quarantine-headers");
    let mut headers = serde_json::json!({
        "audit-relay-reason": "malformed", "audit-relay-detail": "x", "audit-relay-topic": "t",
        "audit-relay-partition": "0", "audit-relay-offset": "12", "audit-relay-version": "0.1.0",
        "audit-relay-stub": "true",
    });
    assert!(!validator.is_valid(&headers));
    for (name, value) in [
        ("audit-relay-value-bytes", "5500083".to_string()),
        ("audit-relay-value-sha256", "0a".repeat(32)),
        ("audit-relay-key-bytes", "7".to_string()),
        ("audit-relay-headers-dropped", "0".to_string()),
    ] {
        headers[name] = value.into();
    }
    assert_valid(&validator, &headers, "a stub");
}

/// Reads a record as an action that the catalogue would list.
fn is_read(text: &str) -> Result<(), String> {
    let record = parse(Some(text.as_bytes())).map_err(|refused| refused.detail)?;
    let names = EventNames::read(&record)?;
    if names.key.is_none() && names.name.is_none() {
        return Err("no event".into());
    }
    record.text(Field::UserType)?;
    StateChange::check(&record, names).map(drop)
}

#[test]
fn the_schema_and_the_reader_agree() {
    let state_change = schema("state-change");
    let (taken, refused) = (RefCell::new(0), RefCell::new(0));
    hold(4_000, near_valid(), |record| {
        // A JSON Schema cannot forbid repeated keys, and validates only values that are standard
        // JSON.
        let as_known = serde_json::from_str(&record.with_known_keys().text());
        let (false, Ok(value)) = (record.repeats_a_field(), as_known) else {
            return Ok(());
        };
        let problem = is_read(&record.text()).err();
        let valid = state_change.is_valid(&value);
        prop_assert_eq!(problem.is_none(), valid, "{:?}", problem);
        let seen = if valid { &taken } else { &refused };
        *seen.borrow_mut() += 1;
        Ok(())
    });
    let (taken, refused) = (taken.into_inner(), refused.into_inner());
    assert!(taken > 1_000 && refused > 500, "{taken} {refused}");
}
