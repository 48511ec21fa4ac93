//! The schemas against the examples: what the relay takes is what the schemas say, and what it writes
//! too.

use std::path::Path;

use audit_relay::pipeline::fate::QuarantineReason;
use jsonschema::Validator;
use serde_json::Value;

use crate::golden::cases;

/// A schema of `schemas/`, compiled.
pub fn schema(name: &str) -> Validator {
    jsonschema::validator_for(&schema_text(name)).expect("a valid schema")
}

/// A schema of `schemas/`.
pub fn schema_text(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("schemas")
        .join(format!("{name}.schema.json"));
    let text = std::fs::read(&path).expect("schema");
    let schema: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    schema
}

/// An object with its keys as the schema names them: it says that they are read in any case, which it cannot express.
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
        let outcome = case.outcome();
        if let Some(event) = outcome.get("event") {
            assert_valid(&audit_event, event, &case.name);
            let input: Value = serde_json::from_slice(&case.input).expect("JSON");
            assert_valid(&state_change, &input, &case.name);
            events += 1;
        }
    }
    assert!(events >= 30, "only {events} events");
}

#[test]
fn reference_lines_of_the_examples_are_valid() {
    for (file, name) in [
        ("principals.jsonl", "principal"),
        ("devices.jsonl", "device"),
    ] {
        let (validator, text_of_schema) = (schema(name), schema_text(name));
        for case in cases() {
            let text = std::fs::read_to_string(case.reference(file)).expect(file);
            for line in text.lines() {
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
