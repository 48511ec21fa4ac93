//! The schemas against the examples: what the relay takes is what the schemas say, and what it
//! writes too.

use std::cell::RefCell;

use audit_cases::generators::{hold, near_valid};
use audit_cases::{cases, read};
use audit_judge::classify::state_change::{EventNames, StateChange};
use audit_judge::fate::QuarantineReason;
use audit_judge::parse::record::{Field, parse};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::Value;

/// A schema of `schemas/`, compiled.
pub fn schema(name: &str) -> Validator {
    jsonschema::validator_for(&schema_text(name)).expect("a valid schema")
}

/// A schema of `schemas/`.
pub fn schema_text(name: &str) -> Value {
    let text = read(format!("schemas/{name}.schema.json"));
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    schema
}

/// An object with its keys as the schema names them: it says that they are read in any case, which
/// it cannot express.
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
            // A text that was cut in the middle of a character, and what is framed, is no JSON to
            // others. Of a CloudEvent, the schema is about the data.
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
fn the_schema_knows_the_words_for_outcomes_and_no_other() {
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
fn the_quarantine_schema_knows_every_reason_and_no_other() {
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
fn the_quarantine_schema_demands_of_a_stub_what_the_original_was() {
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

/// Whether a record is read as an action, if a row of the catalogue wants it.
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
        // A JSON Schema cannot say that keys stand there once, and sees no value that is no JSON to
        // others.
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
